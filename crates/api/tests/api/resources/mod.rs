//! Declared resources: their records, whose they are, and what becomes of those that refer to others.

mod declarations;
mod records;
mod relations;

use gatepost_api::ApiSettings;
use gatepost_test_support::{Engine, TestApp};
use serde_json::Value;

/// What the tests of records declare.
pub const DECLARED: &str = include_str!("declared.toml");

/// An application with declared resources.
pub struct WithResources;

impl WithResources {
    pub async fn start(engine: Engine) -> TestApp {
        let settings = gatepost_app::AppSettings::default();
        TestApp::start_declaring(engine, ApiSettings::default(), settings, DECLARED).await
    }
}

/// Makes a record with the root's key.
async fn create(app: &TestApp, path: &str, body: Value) -> Value {
    app.post(&app.root_key, path, &body).await.expect(201)["data"].take()
}

fn id(record: &Value) -> String {
    record["id"].as_str().expect("an id").to_owned()
}
