//! `docs/METRICS.md`: every metric, as a server that has just begun prints it.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Read, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{Failure, cargo::cargo, files, say};

const INTRODUCTION: &str = include_str!("metrics.md");

/// Alert rules with their tests, and a dashboard.
const MONITORING: &str = "docs/monitoring";

/// Labels whose values depend on what is asked, or on the operator.
const OPEN: [(&str, &str); 5] = [
    ("method", "HTTP method; `OTHER` for one that is not known"),
    ("route", "path of the operation, as in the document, or `unmatched`"),
    ("status", "HTTP status"),
    ("server", "name of the server in `[mcp.servers]`"),
    ("version", "version of Gatepost"),
];

/// A server that is called, so that there is something to say of it.
const SETTINGS: &str = "[mcp.servers.example]\nurl = \"http://127.0.0.1:9/\"\n";

/// A metric with the values of its labels.
#[derive(Default)]
struct Metric {
    kind: String,
    help: String,
    labels: BTreeMap<String, Vec<String>>,
    has_samples: bool,
}

/// Writes or checks the page.
pub fn run(check: bool) -> Result<(), Failure> {
    let metrics = read(&scrape()?)?;
    check_names(&metrics)?;
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## All metrics\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (name, metric) in metrics {
        let Metric { kind, help, mut labels, .. } = metric;
        // Those of one call are printed in no order.
        labels.values_mut().for_each(|values| values.sort());
        let labels: Vec<String> = labels.iter().map(|(label, values)| shown(label, values)).collect();
        page.push_str(&format!("| `{name}` | {kind} | {} | {help} |\n", labels.join("; ")));
    }
    files::write_or_check("docs/METRICS.md", &page, check, "docs")
}

/// Refuses a rule, a panel or a line of the introduction that names a metric which no server has.
fn check_names(metrics: &[(String, Metric)]) -> Result<(), Failure> {
    let mut texts = vec![("xtask/src/metrics.md".to_owned(), INTRODUCTION.to_owned())];
    for entry in fs::read_dir(files::root().join(MONITORING))? {
        let path = entry?.path();
        texts.push((path.display().to_string(), fs::read_to_string(&path)?));
    }
    for (file, text) in texts {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("gatepost_") || word.starts_with("process_")) {
            let of_histogram = |name: &str| {
                ["_bucket", "_sum", "_count"].iter().any(|end| word.strip_suffix(end) == Some(name))
            };
            if !metrics.iter().any(|(name, _)| name == word || of_histogram(name)) {
                return Err(format!("{file}: there is no metric {word}").into());
            }
        }
    }
    Ok(())
}

/// Runs Prometheus' own checks of the alert rules.
pub fn check_rules() -> Result<(), Failure> {
    for args in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]] {
        let checked =
            Command::new("promtool").args(args).current_dir(files::root().join(MONITORING)).output()?;
        if !checked.status.success() {
            let said = String::from_utf8_lossy(&checked.stderr);
            return Err(format!("promtool {}: {said}", args.join(" ")).into());
        }
    }
    say("the alert rules say what they should");
    Ok(())
}

fn shown(label: &str, values: &[String]) -> String {
    match OPEN.iter().find(|(open, _)| *open == label) {
        Some((_, about)) => format!("`{label}`: {about}"),
        None => {
            let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
            format!("`{label}`: {}", values.join(", "))
        }
    }
}

/// What the text says, in its order; buckets and sums belong to their histogram.
fn read(text: &str) -> Result<Vec<(String, Metric)>, Failure> {
    let mut metrics: Vec<(String, Metric)> = Vec::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            let help = help.trim_end_matches('.').to_owned();
            metrics.push((name.to_owned(), Metric { help, ..Metric::default() }));
            continue;
        }
        let (_, metric) = metrics.last_mut().ok_or("a sample without a description")?;
        if let Some((_, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kind.clone_into(&mut metric.kind);
            continue;
        }
        metric.has_samples = true;
        if let Some((labels, _)) = line.split_once('{').and_then(|(_, rest)| rest.split_once('}')) {
            for pair in labels.split("\",") {
                let (label, value) = pair.split_once("=\"").ok_or_else(|| format!("labels: {labels}"))?;
                let values = metric.labels.entry(label.to_owned()).or_default();
                let value = value.trim_end_matches('"').to_owned();
                if label == "le" {
                    metric.labels.remove(label);
                } else if !values.contains(&value) {
                    values.push(value);
                }
            }
        }
    }
    Ok(metrics)
}

/// Ends the server however this ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a server on an empty database prints.
fn scrape() -> Result<String, Failure> {
    let folder = env::temp_dir().join(format!("gatepost-metrics-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let text = scrape_in(&folder);
    fs::remove_dir_all(&folder)?;
    text
}

fn scrape_in(folder: &std::path::Path) -> Result<String, Failure> {
    let settings = folder.join("gatepost.toml");
    fs::write(&settings, SETTINGS)?;
    let built = cargo().args(["build", "--quiet", "--locked", "--package", "gatepost-server"]).status()?;
    if !built.success() {
        return Err("the server does not build".into());
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| files::root().join("target"), Into::into);
    let mut server = Command::new(target.join("debug/gatepost"));
    server
        .args(["serve", "--bind", "127.0.0.1:0", "--config"])
        .arg(&settings)
        .arg("--data-dir")
        .arg(folder)
        .env("DATABASE_URL", format!("sqlite://{}", folder.join("gatepost.db").display()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut server = Running(server.spawn()?);
    let log = server.0.stderr.take().ok_or("no log")?;
    let mut said = String::new();
    for line in BufReader::new(log).lines() {
        let line = line?;
        if let Ok(entry) = serde_json::from_str::<Value>(&line)
            && let Some(address) = entry["server.address"].as_str()
        {
            // What is measured from time to time is there a moment later.
            for _ in 0..200 {
                let text = get(address, "/metrics")?;
                if read(&text)?.iter().all(|(_, metric)| metric.has_samples) {
                    return Ok(text);
                }
                thread::sleep(Duration::from_millis(50));
            }
            return Err("some metrics have no samples".into());
        }
        said.push_str(&line);
    }
    Err(format!("the server did not start: {said}").into())
}

fn get(address: &str, path: &str) -> Result<String, Failure> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    match head.starts_with("HTTP/1.1 200") {
        true => Ok(body.to_owned()),
        false => Err(format!("{path}: {head}").into()),
    }
}
