//! A service with Gatepost before it. In this process, with a database of its own:
//!
//! ```sh
//! cargo run -p gatepost-actix --example posts
//! ```
//!
//! or asking a Gatepost that runs elsewhere, with a key of it that has the scope `api-keys:verify`:
//!
//! ```sh
//! GATEPOST_URL=http://127.0.0.1:8080 GATEPOST_KEY=sk_live_… cargo run -p gatepost-actix --example posts
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to a person")]

use std::{env, error::Error, net::TcpListener, sync::Arc, time::Duration};

use actix_web::{App, HttpServer, web};
use gatepost_actix::{Gate, VerifiedKey};
use gatepost_app::{AppSettings, tenants::first_start};
use gatepost_kernel::{Secret, SystemClock};
use gatepost_storage::Storage;

async fn list_posts(key: VerifiedKey) -> String {
    format!("posts of workspace {}\n", key.workspace_id)
}

async fn create_post(key: VerifiedKey) -> String {
    format!("a new post of workspace {}\n", key.workspace_id)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let gate = match (variable("GATEPOST_URL"), variable("GATEPOST_KEY")) {
        (Some(url), Some(key)) => Gate::remote(&url, Secret::new(key)).build()?,
        _ => Gate::in_process(open().await?.gate().clone()),
    };
    let (read, write) = (gate.require("posts:read")?, gate.require("posts:write")?);
    let listener = TcpListener::bind(variable("BIND").as_deref().unwrap_or("127.0.0.1:3000"))?;
    println!("curl -H \"Authorization: Bearer $GATEPOST_KEY\" http://{}/posts", listener.local_addr()?);
    let server = HttpServer::new(move || {
        let posts = web::resource("/posts")
            .route(web::get().to(list_posts).wrap(read.clone()))
            .route(web::post().to(create_post).wrap(write.clone()));
        App::new().service(posts)
    });
    Ok(server.listen(listener)?.run().await?)
}

/// Gatepost in this process: the database, its first key, and what must run beside.
async fn open() -> Result<gatepost_app::App, Box<dyn Error>> {
    let url = variable("DATABASE_URL").unwrap_or_else(|| "sqlite://posts.db".to_owned());
    let storage = Storage::open(&url.parse()?).await?;
    storage.migrate().await?;
    let app = gatepost_app::App::new(storage, AppSettings::default(), Arc::new(SystemClock));
    if let Some(key) = first_start::with_first_key(&app).await.map_err(|e| e.to_string())? {
        println!("export GATEPOST_KEY={}", key.expose());
    }
    tokio::spawn(app.gate().clone().follow_changes());
    tokio::spawn(app.gate().clone().sweep());
    let counted = app.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            if let Err(error) = counted.gate().write_usage().await {
                eprintln!("usage was not written, trying later: {error}");
            }
        }
    });
    Ok(app)
}

#[expect(clippy::disallowed_methods, reason = "settings are read here, once")]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}
