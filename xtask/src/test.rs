//! All tests, with what they need: PostgreSQL is found or installed, and what was printed is searched for
//! keys.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use gatepost_keys::TokenFormat;

use crate::{
    Failure,
    cargo::{as_from_a_shell, cargo},
    clients, files, metrics, say,
};

/// A program that tests run, and Debian's package that brings it.
const NEEDED: [(&str, &str); 8] = [
    ("initdb", "postgresql"),
    ("nginx", "nginx-light"),
    ("caddy", "caddy"),
    ("curl", "curl"),
    ("chromium", "chromium"),
    ("bash", "bash"),
    ("prlimit", "util-linux"),
    ("ip", "iproute2"),
];

/// What `--full` needs beside them.
const NEEDED_IN_FULL: [(&str, &str); 1] = [("promtool", "prometheus")];

/// For how many seconds apt-get waits by itself for the lock on packages …
const APT_WAITS: &str = "DPkg::Lock::Timeout=600";
/// … while for the lock on the lists of packages it waits not at all, and says so in these words.
const LOCKED: [&str; 2] = ["Could not get lock", "Unable to lock"];
const LOCK_TRIES: u32 = 120;
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// How long the output may stay open after the last test.
const STREAMS_END: Duration = Duration::from_secs(20);

/// Cargo in a network of its own, in which only this machine is reached: no test may send anything anywhere
/// else. Whoever is not root cannot have one.
fn without_a_way_out() -> Command {
    if !is_root() {
        say("not root, so tests run in the machine's own network");
        return cargo();
    }
    let mut alone = Command::new("unshare");
    alone.args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh", env!("CARGO")]);
    as_from_a_shell(&mut alone);
    alone.env("CARGO_NET_OFFLINE", "true");
    alone
}

/// Runs the tests.
pub fn run(install: bool, full: bool, filter: Option<&str>) -> Result<(), Failure> {
    let needed = [&NEEDED[..], if full { &NEEDED_IN_FULL } else { &[] }].concat();
    provide(&needed, install)?;
    if full {
        metrics::check_rules()?;
    }
    clients::provide()?;
    if full {
        clients::generate()?;
    }
    let mut run = without_a_way_out();
    // What requests cost is measured on the program as it is released; whoever asks for some tests does not
    // wait for that.
    if filter.is_none() {
        let build = ["build", "--release", "--locked"];
        if !cargo().args(build).current_dir(files::root()).status()?.success() {
            return Err("the release does not build".into());
        }
        run.env("GATEPOST_TEST_RELEASED", files::root().join("target/release/gatepost"));
    }
    let tests = ["test", "--locked", "--workspace", "--no-fail-fast"];
    // Built before, since what runs reaches nobody who has crates.
    if !cargo().args(tests).arg("--no-run").current_dir(files::root()).status()?.success() {
        return Err("the tests do not build".into());
    }
    run.args(tests).args(filter);
    if full {
        run.env("GATEPOST_TEST_FULL", "1");
    }
    // What passing tests print is not for people, but must hold no key either.
    run.args(["--", "--show-output"]).current_dir(files::root());
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (kept, printed) = mpsc::channel();
    tee(child.stdout.take(), Quiet { hiding: false, line: Vec::new() }, kept.clone());
    tee(child.stderr.take(), io::stderr(), kept);
    let status = child.wait()?;
    // Both streams end with the last process that holds them, which must not outlive the tests.
    let left_behind = |_| "a process that a test started still runs and holds the output";
    let printed = [
        printed.recv_timeout(STREAMS_END).map_err(left_behind)?,
        printed.recv_timeout(STREAMS_END).map_err(left_behind)?,
    ];
    let leaked: usize = printed.iter().map(|text| TokenFormat::default().count(text)).sum();
    if leaked > 0 {
        return Err(format!("the tests printed {leaked} API keys").into());
    }
    if !status.success() {
        return Err("tests failed".into());
    }
    say("all tests passed on SQLite and PostgreSQL; no API key was printed");
    Ok(())
}

