//! Webhook endpoints and their deliveries on the wire.

use std::time::Duration;

use gatepost_api_macros::view;
use gatepost_app::webhooks::endpoints::{
    CreateWebhook, DeliveryHistory, ListDeliveries, ListWebhooks, OlderSecrets, SigningSecret, TestedWebhook,
    UpdateWebhook, custom_headers, signing_secrets, subscriptions,
};
use gatepost_app::{
    WebhookAttempt, WebhookDelivery, WebhookEndpoint,
    lists::{WEBHOOK_DELIVERY_SORTS, WEBHOOK_SORTS},
};
use gatepost_kernel::{EventId, Secret, Timestamp, WebhookDeliveryId, WebhookEndpointId};
use gatepost_webhooks::{CustomHeader, DeliveryStatus, EndpointSecret, Subscription};
use utoipa::ToSchema;

use crate::{
    body::{Context, Fields, Null, ReadBody},
    closed_sets::WebhookDeliveryStatus,
    describe::View,
    lists::{Description, Filter, Include, ListQuery, Listed, Values},
    scopes::{RequiredScope, WebhooksRead},
    webhooks::events_wire::EVENT_TYPE,
    wire::envelopes,
};

const DEFAULT_GRACE_PERIOD_HOURS: u16 = 24;
const MAX_GRACE_PERIOD_HOURS: u16 = 168;
const MAX_DESCRIPTION: usize = 255;

/// A webhook endpoint without its secret.
#[view(example = {
    "id": 1, "url": "https://your-app.com/webhooks", "description": "Order service",
    "events": ["post.created", "post.updated"], "header_names": ["X-Team"], "is_active": true, "success_count": 150,
    "failure_count": 2, "consecutive_failures": 0, "last_delivery_at": "2026-01-15T10:30:00Z",
    "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
})]
pub struct WebhookView {
    /// Numeric id of the endpoint.
    id: WebhookEndpointId,
    /// Where its deliveries go.
    url: String,
    /// A label for people.
    description: Option<String>,
    /// What it wants to hear.
    events: Vec<String>,
    /// The names of the headers that go with each delivery, whose values are never shown; null if they cannot be decrypted with
    /// the server's present keys.
    header_names: Option<Vec<String>>,
    /// Which secrets sign its deliveries, the newest first.
    signing_secrets: Vec<SigningSecretView>,
    /// Whether deliveries go there.
    is_active: bool,
    /// Why they do not, if the server decided it.
    disabled_reason: Option<String>,
    /// Deliveries that were received.
    success_count: u64,
    /// Attempts that failed.
    failure_count: u64,
    /// Attempts that failed since the last that did not.
    consecutive_failures: u64,
    /// When a delivery was last received; null if never.
    last_delivery_at: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
    /// Its newest deliveries, at most 10; only if included.
    #[member(included)]
    deliveries: Option<Vec<WebhookDeliveryView>>,
}

impl WebhookView {
    /// The endpoint with its newest deliveries.
    pub fn with_deliveries(self, deliveries: Option<Vec<WebhookDelivery>>) -> Self {
        Self { deliveries: deliveries.map(|all| all.into_iter().map(Into::into).collect()), ..self }
    }

    /// An endpoint with the names of its own headers, as it is at `now`.
    pub fn new(endpoint: WebhookEndpoint, header_names: Option<Vec<String>>, now: Timestamp) -> Self {
        let signing_secrets = signing_secrets(&endpoint, now).into_iter().map(Into::into).collect();
        Self {
            deliveries: None,
            id: endpoint.id,
            url: endpoint.url,
            description: endpoint.description,
            events: endpoint.events,
            header_names,
            signing_secrets,
            is_active: endpoint.is_active,
            disabled_reason: endpoint.disabled_reason,
            success_count: endpoint.success_count,
            failure_count: endpoint.failure_count,
            consecutive_failures: endpoint.consecutive_failures,
            last_delivery_at: endpoint.last_delivery_at,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

/// A secret that signs an endpoint's deliveries. The secret itself is shown only when it is made.
#[view(from = SigningSecret, example = {
    "replaced_at": "2026-01-15T10:30:00.000000Z", "expires_at": "2026-01-16T10:30:00.000000Z",
})]
pub struct SigningSecretView {
    /// When a newer one took its place; null for the newest.
    replaced_at: Option<Timestamp>,
    /// Until when it signs; null for the newest, which signs until it is replaced.
    expires_at: Option<Timestamp>,
}

