//! What the links that were made for people lead to: joining a workspace, and choosing another password.
//! Opening one uses nothing up; the form does.

use actix_web::http::StatusCode;
use askama::Template;
use gatepost_app::people::{
    account,
    invitations::{self, Accept, Opened},
};
use gatepost_kernel::{Error, Secret};

use crate::{
    form::Errors,
    page::{self, Answer, DASHBOARD, Failure, Frame},
    places::SIGN_IN,
    sign_in::{retry, told},
    visit::{Visit, role_label},
};

#[derive(Template)]
#[template(path = "welcome.html")]
struct WelcomePage<'v> {
    frame: Frame,
    errors: Errors,
    workspace: String,
    role: &'static str,
    invited_by: String,
    /// The address, if the invitation names one.
    invited_email: String,
    has_account: bool,
    email: &'v str,
    name: &'v str,
    target: &'v str,
}

#[derive(Template)]
#[template(path = "reset.html")]
struct ResetPage<'v> {
    frame: Frame,
    errors: Errors,
    email: String,
    target: &'v str,
}

#[derive(Template)]
#[template(path = "dead_link.html")]
struct DeadLinkPage {
    frame: Frame,
    command: &'static str,
}

impl<'v> WelcomePage<'v> {
    fn new(visit: &'v Visit, opened: Opened, errors: Errors) -> Self {
        let Opened { invitation, workspace, invited_by, has_account } = opened;
        Self {
            frame: Frame::new(visit.brand(), format!("Welcome to {}", visit.brand())),
            errors,
            workspace,
            role: role_label(invitation.role),
            invited_by: invited_by.map(|member| member.name).unwrap_or_default(),
            invited_email: invitation.email.map(|email| email.to_string()).unwrap_or_default(),
            has_account,
            email: visit.form.get("email"),
            name: visit.form.get("name"),
            target: &visit.target,
        }
    }
}

/// `GET /dashboard/setup/{token}`, `GET /dashboard/invite/{token}`
pub async fn show(visit: &mut Visit) -> Answer {
    let opened = match visit.token() {
        Ok(token) => invitations::open(visit.app(), &token).await,
        Err(_) => Err(Error::NotFound),
    };
    match opened {
        Ok(opened) => page::ok(&WelcomePage::new(visit, opened, Errors::default())),
        Err(Error::NotFound) => dead_link(visit, "gatepost members invite"),
        Err(error) => Err(error.into()),
    }
}

/// `POST /dashboard/setup/{token}`, `POST /dashboard/invite/{token}`
pub async fn send(visit: &mut Visit) -> Answer {
    let Ok(token) = visit.token() else { return dead_link(visit, "gatepost members invite") };
    let opened = match invitations::open(visit.app(), &token).await {
        Err(Error::NotFound) => return dead_link(visit, "gatepost members invite"),
        opened => opened?,
    };
    let input = Accept {
        email: visit.form.filled("email").map(str::to_owned),
        name: visit.form.get("name").to_owned(),
        password: Secret::new(visit.form.get("password").to_owned()),
    };
    match invitations::accept(visit.app(), &token, input, visit.browser.clone()).await {
        Ok(began) => {
            visit.keep(&began.token);
            page::see_other(DASHBOARD)
        }
        Err(error) => {
            let (status, errors, after) = told(error)?;
            retry(page::page(status, &WelcomePage::new(visit, opened, errors)), after)
        }
    }
}

/// `GET /dashboard/reset/{token}`
pub async fn show_reset(visit: &mut Visit) -> Answer {
    match opened_reset(visit).await? {
        Some(email) => page::ok(&reset_page(visit, email, Errors::default())),
        None => dead_link(visit, "gatepost members reset-link"),
    }
}

/// `POST /dashboard/reset/{token}`
pub async fn send_reset(visit: &mut Visit) -> Answer {
    let Some(email) = opened_reset(visit).await? else {
        return dead_link(visit, "gatepost members reset-link");
    };
    let password = Secret::new(visit.form.get("password").to_owned());
    match account::reset_password(visit.app(), &visit.token()?, password, &visit.browser).await {
        Ok(_) => page::see_other(SIGN_IN),
        Err(Error::NotFound) => dead_link(visit, "gatepost members reset-link"),
        Err(error) => page::refused(&reset_page(visit, email, Errors::from_use_case(error)?)),
    }
}

/// The address of whom the link lets choose another password, if it works.
async fn opened_reset(visit: &Visit) -> Result<Option<String>, Failure> {
    let Ok(token) = visit.token() else { return Ok(None) };
    match account::open_reset(visit.app(), &token).await {
        Ok(member) => Ok(Some(member.email.to_string())),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn reset_page(visit: &Visit, email: String, errors: Errors) -> ResetPage<'_> {
    let frame = Frame::new(visit.brand(), "Choose a new password");
    ResetPage { frame, errors, email, target: &visit.target }
}

/// One text for links that are unknown, used or expired, and how to get another.
fn dead_link(visit: &Visit, command: &'static str) -> Answer {
    let frame = Frame::new(visit.brand(), "This link does not work");
    page::page(StatusCode::NOT_FOUND, &DeadLinkPage { frame, command })
}
