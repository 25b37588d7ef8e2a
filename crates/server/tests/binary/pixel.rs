//! The script in a real browser: Chromium, on pages of the test's own that are of another origin than the
//! server.

use std::{fs, process::Stdio, time::Duration};

use gatepost_test_support::both_engines;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::{Child, Command},
    sync::mpsc,
};

use crate::running::{Installation, Running};

both_engines! { Installation: the_script_tells_of_visits_in_a_browser }

/// What keeps the browser from asking anybody else for anything.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// A page that tells of itself before and after the script is there, goes on to another without loading it,
/// and jumps within that.
const PAGE: &str = "<!doctype html><title>Shop</title>\
    <script>window.gatepost = window.gatepost || function () { (gatepost.q = gatepost.q || []).push(arguments); };\
    gatepost('event', 'signup', { plan: 'pro' });</script>\
    <script async src='@SCRIPT@' onload=\"history.pushState({}, '', '/basket?step=1'); gatepost('event', 'order');\
    let jumps = 0; window.addEventListener('hashchange', () => { if (++jumps == 2) gatepost('event', 'jumped'); else location.hash = 'b'; });\
    location.hash = 'a';\"></script>";

/// A page of another site, from which the visitor comes.
const ELSEWHERE: &str =
    "<!doctype html><title>Elsewhere</title><script>location.replace('@SHOP@/');</script>";

/// The same of a visitor who asks not to be tracked; it says when the script has run.
const PRIVATE: &str = "<!doctype html><title>Private</title>\
    <script>Object.defineProperty(navigator, 'globalPrivacyControl', { value: true });</script>\
    <script async src='@SCRIPT@' onload=\"gatepost('event', 'signup'); fetch('/done');\"></script>";

/// Serves the pages; their paths as they are asked for.
async fn pages(script: String) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("its address"));
    let (sink, asked) = mpsc::unbounded_channel();
    let shop = address.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (sink, script, shop) = (sink.clone(), script.clone(), shop.clone());
            tokio::spawn(async move {
                let mut head = vec![0u8; 16_384];
                let length = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let page = match path.as_str() {
                    "/private" => PRIVATE,
                    "/elsewhere" => ELSEWHERE,
                    _ => PAGE,
                };
                let body = page.replace("@SCRIPT@", &script).replace("@SHOP@", &shop);
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                // Once the test has ended, nobody wants to know.
                let _ = sink.send(path);
            });
        }
    });
    (address, asked)
}

/// A browser that shows a page, with all its processes.
struct Browser(Child);

impl Browser {
    fn show(installation: &Installation, profile: &str, url: &str) -> Self {
        let mut browser = Command::new("chromium");
        browser
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", installation.dir.path().join(profile).display()));
        browser.arg("--remote-debugging-port=0").arg(url).process_group(0).kill_on_drop(true);
        // `cargo xtask test` installs it.
        let browser = browser.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(browser.expect("Chromium"))
    }

    async fn close(mut self) {
        let pid = self.0.id().and_then(|pid| pid.try_into().ok()).expect("a running process");
        killpg(Pid::from_raw(pid), Signal::SIGKILL).expect("a signal");
        self.0.wait().await.expect("its end");
    }
}

/// Groups of pixel events with their counts, in the order of their names.
async fn counted(server: &Running, key: &str, group_by: &str) -> Vec<(String, u64)> {
    let path = format!("/api/v1/analytics/pixel?group_by={group_by}");
    let body: Value = server.get(&path, key).await.json().await.expect("JSON");
    let series = body["data"]["series"].as_array().expect("series").iter();
    let mut groups: Vec<_> = series
        .map(|one| {
            (one["group"].as_str().unwrap_or_default().to_owned(), one["total"].as_u64().expect("a count"))
        })
        .collect();
    groups.sort();
    groups
}

async fn the_script_tells_of_visits_in_a_browser(installation: Installation) {
    let server = installation.serve().await;
    let key = server.first_key().await;
    let body = json!({ "settings": { "pixel": { "domains": ["127.0.0.1"] } } });
    let set = server.send(reqwest::Method::PATCH, "/api/v1/workspaces/1", &key, Some(body)).await;
    assert_eq!(set.expect("an answer").status(), 200);
    let (pages, mut asked) = pages(server.url("/pixel.js")).await;

    let elsewhere = pages.replace("127.0.0.1", "localhost");
    let browser = Browser::show(&installation, "profile", &format!("{elsewhere}/elsewhere"));
    let all = [("jumped", 1), ("order", 1), ("pageview", 2), ("signup", 1)]
        .map(|(name, count)| (name.to_owned(), count));
    let arrived = async {
        while counted(&server, &key, "event").await != all {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), arrived).await.expect("the visits");
    // The address of the page, and the one that it went on to.
    let on_pages = counted(&server, &key, "url").await;
    assert_eq!(on_pages, [(format!("{pages}/"), 2), (format!("{pages}/basket"), 3)]);
    // The visitor came from elsewhere once, however many pages and events there were.
    assert_eq!(counted(&server, &key, "referrer").await, [(String::new(), 4), ("localhost".to_owned(), 1)]);
    browser.close().await;

    let browser = Browser::show(&installation, "private", &format!("{pages}/private"));
    let done = async { while asked.recv().await.expect("the page") != "/done" {} };
    tokio::time::timeout(Duration::from_secs(60), done).await.expect("the script has run");
    browser.close().await;
    assert_eq!(counted(&server, &key, "event").await, all, "nothing is told of who asks not to be tracked");

    let metrics = server.get("/metrics", "").await.text().await.expect("text");
    assert!(metrics.contains("gatepost_pixel_events_total{outcome=\"stored\"} 5"), "{metrics}");
    assert!(fs::metadata(installation.dir.path().join("profile")).is_ok(), "its profile is the test's own");
    server.stop().await;
}
