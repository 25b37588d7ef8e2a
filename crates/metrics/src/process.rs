//! The metrics that Prometheus' own clients give of their process, by their names.

use crate::{Computed, Registry, Total};

/// Registers what the process uses, under the names without a prefix that dashboards look for. Only Linux says
/// it.
pub fn register_process(registry: &mut Registry) {
    registry.register(
        "process_cpu_seconds",
        "Processor time that the process has used, in seconds",
        Total::new(|| look().map_or(0.0, |process| process.cpu_seconds)),
    );
    let gauges: [Described; 4] = [
        ("process_resident_memory_bytes", "Memory that the process holds", |process| process.resident_bytes),
        ("process_open_fds", "Files and connections that are open", |process| process.open_files),
        ("process_max_fds", "How many may be open", |process| process.max_files),
        ("process_start_time_seconds", "When the process began, in seconds since 1970", |process| {
            process.started_at
        }),
    ];
    for (name, help, read) in gauges {
        registry.register(name, help, Computed::new(move || look().map(read)));
    }
}

/// The name of a gauge, what it means, and how it is read.
type Described = (&'static str, &'static str, fn(Process) -> f64);

/// What the system says of the process.
#[derive(Debug, Clone, Copy)]
struct Process {
    cpu_seconds: f64,
    resident_bytes: f64,
    open_files: f64,
    max_files: f64,
    started_at: f64,
}

#[cfg(target_os = "linux")]
fn look() -> Option<Process> {
    use procfs::{CurrentSI, KernelStats, WithCurrentSystemInfo, process::LimitValue};

    let process = procfs::process::Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let ticks = procfs::ticks_per_second() as f64;
    let max_files = match process.limits().ok()?.max_open_files.soft_limit {
        LimitValue::Value(most) => most as f64,
        LimitValue::Unlimited => f64::INFINITY,
    };
    Some(Process {
        cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
        resident_bytes: stat.rss_bytes().get() as f64,
        open_files: process.fd_count().ok()? as f64,
        max_files,
        started_at: KernelStats::current().ok()?.btime as f64 + stat.starttime as f64 / ticks,
    })
}

#[cfg(not(target_os = "linux"))]
fn look() -> Option<Process> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_seen() {
        let process = look().expect("what the system says");
        assert!(process.resident_bytes > 100_000.0 && process.open_files >= 3.0, "{process:?}");
        assert!(process.max_files >= process.open_files, "{process:?}");
        assert!(process.started_at > 1_700_000_000.0, "{process:?}");
    }
}
