//! What the server says of itself to Prometheus: how requests are answered, and what all parts below count. Each
//! server has its own registry, so that two can live in one process.

use std::{
    cell::Cell,
    collections::HashMap,
    fmt,
    sync::atomic::AtomicU64,
    time::{Duration, Instant},
};

use actix_web::http::Method;
use gatepost_app::App;
use gatepost_metrics::{
    By, Computed, Counter, Family, Gauge, Histogram, Info, Registry, Unit, durations, encode, label,
};
use prometheus_client::encoding::EncodeLabelSet;

use crate::budget::Budget;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

label! {
    /// What became of a visit of a page.
    pub enum PixelOutcome("outcome") {
        /// It is kept.
        Stored = "stored",
        /// Nobody wants it.
        Ignored = "ignored",
        /// Too many wait.
        Refused = "refused",
    }
}

/// Of the requests that `/auth` answers from memory, one in so many is timed: to read the clock twice takes a
/// part of the time that there is to measure.
const TIMED: u32 = 64;

thread_local! {
    /// How many of those there are before the next is timed.
    static UNTIMED: Cell<u32> = const { Cell::new(0) };
}

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "OTHER"];

/// Methods are whatever a client writes; the label must not be.
fn known_method(method: &str) -> &'static str {
    METHODS.into_iter().find(|known| *known == method).unwrap_or("OTHER")
}

/// The server's counters.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    duration: Family<RouteLabels, Histogram, fn() -> Histogram>,
    /// What `/auth` lets in, by method, looked up once.
    forward_auth: [Counter; METHODS.len()],
    forward_auth_duration: Histogram,
    in_flight: Gauge,
    database_up: Gauge<i64>,
    failures: Counter<u64, AtomicU64>,
    pixel_events: By<PixelOutcome, Counter>,
}

impl Metrics {
    /// Fresh counters, and those of `app`; `forward_auth` is the path of forward auth.
    pub fn new(app: &App, budget: &Budget, forward_auth: &str) -> Self {
        // The server has opened its database before it gets here.
        let database_up = Gauge::default();
        database_up.set(1);
        let requests = Family::<RequestLabels, Counter>::default();
        let duration: Family<RouteLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(durations as fn() -> Histogram);
        let (in_flight, failures) = (Gauge::default(), Counter::default());
        let pixel_events = By::<PixelOutcome, Counter>::default();
        let registry = app.registry(|registry| {
            registry.register(
                "build",
                "The version of the server",
                Info::new([("version", env!("CARGO_PKG_VERSION"))]),
            );
            registry.register("http_requests", "Answers by method, route and status", requests.clone());
            registry.register_with_unit(
                "http_request_duration",
                "Time to answer. Of what forward auth lets in from memory, one in 64 is timed",
                Unit::Seconds,
                duration.clone(),
            );
            registry.register("http_requests_in_flight", "Requests being answered", in_flight.clone());
            let budget = budget.clone();
            registry.register_with_unit(
                "http_in_flight",
                "What large requests and answers hold in memory",
                Unit::Bytes,
                Computed::new(move || Some(budget.taken_bytes() as f64)),
            );
            registry.register(
                "database_up",
                "Whether the database answered the last time that /readyz was asked",
                database_up.clone(),
            );
            registry.register("server_errors", "Answers with status 500", failures.clone());
            registry.register(
                "pixel_events",
                "Events of pages: stored, ignored because nobody wants them, refused because too many wait",
                pixel_events.clone(),
            );
        });
        let passed = |method: &str| {
            let labels =
                RequestLabels { method: method.to_owned(), route: forward_auth.to_owned(), status: 204 };
            requests.get_or_create(&labels).clone()
        };
        let forward_auth_duration =
            duration.get_or_create(&RouteLabels { route: forward_auth.to_owned() }).clone();
        let forward_auth = METHODS.map(passed);
        Self {
            registry,
            requests,
            duration,
            forward_auth,
            forward_auth_duration,
            in_flight,
            database_up,
            failures,
            pixel_events,
        }
    }

