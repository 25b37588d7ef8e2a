//! API keys: made, listed, changed, rotated, revoked.
//!
//! What keeps a key from widening its own rights: it hands out only scopes that it holds, and it rotates or
//! changes only keys all of whose scopes it holds (rotating shows a secret, so anything less would sell every
//! key to whoever holds `api-keys:write`). In its own workspace it also hands out no later end, no wider
//! addresses and no higher tier than its own.

use std::{sync::LazyLock, time::Duration};

use gatepost_delivery::{ApiKeyEventData, OwnEvent, RotatedApiKeyEventData};
use gatepost_entitlements::{Access, Catalog, OwnFeature};
use gatepost_gate::{AFTERMATH, Principal};
use gatepost_kernel::{
    ApiKeyId, Environment, Error, ExternalId, FieldErrors, JsonObject, Owner, Page, Result, Secret,
    Timestamp, random,
};
use gatepost_keys::{ApiKey, IpAllowlist, KeyStatus, Metadata, Scope, ScopeSet, Token, grace_end};
use gatepost_limits::day_of;
use gatepost_storage::{ApiKeyChanges, ApiKeyFilter, ChangeSubject, CountedKey, LeaseHolder, NewApiKey, Tx};
use serde_json::{Map, Value, json};

use crate::{
    App, Caller, UnitOfWork, Workspace,
    audit_log::changed_fields,
    entitlements::grow,
    lists::{API_KEY_SORTS, Direction, ListRequest, SortKey},
};

const TARGET: &str = "api_key";

/// A key to be made.
#[derive(Debug, Clone, Default)]
pub struct CreateApiKey {
    /// A name, as [`gatepost_kernel::text::name`] gives it.
    pub name: String,
    /// What it may do; `read` and `write` when there are none.
    pub scopes: Option<ScopeSet>,
    /// The caller's own when there is none.
    pub environment: Option<Environment>,
    /// The plan for its limits; the caller's own when there is none, or the workspace's.
    pub rate_limit_tier: Option<String>,
    /// From where it may be used; from where the caller may when there is none.
    pub allowed_ips: Option<IpAllowlist>,
    /// Its end; the caller's own when there is none.
    pub expires_at: Option<Timestamp>,
    /// Whose it is in the system of those who make it.
    pub external_id: Option<ExternalId>,
    /// What they keep with it; members that are `null` are left out.
    pub metadata: JsonObject,
    /// Whether it is disabled until it is enabled.
    pub disabled: bool,
}

/// What to change of a key; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateApiKey {
    /// A name.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Option<ScopeSet>,
    /// From where it may be used.
    pub allowed_ips: Option<IpAllowlist>,
    /// Its end; `Some(None)` takes it away.
    pub expires_at: Option<Option<Timestamp>>,
    /// Whose it is in the system of those who made it; `Some(None)` says nothing of that any more.
    pub external_id: Option<Option<ExternalId>>,
    /// Members to merge into what they keep with it; `null` removes one.
    pub metadata: Option<JsonObject>,
    /// Whether it can be used.
    pub enabled: Option<bool>,
}

/// A key with its secret, which is shown this once.
#[derive(Debug)]
pub struct NewKey {
    /// The key.
    pub key: ApiKey,
    /// The token.
    pub secret: Secret,
}

/// A rotation: the new key with its secret, and until when the old one works beside it.
#[derive(Debug)]
pub struct RotatedKey {
    /// The new key.
    pub new: NewKey,
    /// The end of the old one.
    pub grace_period_ends_at: Timestamp,
}

/// Checks what hangs on the plans that there are, and on the time: the tier and the end of a key.
fn check(unit: &UnitOfWork<'_>, tier: Option<&str>, expires_at: Option<Timestamp>) -> Result<()> {
    let mut errors = FieldErrors::default();
    if let Some(Err(error)) = tier.map(|tier| unit.catalog().check_tier("rate limit tier", tier)) {
        errors.add("rate_limit_tier", error);
    }
    if expires_at.is_some_and(|end| end <= unit.now) {
        errors.add("expires_at", "The expires at must be a date in the future.");
    }
    if errors.is_empty() { Ok(()) } else { Err(errors.into()) }
}

/// Which keys to list.
#[derive(Debug, Clone, Default)]
pub struct ListApiKeys {
    /// One status only; without it, all that are not revoked.
    pub status: Option<KeyStatus>,
    /// Those of one owner only.
    pub external_id: Option<ExternalId>,
    /// One environment only.
    pub environment: Option<Environment>,
    /// Whether to answer their workspace too.
    pub with_workspace: bool,
}

