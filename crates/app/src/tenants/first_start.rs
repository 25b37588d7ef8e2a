//! The first start on an empty database: the root workspace, and one key to begin with.

use gatepost_kernel::{Environment, JsonObject, Result, Secret, WorkspaceId, random};
use gatepost_keys::{ScopeSet, Token};
use gatepost_people::{LinkKind, Role};
use gatepost_storage::NewWorkspace;

use crate::{
    App, Caller, UnitOfWork,
    keys::api_keys::{self, CreateApiKey},
    people::{
        invitations::{self, Invite},
        links::Link,
    },
    tenants::tiers,
};

/// Makes the root workspace, and a live key with every scope, if the root never had a key. Of several
/// processes that start together on one empty database, one gets the key.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`].
pub async fn with_first_key(app: &App) -> Result<Option<Secret>> {
    let token = Token::generate(app.token_format(), Environment::Live, &mut random::rng());
    Ok(with_this_key(app, token, false, |_| Ok(())).await?.map(|made| made.key))
}

/// What the first start makes, which is shown once.
#[derive(Debug)]
pub struct FirstStart {
    /// A key with every scope.
    pub key: Secret,
    /// The link to the dashboard for its first owner, if it was asked for.
    pub setup: Option<Link>,
}

/// The same with this token for the key, and with a link to set up the dashboard, if that is asked for and there
/// is one. `keep` puts both where they are found again, before the key is committed: a key that nobody knows
/// would be of no use to anybody.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`], and those of `keep`; then there is no key.
pub async fn with_this_key(
    app: &App,
    token: Token,
    with_setup: bool,
    keep: impl FnOnce(&FirstStart) -> Result<()> + Send + 'static,
) -> Result<Option<FirstStart>> {
    let caller = Caller::command_line(WorkspaceId::ROOT);
    app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| {
        insert_root(unit).await?;
        // Whoever comes second waits here until the first has its key.
        unit.tx.workspace_lock(WorkspaceId::ROOT).await?;
        if unit.tx.api_key_any(WorkspaceId::ROOT).await? {
            return Ok(None);
        }
        let key = CreateApiKey {
            name: "First key".to_owned(),
            scopes: Some(ScopeSet::everything()),
            environment: Some(Environment::Live),
            ..CreateApiKey::default()
        };
        let key = api_keys::create_with(unit, key, token).await?.secret;
        let setup = match with_setup && unit.app().settings().dashboard.enabled {
            true => {
                let owner = Invite { email: None, role: Role::Owner, link: LinkKind::Setup };
                Some(invitations::create(unit, owner).await?.link)
            }
            false => None,
        };
        let made = FirstStart { key, setup };
        keep(&made)?;
        Ok(Some(made))
    })
    .await
}

/// Whether a key has this token.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`].
pub async fn is_known(app: &App, token: &Token) -> Result<bool> {
    let digest = token.digest();
    app.read(async move |mut tx| Ok(tx.api_key_by_digest(&digest).await?.is_some())).await
}

/// Makes the root workspace alone, if there is none yet.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`].
pub async fn without_key(app: &App) -> Result<()> {
    let caller = Caller::command_line(WorkspaceId::ROOT);
    app.transact(&caller, async |unit: &mut UnitOfWork<'_>| insert_root(unit).await).await
}

/// Gives the root workspace the plan that the configuration says, whatever it had when it was made; whether
/// it had another.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`].
pub async fn follow_root_plan(app: &App) -> Result<bool> {
    let caller = Caller::command_line(WorkspaceId::ROOT);
    app.transact(&caller, async |unit: &mut UnitOfWork<'_>| {
        let root = unit.tx.workspace_get(WorkspaceId::ROOT).await?;
        let plan = unit.catalog().root_plan().to_owned();
        let differs = root.is_some_and(|root| root.tier != plan);
        if differs {
            tiers::give(unit, WorkspaceId::ROOT, plan).await?;
        }
        Ok(differs)
    })
    .await
}

async fn insert_root(unit: &mut UnitOfWork<'_>) -> Result<()> {
    if unit.tx.workspace_get(WorkspaceId::ROOT).await?.is_some() {
        return Ok(());
    }
    let root = NewWorkspace {
        id: Some(WorkspaceId::ROOT),
        name: "Root".to_owned(),
        slug: "root".to_owned(),
        tier: unit.catalog().root_plan().to_owned(),
        settings: JsonObject::default(),
        external_id: None,
        created_at: unit.now,
    };
    // `None`: another process was faster.
    if unit.tx.workspace_insert(&root).await?.is_some() {
        unit.audit(
            WorkspaceId::ROOT,
            "workspace.created",
            ("workspace", WorkspaceId::ROOT.0),
            serde_json::Map::new(),
        );
    }
    Ok(())
}
