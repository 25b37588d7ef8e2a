//! What members change of their own account, and how an operator lets one choose another password.
//!
//! What proves who somebody is takes a recent proof to be changed ([`Session::is_recent`]), which
//! [`sign_in::confirm`] gives.

use gatepost_kernel::{Error, MemberId, Result, Secret, SessionId, Workspace, WorkspaceId, random, text};
use gatepost_people::{
    AuthenticatorSecret, Email, LinkKind, Member, OpaqueToken, RecoveryCode, Role, Session,
};
use gatepost_storage::{MemberChanges, StorageError, Tx};
use serde_json::{Map, json};

use super::{
    Browser, MEMBER,
    links::{self, Link},
    second_factor,
    sign_in::{self, SignInError, SignedIn},
    team::{self, may_grant},
};
use crate::{Acting, App, Caller, UnitOfWork};

/// Refuses what takes a recent proof of who somebody is.
///
/// # Errors
/// [`Error::AccessDenied`] without one.
pub fn require_recent(app: &App, signed_in: &SignedIn) -> Result<()> {
    match signed_in.session.is_recent(app.now()) {
        true => Ok(()),
        false => Err(Error::AccessDenied("Confirm first who you are.".to_owned())),
    }
}

/// The member as who they change their own account.
fn own(app: &App, signed_in: &SignedIn, browser: &Browser) -> Result<(Caller, Acting)> {
    let caller = signed_in.caller(app, gatepost_kernel::Environment::Live, browser)?;
    let acting = caller.acting().cloned().ok_or(Error::Unauthorized)?;
    Ok((caller, acting))
}

/// Changes what people call the member.
///
/// # Errors
/// [`Error::Validation`].
pub async fn rename(app: &App, signed_in: &SignedIn, name: &str, browser: &Browser) -> Result<Member> {
    let name = text::name("name", name).map_err(|error| Error::invalid("name", error))?;
    let changes = MemberChanges { name: Some(name), ..MemberChanges::default() };
    change(app, signed_in, changes, "name", browser).await
}

/// Changes the address by which the member signs in.
///
/// # Errors
/// [`Error::AccessDenied`] without a recent proof; [`Error::Validation`], also for an address that has
/// another account.
pub async fn change_email(app: &App, signed_in: &SignedIn, email: &str, browser: &Browser) -> Result<Member> {
    require_recent(app, signed_in)?;
    let email = Email::parse(email)
        .ok_or_else(|| Error::invalid("email", "The email must be a valid email address.".to_owned()))?;
    let changes = MemberChanges { email: Some(email), ..MemberChanges::default() };
    change(app, signed_in, changes, "email", browser).await
}

async fn change(
    app: &App,
    signed_in: &SignedIn,
    changes: MemberChanges,
    field: &'static str,
    browser: &Browser,
) -> Result<Member> {
    let (caller, acting) = own(app, signed_in, browser)?;
    app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| {
        let (id, now) = (acting.member_id, unit.now);
        let changed = match unit.tx.member_update(id, changes, now).await {
            Err(StorageError::Duplicate(_)) => {
                return Err(Error::invalid("email", "The email has already been taken.".to_owned()));
            }
            changed => changed?.ok_or(Error::Unauthorized)?,
        };
        let details = Map::from_iter([("fields".to_owned(), json!([field]))]);
        unit.audit(acting.workspace_id, "member.updated", (MEMBER, id.0), details);
        Ok(changed)
    })
    .await
}

/// Chooses another password, which takes the present one. All other sessions of the member end.
///
/// # Errors
/// [`SignInError::Wrong`] for the present password; [`Error::Validation`] for the new one.
pub async fn change_password(
    app: &App,
    signed_in: &SignedIn,
    present: Secret,
    new: Secret,
    browser: &Browser,
) -> Result<(), SignInError> {
    let (caller, acting) = own(app, signed_in, browser)?;
    let proved = sign_in::prove(app, signed_in.member.email.as_str(), present, browser).await?;
    let password = checked(app, &signed_in.member, new).await?;
    let session = signed_in.session.id;
    let changed = app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| {
        let (id, now) = (acting.member_id, unit.now);
        // A link may have set another one meanwhile, and ended this session.
        proved.still_holds(unit).await?;
        unit.tx.member_set_password(id, &password, now).await?;
        unit.tx.password_reset_delete(id).await?;
        unit.tx.session_delete_of(id, Some(session)).await?;
        unit.audit(acting.workspace_id, "member.password_changed", (MEMBER, id.0), Map::new());
        Ok(())
    });
    sign_in::or_wrong(changed.await)
}