/// The order in which the newest keys come first.
pub fn newest_first() -> Vec<(SortKey, Direction)> {
    let by_id = API_KEY_SORTS.iter().find(|key| key.name == "id");
    by_id.map(|key| (*key, Direction::Descending)).into_iter().collect()
}

/// One page of the keys that the caller manages, and their workspace if asked for.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn list(
    app: &App,
    caller: &Caller,
    query: ListApiKeys,
    request: ListRequest,
) -> Result<(Page<ApiKey>, Option<Workspace>)> {
    let (own, workspace_id) = (caller.environment(), caller.workspace_id());
    let ListApiKeys { status, external_id, environment, with_workspace } = query;
    let hidden = environment.is_some_and(|asked| !own.manages(asked));
    let environment = environment.or((own == Environment::Test).then_some(own));
    let filter = ApiKeyFilter { workspace_id, environment, status, external_id, now: app.now() };
    app.read_snapshot(async move |mut tx| {
        let page = match hidden {
            true => Page::empty(request.window),
            false => tx.api_key_list(&filter, &request).await?,
        };
        let workspace = if with_workspace { tx.workspace_get(workspace_id).await? } else { None };
        Ok((page, workspace))
    })
    .await
}

/// One key that is not revoked, and its workspace if asked for.
///
/// # Errors
/// [`Error::NotFound`], also if the caller may not see it; [`Error::Unavailable`].
pub async fn get(
    app: &App,
    caller: &Caller,
    id: ApiKeyId,
    with_workspace: bool,
) -> Result<(ApiKey, Option<Workspace>)> {
    let workspace_id = caller.workspace_id();
    let read = async move |mut tx: Tx<'_>| {
        let key = tx.api_key_get(workspace_id, id).await?.ok_or(Error::NotFound)?;
        let workspace = if with_workspace { tx.workspace_get(workspace_id).await? } else { None };
        Ok((key, workspace))
    };
    let (key, workspace) = app.read(read).await?;
    match manages(caller, &key) && key.revoked_at.is_none() {
        true => Ok((key, workspace)),
        false => Err(Error::NotFound),
    }
}

/// The key that a request was made with.
#[derive(Debug)]
pub struct OwnKey {
    /// The key.
    pub key: ApiKey,
    /// The workspace that it belongs to.
    pub workspace: Workspace,
    /// The plan whose limits apply to it.
    pub tier: String,
    /// The widest access that the workspace's plan gives its keys.
    pub access: Access,
}

/// The key that the caller presented, whatever its scopes.
///
/// # Errors
/// [`Error::Unauthorized`] if it is gone, or if the caller presented none; [`Error::Unavailable`].
pub async fn own(app: &App, caller: &Caller) -> Result<OwnKey> {
    let principal = caller.principal().ok_or(Error::Unauthorized)?;
    let (id, workspace_id) = (principal.key_id(), principal.workspace_id());
    let read = async move |mut tx: Tx<'_>| {
        let key = tx.api_key_get(workspace_id, id).await?.ok_or(Error::Unauthorized)?;
        Ok((key, tx.workspace_get(workspace_id).await?.ok_or(Error::Unauthorized)?))
    };
    let (key, workspace) = app.read(read).await?;
    let (tier, access) = (principal.limits().name.clone(), principal.access());
    Ok(OwnKey { key, workspace, tier, access })
}

/// Makes a key.
///
/// # Errors
/// [`Error::AccessDenied`] for a scope that the caller does not hold, for a later end, wider addresses or a
/// higher tier than its own, and for a live key asked for by a test key; [`Error::FeatureLimitReached`] at
/// the plan's number of keys; [`Error::Validation`].
pub async fn create(unit: &mut UnitOfWork<'_>, input: CreateApiKey) -> Result<NewKey> {
    let environment = input.environment.unwrap_or(unit.caller().environment());
    let token = Token::generate(unit.app().token_format(), environment, &mut random::rng());
    create_with(unit, input, token).await
}

