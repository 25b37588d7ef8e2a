//! The same suite in another contract: what a test asks and reads in the core contract's words goes out, and
//! comes back, in those of the contract that the server has.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use gatepost_api::Contract;
use gatepost_app::resources::Resources;
use gatepost_contract::{
    Brand, BrandSettings, ContractSettings, EnvelopeStyle, Headers, LetterCase, Paging, Statuses,
};
use gatepost_kernel::text::required;
use gatepost_keys::{Scope, ScopeOrder, ScopeRef, TokenFormat};
use reqwest::{Method, Request, StatusCode, Url, header::HeaderMap};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A contract in which everything is something else than in the core's.
///
/// # Panics
/// If it is none.
pub fn mirror() -> Contract {
    Contract {
        base_path: "/mirror/v9".into(),
        headers: Headers::new("X-Mirror-Acting", "X-Mirror-Tenant", "X-Mirror-", "X-Mirror-Signature")
            .expect("names of headers"),
        envelope: EnvelopeStyle::Success,
        error_codes: LetterCase::Upper,
        error_names: BTreeMap::from([
            ("validation_failed", "BAD_INPUT".into()),
            ("not_found", "NOTHING_THERE".into()),
        ]),
        messages: BTreeMap::from([
            ("rate_limit_exceeded", "Slow down for {seconds} seconds.".into()),
            ("not_found", "Nothing is there.".into()),
        ]),
        statuses: Statuses::Plain,
        paging: Paging::Offset,
        default_per_page: 7,
        tokens: TokenFormat::new("mir_{environment}_key_", []).expect("a prefix"),
        scope_order: ScopeOrder::ActionFirst,
        missing_field: Some("{Field} has to be there ({field}).".into()),
        names_first_field: false,
        brand: Brand {
            name: "Mirror".to_owned(),
            logo: Some("https://mirror.example.com/logo.png".to_owned()),
            support: Some("help@mirror.example.com".to_owned()),
            docs_url: Some("https://mirror.example.com/guides".to_owned()),
        },
    }
}

