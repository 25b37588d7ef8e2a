//! How people are asked to join a workspace, and how they do.

use gatepost_kernel::{Error, InvitationId, MemberId, Page, Result, Secret, WorkspaceId, random, text};
use gatepost_people::{Email, Invitation, InvitationStatus, LinkKind, Member, Membership, OpaqueToken, Role};
use gatepost_storage::{InvitationFilter, NewInvitation, NewMember, Tx};
use serde_json::{Map, json};

use super::{
    Browser, INVITATION, MEMBER,
    links::{self, Link},
    require_team_admin,
    sign_in::{self, Began, SignInError},
    team::may_grant,
};
use crate::{App, Caller, UnitOfWork, lists::ListRequest};

/// Whom to ask.
#[derive(Debug, Clone)]
pub struct Invite {
    /// The address; none to let whoever opens the link say who they are.
    pub email: Option<Email>,
    /// Role in the workspace.
    pub role: Role,
    /// What the link is for, which says how long it works.
    pub link: LinkKind,
}

/// An invitation with what stands in its link, which is shown this once.
#[derive(Debug)]
pub struct NewLink {
    /// The invitation.
    pub invitation: Invitation,
    /// The link.
    pub link: Link,
    /// The token in it.
    pub token: OpaqueToken,
}

/// Asks somebody to join the workspace. An earlier link for the same address works no more.
///
/// # Errors
/// [`Error::AccessDenied`] without the scope `team:admin`, and for a role that the caller may not give;
/// [`Error::Conflict`] if the address belongs to a member already, or the dashboard is switched off.
pub async fn create(unit: &mut UnitOfWork<'_>, input: Invite) -> Result<NewLink> {
    require_team_admin(unit.caller())?;
    links::require_dashboard(unit.app())?;
    may_grant(unit.app(), unit.caller(), unit.caller().workspace_id(), input.role)?;
    let (now, workspace_id) = (unit.now, unit.caller().workspace_id());
    unit.tx.workspace_lock(workspace_id).await?.ok_or(Error::NotFound)?;
    if let Some(email) = &input.email {
        if let Some(member) = unit.tx.member_by_email(email).await?
            && unit.tx.membership_get(workspace_id, member.id).await?.is_some()
        {
            return Err(Error::Conflict(
                "This address belongs to a member of the workspace already.".to_owned(),
            ));
        }
        unit.tx.invitation_revoke_of(workspace_id, email, now).await?;
    }
    let token = OpaqueToken::generate(&mut random::rng());
    let new = NewInvitation {
        workspace_id,
        email: input.email,
        role: input.role,
        digest: token.digest(),
        invited_by: unit.caller().acting().map(|acting| acting.member_id),
        created_at: now,
        expires_at: now.plus(input.link.lifetime()),
    };
    let invitation = unit.tx.invitation_insert(&new).await?;
    let link = Link::new(input.link, &token, invitation.expires_at);
    let details = Map::from_iter([
        ("email".to_owned(), json!(invitation.email)),
        ("role".to_owned(), json!(invitation.role.as_str())),
    ]);
    unit.audit(workspace_id, "invitation.created", (INVITATION, invitation.id.0), details);
    Ok(NewLink { invitation, link, token })
}

/// One page of the invitations to the workspace; all, or those of one status.
///
/// # Errors
/// [`Error::AccessDenied`] without the scope `team:admin`; [`Error::Unavailable`].
pub async fn list(
    app: &App,
    caller: &Caller,
    status: Option<InvitationStatus>,
    request: ListRequest,
) -> Result<Page<Invitation>> {
    require_team_admin(caller)?;
    let status = status.map(|status| (status, app.now()));
    let filter = InvitationFilter { workspace_id: caller.workspace_id(), status };
    app.read_snapshot(async move |mut tx| Ok(tx.invitation_list(&filter, &request).await?)).await
}

/// An invitation to the workspace.
///
/// # Errors
/// [`Error::NotFound`]; otherwise as [`list`].
pub async fn get(app: &App, caller: &Caller, id: InvitationId) -> Result<Invitation> {
    require_team_admin(caller)?;
    let workspace = caller.workspace_id();
    app.read(async move |mut tx| tx.invitation_get(workspace, id).await?.ok_or(Error::NotFound)).await
}

/// Takes an invitation back that nobody has accepted.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::AccessDenied`] if the caller may not give its role; [`Error::Conflict`] if
/// it was accepted, or taken back before.
pub async fn revoke(unit: &mut UnitOfWork<'_>, id: InvitationId) -> Result<()> {
    require_team_admin(unit.caller())?;
    let (now, workspace) = (unit.now, unit.caller().workspace_id());
    let invitation = unit.tx.invitation_get(workspace, id).await?.ok_or(Error::NotFound)?;
    may_grant(unit.app(), unit.caller(), workspace, invitation.role)?;
    if !unit.tx.invitation_revoke(id, now).await? {
        let status = invitation.status(now).as_str();
        return Err(Error::Conflict(format!("This invitation is {status}.")));
    }
    unit.audit(workspace, "invitation.revoked", (INVITATION, id.0), Map::new());
    Ok(())
}

