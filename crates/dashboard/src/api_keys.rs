//! API keys: the list, making one, and one key with what can be done to it.

use std::time::Duration;

use askama::Template;
use gatepost_app::{
    App, UnitOfWork,
    keys::{
        api_keys::{self, CreateApiKey, ListApiKeys},
        usage::{self, KeyUsage, day_of},
    },
    lists::ListRequest,
    people::forms::Submission,
};
use gatepost_kernel::{ApiKeyId, Environment, Error, PageRequest, Secret, Timestamp, Window, random, text};
use gatepost_keys::{ApiKey, IpAllowlist, KeyStatus, Scope, ScopeOrder, ScopeSet};
use gatepost_people::{OpaqueToken, Role};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::{
    chart::Chart,
    form::Errors,
    page::{self, Answer, Failure, Frame, shown},
    places::{API_KEYS, API_KEYS_DELETE, API_KEYS_READ, API_KEYS_WRITE},
    visit::Visit,
};

const PER_PAGE: u32 = 20;
/// How many days the page of a key shows.
const CHART_DAYS: u32 = 30;
const DAY: Duration = Duration::from_hours(24);

/// A key as a row of the list.
struct Row {
    id: i64,
    name: String,
    prefix: String,
    scopes: String,
    environment: &'static str,
    status: &'static str,
    last_used: String,
    expires: String,
}

impl Row {
    fn new(key: &ApiKey, order: ScopeOrder, now: Timestamp) -> Self {
        Self {
            id: key.id.0,
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            scopes: key.scopes.texts(order).join(", "),
            environment: key.environment.as_str(),
            status: status_word(key, now),
            last_used: key.last_used_at.map_or_else(|| "never".to_owned(), shown),
            expires: key.ends_at().map_or_else(|| "never".to_owned(), shown),
        }
    }
}

fn status_word(key: &ApiKey, now: Timestamp) -> &'static str {
    match key.status(now) {
        KeyStatus::Active if key.rotated_to_id.is_some() => "replaced, still works",
        KeyStatus::Active => "active",
        KeyStatus::Disabled => "disabled",
        KeyStatus::Expired => "expired",
        KeyStatus::Revoked => "revoked",
    }
}

#[derive(Template)]
#[template(path = "api_keys.html")]
struct ListPage<'v> {
    frame: Frame,
    makes_keys: bool,
    rows: Vec<Row>,
    total: u64,
    search: &'v str,
    status: &'v str,
    environment: &'v str,
    is_filtered: bool,
    page: u64,
    previous: Option<String>,
    next: Option<String>,
}

/// `GET /dashboard/settings/api-keys`
pub async fn list(visit: &mut Visit) -> Answer {
    let caller = visit.caller(&API_KEYS_READ)?;
    let (search, status, environment) =
        (visit.query.get("q").trim(), visit.query.get("status"), visit.query.get("environment"));
    let number = visit.page_number();
    let query = ListApiKeys {
        status: KeyStatus::parse(status),
        environment: Environment::parse(environment),
        ..ListApiKeys::default()
    };
    let window = PageRequest { offset: (number - 1) * u64::from(PER_PAGE), per_page: PER_PAGE };
    let request = ListRequest {
        search: words_of(search),
        order: api_keys::newest_first(),
        ..ListRequest::of(Window::Page(window))
    };
    let (found, _) = api_keys::list(visit.app(), &caller, query, request).await?;
    let (order, now) = (visit.state.contract().scope_order, visit.app().now());
    let total = found.total.unwrap_or_default();
    let to = |page: u64| {
        let encoded = |value| utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
        let (search, status, environment) = (encoded(search), encoded(status), encoded(environment));
        format!("{API_KEYS}?q={search}&status={status}&environment={environment}&page={page}")
    };
    let template = ListPage {
        frame: visit.frame("API Keys").await?,
        makes_keys: visit.caller(&API_KEYS_WRITE).is_ok(),
        rows: found.items.iter().map(|key| Row::new(key, order, now)).collect(),
        total,
        search,
        status,
        environment,
        is_filtered: !(search.is_empty() && status.is_empty() && environment.is_empty()),
        page: number,
        previous: (number > 1).then(|| to(number - 1)),
        next: (number * u64::from(PER_PAGE) < total).then(|| to(number + 1)),
    };
    page::ok(&template)
}

/// The words to search for, if there are any.
fn words_of(search: &str) -> Option<Vec<String>> {
    const MOST_CHARS: usize = 200;
    let start: String = search.chars().take(MOST_CHARS).collect();
    Some(text::words(&start).collect()).filter(|words: &Vec<String>| !words.is_empty())
}

