//! What Gatepost is compared with: an actix server of the same version that decides nothing. It answers 204
//! to everything, and JSON of the size of a decision to whoever posts JSON to the path of `verify`. A program
//! of its own, because the measuring one counts allocations.

use std::net::TcpListener;

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::Value;

/// The same as Gatepost's: what is compared is what the servers do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As long as the answer that a verification of the bench's keys gets.
const VERIFIED: &str = include_str!("../verified.json");

#[expect(clippy::print_stderr, reason = "the measuring program reads the address there")]
fn main() -> std::io::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        eprintln!("bare {}", listener.local_addr()?);
        let verify = async |body: web::Bytes| match serde_json::from_slice::<Value>(&body) {
            Ok(_) => HttpResponse::Ok().content_type("application/json").body(VERIFIED),
            Err(_) => HttpResponse::BadRequest().finish(),
        };
        let app = move || {
            App::new()
                .route("/api/v1/api-keys/verify", web::post().to(verify))
                .default_service(web::to(async || HttpResponse::NoContent().finish()))
        };
        HttpServer::new(app).workers(1).listen(listener)?.run().await
    })
}
