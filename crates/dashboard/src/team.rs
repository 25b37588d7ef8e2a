//! The people of the workspace: members, invitations and sessions.

use askama::Template;
use gatepost_app::{
    UnitOfWork,
    lists::ListRequest,
    people::{
        forms::Submission,
        invitations::{self, Invite},
        sessions,
        team::{self, TeamMember},
    },
};
use gatepost_kernel::{Error, InvitationId, MemberId, Page, PageRequest, Secret, SessionId, Window, random};
use gatepost_people::{Email, InvitationStatus, LinkKind, OpaqueToken, Role};

use crate::{
    form::Errors,
    page::{self, Answer, Failure, Frame, shown},
    places::{TEAM, TEAM_ADMIN},
    visit::{Visit, role_label},
};

/// How many of each are shown.
const SHOWN: u32 = 100;

struct MemberRow {
    id: i64,
    name: String,
    email: String,
    role: &'static str,
    role_label: &'static str,
    two_factor: bool,
    enabled: bool,
    last_seen: String,
    is_me: bool,
    /// Whether the role can be changed by whoever looks.
    can_change: bool,
}

struct InvitationRow {
    id: i64,
    email: String,
    role: &'static str,
    expires: String,
}

struct SessionRow {
    id: i64,
    member: String,
    browser: String,
    address: String,
    last_used: String,
    is_this: bool,
}

/// A role that can be given.
struct Choice {
    value: &'static str,
    label: &'static str,
    about: &'static str,
}

#[derive(Template)]
#[template(path = "team.html")]
struct TeamPage {
    frame: Frame,
    errors: Errors,
    form_id: String,
    email: String,
    role: String,
    roles: Vec<Choice>,
    members: Vec<MemberRow>,
    more_members: u64,
    invitations: Vec<InvitationRow>,
    sessions: Vec<SessionRow>,
}

#[derive(Template)]
#[template(path = "invited.html")]
struct InvitedPage {
    frame: Frame,
    email: String,
    url: String,
    expires: String,
}

/// What a role may do, in a sentence.
fn about(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Sees everything but the audit log and the data of events.",
        Role::Developer => "Also makes and revokes keys, webhooks, events and records.",
        Role::Admin => "Does everything but decide who is an owner.",
        Role::Owner => "Does everything.",
    }
}

/// `GET /dashboard/settings/team`
pub async fn show(visit: &mut Visit) -> Answer {
    page::ok(&team_page(visit, Errors::default()).await?)
}

fn first_page() -> ListRequest {
    ListRequest::of(Window::Page(PageRequest { offset: 0, per_page: SHOWN }))
}

async fn team_page(visit: &Visit, errors: Errors) -> Result<TeamPage, Failure> {
    let (app, caller, signed_in) = (visit.app(), visit.caller(&TEAM_ADMIN)?, visit.member()?);
    let own = signed_in.shown.role;
    let Page { items, total, .. } = team::list(app, &caller, None, first_page()).await?;
    let pending = Some(InvitationStatus::Pending);
    let invited = invitations::list(app, &caller, pending, first_page()).await?.items;
    let live = sessions::list(app, &caller, None, first_page()).await?.items;
    let name_of = |id: MemberId| {
        let member = items.iter().find(|one| one.member.id == id);
        member.map_or_else(|| format!("Member {id}"), |one| one.member.name.clone())
    };
    let sessions = live.into_iter().map(|session| SessionRow {
        id: session.id.0,
        member: name_of(session.member_id),
        browser: session.user_agent.unwrap_or_else(|| "Unknown browser".to_owned()),
        address: session.ip_address.unwrap_or_else(|| "unknown".to_owned()),
        last_used: shown(session.last_used_at),
        is_this: session.id == signed_in.session.id,
    });
    let sessions = sessions.collect();
    let invitations = invited.into_iter().map(|invitation| InvitationRow {
        id: invitation.id.0,
        email: invitation.email.map_or_else(|| "Whoever has the link".to_owned(), |email| email.to_string()),
        role: role_label(invitation.role),
        expires: shown(invitation.expires_at),
    });
    let more_members = total.unwrap_or_default().saturating_sub(items.len() as u64);
    let members = items.into_iter().map(|TeamMember { member, role, .. }| MemberRow {
        id: member.id.0,
        is_me: member.id == signed_in.member.id,
        can_change: own.may_grant(role) && member.id != signed_in.member.id,
        name: member.name,
        email: member.email.to_string(),
        role: role.as_str(),
        role_label: role_label(role),
        two_factor: member.second_factor_at.is_some(),
        enabled: member.disabled_at.is_none(),
        last_seen: member.last_seen_at.map_or_else(|| "never".to_owned(), shown),
    });
    let roles = Role::ALL.into_iter().filter(|role| own.may_grant(*role)).map(|role| Choice {
        value: role.as_str(),
        label: role_label(role),
        about: about(role),
    });
    Ok(TeamPage {
        frame: visit.frame("Team").await?,
        errors,
        form_id: OpaqueToken::generate(&mut random::rng()).expose().to_owned(),
        email: visit.form.get("email").to_owned(),
        role: visit.form.filled("role").unwrap_or("developer").to_owned(),
        roles: roles.collect(),
        members: members.collect(),
        more_members,
        invitations: invitations.collect(),
        sessions,
    })
}

