//! What the application says of itself to Prometheus.

use std::sync::{Arc, atomic::AtomicU64};

use gatepost_kernel::Timestamp;
use gatepost_mcp::{CallOutcome, McpServers, Server, Status};
use gatepost_metrics::{
    By, Counter, Each, Family, Gauge, Histogram, Label, Labels, Registry, Unit, label, sizes,
};

label! {
    /// What goes into one transaction with what others ask for at the same time.
    pub(crate) enum Group("kind") {
        /// Events that are published.
        Events = "events",
        /// Uses of a feature.
        Usage = "usage",
        /// Visits of pages.
        PixelEvents = "pixel_events",
    }
}

label! {
    /// What is done from time to time.
    pub enum Job("name") {
        /// Deleting what no longer counts.
        CleanUp = "clean_up",
        /// Writing down what keys were used for.
        WriteUsage = "write_usage",
        /// Reading the database's clock.
        ReadClock = "read_clock",
    }
}

/// The labels of a call: the server, and how the call ended.
type McpCall = [(&'static str, String); 2];

/// What the application counts.
#[derive(Debug)]
pub struct AppMetrics {
    group_sizes: By<Group, Histogram>,
    jobs: By<Job, Gauge<f64, AtomicU64>>,
    mcp_calls: Family<McpCall, Counter>,
}

impl Default for AppMetrics {
    fn default() -> Self {
        Self { group_sizes: By::new(sizes), jobs: By::default(), mcp_calls: Family::default() }
    }
}

impl AppMetrics {
    /// A job was done at `now`.
    pub fn job_done(&self, job: Job, now: Timestamp) {
        self.jobs[job].set(now.as_micros() as f64 / 1_000_000.0);
    }

    /// Where the sizes of groups of this kind are counted.
    pub(crate) fn group_size(&self, group: Group) -> Histogram {
        self.group_sizes[group].clone()
    }

    /// A tool of a server was called, and the call ended like this.
    pub(crate) fn mcp_called(&self, server: &str, outcome: CallOutcome) {
        self.mcp_calls.get_or_create(&mcp_call(server, outcome)).inc();
    }
}

fn mcp_call(server: &str, outcome: CallOutcome) -> McpCall {
    [("server", server.to_owned()), ("outcome", outcome.as_str().to_owned())]
}

impl AppMetrics {
    /// Registers what is counted here, and which of `servers` can be called.
    pub(crate) fn register(&self, registry: &mut Registry, servers: Option<&McpServers>) {
        let AppMetrics { group_sizes, jobs, mcp_calls } = self;
        registry.register(
            "group_size",
            "Requests that went into one transaction together",
            group_sizes.clone(),
        );
        registry.register_with_unit(
            "job_last_success_timestamp",
            "When a job was last done, in seconds since 1970; 0 if it was not done by this process",
            Unit::Seconds,
            jobs.clone(),
        );
        registry.register("mcp_calls", "Calls of tools of MCP servers", mcp_calls.clone());
        let Some(servers) = servers.cloned() else { return };
        for server in servers.all() {
            // There from the start, so that the first failure is seen as a rise.
            for outcome in CallOutcome::all() {
                let _ = mcp_calls.get_or_create(&mcp_call(&server.config().id, outcome));
            }
        }
        registry.register(
            "mcp_server_up",
            "Whether an MCP server can be called",
            Each::new("server", move || {
                let up = |server: &Arc<Server>| {
                    (server.config().id.clone(), f64::from(u8::from(server.status() == Status::Up)))
                };
                servers.all().iter().map(up).collect()
            }),
        );
    }
}
