//! Signing in and out, and proving once more who one is.

use actix_web::http::{
    StatusCode,
    header::{self, HeaderValue},
};
use askama::Template;
use gatepost_app::people::{
    account,
    sign_in::{self, SignInError},
};
use gatepost_kernel::{Error, Secret, WorkspaceId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    form::Errors,
    page::{self, Answer, DASHBOARD, Failure, Frame},
    places::SIGN_IN,
    visit::{Visit, safe_next},
};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'v> {
    frame: Frame,
    errors: Errors,
    email: &'v str,
    next: &'v str,
    /// Whether nobody has an account yet.
    is_new: bool,
    /// Whether the form was sent before by somebody whose session had ended.
    lost_form: bool,
}

#[derive(Template)]
#[template(path = "code.html")]
struct CodePage<'v> {
    frame: Frame,
    errors: Errors,
    next: &'v str,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage<'v> {
    frame: Frame,
    errors: Errors,
    target: &'v str,
    username: String,
    fields: Vec<(&'v str, &'v str)>,
    form_id: &'v str,
}

/// The page to sign in, which leads back to where the visit wanted to go.
pub fn path_to_here(visit: &Visit) -> String {
    // The address of a form shows nothing, so nobody is led back there.
    match visit.is_form {
        true => format!("{SIGN_IN}?lost=form"),
        false => format!("{SIGN_IN}?next={}", utf8_percent_encode(&visit.target, NON_ALPHANUMERIC)),
    }
}

/// `GET /dashboard/sign-in`
pub async fn show(visit: &mut Visit) -> Answer {
    let next = safe_next(visit.query.get("next"));
    if visit.member().is_ok() {
        return page::see_other(next);
    }
    let page = SignInPage {
        frame: Frame::new(visit.brand(), "Sign in"),
        errors: Errors::default(),
        email: "",
        next,
        is_new: account::is_new(visit.app()).await?,
        lost_form: visit.query.get("lost") == "form",
    };
    page::ok(&page)
}

/// `POST /dashboard/sign-in`
pub async fn send(visit: &mut Visit) -> Answer {
    let (email, password) = (visit.form.get("email"), Secret::new(visit.form.get("password").to_owned()));
    let began = sign_in::sign_in(visit.app(), email, password, visit.browser.clone()).await;
    let next = safe_next(visit.form.get("next")).to_owned();
    match began {
        Ok(began) => {
            // A cookie that was planted before is no session of theirs; one of their own ends.
            if let Some(token) = visit.kept_token() {
                sign_in::sign_out(visit.app(), &token, &visit.browser).await?;
            }
            visit.keep(&began.token);
            match began.session.awaits_second_factor {
                true => page::see_other(&format!(
                    "{SIGN_IN}/code?next={}",
                    utf8_percent_encode(&next, NON_ALPHANUMERIC)
                )),
                false => page::see_other(&next),
            }
        }
        Err(error) => {
            let (status, errors, after) = told(error)?;
            let page = SignInPage {
                frame: Frame::new(visit.brand(), "Sign in"),
                errors,
                email: visit.form.get("email"),
                next: &next,
                is_new: false,
                lost_form: false,
            };
            retry(page::page(status, &page), after)
        }
    }
}

/// `GET /dashboard/sign-in/code`
pub async fn show_code(visit: &mut Visit) -> Answer {
    if !visit.signed_in.as_ref().is_some_and(|signed_in| signed_in.session.awaits_second_factor) {
        return page::see_other(DASHBOARD);
    }
    let next = safe_next(visit.query.get("next"));
    let frame = Frame::new(visit.brand(), "Two-factor sign-in");
    page::ok(&CodePage { frame, errors: Errors::default(), next })
}

/// `POST /dashboard/sign-in/code`
pub async fn send_code(visit: &mut Visit) -> Answer {
    let signed_in = visit.signed_in.clone().ok_or(Failure::SignIn)?;
    let next = safe_next(visit.form.get("next")).to_owned();
    match sign_in::present_code(visit.app(), &signed_in, visit.form.get("code"), &visit.browser).await {
        Ok(token) => {
            visit.keep(&token);
            page::see_other(&next)
        }
        Err(error) => {
            let (status, errors, after) = told(error)?;
            let frame = Frame::new(visit.brand(), "Two-factor sign-in");
            retry(page::page(status, &CodePage { frame, errors, next: &next }), after)
        }
    }
}

/// `POST /dashboard/sign-out`
pub async fn sign_out(visit: &mut Visit) -> Answer {
    if let Some(token) = visit.kept_token() {
        sign_in::sign_out(visit.app(), &token, &visit.browser).await?;
    }
    visit.forget();
    page::see_other(SIGN_IN)
}

/// `POST /dashboard/workspace`
pub async fn show_workspace(visit: &mut Visit) -> Answer {
    let workspace = visit.form.get("workspace").parse().map_err(|_| Failure::Unreadable)?;
    sign_in::show_workspace(visit.app(), visit.member()?, WorkspaceId(workspace)).await?;
    page::see_other(DASHBOARD)
}

/// Asks a member once more who they are. The form that they sent is sent again with the answer.
pub fn ask_to_confirm(visit: &Visit, error: &str) -> Answer {
    let errors = match error {
        "" => Errors::default(),
        error => Errors::one("confirm_password", error),
    };
    let page = ConfirmPage {
        frame: Frame::new(visit.brand(), "Confirm who you are"),
        errors,
        target: &visit.target,
        username: visit.member()?.member.email.to_string(),
        fields: visit.form.fields().collect(),
        form_id: visit.form.get("form_id"),
    };
    page::page(StatusCode::FORBIDDEN, &page)
}

/// What somebody is told who could not prove who they are: the status, the words, and how many seconds to wait.
///
/// # Errors
/// What has nothing to do with the proof.
pub fn told(error: SignInError) -> Result<(StatusCode, Errors, Option<u64>), Failure> {
    let text = error.to_string();
    match error {
        SignInError::Wrong | SignInError::WrongCode => {
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Errors::one("", text), None))
        }
        SignInError::TooMany { after } => {
            Ok((StatusCode::TOO_MANY_REQUESTS, Errors::one("", text), Some(after.as_secs().max(1))))
        }
        SignInError::Other(error @ (Error::Validation(_) | Error::Conflict(_) | Error::AccessDenied(_))) => {
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Errors::from_use_case(error)?, None))
        }
        SignInError::Other(error) => Err(error.into()),
    }
}

/// Says how long to wait.
pub fn retry(answer: Answer, after: Option<u64>) -> Answer {
    let mut response = answer?;
    if let Some(after) = after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after));
    }
    Ok(response)
}
