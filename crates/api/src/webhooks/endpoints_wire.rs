//! Webhook endpoints and their deliveries on the wire.

use std::time::Duration;

use gatepost_app::{
    WebhookAttempt, WebhookDelivery, WebhookEndpoint,
    lists::{WEBHOOK_DELIVERY_SORTS, WEBHOOK_SORTS},
    webhooks::endpoints::{
        CreateWebhook, DeliveryHistory, OlderSecrets, SigningSecret, TestedWebhook, UpdateWebhook,
        custom_headers, signing_secrets, subscriptions,
    },
};
use gatepost_kernel::{EventId, Secret, Timestamp, WebhookDeliveryId, WebhookEndpointId};
use gatepost_macros::{body, query, view};
use gatepost_webhooks::{CustomHeader, DeliveryStatus, EndpointSecret, EventType, Subscription};

use crate::{
    body::Fields,
    lists::{Description, Listed},
    scopes::WebhooksRead,
    values::{DescriptionText, Whole, members, text_parameters, texts, words},
    webhooks::events_wire::EventTypeName,
};

const DEFAULT_GRACE_PERIOD_HOURS: u16 = 24;
const MAX_GRACE_PERIOD_HOURS: i64 = 168;

/// A webhook endpoint, without its secret.
#[view(from = (WebhookEndpoint, Option<Vec<String>>, Timestamp), of = 0, example = {
    "id": 1, "url": "https://your-app.com/webhooks", "description": "Order service",
    "events": ["post.created", "post.updated"], "header_names": ["X-Team"], "is_active": true, "success_count": 150,
    "failure_count": 2, "consecutive_failures": 0, "last_delivery_at": "2026-01-15T10:30:00Z",
    "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
})]
pub struct WebhookView {
    /// Numeric id of the endpoint.
    id: WebhookEndpointId,
    /// URL that deliveries are posted to.
    url: String,
    /// Human-readable description of the endpoint.
    description: Option<String>,
    /// Event types this endpoint subscribes to.
    events: Vec<String>,
    /// Names of the custom headers sent with each delivery, whose values are never shown; null if they cannot
    /// be decrypted with the server's present keys.
    #[member(from = source.1)]
    header_names: Option<Vec<String>>,
    /// Secrets that sign the endpoint's deliveries, newest first.
    #[member(from = signing_secrets(&source.0, source.2).into_iter().map(Into::into).collect())]
    signing_secrets: Vec<SigningSecretView>,
    /// Whether deliveries are sent to this endpoint.
    is_active: bool,
    /// Reason for which the server disabled the endpoint; null if it did not.
    disabled_reason: Option<String>,
    /// Number of deliveries the endpoint has received.
    success_count: u64,
    /// Number of attempts that failed.
    failure_count: u64,
    /// Number of failed attempts since the last successful one.
    consecutive_failures: u64,
    /// Time of the last successful delivery; null if there was none.
    last_delivery_at: Option<Timestamp>,
    /// Time at which the endpoint was created.
    created_at: Timestamp,
    /// Time of the last change to the endpoint.
    updated_at: Timestamp,
    /// The endpoint's newest deliveries, at most 10; only if included.
    #[member(included = WebhooksRead, shown = "the newest deliveries", from = None)]
    deliveries: Option<Vec<WebhookDeliveryView>>,
}

impl WebhookView {
    /// The endpoint with its newest deliveries.
    pub fn with_deliveries(self, deliveries: Option<Vec<WebhookDelivery>>) -> Self {
        Self { deliveries: deliveries.map(|all| all.into_iter().map(Into::into).collect()), ..self }
    }
}

/// A secret that signs an endpoint's deliveries; its value is shown only when it is created.
#[view(from = SigningSecret, example = {
    "replaced_at": "2026-01-15T10:30:00.000000Z", "expires_at": "2026-01-16T10:30:00.000000Z",
})]
pub struct SigningSecretView {
    /// Time at which a newer secret replaced this one; null for the newest.
    replaced_at: Option<Timestamp>,
    /// Time until which the secret signs; null for the newest, which signs until it is replaced.
    expires_at: Option<Timestamp>,
}