/// What is kept of a new password of a member, if it is good enough.
async fn checked(app: &App, member: &Member, new: Secret) -> Result<gatepost_people::PasswordHash> {
    let known = vec![member.name.clone(), member.email.local_part().to_owned(), "Gatepost".to_owned()];
    app.passwords().check(new.clone(), known).await?;
    app.passwords().hash(new).await
}

/// Adds the second factor, once a code shows that the member's app has its secret; the recovery codes, which
/// are shown this once. All other sessions of the member end.
///
/// # Errors
/// [`Error::AccessDenied`] without a recent proof; [`Error::Validation`] for the code.
pub async fn add_second_factor(
    app: &App,
    signed_in: &SignedIn,
    secret: AuthenticatorSecret,
    code: String,
    browser: &Browser,
) -> Result<Vec<RecoveryCode>> {
    require_recent(app, signed_in)?;
    let (caller, acting) = own(app, signed_in, browser)?;
    let session = signed_in.session.id;
    app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| {
        let codes = second_factor::set(unit, &acting, &secret, &code).await?;
        unit.tx.session_delete_of(acting.member_id, Some(session)).await?;
        Ok(codes)
    })
    .await
}

/// Takes the second factor away. Members of the root workspace keep theirs.
///
/// # Errors
/// [`Error::AccessDenied`] without a recent proof; [`Error::Conflict`] for members of the root workspace.
pub async fn remove_second_factor(app: &App, signed_in: &SignedIn, browser: &Browser) -> Result<()> {
    require_recent(app, signed_in)?;
    if signed_in.memberships.iter().any(|membership| membership.workspace_id.is_root()) {
        return Err(Error::Conflict("Members of the root workspace need a second factor.".to_owned()));
    }
    let (caller, acting) = own(app, signed_in, browser)?;
    app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| second_factor::remove(unit, &acting).await)
        .await
}

/// Gives the member other recovery codes, which are shown this once, in place of those before.
///
/// # Errors
/// [`Error::AccessDenied`] without a recent proof; [`Error::Conflict`] without a second factor.
pub async fn renew_recovery_codes(
    app: &App,
    signed_in: &SignedIn,
    browser: &Browser,
) -> Result<Vec<RecoveryCode>> {
    require_recent(app, signed_in)?;
    if signed_in.member.second_factor_at.is_none() {
        return Err(Error::Conflict("There is no second factor that codes could stand in for.".to_owned()));
    }
    let (caller, acting) = own(app, signed_in, browser)?;
    app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| {
        second_factor::renew_codes(unit, &acting).await
    })
    .await
}

/// Whether nobody belongs to the root workspace yet, so that the link of the first start is to be used.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn is_new(app: &App) -> Result<bool> {
    app.read(async |mut tx: Tx<'_>| Ok(tx.membership_count(WorkspaceId::ROOT).await? == 0)).await
}

/// The workspaces of the member that are not deleted, in the order in which they joined, with their role.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn workspaces(app: &App, signed_in: &SignedIn) -> Result<Vec<(Workspace, Role)>> {
    let memberships = signed_in.memberships.clone();
    app.read(async move |mut tx: Tx<'_>| {
        let mut workspaces = Vec::with_capacity(memberships.len());
        for membership in memberships {
            let found = tx.workspace_get(membership.workspace_id).await?;
            workspaces.extend(found.map(|workspace| (workspace, membership.role)));
        }
        Ok(workspaces)
    })
    .await
}

/// Whether a member needs a second factor that they do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactorDuty {
    /// They have one, or need none.
    Done,
    /// They are the only member of the root workspace, and may add one later where nobody but the machine
    /// itself reaches the server.
    Later,
    /// They must add one before anything else.
    Now,
}

/// Whether the member needs a second factor: members of the root workspace do, since they can do everything to
/// all tenants.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn second_factor_duty(app: &App, signed_in: &SignedIn) -> Result<SecondFactorDuty> {
    let of_root = signed_in.memberships.iter().any(|membership| membership.workspace_id.is_root());
    if !of_root || signed_in.member.second_factor_at.is_some() {
        return Ok(SecondFactorDuty::Done);
    }
    let members = app.read(async |mut tx: Tx<'_>| Ok(tx.membership_count(WorkspaceId::ROOT).await?)).await?;
    Ok(if members > 1 { SecondFactorDuty::Now } else { SecondFactorDuty::Later })
}

