//! The fixed documents: the OpenAPI document, the page that shows it, and the script of the pixel.
//!
//! They need no key, so they cost next to nothing: each is put together and compressed once, when it is first
//! asked for, and sent as the same bytes from then on. How often an address may ask has a limit of its own.

use std::{collections::HashMap, sync::Arc};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::BoxBody,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::{self, Bytes},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use flate2::Compression;
use gatepost_app::resources::Resources;
use gatepost_contract::{ApiError, Brand, Contract};
use gatepost_kernel::Error;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use utoipa_swagger_ui::Config;

use crate::{
    Part, State, client,
    extensions::Limited,
    fallback::no_such_operation,
    openapi::{document, document_3_0},
    paths::{DOCS, OPENAPI, OPENAPI_3_0, PIXEL_SCRIPT},
    sending::{Shared, gzip, tag_as_gzip, takes_gzip},
    workers::off_the_workers,
};

/// The page itself, and its icon.
const DOCS_PAGE: [(&str, &str); 2] =
    [("index.html", include_str!("docs_page/index.html")), ("icon.svg", include_str!("docs_page/icon.svg"))];
/// What that page is made of.
const DOCS_FILES: [&str; 5] = [
    "index.css",
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
];
/// What the page may load. It shares its origin with the dashboard, so no script but its own files runs there; it
/// styles itself as it goes, shows the operator's logo, and tries operations at whatever server the document names.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: http: https:; \
     font-src 'self' data:; connect-src *; base-uri 'none'; form-action 'none'; object-src 'none'; frame-ancestors 'none'";
/// Where people begin who know no more than the server's address.
const ROOT: &str = "/";
/// How long a copy may be used before it is asked about again.
const FRESH: &str = "public, max-age=300";
/// The same for the script, which is part of every page of others.
const FRESH_SCRIPT: &str = "public, max-age=3600";

/// The documents by path.
pub struct Documents(HashMap<String, Arc<Document>>);

struct Document {
    content_type: &'static str,
    cache_control: &'static str,
    /// Whether pages of other origins may load it.
    is_for_any_origin: bool,
    source: Box<dyn Fn() -> Result<Bytes, Error> + Send + Sync>,
    made: OnceCell<Made>,
}

/// What is sent.
struct Made {
    tag: HeaderValue,
    plain: Bytes,
    /// None where it would not be smaller.
    gzipped: Option<Bytes>,
}

impl Documents {
    /// Those of a server that answers the API; the page only `with_page`.
    pub fn new(contract: &Contract, resources: &Resources, with_page: bool) -> Self {
        let json = |document: Value| {
            Document::new("application/json", FRESH, move || {
                serde_json::to_vec(&document)
                    .map(Bytes::from)
                    .map_err(Error::failed("rendering the document"))
            })
        };
        // The script asks the server that it came from.
        let base = format!("{}/pixel/", contract.base_path.trim_start_matches('/'));
        let script = gatepost_pixel::SCRIPT.replacen("api/v1/pixel/", &base, 1);
        let script = Document::new("text/javascript; charset=utf-8", FRESH_SCRIPT, move || {
            Ok(Bytes::from(script.clone()))
        });
        let mut documents = HashMap::from([
            (OPENAPI.to_owned(), json(document(contract, resources))),
            (OPENAPI_3_0.to_owned(), json(document_3_0(contract, resources))),
            (PIXEL_SCRIPT.to_owned(), Document { is_for_any_origin: true, ..script }),
        ]);
        if with_page {
            documents.extend(DOCS_PAGE.map(|(name, text)| {
                let text = of_brand(text, &contract.brand);
                let source = move || Ok(Bytes::from(text.clone()));
                (format!("{DOCS}{name}"), Document::new(content_type(name), FRESH, source))
            }));
            let shown = Arc::new(Config::from(OPENAPI));
            documents.extend(DOCS_FILES.map(|name| {
                let shown = shown.clone();
                let source = move || match utoipa_swagger_ui::serve(name, shown.clone()) {
                    Ok(Some(file)) => Ok(Bytes::from(file.bytes.into_owned())),
                    Ok(None) => Err(Error::internal(format!("{name} is not part of the page"))),
                    Err(error) => Err(Error::failed(format!("rendering {name}"))(error.to_string())),
                };
                (format!("{DOCS}{name}"), Document::new(content_type(name), FRESH, source))
            }));
        }
        let documents = documents.into_iter().map(|(path, document)| (path, Arc::new(document)));
        let mut documents: HashMap<_, _> = documents.collect();
        if let Some(index) = documents.get(&format!("{DOCS}{}", DOCS_PAGE[0].0)).cloned() {
            documents.insert(DOCS.to_owned(), index);
        }
        Self(documents)
    }