/// A new webhook endpoint, with its secret.
#[view(example = {
    "id": 2, "url": "https://your-app.com/webhooks", "events": ["post.created", "post.updated", "post.deleted"],
    "secret": "whsec_abc123def456...", "header_names": ["X-Team"], "is_active": true,
    "created_at": "2026-01-15T10:30:00Z",
})]
pub struct CreatedWebhookView {
    /// Numeric id of the endpoint.
    id: WebhookEndpointId,
    /// URL that deliveries are posted to.
    url: String,
    /// Event types this endpoint subscribes to.
    events: Vec<String>,
    /// Secret that signs the endpoint's deliveries; shown in this response only.
    secret: String,
    /// Names of the custom headers sent with each delivery, whose values are never shown.
    header_names: Vec<String>,
    /// Whether deliveries are sent to this endpoint.
    is_active: bool,
    /// Time at which the endpoint was created.
    created_at: Timestamp,
}

impl CreatedWebhookView {
    /// A new endpoint with its secret and the names of its own headers.
    pub fn new((endpoint, secret): (WebhookEndpoint, Secret), header_names: Vec<String>) -> Self {
        let WebhookEndpoint { id, url, events, is_active, created_at, .. } = endpoint;
        Self { id, url, events, secret: secret.expose().to_owned(), header_names, is_active, created_at }
    }
}

/// The new secret of a webhook endpoint.
#[view(example = {"secret": "whsec_abc123def456..."})]
pub struct RotatedWebhookSecretView {
    /// Secret that signs deliveries from now on; shown in this response only.
    secret: String,
    /// Secrets that sign the endpoint's deliveries from now on, newest first.
    signing_secrets: Vec<SigningSecretView>,
}

impl From<(Secret, Vec<SigningSecret>)> for RotatedWebhookSecretView {
    fn from((secret, signing): (Secret, Vec<SigningSecret>)) -> Self {
        let signing_secrets = signing.into_iter().map(Into::into).collect();
        Self { secret: secret.expose().to_owned(), signing_secrets }
    }
}

texts! {
    /// Where deliveries are to go; whether they may is found out later.
    EndpointUrl(String) = { "type": "string", "maxLength": 2048 }, |url| Ok(url.to_owned());
    /// A secret that the tenant has chosen.
    ChosenSecret(EndpointSecret) = { "type": "string", "pattern": "^[!-~]*$", "minLength": 16, "maxLength": 256 }, |text| {
        EndpointSecret::parse(text).map_err(|error| format!("The secret {error}."))
    };
}

members! {
    /// What an endpoint subscribes to.
    Subscriptions(Vec<Subscription>) = {
        "type": "array", "minItems": 1, "maxItems": 100,
        "items": { "type": "string", "pattern": "^(\\*|[a-z0-9_]+(\\.[a-z0-9_]+)*(\\.\\*)?)$", "maxLength": 128 },
    }, |fields, name, value| fields.texts(name, value, subscriptions);
    /// Headers of the tenant's own.
    CustomHeaders(Vec<CustomHeader>) = {
        "type": "object", "propertyNames": { "type": "string" }, "additionalProperties": { "type": "string" },
    }, |fields, name, value| {
        let pairs = fields.object(name, value)?;
        custom_headers(&pairs).map_err(|errors| fields.errors("", &errors)).ok()
    };
}

/// A webhook endpoint to create.
#[body(into = CreateWebhook, example = {
    "url": "https://your-app.com/webhooks", "events": ["post.created", "post.*"], "description": "Order service",
    "headers": {"X-Team": "orders"},
})]
pub struct CreateWebhookBody {
    /// HTTPS URL that deliveries are posted to; it must resolve to a public address
    #[member(like = EndpointUrl)]
    pub url: String,
    /// Event types to subscribe to: exact types such as `post.created`, `post.*` for all that begin with
    /// `post.`, or `*` for all
    #[member(like = Subscriptions)]
    events: Vec<Subscription>,
    /// Secret to sign deliveries with; generated if not given. Base64 of 24 to 64 bytes, with or without
    /// `whsec_` in front, is decoded, as in Standard Webhooks; anything else is used as it is written.
    #[member(like = ChosenSecret)]
    secret: Option<EndpointSecret>,
    /// Human-readable description of the endpoint
    #[member(like = DescriptionText)]
    description: Option<String>,
    /// Custom headers to send with each delivery; their values are never shown
    #[member(like = CustomHeaders, default)]
    headers: Vec<CustomHeader>,
}

