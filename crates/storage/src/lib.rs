//! Gatepost's rows, on SQLite or PostgreSQL, chosen at run time by the database's URL.
//!
//! [`Storage::transaction`] runs a whole use-case in one transaction; the [`Tx`] that it hands out has one
//! method for each query, named resource first (`api_key_insert`), in one file per resource. An ordinary
//! query is written once and compiled for both engines by `on_conn!`; where the engines really differ, the
//! two bodies stand side by side in the same file.
//!
//! No rule of the business is decided here, and diesel is named nowhere else.

#[macro_use]
mod bulk;
#[macro_use]
mod engine;

mod audit_log;
mod changes;
mod entitlements;
mod error;
mod gate;
mod health;
mod idempotency;
mod keys;
mod list;
mod metrics;
mod migrations;
mod people;
mod resources;
mod schema;
mod search_words;
mod server_secrets;
mod statistics;
mod tenants;
mod types;
mod visits;
mod webhooks;

pub use audit_log::{AUDIT_SORTS, Actor, AuditEntry, AuditFilter, NewAuditEntry};
pub use changes::{Change, ChangeSubject};
pub use engine::{DatabaseSettings, DatabaseUrl, Engine, Notice, Op, ReconcileLock, ServeLock, Storage, Tx};
pub use entitlements::{CounterKey, EntitlementUse};
pub use error::{Result, StorageError};
pub use gate::LeaseHolder;
pub use health::Health;
pub use idempotency::IdempotencyRecord;
pub use keys::{
    API_KEY_SORTS, ApiKeyChanges, ApiKeyFilter, ApiKeyOwner, CountedKey, DayUsage, NewApiKey, RequestCounts,
    UsageDelta,
};
pub use list::{Direction, ListRequest, MAX_PAGE_BYTES, Size, SortKey};
pub use migrations::{Migrated, SchemaState};
pub use people::{
    Credentials, INVITATION_SORTS, InvitationFilter, MEMBERSHIP_SORTS, MemberChanges, MembershipFilter,
    NewInvitation, NewMember, NewSession, SESSION_SORTS, SessionFilter, SessionUse,
};
pub use resources::{Beyond, KnownType, NewRecord, RecordFilter, RecordPurge, RecordSet, record_sort};
pub use tenants::{NewWorkspace, TierUse, WORKSPACE_SORTS, WorkspaceChanges, WorkspaceFilter};
pub use visits::{
    CountedBy, CountedValues, GroupCount, NewPixelEvent, NewSeoReport, PixelDimension, PixelOwner,
    SEO_ISSUE_SORTS, SEO_REPORT_SORTS, SeoIssue, SeoIssueFilter, SeoReport,
};
pub use webhooks::{
    ClaimedDelivery, DeliveryResult, EVENT_SORTS, EndpointTally, NewEvent, NewWebhookDelivery,
    NewWebhookEndpoint, PostponedDelivery, QueueDepth, StoredEvent, WEBHOOK_DELIVERY_SORTS, WEBHOOK_SORTS,
    WebhookDeliveryFilter, WebhookEndpointChanges,
};
