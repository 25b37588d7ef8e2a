//! A PostgreSQL server of the test's own.
//!
//! It is watched over by a shell that waits for this process's end of a pipe to close: whatever ends the
//! process, a panic or a kill -9 included, the server is stopped and its directory removed.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid, User},
};

/// Starts the server, says so, waits, stops it, cleans up. The arguments are the directory and the port.
const WATCH: &str = r#"
dir=$1; port=$2
start() {
    pg_ctl -s -w -t 60 -D "$dir/data" -l "$dir/log" -o "-p $port -k $dir" start
}
start && echo ready || { cat "$dir/log" >&2; echo failed; exit 1; } # the directory stays for the next try
while read -r order; do
    case $order in
    start) until start; do :; done; echo ready ;;
    esac
done
pg_ctl -s -D "$dir/data" -m immediate stop
rm -rf "$dir"
"#;

/// Fast and not durable against a power cut; a killed server still loses nothing.
const SETTINGS: &str = "listen_addresses = '127.0.0.1'\nfsync = off\nfull_page_writes = off\nmax_connections = 300\n\
                        shared_buffers = 32MB\nmax_wal_size = 256MB\n";

const DURABLE: &str =
    "listen_addresses = '127.0.0.1'\nmax_connections = 300\nshared_buffers = 256MB\nmax_wal_size = 4GB\n";

/// A running server; stopped when dropped.
#[derive(Debug)]
pub struct PostgresServer {
    port: u16,
    dir: PathBuf,
    watch: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<std::process::ChildStdout>,
}

impl PostgresServer {
    /// Starts a server.
    ///
    /// # Panics
    /// If PostgreSQL is not installed, or does not start.
    pub fn start() -> Self {
        Self::start_with(SETTINGS, false)
    }

    /// Starts a server that keeps its data as one in production does.
    ///
    /// # Panics
    /// If PostgreSQL is not installed, or does not start.
    pub fn start_durable() -> Self {
        Self::start_with(DURABLE, false)
    }

    /// Starts a server that speaks German.
    ///
    /// # Panics
    /// If PostgreSQL is not installed, or does not start.
    pub fn start_in_german() -> Self {
        Self::start_with(&format!("{SETTINGS}lc_messages = 'de_DE.UTF-8'\n"), true)
    }

