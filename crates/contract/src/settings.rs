//! `[contract]` and `[brand]` of a configuration file: the settings that a contract is made of, and what cannot be.

use std::{borrow::Cow, collections::BTreeMap};

use gatepost_kernel::{ErrorCode, PageRequest};
use gatepost_keys::{PrefixError, ScopeOrder, TokenFormat};
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, de::Error};
use serde_spanned::Spanned;

use crate::{Brand, Contract, EnvelopeStyle, Header, Headers, LetterCase, Paging, Statuses};

/// `[contract]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContractSection {
    /// Where the operations live. Default `"/api/v1"`.
    pub base_path: Option<Spanned<String>>,
    /// What API keys begin with; `{environment}` is `live` or `test`. Default `"sk_{environment}_"`.
    pub key_prefix: Option<Spanned<String>>,
    /// What keys may begin with that were made under another `key_prefix`. Default `[]`.
    pub accepted_key_prefixes: Vec<Spanned<String>>,
    /// What the names of headers begin with that say whose key it is, as forward auth does. Default `"X-Gatepost-"`.
    pub header_prefix: Option<Spanned<String>>,
    /// The header of answers that names the workspace of the key. Default: `Workspace` behind `header_prefix`.
    pub workspace_header: Option<Spanned<String>>,
    /// The header of requests that names the workspace to act on. Default `"X-Workspace-ID"`.
    pub acting_workspace_header: Option<Spanned<String>>,
    /// The header of deliveries that holds `sha256=` and the HMAC of the body. Default `"X-Webhook-Signature"`.
    pub signature_header: Option<Spanned<String>>,
    /// In what answers are wrapped: `"data"`, or `"success"`, which is around all of them. Default `"data"`.
    pub envelope: Option<EnvelopeSetting>,
    /// How the codes of errors are written: `"lower"` or `"upper"`. Default `"lower"`.
    pub error_codes: Option<LetterCaseSetting>,
    /// Codes of errors that are called something else, e.g. `{ validation_failed = "VALIDATION_ERROR" }`. Default `{}`.
    pub error_names: IndexMap<Spanned<String>, Spanned<String>>,
    /// What errors say, by their codes; `{seconds}` is how long to wait. `required` is what is said of a field that is missing, which
    /// is called `{field}`, or `{Field}` with a capital. Default `{}`.
    pub messages: IndexMap<Spanned<String>, Spanned<String>>,
    /// Whether an error about input says what is wrong with the first field, and names it in `details.field`; it takes the envelope
    /// `"success"`. Default `false`.
    pub names_first_field: Option<Spanned<bool>>,
    /// Which statuses there are: `"full"`, or `"plain"`: 400 for 409, 412, 422 and 428, and 200 for 202, 204 and 207. Default `"full"`.
    pub statuses: Option<StatusesSetting>,
    /// How lists are cut into pages: `"pages"`, `"short_pages"` or `"offset"`. Default `"pages"`.
    pub paging: Option<PagingSetting>,
    /// How many items a page has if nothing is asked, 1 to 100. Default `25`.
    pub default_per_page: Option<Spanned<u32>>,
    /// Which part of a scope comes first: `"resource_first"`, as in `leads:read`, or `"action_first"`. Default `"resource_first"`.
    pub scope_order: Option<ScopeOrderSetting>,
}

/// `[brand]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrandSection {
    /// Name of the platform, 1 to 64 characters: for the documentation, the realm of challenges and the `User-Agent` of deliveries.
    /// Default `"Gatepost"`.
    pub name: Option<Spanned<String>>,
    /// URL of the logo, which the documentation shows. Default: none.
    pub logo: Option<Spanned<String>>,
    /// Where people get help: a URL, or an address of email. Default: none.
    pub support: Option<Spanned<String>>,
    /// URL of the documentation for people. Default: none.
    pub docs_url: Option<Spanned<String>>,
}

/// Declares settings that are a word of a closed set, which the set itself reads.
macro_rules! word_settings {
    ($($(#[$about:meta])* $name:ident($words:ty);)*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name($words);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                <$words>::parse(&word).map(Self).ok_or_else(|| {
                    D::Error::custom(format!("expected one of: {}", <$words>::NAMES.join(", ")))
                })
            }
        }
    )*};
}

