//! The decision as a library call, in this process.

use std::{net::IpAddr, path::Path, time::Instant};

use gatepost_app::App;
use gatepost_kernel::EnvironmentFilter;
use gatepost_keys::ScopeRef;
use stats_alloc::Region;

use crate::{ALLOCATOR, Failure, population::SCOPE, report::Row};

/// Measures row 5.
pub async fn decision(app: &App, token: &str, _dir: &Path, rounds: usize) -> Result<Row, Failure> {
    const CALLS: u32 = 500_000;
    let address: Option<IpAddr> = Some("127.0.0.1".parse()?);
    let scope = ScopeRef::parse(SCOPE)?;
    let (mut means, mut allocations) = (Vec::new(), 0);
    for _ in 0..=rounds {
        app.gate().catch_up().await.map_err(|e| e.to_string())?;
        // The first call of a round may fetch the key, or more of its day.
        let parsed = gatepost_keys::Token::parse(&gatepost_keys::TokenFormat::default(), token)
            .ok_or("not a token")?;
        let principal = app.gate().authenticate(&parsed, address).await.map_err(|e| e.to_string())?;
        app.gate().take(&principal, 1).await.map_err(|e| e.to_string())?;
        let (region, began) = (Region::new(ALLOCATOR), Instant::now());
        for _ in 0..CALLS {
            app.gate()
                .pass(token, [Some(scope)], EnvironmentFilter::default(), address, app.now(), 204)
                .ok_or("a valid key was not let in")?;
        }
        means.push(began.elapsed().as_nanos() as f64 / f64::from(CALLS));
        allocations = region.change().allocations;
        app.gate().write_usage().await.map_err(|e| e.to_string())?;
    }
    means.sort_by(f64::total_cmp);
    let median = means[means.len() / 2];
    Ok(Row {
        number: 5,
        what: "in-process decision (library call)",
        against: "–",
        reach: "< 1 µs mean; no allocation",
        measured: format!(
            "{} 1 µs; {allocations} allocations in {CALLS} calls",
            if median < 1_000.0 { "<" } else { "≥" }
        ),
        spread: format!("{:.2}–{:.2} of 1 µs", means[0] / 1_000.0, means[means.len() - 1] / 1_000.0),
        reached: median < 1_000.0 && allocations < 100,
    })
}