/// A new webhook endpoint with its secret.
#[view(example = {
    "id": 2, "url": "https://your-app.com/webhooks", "events": ["post.created", "post.updated", "post.deleted"],
    "secret": "whsec_abc123def456...", "header_names": ["X-Team"], "is_active": true,
    "created_at": "2026-01-15T10:30:00Z",
})]
pub struct CreatedWebhookView {
    /// Numeric id of the endpoint.
    id: WebhookEndpointId,
    /// Where its deliveries go.
    url: String,
    /// What it wants to hear.
    events: Vec<String>,
    /// What its deliveries are signed with; it is shown in this answer only.
    secret: String,
    /// The names of the headers that go with each delivery, whose values are never shown.
    header_names: Vec<String>,
    /// Whether deliveries go there.
    is_active: bool,
    /// When it was made.
    created_at: Timestamp,
}

impl CreatedWebhookView {
    /// A new endpoint with its secret and the names of its own headers.
    pub fn new((endpoint, secret): (WebhookEndpoint, Secret), header_names: Vec<String>) -> Self {
        let WebhookEndpoint { id, url, events, is_active, created_at, .. } = endpoint;
        Self { id, url, events, secret: secret.expose().to_owned(), header_names, is_active, created_at }
    }
}

/// A fresh secret of a webhook endpoint.
#[view(example = {"secret": "whsec_abc123def456..."})]
pub struct RotatedWebhookSecretView {
    /// What deliveries are signed with from now on; it is shown in this answer only.
    secret: String,
    /// Which secrets sign from now on, the newest first.
    signing_secrets: Vec<SigningSecretView>,
}

impl From<(Secret, Vec<SigningSecret>)> for RotatedWebhookSecretView {
    fn from((secret, signing): (Secret, Vec<SigningSecret>)) -> Self {
        let signing_secrets = signing.into_iter().map(Into::into).collect();
        Self { secret: secret.expose().to_owned(), signing_secrets }
    }
}

/// A new webhook endpoint.
#[derive(ToSchema)]
pub struct CreateWebhookBody {
    /// Where deliveries go: HTTPS, and a public address
    #[schema(max_length = 2048, example = "https://your-app.com/webhooks")]
    url: String,
    /// Event types, `post.*` for everything below, or `*`
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 100, example = json!(["post.created", "post.*"]))]
    events: Vec<Subscription>,
    /// What deliveries are signed with; generated if not given. Base64 of 24 to 64 bytes, behind `whsec_` or without it, is
    /// decoded, as Standard Webhooks has it; anything else is the key as it is written.
    #[schema(value_type = Option<String>, pattern = "^[!-~]*$", min_length = 16, max_length = 256)]
    secret: Option<EndpointSecret>,
    /// A label for people
    #[schema(max_length = 255, example = "Order service")]
    description: Option<String>,
    /// Headers that go with each delivery; their values are never shown
    #[schema(value_type = Option<BTreeMap<String, String>>, example = json!({"X-Team": "orders"}))]
    headers: Option<Vec<CustomHeader>>,
}

