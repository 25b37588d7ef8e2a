//! The audit log: one row for each change, written in the change's own transaction, never changed after.

use std::net::IpAddr;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, NullableExpressionMethods, QueryDsl, Queryable,
    Selectable, SelectableHelper,
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{
    ApiKeyId, AuditEntryId, Environment, MemberId, Page, Position, RequestId, Timestamp, WorkspaceId,
};
use serde_json::{Map, Value};

use crate::{
    Result, StorageError, Tx,
    list::{self, ListRequest, Narrowed, SortKey, load_list, narrow},
    schema::audit_log,
    types::Bind,
};

/// What the log can be sorted by.
pub const AUDIT_SORTS: &[SortKey] = &[SortKey::new("created_at", "audit_log.created_at")];

/// Which rows to list.
#[derive(Debug, Clone)]
pub struct AuditFilter {
    /// In whose log they stand.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// One action only.
    pub action: Option<String>,
    /// Done to one kind of thing only.
    pub target_type: Option<String>,
    /// Done to the things of one number only.
    pub target_id: Option<i64>,
    /// Done in one request only.
    pub request_id: Option<String>,
    /// Of a request only what a tenant may know of: what the platform did is left out.
    pub is_for_tenant: bool,
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// An API key, and the workspace that it belongs to.
    ApiKey(ApiKeyId, WorkspaceId),
    /// Somebody who has signed in, and the workspace that they act for.
    Member(MemberId, WorkspaceId),
    /// Somebody who could not say who they are, or only by a link.
    Anonymous,
    /// The operator at the server: its command line, or its first start.
    CommandLine,
    /// A key or member of the root workspace, or the operator at the server: what a tenant is told of them. It is
    /// never stored.
    Platform,
}

gatepost_kernel::described_words!(Actor, "AuditActorType", "Kind of actor of a change.", Actor::NAMES);

impl Actor {
    const API_KEY: &str = "api_key";
    const MEMBER: &str = "member";
    const ANONYMOUS: &str = "anonymous";
    const COMMAND_LINE: &str = "command_line";
    const PLATFORM: &str = "platform";
    /// The words for the kinds of actors.
    pub const NAMES: [&str; 5] =
        [Self::API_KEY, Self::MEMBER, Self::ANONYMOUS, Self::COMMAND_LINE, Self::PLATFORM];

    /// The word for the kind of actor.
    pub fn kind(self) -> &'static str {
        match self {
            Self::ApiKey(..) => Self::API_KEY,
            Self::Member(..) => Self::MEMBER,
            Self::Anonymous => Self::ANONYMOUS,
            Self::CommandLine => Self::COMMAND_LINE,
            Self::Platform => Self::PLATFORM,
        }
    }

    /// Whether it is the platform's, not a tenant's.
    fn is_of_platform(self) -> bool {
        match self {
            Self::ApiKey(_, workspace) | Self::Member(_, workspace) => workspace.is_root(),
            Self::Anonymous => false,
            Self::CommandLine | Self::Platform => true,
        }
    }
}

/// A row to be written.
#[derive(Debug, Clone)]
pub struct NewAuditEntry {
    /// In whose log it stands.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// What was done, e.g. `api_key.created`.
    pub action: &'static str,
    /// Who did it.
    pub actor: Actor,
    /// What kind of thing it was done to, e.g. `api_key`.
    pub target_type: &'static str,
    /// Which one.
    pub target_id: i64,
    /// In which request.
    pub request_id: Option<RequestId>,
    /// From which address.
    pub ip_address: Option<IpAddr>,
    /// What is worth knowing beside; never a secret.
    pub details: Map<String, Value>,
    /// When.
    pub created_at: Timestamp,
}

/// A row that was written.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// Numeric id of the entry.
    pub id: AuditEntryId,
    /// In whose log it stands.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// What was done.
    pub action: String,
    /// Who did it.
    pub actor: Actor,
    /// What kind of thing it was done to.
    pub target_type: String,
    /// Which one.
    pub target_id: i64,
    /// In which request.
    pub request_id: Option<String>,
    /// From which address.
    pub ip_address: Option<String>,
    /// What is worth knowing beside.
    pub details: Map<String, Value>,
    /// When.
    pub created_at: Timestamp,
}

impl AuditEntry {
    /// The entry as a tenant reads it: of what the platform did, not which of its keys did it, from where and
    /// in which request.
    pub fn for_tenant(mut self) -> Self {
        if self.actor.is_of_platform() {
            self.actor = Actor::Platform;
            self.request_id = None;
            self.ip_address = None;
        }
        self
    }
}

