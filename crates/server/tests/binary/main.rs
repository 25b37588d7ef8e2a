//! The binary as its operator runs it.

mod commands;
mod configuration;
mod crashes;
mod forward_auth;
mod life;
mod readme;
mod running;
