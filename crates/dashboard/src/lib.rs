//! The dashboard: pages for people, made on the server.
//!
//! Every page works without JavaScript: what is changed is changed by a form. Handlers call the use-cases that
//! the API calls, as a member; no rule of the business is decided here. `ROUTES` is the table of all pages and
//! forms, with the scope that each takes.

mod account;
mod api_keys;
mod assets;
mod audit_log;
mod chart;
mod cookie;
mod form;
mod guard;
mod overview;
mod page;
mod places;
mod plan;
mod second_factor;
mod sign_in;
mod team;
mod usage;
mod visit;
mod welcome;

use std::{pin::Pin, sync::LazyLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{self, HeaderValue},
    },
    web::{self, Payload, ServiceConfig},
};
use gatepost_api::{Pages, State};
use gatepost_app::people::account::SecondFactorDuty;
use gatepost_keys::Scope;

use crate::{
    page::{Answer, Failure},
    places::{
        ACCOUNT, API_KEYS_DELETE, API_KEYS_READ, API_KEYS_WRITE, AUDIT_READ, BILLING_ADMIN, OVERVIEW,
        SIGN_IN, TEAM_ADMIN,
    },
    visit::Visit,
};

/// Who may see a page or send a form.
#[derive(Clone, Copy)]
enum Access {
    /// Everybody.
    Anyone,
    /// Whoever has signed in, even if a second factor is still to be set up.
    Unfinished,
    /// Whoever has signed in.
    Member,
    /// Whoever has signed in with a role that has this scope.
    Scope(&'static LazyLock<Scope>),
}

use Access::{Anyone, Member, Scope as Takes, Unfinished};

type Handled<'v> = Pin<Box<dyn Future<Output = Answer> + 'v>>;

/// A page, or a form.
struct Route {
    method: Method,
    /// The pattern of the path below `/dashboard`.
    path: &'static str,
    access: Access,
    handle: for<'v> fn(&'v mut Visit) -> Handled<'v>,
}

macro_rules! routes {
    ($($method:ident $path:literal, $access:expr, $module:ident::$handler:ident;)*) => {
        [$(Route {
            method: Method::$method,
            path: $path,
            access: $access,
            handle: |visit| Box::pin($module::$handler(visit)),
        }),*]
    };
}

/// All pages and forms.
#[rustfmt::skip]
static ROUTES: LazyLock<[Route; 42]> = LazyLock::new(|| routes! {
    GET "/sign-in", Anyone, sign_in::show;
    POST "/sign-in", Anyone, sign_in::send;
    GET "/sign-in/code", Anyone, sign_in::show_code;
    POST "/sign-in/code", Anyone, sign_in::send_code;
    POST "/sign-out", Anyone, sign_in::sign_out;
    GET "/setup/{token}", Anyone, welcome::show;
    POST "/setup/{token}", Anyone, welcome::send;
    GET "/invite/{token}", Anyone, welcome::show;
    POST "/invite/{token}", Anyone, welcome::send;
    GET "/reset/{token}", Anyone, welcome::show_reset;
    POST "/reset/{token}", Anyone, welcome::send_reset;
    GET "", Member, overview::show;
    POST "/workspace", Member, sign_in::show_workspace;
    GET "/account", Member, account::show;
    POST "/account/name", Member, account::rename;
    POST "/account/email", Member, account::change_email;
    POST "/account/password", Member, account::change_password;
    POST "/account/sessions/end", Member, account::end_sessions;
    POST "/account/leave", Member, account::leave;
    GET "/account/two-factor", Unfinished, second_factor::show;
    POST "/account/two-factor", Unfinished, second_factor::add;
    POST "/account/two-factor/remove", Member, second_factor::remove;
    POST "/account/recovery-codes", Member, second_factor::renew_codes;
    GET "/settings/api-keys", Takes(&API_KEYS_READ), api_keys::list;
    GET "/settings/api-keys/new", Takes(&API_KEYS_WRITE), api_keys::show_new;
    POST "/settings/api-keys/new", Takes(&API_KEYS_WRITE), api_keys::create;
    GET "/settings/api-keys/usage", Takes(&API_KEYS_READ), usage::show;
    GET "/settings/api-keys/{id}", Takes(&API_KEYS_READ), api_keys::show;
    POST "/settings/api-keys/{id}/rotate", Takes(&API_KEYS_WRITE), api_keys::rotate;
    POST "/settings/api-keys/{id}/revoke", Takes(&API_KEYS_DELETE), api_keys::revoke;
    GET "/settings/plan", Takes(&BILLING_ADMIN), plan::show;
    GET "/settings/audit-log", Takes(&AUDIT_READ), audit_log::show;
    GET "/settings/audit-log.csv", Takes(&AUDIT_READ), audit_log::download;
    GET "/settings/team", Takes(&TEAM_ADMIN), team::show;
    POST "/settings/team/invite", Takes(&TEAM_ADMIN), team::invite;
    POST "/settings/team/invitations/{id}/revoke", Takes(&TEAM_ADMIN), team::revoke_invitation;
    POST "/settings/team/members/{id}/role", Takes(&TEAM_ADMIN), team::set_role;
    POST "/settings/team/members/{id}/remove", Takes(&TEAM_ADMIN), team::remove;
    POST "/settings/team/sessions/{id}/end", Takes(&TEAM_ADMIN), team::end_session;
    GET "/", Member, overview::to_start;
    GET "/settings/api", Member, api_keys::to_list;
    GET "/settings/integrations/api-keys", Member, api_keys::to_list;
});

