//! Webhook endpoints, what is delivered to them, and the secrets that this takes.

pub mod endpoints;
pub mod events;
