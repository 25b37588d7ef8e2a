//! Workspaces: the tenants, and the platform itself.
//!
//! A key of the root sees and manages all of them; any other key sees its own alone, and may change only what
//! is its own to choose (not its slug and tier).

use std::collections::HashMap;

use gatepost_delivery::{OwnEvent, WorkspaceEventData};
use gatepost_entitlements::OwnFeature;
use gatepost_kernel::{
    Environment, Error, ExternalId, JsonObject, Owner, Page, Result, Workspace, WorkspaceId, text::required,
};
use gatepost_keys::ApiKey;
use gatepost_storage::{ChangeSubject, NewWorkspace, StorageError, Tx, WorkspaceChanges, WorkspaceFilter};
use serde_json::{Map, Value};

use crate::{
    App, Caller, UnitOfWork,
    audit_log::changed_fields,
    entitlements::grow,
    lists::{INCLUDED, ListRequest},
    tenants::settings::WorkspaceSettings,
};

const TARGET: &str = "workspace";
const MAX_SLUG_LEN: usize = 255;
/// How often a generated slug is tried anew when somebody asks for just that one at the same moment.
const SLUG_TRIES: usize = 4;

/// A workspace to be made.
#[derive(Debug, Clone)]
pub struct CreateWorkspace {
    /// A name, as [`gatepost_kernel::text::name`] gives it.
    pub name: String,
    /// A slug, as [`slug()`] gives it; made from the name when there is none.
    pub slug: Option<String>,
    /// The plan; the catalog's default when there is none.
    pub tier: Option<String>,
    /// Settings, as [`WorkspaceSettings::read`] accepts them.
    pub settings: JsonObject,
    /// Which of its customers it is to the platform.
    pub external_id: Option<ExternalId>,
}

/// What to change of a workspace; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateWorkspace {
    /// A name.
    pub name: Option<String>,
    /// A slug; only the platform may set it.
    pub slug: Option<String>,
    /// The plan; only the platform may set it.
    pub tier: Option<String>,
    /// Settings to merge, one level deep; `null` removes.
    pub settings: Option<JsonObject>,
    /// Which of its customers it is to the platform, which alone may set it; `Some(None)` says nothing of
    /// that any more.
    pub external_id: Option<Option<ExternalId>>,
}

/// Checks a slug: lower-case letters, digits and single dashes, at most 255.
///
/// # Errors
/// The error as a sentence.
pub fn slug(text: &str) -> Result<String, String> {
    let word =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if text.is_empty() {
        Err(required("slug"))
    } else if text.len() > MAX_SLUG_LEN {
        Err(format!("The slug may not be greater than {MAX_SLUG_LEN} characters."))
    } else if text.split('-').all(word) {
        Ok(text.to_owned())
    } else {
        Err("The slug may only contain lower-case letters, digits and single dashes between them.".to_owned())
    }
}

/// Gives a workspace the domains that its settings name, whose pages are its own from then on.
async fn set_domains(unit: &mut UnitOfWork<'_>, id: WorkspaceId, domains: &[String]) -> Result<()> {
    let taken = unit.tx.pixel_domain_set(id, domains).await?;
    let mut errors = gatepost_kernel::FieldErrors::default();
    for domain in taken {
        errors.add("settings.pixel.domains", format!("The domain {domain} belongs to another workspace."));
    }
    if errors.is_empty() { Ok(()) } else { Err(errors.into()) }
}

/// Which workspaces to list.
#[derive(Debug, Clone, Default)]
pub struct ListWorkspaces {
    /// One plan only.
    pub tier: Option<String>,
    /// The one of this customer only.
    pub external_id: Option<ExternalId>,
    /// Whether to answer their first keys too.
    pub with_api_keys: bool,
}

/// A workspace, with its first keys if they were asked for.
pub type WorkspaceWithKeys = (Workspace, Option<Vec<ApiKey>>);

