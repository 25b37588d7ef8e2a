//! What the settings of a workspace say to Gatepost; the rest of them is the tenant's own.

use gatepost_entitlements::is_time_zone;
use gatepost_kernel::{FieldErrors, Json, JsonObject, text::web_url};
use gatepost_pixel::PixelSettings;

/// The setting that says in which time zone days and months begin.
const TIME_ZONE: &str = "timezone";
/// The setting that says whose pages are tracked, and how.
const PIXEL: &str = "pixel";
/// The setting that says where people of the workspace change their plan.
const BILLING_URL: &str = "billing_url";
/// The most bytes that the settings of a workspace have together.
pub const MAX_SETTINGS_BYTES: usize = 65_536;

/// The settings of a workspace: what Gatepost reads of them, and all of them as they were given.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceSettings {
    /// In which time zone its days and months begin, by its IANA name; UTC if it says none.
    pub time_zone: Option<String>,
    /// Whose pages are tracked, and how; none if it says nothing.
    pub pixel: Option<PixelSettings>,
    /// Where its people change their plan; none if the operator's own page is good for all.
    pub billing_url: Option<String>,
    given: JsonObject,
}

impl WorkspaceSettings {
    /// Reads settings: at most 64 KiB as JSON, a time zone that exists, a pixel as [`PixelSettings::read`]
    /// takes it, and an address of a page for billing. `null` is the same as saying nothing.
    ///
    /// # Errors
    /// Each error under the name of its member.
    pub fn read(given: JsonObject) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        if serde_json::to_string(&given).map_or(true, |text| text.len() > MAX_SETTINGS_BYTES) {
            errors.add("settings", "The settings may not be greater than 64 kilobytes.");
        }
        let zone = given.get(TIME_ZONE).filter(|zone| !zone.is_null());
        let time_zone = zone.and_then(|zone| zone.text()).filter(|zone| is_time_zone(zone));
        if zone.is_some() && time_zone.is_none() {
            let error = "The settings.timezone must be a time zone name such as Europe/London.";
            errors.add("settings.timezone", error);
        }
        let pixel = given.get(PIXEL).filter(|pixel| !pixel.is_null());
        let pixel = pixel.map(|pixel| PixelSettings::read(&pixel.read().unwrap_or_default())).transpose();
        let pixel = pixel.unwrap_or_else(|of_pixel| {
            for (field, error) in of_pixel {
                errors.add(format!("settings.{field}"), error);
            }
            None
        });
        let billing_url = match given.get(BILLING_URL).filter(|url| !url.is_null()).map(|url| url.text()) {
            None => None,
            Some(url) => match web_url("settings.billing_url", &url.unwrap_or_default()) {
                Ok(url) => Some(url.into()),
                Err(error) => {
                    errors.add("settings.billing_url", error);
                    None
                }
            },
        };
        if errors.is_empty() { Ok(Self { time_zone, pixel, billing_url, given }) } else { Err(errors) }
    }

    /// Settings that were read once and stored: nothing of them is refused. A pixel that is none any more
    /// says nothing.
    pub fn stored(given: JsonObject) -> Self {
        let (time_zone, pixel, billing_url) = (time_zone(&given), pixel(&given), billing_url(&given));
        Self { time_zone, pixel, billing_url, given }
    }

    /// The same after changes: members are replaced, and those that are `null` go.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub fn changed(&self, changes: JsonObject) -> Result<Self, FieldErrors> {
        let mut given = self.given.clone();
        given.merge(changes);
        Self::read(given)
    }

    /// The domains that they name.
    pub fn domains(&self) -> &[String] {
        self.pixel.as_ref().map_or(&[], |pixel| &pixel.domains)
    }

    /// All of them, as they were given.
    pub fn into_given(self) -> JsonObject {
        self.given
    }
}

/// The time zone alone, of settings that are stored.
pub(crate) fn time_zone(given: &JsonObject) -> Option<String> {
    given.text(TIME_ZONE)
}

/// The address for billing alone, of settings that are stored. Before it meant anything, anything could be
/// stored there.
pub(crate) fn billing_url(given: &JsonObject) -> Option<String> {
    given.text(BILLING_URL).filter(|url| web_url(BILLING_URL, url).is_ok())
}

/// What they say of the pixel alone.
pub(crate) fn pixel(given: &JsonObject) -> Option<PixelSettings> {
    PixelSettings::read(&given.get(PIXEL)?.read()?).ok()
}

/// Of settings, which can be large, only those that counting reads.
pub(crate) fn that_counting_reads(given: &JsonObject) -> JsonObject {
    let members = [(TIME_ZONE, time_zone(given)), (BILLING_URL, billing_url(given))];
    members.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Json::written(&text?)))).collect()
}