/// Hands a stream on as it comes, keeps it, and gives all of it away at its end.
fn tee(
    from: Option<impl Read + Send + 'static>,
    mut to: impl Write + Send + 'static,
    kept: mpsc::Sender<Vec<u8>>,
) {
    thread::spawn(move || {
        let (mut all, mut buffer) = (Vec::new(), [0u8; 8192]);
        if let Some(mut from) = from {
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                all.extend_from_slice(&buffer[..length]);
                // A reader that went away is no reason to stop the tests.
                let _ = to.write_all(&buffer[..length]).and_then(|()| to.flush());
            }
        }
        // Nobody waits any more if it came too late.
        let _ = kept.send(all);
    });
}

/// Stdout without what passing tests printed.
struct Quiet {
    hiding: bool,
    line: Vec<u8>,
}

impl Write for Quiet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            self.line.push(*byte);
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                match line.as_slice() {
                    b"successes:\n" => self.hiding = true,
                    b"failures:\n" => self.hiding = false,
                    end if end.starts_with(b"test result:") => self.hiding = false,
                    _ => {}
                }
                if !self.hiding {
                    io::stdout().write_all(&line)?;
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

fn provide(needed: &[(&str, &str)], install: bool) -> Result<(), Failure> {
    let missing: Vec<&str> =
        needed.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    let prefix: &[&str] = match (is_root(), install) {
        (true, _) => &[],
        (false, true) => &["sudo", "-n"],
        (false, false) => {
            let help = "run `cargo xtask test --install` to install by `sudo -n`, or install by hand";
            return Err(format!("missing: {packages}; {help}").into());
        }
    };
    say(&format!("installing {packages} by apt-get"));
    for args in [
        &["update", "-q"][..],
        &[&["install", "-y", "-q", "--no-install-recommends"], missing.as_slice()].concat(),
    ] {
        let words: Vec<&str> = prefix
            .iter()
            .chain(&["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-o", APT_WAITS])
            .copied()
            .collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(args);
        if !patiently(&mut command, LOCK_TRIES, LOCK_WAIT)? {
            return Err(format!("apt-get {} failed", args[0]).into());
        }
    }
    match needed.iter().find(|(program, _)| !is_there(program)) {
        Some((program, package)) => {
            Err(format!("{package} was installed, but {program} is still missing").into())
        }
        None => Ok(()),
    }
}

/// Runs apt-get, again and again while it says that another one has a lock; whether it succeeded.
fn patiently(command: &mut Command, tries: u32, wait: Duration) -> Result<bool, Failure> {
    for tries_left in (0..tries).rev() {
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let (kept, said) = mpsc::channel();
        tee(child.stderr.take(), io::stderr(), kept);
        if child.wait()?.success() {
            return Ok(true);
        }
        let said = String::from_utf8_lossy(&said.recv_timeout(STREAMS_END).unwrap_or_default()).into_owned();
        if !LOCKED.iter().any(|words| said.contains(words)) || tries_left == 0 {
            break;
        }
        say("another apt-get is at work; waiting for it");
        thread::sleep(wait);
    }
    Ok(false)
}

fn is_there(program: &str) -> bool {
    // Debian keeps the server's programs out of the PATH.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    places.iter().any(|place| place.join(program).exists())
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(Path::new("/proc/self")).is_ok_and(|own| own.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a script in place of apt-get, which can count how often it was run; whether it succeeded, and
    /// that count.
    fn run(script: &str) -> (bool, usize) {
        let count = std::env::temp_dir().join(format!("gatepost-xtask-{}-{:p}", std::process::id(), script));
        let mut command = Command::new("sh");
        command.args(["-c", &format!("echo >> \"$0\"; n=$(wc -l < \"$0\"); {script}")]).arg(&count);
        let succeeded = patiently(&mut command, 4, Duration::ZERO).expect("a shell");
        let times = fs::read_to_string(&count).expect("the count").lines().count();
        fs::remove_file(count).expect("the count");
        (succeeded, times)
    }

    #[test]
    fn another_programs_lock_is_waited_for() {
        let locked =
            "echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1' >&2; exit 100";
        assert_eq!(run(&format!("test $n -gt 2 || {{ {locked}; }}")), (true, 3));
        assert_eq!(run(locked), (false, 4));
        assert_eq!(run("echo 'E: Unable to locate package' >&2; exit 100"), (false, 1));
        assert_eq!(run("true"), (true, 1));
    }
}