/// What somebody sees who opens the link of an invitation.
#[derive(Debug)]
pub struct Opened {
    /// The invitation.
    pub invitation: Invitation,
    /// Name of the workspace.
    pub workspace: String,
    /// The member who asks; none if a key or the operator does.
    pub invited_by: Option<Member>,
    /// Whether the address has an account, whose password it takes.
    pub has_account: bool,
}

/// What a link that works is about. Looking uses nothing up.
///
/// # Errors
/// [`Error::NotFound`] for a link that is unknown, used, taken back or expired, which are not told apart.
pub async fn open(app: &App, token: &OpaqueToken) -> Result<Opened> {
    let (digest, now) = (token.digest(), app.now());
    app.read(async move |mut tx: Tx<'_>| {
        let invitation = tx.invitation_by_digest(digest).await?.ok_or(Error::NotFound)?;
        if invitation.status(now) != InvitationStatus::Pending {
            return Err(Error::NotFound);
        }
        let workspace = tx.workspace_get(invitation.workspace_id).await?.ok_or(Error::NotFound)?.name;
        let invited_by = match invitation.invited_by {
            Some(id) => tx.member_get(id).await?,
            None => None,
        };
        let has_account = match &invitation.email {
            Some(email) => tx.member_by_email(email).await?.is_some(),
            None => false,
        };
        Ok(Opened { invitation, workspace, invited_by, has_account })
    })
    .await
}

/// What somebody says of themselves who accepts an invitation.
#[derive(Debug, Clone)]
pub struct Accept {
    /// The address, where the invitation names none.
    pub email: Option<String>,
    /// What people call them; not needed where there is an account.
    pub name: String,
    /// The password: a new one, or that of the account that the address has.
    pub password: Secret,
}

/// Joins a workspace by the link of an invitation, with a new account or the one that the address has, and
/// signs in.
///
/// # Errors
/// [`Error::NotFound`] as [`open`]; [`Error::Validation`] for the name, the address or a new password;
/// [`SignInError::Wrong`] and [`SignInError::TooMany`] for the password of an account.
pub async fn accept(
    app: &App,
    token: &OpaqueToken,
    input: Accept,
    browser: Browser,
) -> Result<Began, SignInError> {
    let Opened { invitation, workspace, .. } = open(app, token).await?;
    let email = match (&invitation.email, &input.email) {
        (Some(email), _) => Some(email.clone()),
        (None, given) => given.as_deref().and_then(Email::parse),
    };
    let Some(email) = email else {
        return Err(Error::invalid("email", "The email must be a valid email address.".to_owned()).into());
    };
    let find = email.clone();
    let account = app.read(async move |mut tx| Ok(tx.member_by_email(&find).await?)).await?;
    let (id, workspace_id, role) = (invitation.id, invitation.workspace_id, invitation.role);
    if account.is_some() {
        let proved = sign_in::prove(app, email.as_str(), input.password, &browser).await?;
        let caller = Caller::anonymous(workspace_id, browser.request_id.clone(), browser.address);
        let began = app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| {
            use_up(unit, id, workspace_id).await?;
            join(unit, proved.member.id, workspace_id, role).await?;
            sign_in::begin(unit, &proved, workspace_id, &browser).await
        });
        return sign_in::or_wrong(began.await);
    }
    let name = text::name("name", &input.name).map_err(|error| Error::invalid("name", error))?;
    let known = vec![name.clone(), email.local_part().to_owned(), workspace, "Gatepost".to_owned()];
    app.passwords().check(input.password.clone(), known).await?;
    let password = app.passwords().hash(input.password).await?;
    let caller = Caller::anonymous(workspace_id, browser.request_id.clone(), browser.address);
    let began = app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| {
        use_up(unit, id, workspace_id).await?;
        let new = NewMember { email, name, password, created_at: unit.now };
        // Somebody was faster; whoever opens the link again is asked for the password of the account.
        let taken = || Error::Conflict("This address has an account by now. Open the link again.".to_owned());
        let member = unit.tx.member_insert(&new).await?.ok_or_else(taken)?;
        join(unit, member.id, workspace_id, role).await?;
        sign_in::begin(unit, &sign_in::Proved::fresh(member), workspace_id, &browser).await
    });
    Ok(began.await?)
}

/// Uses an invitation; of several at once one succeeds.
async fn use_up(unit: &mut UnitOfWork<'_>, id: InvitationId, workspace: WorkspaceId) -> Result<()> {
    let now = unit.now;
    unit.tx.workspace_lock(workspace).await?.ok_or(Error::NotFound)?;
    if !unit.tx.invitation_accept(id, now).await? {
        return Err(Error::NotFound);
    }
    unit.audit(workspace, "invitation.accepted", (INVITATION, id.0), Map::new());
    Ok(())
}

async fn join(
    unit: &mut UnitOfWork<'_>,
    member_id: MemberId,
    workspace_id: WorkspaceId,
    role: Role,
) -> Result<()> {
    let membership = Membership { member_id, workspace_id, role, created_at: unit.now };
    if unit.tx.membership_insert(&membership).await? {
        let details = Map::from_iter([("role".to_owned(), json!(role.as_str()))]);
        unit.audit(workspace_id, "member.joined", (MEMBER, member_id.0), details);
    }
    Ok(())
}
