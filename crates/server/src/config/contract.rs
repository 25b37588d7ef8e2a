//! `[contract]` and `[brand]`: the face that the platform wears.

use std::{borrow::Cow, collections::BTreeMap};

use gatepost_api::{Contract, is_fixed_path};
use gatepost_contract::{Brand, EnvelopeStyle, Header, Headers};
use gatepost_kernel::{ErrorCode, PageRequest};
use gatepost_keys::{PrefixFault, TokenFormat};
use indexmap::IndexMap;
use toml::Spanned;

use super::{
    file::{BrandSection, ContractSection},
    sources::Sources,
};
use crate::Failure;

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

type Fault = (usize, String);

/// The contract that a file describes.
///
/// # Errors
/// The first fault, with its line and what is accepted there.
pub fn contract(
    section: &ContractSection,
    brand: &BrandSection,
    sources: &Sources,
) -> Result<Contract, Failure> {
    read(section, brand).map_err(|(place, fault)| format!("{}: {fault}", sources.at(place)).into())
}

fn read(section: &ContractSection, brand: &BrandSection) -> Result<Contract, Fault> {
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
        base_path: section.base_path.as_ref().map_or(Ok(core.base_path), base_path)?,
        headers: headers(section)?,
        envelope,
        error_codes: section.error_codes.map_or(core.error_codes, |setting| setting.0),
        error_names: error_names(&section.error_names)?,
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
fn code_of(code: &Spanned<String>, others: &[&str]) -> Result<&'static str, Fault> {
    ErrorCode::parse(code.get_ref()).map(ErrorCode::as_str).ok_or_else(|| {
        let known = [ErrorCode::NAMES.as_slice(), others].concat().join(", ");
        (code.span().start, format!("unknown error; known are: {known}"))
    })
}

fn error_names(
    given: &IndexMap<Spanned<String>, Spanned<String>>,
) -> Result<BTreeMap<&'static str, Cow<'static, str>>, Fault> {
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
    Ok(names)
}

fn base_path(path: &Spanned<String>) -> Result<Cow<'static, str>, Fault> {
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
    if is_fixed_path(text) {
        return Err((path.span().start, "the server has another page there".to_owned()));
    }
    Ok(Cow::Owned(text.clone()))
}

fn headers(section: &ContractSection) -> Result<Headers, Fault> {
    let name = |given: &Option<Spanned<String>>, usual: String| {
        given.as_ref().map_or(usual, |given| given.get_ref().clone())
    };
    let core = Headers::core();
    let prefix = name(&section.header_prefix, Headers::PREFIX.to_owned());
    let workspace = name(&section.workspace_header, format!("{prefix}Workspace"));
    let acting = name(&section.acting_workspace_header, core.acting_workspace.shown.into_owned());
    let signature = name(&section.signature_header, core.signature.shown.into_owned());
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

fn per_page(number: &Spanned<u32>) -> Result<u32, Fault> {
    match *number.get_ref() {
        size @ 1..=PageRequest::MAX_PER_PAGE => Ok(size),
        _ => {
            let fault = format!("expected a whole number from 1 to {}", PageRequest::MAX_PER_PAGE);
            Err((number.span().start, fault))
        }
    }
}

fn tokens(section: &ContractSection) -> Result<TokenFormat, Fault> {
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

fn told(fault: PrefixFault) -> String {
    match fault {
        PrefixFault::NoEnvironment => "expected {environment} in it, for live or test".to_owned(),
        PrefixFault::Malformed => {
            "expected at most 24 lower-case letters, digits and underscores, {environment} as live or test"
                .to_owned()
        }
        PrefixFault::Ambiguous => "one prefix is the beginning of another".to_owned(),
    }
}

fn brand(section: &BrandSection) -> Result<Brand, Fault> {
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
        logo: section.logo.as_ref().map(|url| url.0.clone()),
        support: section.support.as_ref().map(|support| support.get_ref().clone()),
        docs_url: section.docs_url.as_ref().map(|url| url.0.clone()),
    })
}

/// What clients would have to know of another contract: what, how it is, and how it would be.
pub fn differences(now: &Contract, then: &Contract) -> Vec<(String, String, String)> {
    let list = |contract: &Contract| {
        let Headers { acting_workspace, workspace, environment, key_id, scopes, error, message, signature } =
            &contract.headers;
        let headers = [
            ("that names the workspace to act on", acting_workspace),
            ("of the key's workspace", workspace),
            ("of the key's environment", environment),
            ("of the key's id", key_id),
            ("of the key's scopes", scopes),
            ("of a refusal's code", error),
            ("of a refusal's message", message),
            ("of a delivery's signature", signature),
        ];
        let headers = headers.map(|(which, header)| (format!("header {which}"), header.shown.to_string()));
        let errors =
            ErrorCode::NAMES.map(|code| (format!("error {code}"), contract.code_of(code).into_owned()));
        let others = [
            ("base path", contract.base_path.to_string()),
            ("beginnings of keys", contract.tokens.heads().collect::<Vec<_>>().join(", ")),
            ("envelope", contract.envelope.as_str().to_owned()),
            ("statuses", contract.statuses.as_str().to_owned()),
            ("paging", contract.paging.as_str().to_owned()),
            ("items per page", contract.default_per_page.to_string()),
            ("order of scopes", contract.scope_order.as_str().to_owned()),
        ];
        let others = others.map(|(what, how)| (what.to_owned(), how));
        others.into_iter().chain(headers).chain(errors).collect::<Vec<_>>()
    };
    let pairs = list(now).into_iter().zip(list(then));
    pairs.filter(|(a, b)| a.1 != b.1).map(|((what, now), (_, then))| (what, now, then)).collect()
}
