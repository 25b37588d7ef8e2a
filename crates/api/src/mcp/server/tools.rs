//! The tools: for each its description, its arguments, the scope that it takes, and what it does.

use std::{future::Future, pin::Pin, sync::Arc};

use gatepost_app::{
    App, Caller, Requirement, UnitOfWork, entitlements,
    keys::api_keys,
    lists::{API_KEY_SORTS, Direction, ListRequest, SortKey, WEBHOOK_DELIVERY_SORTS},
    webhooks::{
        endpoints::{self, ListDeliveries},
        events,
    },
};
use gatepost_kernel::{
    ApiKeyId, Error, Page, PageRequest, Result, WebhookDeliveryId, WebhookEndpointId, Window,
};
use gatepost_keys::{KeyStatus, Scope};
use gatepost_webhooks::DeliveryStatus;
use rmcp::model::ToolAnnotations;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    body::{Context, Fields, Null, ReadBody},
    entitlements::wire::EntitlementCheckView,
    keys::api_keys_wire::{RotateApiKeyBody, RotatedApiKeyView},
    scopes::{
        ApiKeysRead, ApiKeysWrite, EntitlementsRead, EventsWrite, RequiredScope, WebhooksRead, WebhooksWrite,
    },
    tenants::views::ApiKeyView,
    webhooks::{
        endpoints_wire::WebhookDeliveryView,
        events_wire::{AcceptedEventView, CreateEventBody},
    },
};

type Done<'f> = Pin<Box<dyn Future<Output = Result<Value>> + Send + 'f>>;

/// A tool.
pub struct Tool {
    /// Its name, that of the operation.
    pub name: &'static str,
    about: &'static str,
    scope: fn() -> &'static Scope,
    schema: fn() -> Value,
    changes: bool,
    run: for<'f> fn(App, Caller, Fields<'f>) -> Done<'f>,
}

/// All of them.
pub const TOOLS: [Tool; 6] = [
    Tool {
        name: "list_api_keys",
        about: "Lists the API keys of the workspace, without their secrets; all that are not revoked, or those of one status.",
        scope: ApiKeysRead::scope,
        schema: || list_schema(&[("status", one_of(&KeyStatus::NAMES, "Of one status only"))], &[]),
        changes: false,
        run: |app, caller, fields| Box::pin(list_api_keys(app, caller, fields)),
    },
    Tool {
        name: "rotate_api_key",
        about: "Replaces an API key by a new one, whose secret is shown in this answer only. Both work until the grace period is over.",
        scope: ApiKeysWrite::scope,
        schema: || {
            object(
                &[
                    ("id", number(1, i64::MAX, "The number of the key")),
                    ("grace_period_hours", number(0, 168, "Hours in which both keys work; 24 if not given")),
                ],
                &["id"],
            )
        },
        changes: true,
        run: |app, caller, fields| Box::pin(rotate_api_key(app, caller, fields)),
    },
    Tool {
        name: "check_entitlement",
        about: "Says whether the workspace may use so much of a feature now, and how much of it is used. Counts nothing.",
        scope: EntitlementsRead::scope,
        schema: || {
            object(
                &[
                    ("feature", text("The feature, such as posts")),
                    ("quantity", number(1, MAX_QUANTITY, "How much; 1 if not given")),
                ],
                &["feature"],
            )
        },
        changes: false,
        run: |app, caller, fields| Box::pin(check_entitlement(app, caller, fields)),
    },
    Tool {
        name: "list_webhook_deliveries",
        about: "Lists the deliveries to a webhook endpoint, the newest first.",
        scope: WebhooksRead::scope,
        schema: || {
            let webhook = ("webhook_id", number(1, i64::MAX, "The number of the endpoint"));
            let status = ("status", one_of(&DeliveryStatus::NAMES, "Of one status only"));
            list_schema(&[webhook, status], &["webhook_id"])
        },
        changes: false,
        run: |app, caller, fields| Box::pin(list_webhook_deliveries(app, caller, fields)),
    },
    Tool {
        name: "retry_webhook_delivery",
        about: "Queues a delivery that has failed to be sent again.",
        scope: WebhooksWrite::scope,
        schema: || {
            object(
                &[
                    ("webhook_id", number(1, i64::MAX, "The number of the endpoint")),
                    ("delivery_id", number(1, i64::MAX, "The number of the delivery")),
                ],
                &["webhook_id", "delivery_id"],
            )
        },
        changes: true,
        run: |app, caller, fields| Box::pin(retry_webhook_delivery(app, caller, fields)),
    },
    Tool {
        name: "create_event",
        about: "Publishes an event, which is delivered to every endpoint that wants its type.",
        scope: EventsWrite::scope,
        schema: || {
            object(
                &[
                    ("type", text("What happened: lower-case words with dots between, such as post.created")),
                    ("data", json!({ "description": "To what" })),
                    ("id", text("evt_ and 1 to 60 letters, digits, - and _; the same id is the same event")),
                ],
                &["type", "data"],
            )
        },
        changes: true,
        run: |app, caller, fields| Box::pin(create_event(app, caller, fields)),
    },
];

