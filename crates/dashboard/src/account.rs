//! One's own account.

use askama::Template;
use gatepost_app::{
    UnitOfWork,
    people::{account, sign_in::SignInError, team},
};
use gatepost_kernel::{Environment, Error, Secret, SessionId};

use crate::{
    form::Errors,
    page::{self, Answer, Failure, Frame, shown},
    places::{ACCOUNT, OVERVIEW},
    sign_in::{retry, told},
    visit::Visit,
};

/// A browser in which the member has signed in.
struct SessionRow {
    id: i64,
    browser: String,
    address: String,
    last_used: String,
    is_this: bool,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    errors: Errors,
    name: String,
    email: String,
    /// The address that counts, whatever was typed.
    username: String,
    has_second_factor: bool,
    sessions: Vec<SessionRow>,
}

/// `GET /dashboard/account`
pub async fn show(visit: &mut Visit) -> Answer {
    page::ok(&account_page(visit, Errors::default()).await?)
}

async fn account_page(visit: &Visit, errors: Errors) -> Result<AccountPage, Failure> {
    let signed_in = visit.member()?;
    let sessions = account::sessions(visit.app(), signed_in).await?;
    let rows = sessions.into_iter().map(|session| SessionRow {
        id: session.id.0,
        browser: session.user_agent.unwrap_or_else(|| "Unknown browser".to_owned()),
        address: session.ip_address.unwrap_or_else(|| "unknown".to_owned()),
        last_used: shown(session.last_used_at),
        is_this: session.id == signed_in.session.id,
    });
    let or_kept = |field: &str, kept: &str| match visit.form.get(field) {
        "" => kept.to_owned(),
        given => given.to_owned(),
    };
    Ok(AccountPage {
        name: or_kept("name", &signed_in.member.name),
        email: or_kept("email", signed_in.member.email.as_str()),
        username: signed_in.member.email.to_string(),
        has_second_factor: signed_in.member.second_factor_at.is_some(),
        sessions: rows.collect(),
        frame: visit.frame("Your account").await?,
        errors,
    })
}

/// Leads back where it went well; shows the form once more where it can be mended.
async fn conclude<T>(visit: &Visit, done: Result<T, Error>, word: &str) -> Answer {
    match done {
        Ok(_) => page::see_other(&format!("{ACCOUNT}?done={word}")),
        Err(Error::Unauthorized) => Err(Failure::SignIn),
        Err(error) => page::refused(&account_page(visit, Errors::from_use_case(error)?).await?),
    }
}

/// `POST /dashboard/account/name`
pub async fn rename(visit: &mut Visit) -> Answer {
    let renamed = account::rename(visit.app(), visit.member()?, visit.form.get("name"), &visit.browser).await;
    conclude(visit, renamed, "name-changed").await
}

/// `POST /dashboard/account/email`
pub async fn change_email(visit: &mut Visit) -> Answer {
    visit.require_recent().await?;
    let email = visit.form.get("email");
    let changed = account::change_email(visit.app(), visit.member()?, email, &visit.browser).await;
    conclude(visit, changed, "email-changed").await
}

/// `POST /dashboard/account/password`
pub async fn change_password(visit: &mut Visit) -> Answer {
    let secret = |field: &str| Secret::new(visit.form.get(field).to_owned());
    let (present, new) = (secret("present_password"), secret("password"));
    match account::change_password(visit.app(), visit.member()?, present, new, &visit.browser).await {
        Ok(()) => page::see_other(&format!("{ACCOUNT}?done=password-changed")),
        Err(SignInError::Wrong) => {
            let errors = Errors::one("present_password", "This is not your present password.");
            page::refused(&account_page(visit, errors).await?)
        }
        Err(error) => {
            let (status, errors, after) = told(error)?;
            retry(page::page(status, &account_page(visit, errors).await?), after)
        }
    }
}

/// `POST /dashboard/account/leave`
pub async fn leave(visit: &mut Visit) -> Answer {
    visit.require_recent().await?;
    let caller = visit.member()?.caller(visit.app(), Environment::Live, &visit.browser)?;
    let leave = async move |unit: &mut UnitOfWork<'_>| team::leave(unit).await;
    match visit.app().transact(&caller, leave).await {
        Ok(()) => page::see_other(&format!("{OVERVIEW}?done=left")),
        left => conclude(visit, left, "left").await,
    }
}

/// `POST /dashboard/account/sessions/end`
pub async fn end_sessions(visit: &mut Visit) -> Answer {
    let only = visit.form.filled("session").and_then(|id| id.parse().ok()).map(SessionId);
    let word = if only.is_some() { "session-ended" } else { "sessions-ended" };
    let ended = account::end_sessions(visit.app(), visit.member()?, only, &visit.browser).await;
    conclude(visit, ended, word).await
}
