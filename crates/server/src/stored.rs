//! What is stored against what is configured: what stops the start, and what is told.

use gatepost_app::{
    App, TierUse,
    keys::api_keys,
    stored_secrets,
    tenants::{first_start, tiers},
};
use gatepost_kernel::chain;
use gatepost_storage::Storage;

use crate::{Failure, config::Config, keys::explain, secrets};

/// Stops the start where secrets could not be read, or would stay readable for everybody.
pub async fn check_secrets(config: &Config, storage: &Storage) -> Result<(), Failure> {
    let stored = stored_secrets::survey(storage).await.map_err(|e| explain(&e, "stored secret", 0))?;
    if let Some(text) = secrets::unbound(&stored) {
        tracing::warn!("{text}");
    }
    match secrets::errors(config, &stored).as_slice() {
        [] => Ok(()),
        errors => Err(errors.join("\n").into()),
    }
}

/// Stops the start where workspaces or keys have a plan that there is not, and tells of keys that nobody can
/// use any more.
pub async fn check_plans_and_keys(app: &App) -> Result<(), Failure> {
    let unknown = tiers::unknown(app).await?;
    if !unknown.is_empty() {
        return Err(unknown_tiers(&unknown).join("\n").into());
    }
    // Only a server that starts moves the root: another program's configuration may be another one.
    if first_start::follow_root_plan(app).await? {
        tracing::info!(
            plan = app.catalog().root_plan(),
            "the root workspace has the plan that the configuration says"
        );
    }
    match unaccepted_keys(app).await {
        Ok(text) => text.into_iter().for_each(|text| tracing::warn!("{text}")),
        Err(error) => tracing::warn!(error = %chain(error.as_ref()), "stored keys could not be looked at"),
    }
    Ok(())
}

/// What is said of stored tiers without a plan, each with the command that mends it.
pub fn unknown_tiers(unknown: &[TierUse]) -> Vec<String> {
    let told = |TierUse { tier, workspaces, keys }: &TierUse| {
        format!(
            "{workspaces} workspaces and {keys} keys have the plan {tier:?}, which the configuration does not define; define it, or \
             give them another: gatepost workspaces replace-tier {tier} PLAN"
        )
    };
    unknown.iter().map(told).collect()
}

/// What is said of keys whose beginning is accepted no more, if there are any.
pub async fn unaccepted_keys(app: &App) -> Result<Option<String>, Failure> {
    let heads: Vec<String> = app.token_format().heads().map(str::to_owned).collect();
    let (lost, all) = api_keys::beginning_otherwise(app, heads).await?;
    Ok((lost > 0).then(|| {
        format!(
            "{lost} of {all} API keys begin with what is not accepted any more, and are refused; [contract] accepted_key_prefixes \
             lets them pass"
        )
    }))
}