/// `GET /dashboard/settings/api` and like paths that documents name.
pub async fn to_list(_: &mut Visit) -> Answer {
    page::see_other(API_KEYS)
}

/// Scopes that are often given together.
struct Preset {
    value: &'static str,
    label: &'static str,
    about: String,
}

/// A single scope.
struct Single {
    text: String,
    is_checked: bool,
}

#[derive(Template)]
#[template(path = "api_key_new.html")]
struct NewPage<'v> {
    frame: Frame,
    errors: Errors,
    form_id: String,
    name: &'v str,
    environment: &'static str,
    presets: Vec<Preset>,
    preset: &'v str,
    singles: Vec<Single>,
    expiry: &'v str,
    expires_on: &'v str,
    allowed_ips: &'v str,
    own_address: String,
}

/// The scopes of a preset, if the role holds all of them.
fn preset_scopes(value: &str, held: &ScopeSet, app: &App) -> Option<ScopeSet> {
    let bare =
        |texts: &[&str]| ScopeSet::parse(texts).ok().filter(|scopes| held.first_missing(scopes).is_none());
    let of_role = |role: Role| {
        let scopes = app.role_scopes(role);
        held.first_missing(&scopes).is_none().then(|| scopes.as_ref().clone())
    };
    match value {
        "read" => bare(&["read"]).or_else(|| of_role(Role::Viewer)),
        "write" => bare(&["read", "write"]).or_else(|| of_role(Role::Developer)),
        "everything" => bare(&["*"]),
        _ => None,
    }
}

async fn new_page<'v>(visit: &'v Visit, errors: Errors) -> Result<NewPage<'v>, Failure> {
    const PRESETS: [(&str, &str); 3] =
        [("read", "Read only"), ("write", "Read and write"), ("everything", "Everything")];
    let held = visit.scopes().ok_or(Failure::SignIn)?;
    let order = visit.state.contract().scope_order;
    let asked = if visit.form.get("environment").is_empty() { &visit.query } else { &visit.form };
    let environment = Environment::parse(asked.get("environment")).unwrap_or(Environment::Live);
    let presets = PRESETS.iter().filter_map(|(value, label)| {
        let about = preset_scopes(value, &held, visit.app())?.texts(order).join(", ");
        Some(Preset { value, label, about })
    });
    let preset = match (visit.form.get("preset"), environment) {
        ("", _) => "read",
        (given, _) => given,
    };
    let expiry = match (visit.form.get("expiry"), environment) {
        ("", Environment::Test) => "90",
        (given, _) => given,
    };
    let singles = known_scopes(visit.app(), &held).into_iter().map(|scope| {
        let text = order.spell(&scope).into_owned();
        let is_checked = visit.form.all("scope").any(|given| given == text);
        Single { text, is_checked }
    });
    Ok(NewPage {
        form_id: OpaqueToken::generate(&mut random::rng()).expose().to_owned(),
        name: visit.form.get("name"),
        environment: environment.as_str(),
        presets: presets.collect(),
        preset,
        singles: singles.collect(),
        expiry,
        expires_on: visit.form.get("expires_on"),
        allowed_ips: visit.form.get("allowed_ips"),
        own_address: visit.browser.address.map(|address| address.to_string()).unwrap_or_default(),
        frame: visit.frame("Create a key").await?,
        errors,
    })
}

/// The single scopes that somebody holds and can give.
fn known_scopes(app: &App, held: &ScopeSet) -> Vec<Scope> {
    const BEYOND_DEVELOPERS: [&str; 5] =
        ["audit:read", "billing:admin", "team:admin", "workspaces:write", "entitlements:write"];
    let of_developers = app.role_scopes(Role::Developer);
    let beyond = BEYOND_DEVELOPERS.iter().filter_map(|text| text.parse().ok());
    let mut all: Vec<Scope> =
        of_developers.iter().cloned().chain(beyond).filter(|scope| held.allows(scope)).collect();
    all.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    all
}

/// `GET /dashboard/settings/api-keys/new`
pub async fn show_new(visit: &mut Visit) -> Answer {
    page::ok(&new_page(visit, Errors::default()).await?)
}