const MAX_QUANTITY: i64 = entitlements::MAX_QUANTITY as i64;

impl Tool {
    /// The scope that it takes.
    pub fn scope(&self) -> &'static Scope {
        (self.scope)()
    }

    /// How the protocol describes it.
    pub fn describe(&self) -> rmcp::model::Tool {
        let schema = match (self.schema)() {
            Value::Object(schema) => schema,
            _ => Map::new(),
        };
        let hints =
            ToolAnnotations::new().read_only(!self.changes).destructive(self.name.starts_with("rotate"));
        rmcp::model::Tool::new(self.name, self.about, Arc::new(schema)).with_annotations(hints)
    }

    /// Does it, if the caller may.
    pub async fn call(&self, app: &App, caller: Caller, arguments: Fields<'_>) -> Result<Value> {
        let caller = caller.requiring(Requirement { scope: self.scope(), or_tools: false })?;
        app.meter_request(&caller, self.scope()).await?;
        (self.run)(app.clone(), caller, arguments).await
    }
}

async fn list_api_keys(app: App, caller: Caller, mut fields: Fields<'_>) -> Result<Value> {
    let status = fields
        .text("status", Null::IsAbsent, |text| choice("status", text, &KeyStatus::NAMES, KeyStatus::parse));
    let request = page(&mut fields, API_KEY_SORTS, Direction::Ascending);
    checked(fields)?;
    let query = api_keys::ListApiKeys { status, ..api_keys::ListApiKeys::default() };
    let (page, _) = api_keys::list(&app, &caller, query, request).await?;
    let now = app.now();
    listed(page.map(|key| ApiKeyView::new(key, now)))
}

async fn rotate_api_key(app: App, caller: Caller, mut fields: Fields<'_>) -> Result<Value> {
    let id = required_id(&mut fields, "id");
    let body = body::<RotateApiKeyBody>(&app, fields)?;
    let id = ApiKeyId(id);
    let rotate = async move |unit: &mut UnitOfWork<'_>| api_keys::rotate(unit, id, body.grace_period()).await;
    written(&RotatedApiKeyView::from(app.transact(&caller, rotate).await?))
}

async fn check_entitlement(app: App, caller: Caller, mut fields: Fields<'_>) -> Result<Value> {
    let feature = fields.required_text("feature", |text| Ok(text.to_owned())).unwrap_or_default();
    let quantity = fields.integer("quantity", Null::IsAbsent, 1..=MAX_QUANTITY).unwrap_or(1);
    checked(fields)?;
    let standing = entitlements::check(&app, &caller, feature, quantity.unsigned_abs()).await?;
    written(&EntitlementCheckView::from(standing))
}

