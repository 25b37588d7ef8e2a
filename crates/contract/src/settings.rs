//! `[contract]` and `[brand]` of a configuration file: the settings that a contract is made of, and what
//! cannot be.

use std::{borrow::Cow, collections::BTreeMap};

use gatepost_kernel::{ErrorCode, PageRequest, settings};
use gatepost_keys::{PrefixError, ScopeOrder, TokenFormat};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use crate::{Brand, Contract, EnvelopeStyle, Header, Headers, LetterCase, Paging, Statuses};

/// `[contract]`: How everything looks on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContractSettings {
    /// Where the operations live.
    pub base_path: Spanned<String>,
    /// What API keys begin with; `{environment}` is `live` or `test`.
    pub key_prefix: Spanned<String>,
    /// What keys may begin with that were made under another `key_prefix`.
    pub accepted_key_prefixes: Vec<Spanned<String>>,
    /// What the names of headers begin with that say whose key it is, as forward auth does.
    pub header_prefix: Spanned<String>,
    /// The header of answers that names the workspace of the key. Default: `Workspace` behind
    /// `header_prefix`.
    pub workspace_header: Option<Spanned<String>>,
    /// The header of requests that names the workspace to act on.
    pub acting_workspace_header: Spanned<String>,
    /// The header of deliveries that holds `sha256=` and the HMAC of the body.
    pub signature_header: Spanned<String>,
    /// In what answers are wrapped: `"data"`, or `"success"`, which is around all of them.
    pub envelope: EnvelopeStyle,
    /// How the codes of errors are written: `"lower"` or `"upper"`.
    pub error_codes: LetterCase,
    /// Codes of errors that are called something else, e.g. `{ validation_failed = "VALIDATION_ERROR" }`.
    pub error_names: IndexMap<Spanned<String>, Spanned<String>>,
    /// What errors say, by their codes; `{seconds}` is how long to wait. `required` is what is said of a
    /// field that is missing, which is called `{field}`, or `{Field}` with a capital.
    pub messages: IndexMap<Spanned<String>, Spanned<String>>,
    /// Whether an error about input says what is wrong with the first field, and names it in `details.field`;
    /// it takes the envelope `"success"`.
    pub names_first_field: Spanned<bool>,
    /// Which statuses there are: `"full"`, or `"plain"`: 400 for 409, 412, 422 and 428, and 200 for 202, 204
    /// and 207.
    pub statuses: Statuses,
    /// How lists are cut into pages: `"pages"`, `"short_pages"` or `"offset"`.
    pub paging: Paging,
    /// How many items a page has if nothing is asked, 1 to 100.
    pub default_per_page: Spanned<u32>,
    /// Which part of a scope comes first: `"resource_first"`, as in `leads:read`, or `"action_first"`.
    pub scope_order: ScopeOrder,
}

impl Default for ContractSettings {
    /// Those of [`Contract::core`].
    fn default() -> Self {
        let core = Contract::core();
        Self {
            base_path: in_code(core.base_path.into_owned()),
            key_prefix: in_code(TokenFormat::CORE.to_owned()),
            accepted_key_prefixes: Vec::new(),
            header_prefix: in_code(Headers::PREFIX.to_owned()),
            workspace_header: None,
            acting_workspace_header: in_code(core.headers.acting_workspace.shown.into_owned()),
            signature_header: in_code(core.headers.signature.shown.into_owned()),
            envelope: core.envelope,
            error_codes: core.error_codes,
            error_names: IndexMap::new(),
            messages: IndexMap::new(),
            names_first_field: in_code(core.names_first_field),
            statuses: core.statuses,
            paging: core.paging,
            default_per_page: in_code(core.default_per_page),
            scope_order: core.scope_order,
        }
    }
}

/// `[brand]`: Whose platform it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrandSettings {
    /// Name of the platform, 1 to 64 characters: for the documentation, the realm of challenges and the
    /// `User-Agent` of deliveries.
    pub name: Spanned<String>,
    /// URL of the logo, which the documentation shows.
    pub logo: Option<Spanned<String>>,
    /// Where people get help: a URL, or an address of email.
    pub support: Option<Spanned<String>>,
    /// URL of the documentation for people.
    pub docs_url: Option<Spanned<String>>,
}

impl Default for BrandSettings {
    /// Those of [`Brand::gatepost`].
    fn default() -> Self {
        let Brand { name, logo, support, docs_url } = Brand::gatepost();
        Self {
            name: in_code(name),
            logo: logo.map(in_code),
            support: support.map(in_code),
            docs_url: docs_url.map(in_code),
        }
    }
}

/// A setting that stands in no file.
fn in_code<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

/// Whether a setting stands in a file.
fn is_given<T>(setting: &Spanned<T>) -> bool {
    !setting.span().is_empty()
}

