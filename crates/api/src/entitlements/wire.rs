//! Entitlements on the wire.

use gatepost_app::entitlements::{Billing, FeatureStanding, MAX_QUANTITY, Summary, UseFeature};
use gatepost_contract::Contract;
use gatepost_entitlements::{Access, FeatureKind, Grant, Operation, Plan, Reason};
use gatepost_kernel::{
    CalendarTime, Error, Json, JsonObject, WorkspaceId,
    describe::{Described, DescribedObject, Object, Schemas},
};
use gatepost_macros::{body, query, view};
use indexmap::IndexMap;
use serde::Serializer;
use serde_json::{Value, json};

use crate::values::{Whole, members, text_parameters, texts};

const MAX_FEATURE_LEN: usize = 128;
const MAX_IDEMPOTENCY_KEY_LEN: usize = 255;
const MAX_METADATA_BYTES: usize = 16 << 10;

/// A quantity of a feature.
pub type Quantity = Whole<u64, 0, { MAX_QUANTITY as i64 }>;

texts! {
    /// The key of a feature.
    FeatureKey(String) = { "type": "string", "minLength": 1, "maxLength": MAX_FEATURE_LEN }, |text| match text.chars().count() {
        1..=MAX_FEATURE_LEN => Ok(text.to_owned()),
        _ => Err("The feature may not be greater than 128 characters.".to_owned()),
    };
    /// The key by which a repeated use is known.
    UseKey(String) = { "type": "string", "minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY_LEN }, |text| {
        let fits = (1..=MAX_IDEMPOTENCY_KEY_LEN).contains(&text.len()) && !text.contains('\0');
        let error = "The idempotency key must be between 1 and 255 characters, none of them null.";
        fits.then(|| text.to_owned()).ok_or_else(|| error.to_owned())
    };
}

text_parameters! {
    /// The key of a feature.
    FeatureParameter(String) = { "type": "string", "minLength": 1, "maxLength": MAX_FEATURE_LEN },
        "a feature of at most 128 characters",
        |text| (1..=MAX_FEATURE_LEN).contains(&text.chars().count()).then(|| text.to_owned());
}

members! {
    /// What is kept with a use.
    Metadata(Json) = { "type": "object" }, |fields, name, value| {
        let metadata = fields.json_object(name, value)?;
        if metadata.as_str().len() > MAX_METADATA_BYTES {
            fields.error(name, "The metadata may not be greater than 16 kilobytes.");
        }
        Some(metadata)
    };
}

/// Which feature, and how much of it.
#[query]
pub struct CheckEntitlementQuery {
    /// Key of the feature to check
    #[member(like = FeatureParameter, example = "posts")]
    pub feature: String,
    /// Quantity to check for; 1 if not given
    #[member(like = Quantity)]
    pub quantity: Option<u64>,
}

/// Of which feature, and what is kept with it.
#[body(example = { "feature": "api_calls", "idempotency_key": "order-1234", "metadata": {"endpoint": "{base_path}/posts"} })]
pub struct UseBody {
    /// Key of the feature
    #[member(like = FeatureKey)]
    feature: String,
    /// Key that makes a repetition safe: usage with the same key is counted once within 32 days and gets the
    /// same decision again
    #[member(like = UseKey)]
    idempotency_key: Option<String>,
    /// Arbitrary object to store with the usage, up to 16 KiB
    #[member(like = Metadata)]
    metadata: Option<Json>,
}

impl UseBody {
    fn into_use(self, operation: Operation, quantity: u64) -> UseFeature {
        let Self { feature, idempotency_key, metadata } = self;
        UseFeature { feature, operation, quantity, idempotency_key, metadata }
    }
}

/// Usage of a feature to record or release.
#[body(example = { "quantity": 1 })]
pub struct UseEntitlementBody {
    #[member(flatten)]
    used: UseBody,
    /// Quantity used; 1 if not given, 0 only checks
    #[member(like = Quantity)]
    quantity: Option<u64>,
}

impl UseEntitlementBody {
    /// What it asks for.
    pub fn into_use(self, operation: Operation) -> UseFeature {
        self.used.into_use(operation, self.quantity.unwrap_or(1))
    }
}

/// Absolute usage of a feature.
#[body(example = { "feature": "seats", "quantity": 12, "idempotency_key": "sync-1234", "metadata": {"source": "nightly"} })]
pub struct SetUsageBody {
    #[member(flatten)]
    used: UseBody,
    /// Total quantity in use
    #[member(like = Quantity)]
    quantity: u64,
}

impl From<SetUsageBody> for UseFeature {
    fn from(body: SetUsageBody) -> Self {
        body.used.into_use(Operation::Set, body.quantity)
    }
}

/// Kind of source that grants a feature.
pub struct SourceKind;

gatepost_kernel::described_words!(
    SourceKind,
    "EntitlementSourceKind",
    "Kind of source that grants a feature.",
    ["plan"]
);

/// The source of an entitlement.
#[view(example = {"code": "pro", "limit": 1000})]
pub struct EntitlementSourceView {
    /// Kind of the source.
    #[member(like = SourceKind)]
    kind: &'static str,
    /// Name of the source.
    code: String,
    /// Limit that the source grants; null if unlimited.
    limit: Option<u64>,
}