word_settings! {
    /// In what answers are wrapped.
    EnvelopeSetting(EnvelopeStyle);
    /// How codes of errors are written.
    LetterCaseSetting(LetterCase);
    /// Which statuses there are.
    StatusesSetting(Statuses);
    /// How lists are cut into pages.
    PagingSetting(Paging);
    /// Which part of a scope comes first.
    ScopeOrderSetting(ScopeOrder);
}

/// Headers that a contract cannot call its own: those of connections, those that HTTP or this program gives a meaning, and those of proxies.
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
    /// The first fault.
    pub fn of(
        section: &ContractSection,
        brand: &BrandSection,
        is_taken: impl Fn(&str) -> bool,
    ) -> Result<Self, SettingError> {
        read(section, brand, &is_taken)
    }
}

fn read(
    section: &ContractSection,
    brand: &BrandSection,
    is_taken: &dyn Fn(&str) -> bool,
) -> Result<Contract, SettingError> {
    let core = Contract::core();
    let envelope = section.envelope.map_or(core.envelope, |setting| setting.0);
    if let Some(names) = section.names_first_field.as_ref().filter(|names| *names.get_ref())
        && envelope != EnvelopeStyle::Success
    {
        return Err((names.span().start, "takes envelope = \"success\", which has details".to_owned()));
    }
    let mut messages = IndexMap::new();
    let mut missing_field = None;
    for (code, text) in &section.messages {
        let place = text.span().start;
        if !(1..=MAX_MESSAGE).contains(&text.get_ref().chars().count()) {
            return Err((place, format!("expected a text of 1 to {MAX_MESSAGE} characters")));
        }
        match code.get_ref().as_str() {
            REQUIRED => missing_field = Some(Cow::Owned(text.get_ref().clone())),
            _ => drop(messages.insert(code_of(code, &[REQUIRED])?, Cow::Owned(text.get_ref().clone()))),
        }
    }
    Ok(Contract {
        base_path: match &section.base_path {
            Some(path) => base_path(path, is_taken)?,
            None => core.base_path,
        },
        headers: headers(section)?,
        envelope,
        error_codes: section.error_codes.map_or(core.error_codes, |setting| setting.0),
        error_names: error_names(
            &section.error_names,
            section.error_codes.map_or(core.error_codes, |setting| setting.0),
        )?,
        messages: messages.into_iter().collect(),
        missing_field,
        names_first_field: section.names_first_field.as_ref().is_some_and(|names| *names.get_ref()),
        statuses: section.statuses.map_or(core.statuses, |setting| setting.0),
        paging: section.paging.map_or(core.paging, |setting| setting.0),
        default_per_page: section.default_per_page.as_ref().map_or(Ok(core.default_per_page), per_page)?,
        tokens: tokens(section)?,
        scope_order: section.scope_order.map_or(core.scope_order, |setting| setting.0),
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
            let fault = format!("expected 1 to {MAX_NAME} letters, digits, _, - or .");
            return Err((name.span().start, fault));
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
            let fault = format!("{other} has this name, unlike {}", code.get_ref());
            return Err((name.span().start, fault));
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
        let fault =
            "expected a path such as \"/v1\": a slash before each word of letters, digits, -, _ and .";
        return Err((path.span().start, fault.to_owned()));
    }
    if is_taken(text) {
        return Err((path.span().start, "the server has another page there".to_owned()));
    }
    Ok(Cow::Owned(text.clone()))
}

fn headers(section: &ContractSection) -> Result<Headers, SettingError> {
    let name = |given: &Option<Spanned<String>>, usual: String| {
        given.as_ref().map_or(usual, |given| given.get_ref().clone())
    };
    let core = Headers::core();
    let prefix = name(&section.header_prefix, Headers::PREFIX.to_owned());
    let workspace = name(&section.workspace_header, format!("{prefix}Workspace"));
    let acting = name(&section.acting_workspace_header, core.acting_workspace.shown.into_owned());
    let signature = name(&section.signature_header, core.signature.shown.into_owned());
    for given in [
        &section.header_prefix,
        &section.workspace_header,
        &section.acting_workspace_header,
        &section.signature_header,
    ] {
        // Each by itself, so that the fault is told of the one that has it.
        if let Some(name) = given.as_ref().filter(|name| !Headers::is_name(name.get_ref())) {
            let fault = "expected a name of a header, of letters, digits and -".to_owned();
            return Err((name.span().start, fault));
        }
    }
    let settings = [
        &section.header_prefix,
        &section.workspace_header,
        &section.acting_workspace_header,
        &section.signature_header,
    ];
    let place = settings.into_iter().flatten().map(|setting| setting.span().start).next().unwrap_or_default();
    let headers = Headers::new(&acting, &workspace, &prefix, &signature)
        .map_err(|_| (place, "expected a name of a header, of letters, digits and -".to_owned()))?;
    let all = headers.all();
    let place_of = |header: &Header| {
        let own = settings.into_iter().skip(1).flatten().find(|one| one.get_ref() == header.shown.as_ref());
        own.map_or(place, |setting| setting.span().start)
    };
    for (number, header) in all.iter().enumerate() {
        let name = header.name.as_str();
        if TAKEN.contains(&name) || TAKEN_PREFIXES.iter().any(|taken| name.starts_with(taken)) {
            return Err((place_of(header), format!("{} has another meaning", header.shown)));
        }
        if all[..number].iter().any(|other| other.name == header.name) {
            return Err((place_of(header), format!("{} is the name of another header too", header.shown)));
        }
    }
    Ok(headers)
}

fn per_page(number: &Spanned<u32>) -> Result<u32, SettingError> {
    match *number.get_ref() {
        size @ 1..=PageRequest::MAX_PER_PAGE => Ok(size),
        _ => {
            let fault = format!("expected a whole number from 1 to {}", PageRequest::MAX_PER_PAGE);
            Err((number.span().start, fault))
        }
    }
}

fn tokens(section: &ContractSection) -> Result<TokenFormat, SettingError> {
    let usual = Spanned::new(0..0, TokenFormat::CORE.to_owned());
    let prefix = section.key_prefix.as_ref().unwrap_or(&usual);
    let accepted = section.accepted_key_prefixes.iter();
    // One after the other, so that the fault is told of the one that has it.
    let mut format =
        TokenFormat::new(prefix.get_ref(), []).map_err(|fault| (prefix.span().start, told(fault)))?;
    for number in 1..=section.accepted_key_prefixes.len() {
        let some = accepted.clone().take(number).map(|prefix| prefix.get_ref().as_str());
        let place = section.accepted_key_prefixes[number - 1].span().start;
        format = TokenFormat::new(prefix.get_ref(), some).map_err(|fault| (place, told(fault)))?;
    }
    let clash =
        format.heads().any(|head| head.starts_with(WEBHOOK_SECRET) || WEBHOOK_SECRET.starts_with(head));
    match clash {
        true => Err((prefix.span().start, format!("{WEBHOOK_SECRET} is what webhook secrets begin with"))),
        false => Ok(format),
    }
}

fn told(fault: PrefixError) -> String {
    match fault {
        PrefixError::NoEnvironment => "expected {environment} in it, for live or test".to_owned(),
        PrefixError::Malformed => {
            "expected at most 24 lower-case letters, digits and underscores, {environment} as live or test"
                .to_owned()
        }
        PrefixError::Ambiguous => "one prefix is the beginning of another".to_owned(),
    }
}

fn url(url: &Spanned<String>) -> Result<String, SettingError> {
    let text = url.get_ref();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic())) {
        true => Ok(text.clone()),
        false => Err((url.span().start, "expected a URL that begins with https:// or http://".to_owned())),
    }
}

fn brand(section: &BrandSection) -> Result<Brand, SettingError> {
    let usual = Brand::gatepost();
    let is_sound = |text: &str, most: usize| {
        (1..=most).contains(&text.chars().count())
            && !text.chars().any(char::is_control)
            && !text.trim().is_empty()
    };
    if let Some(name) = section.name.as_ref().filter(|name| !is_sound(name.get_ref(), 64)) {
        return Err((name.span().start, "expected a name of 1 to 64 characters".to_owned()));
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
        name: section.name.as_ref().map_or(usual.name, |name| name.get_ref().clone()),
        logo: section.logo.as_ref().map(url).transpose()?,
        support: section.support.as_ref().map(|support| support.get_ref().clone()),
        docs_url: section.docs_url.as_ref().map(url).transpose()?,
    })
}
