//! Webhook endpoints and their deliveries.

use std::{collections::HashMap, time::Duration};

use gatepost_delivery::{OwnEvent, WebhookTestEventData};
use gatepost_egress::{Egress, TargetError};
use gatepost_entitlements::OwnFeature;
use gatepost_kernel::{
    Error, EventId, FieldErrors, ListErrors, Owner, Page, Result, Secret, Timestamp, WebhookDeliveryId,
    WebhookEndpointId, WireAnswer, random, text::required,
};
use gatepost_sealing::SealedColumn;
use gatepost_storage::{NewWebhookEndpoint, Tx, WebhookDeliveryFilter, WebhookEndpointChanges};
use gatepost_webhooks::{
    CustomHeader, DeliveryStatus, EndpointSecret, HeaderError, PreviousSecret, Subscription, WebhookAttempt,
    WebhookDelivery, WebhookEndpoint, event_payload,
};
use serde_json::Map;

use crate::{
    App, Caller, UnitOfWork,
    audit_log::changed_fields,
    entitlements::grow,
    idempotency,
    lists::{INCLUDED, ListRequest},
};

const TARGET: &str = "webhook";
/// How many secrets may sign at once.
const MAX_SECRETS: usize = 10;
/// How often a delivery can be tried again by hand.
const MAX_MANUAL_RETRIES: u32 = 10;

/// An endpoint to be made.
#[derive(Debug)]
pub struct CreateWebhook {
    /// Where its deliveries go.
    pub url: String,
    /// What it wants to hear.
    pub events: Vec<Subscription>,
    /// Its secret; a fresh one without it.
    pub secret: Option<EndpointSecret>,
    /// A label for people.
    pub description: Option<String>,
    /// Headers of the tenant's own.
    pub headers: Vec<CustomHeader>,
}

/// What to change of an endpoint; `None` leaves as it is.
#[derive(Debug, Default)]
pub struct UpdateWebhook {
    /// Where its deliveries go.
    pub url: Option<String>,
    /// What it wants to hear.
    pub events: Option<Vec<Subscription>>,
    /// A label for people; `Some(None)` takes it away.
    pub description: Option<Option<String>>,
    /// Headers of the tenant's own, all of them.
    pub headers: Option<Vec<CustomHeader>>,
    /// Whether deliveries go there.
    pub is_active: Option<bool>,
}

/// What a test send came to.
#[derive(Debug)]
pub struct TestedWebhook {
    /// Whether the endpoint received it.
    pub success: bool,
    /// The answer's HTTP status.
    pub status_code: Option<u16>,
    /// How the answer begins.
    pub response_body: Option<String>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// A delivery with its attempts, the first first.
#[derive(Debug)]
pub struct DeliveryHistory {
    /// The delivery.
    pub delivery: WebhookDelivery,
    /// What each attempt came to.
    pub attempts: Vec<WebhookAttempt>,
}

/// Checks where deliveries are to go, and what its name resolves to now; before the transaction, because it
/// may take time. Whether the name could be resolved.
///
/// # Errors
/// [`Error::Validation`] about `url`.
pub async fn check_url(app: &App, caller: &Caller, url: Option<&str>) -> Result<bool> {
    let Some(url) = url else { return Ok(true) };
    let checked = app.dispatcher()?.egress().check_resolved(url, Some(caller.workspace_id())).await;
    checked.map(|(_, is_resolved)| is_resolved).map_err(url_error)
}

fn url_error(error: TargetError) -> Error {
    Error::invalid("url", error.to_string())
}

/// Which endpoints to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListWebhooks {
    /// Those that are active, or those that are not.
    pub is_active: Option<bool>,
    /// Whether to answer their newest deliveries too.
    pub with_deliveries: bool,
}

/// An endpoint, with its newest deliveries if they were asked for.
pub type WebhookWithDeliveries = (WebhookEndpoint, Option<Vec<WebhookDelivery>>);