/// Makes a key whose token is known already.
pub(crate) async fn create_with(
    unit: &mut UnitOfWork<'_>,
    input: CreateApiKey,
    token: Token,
) -> Result<NewKey> {
    check(unit, input.rate_limit_tier.as_deref(), input.expires_at)?;
    let own = unit.caller().environment();
    let environment = token.environment();
    if !own.manages(environment) {
        return Err(Error::AccessDenied("A test key may only manage test keys.".to_owned()));
    }
    let scopes = input.scopes.unwrap_or_else(ScopeSet::default_for_new_keys);
    unit.caller().require_all(&scopes)?;
    let workspace_id = unit.caller().workspace_id();
    // Held until the commit, so that the workspace's limits are judged one new key at a time.
    let workspace = unit.tx.workspace_lock(workspace_id).await?.ok_or(Error::NotFound)?;
    if let Some(tier) = &input.rate_limit_tier {
        let check = unit.catalog().check_key_tier(tier, &workspace.tier);
        check.map_err(|error| Error::invalid("rate_limit_tier", error))?;
    }
    let CreateApiKey { mut rate_limit_tier, mut allowed_ips, mut expires_at, .. } = input;
    if let Some(own) = own_key(unit).await? {
        expires_at = expires_at.or(own.ends_at());
        own.may_give_end(expires_at)?;
        own.may_give_addresses(allowed_ips.get_or_insert_with(|| own.allowed_ips.clone()))?;
        rate_limit_tier = rate_limit_tier.or_else(|| own.rate_limit_tier.clone());
        may_give_tier(&own, unit.catalog(), rate_limit_tier.as_ref().unwrap_or(&workspace.tier))?;
    }
    let metadata = changed_metadata(&Metadata::default(), input.metadata)?;
    grow(unit, &workspace, OwnFeature::ApiKeys).await?;
    let (external_id, disabled) = (input.external_id, input.disabled);
    let new = insert(unit, token, |token, now| NewApiKey {
        workspace_id,
        environment,
        name: input.name,
        prefix: token.prefix().to_owned(),
        digest: token.digest(),
        scopes,
        rate_limit_tier,
        allowed_ips: allowed_ips.unwrap_or_default(),
        expires_at,
        rotated_from_id: None,
        external_id,
        metadata,
        disabled_at: disabled.then_some(now),
        created_at: now,
    })
    .await?;
    let tier = new.key.rate_limit_tier.as_ref().unwrap_or(&workspace.tier);
    if unit.app().gate().allowance(tier).per_day.is_some() {
        begin_day(unit, &new.key).await?;
    }
    record(unit, &new.key, &OwnEvent::ApiKeyCreated(told_of(unit, &new.key)), Map::new());
    Ok(new)
}

/// What is kept with a key after changes.
fn changed_metadata(before: &Metadata, changes: JsonObject) -> Result<Metadata> {
    before.changed(changes).map_err(|error| Error::invalid("metadata", error))
}

/// Notes as spent of a new key's day what the busiest of those has spent that ended just before: it most
/// likely comes in the place of one. Its minute begins where it is first used.
async fn begin_day(unit: &mut UnitOfWork<'_>, new: &ApiKey) -> Result<()> {
    let (now, day) = (unit.now, day_of(unit.now));
    let mut ended = unit.tx.api_keys_ended_between(new.workspace_id, now.minus(AFTERMATH), now).await?;
    // Each is held against leases, in one order everywhere.
    ended.sort_unstable_by_key(CountedKey::counts_as);
    let mut most = 0;
    for key in ended {
        let leased = unit.tx.day_leased(LeaseHolder::Key(key.counts_as()), day).await?;
        most = most.max(leased.saturating_sub(unit.app().gate().unspent(&key, day)));
    }
    if most > 0 {
        unit.tx.day_lease_set(LeaseHolder::Key(new.id), day, most).await?;
    }
    Ok(())
}