/// `POST /dashboard/settings/team/invite`
pub async fn invite(visit: &mut Visit) -> Answer {
    let mut errors = Errors::default();
    let (email, role) = (Email::parse(visit.form.get("email")), Role::parse(visit.form.get("role")));
    if email.is_none() {
        errors.add("email", "Enter an e-mail address, such as ada@example.com.");
    }
    if role.is_none() {
        errors.add("role", "Choose a role.");
    }
    let id = visit.form.id().ok_or(Failure::Unreadable)?;
    let (Some(email), Some(role)) = (email, role) else {
        return page::refused(&team_page(visit, errors).await?);
    };
    visit.require_recent().await?;
    let (submission, base) = (Submission::new(id, visit.form.fields()), visit.base_url.clone());
    let invite = Invite { email: Some(email.clone()), role, link: LinkKind::Invitation };
    let caller = visit.caller(&TEAM_ADMIN)?;
    let made = visit.app().submit(&caller, submission, async move |unit: &mut UnitOfWork<'_>| {
        let link = invitations::create(unit, invite).await?.link;
        Ok(Secret::new(format!("{}\n{}", link.url(&base), shown(link.expires_at))))
    });
    match made.await {
        Ok(text) => {
            let (url, expires) = text.expose().split_once('\n').unwrap_or_default();
            let frame = visit.frame("Invitation created").await?;
            let (url, expires) = (url.to_owned(), expires.to_owned());
            page::ok(&InvitedPage { frame, email: email.to_string(), url, expires })
        }
        Err(Error::Unauthorized) => Err(Failure::SignIn),
        Err(error) => page::refused(&team_page(visit, Errors::from_use_case(error)?).await?),
    }
}

/// Leads back to the team where it went well; says on its page why not otherwise.
async fn conclude<T>(visit: &Visit, done: Result<T, Error>, word: &str) -> Answer {
    match done {
        Ok(_) => page::see_other(&format!("{TEAM}?done={word}")),
        Err(Error::Unauthorized) => Err(Failure::SignIn),
        Err(error) => page::refused(&team_page(visit, Errors::from_use_case(error)?).await?),
    }
}

/// `POST /dashboard/settings/team/invitations/{id}/revoke`
pub async fn revoke_invitation(visit: &mut Visit) -> Answer {
    let (id, caller) = (InvitationId(visit.id()?), visit.caller(&TEAM_ADMIN)?);
    let revoke = async move |unit: &mut UnitOfWork<'_>| invitations::revoke(unit, id).await;
    let revoked = visit.app().transact(&caller, revoke).await;
    conclude(visit, revoked, "invitation-revoked").await
}

/// `POST /dashboard/settings/team/members/{id}/role`
pub async fn set_role(visit: &mut Visit) -> Answer {
    let role = Role::parse(visit.form.get("role")).ok_or(Failure::Unreadable)?;
    visit.require_recent().await?;
    let (id, caller) = (MemberId(visit.id()?), visit.caller(&TEAM_ADMIN)?);
    let set = async move |unit: &mut UnitOfWork<'_>| team::set_role(unit, id, role).await;
    let set = visit.app().transact(&caller, set).await;
    conclude(visit, set, "role-changed").await
}

/// `POST /dashboard/settings/team/members/{id}/remove`
pub async fn remove(visit: &mut Visit) -> Answer {
    visit.require_recent().await?;
    let (id, caller) = (MemberId(visit.id()?), visit.caller(&TEAM_ADMIN)?);
    let remove = async move |unit: &mut UnitOfWork<'_>| team::remove(unit, id).await;
    let removed = visit.app().transact(&caller, remove).await;
    conclude(visit, removed, "member-removed").await
}

/// `POST /dashboard/settings/team/sessions/{id}/end`
pub async fn end_session(visit: &mut Visit) -> Answer {
    let (id, caller) = (SessionId(visit.id()?), visit.caller(&TEAM_ADMIN)?);
    let end = async move |unit: &mut UnitOfWork<'_>| sessions::end(unit, id).await;
    let ended = visit.app().transact(&caller, end).await;
    conclude(visit, ended, "session-ended").await
}
