//! The crates that others take: that they can be packaged, and how much each brings along.

use std::{collections::BTreeSet, process::Stdio};

use cargo_metadata::MetadataCommand;

use crate::{Failure, cargo::cargo, files, say};

/// Crates that others take alone, and how many crates may be in the tree of each, itself included, as their users get it by default.
const MOST_CRATES: [(&str, usize); 5] = [
    ("gatepost-limits", 30),
    ("gatepost-entitlements", 30),
    ("gatepost-keys", 45),
    ("gatepost-webhooks", 51),
    ("gatepost-egress", 125),
];

/// Packages all that can be published, and counts.
pub fn run() -> Result<(), Failure> {
    let metadata = MetadataCommand::new().current_dir(files::root()).no_deps().exec()?;
    let mut package = cargo();
    // What they are built of is in the repository already; a change that is not committed is packaged too.
    package.args(["package", "--no-verify", "--allow-dirty", "--locked", "--quiet"]);
    let is_published = |package: &&cargo_metadata::Package| package.publish.is_none();
    for each in metadata.workspace_packages().into_iter().filter(is_published) {
        package.args(["--package", each.name.as_str()]);
    }
    if !package.current_dir(files::root()).status()?.success() {
        return Err("the crates cannot be packaged".into());
    }
    for (name, most) in MOST_CRATES {
        let count = crates_of(name)?;
        say(&format!("{name}: {count} crates"));
        if count > most {
            return Err(format!("{name} brings {count} crates along; at most {most} may be").into());
        }
    }
    Ok(())
}

/// How many crates are in the tree of one.
fn crates_of(name: &str) -> Result<usize, Failure> {
    let mut tree = cargo();
    tree.args([
        "tree",
        "--package",
        name,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--no-dedupe",
        "--locked",
    ]);
    let output =
        tree.args(["--format", "{p}"]).current_dir(files::root()).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.collect::<BTreeSet<_>>().len())
}
