//! What all pages have in common: the frame around them, the headers of their answers, and what is shown where
//! there is no page.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use askama::Template;
use gatepost_api::Rendered;
use gatepost_kernel::{Error, Timestamp};

use crate::{assets, guard::Refusal};

pub use gatepost_app::people::links::DASHBOARD;

/// What pages may load, and who may frame them: nothing but the dashboard's own files, and nobody.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";

/// The frame around a page.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Name of the platform.
    pub brand: String,
    /// What the page is.
    pub title: String,
    /// Who has signed in; none on pages for everybody.
    pub who: Option<Who>,
    /// What was done by the form before, in a sentence.
    pub done: &'static str,
    /// Whether to remind the member of a second factor.
    pub reminds_of_second_factor: bool,
    /// Path of the style.
    pub style: &'static str,
    /// Path of the script.
    pub script: &'static str,
    /// Path of the icon.
    pub icon: &'static str,
}

/// Who has signed in, and where they can go.
#[derive(Debug, Clone)]
pub struct Who {
    /// Name of the member.
    pub name: String,
    /// Name of the workspace that is shown.
    pub workspace: String,
    /// Role there.
    pub role: &'static str,
    /// The other workspaces of the member.
    pub others: Vec<(i64, String)>,
    /// The pages that the role may see.
    pub menu: Vec<MenuItem>,
}

/// A page in the menu.
#[derive(Debug, Clone)]
pub struct MenuItem {
    /// Name of the page, as the menu shows it.
    pub label: &'static str,
    /// Path of the page.
    pub path: &'static str,
    /// Whether this is the page that is shown.
    pub is_current: bool,
}

impl Frame {
    /// The frame of a page for everybody.
    pub fn new(brand: &str, title: impl Into<String>) -> Self {
        Self {
            brand: brand.to_owned(),
            title: title.into(),
            who: None,
            done: "",
            reminds_of_second_factor: false,
            style: &assets::STYLE.path,
            script: &assets::SCRIPT.path,
            icon: &assets::ICON.path,
        }
    }
}

/// Why there is no page.
#[derive(Debug)]
pub enum Failure {
    /// The request may not reach a page.
    Refused(Refusal),
    /// The member has to sign in first.
    SignIn,
    /// The member has to prove once more who they are.
    Confirm(String),
    /// The member has to go elsewhere first.
    Elsewhere(String),
    /// Too many requests came from there.
    TooMany(u64),
    /// The form cannot be read.
    Unreadable,
    /// What a use-case said.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unauthorized => Self::SignIn,
            error => Self::Error(error),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What a handler ends in.
pub type Answer = Result<HttpResponse, Failure>;

/// Renders a page.
pub fn page(status: StatusCode, template: &impl Template) -> Answer {
    let html = template.render().map_err(Error::failed("rendering a page"))?;
    Ok(HttpResponse::build(status).content_type("text/html; charset=utf-8").body(html))
}

/// Renders a page with what was asked for.
pub fn ok(template: &impl Template) -> Answer {
    page(StatusCode::OK, template)
}

/// Renders a form once more, with what is wrong with it.
pub fn refused(template: &impl Template) -> Answer {
    page(StatusCode::UNPROCESSABLE_ENTITY, template)
}

/// Leads to another page.
pub fn see_other(path: &str) -> Answer {
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, path)).finish())
}

/// A page that says why there is no other.
#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'t> {
    frame: Frame,
    text: &'t str,
    more: &'t str,
}

/// The page that says why there is none.
pub fn message(brand: &str, failure: &Failure) -> HttpResponse {
    let (status, title, text, more) = match failure {
        Failure::Refused(refusal @ Refusal::OtherHost) => (
            StatusCode::MISDIRECTED_REQUEST,
            "Wrong address",
            refusal.to_string(),
            "It is where [server] public_url of the configuration says; without that, on this machine alone, at \
             http://127.0.0.1 with the server's port.",
        ),
        Failure::Refused(refusal @ Refusal::Plain) => (
            StatusCode::FORBIDDEN,
            "HTTPS is needed",
            refusal.to_string(),
            "Passwords would travel in the open. Set up a certificate, or a proxy with one.",
        ),
        Failure::Refused(refusal @ Refusal::OtherPage) => (
            StatusCode::FORBIDDEN,
            "Not sent",
            refusal.to_string(),
            "Nothing was changed. Open the dashboard and try again.",
        ),
        Failure::TooMany(_) => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many requests",
            "There were too many requests from your network.".to_owned(),
            "Wait a moment and try again.",
        ),
        Failure::Unreadable => (
            StatusCode::BAD_REQUEST,
            "Not readable",
            "The form could not be read.".to_owned(),
            "Nothing was changed. Go back and try again.",
        ),
        Failure::Error(Error::NotFound) => (
            StatusCode::NOT_FOUND,
            "Not found",
            "There is no such page, or you may not see it.".to_owned(),
            "",
        ),
        Failure::Error(Error::AccessDenied(_) | Error::MissingScope(_)) => (
            StatusCode::FORBIDDEN,
            "Not allowed",
            "Your role does not allow this.".to_owned(),
            "An owner or admin of the workspace can give you another role.",
        ),
        Failure::Error(Error::Conflict(text)) => (StatusCode::CONFLICT, "Not possible", text.clone(), ""),
        Failure::Error(Error::Unavailable { .. }) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Not available",
            "The server cannot do this right now.".to_owned(),
            "Nothing was lost. Wait a moment and reload the page.",
        ),
        Failure::Error(_) | Failure::SignIn | Failure::Confirm(_) | Failure::Elsewhere(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong",
            "This is an error of the server.".to_owned(),
            "It is in the server's log.",
        ),
    };
    let template = MessagePage { frame: Frame::new(brand, title), text: &text, more };
    let mut response =
        page(status, &template).unwrap_or_else(|_| HttpResponse::InternalServerError().finish());
    let after = match failure {
        Failure::TooMany(seconds) => Some(*seconds),
        Failure::Error(Error::Unavailable { .. }) => Some(5),
        _ => None,
    };
    if let Some(after) = after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after));
    }
    response
}

/// Adds what every answer of the dashboard has.
pub fn finish(response: &mut HttpResponse) {
    const HEADERS: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    response.extensions_mut().insert(Rendered);
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// An instant as people read it, to the minute.
pub fn shown(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} {} UTC", &text[..10], &text[11..16])
}