/// The contract of a preset, by the name of its file.
///
/// # Panics
/// If there is none, or it is not sound.
pub fn preset(name: &str) -> Contract {
    #[derive(Deserialize)]
    struct File {
        contract: ContractSettings,
        #[serde(default)]
        brand: BrandSettings,
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../presets/{name}.toml"));
    let text = fs::read_to_string(file).expect("a preset");
    let File { contract, brand } = toml::from_str(&text).expect("TOML");
    Contract::of(&contract, &brand, gatepost_api::is_fixed_path).expect("a contract")
}

/// How a test speaks with a server of some contract.
#[derive(Debug)]
pub struct Face {
    contract: Contract,
    /// None for the core's own, which needs no translation.
    operations: Option<HashMap<(String, Vec<String>), Known>>,
}

/// What the core contract's document says of an operation.
#[derive(Debug, Clone)]
struct Known {
    status: u16,
    is_bare: bool,
    is_list: bool,
}

const CORE_BASE: &str = "/api/v1";
const CORE_PER_PAGE: u64 = 25;

impl Face {
    /// That of a contract.
    pub fn new(contract: Contract) -> Self {
        let core = Contract::core();
        let operations = (contract.base_path != core.base_path)
            .then(|| known(&gatepost_api::document(&core, &Resources::default())));
        Self { contract, operations }
    }

    /// The contract.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Whether it is another than the core's.
    pub fn is_another(&self) -> bool {
        self.operations.is_some()
    }

    fn known(&self, method: &Method, path: &str) -> Option<&Known> {
        let asked: Vec<&str> = path.split('/').collect();
        self.operations.as_ref()?.iter().find_map(|((of, segments), known)| {
            let fits = of == &method.as_str().to_lowercase()
                && segments.len() == asked.len()
                && segments.iter().zip(&asked).all(|(s, a)| s == a || s.starts_with('{'));
            // What is named exactly comes before what any id fits.
            let exact = || segments.iter().zip(&asked).all(|(s, a)| s == a);
            fits.then_some(known).filter(|_| exact() || !self.is_exact(method, &asked))
        })
    }

    fn is_exact(&self, method: &Method, asked: &[&str]) -> bool {
        let key = (method.as_str().to_lowercase(), asked.iter().map(|s| (*s).to_owned()).collect());
        self.operations.as_ref().is_some_and(|operations| operations.contains_key(&key))
    }

    /// Says in the contract's words what a test asks in the core's.
    pub fn ask(&self, request: &mut Request) {
        if !self.is_another() {
            return;
        }
        let core = Headers::core();
        for (of_core, own) in self.renamed(&core) {
            let given: Vec<_> = request.headers().get_all(&of_core).iter().cloned().collect();
            request.headers_mut().remove(&of_core);
            for value in given {
                request.headers_mut().append(own.clone(), value);
            }
        }
        if let Some(body) = request.body().and_then(|body| body.as_bytes()).filter(|body| holds_scopes(body))
            && let Ok(mut json) = serde_json::from_slice::<Value>(body)
        {
            respell_scopes(&mut json, &|scope| self.own_scope(scope));
            *request.body_mut() = Some(json.to_string().into());
        }
        let path = request.url().path().to_owned();
        let Some(below) = path.strip_prefix(CORE_BASE) else { return };
        let is_list = self.known(request.method(), &path).is_some_and(|known| known.is_list);
        let own = format!("{}{below}", self.contract.base_path);
        let query = request.url().query().map(str::to_owned);
        request.url_mut().set_path(&own);
        if is_list {
            let query = query.as_deref().unwrap_or_default();
            let asked = match self.contract.paging {
                Paging::Offset => asked_by_offset(query),
                Paging::Pages | Paging::ShortPages => asked_by_page(query),
            };
            request.url_mut().set_query(Some(&asked));
        }
    }

    /// A scope of the core's as the contract writes it; what is none stays as it is.
    fn own_scope(&self, core: &str) -> String {
        let scope = ScopeRef::parse(core);
        scope.map_or_else(|_| core.to_owned(), |scope| self.contract.scope_order.spell(scope).into_owned())
    }

    /// A scope of the contract's as the core writes it; a sentence about scopes stays as it is.
    fn core_scope(&self, own: &str) -> String {
        if own.contains(' ') {
            return own.to_owned();
        }
        let scope = ScopeRef::parse_in(self.contract.scope_order, own);
        Scope::from(scope.expect("a scope as the contract writes it")).to_string()
    }

    fn renamed(&self, core: &Headers) -> Vec<(String, reqwest::header::HeaderName)> {
        let own = &self.contract.headers;
        let pairs = [
            (&core.acting_workspace, &own.acting_workspace),
            (&core.workspace, &own.workspace),
            (&core.environment, &own.environment),
            (&core.key_id, &own.key_id),
            (&core.scopes, &own.scopes),
            (&core.error, &own.error),
            (&core.message, &own.message),
        ];
        let name = |name: &str| reqwest::header::HeaderName::from_bytes(name.as_bytes()).expect("a name");
        pairs.map(|(core, own)| (core.name.as_str().to_owned(), name(own.name.as_str()))).into()
    }

    /// Says in the core's words what the server answers.
    pub fn read(
        &self,
        asked: (&Method, &Url),
        status: StatusCode,
        headers: &mut HeaderMap,
        mut json: Value,
    ) -> (StatusCode, Value) {
        if !self.is_another() {
            return (status, json);
        }
        respell_scopes(&mut json, &|scope| self.core_scope(scope));
        for (of_core, own) in self.renamed(&Headers::core()) {
            if let Some(value) = headers.remove(&own) {
                headers.insert(
                    reqwest::header::HeaderName::from_bytes(of_core.as_bytes()).expect("a name"),
                    value,
                );
            }
        }
        let path = asked.1.path().replacen(self.contract.base_path.as_ref(), CORE_BASE, 1);
        let known = self.known(asked.0, &path);
        let wraps = self.contract.envelope == EnvelopeStyle::Success;
        let (status, json) = match json["success"].as_bool().filter(|_| wraps) {
            Some(true) => self.success(known, headers, status, json),
            Some(false) => self.failure(status, json),
            None if json["code"].is_string() => self.problem(status, json),
            // The envelope is the core's own, and so are statuses.
            None => {
                self.move_links(headers, &mut json);
                (status.as_u16(), json)
            }
        };
        (StatusCode::from_u16(status).expect("a status"), json)
    }

    fn success(
        &self,
        known: Option<&Known>,
        headers: &mut HeaderMap,
        status: StatusCode,
        mut json: Value,
    ) -> (u16, Value) {
        assert!(json.get("message").is_none(), "there are no sentences here");
        let status =
            if status == StatusCode::OK { known.map_or(200, |known| known.status) } else { status.as_u16() };
        if status == 204 {
            assert_eq!(json["data"]["deleted"], true);
            return (204, Value::Null);
        }
        let data = json["data"].take();
        if known.is_some_and(|known| known.is_bare) {
            return (status, data);
        }
        let mut read = Map::from_iter([("data".to_owned(), data)]);
        if let Some(place) = json.get("pagination").or_else(|| json.get("meta")) {
            let shown = read["data"].as_array().map_or(0, Vec::len) as u64;
            read.insert("meta".to_owned(), meta(place, shown));
            let links = headers.get("link").and_then(|links| links.to_str().ok()).unwrap_or_default();
            let links = self.links(links);
            let link = |rel: &&str| Some(format!("<{}>; rel=\"{rel}\"", links[*rel].as_str()?));
            let link =
                ["first", "last", "prev", "next"].iter().filter_map(link).collect::<Vec<_>>().join(", ");
            headers.insert("link", link.parse().expect("a header"));
            read.insert("links".to_owned(), links);
        }
        (status, Value::Object(read))
    }

    /// Puts addresses of pages below the core's path.
    fn move_links(&self, headers: &mut HeaderMap, json: &mut Value) {
        let (own, core) = (format!("{}/", self.contract.base_path), format!("{CORE_BASE}/"));
        let links = json.get_mut("links").and_then(Value::as_object_mut);
        for link in links.into_iter().flat_map(|links| links.values_mut()) {
            if let Some(url) = link.as_str() {
                *link = json!(url.replacen(&own, &core, 1));
            }
        }
        if let Some(link) = headers.get("link").and_then(|link| link.to_str().ok()) {
            let moved = link.replace(&own, &core).parse().expect("a header");
            headers.insert("link", moved);
        }
    }

    fn links(&self, header: &str) -> Value {
        let mut links = json!({ "first": null, "last": null, "prev": null, "next": null });
        for link in header.split(", ") {
            let Some((url, rel)) = link.split_once("; rel=") else { continue };
            let mut url = Url::parse(url.trim_matches(['<', '>'])).expect("a URL");
            let path = url.path().replacen(self.contract.base_path.as_ref(), CORE_BASE, 1);
            url.set_path(&path);
            if self.contract.paging != Paging::Offset {
                links[rel.trim_matches('"')] = json!(url.as_str());
                continue;
            }
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            let limit =
                pairs.iter().find(|(name, _)| name == "limit").and_then(|(_, n)| n.parse::<u64>().ok());
            let limit = limit.unwrap_or(CORE_PER_PAGE);
            url.query_pairs_mut().clear().extend_pairs(pairs.iter().map(
                |(name, value)| match name.as_str() {
                    "limit" => ("per_page".to_owned(), value.clone()),
                    "offset" => {
                        ("page".to_owned(), (value.parse::<u64>().expect("a number") / limit + 1).to_string())
                    }
                    _ => (name.clone(), value.clone()),
                },
            ));
            links[rel.trim_matches('"')] = json!(url.as_str());
        }
        links
    }

    fn failure(&self, status: StatusCode, mut json: Value) -> (u16, Value) {
        let mut read = match json["error"]["details"].take() {
            Value::Object(details) => details,
            _ => Map::new(),
        };
        let code = self.core_code(json["error"]["code"].as_str().unwrap_or_default());
        let read_field = read.shift_remove("field").unwrap_or(Value::Null);
        if let Some(errors) = read.get_mut("errors").and_then(Value::as_object_mut) {
            if self.contract.names_first_field {
                let first = errors.iter().next().map(|(field, messages)| (json!(field), messages[0].clone()));
                let first = first.expect("an error");
                assert_eq!((&read_field, &json["error"]["message"]), (&first.0, &first.1));
                json["error"]["message"] = json!("The given data was invalid.");
            }
            let acting = self.contract.headers.acting_workspace.shown.as_ref();
            let core = Headers::core().acting_workspace.shown;
            for (own, core) in [("offset", "page"), ("limit", "per_page"), (acting, core.as_ref())] {
                if let Some(messages) = errors.shift_remove(own) {
                    errors.insert(core.to_owned(), messages);
                }
            }
            self.in_core_faults(errors);
        }
        read.insert("message".to_owned(), self.core_message(&code, &json["error"]["message"], &read));
        read.insert("error".to_owned(), json!(code));
        (self.core_status(&code, status), Value::Object(read))
    }

    fn problem(&self, status: StatusCode, mut json: Value) -> (u16, Value) {
        let code = self.core_code(json["code"].as_str().unwrap_or_default());
        let core = self.core_status(&code, status);
        json["code"] = json!(code);
        if let Some(errors) = json.get_mut("errors").and_then(Value::as_object_mut) {
            self.in_core_faults(errors);
            if self.contract.names_first_field {
                json["detail"] = json!("The given data was invalid.");
            }
        }
        json["status"] = json!(core);
        let title = StatusCode::from_u16(core).ok().and_then(|status| status.canonical_reason());
        json["title"] = json!(title);
        (core, json)
    }

    fn core_code(&self, own: &str) -> String {
        if self.contract.error_codes == LetterCase::Upper {
            assert_eq!(own, own.to_uppercase(), "a code of the core contract");
        }
        let named = self.contract.error_names.iter().find(|(_, name)| name.as_ref() == own);
        named.map_or_else(|| own.to_lowercase(), |(core, _)| (*core).to_owned())
    }

    fn core_message(&self, code: &str, own: &Value, details: &Map<String, Value>) -> Value {
        match code {
            "not_found" if self.contract.messages.contains_key(code) => {
                assert_eq!(own, self.contract.messages[code].as_ref());
                json!("Resource not found.")
            }
            "rate_limit_exceeded" if self.contract.messages.contains_key(code) => {
                let seconds = details["retry_after"].to_string();
                assert_eq!(own, &json!(self.contract.messages[code].replace("{seconds}", &seconds)));
                json!(format!("Too many requests. Please retry after {seconds} seconds."))
            }
            _ => match own.as_str().unwrap_or_default().split_once(": ") {
                Some((required @ "Insufficient permissions. Required scope", scope)) => {
                    json!(format!("{required}: {}", self.core_scope(scope)))
                }
                _ => json!(self.in_core_words(own.as_str().unwrap_or_default())),
            },
        }
    }

    /// A sentence with the core's names of parameters and headers.
    fn in_core_words(&self, text: &str) -> String {
        let acting = self.contract.headers.acting_workspace.shown.as_ref();
        let text = text
            .replace(acting, Headers::core().acting_workspace.shown.as_ref())
            .replace("action:resource, *:resource, action:*", "resource:action, resource:*, *:action");
        if self.contract.paging != Paging::Offset {
            return text;
        }
        text.replace("The offset must be an integer between 0", "The page must be an integer between 1")
            .replace("The limit ", "The per_page ")
            .replace("offset, limit", "page, per_page")
    }

    fn in_core_faults(&self, errors: &mut Map<String, Value>) {
        for message in errors.values_mut().filter_map(Value::as_array_mut).flatten() {
            let text = message.as_str().unwrap_or_default();
            *message = json!(self.core_error(text).unwrap_or_else(|| self.in_core_words(text)));
        }
    }

    /// What the core says of a field that is missing, if this is what is said of it here.
    fn core_error(&self, text: &str) -> Option<String> {
        let template = self.contract.missing_field.as_ref()?;
        let (before, rest) = template.split_once(['{'])?;
        let (placeholder, rest) = rest.split_once('}')?;
        let after = rest.split('{').next().unwrap_or_default();
        let label = text.strip_prefix(before)?;
        let label = if after.is_empty() { label } else { label.split_once(after)?.0 };
        let mut letters = label.chars();
        let first = letters.next()?;
        let first = if placeholder == "Field" { first.to_lowercase().to_string() } else { first.to_string() };
        Some(required(&format!("{first}{}", letters.as_str())))
    }

    /// The status that an error has where there are all.
    fn core_status(&self, code: &str, status: StatusCode) -> u16 {
        if self.contract.statuses == Statuses::Full {
            return status.as_u16();
        }
        match (status.as_u16(), code) {
            (400, "conflict" | "idempotency_in_progress") => 409,
            (400, "precondition_failed") => 412,
            (400, "validation_failed" | "idempotency_key_reused") => 422,
            (status, _) => {
                assert!(!matches!(status, 409 | 412 | 422), "there is no such status here");
                status
            }
        }
    }
}

fn holds_scopes(body: &[u8]) -> bool {
    body.windows(8).any(|window| window == b"\"scopes\"")
}

/// Writes the texts of all members that are called `scopes` in another way.
fn respell_scopes(json: &mut Value, respelled: &dyn Fn(&str) -> String) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(|item| respell_scopes(item, respelled)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::Array(scopes) if name == "scopes" => {
                        for scope in scopes {
                            if let Some(text) = scope.as_str() {
                                *scope = json!(respelled(text));
                            }
                        }
                    }
                    value => respell_scopes(value, respelled),
                }
            }
        }
        _ => {}
    }
}

