//! `docs/DASHBOARD.md`: the roles come from the code.

use std::fmt::Write;

use gatepost_people::Role;

use crate::{Failure, files};

const PAGE: &str = include_str!("dashboard.md");

/// Writes or checks the page.
pub fn run(check: bool) -> Result<(), Failure> {
    let mut roles = "| role | scopes |\n|---|---|\n".to_owned();
    for role in Role::ALL {
        let scopes = role.scopes([]).iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ");
        let but_for = if role == Role::Admin { ", but decides of no owner" } else { "" };
        writeln!(roles, "| {} | {scopes}{but_for} |", role.as_str())?;
    }
    let page = PAGE.replace("{roles}\n", &roles);
    files::write_or_check("docs/DASHBOARD.md", &page, check, "docs")
}