/// One page of the caller's endpoints.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn list(
    app: &App,
    caller: &Caller,
    query: ListWebhooks,
    request: ListRequest,
) -> Result<Page<WebhookWithDeliveries>> {
    let owner = caller.owner();
    let ListWebhooks { is_active, with_deliveries } = query;
    app.read_snapshot(async move |mut tx| {
        let page = tx.webhook_endpoint_list(owner, is_active, &request).await?;
        let mut deliveries = match with_deliveries {
            true => {
                let ids: Vec<WebhookEndpointId> = page.items.iter().map(|endpoint| endpoint.id).collect();
                Some(newest_deliveries(&mut tx, &ids).await?)
            }
            false => None,
        };
        Ok(page.map(|endpoint| {
            let own = deliveries.as_mut().map(|all| all.remove(&endpoint.id).unwrap_or_default());
            (endpoint, own)
        }))
    })
    .await
}

/// The newest deliveries of some endpoints.
async fn newest_deliveries(
    tx: &mut Tx<'_>,
    endpoints: &[WebhookEndpointId],
) -> Result<HashMap<WebhookEndpointId, Vec<WebhookDelivery>>> {
    let mut deliveries: HashMap<_, Vec<WebhookDelivery>> = HashMap::new();
    for delivery in tx.webhook_delivery_newest_of_each(endpoints, INCLUDED).await? {
        deliveries.entry(delivery.endpoint_id).or_default().push(delivery);
    }
    Ok(deliveries)
}

/// One endpoint, with its newest deliveries if asked for.
///
/// # Errors
/// [`Error::NotFound`], also if the caller may not see it; [`Error::Unavailable`].
pub async fn get(
    app: &App,
    caller: &Caller,
    id: WebhookEndpointId,
    with_deliveries: bool,
) -> Result<WebhookWithDeliveries> {
    let owner = caller.owner();
    app.read(async move |mut tx| {
        let endpoint = tx.webhook_endpoint_get(owner, id).await?.ok_or(Error::NotFound)?;
        let deliveries = match with_deliveries {
            true => Some(newest_deliveries(&mut tx, &[id]).await?.remove(&id).unwrap_or_default()),
            false => None,
        };
        Ok((endpoint, deliveries))
    })
    .await
}

/// The names of the headers that go with each delivery; none if they cannot be decrypted with the present
/// keys. The values are never told.
///
/// # Errors
/// [`Error::Internal`] where nothing delivers.
pub fn header_names(app: &App, endpoint: &WebhookEndpoint) -> Result<Option<Vec<String>>> {
    let column = SealedColumn::headers(endpoint.workspace_id, endpoint.id);
    let text = app.dispatcher()?.vault().open(&endpoint.sealed_headers, column).ok();
    Ok(text.map(|text| CustomHeader::read_names(text.expose())))
}

/// A secret that deliveries are signed with. What it is, nobody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningSecret {
    /// When a newer one took its place; none for the newest.
    pub replaced_at: Option<Timestamp>,
    /// Until when it signs; none for the newest, which signs until it is replaced.
    pub expires_at: Option<Timestamp>,
}

/// The secrets that sign an endpoint's deliveries at `now`, the newest first.
pub fn signing_secrets(endpoint: &WebhookEndpoint, now: Timestamp) -> Vec<SigningSecret> {
    let newest = SigningSecret { replaced_at: None, expires_at: None };
    let older = endpoint.previous_secrets.iter().filter(|secret| secret.until > now);
    let older =
        older.map(|secret| SigningSecret { replaced_at: secret.replaced_at, expires_at: Some(secret.until) });
    std::iter::once(newest).chain(older).collect()
}