/// The sessions of the member that have not ended, the newest first.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn sessions(app: &App, signed_in: &SignedIn) -> Result<Vec<Session>> {
    let (id, now, limits) = (signed_in.member.id, app.now(), app.session_limits());
    let all = app.read(async move |mut tx| Ok(tx.sessions_of(id).await?)).await?;
    Ok(all.into_iter().filter(|session| session.is_live(limits, now)).collect())
}

/// Ends a session of the member, or all but the one in which it is asked.
///
/// # Errors
/// [`Error::NotFound`] for a session that is not the member's.
pub async fn end_sessions(
    app: &App,
    signed_in: &SignedIn,
    only: Option<SessionId>,
    browser: &Browser,
) -> Result<()> {
    let (caller, acting) = own(app, signed_in, browser)?;
    let session = signed_in.session.id;
    app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| {
        let id = acting.member_id;
        match only {
            Some(only) => {
                let found = unit.tx.session_get(only).await?.filter(|session| session.member_id == id);
                found.ok_or(Error::NotFound)?;
                unit.tx.session_delete(only).await?;
            }
            None => {
                unit.tx.session_delete_of(id, Some(session)).await?;
            }
        }
        unit.audit(acting.workspace_id, "member.sessions_ended", (MEMBER, id.0), Map::new());
        Ok(())
    })
    .await
}

/// Lets a member choose another password by a link, which is shown this once. The second factor stays.
///
/// # Errors
/// [`Error::AccessDenied`] for all but the platform: an account may belong to other tenants too;
/// [`Error::NotFound`]; [`Error::Conflict`] if the dashboard is switched off.
pub async fn reset_link(unit: &mut UnitOfWork<'_>, id: MemberId) -> Result<(Link, OpaqueToken)> {
    let (token, now) = (OpaqueToken::generate(&mut random::rng()), unit.now);
    team::account(unit, id).await?;
    links::require_dashboard(unit.app())?;
    let memberships = unit.tx.memberships_of(id).await?;
    // Whoever has the link is that member.
    for membership in &memberships {
        may_grant(unit.app(), unit.caller(), membership.workspace_id, membership.role)?;
    }
    let expires_at = now.plus(LinkKind::Reset.lifetime());
    unit.tx.password_reset_set(id, token.digest(), expires_at).await?;
    for membership in memberships {
        unit.audit(membership.workspace_id, "member.reset_link_made", (MEMBER, id.0), Map::new());
    }
    Ok((Link::new(LinkKind::Reset, &token, expires_at), token))
}

/// Whom a link lets choose another password. Looking uses nothing up.
///
/// # Errors
/// [`Error::NotFound`] for a link that is unknown, used or expired, which are not told apart.
pub async fn open_reset(app: &App, token: &OpaqueToken) -> Result<Member> {
    let (digest, now) = (token.digest(), app.now());
    app.read(async move |mut tx: Tx<'_>| {
        let id = tx.password_reset_get(digest, now).await?.ok_or(Error::NotFound)?;
        let member = tx.member_get(id).await?.ok_or(Error::NotFound)?;
        if member.disabled_at.is_some() { Err(Error::NotFound) } else { Ok(member) }
    })
    .await
}

/// Chooses another password by a link. All sessions of the member end; the second factor is asked for at the
/// next sign-in.
///
/// # Errors
/// [`Error::NotFound`] as [`open_reset`]; [`Error::Validation`] for the password.
pub async fn reset_password(
    app: &App,
    token: &OpaqueToken,
    new: Secret,
    browser: &Browser,
) -> Result<Member> {
    let member = open_reset(app, token).await?;
    let password = checked(app, &member, new).await?;
    let (digest, id) = (token.digest(), member.id);
    let memberships = app.read(async move |mut tx| Ok(tx.memberships_of(id).await?)).await?;
    let home = memberships.first().map_or(WorkspaceId::ROOT, |first| first.workspace_id);
    let caller = Caller::anonymous(home, browser.request_id.clone(), browser.address);
    app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| {
        let now = unit.now;
        let works = unit.tx.password_reset_get(digest, now).await? == Some(id);
        // Of several at once one succeeds.
        if !works || !unit.tx.password_reset_delete(id).await? {
            return Err(Error::NotFound);
        }
        unit.tx.member_set_password(id, &password, now).await?;
        unit.tx.session_delete_of(id, None).await?;
        for membership in &memberships {
            unit.audit(membership.workspace_id, "member.password_reset", (MEMBER, id.0), Map::new());
        }
        Ok(())
    })
    .await?;
    Ok(member)
}
