//! Gatepost's rows, on SQLite or PostgreSQL, chosen at run time by the database's URL.
//!
//! [`Storage::transaction`] runs a whole use-case in one transaction; the [`Tx`] that it hands out has one
//! method for each query, named resource first (`api_key_insert`), in one file per resource. An ordinary query
//! is written once and compiled for both engines by `on_conn!`; where the engines really differ, the two
//! bodies stand side by side in the same file.
//!
//! No rule of the business is decided here, and diesel is named nowhere else.

#[macro_use]
mod bulk;
#[macro_use]
mod engine;

mod analytics;
mod api_key_chains;
mod api_keys;
mod audit_log;
mod changes;
mod day_leases;
mod entitlements;
mod error;
mod events;
mod health;
mod idempotency;
mod list;
mod migrations;
mod pixel;
mod schema;
mod search_words;
mod seo_issues;
mod seo_reports;
mod server_secrets;
mod types;
mod usage;
mod webhook_deliveries;
mod webhook_endpoints;
mod webhook_queue;
mod workspaces;

pub use analytics::{CountedBy, GroupCount};
pub use api_key_chains::CountedKey;
pub use api_keys::{API_KEY_SORTS, ApiKeyChanges, ApiKeyFilter, ApiKeyOwner, NewApiKey};
pub use audit_log::{AUDIT_SORTS, Actor, AuditEntry, AuditFilter, NewAuditEntry};
pub use changes::{Change, ChangeSubject};
pub use day_leases::LeaseHolder;
pub use engine::{DatabaseUrl, Engine, Notice, Op, ServeLock, Storage, Tx};
pub use entitlements::{CounterKey, EntitlementUse};
pub use error::{Result, StorageError};
pub use events::{EVENT_SORTS, NewEvent, StoredEvent};
pub use health::Health;
pub use idempotency::IdempotencyRecord;
pub use list::{Direction, ListRequest, MAX_PAGE_BYTES, Size, SortKey};
pub use migrations::{Migrated, SchemaState};
pub use pixel::{CountedValues, NewPixelEvent, PixelDimension, PixelOwner};
pub use seo_issues::{SEO_ISSUE_SORTS, SeoIssue, SeoIssueFilter};
pub use seo_reports::{NewSeoReport, SEO_REPORT_SORTS, SeoReport};
pub use usage::{DayUsage, RequestCounts, UsageDelta};
pub use webhook_deliveries::{
    WEBHOOK_DELIVERY_SORTS, WebhookAttempt, WebhookDelivery, WebhookDeliveryFilter,
};
pub use webhook_endpoints::{
    NewWebhookEndpoint, PreviousSecret, WEBHOOK_SORTS, WebhookEndpoint, WebhookEndpointChanges,
};
pub use webhook_queue::{
    ClaimedDelivery, DeliveryResult, EndpointTally, NewWebhookDelivery, PostponedDelivery,
};
pub use workspaces::{NewWorkspace, WORKSPACE_SORTS, Workspace, WorkspaceChanges, WorkspaceFilter};