/// Changes a key.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::AccessDenied`] if the caller does not hold all scopes that the key has or
/// would get, or would give it a later end or wider addresses than its own; [`Error::FeatureLimitReached`] if
/// an expired key would live again beyond the plan's number of keys; [`Error::Conflict`] if the root
/// workspace would be left without a key that manages its keys.
pub async fn update(unit: &mut UnitOfWork<'_>, id: ApiKeyId, input: UpdateApiKey) -> Result<ApiKey> {
    check(unit, None, input.expires_at.flatten())?;
    let before = lock(unit, id).await?;
    if before.revoked_at.is_some() {
        return Err(Error::NotFound);
    }
    unit.caller().require_all(&before.scopes)?;
    unit.check_match(before.updated_at)?;
    if let Some(scopes) = &input.scopes {
        unit.caller().require_all(scopes)?;
        if !scopes.allows(&*MANAGING) {
            keep_the_platform_managed(unit, &before).await?;
        }
    }
    if input.enabled == Some(false) {
        keep_the_platform_managed(unit, &before).await?;
    }
    if let Some(own) = own_key(unit).await? {
        input.expires_at.map_or(Ok(()), |end| own.may_give_end(end))?;
        input.allowed_ips.as_ref().map_or(Ok(()), |addresses| own.may_give_addresses(addresses))?;
    }
    if before.status(unit.now) == KeyStatus::Expired && input.expires_at.is_some() {
        // To give a dead key a new life is to have one more.
        let workspace = unit.tx.workspace_lock(before.workspace_id).await?.ok_or(Error::NotFound)?;
        grow(unit, &workspace, OwnFeature::ApiKeys).await?;
    }
    let fields = changed_fields(&[
        ("name", input.name.is_some()),
        ("scopes", input.scopes.is_some()),
        ("allowed_ips", input.allowed_ips.is_some()),
        ("expires_at", input.expires_at.is_some()),
        ("external_id", input.external_id.is_some()),
        ("metadata", input.metadata.is_some()),
        ("enabled", input.enabled.is_some()),
    ]);
    let metadata = input.metadata.map(|changes| changed_metadata(&before.metadata, changes)).transpose()?;
    let now = unit.now_after(before.updated_at);
    // Who disables it again does not move the instant since when it is.
    let disabled_at = input.enabled.map(|enabled| (!enabled).then(|| before.disabled_at.unwrap_or(now)));
    let changes = ApiKeyChanges {
        name: input.name,
        scopes: input.scopes,
        allowed_ips: input.allowed_ips,
        expires_at: input.expires_at,
        external_id: input.external_id,
        metadata,
        disabled_at,
        ..ApiKeyChanges::default()
    };
    let key = unit.tx.api_key_update(id, changes, now).await?;
    unit.changed(ChangeSubject::ApiKey(id));
    record(unit, &key, &OwnEvent::ApiKeyUpdated(told_of(unit, &key)), fields);
    Ok(key)
}

/// Replaces a key: the new one takes over name, scopes, tier, addresses, environment, expiry, external id and
/// metadata; the old one ends after `grace`, or with its own expiry if that is earlier.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::AccessDenied`] if the caller does not hold all of the key's scopes, or the
/// key is another's that ends later, is allowed more addresses or has a higher tier than the caller's;
/// [`Error::Conflict`] if the key is revoked, expired, disabled, or was rotated already.
pub async fn rotate(unit: &mut UnitOfWork<'_>, id: ApiKeyId, grace: Duration) -> Result<RotatedKey> {
    let old = lock(unit, id).await?;
    unit.caller().require_all(&old.scopes)?;
    unit.check_match(old.updated_at)?;
    old.rotatable(unit.now)?;
    if let Some(own) = own_key(unit).await?
        && own.id != old.id
    {
        own.may_give_end(old.expires_at)?;
        own.may_give_addresses(&old.allowed_ips)?;
        let workspace = unit.tx.workspace_get(old.workspace_id).await?.ok_or(Error::NotFound)?;
        may_give_tier(&own, unit.catalog(), old.rate_limit_tier.as_ref().unwrap_or(&workspace.tier))?;
    }
    let grace_period_ends_at = grace_end(unit.now, grace, old.expires_at);
    let token = Token::generate(unit.app().token_format(), old.environment, &mut random::rng());
    let new = insert(unit, token, |token, now| NewApiKey {
        workspace_id: old.workspace_id,
        environment: old.environment,
        name: old.name.clone(),
        prefix: token.prefix().to_owned(),
        digest: token.digest(),
        scopes: old.scopes.clone(),
        rate_limit_tier: old.rate_limit_tier.clone(),
        allowed_ips: old.allowed_ips.clone(),
        expires_at: old.expires_at,
        rotated_from_id: Some(old.id),
        external_id: old.external_id.clone(),
        metadata: old.metadata.clone(),
        disabled_at: None,
        created_at: now,
    })
    .await?;
    let now = unit.now_after(old.updated_at);
    unit.tx.api_key_set_rotated(id, new.key.id, grace_period_ends_at, now).await?;
    unit.changed(ChangeSubject::ApiKey(id));
    let details = Map::from_iter([
        ("rotated_from_id".to_owned(), json!(id)),
        ("grace_period_ends_at".to_owned(), json!(grace_period_ends_at)),
    ]);
    let data =
        RotatedApiKeyEventData { key: told_of(unit, &new.key), rotated_from_id: id, grace_period_ends_at };
    record(unit, &new.key, &OwnEvent::ApiKeyRotated(data), details);
    Ok(RotatedKey { new, grace_period_ends_at })
}