async fn list_webhook_deliveries(app: App, caller: Caller, mut fields: Fields<'_>) -> Result<Value> {
    let id = WebhookEndpointId(required_id(&mut fields, "webhook_id"));
    let status = fields.text("status", Null::IsAbsent, |text| {
        choice("status", text, &DeliveryStatus::NAMES, DeliveryStatus::parse)
    });
    let request = page(&mut fields, WEBHOOK_DELIVERY_SORTS, Direction::Descending);
    checked(fields)?;
    let query = ListDeliveries { status, ..ListDeliveries::default() };
    let page = endpoints::list_deliveries(&app, &caller, id, query, request).await?;
    listed(page.map(WebhookDeliveryView::from))
}

async fn retry_webhook_delivery(app: App, caller: Caller, mut fields: Fields<'_>) -> Result<Value> {
    let endpoint = WebhookEndpointId(required_id(&mut fields, "webhook_id"));
    let id = WebhookDeliveryId(required_id(&mut fields, "delivery_id"));
    checked(fields)?;
    let retry = async move |unit: &mut UnitOfWork<'_>| endpoints::retry_delivery(unit, endpoint, id).await;
    written(&WebhookDeliveryView::from(app.transact(&caller, retry).await?))
}

async fn create_event(app: App, caller: Caller, fields: Fields<'_>) -> Result<Value> {
    let event = body::<CreateEventBody>(&app, fields)?;
    written(&AcceptedEventView::from(events::publish(&app, &caller, event.into()).await?))
}

/// Reads the rest as the body that the operation takes over HTTP.
fn body<B: ReadBody>(app: &App, mut fields: Fields<'_>) -> Result<B> {
    let context = Context { now: app.now(), catalog: app.catalog() };
    let body = B::read(&mut fields, &context);
    let faults = fields.into_errors();
    body.filter(|_| faults.is_empty()).ok_or(Error::Validation(faults))
}

/// A number that must be there; its fault is noted otherwise.
fn required_id(fields: &mut Fields, name: &'static str) -> i64 {
    let id = fields.integer(name, Null::IsAbsent, 1..=i64::MAX);
    if id.is_none() {
        fields.require(name);
    }
    id.unwrap_or_default()
}

fn choice<T>(field: &str, text: &str, names: &[&str], read: impl Fn(&str) -> Option<T>) -> Result<T, String> {
    read(text)
        .ok_or_else(|| format!("The selected {field} is invalid. It must be one of: {}.", names.join(", ")))
}

fn page(fields: &mut Fields, sorts: &'static [SortKey], direction: Direction) -> ListRequest {
    let most = i64::from(PageRequest::MAX_PER_PAGE);
    let number =
        |value: Option<i64>, default: u32| value.and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
    let page = fields.integer("page", Null::IsAbsent, 1..=i64::from(PageRequest::MAX_PAGE));
    let per_page = fields.integer("per_page", Null::IsAbsent, 1..=most);
    let default = PageRequest::default();
    let page = PageRequest { page: number(page, default.page), per_page: number(per_page, default.per_page) };
    let created = sorts.iter().find(|key| key.name == "created_at");
    let order = created.map(|key| (*key, direction)).into_iter().collect();
    ListRequest { order, ..ListRequest::of(Window::Page(page)) }
}

/// Refuses what is not known or has faults.
fn checked(fields: Fields<'_>) -> Result<()> {
    let faults = fields.into_errors();
    if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
}

fn written<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::failed("rendering an answer"))
}

fn listed<T: Serialize>(page: Page<T>) -> Result<Value> {
    let (total, last_page) = (page.total, page.last_page());
    Ok(json!({ "data": written(&page.items)?, "total": total, "last_page": last_page }))
}

fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

fn number(low: i64, high: i64, about: &str) -> Value {
    json!({ "type": "integer", "minimum": low, "maximum": high, "description": about })
}

fn one_of(words: &[&str], about: &str) -> Value {
    json!({ "type": "string", "enum": words, "description": about })
}

fn object(properties: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Map<String, Value> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn list_schema(properties: &[(&str, Value)], required: &[&str]) -> Value {
    let pages = [
        ("page", number(1, PageRequest::MAX_PAGE.into(), "Page number; 1 if not given")),
        ("per_page", number(1, PageRequest::MAX_PER_PAGE.into(), "Items per page; 25 if not given")),
    ];
    object(&[properties, &pages].concat(), required)
}
