//! Endpoints: a server that answers 200 to every webhook, or takes it and never answers, and notes what came
//! when.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

use crate::Failure;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A running receiver; gone when dropped. Must be started inside a `LocalSet`.
pub struct Receiver {
    address: String,
    received: Rc<Received>,
    server: JoinHandle<()>,
}

/// What came.
#[derive(Default)]
pub struct Received {
    count: Cell<usize>,
    changed: Notify,
    /// When each event came, if that is wanted: an event goes to several endpoints.
    arrivals: Option<RefCell<HashMap<String, Vec<Instant>>>>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Receiver {
    /// Starts one that answers, or not, and notes the arrivals, or not.
    pub async fn start(answers: bool, notes: bool) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let received = Rc::new(Received { arrivals: notes.then(RefCell::default), ..Received::default() });
        let keeper = received.clone();
        let server = tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let received = keeper.clone();
                // A connection that ends is no concern: what it brought is counted.
                tokio::task::spawn_local(async move { drop(converse(stream, &received, answers).await) });
            }
        });
        Ok(Self { address, received, server })
    }

    /// What to give to an endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.received.count.get()
    }

    /// Waits until so many have come.
    pub async fn wait_for(&self, count: usize) {
        while self.count() < count {
            self.received.changed.notified().await;
        }
    }

    /// When each event came, and forgets it.
    pub fn take_arrivals(&self) -> HashMap<String, Vec<Instant>> {
        self.received.arrivals.as_ref().map(RefCell::take).unwrap_or_default()
    }
}

async fn converse(mut stream: TcpStream, received: &Received, answers: bool) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(8 << 10);
    loop {
        let length = loop {
            if let Some(length) = whole(&buffer) {
                break length;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        received.count.set(received.count.get() + 1);
        if let (Some(arrivals), Some(id)) =
            (&received.arrivals, header(&buffer[..length], "\r\nwebhook-id: "))
        {
            arrivals.borrow_mut().entry(id.to_owned()).or_default().push(Instant::now());
        }
        received.changed.notify_waiters();
        buffer.drain(..length);
        if !answers {
            return std::future::pending().await;
        }
        stream.write_all(ANSWER).await?;
    }
}

/// The length of the request at the beginning, once all of it is there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let length = header(&bytes[..head], "\r\ncontent-length: ")?.parse::<usize>().ok()?;
    (bytes.len() >= head + length).then_some(head + length)
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let start = head.windows(name.len()).position(|window| window.eq_ignore_ascii_case(name.as_bytes()))?;
    let rest = &head[start + name.len()..];
    std::str::from_utf8(&rest[..rest.iter().position(|byte| *byte == b'\r')?]).ok()
}
