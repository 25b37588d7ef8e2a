//! What a browser does, as far as the server can tell: one cookie, forms, no redirect that nobody asked for.

use gatepost_app::{Caller, UnitOfWork, people::invitations};
use gatepost_kernel::WorkspaceId;
use gatepost_people::{Email, LinkKind, Role};
use gatepost_test_support::TestApp;
use reqwest::{Client, Method, RequestBuilder, StatusCode, header, redirect::Policy};
use url::form_urlencoded;

pub const PASSWORD: &str = "ochre tunnel parsnip lantern";

/// A browser at a server.
pub struct Browser {
    client: Client,
    origin: String,
    /// The cookie, as it is sent.
    pub cookie: Option<String>,
}

/// What a server answered.
pub struct Answer {
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    pub html: String,
}

impl Answer {
    /// Where it leads.
    pub fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |value| value.to_str().expect("text"))
    }

    #[track_caller]
    pub fn leads_to(&self, path: &str) {
        assert_eq!((self.status, self.location()), (StatusCode::SEE_OTHER, path), "{}", self.html);
    }

    #[track_caller]
    pub fn shows(&self, status: u16, heading: &str) -> &Self {
        let heading = format!("<h1><bdi>{heading}</bdi></h1>");
        assert_eq!(self.status, status, "{}", self.html);
        assert!(self.html.contains(&heading), "no {heading} in {}", self.html);
        self
    }

    /// The value of a hidden field.
    pub fn hidden(&self, name: &str) -> String {
        self.between(&format!("name=\"{name}\" value=\""), "\"")
    }

    /// The text between two others.
    pub fn between(&self, start: &str, end: &str) -> String {
        let (_, rest) = self.html.split_once(start).unwrap_or_else(|| panic!("no {start} in {}", self.html));
        rest.split(end).next().expect("a text").to_owned()
    }
}

impl Browser {
    pub fn new(app: &TestApp) -> Self {
        let client = Client::builder().redirect(Policy::none()).no_proxy().build().expect("a client");
        Self { client, origin: format!("http://{}", app.address), cookie: None }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.origin));
        match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
    }

    pub async fn answer(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, html: response.text().await.expect("text") }
    }

    /// Sends a request and keeps the cookie that comes with the answer.
    async fn exchange(&mut self, request: RequestBuilder) -> Answer {
        let answer = self.answer(request).await;
        if let Some(line) = answer.headers.get(header::SET_COOKIE) {
            let pair = line.to_str().expect("text").split(';').next().expect("a pair").to_owned();
            self.cookie = Some(pair).filter(|pair| !pair.ends_with('='));
        }
        answer
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.exchange(self.request(Method::GET, path)).await
    }

    /// Sends a form as a page of the dashboard does.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.request(Method::POST, path).header("Sec-Fetch-Site", "same-origin");
        self.exchange(filled(request.header(header::ORIGIN, &self.origin), fields)).await
    }

    /// Signs in with the password of all tests.
    pub async fn sign_in(&mut self, email: &str) -> Answer {
        self.post("/dashboard/sign-in", &[("email", email), ("password", PASSWORD)]).await
    }
}

/// A request with a form as browsers write it.
pub fn filled(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
}

/// The path of a link that takes somebody into a workspace.
pub async fn invite(app: &TestApp, workspace: i64, email: &str, role: Role) -> String {
    let email = Email::parse(email);
    let link = if email.is_some() { LinkKind::Invitation } else { LinkKind::Setup };
    let input = invitations::Invite { email, role, link };
    let create = async move |unit: &mut UnitOfWork<'_>| invitations::create(unit, input).await;
    let made = app.app.transact(&Caller::command_line(WorkspaceId(workspace)), create).await;
    made.expect("a link").link.path
}

/// A browser in which a new member of a workspace has signed in.
pub async fn joined(app: &TestApp, workspace: i64, email: &str, role: Role) -> Browser {
    let link = invite(app, workspace, email, role).await;
    let mut browser = Browser::new(app);
    browser.post(&link, &[("name", "Ada"), ("password", PASSWORD)]).await.leads_to("/dashboard");
    browser
}
