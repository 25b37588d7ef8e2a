//! The figures, each in its own function, in the order of the table.

use std::{path::Path, rc::Rc, time::Duration};

use gatepost_kernel::{Environment, random};
use gatepost_keys::{Token, TokenFormat};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use crate::{
    Failure, Options, counting, library, lists,
    load::{self, Kind, Requests},
    neighbour, pixel,
    population::{self, SCOPE},
    post, records,
    report::{Ratios, Row, table},
    say,
    server::Server,
};

const CONNECTIONS: usize = 64;
const MANY: usize = 100_000;
const VERY_MANY: usize = 1_000_000;

/// Measures every row that is asked for and prints the table.
pub async fn run(options: &Options) -> Result<(), Failure> {
    let wanted = |row: u32| options.rows.is_empty() || options.rows.contains(&row);
    let mut rows = Vec::new();
    if [1, 2, 4, 5].into_iter().any(wanted) {
        let dir = tempfile::tempdir()?;
        let (storage, app) = population::open(dir.path()).await?;
        let tokens = Rc::new(population::make_keys(&storage, MANY).await?);
        if wanted(5) {
            rows.push(library::decision(&app, &tokens[0], dir.path(), options.rounds).await?);
        }
        drop((storage, app));
        if wanted(1) {
            let what = "forward auth, one hot key: key, scope, IP, minute + day limit, all headers";
            let one = Rc::new(vec![tokens[0].clone()]);
            rows.push(forward_auth(options, dir.path(), 1, what, 0.78, &one).await?);
        }
        if wanted(2) {
            let what = "the same, tokens drawn at random from 100,000 keys";
            rows.push(forward_auth(options, dir.path(), 2, what, 0.70, &tokens).await?);
        }
        if wanted(4) {
            rows.push(verify(options, dir.path(), &tokens).await?);
        }
    }
    if [3, 15].into_iter().any(wanted) {
        let dir = tempfile::tempdir()?;
        let (storage, app) = population::open(dir.path()).await?;
        let tokens = Rc::new(population::make_keys(&storage, VERY_MANY).await?);
        drop((storage, app));
        let gate = Server::gatepost(&options.gatepost, dir.path()).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let idle = gate.anonymous_bytes()?;
        warm_up(&gate, &tokens).await?;
        // The use of the keys is written down, and what that took is given back, before the memory is read.
        tokio::time::sleep(Duration::from_secs(40)).await;
        let per_key = (gate.anonymous_bytes()?.saturating_sub(idle)) / tokens.len() as u64;
        if wanted(15) {
            rows.push(Row {
                number: 15,
                what: "memory",
                against: "–",
                reach: "idle < 40 MiB anonymous; ≤ 400 bytes per cached key",
                measured: format!("idle {} MiB; {per_key} bytes per key of 1,000,000", idle >> 20),
                spread: "–".to_owned(),
                reached: idle < 40 << 20 && per_key <= 400,
            });
        }
        if wanted(3) {
            rows.push(bad_tokens(options, &gate, &tokens).await?);
        }
    }
    rows.extend(post::run(options, wanted).await?);
    if wanted(13) {
        rows.push(lists::far_pages(options).await?);
    }
    if wanted(14) {
        rows.push(counting::hot_counter(options).await?);
    }
    if wanted(17) {
        rows.push(pixel::events(options).await?);
    }
    if wanted(20) {
        rows.push(records::beside_a_million(options).await?);
    }
    if wanted(26) {
        rows.push(neighbour::hostile_neighbour(options).await?);
    }
    rows.sort_by_key(|row| row.number);
    let table = table(&rows);
    say(&table);
    if let Some(path) = &options.report {
        std::fs::write(path, table)?;
    }
    Ok(())
}

async fn forward_auth(
    options: &Options,
    dir: &Path,
    number: u32,
    what: &'static str,
    reach: f64,
    tokens: &Rc<Vec<String>>,
) -> Result<Row, Failure> {
    let (bare, gate) = (Server::bare().await?, Server::gatepost(&options.gatepost, dir).await?);
    warm_up(&gate, tokens).await?;
    let length = Duration::from_secs(options.seconds);
    let mut ratios = Vec::new();
    for round in 0..options.rounds {
        let requests = |seed| Drawn::new(tokens, 0, seed);
        let without = load::run(&bare, CONNECTIONS, length, requests).await?;
        let with = load::run(&gate, CONNECTIONS, length, requests).await?;
        ratios.push(without.cpu_micros_per_request / with.cpu_micros_per_request);
        say(&format!(
            "row {number}, round {}: {:.2} and {:.2} µs of CPU, {} and {} requests",
            round + 1,
            without.cpu_micros_per_request,
            with.cpu_micros_per_request,
            without.requests,
            with.requests
        ));
    }
    let ratios = Ratios::new(ratios);
    Ok(Row {
        number,
        what,
        against: "a bare actix server's 204, CPU per request",
        reach: if number == 1 { "≥ 0.78" } else { "≥ 0.70" },
        measured: format!("{:.2}", ratios.median()),
        spread: ratios.spread(),
        reached: ratios.median() >= reach,
    })
}

