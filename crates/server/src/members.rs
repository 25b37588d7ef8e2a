//! `gatepost members …`

use gatepost_app::{
    App, Caller, UnitOfWork,
    people::{
        account,
        invitations::{self, Invite},
        links::Link,
        team::{self, TeamMember},
    },
};
use gatepost_kernel::{MemberId, WorkspaceId};
use gatepost_people::{LinkKind, Role};
use serde_json::{Value, json};

use crate::{Failure, cli::MembersCommand, config::Config, database, keys::explain, output, paging};

/// Runs a command.
pub async fn run(config: &Config, command: MembersCommand) -> Result<(), Failure> {
    let app = match command {
        MembersCommand::Invite { .. } => database::open_with_root(config).await?,
        _ => database::open(config).await?,
    };
    let operator = Caller::command_line(WorkspaceId::ROOT);
    match command {
        MembersCommand::List { workspace, json } => list(&app, WorkspaceId(workspace), json).await?,
        MembersCommand::Invite { email, role, owner, workspace, json } => {
            let link = if email.is_some() { LinkKind::Invitation } else { LinkKind::Setup };
            let role = if owner { Role::Owner } else { role };
            let caller = Caller::command_line(WorkspaceId(workspace));
            let input = Invite { email, role, link };
            let create = async move |unit: &mut UnitOfWork<'_>| invitations::create(unit, input).await;
            let new = app.transact(&caller, create).await.map_err(|e| explain(&e, "workspace", workspace))?;
            let mut object = describe_link(&new.link, config);
            object["id"] = json!(new.invitation.id);
            object["role"] = json!(role);
            object["workspace_id"] = json!(workspace);
            say(json, &object, &format!("invitation {} created", new.invitation.id))?;
        }
        MembersCommand::ResetLink { id, json } => {
            let make = async move |unit: &mut UnitOfWork<'_>| account::reset_link(unit, MemberId(id)).await;
            let (link, _) = app.transact(&operator, make).await.map_err(|e| explain(&e, "member", id))?;
            let mut object = describe_link(&link, config);
            object["id"] = json!(id);
            say(json, &object, &format!("link to reset the password of member {id} created"))?;
        }
        MembersCommand::Disable { id, json } => set_enabled(&app, &operator, (id, false), json).await?,
        MembersCommand::Enable { id, json } => set_enabled(&app, &operator, (id, true), json).await?,
    }
    Ok(())
}

async fn list(app: &App, workspace: WorkspaceId, as_json: bool) -> Result<(), Failure> {
    let caller = Caller::command_line(workspace);
    let all = paging::every(async |request| team::list(app, &caller, None, request).await).await?;
    if as_json {
        return Ok(output::json(&json!({ "data": all.iter().map(describe).collect::<Vec<_>>() }))?);
    }
    for member in &all {
        let TeamMember { member, role, .. } = member;
        let state = if member.disabled_at.is_none() { "enabled" } else { "disabled" };
        output::line(&format!(
            "{}\t{}\t{}\t{state}\t{}",
            member.id,
            member.email,
            role.as_str(),
            member.name
        ))?;
    }
    Ok(())
}

async fn set_enabled(
    app: &App,
    operator: &Caller,
    (id, enabled): (i64, bool),
    as_json: bool,
) -> Result<(), Failure> {
    let set = async move |unit: &mut UnitOfWork<'_>| team::set_enabled(unit, MemberId(id), enabled).await;
    app.transact(operator, set).await.map_err(|e| explain(&e, "member", id))?;
    if as_json {
        output::json(&json!({ "id": id, "enabled": enabled }))?;
    } else {
        output::line(&format!("member {id} {}", if enabled { "enabled" } else { "disabled" }))?;
    }
    Ok(())
}

fn describe(TeamMember { member, role, joined_at }: &TeamMember) -> Value {
    json!({
        "id": member.id,
        "email": member.email,
        "name": member.name,
        "role": role,
        "enabled": member.disabled_at.is_none(),
        "two_factor_enabled": member.second_factor_at.is_some(),
        "last_seen_at": member.last_seen_at,
        "created_at": joined_at,
    })
}

fn describe_link(link: &Link, config: &Config) -> Value {
    json!({ "url": link.url(&config.server_url(config.server.bind)), "expires_at": link.expires_at })
}

/// Says that a link was made, as an object or in lines of which the last is the link.
fn say(as_json: bool, object: &Value, done: &str) -> Result<(), Failure> {
    if as_json {
        return Ok(output::json(object)?);
    }
    let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
    let (expires_at, url) = (text("expires_at"), text("url"));
    Ok(output::line(&format!(
        "{done}; its link works once, until {expires_at}, and is shown only now:\n{url}"
    ))?)
}