/// Details that every answer about a feature has.
#[view(example = {
    "percentage": 45, "unit": "bytes", "overage": 12, "reset_at": "2026-02-01T00:00:00Z",
})]
pub struct EntitlementDetails {
    /// How the feature is counted; null if there is no such feature.
    r#type: Option<FeatureKind>,
    /// Share of the limit that is used, in percent; null if unlimited.
    #[serde(serialize_with = "percentage")]
    percentage: Option<f64>,
    /// Unit in which the feature is counted.
    #[member(optional)]
    unit: Option<String>,
    /// Quantity used beyond the limit, where the plan allows that.
    #[member(optional)]
    overage: Option<u64>,
    /// Time at which the count starts again.
    #[member(optional)]
    reset_at: Option<CalendarTime>,
    /// Sources that grant the feature.
    source: Vec<EntitlementSourceView>,
}

impl EntitlementDetails {
    fn new(standing: &FeatureStanding) -> Self {
        let soft = matches!(standing.grant, Grant::UpTo { soft: true, .. });
        let source = EntitlementSourceView {
            kind: "plan",
            code: standing.plan.clone(),
            limit: standing.grant.limit(),
        };
        Self {
            r#type: standing.kind,
            percentage: standing.grant.percentage(standing.used),
            unit: standing.unit.clone(),
            overage: soft.then(|| standing.grant.overage(standing.used)),
            reset_at: standing.reset_at.map(CalendarTime),
            source: vec![source],
        }
    }
}

/// A percentage, without decimals where there are none.
fn percentage<S: Serializer>(percentage: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match percentage {
        None => serializer.serialize_none(),
        // Both are exact: there are at most two decimals, and no percentage is near the end of the numbers.
        Some(whole) if whole.fract() == 0.0 && *whole < 9e15 => serializer.serialize_u64(*whole as u64),
        Some(other) => serializer.serialize_f64(*other),
    }
}

/// Decision on a quantity of a feature.
#[view(from = FeatureStanding, example = {
    "allowed": true, "feature": "posts", "message": "Post limit exceeded. Used: 100, Limit: 100", "current_usage": 45,
    "limit": 100, "available": 55, "upgrade_url": "https://example.com/upgrade", "upgrade_plan": "business",
})]
pub struct EntitlementCheckView {
    /// Whether the quantity is allowed.
    #[member(from = source.refused.is_none())]
    allowed: bool,
    /// Key of the feature.
    feature: String,
    /// Reason for which it is not allowed.
    #[member(optional, from = source.refused)]
    reason: Option<Reason>,
    /// Human-readable reason for which it is not allowed.
    #[member(optional, from = source.refusal())]
    message: Option<String>,
    /// Quantity in use at the moment.
    #[member(from = source.used)]
    current_usage: u64,
    /// Limit of the plan; null if unlimited.
    #[member(from = source.grant.limit())]
    limit: Option<u64>,
    /// Quantity left within the limit; null if unlimited.
    #[member(from = source.grant.available(source.used))]
    available: Option<u64>,
    /// URL at which to upgrade the plan.
    #[member(optional)]
    upgrade_url: Option<String>,
    /// First plan that would allow the quantity.
    #[member(optional)]
    upgrade_plan: Option<String>,
    #[member(flatten, from = EntitlementDetails::new(&source))]
    details: EntitlementDetails,
}

/// Usage that was recorded.
#[view(from = FeatureStanding, example = {
    "recorded": true, "feature": "api_calls", "current_usage": 5001, "limit": 10_000, "available": 4999,
})]
pub struct RecordedUsageView {
    /// Whether the usage was recorded or, for a quantity of 0, could be.
    #[member(from = true)]
    recorded: bool,
    /// Key of the feature.
    feature: String,
    /// Quantity in use after the change.
    #[member(from = source.used)]
    current_usage: u64,
    /// Limit of the plan; null if unlimited.
    #[member(from = source.grant.limit())]
    limit: Option<u64>,
    /// Quantity left within the limit; null if unlimited.
    #[member(from = source.grant.available(source.used))]
    available: Option<u64>,
    #[member(flatten, from = EntitlementDetails::new(&source))]
    details: EntitlementDetails,
}

/// A use that is refused: the contract's error, with what `check` says beside.
pub struct EntitlementRefusal;

impl Described for EntitlementRefusal {
    fn schema(schemas: &mut Schemas) -> Value {
        schemas.named("EntitlementRefusalBody", |schemas| {
            let about = "A use that is refused: the contract's error, with what `check` says beside. Where the API key may not do this at \
                         all (`access_denied` and its like), the members of `check` are missing.";
            let mut refusal = Object::new(about);
            refusal.take_in_optional(EntitlementDetails::object(schemas));
            refusal.take_in_optional(EntitlementCheckView::object(schemas));
            refusal.take_in_schema(&Contract::core().schemas()["ErrorBody"]);
            refusal.examples(json!({
                "error": "feature_limit_reached", "message": "You have reached your limit for this feature.",
                "allowed": false, "current_usage": 100, "available": 0, "percentage": 100,
            }));
            refusal.into_schema()
        })
    }
}

