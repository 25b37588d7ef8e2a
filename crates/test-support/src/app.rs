//! A whole application behind a real listening server, with a clock that the test moves.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};

use gatepost_api::{ApiSettings, Contract, State, serve};
use gatepost_app::{App, resources::reconcile, tenants::first_start};
use gatepost_dashboard::Dashboard;
use gatepost_delivery::Dispatcher;
use gatepost_egress::{Egress, Resolve, Rules};
use gatepost_gate::GateSettings;
use gatepost_kernel::{Environment, ManualClock, Timestamp};
use gatepost_resources::{Declarations, ResourceSettings, Taken};
use gatepost_sealing::Vault;
use gatepost_storage::{Engine, Storage};
use indexmap::IndexMap;
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use crate::{
    TestDatabase,
    face::{Face, mirror},
};

/// The instant at which a test's clock begins.
const BEGINNING: &str = "2026-01-15T10:30:00Z";

/// The resources that a part of a configuration file declares.
///
/// # Panics
/// If they cannot be declared.
pub fn declarations(toml: &str, taken: Taken) -> Declarations {
    #[derive(Deserialize)]
    struct File {
        resources: IndexMap<Spanned<String>, ResourceSettings>,
    }
    let File { resources } = toml::from_str(toml).expect("resources");
    Declarations::of(&resources, &taken).expect("sound declarations")
}

/// An application that serves.
pub struct TestApp {
    /// Where it listens.
    pub address: SocketAddr,
    /// The root's first key.
    pub root_key: String,
    /// Its clock, which stands still.
    pub clock: Arc<ManualClock>,
    /// Its database.
    pub storage: Storage,
    /// What the server serves.
    pub app: App,
    /// Sends requests.
    pub client: reqwest::Client,
    /// How it is spoken with.
    pub face: Face,
    database: TestDatabase,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body as JSON; null if it is not JSON. An error's is without its request id, by which no two are
    /// the same.
    pub json: Value,
}

impl Reply {
    /// A header as text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Takes the request id out of an error: it must be the one in the header, or that of the first answer
    /// that is given again.
    fn take_request_id(&mut self) {
        let Some(members) = self.json.as_object_mut().filter(|members| members.contains_key("error")) else {
            return;
        };
        if let Some(id) = members.shift_remove("request_id") {
            assert!(id == self.header("x-request-id") || self.header("idempotent-replayed") == "true");
        }
    }

    /// Asserts the status and answers the body.
    ///
    /// # Panics
    /// If the status is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        // The body may hold a key, and whatever a test prints is searched for keys.
        assert_eq!(self.status.as_u16(), status, "{} {}", self.json["error"], self.json["errors"]);
        self.json
    }

    /// Asserts status and error code.
    ///
    /// # Panics
    /// If either is another.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status.as_u16(), self.json["error"].as_str()), (status, Some(code)));
        self.json
    }
}

impl TestApp {
    /// Starts one on an empty database.
    ///
    /// # Panics
    /// If anything of it does not start.
    pub async fn start(engine: Engine) -> Self {
        Self::start_with(engine, ApiSettings::default(), gatepost_app::AppSettings::default()).await
    }

    /// The same in the contract that is the core's mirror.
    ///
    /// # Panics
    /// If anything of it does not start.
    pub async fn start_as_mirror(engine: Engine) -> Self {
        Self::start_as(engine, mirror()).await
    }

    /// The same in another contract.
    ///
    /// # Panics
    /// If anything of it does not start.
    pub async fn start_as(engine: Engine, contract: Contract) -> Self {
        let settings = ApiSettings { contract, ..ApiSettings::default() };
        Self::start_with(engine, settings, gatepost_app::AppSettings::default()).await
    }

    /// The same with settings and plans.
    ///
    /// # Panics
    /// If anything of it does not start.
    pub async fn start_with(
        engine: Engine,
        settings: ApiSettings,
        app_settings: gatepost_app::AppSettings,
    ) -> Self {
        Self::start_delivering(engine, settings, app_settings, Default::default()).await
    }

    /// The same with the resources that this part of a configuration file declares.
    ///
    /// # Panics
    /// If they cannot be declared, or anything of it does not start.
    pub async fn start_declaring(
        engine: Engine,
        settings: ApiSettings,
        app_settings: gatepost_app::AppSettings,
        toml: &str,
    ) -> Self {
        let plans = app_settings.catalog.plans();
        let features = plans.flat_map(|plan| plan.features.keys()).cloned().collect();
        let declared = declarations(toml, Taken { features, ..gatepost_api::taken(&settings.contract) });
        Self::start_all(engine, settings, app_settings, Default::default(), declared).await
    }

    /// The same, with settings of deliveries too; the plans are the application's.
    ///
    /// # Panics
    /// If anything of it does not start.
    pub async fn start_delivering(
        engine: Engine,
        settings: ApiSettings,
        app_settings: gatepost_app::AppSettings,
        delivery: gatepost_delivery::DeliverySettings,
    ) -> Self {
        Self::start_all(engine, settings, app_settings, delivery, Declarations::default()).await
    }

