//! What tests start: throw-away databases and whole applications, on free ports, with their data in a
//! temporary directory, gone when the test is. Nothing of it ships.

mod app;
mod database;
mod face;
mod http;
mod name_server;
mod postgres;
pub mod receiver;
mod watch;

pub use app::{Reply, TestApp, declarations};
pub use database::TestDatabase;
pub use face::{Face, mirror, preset};
pub use gatepost_delivery::DeliverySettings;

/// What tokens begin with in the presets and the mirror, beside the core contract's.
const OTHER_PREFIXES: [&str; 4] =
    ["anv_{environment}_sk_", "anthyx_{environment}_", "wsp_{environment}_", "mir_{environment}_key_"];

/// How many tokens of any face are in `text`.
///
/// # Panics
/// If two of them begin alike.
pub fn count_tokens(text: &[u8]) -> usize {
    let format = gatepost_keys::TokenFormat::new(gatepost_keys::TokenFormat::CORE, OTHER_PREFIXES);
    format.expect("prefixes that differ").count(text)
}
pub use gatepost_storage::Engine;
pub use http::{certificate, http_client};
pub use name_server::NameServer;
pub use postgres::{PostgresServer, postgres_program};
pub use receiver::Receiver;
pub use watch::server_panics;

/// Makes two tests of each function `async fn name(T)`: one on SQLite, one on PostgreSQL. `T` is a type in
/// scope with `async fn start(Engine) -> T`.
#[macro_export]
macro_rules! both_engines {
    ($subject:ident: $($name:ident),* $(,)?) => {$(
        mod $name {
            use super::$subject as Subject;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(Subject::start($crate::Engine::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(Subject::start($crate::Engine::Postgres).await).await;
            }
        }
    )*};
}

/// Whether what takes long is run too.
pub fn is_full() -> bool {
    std::env::var_os("GATEPOST_TEST_FULL").is_some()
}

/// The same as [`both_engines!`], and once more on SQLite in the contract that is the core's mirror and in
/// that of the preset `anvil`; with `--full` in those of the other presets too.
#[macro_export]
macro_rules! every_face {
    ($subject:ident: $($name:ident),* $(,)?) => {
        $crate::both_engines! { $subject: $($name),* }

        mod mirror {
            use super::$subject as Subject;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(Subject::start_as_mirror($crate::Engine::Sqlite).await).await;
                }
            )*
        }

        mod anvil {
            use super::$subject as Subject;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let contract = $crate::preset("anvil");
                    super::$name(Subject::start_as($crate::Engine::Sqlite, contract).await).await;
                }
            )*
        }

        mod other_faces {
            use super::$subject as Subject;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let faces = if $crate::is_full() { &["anthyx", "workspace-api"][..] } else { &[] };
                    for name in faces {
                        let contract = $crate::preset(name);
                        super::$name(Subject::start_as($crate::Engine::Sqlite, contract).await).await;
                    }
                }
            )*
        }
    };
}
