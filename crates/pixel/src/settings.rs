//! What a workspace says about its pixel, in `settings.pixel`.

use gatepost_kernel::text::brief;
use serde_json::{Map, Value};

use crate::{PAGEVIEW, domain};

/// How many domains a workspace can have.
pub const MAX_DOMAINS: usize = 100;

/// What is tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Views of pages.
    pub pageviews: bool,
    /// Everything else that a page tells of.
    pub events: bool,
    /// Which of them belong to one visit: the script sends a number that ends with it.
    pub sessions: bool,
}

/// The pixel of a workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelSettings {
    /// Whether anything is tracked. On where there are domains, unless it says otherwise.
    pub enabled: bool,
    /// The domains of its pages, as [`domain()`] gives them.
    pub domains: Vec<String>,
    /// What is tracked; all of it, unless it says otherwise.
    pub features: Features,
    /// Which share of the events is kept, 0 to 1; all, unless it says otherwise.
    pub sample_rate: f64,
}

impl Default for PixelSettings {
    fn default() -> Self {
        let features = Features { pageviews: true, events: true, sessions: true };
        Self { enabled: true, domains: Vec::new(), features, sample_rate: 1.0 }
    }
}

impl PixelSettings {
    /// Reads `settings.pixel`.
    ///
    /// # Errors
    /// Each error with the field that it is about, `pixel.…`.
    pub fn read(value: &Value) -> Result<Self, Vec<(String, String)>> {
        let Value::Object(members) = value else {
            return Err(vec![("pixel".into(), "The settings.pixel must be an object.".into())]);
        };
        let (mut settings, mut errors) = (Self::default(), Vec::new());
        known(members, "pixel", &["enabled", "domains", "features", "sample_rate"], &mut errors);
        switch(members, "pixel", "enabled", &mut settings.enabled, &mut errors);
        match members.get("features") {
            None | Some(Value::Null) => {}
            Some(Value::Object(features)) => {
                let place = "pixel.features";
                known(features, place, &["pageviews", "events", "sessions"], &mut errors);
                let Features { pageviews, events, sessions } = &mut settings.features;
                for (name, on) in [("pageviews", pageviews), ("events", events), ("sessions", sessions)] {
                    switch(features, place, name, on, &mut errors);
                }
            }
            Some(_) => error(&mut errors, "pixel.features", "must be an object."),
        }
        match members.get("sample_rate") {
            None | Some(Value::Null) => {}
            Some(rate) => match rate.as_f64().filter(|rate| (0.0..=1.0).contains(rate)) {
                Some(rate) => settings.sample_rate = rate,
                None => error(&mut errors, "pixel.sample_rate", "must be a number from 0 to 1."),
            },
        }
        match members.get("domains") {
            None | Some(Value::Null) => {}
            Some(Value::Array(domains)) if domains.len() > MAX_DOMAINS => {
                error(&mut errors, "pixel.domains", &format!("may not have more than {MAX_DOMAINS} items."));
            }
            Some(Value::Array(domains)) => {
                for (place, text) in domains.iter().enumerate() {
                    let name = format!("pixel.domains.{place}");
                    match domain(&format!("settings.{name}"), text.as_str().unwrap_or_default()) {
                        Ok(domain) if settings.domains.contains(&domain) => {}
                        Ok(domain) => settings.domains.push(domain),
                        Err(error) => errors.push((name, error)),
                    }
                }
            }
            Some(_) => error(&mut errors, "pixel.domains", "must be an array."),
        }
        if errors.is_empty() { Ok(settings) } else { Err(errors) }
    }

    /// Whether an event of this name is tracked.
    pub fn takes(&self, event: &str) -> bool {
        let wanted = if event == PAGEVIEW { self.features.pageviews } else { self.features.events };
        self.enabled && wanted
    }

    /// Whether an event is one of those that are kept; `draw` is a random number from 0 to 1, without 1.
    pub fn samples(&self, draw: f64) -> bool {
        draw < self.sample_rate
    }
}

fn known(members: &Map<String, Value>, place: &str, names: &[&str], errors: &mut Vec<(String, String)>) {
    for name in members.keys().filter(|name| !names.contains(&name.as_str())) {
        let (shown, names) = (brief(name), names.join(", "));
        let text = format!("The settings.{place}.{shown} field is not known. Known fields: {names}.");
        errors.push((format!("{place}.{name}"), text));
    }
}

fn switch(
    members: &Map<String, Value>,
    place: &str,
    name: &str,
    on: &mut bool,
    errors: &mut Vec<(String, String)>,
) {
    match members.get(name) {
        None | Some(Value::Null) => {}
        Some(Value::Bool(value)) => *on = *value,
        Some(_) => error(errors, &format!("{place}.{name}"), "must be true or false."),
    }
}

fn error(errors: &mut Vec<(String, String)>, field: &str, rest: &str) {
    errors.push((field.to_owned(), format!("The settings.{field} {rest}")));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_out_is_on() {
        let settings =
            PixelSettings::read(&json!({ "domains": ["Example.com", "example.com"] })).expect("settings");
        assert_eq!(
            settings,
            PixelSettings { domains: vec!["example.com".into()], ..PixelSettings::default() }
        );
        assert!(settings.takes("pageview") && settings.takes("signup") && settings.samples(0.999_999));
    }

    #[test]
    fn switches_and_rates() {
        let value = json!({ "sample_rate": 0.25, "features": { "pageviews": false, "sessions": null } });
        let settings = PixelSettings::read(&value).expect("settings");
        assert!(!settings.takes("pageview") && settings.takes("signup") && settings.features.sessions);
        assert!(settings.samples(0.249) && !settings.samples(0.25));
        let off = PixelSettings::read(&json!({ "enabled": false, "sample_rate": 0 })).expect("settings");
        assert!(!off.takes("signup") && !off.samples(0.0));
    }

    #[test]
    fn every_error_is_named() {
        let value = json!({
            "enabled": 1, "domains": ["example.com", "https://x.test", 3], "sample_rate": 1.5, "color": "red",
            "features": { "pageviews": "yes", "clicks": true },
        });
        let mut fields: Vec<String> =
            PixelSettings::read(&value).expect_err("errors").into_iter().map(|(field, _)| field).collect();
        fields.sort();
        let expected = [
            "pixel.color",
            "pixel.domains.1",
            "pixel.domains.2",
            "pixel.enabled",
            "pixel.features.clicks",
            "pixel.features.pageviews",
            "pixel.sample_rate",
        ];
        assert_eq!(fields, expected);
        assert!(PixelSettings::read(&json!("on")).is_err());
        assert!(PixelSettings::read(&json!({ "domains": vec!["a.test"; 101] })).is_err());
    }
}