    async fn start_all(
        engine: Engine,
        settings: ApiSettings,
        app_settings: gatepost_app::AppSettings,
        delivery: gatepost_delivery::DeliverySettings,
        declarations: Declarations,
    ) -> Self {
        crate::watch::start();
        let face = Face::new(settings.contract.clone());
        let (token_format, scope_order) = (settings.contract.tokens.clone(), settings.contract.scope_order);
        let identity_headers = settings.contract.headers.all().map(|header| header.name.to_string()).to_vec();
        let gate = GateSettings { token_format, scope_order, ..app_settings.gate };
        let app_settings = gatepost_app::AppSettings { gate, identity_headers, ..app_settings };
        let database = TestDatabase::create(engine);
        let storage = database.open().await;
        let resources = reconcile(&storage, declarations).await.expect("declarations that nothing breaks");
        let app_settings = gatepost_app::AppSettings { resources: Arc::new(resources), ..app_settings };
        let clock = Arc::new(ManualClock::at(Timestamp::parse(BEGINNING).expect("an instant")));
        let catalog = Arc::new(app_settings.catalog.clone());
        let app = App::new(storage.clone(), app_settings, clock.clone());
        let rules = Rules {
            allow: vec!["127.0.0.0/8".parse().expect("a network")],
            allow_http: true,
            // Nobody else's name server is asked, so nothing goes anywhere else.
            resolve: Some(Resolve::with(async |name| match name.as_str() {
                "localhost" => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
                _ => Err(io::ErrorKind::NotFound.into()),
            })),
            ..Rules::default()
        };
        let egress = Egress::new(rules).expect("an HTTP client");
        let delivery = gatepost_delivery::DeliverySettings { catalog, ..delivery };
        let dispatcher = Dispatcher::new(storage.clone(), egress, Vault::default(), delivery, clock.clone());
        app.deliver_by(dispatcher.clone());
        tokio::spawn(dispatcher.clone().measure_queue());
        tokio::spawn(dispatcher.run());
        let key = first_start::with_first_key(&app).await.expect("the first start").expect("the first key");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (server, _) =
            serve(listener, State::with_pages(app.clone(), settings, Some(Arc::new(Dashboard))), 1)
                .expect("a server");
        tokio::spawn(server);
        tokio::spawn(app.gate().clone().follow_changes());
        let client = crate::http_client(None);
        let root_key = key.expose().to_owned();
        Self { address, root_key, clock, storage, app, client, face, database }
    }

    /// What its live keys begin with.
    pub fn live_head(&self) -> &str {
        self.face.contract().tokens.head(Environment::Live)
    }

    /// Asserts that an answer has this sentence, where answers have any.
    ///
    /// # Panics
    /// If it says something else.
    #[track_caller]
    pub fn says(&self, answer: &Value, sentence: &str) {
        if !self.face.is_another() {
            assert_eq!(answer["message"], sentence);
        }
    }

    /// The address of its database.
    pub fn database_url(&self) -> &str {
        &self.database.url
    }

    /// Prepares a request without a key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// Sends a request and reads the answer.
    ///
    /// # Panics
    /// If there is none.
    pub async fn send(&self, request: RequestBuilder) -> Reply {
        let mut request = request.build().expect("a request");
        self.face.ask(&mut request);
        let (method, url) = (request.method().clone(), request.url().clone());
        let response = self.client.execute(request).await.expect("an answer");
        let (status, mut headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        let (status, json) = self.face.read((&method, &url), status, &mut headers, json);
        let text = if status == StatusCode::NO_CONTENT { String::new() } else { text };
        let mut reply = Reply { status, headers, text, json };
        reply.take_request_id();
        reply
    }

    /// `GET /api/v1…` with a key.
    pub async fn get(&self, key: &str, path: &str) -> Reply {
        self.send(self.request(Method::GET, &format!("/api/v1{path}")).bearer_auth(key)).await
    }

    /// `POST /api/v1…` with a key and a body.
    pub async fn post(&self, key: &str, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, &format!("/api/v1{path}")).bearer_auth(key).json(body)).await
    }

    /// `PATCH /api/v1…` with a key and a body.
    pub async fn patch(&self, key: &str, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::PATCH, &format!("/api/v1{path}")).bearer_auth(key).json(body)).await
    }

    /// `DELETE /api/v1…` with a key.
    pub async fn delete(&self, key: &str, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, &format!("/api/v1{path}")).bearer_auth(key)).await
    }

    /// Makes a key with the given members and answers its number and its secret.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn create_key(&self, with: &str, workspace: i64, members: Value) -> (i64, String) {
        let mut body = members;
        if body.get("name").is_none() {
            body["name"] = "Test".into();
        }
        let request = self.request(Method::POST, "/api/v1/api-keys").bearer_auth(with).json(&body);
        let request = if workspace == 0 { request } else { request.header("X-Workspace-ID", workspace) };
        let data = self.send(request).await.expect(201)["data"].take();
        let key = data["key"].as_str().expect("a secret").to_owned();
        (data["id"].as_i64().expect("an id"), key)
    }

    /// Makes a workspace and a key of it with every scope; answers both numbers and the key's secret.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn create_tenant(&self, name: &str) -> (i64, i64, String) {
        self.create_tenant_on("pro", name).await
    }

    /// The same on a plan.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn create_tenant_on(&self, tier: &str, name: &str) -> (i64, i64, String) {
        let body = serde_json::json!({ "name": name, "tier": tier });
        let workspace = self.post(&self.root_key, "/workspaces", &body).await.expect(201);
        let workspace = workspace["data"]["id"].as_i64().expect("an id");
        let scopes = serde_json::json!({ "scopes": ["*"] });
        let (id, key) = self.create_key(&self.root_key, workspace, scopes).await;
        (workspace, id, key)
    }
}
