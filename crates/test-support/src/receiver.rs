//! A webhook receiver: a real listening server that keeps what it gets and answers what it is told.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use gatepost_kernel::{Clock, LockAnyway, SystemClock, Timestamp};
use gatepost_webhooks::{EndpointSecret, Verifier, VerifyError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A request as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The path that was asked for.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body, byte for byte.
    pub body: Vec<u8>,
    /// When all of it had arrived.
    pub at: Timestamp,
}

impl Received {
    /// A header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Checks the signature as a receiver does.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn verify(&self, secret: &str, now: Timestamp) -> Result<(), VerifyError> {
        let secret = EndpointSecret::parse(secret).map_err(|_| VerifyError::Signature)?;
        Verifier::new(secret).verify(self.headers.as_slice(), &self.body, now)
    }
}

/// What the receiver does with its next requests.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Sends these bytes: a whole HTTP answer, or what a broken server sends.
    Raw(Vec<u8>),
    /// Reads the request and never answers.
    Silence,
}

impl Reply {
    /// An answer with a status, further header lines and a body.
    pub fn status(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Raw(
            format!("HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
                .into_bytes(),
        )
    }
}

#[derive(Default)]
struct Script {
    next: VecDeque<Reply>,
    always: Option<Reply>,
}

/// The receiver; gone when dropped.
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    script: Arc<Mutex<Script>>,
    received: watch::Receiver<Vec<Received>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Receiver {
    /// Starts one that answers 200.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let script = Arc::new(Mutex::new(Script::default()));
        let (sender, received) = watch::channel(Vec::new());
        let (sender, answers) = (Arc::new(sender), script.clone());
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, sender.clone(), answers.clone()));
            }
        });
        Self { address, script, received, server }
    }

    /// The address to give to a webhook endpoint.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What to do with the next request; several wait for their turn.
    pub fn next(&self, reply: Reply) {
        self.lock().next.push_back(reply);
    }

    /// What to do with every request from now on.
    pub fn always(&self, reply: Reply) {
        self.lock().always = Some(reply);
    }

    /// Everything received, once that is at least so much.
    ///
    /// # Panics
    /// If the receiver has ended.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        self.received.clone().wait_for(|all| all.len() >= count).await.expect("the receiver").clone()
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock_anyway()
    }
}

async fn converse(
    mut stream: TcpStream,
    sender: Arc<watch::Sender<Vec<Received>>>,
    script: Arc<Mutex<Script>>,
) {
    let mut bytes = Vec::new();
    loop {
        let (request, length) = loop {
            if let Some(request) = parse(&bytes) {
                break request;
            }
            match stream.read_buf(&mut bytes).await {
                Ok(1..) => {}
                _ => return,
            }
        };
        bytes.drain(..length);
        let reply = {
            let mut script = script.lock_anyway();
            script.next.pop_front().or_else(|| script.always.clone())
        };
        sender.send_modify(|all| all.push(request));
        match reply.unwrap_or_else(|| Reply::status(200, "", "ok")) {
            Reply::Raw(answer) => {
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
            // Until the sender has given up.
            Reply::Silence => while let Ok(1..) = stream.read_buf(&mut bytes).await {},
        }
    }
}

/// The request at the beginning of `bytes` with its length, once all of it is there.
fn parse(bytes: &[u8]) -> Option<(Received, usize)> {
    let head_len = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..head_len]).ok()?;
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let pair = |line: &str| line.split_once(':').map(|(k, v)| (k.to_ascii_lowercase(), v.trim().to_owned()));
    let headers: Vec<(String, String)> = lines.filter_map(pair).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let body = bytes.get(head_len..head_len + length)?.to_vec();
    Some((Received { path, headers, body, at: SystemClock.now() }, head_len + length))
}