/// `POST /dashboard/settings/api-keys/new`
pub async fn create(visit: &mut Visit) -> Answer {
    let input = match read_new(visit) {
        Ok(input) => input,
        Err(errors) => return page::refused(&new_page(visit, errors).await?),
    };
    let is_strong = input.scopes.as_ref().is_some_and(|scopes| {
        scopes.iter().any(|scope| scope.as_str() == "*" || scope.as_str().ends_with(":admin"))
    });
    if is_strong {
        visit.require_recent().await?;
    }
    let id = visit.form.id().ok_or(Failure::Unreadable)?;
    let (caller, submission) = (visit.caller(&API_KEYS_WRITE)?, Submission::new(id, visit.form.fields()));
    let made = visit.app().submit(&caller, submission, async move |unit: &mut UnitOfWork<'_>| {
        let new = api_keys::create(unit, input).await?;
        Ok(described(&new.key, &new.secret, ""))
    });
    match made.await {
        Ok(made) => show_made(visit, &made, "Key created").await,
        Err(Error::Unauthorized) => Err(Failure::SignIn),
        Err(error) => page::refused(&new_page(visit, Errors::from_use_case(error)?).await?),
    }
}

/// What is kept of a new key for as long as it is shown.
fn described(key: &ApiKey, secret: &Secret, replaces: &str) -> Secret {
    let expires = key.ends_at().map_or_else(|| "never".to_owned(), shown);
    let made = json!({
        "id": key.id, "name": key.name, "key": secret.expose(), "expires": expires, "replaces": replaces,
    });
    Secret::new(made.to_string())
}

#[derive(Template)]
#[template(path = "api_key_made.html")]
struct MadePage {
    frame: Frame,
    id: i64,
    name: String,
    key: String,
    expires: String,
    /// What becomes of the key before, after a rotation.
    replaces: String,
    example_url: String,
}

async fn show_made(visit: &Visit, made: &Secret, title: &str) -> Answer {
    let made: Value = serde_json::from_str(made.expose()).map_err(Error::failed("reading a new key"))?;
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    let page = MadePage {
        frame: visit.frame(title).await?,
        id: made["id"].as_i64().unwrap_or_default(),
        name: text("name"),
        key: text("key"),
        expires: text("expires"),
        replaces: text("replaces"),
        example_url: format!("{}{}/me", visit.base_url, visit.state.contract().base_path),
    };
    page::ok(&page)
}

fn read_new(visit: &Visit) -> Result<CreateApiKey, Errors> {
    let (form, mut errors) = (&visit.form, Errors::default());
    let name = text::name("name", form.get("name")).map_err(|error| errors.add("name", error)).ok();
    let environment = Environment::parse(form.get("environment"));
    if environment.is_none() {
        errors.add("environment", "Choose live or test.");
    }
    let held = visit.scopes().unwrap_or_default();
    let scopes = match form.get("preset") {
        "single" => {
            let texts: Vec<&str> = form.all("scope").collect();
            match ScopeSet::parse_in(visit.state.contract().scope_order, &texts) {
                Ok(scopes) if !texts.is_empty() => Some(scopes),
                _ => {
                    errors.add("preset", "Choose at least one scope.");
                    None
                }
            }
        }
        preset => {
            let scopes = preset_scopes(preset, &held, visit.app());
            if scopes.is_none() {
                errors.add("preset", "Choose a scope.");
            }
            scopes
        }
    };
    let now = visit.app().now();
    let expires_at = match form.get("expiry") {
        "never" => Some(None),
        "date" => {
            let end = Timestamp::parse(form.get("expires_on")).filter(|end| *end > now);
            if end.is_none() {
                errors.add("expires_on", "Enter a date in the future, such as 2027-01-31.");
            }
            end.map(Some)
        }
        days => match days.parse::<u32>() {
            Ok(days @ (30 | 90 | 365)) => Some(Some(now.plus(DAY * days))),
            _ => {
                errors.add("expiry", "Choose when the key expires, or that it never does.");
                None
            }
        },
    };
    let addresses: Vec<&str> =
        form.get("allowed_ips").split([',', '\n', '\r', ' ']).filter(|part| !part.is_empty()).collect();
    let allowed_ips = IpAllowlist::parse(&addresses);
    if allowed_ips.is_err() {
        errors.add(
            "allowed_ips",
            "Enter addresses or networks, such as 192.0.2.7 or 192.0.2.0/24, one in each line.",
        );
    }
    match (name, environment, scopes, expires_at, allowed_ips) {
        (Some(name), Some(environment), Some(scopes), Some(expires_at), Ok(allowed_ips)) => {
            Ok(CreateApiKey {
                name,
                scopes: Some(scopes),
                environment: Some(environment),
                allowed_ips: Some(allowed_ips),
                expires_at,
                ..CreateApiKey::default()
            })
        }
        _ => Err(errors),
    }
}