/// One page of the workspaces that the caller sees.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn list(
    app: &App,
    caller: &Caller,
    query: ListWorkspaces,
    request: ListRequest,
) -> Result<Page<WorkspaceWithKeys>> {
    let only = (!caller.is_root()).then(|| caller.home());
    let environment = (caller.environment() == Environment::Test).then_some(Environment::Test);
    let ListWorkspaces { tier, external_id, with_api_keys } = query;
    app.read_snapshot(async move |mut tx| {
        let page = tx.workspace_list(&WorkspaceFilter { only, tier, external_id }, &request).await?;
        let mut keys = match with_api_keys {
            true => {
                let ids: Vec<WorkspaceId> = page.items.iter().map(|workspace| workspace.id).collect();
                Some(first_keys(&mut tx, &ids, environment).await?)
            }
            false => None,
        };
        Ok(page.map(|workspace| {
            let own = keys.as_mut().map(|keys| keys.remove(&workspace.id).unwrap_or_default());
            (workspace, own)
        }))
    })
    .await
}

/// The first keys of some workspaces that are not revoked.
async fn first_keys(
    tx: &mut Tx<'_>,
    workspaces: &[WorkspaceId],
    environment: Option<Environment>,
) -> Result<HashMap<WorkspaceId, Vec<ApiKey>>> {
    let mut keys: HashMap<_, Vec<ApiKey>> = HashMap::new();
    for key in tx.api_key_first_of_each(workspaces, environment, INCLUDED).await? {
        keys.entry(key.workspace_id).or_default().push(key);
    }
    Ok(keys)
}

/// One workspace, with its first keys if asked for.
///
/// # Errors
/// [`Error::NotFound`], also if the caller may not see it; [`Error::Unavailable`].
pub async fn get(
    app: &App,
    caller: &Caller,
    id: WorkspaceId,
    with_api_keys: bool,
) -> Result<WorkspaceWithKeys> {
    visible(caller, id)?;
    let environment = (caller.environment() == Environment::Test).then_some(Environment::Test);
    app.read(async move |mut tx| {
        let workspace = tx.workspace_get(id).await?.ok_or(Error::NotFound)?;
        let keys = match with_api_keys {
            true => Some(first_keys(&mut tx, &[id], environment).await?.remove(&id).unwrap_or_default()),
            false => None,
        };
        Ok((workspace, keys))
    })
    .await
}

/// Makes a workspace.
///
/// # Errors
/// [`Error::AccessDenied`] unless the caller is a live key of the root; [`Error::Validation`].
pub async fn create(unit: &mut UnitOfWork<'_>, input: CreateWorkspace) -> Result<Workspace> {
    unit.caller().require_live()?;
    unit.caller().require_root()?;
    let tier = input.tier.unwrap_or_else(|| unit.catalog().default_plan().to_owned());
    unit.catalog().check_tier("tier", &tier).map_err(|error| Error::invalid("tier", error))?;
    // Held until the commit, so that new workspaces are judged one at a time.
    let root = unit.tx.workspace_lock(WorkspaceId::ROOT).await?.ok_or(Error::NotFound)?;
    grow(unit, &root, OwnFeature::Workspaces).await?;
    let settings = WorkspaceSettings::default().changed(input.settings)?;
    require_free(unit, input.external_id.as_ref(), None).await?;
    let domains = settings.domains().to_vec();
    let new = NewWorkspace {
        id: None,
        slug: String::new(),
        tier,
        settings: settings.into_given(),
        external_id: input.external_id,
        created_at: unit.now,
        name: input.name,
    };
    let workspace = match input.slug {
        Some(slug) => {
            unit.tx.workspace_insert(&NewWorkspace { slug, ..new }).await?.ok_or_else(slug_taken)?
        }
        None => insert_with_free_slug(unit, new).await?,
    };
    if !domains.is_empty() {
        set_domains(unit, workspace.id, &domains).await?;
        unit.changed(ChangeSubject::Workspace(workspace.id));
    }
    record(unit, &workspace, unit.caller().home(), OwnEvent::WorkspaceCreated, Map::new());
    Ok(workspace)
}

