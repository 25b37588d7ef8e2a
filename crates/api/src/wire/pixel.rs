//! The pixel on the wire.

use gatepost_app::{pixel::TrackEvent, workspaces::has_null_character};
use gatepost_kernel::text::web_url;
use gatepost_pixel::{MAX_PROPERTIES_BYTES, PixelSettings, domain, event_name};
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;
use utoipa::{IntoParams, ToSchema};

use crate::{
    body::{Context, Fields, Null, ReadBody},
    query::{Parameters, ReadQuery},
};

const MAX_USER_AGENT_CHARS: usize = 512;

/// What is tracked.
#[derive(Serialize, ToSchema)]
pub struct PixelFeaturesView {
    /// Views of pages.
    #[schema(example = true)]
    pageviews: bool,
    /// Everything else that a page tells of.
    #[schema(example = true)]
    events: bool,
    /// Which of them belong to one visit.
    #[schema(example = true)]
    sessions: bool,
}

/// The pixel of a page.
#[derive(Serialize, ToSchema)]
pub struct PixelConfigView {
    /// Whether anything is tracked.
    #[schema(example = true)]
    enabled: bool,
    /// What is tracked.
    features: PixelFeaturesView,
    /// Which share of the events is stored, 0 to 1; the server draws, so clients send all.
    #[schema(minimum = 0, maximum = 1, example = 1.0)]
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

/// Whether an event was stored.
#[derive(Serialize, ToSchema)]
pub struct TrackedPixelEventView {
    /// Whether it was.
    #[schema(example = true)]
    pub tracked: bool,
}

/// Which page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PixelQuery {
    /// The domain of the page, for clients that send neither `Origin` nor `Referer`
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

/// Something that happened on a page.
#[derive(ToSchema)]
pub struct TrackPixelEventBody {
    /// What: `pageview`, or a name of the page's own of letters, digits and `_.:/-` with single blanks between
    #[schema(pattern = "^[A-Za-z0-9_.:/-]+( [A-Za-z0-9_.:/-]+)*$", max_length = 64, example = "pageview")]
    event: String,
    /// The page, an http or https address
    #[schema(value_type = String, pattern = "^[Hh][Tt][Tt][Pp][Ss]?://", max_length = 2048, example = "https://example.com/page")]
    url: Url,
    /// The page that the visitor came from; what is no http or https address is passed over
    #[schema(value_type = Option<String>, max_length = 8192, example = "https://google.com")]
    referrer: Option<Url>,
    /// The visitor's browser; that of the request if not given
    #[schema(max_length = 512, example = "Mozilla/5.0...")]
    user_agent: Option<String>,
    /// Anything that is to be remembered with it; up to 8 KiB
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>, example = json!({"title": "Page Title"}))]
    properties: Option<Map<String, Value>>,
}

impl ReadBody for TrackPixelEventBody {
    const LIMIT_BYTES: usize = 64 << 10;

    fn read(fields: &mut Fields, _: &Context<'_>) -> Option<Self> {
        let event = fields.required_text("event", |text| {
            event_name(text).then(|| text.to_owned()).ok_or_else(|| {
                "The event must be 1 to 64 letters, digits, underscores, dots, colons, slashes or hyphens, with single \
                 blanks between."
                    .to_owned()
            })
        });
        let url = fields.required_text("url", |text| web_url("url", text));
        // Where visitors come from is up to others: an odd place is no reason to lose the visit.
        let referrer = fields.text("referrer", Null::IsAbsent, |text| match text.chars().count() {
            ..=8_192 => Ok(web_url("referrer", text).ok()),
            _ => Err("The referrer may not be greater than 8192 characters.".to_owned()),
        });
        let user_agent = fields.text("user_agent", Null::IsAbsent, |text| {
            let fits = text.chars().count() <= MAX_USER_AGENT_CHARS && !text.chars().any(char::is_control);
            fits.then(|| text.to_owned()).ok_or_else(|| {
                "The user agent may not be greater than 512 characters, nor contain control characters."
                    .to_owned()
            })
        });
        let properties = fields.object("properties", Null::IsAbsent);
        if let Some(members) = &properties {
            let text = serde_json::to_string(members).unwrap_or_default();
            if text.len() > MAX_PROPERTIES_BYTES {
                fields.fault("properties", "The properties may not be greater than 8 kilobytes.");
            }
            if members.iter().any(|(name, value)| name.contains('\0') || has_null_character(value)) {
                fields.fault("properties", "The properties may not contain null characters.");
            }
        }
        Some(Self { event: event?, url: url?, referrer: referrer.flatten(), user_agent, properties })
    }
}

impl TrackPixelEventBody {
    /// The event; of a browser that says nothing of itself in the body, what it says in the request.
    pub fn into_event(self, user_agent: Option<&str>) -> TrackEvent {
        let Self { event, url, referrer, user_agent: given, properties } = self;
        let user_agent =
            given.or_else(|| user_agent.map(|text| text.chars().take(MAX_USER_AGENT_CHARS).collect()));
        TrackEvent { event, url, referrer, user_agent, properties: properties.unwrap_or_default() }
    }
}
