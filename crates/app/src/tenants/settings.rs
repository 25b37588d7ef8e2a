//! What the settings of a workspace say to Gatepost; the rest of them is the tenant's own.

use gatepost_entitlements::is_time_zone;
use gatepost_kernel::JsonObject;
use gatepost_pixel::PixelSettings;

/// The setting that says in which time zone days and months begin.
pub(crate) const TIME_ZONE: &str = "timezone";
/// The setting that says whose pages are tracked, and how.
const PIXEL: &str = "pixel";
/// The most bytes that the settings of a workspace have together.
pub const MAX_SETTINGS_BYTES: usize = 65_536;

/// Checks settings: at most 64 KiB as JSON, a time zone that exists, and a pixel as [`PixelSettings::read`] takes it.
///
/// # Errors
/// Each fault with the field that it is about.
pub fn check_settings(settings: &JsonObject) -> Result<(), Vec<(String, String)>> {
    let mut faults = Vec::new();
    if serde_json::to_string(settings).map_or(true, |text| text.len() > MAX_SETTINGS_BYTES) {
        faults.push(("settings".to_owned(), "The settings may not be greater than 64 kilobytes.".to_owned()));
    }
    let zone = settings.get(TIME_ZONE).filter(|zone| !zone.is_null());
    if zone.is_some_and(|zone| !zone.text().is_some_and(|zone| is_time_zone(&zone))) {
        faults.push((
            "settings.timezone".to_owned(),
            "The settings.timezone must be a time zone name such as Europe/London.".to_owned(),
        ));
    }
    if let Some(pixel) = settings.get(PIXEL).filter(|pixel| !pixel.is_null())
        && let Err(of_pixel) = PixelSettings::read(&pixel.read().unwrap_or_default())
    {
        faults.extend(of_pixel.into_iter().map(|(field, fault)| (format!("settings.{field}"), fault)));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// The domains that settings name.
pub(crate) fn domains(settings: &JsonObject) -> Vec<String> {
    pixel_settings(settings).map(|pixel| pixel.domains).unwrap_or_default()
}

/// What settings say about the pixel; none if they say nothing.
pub(crate) fn pixel_settings(settings: &JsonObject) -> Option<PixelSettings> {
    PixelSettings::read(&settings.get(PIXEL)?.read()?).ok()
}