/// Changes a workspace.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::AccessDenied`] for a test key, and for a slug, a tier or an external id unless
/// the caller is of the root; [`Error::Validation`].
pub async fn update(unit: &mut UnitOfWork<'_>, id: WorkspaceId, input: UpdateWorkspace) -> Result<Workspace> {
    visible(unit.caller(), id)?;
    unit.caller().require_live()?;
    if let Some(external_id) = &input.external_id {
        unit.caller().require_root()?;
        // Held until the commit, so that nobody else takes it meanwhile.
        unit.tx.workspace_lock(WorkspaceId::ROOT).await?;
        require_free(unit, external_id.as_ref(), Some(id)).await?;
    }
    let before = unit.tx.workspace_lock(id).await?.ok_or(Error::NotFound)?;
    unit.check_match(before.updated_at)?;
    let now = unit.now_after(before.updated_at);
    if input.slug.is_some() {
        // Slugs are unique among all tenants: to let one choose would let it find out who else is here.
        unit.caller().require_root()?;
    }
    if let Some(tier) = &input.tier {
        unit.caller().require_root()?;
        unit.catalog().check_tier("tier", tier).map_err(|error| Error::invalid("tier", error))?;
        let of_root = unit.catalog().root_plan();
        if id.is_root() && tier != of_root {
            let error = format!("The tier of the root workspace is {of_root}, as the configuration says.");
            return Err(Error::invalid("tier", error));
        }
    }
    let old = WorkspaceSettings::stored(before.settings.clone());
    let settings = input.settings.map(|changes| old.changed(changes)).transpose()?;
    if settings.as_ref().is_some_and(|new| new.time_zone != old.time_zone) {
        // Periods begin at midnight there: who could move it would begin a new one at will.
        unit.caller().require_root()?;
    }
    if settings.as_ref().is_some_and(|new| new.billing_url != old.billing_url) {
        // People pay where this leads.
        unit.caller().require_root()?;
    }
    if let Some(new) = settings.as_ref().filter(|new| new.domains() != old.domains()) {
        // Whose a domain is nobody here can prove: to claim somebody else's would be to have their visits.
        unit.caller().require_root()?;
        set_domains(unit, id, new.domains()).await?;
    }
    let settings = settings.map(WorkspaceSettings::into_given);
    let UpdateWorkspace { name, slug, tier, external_id, .. } = input;
    let changes = WorkspaceChanges { name, slug, tier, settings, external_id };
    let fields = changed_fields(&[
        ("name", changes.name.is_some()),
        ("slug", changes.slug.is_some()),
        ("tier", changes.tier.is_some()),
        ("settings", changes.settings.is_some()),
        ("external_id", changes.external_id.is_some()),
    ]);
    let workspace = match unit.tx.workspace_update(id, changes, now).await {
        Err(StorageError::Duplicate(_)) => return Err(slug_taken()),
        updated => updated?.ok_or(Error::NotFound)?,
    };
    unit.changed(ChangeSubject::Workspace(id));
    record(unit, &workspace, id, OwnEvent::WorkspaceUpdated, fields);
    Ok(workspace)
}

/// Deletes a workspace; its keys stop at once.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] for the root and for the caller's own; [`Error::AccessDenied`]
/// for a test key.
pub async fn delete(unit: &mut UnitOfWork<'_>, id: WorkspaceId) -> Result<()> {
    visible(unit.caller(), id)?;
    unit.caller().require_live()?;
    if id.is_root() {
        return Err(Error::Conflict("The root workspace cannot be deleted.".to_owned()));
    }
    if id == unit.caller().home() {
        return Err(Error::Conflict("An API key cannot delete its own workspace.".to_owned()));
    }
    let now = unit.now;
    let workspace = unit.tx.workspace_lock(id).await?.ok_or(Error::NotFound)?;
    unit.check_match(workspace.updated_at)?;
    if !unit.tx.workspace_delete(id, now).await? {
        return Err(Error::NotFound);
    }
    let endpoints = unit.tx.webhook_endpoint_ids(id).await?;
    for some in endpoints.chunks(1_000) {
        unit.tx.webhook_endpoint_delete(some, now).await?;
    }
    unit.tx.pixel_domain_set(id, &[]).await?;
    unit.changed(ChangeSubject::Workspace(id));
    record(unit, &workspace, unit.caller().home(), OwnEvent::WorkspaceDeleted, Map::new());
    Ok(())
}

