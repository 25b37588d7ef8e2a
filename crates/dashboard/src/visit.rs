//! A request for a page: who sends it, what was filled in, and what their browser keeps from then on.

use std::{sync::LazyLock, time::Duration};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::{
        Method,
        header::{self, HeaderName},
    },
    web,
};
use gatepost_api::{Sender, State};
use gatepost_app::{
    App, Caller, Requirement,
    people::{
        Browser,
        account::{self, SecondFactorDuty},
        sign_in::{self, Proof, SignInError, SignedIn},
    },
};
use gatepost_kernel::{Environment, Error, RequestId, Secret};
use gatepost_keys::{Scope, ScopeSet};
use gatepost_people::{OpaqueToken, Role};

use crate::{
    cookie::SessionCookie,
    form::Form,
    guard::{Claims, Home},
    page::{self, Failure, Frame, MenuItem, Who},
    places,
};

/// A request for a page.
pub struct Visit {
    /// What the server is made of.
    pub state: State,
    /// The browser that asks.
    pub browser: Browser,
    /// `https://host`, as links begin.
    pub base_url: String,
    /// The path, with what stands behind the question mark.
    pub target: String,
    /// Whether a form was sent.
    pub is_form: bool,
    /// What was filled in.
    pub form: Form,
    /// What stands behind the question mark.
    pub query: Form,
    /// Whose browser it is, if anybody's.
    pub signed_in: Option<SignedIn>,
    cookie: SessionCookie,
    /// What the browser keeps from now on, as a `Set-Cookie` header.
    pub set_cookie: Option<String>,
    request: HttpRequest,
}

impl Visit {
    /// Lets a request in that may reach a page.
    ///
    /// # Errors
    /// Why it may not.
    pub async fn accept(req: HttpRequest, payload: &mut Payload) -> Result<Self, Failure> {
        let state = req.app_data::<State>().cloned();
        let state = state.ok_or_else(|| Error::internal("the state is not part of the application"))?;
        let sender = Sender::of(&req, &state);
        let verdict = state.app().gate().admit_reader(sender.address);
        if let Some(Error::RateLimited { retry_after_seconds, .. }) = verdict.error(state.app().now()) {
            return Err(Failure::TooMany(retry_after_seconds));
        }
        let text = |name: HeaderName| req.headers().get(name).and_then(|value| value.to_str().ok());
        let claims = Claims {
            host: &sender.host,
            is_secure: sender.is_secure,
            reached: sender.reached,
            fetch_site: text(HeaderName::from_static("sec-fetch-site")),
            origin: text(header::ORIGIN),
        };
        let home = Home { public_url: state.settings().server.public_url.clone() };
        home.check(&claims)?;
        let changes = req.method() == Method::POST;
        if changes {
            home.check_change(&claims)?;
        }
        let browser = Browser {
            address: sender.address,
            user_agent: text(header::USER_AGENT).map(str::to_owned),
            request_id: req.extensions().get::<RequestId>().cloned(),
        };
        let cookie = SessionCookie::of(&sender.host, sender.is_secure);
        let headers = req.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
        let signed_in = match cookie.read(headers) {
            Some(token) => sign_in::session_of(state.app(), &token, &browser).await?,
            None => None,
        };
        let fields = match changes {
            true => read_form(&req, payload).await?,
            false => Vec::new(),
        };
        let query = web::Query::<Vec<(String, String)>>::from_query(req.query_string());
        Ok(Self {
            browser,
            base_url: Sender::base_url(&req, &state),
            target: req.uri().path_and_query().map_or("", |target| target.as_str()).to_owned(),
            is_form: changes,
            form: Form::new(fields),
            query: Form::new(query.map(web::Query::into_inner).unwrap_or_default()),
            signed_in,
            cookie,
            set_cookie: None,
            request: req,
            state,
        })
    }

    /// The application.
    pub fn app(&self) -> &App {
        self.state.app()
    }

    /// Name of the platform.
    pub fn brand(&self) -> &str {
        &self.state.contract().brand.name
    }

    /// The part of the path that the route calls so.
    pub fn part(&self, name: &str) -> &str {
        self.request.match_info().get(name).unwrap_or_default()
    }

