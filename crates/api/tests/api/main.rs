//! The API through a real listening server, on both engines; the files mirror the routes.

mod analytics;
mod api_keys;
mod as_sent;
mod audit_log;
mod auth_cache;
mod authentication;
mod bodies;
mod entitlements;
mod gate;
mod hostile_clients;
mod http;
mod idempotency;
mod limits;
mod lists;
mod openapi;
mod outcomes;
mod pixel;
mod probes;
mod seats;
mod seo;
mod tenancy;
mod tls;
mod verification;
mod webhook_secrets;
mod webhooks;
mod workspaces;
