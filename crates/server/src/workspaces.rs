//! `gatepost workspaces …`

use gatepost_app::{
    App, Caller, UnitOfWork, Workspace,
    tenants::{tiers, workspaces},
};
use gatepost_kernel::{JsonObject, WorkspaceId, text};
use serde_json::{Value, json};

use crate::{Failure, cli::WorkspacesCommand, config::Config, database, keys::explain, output, paging};

/// Runs a command.
pub async fn run(config: &Config, command: WorkspacesCommand) -> Result<(), Failure> {
    let app = match command {
        WorkspacesCommand::Create { .. } => database::open_with_root(config).await?,
        WorkspacesCommand::List { .. } | WorkspacesCommand::ReplaceTier { .. } => {
            database::open(config).await?
        }
    };
    let caller = Caller::command_line(WorkspaceId::ROOT);
    match command {
        WorkspacesCommand::Create { name, tier, external_id, json } => {
            let name = text::name("name", &name)?;
            let settings = JsonObject::default();
            let input = workspaces::CreateWorkspace { name, slug: None, tier, settings, external_id };
            let create = async move |unit: &mut UnitOfWork<'_>| workspaces::create(unit, input).await;
            let workspace = app.transact(&caller, create).await.map_err(|e| explain(&e, "workspace", 0))?;
            if json {
                output::json(&describe(&workspace))?;
            } else {
                output::line(&format!("workspace {} created ({})", workspace.id, workspace.slug))?;
            }
        }
        WorkspacesCommand::ReplaceTier { old, new, json } => {
            let (from, to) = (old.clone(), new.clone());
            let replace = async move |unit: &mut UnitOfWork<'_>| tiers::replace(unit, &from, &to).await;
            let (workspaces, keys) =
                app.transact(&caller, replace).await.map_err(|e| explain(&e, "workspace", 0))?;
            if json {
                output::json(&json!({ "workspaces": workspaces, "keys": keys }))?;
            } else {
                output::line(&format!(
                    "{workspaces} workspaces and {keys} keys have {new} in place of {old}"
                ))?;
            }
        }
        WorkspacesCommand::List { json } => {
            let all = every(&app, &caller).await?;
            if json {
                output::json(&json!({ "data": all.iter().map(describe).collect::<Vec<_>>() }))?;
            } else {
                for workspace in &all {
                    let Workspace { id, slug, tier, name, .. } = workspace;
                    output::line(&format!("{id}\t{slug}\t{tier}\t{name}"))?;
                }
            }
        }
    }
    Ok(())
}

/// All workspaces.
///
/// # Errors
/// Those of [`workspaces::list`].
pub async fn every(app: &App, caller: &Caller) -> gatepost_kernel::Result<Vec<Workspace>> {
    let query = workspaces::ListWorkspaces::default();
    paging::every(async |request| {
        let page = workspaces::list(app, caller, query.clone(), request).await?;
        Ok(page.map(|(workspace, _)| workspace))
    })
    .await
}

fn describe(workspace: &Workspace) -> Value {
    let Workspace { id, name, slug, tier, external_id, created_at, .. } = workspace;
    json!({
        "id": id,
        "name": name,
        "slug": slug,
        "tier": tier,
        "external_id": external_id,
        "created_at": created_at,
    })
}