/// What an entry says.
#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = audit_log, treat_none_as_default_value = false)]
struct AuditRow {
    workspace_id: Bind<WorkspaceId>,
    environment: Bind<Environment>,
    action: String,
    actor_type: String,
    actor_id: Bind<Option<i64>>,
    actor_workspace_id: Bind<Option<WorkspaceId>>,
    target_type: String,
    target_id: Bind<i64>,
    request_id: Option<String>,
    ip_address: Option<String>,
    details: Bind<Map<String, Value>>,
    created_at: Bind<Timestamp>,
}

/// The same with its id.
#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_log)]
struct KeptAuditRow {
    id: AuditEntryId,
    #[diesel(embed)]
    row: AuditRow,
}

impl From<&NewAuditEntry> for AuditRow {
    fn from(new: &NewAuditEntry) -> Self {
        let (actor_id, actor_workspace_id) = match new.actor {
            Actor::ApiKey(id, workspace) => (Some(id.0), Some(workspace)),
            Actor::Member(id, workspace) => (Some(id.0), Some(workspace)),
            Actor::Anonymous | Actor::CommandLine | Actor::Platform => (None, None),
        };
        Self {
            workspace_id: Bind(new.workspace_id),
            environment: Bind(new.environment),
            action: new.action.to_owned(),
            actor_type: new.actor.kind().to_owned(),
            actor_id: Bind(actor_id),
            actor_workspace_id: Bind(actor_workspace_id),
            target_type: new.target_type.to_owned(),
            target_id: Bind(new.target_id),
            request_id: new.request_id.as_ref().map(|id| id.as_str().to_owned()),
            ip_address: new.ip_address.map(|ip| ip.to_string()),
            details: Bind(new.details.clone()),
            created_at: Bind(new.created_at),
        }
    }
}

impl TryFrom<KeptAuditRow> for AuditEntry {
    type Error = StorageError;

    fn try_from(KeptAuditRow { id, row }: KeptAuditRow) -> Result<Self> {
        let actor = match (row.actor_type.as_str(), row.actor_id.0, row.actor_workspace_id.0) {
            (Actor::API_KEY, Some(id), Some(workspace)) => Actor::ApiKey(ApiKeyId(id), workspace),
            (Actor::MEMBER, Some(id), Some(workspace)) => Actor::Member(MemberId(id), workspace),
            (Actor::ANONYMOUS, ..) => Actor::Anonymous,
            (Actor::COMMAND_LINE, ..) => Actor::CommandLine,
            _ => return Err(StorageError::corrupt(format!("actor of audit entry {id}"))),
        };
        Ok(Self {
            id,
            workspace_id: row.workspace_id.0,
            environment: row.environment.0,
            action: row.action,
            actor,
            target_type: row.target_type,
            target_id: row.target_id.0,
            request_id: row.request_id,
            ip_address: row.ip_address,
            details: row.details.0,
            created_at: row.created_at.0,
        })
    }
}

impl Tx<'_> {
    /// Writes a row.
    pub async fn audit_entry_insert(&mut self, new: &NewAuditEntry) -> Result<()> {
        let row = AuditRow::from(new);
        on_conn!(self, |c| diesel::insert_into(audit_log::table).values(&row).execute(c).await?);
        Ok(())
    }

    /// One page of a workspace's log in one environment.
    pub async fn audit_entry_list(
        &mut self,
        filter: &AuditFilter,
        request: &ListRequest,
    ) -> Result<Page<AuditEntry>> {
        let (rows, total, fitting): (Vec<KeptAuditRow>, Option<i64>, Option<u32>) =
            on_conn!(self, |c, Db| {
                load_list!(c, request, audit_log.id, KeptAuditRow, || {
                    let all = audit_log::table
                        .filter(audit_log::workspace_id.eq(Bind(filter.workspace_id)))
                        .filter(audit_log::environment.eq(Bind(filter.environment)));
                    let matching = Narrowed::new(all.into_boxed::<Db>())
                        .when(filter.action.as_ref(), |query, action| {
                            query.filter(audit_log::action.eq(Bind(action)))
                        })
                        .when(filter.target_type.as_ref(), |query, target_type| {
                            query.filter(audit_log::target_type.eq(Bind(target_type)))
                        })
                        .when(filter.target_id, |query, target_id| {
                            query.filter(audit_log::target_id.eq(Bind(target_id)))
                        })
                        .when(filter.request_id.as_ref(), |query, request_id| {
                            let query = query.filter(audit_log::request_id.assume_not_null().eq(request_id));
                            match filter.is_for_tenant {
                                true => query.filter(
                                    audit_log::actor_workspace_id
                                        .assume_not_null()
                                        .ne(Bind(WorkspaceId::ROOT)),
                                ),
                                false => query,
                            }
                        });
                    narrow!(matching, request, audit_log::created_at, log audit_log::id)
                })
            });
        let items = rows.into_iter().map(AuditEntry::try_from).collect::<Result<_>>()?;
        let position = |row: &AuditEntry| Some(Position { at: row.created_at, id: row.id.0 });
        Ok(list::page(items, (total, fitting), request, position))
    }
}