/// Revokes a key.
///
/// # Errors
/// [`Error::NotFound`], also if it is revoked already; [`Error::Conflict`] if the root workspace would be
/// left without a key that manages its keys.
pub async fn revoke(unit: &mut UnitOfWork<'_>, id: ApiKeyId) -> Result<()> {
    let key = lock(unit, id).await?;
    if key.revoked_at.is_none() {
        unit.check_match(key.updated_at)?;
    }
    keep_the_platform_managed(unit, &key).await?;
    let now = unit.now;
    if !unit.tx.api_key_revoke(id, now).await? {
        return Err(Error::NotFound);
    }
    unit.changed(ChangeSubject::ApiKey(id));
    record(unit, &key, &OwnEvent::ApiKeyRevoked(told_of(unit, &key)), Map::new());
    Ok(())
}

/// The caller's own key, where it bounds what is handed out: in its own workspace.
async fn own_key(unit: &mut UnitOfWork<'_>) -> Result<Option<ApiKey>> {
    let workspace = unit.caller().workspace_id();
    match unit.caller().principal().filter(|own| own.workspace_id() == workspace).map(Principal::key_id) {
        Some(id) => Ok(unit.tx.api_key_get(workspace, id).await?),
        None => Ok(None),
    }
}

/// Refuses a tier that lifts a limit of a key which has one of its own.
fn may_give_tier(own: &ApiKey, catalog: &Catalog, tier: &str) -> Result<()> {
    match &own.rate_limit_tier {
        Some(bound) if catalog.check_key_tier(tier, bound).is_err() => {
            Err(Error::AccessDenied(format!("This API key may not give a tier above its own ({bound}).")))
        }
        _ => Ok(()),
    }
}

/// What it takes to manage the keys of a workspace.
static MANAGING: LazyLock<Scope> =
    LazyLock::new(|| "api-keys:write".parse().expect("this scope is well-formed"));

/// Refuses to take the last key from the root workspace that can make others there. Only the command line
/// can.
async fn keep_the_platform_managed(unit: &mut UnitOfWork<'_>, key: &ApiKey) -> Result<()> {
    let manages = |key: &ApiKey| key.environment == Environment::Live && key.scopes.allows(&*MANAGING);
    let is_at_stake = key.workspace_id.is_root() && manages(key) && key.status(unit.now) == KeyStatus::Active;
    if !is_at_stake || unit.caller().is_command_line() {
        return Ok(());
    }
    // Held until the commit, so that two do not revoke each other.
    unit.tx.workspace_lock(key.workspace_id).await?;
    let in_force = unit.tx.api_keys_in_force(key.workspace_id, unit.now).await?;
    match in_force.iter().any(|other| other.id != key.id && manages(other)) {
        true => Ok(()),
        false => Err(Error::Conflict(LAST_KEY.to_owned())),
    }
}

const LAST_KEY: &str = "This is the last API key that can manage the root workspace. Make another first, or use `gatepost keys` on \
                        the server.";

fn manages(caller: &Caller, key: &ApiKey) -> bool {
    caller.environment().manages(key.environment)
}

/// The key, if the caller manages it, held until the transaction ends.
async fn lock(unit: &mut UnitOfWork<'_>, id: ApiKeyId) -> Result<ApiKey> {
    let workspace = unit.caller().workspace_id();
    let key = unit.tx.api_key_lock(workspace, id).await?;
    key.filter(|key| manages(unit.caller(), key)).ok_or(Error::NotFound)
}

async fn insert(
    unit: &mut UnitOfWork<'_>,
    token: Token,
    row: impl FnOnce(&Token, Timestamp) -> NewApiKey,
) -> Result<NewKey> {
    let key = unit.tx.api_key_insert(&row(&token, unit.now)).await?;
    Ok(NewKey { key, secret: token.into_secret() })
}

/// How many keys that are not revoked begin with none of `heads`, and how many there are.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn beginning_otherwise(app: &App, heads: Vec<String>) -> Result<(u64, u64)> {
    app.read(async move |mut tx| {
        let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
        Ok(tx.api_keys_beginning_otherwise(&heads).await?)
    })
    .await
}

/// What an event tells of a key.
fn told_of(unit: &UnitOfWork<'_>, key: &ApiKey) -> ApiKeyEventData {
    ApiKeyEventData::new(key, unit.app().scope_order())
}

/// Notes the change for the audit log and for the webhooks of the key's workspace.
fn record(unit: &mut UnitOfWork<'_>, key: &ApiKey, event: &OwnEvent, details: Map<String, Value>) {
    unit.audit(key.workspace_id, event.event_type(), (TARGET, key.id.0), details);
    unit.happened(Owner::new(key.workspace_id, key.environment), event);
}