#[derive(Template)]
#[template(path = "api_key.html")]
struct KeyPage {
    frame: Frame,
    errors: Errors,
    row: Row,
    created: String,
    allowed_ips: Vec<String>,
    external_id: String,
    replaced: Option<i64>,
    replacement: Option<i64>,
    can_rotate: bool,
    can_revoke: bool,
    used_today: bool,
    chart: Chart,
    form_id: String,
}

async fn key_page(visit: &Visit, errors: Errors) -> Result<KeyPage, Failure> {
    let (id, caller) = (ApiKeyId(visit.id()?), visit.caller(&API_KEYS_READ)?);
    let KeyUsage { key, days, .. } = usage::of_key(visit.app(), &caller, id, CHART_DAYS).await?;
    let now = visit.app().now();
    let is_active = key.status(now) == KeyStatus::Active;
    Ok(KeyPage {
        frame: visit.frame(key.name.clone()).await?,
        errors,
        row: Row::new(&key, visit.state.contract().scope_order, now),
        created: shown(key.created_at),
        allowed_ips: key.allowed_ips.to_texts(),
        external_id: key.external_id.map(|id| id.as_str().to_owned()).unwrap_or_default(),
        replaced: key.rotated_from_id.map(|id| id.0),
        replacement: key.rotated_to_id.map(|id| id.0),
        can_rotate: is_active && key.rotated_to_id.is_none() && visit.caller(&API_KEYS_WRITE).is_ok(),
        can_revoke: visit.caller(&API_KEYS_DELETE).is_ok(),
        chart: Chart::new(&days, day_of(now), CHART_DAYS),
        used_today: key.last_used_at.is_some_and(|used| now.since(used) < DAY),
        form_id: OpaqueToken::generate(&mut random::rng()).expose().to_owned(),
    })
}

/// `GET /dashboard/settings/api-keys/{id}`
pub async fn show(visit: &mut Visit) -> Answer {
    page::ok(&key_page(visit, Errors::default()).await?)
}

/// `POST /dashboard/settings/api-keys/{id}/rotate`
pub async fn rotate(visit: &mut Visit) -> Answer {
    let hours = match visit.form.get("grace") {
        "0" => 0,
        "1" => 1,
        "24" => 24,
        "168" => 168,
        _ => return Err(Failure::Unreadable),
    };
    visit.require_recent().await?;
    let (key_id, form_id) = (ApiKeyId(visit.id()?), visit.form.id().ok_or(Failure::Unreadable)?);
    let (caller, submission) =
        (visit.caller(&API_KEYS_WRITE)?, Submission::new(form_id, visit.form.fields()));
    let made = visit.app().submit(&caller, submission, async move |unit: &mut UnitOfWork<'_>| {
        let rotated = api_keys::rotate(unit, key_id, Duration::from_hours(hours)).await?;
        let until = match hours {
            0 => "The key before works no more.".to_owned(),
            _ => format!("The key before works until {}.", shown(rotated.grace_period_ends_at)),
        };
        Ok(described(&rotated.new.key, &rotated.new.secret, &until))
    });
    match made.await {
        Ok(made) => show_made(visit, &made, "Key rotated").await,
        Err(Error::Unauthorized) => Err(Failure::SignIn),
        Err(error @ Error::NotFound) => Err(error.into()),
        Err(error) => page::refused(&key_page(visit, Errors::from_use_case(error)?).await?),
    }
}

/// `POST /dashboard/settings/api-keys/{id}/revoke`
pub async fn revoke(visit: &mut Visit) -> Answer {
    let (id, caller) = (ApiKeyId(visit.id()?), visit.caller(&API_KEYS_DELETE)?);
    let shown = key_page(visit, Errors::default()).await?;
    if shown.used_today && visit.form.get("name").trim() != shown.row.name {
        let errors = Errors::one("name", "The key was used today. Type its name to revoke it.");
        return page::refused(&KeyPage { errors, ..shown });
    }
    let revoke = async move |unit: &mut UnitOfWork<'_>| api_keys::revoke(unit, id).await;
    match visit.app().transact(&caller, revoke).await {
        Ok(()) => page::see_other(&format!("{API_KEYS}?done=key-revoked")),
        Err(Error::Unauthorized) => Err(Failure::SignIn),
        Err(error @ Error::NotFound) => Err(error.into()),
        Err(error) => page::refused(&key_page(visit, Errors::from_use_case(error)?).await?),
    }
}
