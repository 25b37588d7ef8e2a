//! One suite for both engines: what `app` relies on.

mod changes;
mod engine;
mod entitlements;
mod lists;
mod outage;
mod people;
mod records;
mod rows;
mod schema;
mod states;
mod statistics;

use diesel::{Connection, RunQueryDsl, SqliteConnection};
use gatepost_kernel::{Environment, JsonObject, Timestamp, WorkspaceId};
use gatepost_keys::{IpAllowlist, Metadata, ScopeSet, Token, TokenFormat};
use gatepost_storage::{Engine, NewApiKey, NewWorkspace, Result, Storage, StorageError, Tx};
use gatepost_test_support::TestDatabase;
use rand::{SeedableRng, rngs::StdRng};

/// An empty, migrated database.
struct Db {
    storage: Storage,
    _database: TestDatabase,
}

impl Db {
    async fn start(engine: Engine) -> Self {
        let database = TestDatabase::create(engine);
        Self { storage: database.open().await, _database: database }
    }

    /// Makes the workspace that keys can belong to.
    async fn with_root(self) -> Self {
        let insert =
            async |mut tx: Tx<'_>| tx.workspace_insert(&workspace("root", Some(WorkspaceId::ROOT))).await;
        self.storage.transaction::<_, StorageError, _>(insert).await.expect("the root").expect("a fresh id");
        self
    }

    /// Runs a statement past the storage, as nobody else does.
    async fn execute(&self, statement: &str) {
        match self.storage.path() {
            Some(path) => {
                let path = path.to_str().expect("a path of text");
                let mut file = SqliteConnection::establish(path).expect("the file");
                diesel::sql_query(statement).execute(&mut file).expect("a statement");
            }
            None => {
                let connect = tokio_postgres::connect(&self._database.url, tokio_postgres::NoTls);
                let (client, connection) = connect.await.expect("a connection");
                tokio::spawn(connection);
                client.batch_execute(statement).await.expect("a statement");
            }
        }
    }

    async fn key_count(&self) -> u64 {
        use gatepost_storage::{ApiKeyFilter, ListRequest};
        let filter = ApiKeyFilter::of(WorkspaceId::ROOT, at(0));
        let list = async move |mut tx: Tx<'_>| tx.api_key_list(&filter, &ListRequest::default()).await;
        self.storage.read::<_, StorageError, _>(list).await.expect("a page").total.expect("a count")
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + seconds * 1_000_000 + 123_456)
}

fn workspace(slug: &str, id: Option<WorkspaceId>) -> NewWorkspace {
    NewWorkspace {
        id,
        name: "Name".into(),
        slug: slug.into(),
        tier: "free".into(),
        settings: JsonObject::default(),
        external_id: None,
        created_at: at(0),
    }
}

/// A key; each number makes a different one.
fn key(number: u64) -> NewApiKey {
    let token =
        Token::generate(&TokenFormat::default(), Environment::Live, &mut StdRng::seed_from_u64(number));
    NewApiKey {
        workspace_id: WorkspaceId::ROOT,
        environment: Environment::Live,
        name: format!("Key {number}"),
        prefix: token.prefix().to_owned(),
        digest: token.digest(),
        scopes: ScopeSet::default_for_new_keys(),
        rate_limit_tier: None,
        allowed_ips: IpAllowlist::default(),
        expires_at: None,
        rotated_from_id: None,
        external_id: None,
        metadata: Metadata::default(),
        disabled_at: None,
        created_at: at(0),
    }
}

async fn insert_key(storage: &Storage, number: u64) -> Result<gatepost_keys::ApiKey> {
    storage.transaction(async move |mut tx: Tx<'_>| tx.api_key_insert(&key(number)).await).await
}