/// Lets a standing through, or makes the refusal of it that says how the workspace stands.
///
/// # Errors
/// [`Error::FeatureLimitReached`].
pub fn refuse(standing: FeatureStanding) -> Result<FeatureStanding, Error> {
    if standing.refused.is_none() {
        return Ok(standing);
    }
    let (feature, upgrade_url) = (standing.feature.clone(), standing.upgrade_url.clone());
    let check =
        EntitlementCheckView { message: None, upgrade_url: None, ..EntitlementCheckView::from(standing) };
    let text = serde_json::to_string(&check).map_err(Error::failed("rendering a refusal"))?;
    let mut members = JsonObject::from_text(&text).map_err(Error::failed("rendering a refusal"))?;
    members.remove("feature");
    let standing = serde_json::to_string(&members).map_err(Error::failed("rendering a refusal"))?;
    Err(Error::FeatureLimitReached { feature, upgrade_url, standing: Some(standing.into()) })
}

/// Standing of a workspace for one feature.
#[view(example = {"used": 45, "limit": 1000, "available": 955})]
pub struct EntitlementView {
    /// Quantity in use at the moment.
    used: u64,
    /// Limit of the plan; null if unlimited.
    limit: Option<u64>,
    /// Quantity left within the limit; null if unlimited.
    available: Option<u64>,
    /// Whether the feature is switched on; only for features that are on or off.
    #[member(optional)]
    enabled: Option<bool>,
    #[member(flatten)]
    details: EntitlementDetails,
}

/// Standing of a workspace for every feature of its plan.
#[view(example = {
    "workspace_id": 1, "tier": "pro",
    "entitlements": { "posts": { "used": 45, "limit": 1000, "available": 955, "type": "limit", "percentage": 4.5, "source": [{ "kind": "plan", "code": "pro", "limit": 1000 }], }, "api_calls": { "used": 5001, "limit": 10000, "available": 4999, "type": "metered", "percentage": 50.01, "reset_at": "2026-02-01T00:00:00Z", "source": [{ "kind": "plan", "code": "pro", "limit": 10000 }], }, },
})]
pub struct EntitlementSummaryView {
    /// Numeric id of the workspace.
    workspace_id: WorkspaceId,
    /// Name of the plan of the workspace.
    tier: String,
    /// Features by key, in the order of the plan.
    #[member(like = std::collections::BTreeMap<String, EntitlementView>)]
    entitlements: IndexMap<String, EntitlementView>,
}

impl From<Summary> for EntitlementSummaryView {
    fn from(summary: Summary) -> Self {
        let view = |standing: FeatureStanding| {
            let is_boolean = standing.kind == Some(FeatureKind::Boolean);
            let view = EntitlementView {
                used: standing.used,
                limit: standing.grant.limit().filter(|_| !is_boolean),
                available: standing.grant.available(standing.used).filter(|_| !is_boolean),
                enabled: is_boolean.then_some(standing.grant == Grant::On),
                details: EntitlementDetails::new(&standing),
            };
            (standing.feature, view)
        };
        Self {
            workspace_id: summary.workspace_id,
            tier: summary.tier,
            entitlements: summary.features.into_iter().map(view).collect(),
        }
    }
}

/// The limits of a plan.
#[view(from = Plan, example = {
    "requests_per_minute": 5000, "requests_per_day": 1000000, "max_keys": 20, "access": "write",
})]
pub struct PlanLimitsView {
    /// Requests per minute and API key; null if unlimited.
    requests_per_minute: Option<u64>,
    /// Requests per UTC day and API key; null if unlimited.
    requests_per_day: Option<u64>,
    /// API keys that the workspace can have; null if unlimited.
    max_keys: Option<u64>,
    /// Widest access of the workspace's API keys.
    access: Access,
}

/// The plan of a workspace, what is used of it, and where to change it.
#[view(example = {
    "tier": "pro", "upgrade_url": "https://example.com/upgrade",
    "plan": { "requests_per_minute": 5000, "requests_per_day": null, "max_keys": 20, "access": "write" },
    "entitlements": { "posts": { "used": 45, "limit": 1000, "available": 955, "type": "limit", "percentage": 4.5, "source": [{ "kind": "plan", "code": "pro", "limit": 1000 }], }, },
})]
pub struct BillingView {
    /// Name of the plan of the workspace.
    tier: String,
    /// Limits of the plan.
    plan: PlanLimitsView,
    /// Features by key, in the order of the plan.
    #[member(like = std::collections::BTreeMap<String, EntitlementView>)]
    entitlements: IndexMap<String, EntitlementView>,
    /// Page where the plan can be changed; null if there is none.
    upgrade_url: Option<String>,
}

impl From<Billing> for BillingView {
    fn from(billing: Billing) -> Self {
        let EntitlementSummaryView { tier, entitlements, .. } = billing.summary.into();
        Self { tier, plan: billing.plan.into(), entitlements, upgrade_url: billing.upgrade_url }
    }
}
