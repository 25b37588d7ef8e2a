//! The binary as its operator runs it.

mod bounds;
mod commands;
mod configuration;
mod costs;
mod crashes;
mod deliveries;
mod entitlements;
mod face_resources;
mod faces;
mod first_start;
mod forward_auth;
mod generated_clients;
mod hostile_run;
mod life;
mod logs;
mod mcp;
mod mcp_endpoint;
mod mcp_hostile_servers;
mod name_servers;
mod pixel;
mod readme;
mod running;
mod secret_keys;
mod settings;
mod verifiers;
mod versions;