/// Makes an endpoint; with its secret, which is shown this once.
///
/// # Errors
/// [`Error::Validation`].
pub async fn create(unit: &mut UnitOfWork<'_>, input: CreateWebhook) -> Result<(WebhookEndpoint, Secret)> {
    let dispatcher = unit.app().dispatcher()?.clone();
    dispatcher.egress().check(&input.url).map_err(url_error)?;
    let Owner { workspace_id, environment } = unit.caller().owner();
    // Held until the commit: an endpoint of a workspace that is being deleted would be nobody's.
    let workspace = unit.tx.workspace_lock(workspace_id).await?.ok_or(Error::NotFound)?;
    grow(unit, &workspace, OwnFeature::Webhooks).await?;
    let secret = input.secret.unwrap_or_else(|| EndpointSecret::generate(&mut random::rng()));
    let vault = dispatcher.vault();
    let endpoint = unit
        .tx
        .webhook_endpoint_insert(&NewWebhookEndpoint {
            workspace_id,
            environment,
            url: input.url,
            description: input.description,
            events: texts(&input.events),
            created_at: unit.now,
        })
        .await?;
    refuse_identity(unit.app(), &input.headers)?;
    let headers = CustomHeader::write_all(&input.headers);
    let sealed = WebhookEndpointChanges {
        sealed_headers: Some(vault.seal(
            &mut random::rng(),
            &headers,
            SealedColumn::headers(workspace_id, endpoint.id),
        )),
        secrets: Some((
            vault.seal(&mut random::rng(), secret.expose(), SealedColumn::secret(workspace_id, endpoint.id)),
            Vec::new(),
        )),
        ..Default::default()
    };
    let endpoint = unit.tx.webhook_endpoint_update(endpoint.id, sealed, endpoint.updated_at).await?;
    record(unit, &endpoint, "webhook.created", Map::new());
    Ok((endpoint, Secret::new(secret.expose().to_owned())))
}

/// Changes an endpoint.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Validation`].
pub async fn update(
    unit: &mut UnitOfWork<'_>,
    id: WebhookEndpointId,
    input: UpdateWebhook,
) -> Result<WebhookEndpoint> {
    let dispatcher = unit.app().dispatcher()?.clone();
    if let Some(url) = &input.url {
        dispatcher.egress().check(url).map_err(url_error)?;
    }
    let before = lock(unit, id).await?;
    unit.check_match(before.updated_at)?;
    if let (Some(url), None) = (&input.url, &input.headers)
        && moves(dispatcher.egress(), &before.url, url)
        && header_names(unit.app(), &before)?.is_none_or(|names| !names.is_empty())
    {
        return Err(Error::invalid("headers", HEADERS_MOVE));
    }
    refuse_identity(unit.app(), input.headers.as_deref().unwrap_or_default())?;
    let now = unit.now_after(before.updated_at);
    let changes = WebhookEndpointChanges {
        url: input.url,
        description: input.description,
        events: input.events.as_deref().map(texts),
        sealed_headers: input.headers.map(|all| {
            let column = SealedColumn::headers(before.workspace_id, id);
            dispatcher.vault().seal(&mut random::rng(), &CustomHeader::write_all(&all), column)
        }),
        secrets: None,
        is_active: input.is_active.filter(|active| *active != before.is_active).map(|active| (active, None)),
    };
    let fields = changed_fields(&[
        ("url", changes.url.is_some()),
        ("description", changes.description.is_some()),
        ("events", changes.events.is_some()),
        ("headers", changes.sealed_headers.is_some()),
        ("is_active", changes.is_active.is_some()),
    ]);
    let endpoint = unit.tx.webhook_endpoint_update(id, changes, now).await?;
    if endpoint.is_active && !before.is_active {
        unit.handovers.due(endpoint.workspace_id, id);
        unit.tx.announce_due().await?;
    }
    record(unit, &endpoint, "webhook.updated", fields);
    Ok(endpoint)
}

const HEADERS_MOVE: &str = "The headers must be given again when the url leads to another scheme, host or port, \
                            so that they do not go where they were not meant to; {} removes them.";