/// A page or a form, for those who list them all.
#[derive(Debug, Clone)]
pub struct RouteSummary {
    /// Whether it is a form, which is sent by POST, or a page.
    pub is_form: bool,
    /// The pattern of the path.
    pub path: String,
    /// Whether only members reach it.
    pub is_for_members: bool,
    /// The scope that it takes, if it takes one.
    pub scope: Option<&'static Scope>,
}

/// All pages and forms.
pub fn routes() -> impl Iterator<Item = RouteSummary> {
    ROUTES.iter().map(|route| RouteSummary {
        is_form: route.method == Method::POST,
        path: format!("{}{}", page::DASHBOARD, route.path),
        is_for_members: !matches!(route.access, Anyone),
        scope: match route.access {
            Takes(scope) => Some(scope),
            Anyone | Unfinished | Member => None,
        },
    })
}

/// The pages of the dashboard.
#[derive(Debug, Clone, Copy)]
pub struct Dashboard;

impl Pages for Dashboard {
    fn start(&self) -> &'static str {
        OVERVIEW
    }

    fn configure(&self, config: &mut ServiceConfig) {
        for asset in assets::all() {
            let respond = move || async {
                let mut response = asset.respond();
                page::finish(&mut response);
                response
            };
            config.route(&asset.path, web::get().to(respond));
        }
        for route in ROUTES.iter() {
            let answer = move |req, payload| answer(route, req, payload);
            let path = format!("{}{}", page::DASHBOARD, route.path);
            config.route(&path, web::method(route.method.clone()).to(answer));
        }
        config.service(web::scope(page::DASHBOARD).default_service(web::to(not_found)));
    }
}

async fn answer(route: &'static Route, req: HttpRequest, payload: Payload) -> HttpResponse {
    let brand = brand_of(&req);
    let mut response = match Visit::accept(req, &mut payload.into_inner()).await {
        Ok(mut visit) => {
            let answered = match admit(route, &visit).await {
                Ok(()) => (route.handle)(&mut visit).await,
                Err(failure) => Err(failure),
            };
            let mut response = match answered {
                Ok(response) => response,
                Err(failure) => explain(&visit, failure),
            };
            if let Some(cookie) = visit.set_cookie.and_then(|line| HeaderValue::from_str(&line).ok()) {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(failure) => page::message(&brand, &failure),
    };
    page::finish(&mut response);
    response
}

async fn not_found(req: HttpRequest) -> HttpResponse {
    let mut response = page::message(&brand_of(&req), &Failure::Error(gatepost_kernel::Error::NotFound));
    page::finish(&mut response);
    response
}

fn brand_of(req: &HttpRequest) -> String {
    req.app_data::<State>().map(|state| state.contract().brand.name.clone()).unwrap_or_default()
}

/// Whether whoever asks may see the page or send the form.
async fn admit(route: &Route, visit: &Visit) -> Result<(), Failure> {
    let awaits_code = visit.signed_in.as_ref().is_some_and(|one| one.session.awaits_second_factor);
    match route.access {
        Anyone => return Ok(()),
        _ if awaits_code => return Err(Failure::Elsewhere(format!("{SIGN_IN}/code"))),
        Unfinished => return visit.member().map(|_| ()),
        Member => visit.member().map(|_| ())?,
        Takes(scope) => visit.caller(scope).map(|_| ())?,
    }
    match visit.second_factor_duty().await? {
        SecondFactorDuty::Now => Err(Failure::Elsewhere(format!("{ACCOUNT}/two-factor"))),
        SecondFactorDuty::Done | SecondFactorDuty::Later => Ok(()),
    }
}

/// What is shown where there is no page.
fn explain(visit: &Visit, failure: Failure) -> HttpResponse {
    let explained = match failure {
        Failure::SignIn => page::see_other(&sign_in::path_to_here(visit)),
        Failure::Elsewhere(path) => page::see_other(&path),
        Failure::Confirm(error) => sign_in::ask_to_confirm(visit, &error),
        failure => Err(failure),
    };
    explained.unwrap_or_else(|failure| {
        if let Failure::Error(error) = &failure
            && error.cause().is_some()
        {
            tracing::error!(error = %error.for_log(), "a page failed");
        }
        page::message(visit.brand(), &failure)
    })
}
