//! The pages of a server that listens.

#![expect(clippy::expect_used, reason = "tests")]

mod access;
mod browser;
mod keys;
mod records;
mod signing_in;