/// Whether a change of the url leads somewhere else.
fn moves(egress: &Egress, before: &str, after: &str) -> bool {
    // The rules may have changed since the old one was taken; then nobody knows where it led.
    match (egress.check(before), egress.check(after)) {
        (Ok(before), Ok(after)) => before.url().origin() != after.url().origin(),
        _ => before != after,
    }
}

/// Deletes an endpoint; what was on its way there has failed.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn delete(unit: &mut UnitOfWork<'_>, id: WebhookEndpointId) -> Result<()> {
    let endpoint = lock(unit, id).await?;
    unit.check_match(endpoint.updated_at)?;
    let now = unit.now;
    unit.tx.webhook_endpoint_delete(&[id], now).await?;
    record(unit, &endpoint, "webhook.deleted", Map::new());
    Ok(())
}

/// What becomes of the secrets that sign when a fresh one comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OlderSecrets {
    /// The newest of them signs for so long, the others as long as they would have.
    Sign(Duration),
    /// None of them signs any more.
    Expire,
}

/// Gives an endpoint a fresh secret, and says which sign from now on.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] if too many secrets sign already.
pub async fn rotate_secret(
    unit: &mut UnitOfWork<'_>,
    id: WebhookEndpointId,
    older: OlderSecrets,
) -> Result<(Secret, Vec<SigningSecret>)> {
    let dispatcher = unit.app().dispatcher()?.clone();
    let before = lock(unit, id).await?;
    unit.check_match(before.updated_at)?;
    let (now, changed_at) = (unit.now, unit.now_after(before.updated_at));
    let previous = match older {
        OlderSecrets::Expire => Vec::new(),
        OlderSecrets::Sign(grace) => {
            let replaced = (!grace.is_zero()).then(|| PreviousSecret {
                sealed: before.sealed_secret,
                replaced_at: Some(now),
                until: now.plus(grace),
            });
            let in_force = before.previous_secrets.into_iter().filter(|secret| secret.until > now);
            replaced.into_iter().chain(in_force).collect()
        }
    };
    if previous.len() >= MAX_SECRETS {
        let text = "Too many secrets of this endpoint are in force. Wait until the grace of one is over, or give \
                    expire_previous: true.";
        return Err(Error::Conflict(text.to_owned()));
    }
    let secret = EndpointSecret::generate(&mut random::rng());
    let column = SealedColumn::secret(before.workspace_id, id);
    let sealed = dispatcher.vault().seal(&mut random::rng(), secret.expose(), column);
    let changes = WebhookEndpointChanges { secrets: Some((sealed, previous)), ..Default::default() };
    let endpoint = unit.tx.webhook_endpoint_update(id, changes, changed_at).await?;
    record(unit, &endpoint, "webhook.secret_rotated", Map::new());
    Ok((Secret::new(secret.expose().to_owned()), signing_secrets(&endpoint, now)))
}

/// Sends a test event, signed like any other, through the same guard; it is no delivery and is not counted.
/// At most once for each idempotency key of the caller; `render` makes the answer that a repetition gets too.
///
/// # Errors
/// [`Error::NotFound`], [`Error::IdempotencyInProgress`], [`Error::IdempotencyKeyReused`],
/// [`Error::Unavailable`].
pub async fn test(
    app: &App,
    caller: &Caller,
    id: WebhookEndpointId,
    render: impl FnOnce(TestedWebhook) -> Result<WireAnswer> + Send + 'static,
) -> Result<WireAnswer> {
    let (endpoint, _) = get(app, caller, id, false).await?;
    let request = caller.idempotency().cloned();
    let (app, caller) = (app.clone(), caller.clone());
    let runtime = app.runtime().clone();
    // In a task of its own: what is sent is sent, whether or not the caller waits for it.
    let sent = async move {
        if let Some(request) = request.clone() {
            let claim = async move |unit: &mut UnitOfWork<'_>| idempotency::claim(unit, Some(&request)).await;
            if let Some(earlier) = app.transact(&caller, claim).await? {
                return Ok(earlier);
            }
        }
        let tested = send_test(&app, &endpoint).await;
        let nothing_was_done = !matches!(tested, Ok(Some(_)));
        let answer = tested.and_then(|tested| render(tested.unwrap_or_else(TestedWebhook::too_many)));
        idempotency::settle(&app, &caller, request, answer.as_ref().ok().cloned(), nothing_was_done).await;
        answer
    };
    runtime.spawn(sent).await.map_err(Error::failed("a test of a webhook"))?
}