/// The query of a list with the size of the core's pages, if it says nothing else.
fn asked_by_page(query: &str) -> String {
    let says_size = query.split('&').any(|pair| pair.split('=').next() == Some("per_page"));
    let size = (!says_size).then(|| format!("per_page={CORE_PER_PAGE}"));
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(str::to_owned)
        .chain(size)
        .collect::<Vec<_>>()
        .join("&")
}

/// The query of a list in the other words.
fn asked_by_offset(query: &str) -> String {
    let pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|p| p.split_once('=').unwrap_or((p, "")))
        .collect();
    let limit = pairs.iter().find(|(name, _)| *name == "per_page").map_or("25", |(_, value)| *value);
    let mut asked: Vec<String> = Vec::new();
    for (name, value) in &pairs {
        asked.push(match *name {
            "page" => {
                let number = value.parse::<i128>().ok().zip(limit.parse::<i128>().ok());
                let offset = number.map_or((*value).to_owned(), |(page, limit)| {
                    {
                        // Every page that can be asked for has an offset that can.
                        let most = if page <= i32::MAX.into() { i128::from(i32::MAX) } else { i128::MAX };
                        ((page - 1) * limit).min(most).to_string()
                    }
                });
                format!("offset={offset}")
            }
            "per_page" => format!("limit={value}"),
            _ if value.is_empty() => (*name).to_owned(),
            _ => format!("{name}={value}"),
        });
    }
    if !pairs.iter().any(|(name, _)| *name == "per_page") {
        asked.push(format!("limit={CORE_PER_PAGE}"));
    }
    asked.join("&")
}

