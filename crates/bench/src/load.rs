//! The load: connections that each send their next request when the answer to the last has come.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

use crate::{Failure, server::Server};

/// What one connection sends next: the bytes of a whole request, and whether its latency counts.
pub trait Requests {
    /// Writes the next request into `buffer`.
    fn next(&mut self, buffer: &mut Vec<u8>) -> Kind;
}

/// Which requests are looked at apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Must be let in.
    Valid,
    /// Must be refused.
    Bad,
}

/// Posts the same JSON again and again.
pub struct Posts {
    /// The API key.
    pub key: Rc<str>,
    /// Where it is posted to.
    pub path: &'static str,
    /// The JSON.
    pub body: &'static str,
}

impl Requests for Posts {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Kind {
        let Self { key, path, body } = self;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: gatepost\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        buffer.extend_from_slice(request.as_bytes());
        Kind::Valid
    }
}

/// What a run came to.
pub struct Outcome {
    /// Requests per connection-second are of no interest; CPU of the server per request is.
    pub cpu_micros_per_request: f64,
    /// Requests that were answered.
    pub requests: u64,
    /// 99 of 100 valid requests took no longer.
    pub p99: Duration,
}

#[derive(Default)]
struct Tally {
    counting: bool,
    requests: u64,
    latencies: Vec<u32>,
    failure: Option<String>,
}

/// Loads `server` over `connections` connections, warms up, and measures for `length`.
pub async fn run<R: Requests + 'static>(
    server: &Server,
    connections: usize,
    length: Duration,
    requests: impl Fn(usize) -> R,
) -> Result<Outcome, Failure> {
    let tally = Rc::new(RefCell::new(Tally::default()));
    let local = LocalSet::new();
    for connection in 0..connections {
        let mut stream = TcpStream::connect(&server.address).await?;
        stream.set_nodelay(true)?;
        let (mut requests, tally) = (requests(connection), tally.clone());
        local.spawn_local(async move {
            if let Err(error) = converse(&mut stream, &mut requests, &tally).await {
                tally.borrow_mut().failure.get_or_insert(error.to_string());
            }
        });
    }
    local
        .run_until(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            tally.borrow_mut().counting = true;
            let before = server.used()?;
            tokio::time::sleep(length).await;
            let after = server.used()?;
            let mut tally = tally.borrow_mut();
            tally.counting = false;
            if let Some(failure) = tally.failure.take() {
                return Err(failure.into());
            }
            if tally.requests == 0 {
                return Err("nothing was answered".into());
            }
            tally.latencies.sort_unstable();
            let p99 = tally.latencies.get(tally.latencies.len() * 99 / 100).copied().unwrap_or(0);
            Ok(Outcome {
                cpu_micros_per_request: (after.cpu_micros - before.cpu_micros) / tally.requests as f64,
                requests: tally.requests,
                p99: Duration::from_nanos(u64::from(p99) * 100),
            })
        })
        .await
}

/// Sends `count` of each connection's requests and reads all answers.
pub async fn once<R: Requests + 'static>(
    server: &Server,
    connections: usize,
    count: usize,
    requests: impl Fn(usize) -> R,
) -> Result<(), Failure> {
    let local = LocalSet::new();
    let mut tasks = Vec::new();
    for connection in 0..connections {
        let mut stream = TcpStream::connect(&server.address).await?;
        stream.set_nodelay(true)?;
        let mut requests = requests(connection);
        tasks.push(local.spawn_local(async move {
            let (mut out, mut answer) = (Vec::new(), Answer::default());
            for _ in 0..count {
                out.clear();
                let kind = requests.next(&mut out);
                stream.write_all(&out).await?;
                check(kind, answer.read(&mut stream).await?)?;
            }
            Ok::<_, Failure>(())
        }));
    }
    local
        .run_until(async {
            for task in tasks {
                task.await??;
            }
            Ok(())
        })
        .await
}

async fn converse(
    stream: &mut TcpStream,
    requests: &mut impl Requests,
    tally: &RefCell<Tally>,
) -> Result<(), Failure> {
    let (mut out, mut answer) = (Vec::with_capacity(1024), Answer::default());
    loop {
        out.clear();
        let kind = requests.next(&mut out);
        let sent = Instant::now();
        stream.write_all(&out).await?;
        let status = answer.read(stream).await?;
        let took = sent.elapsed();
        check(kind, status)?;
        let mut tally = tally.borrow_mut();
        if tally.counting {
            tally.requests += 1;
            if kind == Kind::Valid {
                // Tenths of microseconds keep the list small.
                tally.latencies.push(u32::try_from(took.as_nanos() / 100).unwrap_or(u32::MAX));
            }
        }
    }
}

/// A figure counts only if the answers were the right ones.
fn check(kind: Kind, status: u16) -> Result<(), Failure> {
    match (kind, status) {
        (Kind::Valid, 200..=202 | 204) | (Kind::Bad, 401 | 429) => Ok(()),
        (Kind::Valid, _) => Err(format!("a valid request was answered with {status}").into()),
        (Kind::Bad, _) => Err(format!("a bad request was answered with {status}").into()),
    }
}

/// Reads answers off a connection, one at a time.
#[derive(Default)]
struct Answer {
    buffer: Vec<u8>,
}

impl Answer {
    async fn read(&mut self, stream: &mut TcpStream) -> Result<u16, Failure> {
        self.buffer.clear();
        loop {
            if let Some((status, length)) = parse(&self.buffer)
                && self.buffer.len() >= length
            {
                return Ok(status);
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
    }
}

/// Status and length of the answer, once its head is there.
pub fn parse(bytes: &[u8]) -> Option<(u16, usize)> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let status = std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()?;
    if status == 204 {
        return Some((status, head));
    }
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let length =
        text.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse::<usize>().ok()?;
    let head = text.find("\r\n\r\n")? + 4;
    Some((status, head + length))
}