/// What a test came to; none if too many are being sent.
async fn send_test(app: &App, endpoint: &WebhookEndpoint) -> Result<Option<TestedWebhook>> {
    let event_id = EventId::generate(&mut random::rng());
    let test = OwnEvent::WebhookTest(WebhookTestEventData { message: "This is a test." });
    let owner = Owner::new(endpoint.workspace_id, endpoint.environment);
    let payload = event_payload(&event_id, test.event_type(), app.now(), owner, &test.data());
    let sent = app.dispatcher()?.send_test(endpoint, event_id.as_str(), payload.into()).await;
    Ok(sent.map(|sent| TestedWebhook {
        success: sent.status.is_some_and(|status| (200..300).contains(&status)),
        status_code: sent.status,
        response_body: sent.body,
        error: sent.error,
        took: sent.took,
    }))
}

impl TestedWebhook {
    fn too_many() -> Self {
        let error = "Too many test events are being sent. Try again in a moment.".to_owned();
        Self {
            success: false,
            status_code: None,
            response_body: None,
            error: Some(error),
            took: Duration::ZERO,
        }
    }
}

/// Which deliveries of an endpoint to list.
#[derive(Debug, Clone, Default)]
pub struct ListDeliveries {
    /// One status only.
    pub status: Option<DeliveryStatus>,
    /// Of one type of event only.
    pub event_type: Option<String>,
    /// Of one event only.
    pub event_id: Option<EventId>,
}

/// One page of an endpoint's deliveries.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Unavailable`].
pub async fn list_deliveries(
    app: &App,
    caller: &Caller,
    id: WebhookEndpointId,
    query: ListDeliveries,
    request: ListRequest,
) -> Result<Page<WebhookDelivery>> {
    let owner = caller.owner();
    let ListDeliveries { status, event_type, event_id } = query;
    let filter = WebhookDeliveryFilter { endpoint_id: id, status, event_type, event_id };
    app.read_snapshot(async move |mut tx| {
        tx.webhook_endpoint_get(owner, id).await?.ok_or(Error::NotFound)?;
        Ok(tx.webhook_delivery_list(&filter, &request).await?)
    })
    .await
}

/// One delivery with its attempts.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Unavailable`].
pub async fn get_delivery(
    app: &App,
    caller: &Caller,
    endpoint: WebhookEndpointId,
    id: WebhookDeliveryId,
) -> Result<DeliveryHistory> {
    let owner = caller.owner();
    app.read_snapshot(async move |mut tx| {
        tx.webhook_endpoint_get(owner, endpoint).await?.ok_or(Error::NotFound)?;
        let delivery = tx.webhook_delivery_get(endpoint, id, false).await?.ok_or(Error::NotFound)?;
        Ok(DeliveryHistory { delivery, attempts: tx.webhook_attempt_list(id).await? })
    })
    .await
}