/// Headers that a contract cannot call its own: those of connections, those that HTTP or this program gives a
/// meaning, and those of proxies.
const TAKEN: [&str; 46] = [
    "accept",
    "accept-encoding",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "forwarded",
    "host",
    "idempotency-key",
    "idempotent-replayed",
    "if-match",
    "if-none-match",
    "keep-alive",
    "link",
    "location",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "ratelimit",
    "ratelimit-policy",
    "referer",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "www-authenticate",
    "x-content-type-options",
    "x-request-id",
    "x-webhook-id",
    "x-webhook-timestamp",
    "x-real-ip",
];
/// Beginnings of others.
const TAKEN_PREFIXES: [&str; 4] = ["access-control-", "sec-", "x-forwarded-", "x-ratelimit-"];
/// What webhook secrets begin with.
const WEBHOOK_SECRET: &str = "whsec_";
/// The message about a field that is missing.
const REQUIRED: &str = "required";
/// The most characters of a message, and of the name of an error.
const MAX_MESSAGE: usize = 500;
const MAX_NAME: usize = 64;

/// Where in the file something is wrong, and what is accepted there.
pub type SettingError = (usize, String);

impl Contract {
    /// The contract that these settings describe; `is_taken` says where the server has pages of its own.
    ///
    /// # Errors
    /// The first error.
    pub fn of(
        section: &ContractSettings,
        brand: &BrandSettings,
        is_taken: impl Fn(&str) -> bool,
    ) -> Result<Self, SettingError> {
        read(section, brand, &is_taken)
    }
}

fn read(
    section: &ContractSettings,
    brand: &BrandSettings,
    is_taken: &dyn Fn(&str) -> bool,
) -> Result<Contract, SettingError> {
    let names_first_field = *section.names_first_field.get_ref();
    if names_first_field && section.envelope != EnvelopeStyle::Success {
        let error = "takes envelope = \"success\", which has details";
        return Err((section.names_first_field.span().start, error.to_owned()));
    }
    let mut messages = IndexMap::new();
    let mut missing_field = None;
    for (code, text) in &section.messages {
        let offset = text.span().start;
        if !(1..=MAX_MESSAGE).contains(&text.get_ref().chars().count()) {
            return Err((offset, format!("expected a text of 1 to {MAX_MESSAGE} characters")));
        }
        match code.get_ref().as_str() {
            REQUIRED => missing_field = Some(Cow::Owned(text.get_ref().clone())),
            _ => drop(messages.insert(code_of(code, &[REQUIRED])?, Cow::Owned(text.get_ref().clone()))),
        }
    }
    Ok(Contract {
        base_path: base_path(&section.base_path, is_taken)?,
        headers: headers(section)?,
        envelope: section.envelope,
        error_codes: section.error_codes,
        error_names: error_names(&section.error_names, section.error_codes)?,
        messages: messages.into_iter().collect(),
        missing_field,
        names_first_field,
        statuses: section.statuses,
        paging: section.paging,
        default_per_page: per_page(&section.default_per_page)?,
        tokens: tokens(section)?,
        scope_order: section.scope_order,
        brand: self::brand(brand)?,
    })
}

/// The kind of error that a setting names.
fn code_of(code: &Spanned<String>, others: &[&str]) -> Result<&'static str, SettingError> {
    ErrorCode::parse(code.get_ref()).map(ErrorCode::as_str).ok_or_else(|| {
        let known = [ErrorCode::NAMES.as_slice(), others].concat().join(", ");
        (code.span().start, format!("unknown error; known are: {known}"))
    })
}

fn error_names(
    given: &IndexMap<Spanned<String>, Spanned<String>>,
    case: LetterCase,
) -> Result<BTreeMap<&'static str, Cow<'static, str>>, SettingError> {
    let mut names = BTreeMap::new();
    for (code, name) in given {
        let text = name.get_ref();
        let sound = (1..=MAX_NAME).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if !sound {
            let error = format!("expected 1 to {MAX_NAME} letters, digits, _, - or .");
            return Err((name.span().start, error));
        }
        if names.values().any(|taken| taken == text) {
            return Err((name.span().start, "another error has this name".to_owned()));
        }
        names.insert(code_of(code, &[])?, Cow::Owned(text.clone()));
    }
    // Those that keep their own name count too.
    let of = |code: &str| match case {
        LetterCase::Lower => code.to_owned(),
        LetterCase::Upper => code.to_ascii_uppercase(),
    };
    for (code, name) in given {
        let kept = |other: &&&str| !names.contains_key(**other) && of(other) == *name.get_ref();
        if let Some(other) = ErrorCode::NAMES.iter().find(kept) {
            let error = format!("{other} has this name, unlike {}", code.get_ref());
            return Err((name.span().start, error));
        }
    }
    Ok(names)
}

fn base_path(
    path: &Spanned<String>,
    is_taken: &dyn Fn(&str) -> bool,
) -> Result<Cow<'static, str>, SettingError> {
    let text = path.get_ref();
    let is_word = |word: &str| {
        !word.is_empty()
            && !matches!(word, "." | "..")
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let words = text.strip_prefix('/');
    if text.len() > 100 || !words.is_some_and(|words| words.split('/').all(is_word)) {
        let error =
            "expected a path such as \"/v1\": a slash before each word of letters, digits, -, _ and .";
        return Err((path.span().start, error.to_owned()));
    }
    if is_taken(text) {
        return Err((path.span().start, "the server has another page there".to_owned()));
    }
    Ok(Cow::Owned(text.clone()))
}