impl CreateWebhookBody {
    /// Where deliveries are to go.
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn description(text: &str) -> Result<String, String> {
    if text.chars().count() > MAX_DESCRIPTION || text.chars().any(char::is_control) {
        return Err(
            "The description may not have more than 255 characters, and no control characters.".to_owned()
        );
    }
    Ok(text.to_owned())
}

fn headers(fields: &mut Fields, null: Null) -> Option<Vec<CustomHeader>> {
    let pairs = fields.object("headers", null)?;
    match custom_headers(&pairs) {
        Ok(headers) => Some(headers),
        Err(faults) => {
            fields.faults("", &faults);
            None
        }
    }
}

impl ReadBody for CreateWebhookBody {
    fn read(fields: &mut Fields, _: &Context<'_>) -> Option<Self> {
        let url = fields.required_text("url", |url| Ok(url.to_owned()));
        let events = fields.texts("events", Null::IsWrong, subscriptions);
        if events.is_none() {
            fields.require("events");
        }
        let secret = fields.text("secret", Null::IsAbsent, |text| {
            EndpointSecret::parse(text).map_err(|fault| format!("The secret {fault}."))
        });
        let description = fields.text("description", Null::IsAbsent, description);
        let headers = headers(fields, Null::IsAbsent);
        Some(Self { url: url?, events: events?, secret, description, headers })
    }
}

impl From<CreateWebhookBody> for CreateWebhook {
    fn from(body: CreateWebhookBody) -> Self {
        let CreateWebhookBody { url, events, secret, description, headers } = body;
        Self { url, events, secret, description, headers: headers.unwrap_or_default() }
    }
}

/// What to change of a webhook endpoint; what is left out stays as it is.
#[derive(ToSchema)]
pub struct UpdateWebhookBody {
    /// Where deliveries go: HTTPS, and a public address
    #[schema(max_length = 2048, nullable = false, example = "https://new-url.com/webhooks")]
    url: Option<String>,
    /// Event types, `post.*` for everything below, or `*`
    #[schema(value_type = Vec<String>, required = false, nullable = false, min_items = 1, max_items = 100, example = json!(["post.*"]))]
    events: Option<Vec<Subscription>>,
    /// A label for people; null takes it away
    #[schema(value_type = Option<String>, max_length = 255, example = "Order service")]
    description: Option<Option<String>>,
    /// Headers that go with each delivery, all of them; required, perhaps `{}`, where the endpoint has some and the url changes
    /// its scheme, host or port
    #[schema(value_type = BTreeMap<String, String>, required = false, nullable = false, example = json!({"X-Team": "orders"}))]
    headers: Option<Vec<CustomHeader>>,
    /// Whether deliveries go there; what waits goes on when it is true again
    #[schema(nullable = false, example = true)]
    is_active: Option<bool>,
}

impl UpdateWebhookBody {
    /// Where deliveries are to go from now on.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }
}

impl ReadBody for UpdateWebhookBody {
    fn read(fields: &mut Fields, _: &Context<'_>) -> Option<Self> {
        let url = fields.text("url", Null::IsWrong, |url| Ok(url.to_owned()));
        let events = fields.texts("events", Null::IsWrong, subscriptions);
        let description = fields.nullable_text("description", description);
        let headers = headers(fields, Null::IsWrong);
        let is_active = fields.boolean("is_active", Null::IsWrong);
        Some(Self { url, events, description, headers, is_active })
    }
}

impl From<UpdateWebhookBody> for UpdateWebhook {
    fn from(body: UpdateWebhookBody) -> Self {
        let UpdateWebhookBody { url, events, description, headers, is_active } = body;
        Self { url, events, description, headers, is_active }
    }
}

/// How to rotate a secret.
#[derive(ToSchema)]
pub struct RotateWebhookSecretBody {
    /// For how many hours the old secret signs beside the new one; 24 if not given
    #[schema(minimum = 0, maximum = 168, example = 24)]
    grace_period_hours: Option<u16>,
    /// Whether all older secrets stop signing at once, those of earlier rotations included; not with a grace
    #[schema(default = false, example = false)]
    expire_previous: Option<bool>,
}

impl RotateWebhookSecretBody {
    /// What becomes of the secrets before.
    pub fn older(&self) -> OlderSecrets {
        if self.expire_previous == Some(true) {
            return OlderSecrets::Expire;
        }
        let hours = self.grace_period_hours.unwrap_or(DEFAULT_GRACE_PERIOD_HOURS);
        OlderSecrets::Sign(Duration::from_secs(u64::from(hours) * 3_600))
    }
}

impl ReadBody for RotateWebhookSecretBody {
    const OPTIONAL: bool = true;