fn visible(caller: &Caller, id: WorkspaceId) -> Result<()> {
    if caller.is_root() || caller.home() == id { Ok(()) } else { Err(Error::NotFound) }
}

/// Refuses an external id that another workspace than `own` has. The root is locked meanwhile.
async fn require_free(
    unit: &mut UnitOfWork<'_>,
    external_id: Option<&ExternalId>,
    own: Option<WorkspaceId>,
) -> Result<()> {
    let Some(external_id) = external_id else { return Ok(()) };
    match unit.tx.workspace_by_external_id(external_id).await? {
        Some(other) if Some(other) != own => {
            Err(Error::invalid("external_id", "The external id has already been taken."))
        }
        _ => Ok(()),
    }
}

fn slug_taken() -> Error {
    Error::invalid("slug", "The slug has already been taken.")
}

/// Notes the change for the audit log and for the webhooks of `log_of`.
fn record(
    unit: &mut UnitOfWork<'_>,
    workspace: &Workspace,
    log_of: WorkspaceId,
    event: impl FnOnce(WorkspaceEventData) -> OwnEvent,
    details: Map<String, Value>,
) {
    let Workspace { id, name, slug, tier, external_id, .. } = workspace.clone();
    let event = event(WorkspaceEventData { id, name, slug, tier, external_id });
    unit.audit(log_of, event.event_type(), (TARGET, id.0), details);
    unit.happened(Owner::new(log_of, Environment::Live), &event);
}

async fn insert_with_free_slug(unit: &mut UnitOfWork<'_>, new: NewWorkspace) -> Result<Workspace> {
    let base = slug_from_name(&new.name);
    unit.tx.workspace_slug_lock(&base).await?;
    for _ in 0..SLUG_TRIES {
        let taken = unit.tx.workspace_slugs_from(&base).await?;
        let slug = free_slug(&base, &taken);
        if let Some(workspace) = unit.tx.workspace_insert(&NewWorkspace { slug, ..new.clone() }).await? {
            return Ok(workspace);
        }
    }
    Err(Error::unavailable("no free slug was found"))
}

/// A slug from a name in any script; `workspace` if nothing of it can be written so.
fn slug_from_name(name: &str) -> String {
    // Room for a number behind it.
    let mut slug = ::slug::slugify(name);
    slug.truncate(MAX_SLUG_LEN - 20);
    let slug = slug.trim_matches('-');
    if slug.is_empty() { "workspace".to_owned() } else { slug.to_owned() }
}

/// `base`, or the first of `base-2`, `base-3` … that is not taken.
fn free_slug(base: &str, taken: &[String]) -> String {
    let taken: std::collections::HashSet<&str> = taken.iter().map(String::as_str).collect();
    if !taken.contains(base) {
        return base.to_owned();
    }
    let mut number = 2u64;
    loop {
        let slug = format!("{base}-{number}");
        if !taken.contains(slug.as_str()) {
            return slug;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_from_names() {
        for (name, expected) in [
            ("Acme Corporation", "acme-corporation"),
            ("  Ünïcode & Söhne ", "unicode-sohne"),
            ("東京", "dong-jing"),
            ("!!!", "workspace"),
        ] {
            assert_eq!(slug_from_name(name), expected);
        }
        assert!(slug(&slug_from_name(&"x ".repeat(255))).is_ok());
    }

    #[test]
    fn a_collision_takes_the_first_free_number() {
        let taken = ["acme", "acme-2", "acme-4", "acme-corp"].map(str::to_owned);
        assert_eq!(free_slug("acme", &taken), "acme-3");
        assert_eq!(free_slug("acme", &taken[1..]), "acme");
    }

    #[test]
    fn slug_rules() {
        for bad in ["", "A", "a b", "-a", "a-", "a--b", "ä", "a_b", &"x".repeat(256)] {
            assert!(slug(bad).is_err(), "{bad:?}");
        }
        assert!(slug("a-1-b").is_ok());
    }
}
