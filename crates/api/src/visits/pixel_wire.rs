//! The pixel on the wire.

use gatepost_api_macros::view;
use gatepost_app::visits::pixel::TrackEvent;
use gatepost_kernel::{Json, text::web_url};
use gatepost_pixel::{MAX_PROPERTIES_BYTES, PixelSettings, domain, event_name, visited_url};
use serde_json::{Map, Value, json};
use url::Url;
use utoipa::{IntoParams, ToSchema};

use crate::{
    body::{Context, Fields, Null, ReadBody},
    query::{Parameters, ReadQuery},
};

const MAX_USER_AGENT_CHARS: usize = 512;
/// How much of a title stays where the properties are too long.
const MAX_TITLE_CHARS: usize = 512;

/// Kinds of events that are tracked.
#[view(example = {"pageviews": true, "events": true, "sessions": true})]
pub struct PixelFeaturesView {
    /// Whether page views are tracked.
    pageviews: bool,
    /// Whether all other events are tracked.
    events: bool,
    /// Whether events are grouped into visits.
    sessions: bool,
}

/// Pixel configuration of a page.
#[view(example = {"enabled": true, "sample_rate": 1.0})]
pub struct PixelConfigView {
    /// Whether anything is tracked at all.
    enabled: bool,
    /// Kinds of events that are tracked.
    features: PixelFeaturesView,
    /// Share of the events that is stored, 0 to 1; the server samples, so clients send all.
    #[member(minimum = 0, maximum = 1)]
    sample_rate: f64,
}

impl PixelConfigView {
    /// What a workspace says about its pixel; nothing is tracked without it.
    pub fn new(settings: Option<&PixelSettings>) -> Self {
        match settings.filter(|settings| settings.enabled) {
            Some(settings) => Self {
                enabled: true,
                features: PixelFeaturesView {
                    pageviews: settings.features.pageviews,
                    events: settings.features.events,
                    sessions: settings.features.sessions,
                },
                sample_rate: settings.sample_rate,
            },
            None => Self {
                enabled: false,
                features: PixelFeaturesView { pageviews: false, events: false, sessions: false },
                sample_rate: 0.0,
            },
        }
    }
}

/// Result of tracking an event.
#[view(example = {"tracked": true})]
pub struct TrackedPixelEventView {
    /// Whether the event was stored.
    pub tracked: bool,
}

/// Which page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PixelQuery {
    /// Domain of the page, for clients that send neither `Origin` nor `Referer`
    #[param(max_length = 253, example = "example.com")]
    domain: Option<String>,
}

impl PixelQuery {
    /// The domain that is named.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }
}

impl ReadQuery for PixelQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        // One that is no domain is nobody's.
        let short = |text: &str| (text.chars().count() <= 253).then(|| text.to_owned());
        let named = parameters.text("domain", short, "a text of at most 253 characters");
        Some(Self { domain: named.and_then(|text| domain("domain", &text).ok()) })
    }
}

/// An event on a page.
#[derive(ToSchema)]
pub struct TrackPixelEventBody {
    /// Name of the event: `pageview`, or a name of your own in any script, with single blanks between words
    #[schema(min_length = 1, max_length = 64, example = "pageview")]
    event: String,
    /// URL of the page, http or https; cut after 2,048 characters
    #[schema(value_type = String, pattern = "^[Hh][Tt][Tt][Pp][Ss]?://", example = "https://example.com/page")]
    url: Url,
    /// URL the visitor came from; ignored if it is not http or https, or too long
    #[schema(value_type = Option<String>, example = "https://google.com")]
    referrer: Option<Url>,
    /// User agent of the visitor, cut after 512 characters; that of the request if not given
    #[schema(example = "Mozilla/5.0...")]
    user_agent: Option<String>,
    /// Arbitrary object to store with the event, up to 8 KiB; a long `title` is cut
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>, example = json!({"title": "Page Title"}))]
    properties: Option<Json>,
}

impl ReadBody for TrackPixelEventBody {
    const LIMIT_BYTES: usize = 64 << 10;
    // `sendBeacon` calls a text `text/plain`; with another type it would ask first, with credentials.
    const MEDIA_TYPES: &'static [&'static str] = &["application/json", "text/plain"];

    fn read(fields: &mut Fields, _: &Context<'_>) -> Option<Self> {
        let event = fields.required_text("event", |text| {
            event_name(text).ok_or_else(|| {
                "The event must be 1 to 64 characters with single blanks between, none of them a control character."
                    .to_owned()
            })
        });
        let url = fields.required_text("url", |text| visited_url("url", text));
        // Where visitors come from, and with what, is up to others: an odd place or a long name is no reason to lose the visit.
        let referrer = fields.text("referrer", Null::IsAbsent, |text| Ok(web_url("referrer", text).ok()));
        let user_agent = fields.text("user_agent", Null::IsAbsent, |text| Ok(cut_user_agent(text)));
        let mut properties = fields.json_object("properties", Null::IsAbsent);
        if let Some(long) =
            properties.as_ref().filter(|members| members.as_str().len() > MAX_PROPERTIES_BYTES)
        {
            properties =
                with_short_title(long).filter(|members| members.as_str().len() <= MAX_PROPERTIES_BYTES);
            if properties.is_none() {
                fields.fault("properties", "The properties may not be greater than 8 kilobytes.");
            }
        }
        Some(Self { event: event?, url: url?, referrer: referrer.flatten(), user_agent, properties })
    }
}

impl TrackPixelEventBody {
    /// The event; of a browser that says nothing of itself in the body, what it says in the request.
    pub fn into_event(self, user_agent: Option<&str>) -> TrackEvent {
        let Self { event, url, referrer, user_agent: given, properties } = self;
        let user_agent = given.or_else(|| user_agent.map(cut_user_agent));
        let properties = properties.unwrap_or_else(|| Json::from(&json!({})));
        TrackEvent { event, url, referrer, user_agent, properties }
    }
}

fn cut_user_agent(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_USER_AGENT_CHARS).collect()
}

/// The properties with no more than the beginning of the page's title, which its visitors cannot help.
fn with_short_title(properties: &Json) -> Option<Json> {
    let mut members: Map<String, Value> = serde_json::from_str(properties.as_str()).ok()?;
    let Some(Value::String(title)) = members.get_mut("title") else { return None };
    *title = title.chars().take(MAX_TITLE_CHARS).collect();
    Some(Json::from(&Value::Object(members)))
}