/// Changes to a webhook endpoint; members that are left out stay as they are.
#[body(changes, into = UpdateWebhook, example = {
    "url": "https://new-url.com/webhooks", "events": ["post.*"], "description": "Order service",
    "headers": {"X-Team": "orders"}, "is_active": true,
})]
pub struct UpdateWebhookBody {
    /// HTTPS URL that deliveries are posted to; it must resolve to a public address
    #[member(like = EndpointUrl)]
    pub url: Option<String>,
    /// Event types to subscribe to: exact types such as `post.created`, `post.*` for all that begin with
    /// `post.`, or `*` for all
    #[member(like = Subscriptions)]
    events: Option<Vec<Subscription>>,
    /// Human-readable description of the endpoint; null removes it
    #[member(like = DescriptionText)]
    description: Option<Option<String>>,
    /// All custom headers to send with each delivery; required, perhaps `{}`, if the endpoint has some and
    /// the URL changes its scheme, host or port
    #[member(like = CustomHeaders)]
    headers: Option<Vec<CustomHeader>>,
    /// Whether to send deliveries to this endpoint; waiting ones go on when it is active again
    is_active: Option<bool>,
}

/// Options for rotating a webhook secret.
#[body(check = Self::check, example = { "grace_period_hours": 24, "expire_previous": false })]
pub struct RotateWebhookSecretBody {
    /// Hours for which the old secret signs beside the new one; 24 if not given
    #[member(like = Whole<u16, 0, MAX_GRACE_PERIOD_HOURS>)]
    grace_period_hours: Option<u16>,
    /// Whether all older secrets stop signing at once, including those of earlier rotations; `false` if not
    /// given, and not together with a grace period
    #[member(default)]
    expire_previous: bool,
}

impl RotateWebhookSecretBody {
    fn check(&self, fields: &mut Fields<'_>) {
        if self.expire_previous && self.grace_period_hours.is_some_and(|hours| hours > 0) {
            let text = "The expire previous field ends the older secrets at once, so there is no grace period beside it.";
            fields.error("expire_previous", text);
        }
    }

    /// What becomes of the secrets before.
    pub fn older(&self) -> OlderSecrets {
        if self.expire_previous {
            return OlderSecrets::Expire;
        }
        let hours = self.grace_period_hours.unwrap_or(DEFAULT_GRACE_PERIOD_HOURS);
        OlderSecrets::Sign(Duration::from_secs(u64::from(hours) * 3_600))
    }
}

/// Result of a test delivery.
#[view(from = TestedWebhook, example = {
    "success": true, "status_code": 200, "response_time_ms": 145, "response_body": "{\"received\": true}",
})]
pub struct WebhookTestView {
    /// Whether the endpoint accepted the delivery.
    success: bool,
    /// HTTP status of the endpoint's response; null if there was none.
    status_code: Option<u16>,
    /// Duration of the request in milliseconds.
    #[member(from = millis(source.took))]
    response_time_ms: u64,
    /// Beginning of the response body; left out if there was none.
    #[member(optional)]
    response_body: Option<String>,
    /// Human-readable error; left out if there was none.
    #[member(optional)]
    error: Option<String>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One event on its way to one endpoint.
#[view(from = WebhookDelivery, example = {
    "id": 1, "event_id": "evt_abc123def456", "event_type": "post.created", "response_code": 200, "attempt": 1,
    "delivered_at": "2026-01-15T10:30:00Z", "created_at": "2026-01-15T10:30:00Z",
})]
pub struct WebhookDeliveryView {
    /// Numeric id of the delivery.
    id: WebhookDeliveryId,
    /// Id of the event that is delivered.
    event_id: EventId,
    /// Type of the event that is delivered.
    event_type: String,
    /// State of the delivery.
    status: DeliveryStatus,
    /// HTTP status of the last response; null if there was none.
    response_code: Option<u16>,
    /// Number of the last attempt or, while the delivery is pending, of the next one.
    #[member(from = source.attempts + u32::from(source.status == DeliveryStatus::Pending))]
    attempt: u32,
    /// Human-readable error of the last attempt.
    error: Option<String>,
    /// Time at which the endpoint received the delivery.
    delivered_at: Option<Timestamp>,
    /// Time of the next attempt.
    #[member(from = next_retry_at(&source))]
    next_retry_at: Option<Timestamp>,
    /// Time at which the delivery was created.
    created_at: Timestamp,
}