async fn bad_tokens(options: &Options, gate: &Server, tokens: &Rc<Vec<String>>) -> Result<Row, Failure> {
    let length = Duration::from_secs(options.seconds);
    let (mut ratios, mut tails) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let good = load::run(gate, CONNECTIONS, length, |seed| Drawn::new(tokens, 0, seed)).await?;
        let mixed = load::run(gate, CONNECTIONS, length, |seed| Drawn::new(tokens, 10, seed)).await?;
        ratios.push(good.cpu_micros_per_request / mixed.cpu_micros_per_request);
        tails.push(mixed.p99.as_secs_f64() / good.p99.as_secs_f64());
        say(&format!(
            "row 3, round {}: {:.2} and {:.2} µs of CPU, p99 {:?} and {:?}",
            round + 1,
            good.cpu_micros_per_request,
            mixed.cpu_micros_per_request,
            good.p99,
            mixed.p99
        ));
    }
    let (ratios, tails) = (Ratios::new(ratios), Ratios::new(tails));
    Ok(Row {
        number: 3,
        what: "row 2 with 1,000,000 keys, and 10 % of tokens malformed or unknown",
        against: "the same keys without those, CPU per request; p99 of the valid ones",
        reach: "≥ 0.90; p99 ≤ 1.3×",
        measured: format!("{:.2}; {:.2}×", ratios.median(), tails.median()),
        spread: format!("{}; {}×", ratios.spread(), tails.spread()),
        reached: ratios.median() >= 0.90 && tails.median() <= 1.3,
    })
}

async fn verify(options: &Options, dir: &Path, tokens: &Rc<Vec<String>>) -> Result<Row, Failure> {
    let (bare, gate) = (Server::bare().await?, Server::gatepost(&options.gatepost, dir).await?);
    let service = tokio::process::Command::new(&options.gatepost)
        .current_dir(dir)
        .args([
            "keys",
            "create",
            "--name",
            "service",
            "--scope",
            "api-keys:verify",
            "--config",
            "gatepost.toml",
            "--json",
        ])
        .output()
        .await?;
    let service: serde_json::Value = serde_json::from_slice(&service.stdout)?;
    let service = service["key"].as_str().ok_or("no service key")?.to_owned();
    warm_up(&gate, tokens).await?;
    let length = Duration::from_secs(options.seconds);
    let mut ratios = Vec::new();
    for round in 0..options.rounds {
        let requests = |seed| Verify { service: service.clone(), draw: Drawn::new(tokens, 0, seed) };
        let without = load::run(&bare, CONNECTIONS, length, requests).await?;
        let with = load::run(&gate, CONNECTIONS, length, requests).await?;
        ratios.push(without.cpu_micros_per_request / with.cpu_micros_per_request);
        say(&format!(
            "row 4, round {}: {:.2} and {:.2} µs of CPU",
            round + 1,
            without.cpu_micros_per_request,
            with.cpu_micros_per_request
        ));
    }
    let ratios = Ratios::new(ratios);
    Ok(Row {
        number: 4,
        what: "`POST /api-keys/verify` with scopes and a limit",
        against: "an actix handler that authenticates nobody, parses the same JSON, answers as much",
        reach: "≥ 0.65",
        measured: format!("{:.2}", ratios.median()),
        spread: ratios.spread(),
        reached: ratios.median() >= 0.65,
    })
}

/// Asks forward auth for a key.
pub fn write_auth(buffer: &mut Vec<u8>, token: &str) {
    buffer.extend_from_slice(b"GET /api/v1/auth?scope=");
    buffer.extend_from_slice(SCOPE.as_bytes());
    buffer.extend_from_slice(b" HTTP/1.1\r\nHost: gatepost\r\nAuthorization: Bearer ");
    buffer.extend_from_slice(token.as_bytes());
    buffer.extend_from_slice(b"\r\n\r\n");
}

/// Uses each key once, so that it is remembered and holds a part of its day.
async fn warm_up(gate: &Server, tokens: &Rc<Vec<String>>) -> Result<(), Failure> {
    let share = tokens.len().div_ceil(CONNECTIONS);
    let requests = |connection: usize| EachOnce { tokens: tokens.clone(), place: connection * share };
    load::once(gate, CONNECTIONS, share, requests).await
}

/// Each key once, in order.
struct EachOnce {
    tokens: Rc<Vec<String>>,
    place: usize,
}

impl Requests for EachOnce {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Kind {
        write_auth(buffer, &self.tokens[self.place % self.tokens.len()]);
        self.place += 1;
        Kind::Valid
    }
}

/// Keys drawn at random, and among them, so many of a hundred, tokens that are malformed or that nobody has.
struct Drawn {
    tokens: Rc<Vec<String>>,
    bad_percent: u32,
    rng: StdRng,
}

impl Drawn {
    fn new(tokens: &Rc<Vec<String>>, bad_percent: u32, seed: usize) -> Self {
        Self { tokens: tokens.clone(), bad_percent, rng: StdRng::seed_from_u64(seed as u64) }
    }

    fn token(&mut self) -> String {
        self.tokens[self.rng.random_range(0..self.tokens.len())].clone()
    }
}

impl Requests for Drawn {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Kind {
        if self.rng.next_u32() % 100 >= self.bad_percent {
            let place = self.rng.random_range(0..self.tokens.len());
            write_auth(buffer, &self.tokens[place]);
            return Kind::Valid;
        }
        let unknown =
            Token::generate(&TokenFormat::default(), Environment::Live, &mut random::rng()).into_secret();
        let malformed = self.rng.next_u32().is_multiple_of(2);
        write_auth(buffer, if malformed { &unknown.expose()[..43] } else { unknown.expose() });
        Kind::Bad
    }
}

/// A service that verifies other people's keys.
struct Verify {
    service: String,
    draw: Drawn,
}

impl Requests for Verify {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Kind {
        let token = self.draw.token();
        let body = format!("{{\"key\":\"{token}\",\"scopes\":[\"{SCOPE}\"],\"client_ip\":\"127.0.0.1\"}}");
        let head = format!(
            "POST /api/v1/api-keys/verify HTTP/1.1\r\nHost: gatepost\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.service,
            body.len()
        );
        buffer.extend_from_slice(head.as_bytes());
        buffer.extend_from_slice(body.as_bytes());
        Kind::Valid
    }
}