    fn read(fields: &mut Fields, _: &Context<'_>) -> Option<Self> {
        let range = 0..=i64::from(MAX_GRACE_PERIOD_HOURS);
        let hours = fields.integer("grace_period_hours", Null::IsAbsent, range);
        let expire_previous = fields.boolean("expire_previous", Null::IsAbsent);
        if expire_previous == Some(true) && hours.is_some_and(|hours| hours > 0) {
            let text = "The expire previous field ends the older secrets at once, so there is no grace period beside it.";
            fields.fault("expire_previous", text);
        }
        let grace_period_hours = hours.and_then(|hours| u16::try_from(hours).ok());
        Some(Self { grace_period_hours, expire_previous })
    }
}

/// What a test send came to.
#[view(from = TestedWebhook, example = {
    "success": true, "status_code": 200, "response_time_ms": 145, "response_body": "{\"received\": true}",
})]
pub struct WebhookTestView {
    /// Whether the endpoint received it.
    success: bool,
    /// The answer's HTTP status; null without an answer.
    status_code: Option<u16>,
    /// How long it took.
    #[member(from = millis(source.took))]
    response_time_ms: u64,
    /// How the answer begins; left out without one.
    #[member(optional)]
    response_body: Option<String>,
    /// What went wrong, in words; left out if nothing did.
    #[member(optional)]
    error: Option<String>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One event on its way to one endpoint.
#[view(example = {
    "id": 1, "event_id": "evt_abc123def456", "event_type": "post.created", "response_code": 200, "attempt": 1,
    "delivered_at": "2026-01-15T10:30:00Z", "created_at": "2026-01-15T10:30:00Z",
})]
pub struct WebhookDeliveryView {
    /// Numeric id of the delivery.
    id: WebhookDeliveryId,
    /// What it tells of.
    event_id: EventId,
    /// What happened.
    event_type: String,
    /// How far it has come.
    #[member(like = WebhookDeliveryStatus)]
    status: String,
    /// The last answer's HTTP status; null without an answer.
    response_code: Option<u16>,
    /// The number of the attempt: the last one, or, while it is pending, the next.
    attempt: u32,
    /// What went wrong at last, in words.
    error: Option<String>,
    /// When it was received.
    delivered_at: Option<Timestamp>,
    /// When it is tried again.
    next_retry_at: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
}

impl From<WebhookDelivery> for WebhookDeliveryView {
    fn from(delivery: WebhookDelivery) -> Self {
        let pending = delivery.status == DeliveryStatus::Pending.as_str();
        // One that is pending and has an error was not sent for a fault of the server's.
        let failed_once =
            delivery.status == DeliveryStatus::Retrying.as_str() || (pending && delivery.error.is_some());
        let waits = failed_once && delivery.claim_id.is_none();
        Self {
            id: delivery.id,
            event_id: delivery.event_id,
            event_type: delivery.event_type,
            response_code: delivery.response_code,
            attempt: delivery.attempts + u32::from(pending),
            error: delivery.error,
            delivered_at: delivery.delivered_at,
            next_retry_at: delivery.due_at.filter(|_| waits),
            status: delivery.status,
            created_at: delivery.created_at,
        }
    }
}

