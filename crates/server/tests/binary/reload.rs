//! What a supervisor says to a server that runs, and what it is told: reload, drain, health.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use gatepost_test_support::{Engine, certificate, http_client};
use nix::sys::signal::Signal;
use reqwest::{Certificate, Client, Method};
use serde_json::json;
use tokio::{net::UnixDatagram, process::Command};

use crate::{
    forward_auth::{AROUND, start},
    running::{Installation, Running},
};

const SERVE: [&str; 5] = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];

fn write(installation: &Installation, name: &str, text: &str) {
    fs::write(installation.dir.path().join(name), text).expect("the file");
}

/// A port that nobody has just now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its address").port()
}

/// A client that trusts these certificates alone and keeps no connection.
fn trusting(certificates: &[&str]) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let roots = certificates.iter().map(|pem| Certificate::from_pem(pem.as_bytes()).expect("a certificate"));
    let client = Client::builder().no_proxy().pool_max_idle_per_host(0).tls_certs_only(roots);
    client.build().expect("a client")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_under_load() {
    let installation = Installation::start(Engine::Sqlite).await;
    let ((first, first_key), (second, second_key)) = (certificate(), certificate());
    let put = |(cert, key): (&str, &str)| {
        write(&installation, "cert.pem", cert);
        write(&installation, "key.pem", key);
    };
    put((&first, &first_key));
    write(&installation, "gatepost.toml", "[server]\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n");
    let server = Running::start(installation.command(&SERVE)).await;
    let url =
        Arc::new(format!("https://localhost:{}/healthz", server.address.rsplit(':').next().expect("a port")));
    let (stop, handshakes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (client, url) = (trusting(&[&first, &second]), url.clone());
            let (stop, handshakes) = (stop.clone(), handshakes.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.get(url.as_str()).send().await.expect("a handshake");
                    assert_eq!(answer.status(), 200);
                    handshakes.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let more = async |so_many: usize| {
        let wanted = handshakes.load(Ordering::Relaxed) + so_many;
        while handshakes.load(Ordering::Relaxed) < wanted {
            tokio::task::yield_now().await;
        }
    };
    more(20).await;
    assert!(trusting(&[&second]).get(url.as_str()).send().await.is_err(), "the first is shown");
    put((&second, &second_key));
    server.signal(Signal::SIGHUP);
    server.logged("the certificate was read again").await;
    assert!(trusting(&[&first]).get(url.as_str()).send().await.is_err(), "the second is shown");
    trusting(&[&second]).get(url.as_str()).send().await.expect("the second");
    more(20).await;

    // What cannot be used leaves what is there.
    put((&first, &second_key));
    server.signal(Signal::SIGHUP);
    server.logged("do not work together").await;
    more(20).await;
    trusting(&[&second]).get(url.as_str()).send().await.expect("still the second");
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no request has failed");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_a_restart_is_named() {
    let installation = Installation::start(Engine::Sqlite).await;
    write(&installation, "gatepost.toml", "[plans.gold]\nrequests_per_minute = 9\n");
    let server = Running::start(installation.command(&SERVE)).await;
    server.signal(Signal::SIGHUP);
    let log = server.logged("the configuration was read again").await;
    assert!(!log.contains("need a restart"), "{log}");

    let changed = "[plans.gold]\nrequests_per_minute = 10\n[webhooks]\ntimeout = \"9s\"\n\
                   [mcp.servers.x]\ncommand = \"true\"\nenv = { A = \"hunter2\" }\n";
    write(&installation, "gatepost.toml", changed);
    server.signal(Signal::SIGHUP);
    let log = server.logged("need a restart").await;
    for name in ["plans.gold.requests_per_minute", "webhooks.timeout", "mcp.servers.x.env.A"] {
        assert!(log.contains(name), "{name}: {log}");
    }
    assert!(!log.contains("hunter2"), "{log}");

    write(
        &installation,
        "gatepost.toml",
        "[plans.gold]\nrequests_per_minute = -1\n[webhooks]\ntimeout = 9\n",
    );
    server.signal(Signal::SIGHUP);
    let log = server.logged("line 4").await;
    assert!(log.contains("line 2") && log.contains("nothing changes"), "{log}");
    assert_eq!(server.get("/healthz", "").await.status(), 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_drains_answers_all_and_keeps_no_connection() {
    let installation = Installation::start(Engine::Sqlite).await;
    write(&installation, "gatepost.toml", "[server]\ndrain = \"10m\"\n");
    let mut server = Running::start(installation.command(&SERVE)).await;
    let key = server.first_key().await;
    let ready = server.get("/readyz", "").await;
    assert_eq!((ready.status().as_u16(), ready.headers().contains_key("connection")), (200, false));
    server.get("/api/v1/auth", &key).await;
    server.signal(Signal::SIGTERM);
    server.logged("draining").await;
    assert_eq!(server.get("/readyz", "").await.status(), 503);
    // The second by the short way of what is remembered.
    for path in ["/api/v1/workspaces", "/api/v1/auth", "/healthz"] {
        let answer = server.get(path, &key).await;
        assert!(answer.status().is_success(), "{path}");
        assert_eq!(answer.headers()["connection"], "close", "{path}");
    }
    let health = installation
        .command(&["healthcheck", "--bind", &server.address])
        .output()
        .await
        .expect("the command");
    assert!(!health.status.success() && String::from_utf8_lossy(&health.stdout).contains("503"));
    assert!(!server.log().contains("\"ERROR\""), "that it drains is no error: {}", server.log());
    // Whoever says it again does not want to wait.
    server.signal(Signal::SIGTERM);
    assert!(server.child.wait().await.expect("its end").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_have_an_address_of_their_own() {
    let installation = Installation::start(Engine::Sqlite).await;
    let admin = format!("127.0.0.1:{}", free_port());
    write(&installation, "gatepost.toml", &format!("[server]\nadmin_bind = \"{admin}\"\n"));
    let server = Running::start(installation.command(&SERVE)).await;
    let key = server.first_key().await;
    let client = http_client(None);
    let status = async |at: &str, path: &str| {
        let request = client.get(format!("http://{at}{path}")).bearer_auth(&key);
        request.send().await.expect("an answer").status().as_u16()
    };
    for (path, here, there) in [
        ("/metrics", 404, 200),
        ("/healthz", 404, 200),
        ("/readyz", 404, 200),
        ("/docs/", 404, 200),
        ("/docs", 404, 308),
        ("/openapi.json", 404, 200),
        ("/api/v1/workspaces", 200, 404),
        ("/%6detrics", 404, 200),
        ("/%72eadyz", 404, 200),
        ("/%64ocs/", 404, 200),
        ("/api/v1/auth", 204, 404),
        ("/%61pi/v1/auth", 204, 404),
        ("/pixel.js", 200, 404),
        ("/mcp", 405, 404),
        ("/", 307, 307),
        ("/dashboard", 303, 404),
        ("/%64ashboard", 303, 404),
        ("/nothing", 404, 404),
    ] {
        let got = (status(&server.address, path).await, status(&admin, path).await);
        assert_eq!(got, (here, there), "{path}");
    }
    let address = server.address.clone();
    let health = ["healthcheck", "--config", "gatepost.toml", "--bind", &address];
    let output = installation.run(&health).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    server.stop().await;
    assert!(!installation.run(&health).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_asked_with_tls_where_there_is_nothing_else() {
    let installation = Installation::start(Engine::Sqlite).await;
    let (cert, key) = certificate();
    write(&installation, "cert.pem", &cert);
    write(&installation, "key.pem", &key);
    write(&installation, "gatepost.toml", "[server]\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n");
    let server = Running::start(installation.command(&SERVE)).await;
    let output =
        installation.run(&["healthcheck", "--config", "gatepost.toml", "--bind", &server.address]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_told() {
    let installation = Installation::start(Engine::Sqlite).await;
    write(&installation, "gatepost.toml", "");
    let path = installation.dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let heard = async || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).await.expect("a message");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let mut command = installation.command(&SERVE);
    command.env("NOTIFY_SOCKET", &path);
    let server = Running::start(command).await;
    assert!(heard().await.starts_with("READY=1"));
    server.signal(Signal::SIGHUP);
    let reloading = heard().await;
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(heard().await.starts_with("READY=1"));
    server.signal(Signal::SIGTERM);
    assert!(heard().await.starts_with("STOPPING=1"));
}

/// Two processes on one database, behind a proxy that asks the other one where the first is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_restarted_in_turn_and_no_request_fails() {
    let installation = Installation::start(Engine::Postgres).await;
    write(&installation, "gatepost.toml", "[server]\ndrain = \"1s\"\n");
    let ports = [free_port(), free_port()];
    let serve = async |port: u16| {
        let bind = format!("127.0.0.1:{port}");
        Running::start(installation.command(&["serve", "--config", "gatepost.toml", "--bind", &bind])).await
    };
    let first = serve(ports[0]).await;
    let key = first.first_key().await;
    let mut servers = vec![first, serve(ports[1]).await];
    let front = format!("127.0.0.1:{}", free_port());
    let [a, b] = ports;
    let proxied = format!(
        "upstream gatepost {{ server 127.0.0.1:{a} max_fails=0; server 127.0.0.1:{b} max_fails=0; keepalive 8; }}\n\
         server {{ listen {front}; location / {{ proxy_pass http://gatepost; proxy_http_version 1.1; \
         proxy_set_header Connection \"\"; proxy_next_upstream error timeout non_idempotent; }} }}"
    );
    let config = installation.dir.path().join("nginx.conf");
    fs::write(&config, AROUND.replace("@SERVER@", &proxied)).expect("the configuration");
    let mut program = Command::new("nginx");
    program.arg("-p").arg(installation.dir.path()).arg("-c").arg(&config);
    let mut nginx = start(program, &front).await;

    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let (client, key, front) = (http_client(None), key.clone(), front.clone());
            let (stop, answered) = (stop.clone(), answered.clone());
            tokio::spawn(async move {
                let mut event = 0;
                while !stop.load(Ordering::Relaxed) {
                    event += 1;
                    let request = match event % 2 {
                        0 => client.request(Method::GET, format!("http://{front}/api/v1/auth")),
                        _ => client
                            .request(Method::POST, format!("http://{front}/api/v1/events"))
                            .header("idempotency-key", format!("{number}-{event}"))
                            .json(&json!({ "type": "post.created", "data": { "event": event } })),
                    };
                    let answer = request.bearer_auth(&key).send().await.expect("an answer");
                    assert!(answer.status().is_success(), "{}", answer.status());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                event
            })
        })
        .collect();
    let more = async |so_many: usize| {
        let wanted = answered.load(Ordering::Relaxed) + so_many;
        while answered.load(Ordering::Relaxed) < wanted {
            assert!(!clients.iter().any(|client| client.is_finished()), "a request has failed");
            tokio::task::yield_now().await;
        }
    };
    more(50).await;
    for port in ports.into_iter().chain(ports) {
        let server = servers.remove(0);
        assert!(server.address.ends_with(&port.to_string()));
        server.stop().await;
        more(20).await;
        servers.push(serve(port).await);
        more(20).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut posted = 0;
    for client in clients {
        posted += (client.await.expect("no request has failed") as usize).div_ceil(2);
    }
    let listed = servers[0].get("/api/v1/events?per_page=1&type=post.created", &key).await;
    let listed: serde_json::Value = listed.json().await.expect("JSON");
    assert_eq!(listed["meta"]["total"], posted, "each event once");
    nginx.kill().await.expect("nginx ends");
    for server in servers {
        server.stop().await;
    }
}
