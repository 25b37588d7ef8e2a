//! The programs of other languages that tests run against the server: installed below `target`, at fixed
//! versions, once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Failure, cargo::cargo, files, say};

/// A preset whose records clients are generated for.
#[derive(Clone, Copy)]
struct Face {
    document: &'static str,
    /// What the examples in TypeScript import.
    module: &'static str,
    /// Where the package of Python is.
    package: &'static str,
}

/// Those with an envelope of their own.
const FACES: [Face; 2] = [
    Face { document: "anvil.json", module: "anvil-document.ts", package: "python-anvil" },
    Face {
        document: "workspace-api.json",
        module: "workspace-api-document.ts",
        package: "python-workspace-api",
    },
];

/// Installs what `clients` asks for, unless that was done before.
pub fn provide() -> Result<(), Failure> {
    let (sources, installed) = (files::root().join("clients"), files::root().join("target/clients"));
    python(&installed.join("python"), &sources.join("verify/requirements.txt"))?;
    node(
        &installed.join("node"),
        &sources.join("verify"),
        &["package.json", "package-lock.json", "verify.mjs"],
    )?;
    python(&installed.join("mcp-python"), &sources.join("mcp/requirements.txt"))?;
    node(&installed.join("mcp-node"), &sources.join("mcp"), &["package.json", "package-lock.json"])?;
    node(
        &installed.join("browser"),
        &sources.join("browser"),
        &["package.json", "package-lock.json", "dashboard.mjs"],
    )
}

/// An environment of Python's with these packages.
fn python(to: &Path, requirements: &Path) -> Result<(), Failure> {
    once(to, &[requirements.to_owned()], |to, wanted| {
        run(Command::new("python3").args(["-m", "venv"]).arg(to))?;
        let pip = to.join("bin/pip");
        run(Command::new(pip).args(["install", "-q", "--disable-pip-version-check", "-r"]).arg(&wanted[0]))
    })
}

/// A directory with these files, one of which says which packages of Node.js it wants, and with those.
fn node(to: &Path, from: &Path, files: &[&str]) -> Result<(), Failure> {
    let wanted: Vec<PathBuf> = files.iter().map(|name| from.join(name)).collect();
    once(to, &wanted, |to, wanted| {
        for file in wanted {
            fs::copy(file, to.join(file.file_name().ok_or("a file without a name")?))?;
        }
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(to))
    })
}

/// Checks the documents with the linters and the validator that generators' users know, and generates and
/// compiles the clients of `clients/examples`. The tests then let them use a running server.
pub fn generate() -> Result<(), Failure> {
    let (sources, installed) = (files::root().join("clients"), files::root().join("target/clients"));
    let (tools, python_tools) = (installed.join("tools"), installed.join("python-tools"));
    let integrations = sources.join("integrations");
    python(&installed.join("integrations-python"), &integrations.join("requirements.txt"))?;
    node(
        &installed.join("integrations-node"),
        &integrations,
        &["package.json", "package-lock.json", "app.mjs"],
    )?;
    python(&python_tools, &sources.join("tools/requirements.txt"))?;
    node(&tools, &sources.join("tools"), &["package.json", "package-lock.json", ".spectral.yaml"])?;
    let python = python_tools;
    let node = |name: &str| Command::new(tools.join("node_modules/.bin").join(name));
    let document = |name: &str| files::root().join("openapi").join(name);

    // What any contract's document must be is seen in the one in which everything is something else.
    let mirror = installed.join("mirror.json");
    let mut print = cargo();
    print.args(["run", "--quiet", "--locked", "-p", "gatepost-test-support", "--example", "mirror-document"]);
    fs::write(&mirror, run_clean(&mut print)?)?;
    let mut documents = vec![mirror];
    for entry in fs::read_dir(files::root().join("openapi"))? {
        documents.push(entry?.path());
    }
    documents.sort();
    for path in documents {
        let name = path.file_name().unwrap_or_default().display().to_string();
        say(&format!("checking {name}"));
        // It has no switch that makes warnings count.
        let lint = run_clean(node("redocly").args(["lint", "--max-problems=50"]).arg(&path))?;
        if lint.contains("warnings.") || lint.contains("1 warning") {
            return Err(format!("redocly warns of {name}:\n{lint}").into());
        }
        let rules = tools.join(".spectral.yaml");
        let fail = ["lint", "--fail-severity=hint", "--ruleset"];
        run_clean(node("spectral").args(fail).arg(rules).arg(&path))?;
        run_clean(Command::new(python.join("bin/openapi-spec-validator")).arg(&path))?;
    }

    say("generating clients");
    let typescript = fresh(&installed.join("typescript"))?;
    for file in fs::read_dir(sources.join("examples/typescript"))? {
        let file = file?;
        fs::copy(file.path(), typescript.join(file.file_name()))?;
    }
    fs::copy(sources.join("tools/package.json"), typescript.join("package.json"))?;
    std::os::unix::fs::symlink(tools.join("node_modules"), typescript.join("node_modules"))?;
    let modules =
        [("openapi.json", "gatepost.ts")].into_iter().chain(FACES.map(|face| (face.document, face.module)));
    for (name, module) in modules {
        let output = typescript.join(module);
        run_clean(node("openapi-typescript").arg(document(name)).arg("-o").arg(output))?;
    }
    run_clean(node("tsc").arg("-p").arg(&typescript))?;

    let path = std::env::join_paths([python.join("bin"), PathBuf::from("/usr/bin"), PathBuf::from("/bin")])?;
    let packages = [("openapi.json", "python-client")]
        .into_iter()
        .chain(FACES.map(|face| (face.document, face.package)));
    for (name, package) in packages {
        let generated = fresh(&installed.join(package))?;
        let mut generate = Command::new(python.join("bin/openapi-python-client"));
        generate.args(["generate", "--fail-on-warning", "--overwrite", "--path"]).arg(document(name));
        // Its own formatter is beside it.
        run_clean(generate.arg("--output-path").arg(&generated).env("PATH", &path))?;
    }

    let manifest = sources.join("examples/rust/Cargo.toml");
    let mut example = cargo();
    example.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(manifest);
    run(example.arg("--target-dir").arg(installed.join("rust")))
}

/// An empty directory.
fn fresh(path: &Path) -> Result<PathBuf, Failure> {
    if path.exists() {
        fs::remove_dir_all(path)?;
    }
    fs::create_dir_all(path)?;
    Ok(path.to_owned())
}

/// Runs `install` into an empty directory, unless it was run for the same files.
fn once(
    to: &Path,
    wanted: &[PathBuf],
    install: impl FnOnce(&Path, &[PathBuf]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut contents = String::new();
    for file in wanted {
        contents += &fs::read_to_string(file)?;
    }
    let stamp = to.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|before| before == contents) {
        return Ok(());
    }
    say(&format!("installing {}", to.display()));
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    install(to, wanted)?;
    // Last: what was broken off is done again.
    Ok(fs::write(stamp, contents)?)
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

/// Runs a command that prints much, and shows it only if it fails.
fn run_clean(command: &mut Command) -> Result<String, Failure> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{command:?}:\n{text}").into()) }
}