    /// An event of a page came to this.
    pub fn pixel_event(&self, outcome: PixelOutcome) {
        self.pixel_events[outcome].inc();
    }

    pub fn request_started(&self) {
        self.in_flight.inc();
    }

    pub fn request_ended(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.in_flight.dec();
        let labels =
            RequestLabels { method: known_method(method).to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        self.duration.get_or_create(&RouteLabels { route: route.to_owned() }).observe(took.as_secs_f64());
        if status == 500 {
            self.failures.inc();
        }
    }

    /// When a request to `/auth` began, if it is one that is timed.
    pub fn forward_auth_begins(&self) -> Option<Instant> {
        UNTIMED.with(|untimed| match untimed.get() {
            0 => {
                untimed.set(TIMED - 1);
                Some(Instant::now())
            }
            more => {
                untimed.set(more - 1);
                None
            }
        })
    }

    /// `/auth` let somebody in from memory: counted without the detour over the labels.
    pub fn forward_auth_passed(&self, method: &Method, began: Option<Instant>) {
        if let Some(began) = began {
            self.forward_auth_duration.observe(began.elapsed().as_secs_f64());
        }
        // The most common first, as they stand in the list.
        let index = match *method {
            Method::GET => 0,
            Method::POST => 1,
            _ => METHODS
                .iter()
                .position(|known| *known == known_method(method.as_str()))
                .unwrap_or(METHODS.len() - 1),
        };
        self.forward_auth[index].inc();
    }

    /// A request whose client went away before it was answered.
    pub fn request_abandoned(&self) {
        self.in_flight.dec();
    }

    pub fn probed_database(&self, up: bool) {
        self.database_up.set(up.into());
    }

    /// The text that Prometheus reads, as OpenMetrics 1.0.
    ///
    /// # Errors
    /// None that are expected: a text takes whatever is written to it.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// The same in Prometheus' own older format, 0.0.4, which several agents read alone.
    ///
    /// # Errors
    /// As [`Metrics::render`].
    pub fn render_0_0_4(&self) -> Result<String, fmt::Error> {
        Ok(to_0_0_4(&self.render()?))
    }
}

/// OpenMetrics in the older format: a counter is typed under the name of its samples, there is no type `info`
/// or `unknown`, no unit and no end.
fn to_0_0_4(text: &str) -> String {
    let kinds: HashMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let suffix = |name: &str| match kinds.get(name) {
        Some(&"counter") => "_total",
        Some(&"info") => "_info",
        _ => "",
    };
    let mut older = String::with_capacity(text.len());
    for line in text.lines() {
        let described = line.strip_prefix("# ").and_then(|rest| rest.split_once(' '));
        match described.and_then(|(word, rest)| Some((word, rest.split_once(' ')?))) {
            Some(("TYPE", (name, kind))) => {
                let kind = match kind {
                    "info" | "stateset" => "gauge",
                    "unknown" => "untyped",
                    kind => kind,
                };
                older.extend(["# TYPE ", name, suffix(name), " ", kind, "\n"]);
            }
            Some(("HELP", (name, help))) => older.extend(["# HELP ", name, suffix(name), " ", help, "\n"]),
            _ if line.starts_with("# ") => {}
            _ => older.extend([line, "\n"]),
        }
    }
    older
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_counters_by_their_samples() {
        let newer = "# HELP a_b Some help.\n# TYPE a_b counter\na_b_total{x=\"1\"} 7\n\
                     # HELP c Of it.\n# TYPE c info\nc_info{version=\"1\"} 1\n\
                     # HELP d_seconds Time.\n# TYPE d_seconds histogram\n# UNIT d_seconds seconds\nd_seconds_sum 1.0\n# EOF\n";
        let older = "# HELP a_b_total Some help.\n# TYPE a_b_total counter\na_b_total{x=\"1\"} 7\n\
                     # HELP c_info Of it.\n# TYPE c_info gauge\nc_info{version=\"1\"} 1\n\
                     # HELP d_seconds Time.\n# TYPE d_seconds histogram\nd_seconds_sum 1.0\n";
        assert_eq!(to_0_0_4(newer), older);
    }
}
