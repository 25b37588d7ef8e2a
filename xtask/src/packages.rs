//! The crates that others take: that they can be packaged, and how much each brings along.

use std::{collections::BTreeSet, process::Stdio};

use cargo_metadata::MetadataCommand;

use crate::{Failure, cargo::cargo, files, say};

/// Crates that others take alone, with these features instead of the default ones, and how many crates may be
/// in the tree of each, itself included.
const MOST_CRATES: [(&str, Option<&str>, usize); 6] = [
    ("gatepost-limits", None, 15),
    ("gatepost-entitlements", None, 20),
    ("gatepost-keys", None, 30),
    ("gatepost-webhooks", Some("verify"), 30),
    ("gatepost-webhooks", None, 51),
    ("gatepost-egress", None, 125),
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
    for (name, features, most) in MOST_CRATES {
        let count = crates_of(name, features)?;
        let name =
            features.map_or_else(|| name.to_owned(), |features| format!("{name} with {features} alone"));
        say(&format!("{name}: {count} crates"));
        if count > most {
            return Err(format!("{name} brings {count} crates along; at most {most} may be").into());
        }
    }
    Ok(())
}

/// How many crates are in the tree of one.
fn crates_of(name: &str, features: Option<&str>) -> Result<usize, Failure> {
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
    if let Some(features) = features {
        tree.args(["--no-default-features", "--features", features]);
    }
    let output =
        tree.args(["--format", "{p}"]).current_dir(files::root()).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.collect::<BTreeSet<_>>().len())
}
