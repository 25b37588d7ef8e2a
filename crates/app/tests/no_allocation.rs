//! The path that lets a request in allocates nothing. Alone in its process, so that nobody else's allocations
//! are counted.

use std::{net::IpAddr, sync::Arc};

use gatepost_app::{App, AppSettings, tenants::first_start};
use gatepost_kernel::{EnvironmentFilter, SystemClock};
use gatepost_keys::{ScopeRef, Token, TokenFormat};
use gatepost_storage::Storage;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

#[test]
fn letting_a_request_in_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let dir = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", dir.path().join("gatepost.db").display());
        let storage = Storage::open(&url.parse().expect("a URL")).await.expect("a database");
        storage.migrate().await.expect("tables");
        let app = App::new(storage, AppSettings::default(), Arc::new(SystemClock));
        let key = first_start::with_first_key(&app).await.expect("the first start").expect("a key");
        let address: Option<IpAddr> = Some("192.0.2.7".parse().expect("an address"));
        let scope = ScopeRef::parse("posts:read").expect("a scope");
        app.gate().catch_up().await.expect("the feed");
        let token = Token::parse(&TokenFormat::default(), key.expose()).expect("a token");
        app.gate().authenticate(&token, address).await.expect("the key");
        // The first use of a key puts it on the list of those to be written; so many outgrow the small
        // counters.
        for _ in 0..600 {
            app.gate()
                .pass(key.expose(), [Some(scope)], EnvironmentFilter::default(), address, app.now(), 204)
                .expect("let in");
        }
        let region = Region::new(ALLOCATOR);
        for _ in 0..1_000 {
            app.gate()
                .pass(key.expose(), [Some(scope)], EnvironmentFilter::default(), address, app.now(), 204)
                .expect("let in");
        }
        assert_eq!(region.change().allocations, 0);
    });
}
