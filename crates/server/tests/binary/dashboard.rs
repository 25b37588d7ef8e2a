//! The dashboard in a real browser.

use std::{fs, path::PathBuf};

use gatepost_test_support::both_engines;
use tokio::process::Command;

use crate::running::{Installation, Running};

both_engines! { Installation:
    somebody_sets_it_up_makes_a_key_and_invites_a_colleague,
    the_same_without_javascript,
}

/// Lets a browser walk through the dashboard of a fresh server.
async fn walk(installation: &Installation, script: &str) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program = root.join("target/clients/browser/dashboard.mjs");
    assert!(program.exists(), "`cargo xtask test` installs what this test needs");
    let server = Running::start(installation.command(&["serve", "--bind", "127.0.0.1:0"])).await;
    let text = fs::read_to_string(installation.dir.path().join("gatepost.first-key")).expect("the first key");
    let link = text.lines().nth(1).and_then(|line| line.split(": ").nth(1)).expect("the link");
    let mut node = Command::new("node");
    let output = node.arg(program).args([link, script]).kill_on_drop(true).output().await.expect("node");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stdout));
    server.stop().await;
}

async fn somebody_sets_it_up_makes_a_key_and_invites_a_colleague(installation: Installation) {
    walk(&installation, "on").await;
}

async fn the_same_without_javascript(installation: Installation) {
    walk(&installation, "off").await;
}
