//! The tools: for each its description, its arguments, the scope that it takes, and what it does.

use std::{future::Future, pin::Pin, sync::Arc};

use gatepost_app::{
    App, Caller, Combinable, Requirement, UnitOfWork, entitlements,
    keys::api_keys,
    lists::{API_KEY_SORTS, Direction, ListRequest, SortKey, WEBHOOK_DELIVERY_SORTS},
    webhooks::{
        endpoints::{self, ListDeliveries},
        events::PublishEvent,
    },
};
use gatepost_kernel::{
    ApiKeyId, Error, Page, PageRequest, Result, WebhookDeliveryId, WebhookEndpointId, Window,
    describe::Schemas,
};
use gatepost_keys::{KeyStatus, Scope};
use gatepost_macros::body;
use gatepost_webhooks::DeliveryStatus;
use rmcp::model::ToolAnnotations;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    body::{Members, ReadBody, read_whole},
    entitlements::wire::{EntitlementCheckView, FeatureKey},
    keys::api_keys_wire::{RotateApiKeyBody, RotatedApiKeyView},
    scopes::{
        ApiKeysRead, ApiKeysWrite, EntitlementsRead, EventsWrite, RequiredScope, WebhooksRead, WebhooksWrite,
    },
    shown::Shown,
    tenants::views::ApiKeyView,
    values::Whole,
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
    run: for<'f> fn(App, Caller, Members<'f>) -> Done<'f>,
}

/// All of them.
pub const TOOLS: [Tool; 6] = [
    Tool {
        name: "list_api_keys",
        about: "Lists the API keys of the workspace, without their secrets; all that are not revoked, or those of one status.",
        scope: ApiKeysRead::scope,
        schema: schema::<ListApiKeysArguments>,
        changes: false,
        run: |app, caller, arguments| Box::pin(list_api_keys(app, caller, arguments)),
    },
    Tool {
        name: "rotate_api_key",
        about: "Replaces an API key by a new one, whose secret is shown in this answer only. Both work until the grace period is over.",
        scope: ApiKeysWrite::scope,
        schema: schema::<RotateApiKeyArguments>,
        changes: true,
        run: |app, caller, arguments| Box::pin(rotate_api_key(app, caller, arguments)),
    },
    Tool {
        name: "check_entitlement",
        about: "Says whether the workspace may use so much of a feature now, and how much of it is used. Counts nothing.",
        scope: EntitlementsRead::scope,
        schema: schema::<CheckEntitlementArguments>,
        changes: false,
        run: |app, caller, arguments| Box::pin(check_entitlement(app, caller, arguments)),
    },
    Tool {
        name: "list_webhook_deliveries",
        about: "Lists the deliveries to a webhook endpoint, the newest first.",
        scope: WebhooksRead::scope,
        schema: schema::<ListWebhookDeliveriesArguments>,
        changes: false,
        run: |app, caller, arguments| Box::pin(list_webhook_deliveries(app, caller, arguments)),
    },
    Tool {
        name: "retry_webhook_delivery",
        about: "Queues a delivery that has failed to be sent again.",
        scope: WebhooksWrite::scope,
        schema: schema::<RetryWebhookDeliveryArguments>,
        changes: true,
        run: |app, caller, arguments| Box::pin(retry_webhook_delivery(app, caller, arguments)),
    },
    Tool {
        name: "create_event",
        about: "Publishes an event, which is delivered to every endpoint that wants its type.",
        scope: EventsWrite::scope,
        schema: schema::<CreateEventBody>,
        changes: true,
        run: |app, caller, arguments| Box::pin(create_event(app, caller, arguments)),
    },
];

type NumericId = Whole<i64, 1, { i64::MAX }>;

/// Which page of a list.
#[body]
struct PageArguments {
    /// Number of the page to return; 1 if not given
    #[member(like = Whole<u32, 1, { PageRequest::MAX_PAGE as i64 }>)]
    page: Option<u32>,
    /// Number of items per page; 25 if not given
    #[member(like = Whole<u32, 1, { PageRequest::MAX_PER_PAGE as i64 }>)]
    per_page: Option<u32>,
}

impl PageArguments {
    fn request(&self, sorts: &'static [SortKey], direction: Direction) -> ListRequest {
        let per_page = self.per_page.unwrap_or(PageRequest::DEFAULT_PER_PAGE);
        let page = PageRequest::of_page(self.page.unwrap_or(1), per_page);
        let created = sorts.iter().find(|key| key.name == "created_at");
        let order = created.map(|key| (*key, direction)).into_iter().collect();
        ListRequest { order, ..ListRequest::of(Window::Page(page)) }
    }
}

/// Which API keys to list.
#[body]
struct ListApiKeysArguments {
    /// Status of the keys to return; all that are not revoked if not given
    status: Option<KeyStatus>,
    #[member(flatten)]
    page: PageArguments,
}

/// Which API key to rotate, and how.
#[body]
struct RotateApiKeyArguments {
    /// Numeric id of the API key
    #[member(like = NumericId)]
    id: i64,
    #[member(flatten)]
    options: RotateApiKeyBody,
}