    /// The numeric id in the path.
    ///
    /// # Errors
    /// [`Error::NotFound`] for what is none.
    pub fn id(&self) -> Result<i64, Failure> {
        let id = self.part("id").parse().ok().filter(|id| *id > 0);
        Ok(id.ok_or(Error::NotFound)?)
    }

    /// The token in the path.
    ///
    /// # Errors
    /// [`Error::NotFound`] for what is none.
    pub fn token(&self) -> Result<OpaqueToken, Failure> {
        Ok(OpaqueToken::parse(self.part("token")).ok_or(Error::NotFound)?)
    }

    /// Whoever has signed in, with every proof.
    ///
    /// # Errors
    /// [`Failure::SignIn`] if nobody has.
    pub fn member(&self) -> Result<&SignedIn, Failure> {
        let complete = self.signed_in.as_ref().filter(|signed_in| !signed_in.session.awaits_second_factor);
        complete.ok_or(Failure::SignIn)
    }

    /// The page of a list that is asked for, from 1.
    pub fn page_number(&self) -> u64 {
        const LAST: u64 = 10_000;
        self.query.get("page").parse().ok().filter(|page| (1..=LAST).contains(page)).unwrap_or(1)
    }

    /// Whoever has signed in, as the caller of what takes a scope, with live data.
    ///
    /// # Errors
    /// [`Failure::SignIn`] if nobody has; [`Error::MissingScope`].
    pub fn caller(&self, scope: &'static LazyLock<Scope>) -> Result<Caller, Failure> {
        self.caller_in(scope, Environment::Live)
    }

    /// The same with the data of an environment.
    ///
    /// # Errors
    /// As [`caller`](Self::caller).
    pub fn caller_in(
        &self,
        scope: &'static LazyLock<Scope>,
        environment: Environment,
    ) -> Result<Caller, Failure> {
        let caller = self.member()?.caller(self.app(), environment, &self.browser)?;
        Ok(caller.requiring(Requirement { scope: Some(scope), or_tools: false })?)
    }

    /// What the role of whoever has signed in allows; nothing if nobody has.
    pub fn scopes(&self) -> Option<ScopeSet> {
        let caller = self.member().ok()?.caller(self.app(), Environment::Live, &self.browser).ok()?;
        caller.acting().map(|acting| acting.scopes().clone())
    }

    /// Lets the browser keep the token of a session.
    pub fn keep(&mut self, token: &OpaqueToken) {
        self.set_cookie = Some(self.cookie.keep(token));
    }

    /// Lets the browser forget its session.
    pub fn forget(&mut self) {
        self.set_cookie = Some(self.cookie.forget());
        self.signed_in = None;
    }

    /// The token that the browser keeps.
    pub fn kept_token(&self) -> Option<OpaqueToken> {
        let headers = self.request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
        self.cookie.read(headers)
    }

    /// Requires that the member proved within ten minutes who they are, or does so in this form.
    ///
    /// # Errors
    /// [`Failure::Confirm`] if not.
    pub async fn require_recent(&mut self) -> Result<(), Failure> {
        let signed_in = self.member()?.clone();
        if signed_in.session.is_recent(self.app().now()) {
            return Ok(());
        }
        let password = self.form.get("confirm_password");
        if password.is_empty() {
            return Err(Failure::Confirm(String::new()));
        }
        let proof = Proof::Password(Secret::new(password.to_owned()));
        match sign_in::confirm(self.app(), &signed_in, proof, &self.browser).await {
            Ok(token) => {
                self.signed_in = sign_in::session_of(self.app(), &token, &self.browser).await?;
                self.keep(&token);
                Ok(())
            }
            Err(SignInError::Other(error)) => Err(error.into()),
            Err(SignInError::Wrong) => Err(Failure::Confirm("This password is wrong.".to_owned())),
            Err(error) => Err(Failure::Confirm(error.to_string())),
        }
    }

