//! Numbers for Prometheus. Each server has its own registry, so that two can live in one process.

use std::{fmt, sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

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

const FORWARD_AUTH: &str = "/api/v1/auth";
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
    forward_auth: Vec<(&'static str, Counter)>,
    forward_auth_duration: Histogram,
    in_flight: Gauge,
    database_up: Gauge<i64>,
    failures: Counter<u64, AtomicU64>,
}

fn buckets() -> Histogram {
    Histogram::new([0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0])
}

impl Metrics {
    /// Fresh counters.
    pub fn new() -> Self {
        // The server has opened its database before it gets here.
        let database_up = Gauge::default();
        database_up.set(1);
        let mut registry = Registry::with_prefix("gatepost");
        let requests = Family::<RequestLabels, Counter>::default();
        let duration: Family<RouteLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(buckets as fn() -> Histogram);
        let (in_flight, failures) = (Gauge::default(), Counter::default());
        registry.register(
            "build",
            "The version of the server",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register("http_requests", "Answers by method, route and status", requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time to answer",
            Unit::Seconds,
            duration.clone(),
        );
        registry.register("http_requests_in_flight", "Requests being answered", in_flight.clone());
        registry.register("database_up", "Whether the database answered the last probe", database_up.clone());
        registry.register("server_errors", "Answers with status 500", failures.clone());
        let passed = |method| {
            let labels =
                RequestLabels { method: String::from(method), route: FORWARD_AUTH.to_owned(), status: 204 };
            (method, requests.get_or_create(&labels).clone())
        };
        let forward_auth = METHODS.map(passed).into();
        let route = RouteLabels { route: FORWARD_AUTH.to_owned() };
        let forward_auth_duration = duration.get_or_create(&route).clone();
        Self {
            registry,
            requests,
            duration,
            forward_auth,
            forward_auth_duration,
            in_flight,
            database_up,
            failures,
        }
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

    /// `/auth` let somebody in, without the detour over the labels.
    pub fn forward_auth_passed(&self, method: &str, took: Duration) {
        let method = known_method(method);
        if let Some((_, counter)) = self.forward_auth.iter().find(|(known, _)| *known == method) {
            counter.inc();
        }
        self.forward_auth_duration.observe(took.as_secs_f64());
    }

    /// A request whose client went away before it was answered.
    pub fn request_abandoned(&self) {
        self.in_flight.dec();
    }

    pub fn probed_database(&self, up: bool) {
        self.database_up.set(up.into());
    }

    /// The text that Prometheus reads.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