/// When it is tried again; one that is pending and has an error was not sent because of an error of the
/// server's.
fn next_retry_at(delivery: &WebhookDelivery) -> Option<Timestamp> {
    let failed_once = match delivery.status {
        DeliveryStatus::Retrying => true,
        DeliveryStatus::Pending => delivery.error.is_some(),
        DeliveryStatus::Success | DeliveryStatus::Failed => false,
    };
    delivery.due_at.filter(|_| failed_once && delivery.claim_id.is_none())
}

/// One attempt of a delivery.
#[view(from = WebhookAttempt, example = {
    "number": 1, "started_at": "2026-01-15T10:30:00Z", "duration_ms": 145, "response_code": 200,
    "response_body": "{\"received\": true}",
})]
pub struct WebhookAttemptView {
    /// Number of the attempt, starting at 1.
    number: u32,
    /// Time at which the attempt began.
    started_at: Timestamp,
    /// Duration of the attempt in milliseconds.
    duration_ms: u64,
    /// HTTP status of the response; null if there was none.
    response_code: Option<u16>,
    /// First 16 KiB of the response body.
    response_body: Option<String>,
    /// Human-readable error of the attempt.
    error: Option<String>,
}

/// A delivery with its attempts.
#[view(from = DeliveryHistory, stem = "WebhookDelivery")]
pub struct WebhookDeliveryHistoryView {
    /// State of the delivery.
    #[member(flatten)]
    delivery: WebhookDeliveryView,
    /// Attempts of the delivery, oldest first.
    #[member(from = source.attempts.into_iter().map(Into::into).collect())]
    attempts: Vec<WebhookAttemptView>,
}

gatepost_kernel::words! {
    /// Whether an endpoint is active.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Activity {
        /// Deliveries are sent to it.
        Active = "active",
        /// Deliveries to it wait.
        Inactive = "inactive",
    }
    described as "WebhookActivity": "Whether an endpoint is active."
}

words!(Activity);

text_parameters! {
    /// Id of an event.
    EventIdText(EventId) = { "type": "string", "pattern": "^evt_[A-Za-z0-9_-]{1,60}$", "maxLength": 64 }, "the id of an event", EventId::parse;
}

/// What the list of endpoints can be filtered by.
#[query]
pub struct WebhookFilters {
    /// Return only active, or only inactive endpoints; both if not given
    pub status: Option<Activity>,
}

impl Listed for WebhookView {
    type Filters = WebhookFilters;

    const LIST: Description = Description {
        searched: Some("the URL and the description"),
        ..Description::of_changing(WEBHOOK_SORTS)
    };
}

/// What the list of an endpoint's deliveries can be filtered by.
#[query]
pub struct WebhookDeliveryFilters {
    /// Return only deliveries with this status
    pub status: Option<DeliveryStatus>,
    /// Return only deliveries of events of this type
    #[member(like = EventTypeName)]
    pub event_type: Option<EventType>,
    /// Return only deliveries of this event
    #[member(like = EventIdText)]
    pub event_id: Option<EventId>,
}

impl Listed for WebhookDeliveryView {
    type Filters = WebhookDeliveryFilters;

    const LIST: Description = Description::of_log(WEBHOOK_DELIVERY_SORTS);
}