    /// Whether the member has to add a second factor before anything else. Who is alone with a server that
    /// nobody else reaches may do it later.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn second_factor_duty(&self) -> Result<SecondFactorDuty, Failure> {
        let duty = account::second_factor_duty(self.app(), self.member()?).await?;
        let server = &self.state.settings().server;
        let is_local = server.public_url.is_none() && server.bind.ip().is_loopback();
        Ok(if duty == SecondFactorDuty::Later && !is_local { SecondFactorDuty::Now } else { duty })
    }

    /// The frame of a page for whoever has signed in.
    ///
    /// # Errors
    /// [`Failure::SignIn`]; [`Error::Unavailable`].
    pub async fn frame(&self, title: impl Into<String>) -> Result<Frame, Failure> {
        let signed_in = self.member()?;
        let shown = signed_in.shown;
        let workspaces = account::workspaces(self.app(), signed_in).await?;
        let (own, others): (Vec<_>, Vec<_>) =
            workspaces.into_iter().partition(|(workspace, _)| workspace.id == shown.workspace_id);
        let scopes = self.scopes().ok_or(Failure::SignIn)?;
        let path = self.request.path();
        let is_below = |start: &str| {
            path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let seen =
            places::MENU.iter().filter(|(.., scope)| scope.is_none_or(|scope| scopes.allows(&**scope)));
        let menu = seen.map(|(label, start, _)| MenuItem {
            label,
            path: start,
            is_current: if *start == places::OVERVIEW { path == *start } else { is_below(start) },
        });
        let who = Who {
            name: signed_in.member.name.clone(),
            workspace: own.first().map(|(workspace, _)| workspace.name.clone()).unwrap_or_default(),
            role: role_label(shown.role),
            others: others.into_iter().map(|(workspace, _)| (workspace.id.0, workspace.name)).collect(),
            menu: menu.collect(),
        };
        let reminds_of_second_factor = self.second_factor_duty().await? == SecondFactorDuty::Later;
        Ok(Frame {
            who: Some(who),
            done: places::done(self.query.get("done")),
            reminds_of_second_factor,
            ..Frame::new(self.brand(), title)
        })
    }
}

/// The fields of a form, of 16 KiB at most; a client that sends it slowly is not waited for.
async fn read_form(req: &HttpRequest, payload: &mut Payload) -> Result<Vec<(String, String)>, Failure> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let form = web::Form::<Vec<(String, String)>>::from_request(req, payload);
    let form = actix_web::rt::time::timeout(PATIENCE, form).await.map_err(|_| Failure::Unreadable)?;
    Ok(form.map_err(|_| Failure::Unreadable)?.into_inner())
}

/// A role as people read it.
pub fn role_label(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Viewer",
        Role::Developer => "Developer",
        Role::Admin => "Admin",
        Role::Owner => "Owner",
    }
}

/// Where to go after signing in: a path of the dashboard, whatever a link says.
pub fn safe_next(next: &str) -> &str {
    let is_ours = next.strip_prefix(page::DASHBOARD).is_some_and(|rest| {
        matches!(rest.bytes().next(), None | Some(b'/' | b'?'))
            && rest.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    });
    if is_ours { next } else { page::DASHBOARD }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for ours in ["/dashboard", "/dashboard/", "/dashboard/settings/api-keys?page=2", "/dashboard?done=x"]
        {
            assert_eq!(safe_next(ours), ours);
        }
        for foreign in [
            "",
            "/",
            "//evil.test",
            "///evil.test",
            "/\\evil.test",
            "\\\\evil.test",
            "https://evil.test",
            "http:evil.test",
            "//dashboard.evil.test",
            "/dashboardx",
            "/dashboard.evil.test",
            "/dashboard@evil.test",
            "/dashboard:80",
            "javascript:alert(1)",
            "data:text/html,x",
            "/dashboard\\evil",
            "/dashboard/\r\nSet-Cookie: a=b",
            "/dashboard/\tx",
            " /dashboard",
            "/dashboard/ x",
            "dashboard",
            "./dashboard",
            "../dashboard",
            "/%2f/evil.test",
            "/docs",
            "/api/v1",
            "/dashboard\u{0}",
            "/dashboard/é",
            "\u{ff0f}dashboard",
            "//127.0.0.1/dashboard",
            "/./dashboard",
            "?next=/dashboard",
            "#/dashboard",
            "/dashboard#x/../../evil",
            "http://127.0.0.1/dashboard",
            "//[::1]/dashboard",
            "/;/dashboard",
        ] {
            assert_eq!(safe_next(foreign), "/dashboard", "{foreign:?}");
        }
    }
}