/// The core's words for a place in a list, of which so many items are shown.
fn meta(place: &Value, shown: u64) -> Value {
    let limit = place["limit"].as_u64().or_else(|| place["per_page"].as_u64()).expect("a limit");
    let of_page = || place["page"].as_u64().map(|page| (page - 1) * limit);
    let (offset, total) = (place["offset"].as_u64().or_else(of_page), &place["total"]);
    let mut meta = json!({
        "current_page": offset.map(|offset| offset / limit + 1),
        "from": offset.filter(|_| shown > 0).map(|offset| offset + 1),
        "last_page": total.as_u64().map(|total| total.div_ceil(limit).max(1)),
        "per_page": limit,
        "to": offset.filter(|_| shown > 0).map(|offset| offset + shown),
        "total": total,
    });
    if let Some(cursor) = place.get("next_cursor") {
        meta["next_cursor"] = cursor.clone();
    }
    meta
}

fn known(document: &Value) -> HashMap<(String, Vec<String>), Known> {
    let mut known = HashMap::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
        for (method, operation) in item.as_object().into_iter().flatten() {
            let responses = operation["responses"].as_object().into_iter().flatten();
            let Some((status, answer)) = responses.into_iter().find(|(status, _)| status.starts_with('2'))
            else {
                continue;
            };
            let schema = answer.pointer("/content/application~1json/schema/$ref").and_then(Value::as_str);
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let is_list = parameters.into_iter().any(|parameter| parameter["name"] == "per_page");
            let is_bare = schema.is_some_and(|name| name.ends_with("View"));
            let status = status.parse().expect("a status");
            known.insert((method.clone(), segments.clone()), Known { status, is_bare, is_list });
        }
    }
    known
}