    fn start_with(settings: &str, needs_german: bool) -> Self {
        let bin = installed();
        let dir =
            tempfile::Builder::new().prefix("gatepost-pg-").tempdir().expect("a temporary directory").keep();
        if let Some(user) = service_user() {
            std::os::unix::fs::chown(&dir, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .expect("giving the directory to the service user");
        }
        let data = dir.join("data");
        let initdb = as_service_user(bin, &bin.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"])
            .arg(&data)
            .current_dir(&dir)
            .output()
            .expect("running initdb");
        assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
        let config = data.join("postgresql.conf");
        let settings = fs::read_to_string(&config).expect("postgresql.conf") + settings;
        fs::write(&config, settings).expect("postgresql.conf");

        let locales = dir.join("locales");
        if needs_german {
            let german = locales.join("de_DE.UTF-8");
            // What the service user made, it can remove; and it also complains of what it takes.
            let made = as_service_user(bin, Path::new("/bin/sh"))
                .args(["-c", r#"mkdir "$1" && localedef -i de_DE -f UTF-8 "$2""#, "locale"])
                .args([&locales, &german])
                .current_dir(&dir)
                .output();
            let made = made.expect("running localedef");
            assert!(german.exists(), "localedef: {}", String::from_utf8_lossy(&made.stderr));
        }

        // Another process may take the port between our look and the server's; then try another.
        for _ in 0..5 {
            let port = free_port();
            let mut watch = as_service_user(bin, Path::new("/bin/sh"));
            if needs_german {
                watch.env("LOCPATH", &locales);
            }
            let mut watch = watch
                .args(["-c", WATCH, "watch"])
                .arg(&dir)
                .arg(port.to_string())
                .current_dir(&dir)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("starting the watching shell");
            let orders = watch.stdin.take();
            let answers = BufReader::new(watch.stdout.take().expect("the shell's stdout"));
            let mut server = Self { port, dir: dir.clone(), watch, orders, answers };
            if server.answer() == "ready" {
                return server;
            }
        }
        panic!("PostgreSQL did not start in {}", dir.display());
    }

    /// The server that the tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Makes an empty database and answers its URL.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn create_database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        let created = Command::new(installed().join("createdb"))
            .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", &name])
            .output()
            .expect("running createdb");
        assert!(created.status.success(), "createdb: {}", String::from_utf8_lossy(&created.stderr));
        format!("postgres://postgres@127.0.0.1:{port}/{name}")
    }

    /// Kills the server with all its processes, as a crash of its machine would, and waits until they are
    /// gone: a backend outlives its postmaster for a moment, and would still answer.
    ///
    /// # Panics
    /// If it is not running.
    pub fn kill(&self) {
        let all = self.processes();
        for pid in &all {
            // A child may have ended since the list was read.
            let _ = kill(*pid, Signal::SIGKILL);
        }
        while all.iter().any(|pid| is_alive(*pid)) {
            std::thread::yield_now();
        }
    }

    /// Freezes the server: connections stay open, and nothing answers.
    ///
    /// # Panics
    /// If it is not running.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::SIGSTOP } else { Signal::SIGCONT };
        for pid in self.processes() {
            let _ = kill(pid, signal);
        }
    }

    /// Its processes, the first of which started the others.
    pub fn pids(&self) -> Vec<i32> {
        self.processes().into_iter().map(Pid::as_raw).collect()
    }

    /// The postmaster, so that it starts no more of them, and then its children.
    fn processes(&self) -> Vec<Pid> {
        let postmaster = self.pid();
        let children =
            fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw);
        std::iter::once(postmaster).chain(children).collect()
    }

    /// Starts the server again after [`PostgresServer::kill`]; it recovers what was committed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&mut self) {
        use std::io::Write;
        let orders = self.orders.as_mut().expect("the shell's stdin");
        writeln!(orders, "start").expect("an order to the shell");
        assert_eq!(self.answer(), "ready");
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the shell's answer");
        line.trim().to_owned()
    }

    fn pid(&self) -> Pid {
        let text = fs::read_to_string(self.dir.join("data/postmaster.pid")).expect("postmaster.pid");
        Pid::from_raw(text.lines().next().and_then(|line| line.parse().ok()).expect("a process id"))
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // The shell sees the end of its input, stops the server and removes the directory.
        self.orders.take();
        let _ = self.watch.wait();
    }
}

/// Whether a process still runs; one that has ended and only waits for its parent does not.
fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|state| !state.is_empty() && !state.starts_with(['Z', 'X']))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Where the server's programs are: Debian keeps them out of the PATH.
fn installed() -> &'static Path {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut places: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
        places.sort();
        let path = std::env::var_os("PATH").unwrap_or_default();
        places.extend(std::env::split_paths(&path).collect::<Vec<_>>().into_iter().rev());
        let complete = |place: &PathBuf| place.join("initdb").exists() && place.join("pg_ctl").exists();
        places
            .into_iter()
            .rfind(complete)
            .and_then(|place| fs::canonicalize(place.join("initdb")).ok()?.parent().map(Path::to_owned))
            .expect("PostgreSQL is not installed; `cargo xtask test` installs it")
    })
}

/// One of PostgreSQL's own programs.
///
/// # Panics
/// If PostgreSQL is not installed.
pub fn postgres_program(name: &str) -> PathBuf {
    installed().join(name)
}

/// PostgreSQL refuses to run as root; then the user that its package made runs it.
fn service_user() -> Option<User> {
    if !Uid::effective().is_root() {
        return None;
    }
    let user = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten());
    Some(user.expect("a user that is not root"))
}

fn as_service_user(bin: &Path, program: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program);
    if let Some(user) = service_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path)));
    command.env("PATH", path.expect("a PATH"));
    command
}
