//! Calling Cargo.

use std::{env, process::Command};

/// Cargo, called as from a shell.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    as_from_a_shell(&mut cargo);
    cargo
}

/// Takes out of a command's environment what Cargo has told this program of itself: the scripts of
/// dependencies look at it, and would be run again, and all be built anew that depends on them, as often as
/// one of these commands takes turns with a shell.
pub fn as_from_a_shell(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(&name);
        }
    }
}