/// Makes a delivery due once more by hand; how it stands then.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::CannotRetry`] if it was received, is in flight, or was retried ten times.
pub async fn retry_delivery(
    unit: &mut UnitOfWork<'_>,
    endpoint: WebhookEndpointId,
    id: WebhookDeliveryId,
) -> Result<WebhookDelivery> {
    let now = unit.now;
    let owner = lock(unit, endpoint).await?;
    let delivery = unit.tx.webhook_delivery_get(endpoint, id, true).await?.ok_or(Error::NotFound)?;
    let refusal = if delivery.status == DeliveryStatus::Success {
        "This delivery was already received."
    } else if delivery.claim_id.is_some() {
        "This delivery is being sent."
    } else if delivery.manual_retries >= MAX_MANUAL_RETRIES {
        "This delivery was retried as often as it can be."
    } else {
        unit.tx.webhook_delivery_retry(id, owner.is_active.then_some(now), now).await?;
        unit.handovers.due(owner.workspace_id, endpoint);
        unit.tx.announce_due().await?;
        let delivery = unit.tx.webhook_delivery_get(endpoint, id, false).await?.ok_or(Error::NotFound)?;
        record(unit, &owner, "webhook.delivery_retried", Map::new());
        return Ok(delivery);
    };
    Err(Error::CannotRetry(refusal.to_owned()))
}

async fn lock(unit: &mut UnitOfWork<'_>, id: WebhookEndpointId) -> Result<WebhookEndpoint> {
    let owner = unit.caller().owner();
    unit.tx.webhook_endpoint_lock(owner, id).await?.ok_or(Error::NotFound)
}

fn texts(events: &[Subscription]) -> Vec<String> {
    events.iter().map(|event| event.as_str().to_owned()).collect()
}

fn record(
    unit: &mut UnitOfWork<'_>,
    endpoint: &WebhookEndpoint,
    action: &'static str,
    details: Map<String, serde_json::Value>,
) {
    unit.audit(endpoint.workspace_id, action, (TARGET, endpoint.id.0), details);
}

/// Checks a list of event types or patterns.
///
/// # Errors
/// What is wrong with which.
pub fn subscriptions(texts: &[&str]) -> Result<Vec<Subscription>, ListErrors> {
    const MAX: usize = 100;
    if texts.is_empty() {
        return Err(ListErrors::of_list(required("events")));
    }
    if texts.len() > MAX {
        return Err(ListErrors::of_list(format!("The events may not have more than {MAX} items.")));
    }
    let (mut events, mut errors) = (Vec::new(), ListErrors::default());
    for (index, text) in texts.iter().enumerate() {
        match Subscription::parse(text) {
            Some(event) if events.contains(&event) => {}
            Some(event) => events.push(event),
            None => errors
                .add(index, "An event must be a type such as post.created, a pattern such as post.*, or *."),
        }
    }
    errors.none_or(events)
}

/// Refuses headers by which services behind the platform are told whose request it is.
fn refuse_identity(app: &App, headers: &[CustomHeader]) -> Result<()> {
    let mut errors = FieldErrors::default();
    for header in headers {
        let canonical = CustomHeader::canonical_name(header.name());
        if app.identity_headers().iter().any(|taken| CustomHeader::canonical_name(taken) == canonical) {
            errors
                .add(format!("headers.{}", header.name()), format!("The header {}.", HeaderError::Reserved));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Validation(errors)) }
}

/// Checks headers of a tenant's own.
///
/// # Errors
/// Every error, by header.
pub fn custom_headers(pairs: &Map<String, serde_json::Value>) -> Result<Vec<CustomHeader>, FieldErrors> {
    const MAX: usize = 20;
    let (mut headers, mut errors) = (Vec::new(), FieldErrors::default());
    if pairs.len() > MAX {
        errors.add("headers", format!("The headers may not have more than {MAX} items."));
        return Err(errors);
    }
    let mut names = Vec::new();
    for (name, value) in pairs {
        let field = format!("headers.{name}");
        let canonical = CustomHeader::canonical_name(name);
        match value.as_str().map(|value| CustomHeader::new(name, value)) {
            Some(Ok(_)) if names.contains(&canonical) => {
                errors.add(field, "The header is given twice.".to_owned())
            }
            Some(Ok(header)) => {
                names.push(canonical);
                headers.push(header);
            }
            Some(Err(error)) => errors.add(field, format!("The header {error}.")),
            None => errors.add(field, "The header must be a string.".to_owned()),
        }
    }
    if headers.len() == pairs.len() { Ok(headers) } else { Err(errors) }
}
