//! The figure of one tenant beside another: what the largest lawful requests of the one cost the other at
//! forward auth.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Builder,
    task::LocalSet,
};

use crate::{
    Failure, Options,
    database::Database,
    load::{self, Kind, Requests},
    post::{Gatepost, unpin},
    report::{Ratios, Row},
    rows::write_auth,
    say,
    server::Server,
};

/// How often at once the hostile tenant does each of the things that it does.
const AT_ONCE: usize = 4;
const MEBIBYTE: usize = 1 << 20;
/// Between two batches of one connection, so that the disk is not what is measured.
const PAUSE: Duration = Duration::from_millis(250);

/// p99 of `/auth` of a tenant alone, and beside one that posts the largest batches, reads the largest pages,
/// and reads them not at all.
pub async fn hostile_neighbour(options: &Options) -> Result<Row, Failure> {
    unpin()?;
    let (mut worst, mut measured, mut spread) = (0.0, Vec::new(), Vec::new());
    for database in [Database::sqlite()?, Database::postgres()?] {
        let gatepost = Gatepost::start(options, &database, "api").await?;
        let made = json!({ "name": "Hostile", "tier": "enterprise" });
        let workspace = gatepost.client.send("POST", "/api/v1/workspaces", &made).await?;
        let of = workspace["data"]["id"].to_string();
        let hostile =
            Server::make_key(&options.gatepost, &database.dir(), &database.url, &["--workspace", &of])
                .await?;
        let length = Duration::from_secs(options.seconds);
        let one = |_| One(gatepost.key.as_str().into());
        let mut ratios = Vec::new();
        for round in 0..options.rounds {
            let alone = load::run(&gatepost.server, 1, length, one).await?;
            let (asks, stop) =
                (Hostile::new(&gatepost.server.address, &hostile), Arc::new(AtomicBool::new(false)));
            let at_work = asks.start(stop.clone());
            let beside = load::run(&gatepost.server, 1, length, one).await;
            stop.store(true, Ordering::Relaxed);
            let answered = at_work.join().map_err(|_| "the hostile clients panicked")??;
            let beside = beside?;
            ratios.push(beside.p99.as_secs_f64() / alone.p99.as_secs_f64());
            say(&format!(
                "row 26, {}, round {}: p99 {:?} alone, {:?} beside {answered} large requests",
                database.name(),
                round + 1,
                alone.p99,
                beside.p99
            ));
        }
        let ratios = Ratios::new(ratios);
        measured.push(format!("{}: {:.1}×", database.name(), ratios.median()));
        spread.push(ratios.spread());
        worst = f64::max(worst, ratios.median());
    }
    Ok(Row {
        number: 26,
        what: "p99 of a tenant's `/auth` beside another's largest requests: batches of 15 MB, pages of 4 MiB, answers unread",
        against: "the same alone",
        reach: "≤ 3×",
        measured: measured.join("; "),
        spread: spread.join("; "),
        reached: worst <= 3.0,
    })
}

/// The same request again and again.
struct One(Rc<str>);

impl Requests for One {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Kind {
        write_auth(buffer, &self.0);
        Kind::Valid
    }
}

/// What the hostile tenant sends.
struct Hostile {
    address: String,
    batch: Vec<u8>,
    page: Vec<u8>,
}

impl Hostile {
    fn new(address: &str, key: &str) -> Self {
        let event = json!({ "type": "large.made", "data": "x".repeat(MEBIBYTE - 2) });
        let body = json!({ "events": vec![event; 15] }).to_string();
        let head = |line: &str, length: usize| {
            format!(
                "{line} HTTP/1.1\r\nHost: gatepost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n"
            )
        };
        let batch = [head("POST /api/v1/events/batch", body.len()), body].concat().into_bytes();
        let page = head("GET /api/v1/events?per_page=100", 0).into_bytes();
        Self { address: address.to_owned(), batch, page }
    }

    /// Sends it from a thread of its own until it is told to stop; how many were answered.
    fn start(self, stop: Arc<AtomicBool>) -> thread::JoinHandle<Result<usize, String>> {
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
            let (local, hostile) = (LocalSet::new(), Rc::new(self));
            let answered = Rc::new(std::cell::Cell::new(0));
            for _ in 0..AT_ONCE {
                for request in [Asked::Batch, Asked::Page] {
                    let (hostile, answered) = (hostile.clone(), answered.clone());
                    local.spawn_local(async move {
                        // Whoever is refused begins anew.
                        loop {
                            while hostile.ask(request).await.is_ok() {
                                answered.set(answered.get() + 1);
                            }
                            tokio::time::sleep(PAUSE).await;
                        }
                    });
                }
                let hostile = hostile.clone();
                local.spawn_local(async move {
                    loop {
                        let unread = hostile.open(&hostile.page).await;
                        tokio::time::sleep(Duration::from_secs(2)).await;
                        drop(unread);
                    }
                });
            }
            local.block_on(&runtime, async {
                while !stop.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
            Ok(answered.get())
        })
    }

    async fn open(&self, request: &[u8]) -> Result<TcpStream, std::io::Error> {
        let mut stream = TcpStream::connect(&self.address).await?;
        stream.write_all(request).await?;
        Ok(stream)
    }

    async fn ask(&self, asked: Asked) -> Result<(), Failure> {
        let request = if asked == Asked::Batch { &self.batch } else { &self.page };
        let mut stream = self.open(request).await?;
        let (mut head, mut read, mut buffer) = (Vec::new(), 0, vec![0; 256 << 10]);
        let (status, length) = loop {
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Err("the server closed the connection".into());
            }
            read += count;
            if head.len() < 16 << 10 {
                head.extend_from_slice(&buffer[..count]);
            }
            if let Some(parsed) = load::parse(&head) {
                break parsed;
            }
        };
        while read < length {
            match stream.read(&mut buffer).await? {
                0 => return Err("the server closed the connection".into()),
                count => read += count,
            }
        }
        if asked == Asked::Batch {
            tokio::time::sleep(PAUSE).await;
        }
        if (200..300).contains(&status) { Ok(()) } else { Err(format!("answered with {status}").into()) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Batch,
    Page,
}
