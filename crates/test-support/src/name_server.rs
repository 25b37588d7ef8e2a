//! A DNS server that answers what a test tells it.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use gatepost_kernel::LockAnyway;
use rand::RngExt;
use tokio::net::UdpSocket;

const A: u16 = 1;
const ANSWER: u16 = 0x8180;
const NO_SUCH_NAME: u16 = 0x8183;

/// The addresses of one answer.
pub type Addresses = Vec<Ipv4Addr>;

/// Answers queries for A records: of each name first the first answer, then the next, and the last for ever.
pub struct NameServer {
    /// Where it listens, on port 53, which resolvers know no other than.
    pub address: Ipv4Addr,
    asked: Arc<Mutex<HashMap<String, usize>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl NameServer {
    /// Starts one on a loopback address of its own.
    ///
    /// # Panics
    /// If the process may not use port 53.
    pub async fn start(zone: impl IntoIterator<Item = (&'static str, Vec<Addresses>)>) -> Self {
        let mut rng = gatepost_kernel::random::rng();
        let (address, socket) = loop {
            let address = Ipv4Addr::new(
                127,
                rng.random_range(1..=254),
                rng.random_range(1..=254),
                rng.random_range(1..=254),
            );
            match UdpSocket::bind(SocketAddr::from((address, 53))).await {
                Ok(socket) => break (address, socket),
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
                Err(error) => panic!("port 53 on {address}: {error}"),
            }
        };
        let zone: HashMap<String, Vec<Addresses>> =
            zone.into_iter().map(|(name, answers)| (name.to_owned(), answers)).collect();
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let counts = asked.clone();
        let server = tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                if let Some(answer) = answer(&query[..length], &zone, &counts) {
                    // Who went away asks again.
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        Self { address, asked, server }
    }

    /// How often the addresses of a name were asked for.
    pub fn asked(&self, name: &str) -> usize {
        self.asked.lock_anyway().get(name).copied().unwrap_or(0)
    }
}

fn answer(
    query: &[u8],
    zone: &HashMap<String, Vec<Addresses>>,
    asked: &Mutex<HashMap<String, usize>>,
) -> Option<Vec<u8>> {
    let (mut labels, mut place) = (Vec::new(), 12);
    while *query.get(place)? > 0 {
        let length = usize::from(query[place]);
        labels
            .push(std::str::from_utf8(query.get(place + 1..place + 1 + length)?).ok()?.to_ascii_lowercase());
        place += 1 + length;
    }
    let question = query.get(12..place + 5)?;
    let kind = u16::from_be_bytes([*query.get(place + 1)?, *query.get(place + 2)?]);
    let name = labels.join(".");
    let addresses = match (zone.get(&name), kind) {
        (Some(answers), A) => {
            let mut asked = asked.lock_anyway();
            let count = asked.entry(name.clone()).or_default();
            *count += 1;
            answers.get(*count - 1).or(answers.last()).cloned().unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let flags = if zone.contains_key(&name) { ANSWER } else { NO_SUCH_NAME };
    let mut answer = query[..2].to_vec();
    for number in [flags, 1, u16::try_from(addresses.len()).ok()?, 0, 0] {
        answer.extend(number.to_be_bytes());
    }
    answer.extend(question);
    for address in addresses {
        // The name again by its place, an A record of the Internet, to be kept for no time at all.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