fn headers(section: &ContractSettings) -> Result<Headers, SettingError> {
    let prefix = section.header_prefix.get_ref();
    let workspace = section.workspace_header.clone().unwrap_or_else(|| in_code(format!("{prefix}Workspace")));
    let settings =
        [&section.header_prefix, &workspace, &section.acting_workspace_header, &section.signature_header];
    let no_name = "expected a name of a header, of letters, digits and -";
    // Each by itself, so that the error is told of the one that has it.
    if let Some(name) = settings.into_iter().find(|name| !Headers::is_name(name.get_ref())) {
        return Err((name.span().start, no_name.to_owned()));
    }
    let offset = settings.into_iter().find(|setting| is_given(setting)).map_or(0, |given| given.span().start);
    let [_, workspace, acting, signature] = settings.map(Spanned::get_ref);
    let headers =
        Headers::new(acting, workspace, prefix, signature).map_err(|_| (offset, no_name.to_owned()))?;
    let all = headers.all();
    let offset_of = |header: &Header| {
        let given = settings.into_iter().skip(1).filter(|one| is_given(one));
        given
            .into_iter()
            .find(|one| one.get_ref() == header.shown.as_ref())
            .map_or(offset, |setting| setting.span().start)
    };
    for (index, header) in all.iter().enumerate() {
        let name = header.name.as_str();
        if TAKEN.contains(&name) || TAKEN_PREFIXES.iter().any(|taken| name.starts_with(taken)) {
            return Err((offset_of(header), format!("{} has another meaning", header.shown)));
        }
        if all[..index].iter().any(|other| other.name == header.name) {
            return Err((offset_of(header), format!("{} is the name of another header too", header.shown)));
        }
    }
    Ok(headers)
}

fn per_page(number: &Spanned<u32>) -> Result<u32, SettingError> {
    match *number.get_ref() {
        size @ 1..=PageRequest::MAX_PER_PAGE => Ok(size),
        _ => {
            let error = format!("expected a whole number from 1 to {}", PageRequest::MAX_PER_PAGE);
            Err((number.span().start, error))
        }
    }
}

fn tokens(section: &ContractSettings) -> Result<TokenFormat, SettingError> {
    let prefix = &section.key_prefix;
    let accepted = section.accepted_key_prefixes.iter();
    // One after the other, so that the error is told of the one that has it.
    let mut format =
        TokenFormat::new(prefix.get_ref(), []).map_err(|error| (prefix.span().start, told(error)))?;
    for number in 1..=section.accepted_key_prefixes.len() {
        let some = accepted.clone().take(number).map(|prefix| prefix.get_ref().as_str());
        let offset = section.accepted_key_prefixes[number - 1].span().start;
        format = TokenFormat::new(prefix.get_ref(), some).map_err(|error| (offset, told(error)))?;
    }
    let clash =
        format.heads().any(|head| head.starts_with(WEBHOOK_SECRET) || WEBHOOK_SECRET.starts_with(head));
    match clash {
        true => Err((prefix.span().start, format!("{WEBHOOK_SECRET} is what webhook secrets begin with"))),
        false => Ok(format),
    }
}

fn told(error: PrefixError) -> String {
    match error {
        PrefixError::NoEnvironment => "expected {environment} in it, for live or test".to_owned(),
        PrefixError::Malformed => {
            "expected at most 24 lower-case letters, digits and underscores, {environment} as live or test"
                .to_owned()
        }
        PrefixError::Ambiguous => "one prefix is the beginning of another".to_owned(),
    }
}

fn url(url: &Spanned<String>) -> Result<String, SettingError> {
    match settings::is_url(url.get_ref()) {
        true => Ok(url.get_ref().clone()),
        false => Err((url.span().start, settings::NO_URL.to_owned())),
    }
}

fn brand(section: &BrandSettings) -> Result<Brand, SettingError> {
    let is_sound = |text: &str, most: usize| {
        (1..=most).contains(&text.chars().count())
            && !text.chars().any(char::is_control)
            && !text.trim().is_empty()
    };
    if !is_sound(section.name.get_ref(), 64) {
        return Err((section.name.span().start, "expected a name of 1 to 64 characters".to_owned()));
    }
    if let Some(support) = &section.support {
        let text = support.get_ref();
        let is_url = text.starts_with("https://") || text.starts_with("http://");
        let is_email =
            text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'));
        if !is_sound(text, 255) || text.contains(' ') || !(is_url || is_email) {
            return Err((support.span().start, "expected a URL, or an address of email".to_owned()));
        }
    }
    Ok(Brand {
        name: section.name.get_ref().clone(),
        logo: section.logo.as_ref().map(url).transpose()?,
        support: section.support.as_ref().map(|support| support.get_ref().clone()),
        docs_url: section.docs_url.as_ref().map(url).transpose()?,
    })
}
