//! The plans that workspaces and keys have, where the configuration may have others by now.

use gatepost_kernel::{Error, Result, WorkspaceId};
use gatepost_storage::{ApiKeyChanges, ChangeSubject, TierUse, WorkspaceChanges};
use serde_json::Map;

use crate::{App, UnitOfWork};

/// The stored tiers that no plan of the configuration has; the root's left out, which follows the
/// configuration.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn unknown(app: &App) -> Result<Vec<TierUse>> {
    let mut used = in_use(app).await?;
    used.retain(|used| app.catalog().plan(&used.tier).is_none());
    Ok(used)
}

/// The stored tiers, the root's left out.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn in_use(app: &App) -> Result<Vec<TierUse>> {
    app.read(async |mut tx| Ok(tx.tiers_in_use().await?)).await
}

/// Gives all workspaces and keys of a tier another: `(workspaces, keys)`. A key whose workspace's plan has
/// lower rates than the other has its workspace's plan then.
///
/// # Errors
/// [`Error::Validation`] if there is no such plan; [`Error::Unavailable`].
pub async fn replace(unit: &mut UnitOfWork<'_>, old: &str, new: &str) -> Result<(usize, usize)> {
    unit.catalog().check_tier("tier", new).map_err(|error| Error::invalid("tier", error))?;
    let workspaces = unit.tx.workspaces_of_tier(old).await?;
    for id in &workspaces {
        give(unit, *id, new.to_owned()).await?;
    }
    let keys = unit.tx.api_keys_of_tier(old).await?;
    for key in &keys {
        let of_workspace = unit.tx.workspace_get(key.workspace_id).await?.map(|workspace| workspace.tier);
        let fits = of_workspace.is_some_and(|tier| unit.catalog().check_key_tier(new, &tier).is_ok());
        let changes =
            ApiKeyChanges { rate_limit_tier: Some(fits.then(|| new.to_owned())), ..ApiKeyChanges::default() };
        let now = unit.now_after(key.updated_at);
        unit.tx.api_key_update(key.id, changes, now).await?;
        unit.changed(ChangeSubject::ApiKey(key.id));
        unit.audit(key.workspace_id, "api_key.updated", ("api_key", key.id.0), Map::new());
    }
    Ok((workspaces.len(), keys.len()))
}

/// Gives a workspace a plan, at the operator's word.
pub(super) async fn give(unit: &mut UnitOfWork<'_>, id: WorkspaceId, tier: String) -> Result<()> {
    let before = unit.tx.workspace_lock(id).await?.ok_or(Error::NotFound)?;
    let now = unit.now_after(before.updated_at);
    let changes = WorkspaceChanges { tier: Some(tier), ..WorkspaceChanges::default() };
    unit.tx.workspace_update(id, changes, now).await?.ok_or(Error::NotFound)?;
    unit.changed(ChangeSubject::Workspace(id));
    unit.audit(id, "workspace.updated", ("workspace", id.0), Map::new());
    Ok(())
}
