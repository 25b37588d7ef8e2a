//! The pixel on the wire.

use gatepost_app::visits::pixel::TrackEvent;
use gatepost_kernel::{Json, text::web_url};
use gatepost_macros::{body, query, view};
use gatepost_pixel::{MAX_PROPERTIES_BYTES, PixelSettings, domain, event_name, visited_url};
use serde_json::{Map, Value, json};
use url::Url;

use crate::values::{NOT_IN_NAMES, any_object, members, text_parameters, texts};

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
        let on = settings.filter(|settings| settings.enabled);
        let has = |feature: fn(&PixelSettings) -> bool| on.is_some_and(feature);
        let features = PixelFeaturesView {
            pageviews: has(|settings| settings.features.pageviews),
            events: has(|settings| settings.features.events),
            sessions: has(|settings| settings.features.sessions),
        };
        Self { enabled: on.is_some(), features, sample_rate: on.map_or(0.0, |settings| settings.sample_rate) }
    }
}

/// Result of tracking an event.
#[view(example = {"tracked": true})]
pub struct TrackedPixelEventView {
    /// Whether the event was stored.
    pub tracked: bool,
}

text_parameters! {
    /// A domain; one that is none is nobody's.
    DomainParameter(Option<String>) = { "type": "string", "maxLength": 253 }, "a text of at most 253 characters",
        |text| (text.chars().count() <= 253).then(|| domain("domain", text).ok());
}

/// Which page.
#[query]
pub struct PixelQuery {
    /// Domain of the page, for clients that send neither `Origin` nor `Referer`
    #[member(like = DomainParameter, example = "example.com")]
    domain: Option<Option<String>>,
}

impl PixelQuery {
    /// The domain that is named.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_ref()?.as_deref()
    }
}

texts! {
    /// The name of an event.
    EventName(String) = {
        "type": "string",
        "minLength": 1,
        "maxLength": 64,
        "pattern": format!("^[^\\s{NOT_IN_NAMES}]+( [^\\s{NOT_IN_NAMES}]+)*$"),
    }, |text| {
        let error = "The event must be 1 to 64 characters with single blanks between, none of them a control character.";
        event_name(text).ok_or_else(|| error.to_owned())
    };
    /// The page.
    VisitedUrl(Url) = { "type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://" }, |text| visited_url("url", text);
    /// Where the visitor came from, which is up to others: an odd place is no reason to lose the visit.
    Referrer(Option<Url>) = { "type": "string" }, |text| Ok(web_url("referrer", text).ok());
    /// With what, which is up to others too.
    UserAgent(String) = { "type": "string" }, |text| Ok(cut_user_agent(text));
}

members! {
    /// What is kept with an event.
    Properties(Json) = (any_object()), |fields, name, value| {
        let properties = fields.json_object(name, value)?;
        let fits = |members: &Json| members.as_str().len() <= MAX_PROPERTIES_BYTES;
        if fits(&properties) {
            return Some(properties);
        }
        let shortened = with_short_title(&properties).filter(fits);
        if shortened.is_none() {
            fields.error(name, "The properties may not be greater than 8 kilobytes.");
        }
        shortened
    };
}

// `sendBeacon` calls a text `text/plain`; with another type it would ask first, with credentials.
/// An event on a page.
#[body(limit_bytes = 64 << 10, media_types = ["application/json", "text/plain"], example = {
    "event": "pageview", "url": "https://example.com/page", "referrer": "https://google.com",
    "user_agent": "Mozilla/5.0...", "properties": {"title": "Page Title"},
})]
pub struct TrackPixelEventBody {
    /// Name of the event: `pageview`, or a name of your own in any script, with single blanks between words
    #[member(like = EventName)]
    event: String,
    /// URL of the page, http or https; cut after 2,048 characters
    #[member(like = VisitedUrl)]
    url: Url,
    /// URL the visitor came from; ignored if it is not http or https, or too long
    #[member(like = Referrer, default)]
    referrer: Option<Url>,
    /// User agent of the visitor, cut after 512 characters; that of the request if not given
    #[member(like = UserAgent)]
    user_agent: Option<String>,
    /// Arbitrary object to store with the event, up to 8 KiB; a long `title` is cut
    #[member(like = Properties)]
    properties: Option<Json>,
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