/// What one attempt came to.
#[view(from = WebhookAttempt, example = {
    "number": 1, "started_at": "2026-01-15T10:30:00Z", "duration_ms": 145, "response_code": 200,
    "response_body": "{\"received\": true}",
})]
pub struct WebhookAttemptView {
    /// Counted from 1.
    number: u32,
    /// When it began.
    started_at: Timestamp,
    /// How long it took.
    duration_ms: u64,
    /// The answer's HTTP status; null without an answer.
    response_code: Option<u16>,
    /// How the answer begins: its first 16 KiB.
    response_body: Option<String>,
    /// What went wrong, in words.
    error: Option<String>,
}

/// A delivery with its attempts.
#[view(from = DeliveryHistory)]
pub struct WebhookDeliveryHistoryView {
    /// The delivery.
    #[member(flatten)]
    delivery: WebhookDeliveryView,
    /// What each attempt came to, the first first.
    #[member(from = source.attempts.into_iter().map(Into::into).collect())]
    attempts: Vec<WebhookAttemptView>,
}

/// What can be asked of the list of endpoints.
pub struct WebhookList;

impl Listed for WebhookList {
    const LIST: Description = Description {
        sorts: WEBHOOK_SORTS,
        default_sort: "created_at",
        filters: &[Filter {
            name: "status",
            values: Values::OneOf(&[ACTIVE, "inactive"]),
            about: "Those that deliveries go to, or those that they do not go to; both if not given",
        }],
        has_updated_at: true,
        searched: Some("the URL and the description"),
        fields: WebhookView::MEMBERS,
        content: None,
        includes: &[Include {
            name: "deliveries",
            scope: WebhooksRead::scope,
            about: "the newest deliveries",
        }],
        is_log: false,
    };
}

const ACTIVE: &str = "active";

impl From<&ListQuery<WebhookList>> for ListWebhooks {
    fn from(query: &ListQuery<WebhookList>) -> Self {
        Self {
            is_active: query.filter("status").map(|status| status == ACTIVE),
            with_deliveries: query.includes("deliveries"),
        }
    }
}

/// What can be asked of the list of an endpoint's deliveries.
pub struct WebhookDeliveryList;

impl Listed for WebhookDeliveryList {
    const LIST: Description = Description {
        sorts: WEBHOOK_DELIVERY_SORTS,
        default_sort: "-created_at",
        filters: &[
            Filter {
                name: "status",
                values: Values::OneOf(&DeliveryStatus::NAMES),
                about: "Of one status only",
            },
            Filter { name: "event_type", values: EVENT_TYPE, about: "Of one type of event only" },
            Filter {
                name: "event_id",
                values: Values::Text {
                    form: "the id of an event",
                    pattern: "^evt_[A-Za-z0-9_-]{1,60}$",
                    max_length: 64,
                    is_valid: |text| EventId::parse(text).is_some(),
                },
                about: "Of one event only",
            },
        ],
        has_updated_at: false,
        searched: None,
        fields: WebhookDeliveryView::MEMBERS,
        content: None,
        includes: &[],
        is_log: true,
    };
}

impl From<&ListQuery<WebhookDeliveryList>> for ListDeliveries {
    fn from(query: &ListQuery<WebhookDeliveryList>) -> Self {
        Self {
            status: query.filter("status").and_then(DeliveryStatus::parse),
            event_type: query.filter("event_type").map(str::to_owned),
            event_id: query.filter("event_id").and_then(EventId::parse),
        }
    }
}

envelopes! {
    item WebhookItem(WebhookView);
    page WebhookPage(WebhookView);
    message WebhookMessage(WebhookView);
    message CreatedWebhookMessage(CreatedWebhookView);
    message RotatedWebhookSecretMessage(RotatedWebhookSecretView);
    log WebhookDeliveryPage(WebhookDeliveryView);
    item WebhookDeliveryItem(WebhookDeliveryHistoryView);
    message WebhookDeliveryMessage(WebhookDeliveryView);
}