/// Which feature to check, and how much of it.
#[body]
struct CheckEntitlementArguments {
    /// Key of the feature, such as `posts`
    #[member(like = FeatureKey)]
    feature: String,
    /// Quantity to check for; 1 if not given
    #[member(like = Whole<u64, 1, { entitlements::MAX_QUANTITY as i64 }>)]
    quantity: Option<u64>,
}

/// Which deliveries to list.
#[body]
struct ListWebhookDeliveriesArguments {
    /// Numeric id of the endpoint
    #[member(like = NumericId)]
    webhook_id: i64,
    /// Status of the deliveries to return; all if not given
    status: Option<DeliveryStatus>,
    #[member(flatten)]
    page: PageArguments,
}

/// Which delivery to retry.
#[body]
struct RetryWebhookDeliveryArguments {
    /// Numeric id of the endpoint
    #[member(like = NumericId)]
    webhook_id: i64,
    /// Numeric id of the delivery
    #[member(like = NumericId)]
    delivery_id: i64,
}

/// The schema of arguments, which refers to nothing outside of it.
fn schema<B: ReadBody>() -> Value {
    let mut schemas = Schemas::default();
    let object = B::object(&mut schemas).into_schema();
    schemas.resolved(object)
}

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
    pub async fn call(&self, app: &App, caller: Caller, arguments: Members<'_>) -> Result<Value> {
        let caller = caller.requiring(Requirement { scope: Some(self.scope()), or_tools: false })?;
        entitlements::meter_request(app, &caller, Some(self.scope())).await?;
        (self.run)(app.clone(), caller, arguments).await
    }
}

async fn list_api_keys(app: App, caller: Caller, arguments: Members<'_>) -> Result<Value> {
    let ListApiKeysArguments { status, page } = read_whole(arguments, app.scope_order())?;
    let request = page.request(API_KEY_SORTS, Direction::Ascending);
    let query = api_keys::ListApiKeys { status, ..api_keys::ListApiKeys::default() };
    let (page, _) = api_keys::list(&app, &caller, query, request).await?;
    let shown = Shown::now(&app);
    listed(page.map(|key| ApiKeyView::from((key, shown))))
}

async fn rotate_api_key(app: App, caller: Caller, arguments: Members<'_>) -> Result<Value> {
    let RotateApiKeyArguments { id, options } = read_whole(arguments, app.scope_order())?;
    let (id, grace_period) = (ApiKeyId(id), options.grace_period());
    let rotate = async move |unit: &mut UnitOfWork<'_>| api_keys::rotate(unit, id, grace_period).await;
    let shown = Shown::now(&app);
    written(&RotatedApiKeyView::from((app.transact(&caller, rotate).await?, shown)))
}

async fn check_entitlement(app: App, caller: Caller, arguments: Members<'_>) -> Result<Value> {
    let CheckEntitlementArguments { feature, quantity } = read_whole(arguments, app.scope_order())?;
    let standing = entitlements::check(&app, &caller, feature, quantity.unwrap_or(1)).await?;
    written(&EntitlementCheckView::from(standing))
}

async fn list_webhook_deliveries(app: App, caller: Caller, arguments: Members<'_>) -> Result<Value> {
    let ListWebhookDeliveriesArguments { webhook_id, status, page } =
        read_whole(arguments, app.scope_order())?;
    let request = page.request(WEBHOOK_DELIVERY_SORTS, Direction::Descending);
    let (id, query) = (WebhookEndpointId(webhook_id), ListDeliveries { status, ..ListDeliveries::default() });
    let page = endpoints::list_deliveries(&app, &caller, id, query, request).await?;
    listed(page.map(WebhookDeliveryView::from))
}

async fn retry_webhook_delivery(app: App, caller: Caller, arguments: Members<'_>) -> Result<Value> {
    let RetryWebhookDeliveryArguments { webhook_id, delivery_id } = read_whole(arguments, app.scope_order())?;
    let (endpoint, id) = (WebhookEndpointId(webhook_id), WebhookDeliveryId(delivery_id));
    let retry = async move |unit: &mut UnitOfWork<'_>| endpoints::retry_delivery(unit, endpoint, id).await;
    written(&WebhookDeliveryView::from(app.transact(&caller, retry).await?))
}

async fn create_event(app: App, caller: Caller, arguments: Members<'_>) -> Result<Value> {
    let event = PublishEvent::from(read_whole::<CreateEventBody>(arguments, app.scope_order())?);
    written(&AcceptedEventView::from(event.together(&app, &caller).await?))
}

fn written<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::failed("rendering an answer"))
}

fn listed<T: Serialize>(page: Page<T>) -> Result<Value> {
    let (total, last_page) = (page.total, page.last_page());
    Ok(json!({ "data": written(&page.items)?, "total": total, "last_page": last_page }))
}

#[cfg(test)]
mod tests {
    use gatepost_contract::Contract;
    use serde_json::Value;

    use super::TOOLS;

    /// Nobody fills in the contract's names here.
    #[test]
    fn tools_leave_no_room_for_a_contracts_names() {
        for tool in &TOOLS {
            let described = Value::Object(tool.describe().input_schema.as_ref().clone());
            let mut filled = described.clone();
            Contract::core().fill(&mut filled);
            assert_eq!(filled, described, "{}", tool.name);
        }
    }
}