    /// Registers those that belong to a part of what is served.
    pub fn configure(&self, config: &mut web::ServiceConfig, part: Part) {
        for path in self.0.keys().filter(|path| is_in(path, part)) {
            let resource = web::resource(path.as_str()).get(send).route(web::head().to(send));
            config.service(resource.default_service(web::to(no_such_operation)));
        }
        if part.documents && self.0.contains_key(DOCS) {
            config.service(web::resource("/docs").get(async || web::Redirect::to(DOCS).permanent()));
            let begin = web::resource(ROOT).get(async || web::Redirect::to(DOCS));
            let begin = begin.route(web::head().to(async || web::Redirect::to(DOCS)));
            config.service(begin.default_service(web::to(no_such_operation)));
        }
    }

    /// The paths of those, which all take GET and HEAD.
    pub fn paths(&self, part: Part) -> impl Iterator<Item = &str> {
        let root = (part.documents && self.0.contains_key(DOCS)).then_some(ROOT);
        self.0.keys().map(String::as_str).filter(move |path| is_in(path, part)).chain(root)
    }
}

/// The script is for the pages of others, so it is where the API is.
fn is_in(path: &str, part: Part) -> bool {
    if path == PIXEL_SCRIPT { part.api } else { part.documents }
}

/// The page with the name and the icon of the platform.
fn of_brand(page: &str, brand: &Brand) -> String {
    let escaped = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let icon = brand.logo.as_deref().unwrap_or("./icon.svg");
    page.replace("{brand}", &escaped(&brand.name)).replace("{icon}", &escaped(icon))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

impl Document {
    fn new(
        content_type: &'static str,
        cache_control: &'static str,
        source: impl Fn() -> Result<Bytes, Error> + Send + Sync + 'static,
    ) -> Self {
        let source = Box::new(source);
        Self { content_type, cache_control, is_for_any_origin: false, source, made: OnceCell::new() }
    }

    fn make(&self) -> Result<Made, Error> {
        let plain = (self.source)()?;
        let gzipped = gzip(&plain, Compression::best()).ok().filter(|gzipped| gzipped.len() < plain.len());
        let digest = Sha256::digest(&plain);
        let tag = HeaderValue::from_str(&format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&digest[..16])))
            .map_err(Error::failed("an entity tag"))?;
        Ok(Made { tag, plain, gzipped })
    }
}

/// Sends the document of the request's path.
async fn send(req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let Some(state) = req.app_data::<State>() else { return Err(Error::NotFound.into()) };
    let verdict = state.app().gate().admit_reader(client::address(&req, state));
    req.extensions_mut().insert(Limited(verdict));
    if let Some(refusal) = verdict.error(state.app().now()) {
        return Err(refusal.into());
    }
    let path = req.match_pattern();
    let document = path.and_then(|path| state.documents().0.get(&path)).ok_or(Error::NotFound)?.clone();
    let made = document.made.get_or_try_init(|| async {
        let document = document.clone();
        off_the_workers("making a document", move || document.make()).await?
    });
    let made = made.await?;
    let takes_gzip = takes_gzip(req.headers());
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, document.content_type))
        .insert_header((header::CACHE_CONTROL, document.cache_control))
        .insert_header((header::VARY, "accept-encoding"))
        .insert_header((header::ETAG, made.tag.clone()));
    if document.is_for_any_origin {
        response.insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"));
    }
    if req.path().starts_with(DOCS) {
        response.insert_header((header::CONTENT_SECURITY_POLICY, DOCS_POLICY));
    }
    let mut response = response.finish();
    response.extensions_mut().insert(Shared);
    let body = match &made.gzipped {
        Some(gzipped) if takes_gzip => {
            tag_as_gzip(response.headers_mut());
            gzipped
        }
        _ => &made.plain,
    };
    if is_known(&req, response.headers().get(header::ETAG)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    Ok(response.set_body(BoxBody::new(body.clone())))
}

/// Whether the client has these bytes already (RFC 9110, 13.1.2).
fn is_known(req: &HttpRequest, tag: Option<&HeaderValue>) -> bool {
    let Some(tag) = tag.and_then(|tag| tag.to_str().ok()) else { return false };
    let lines = req.headers().get_all(header::IF_NONE_MATCH).filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}
