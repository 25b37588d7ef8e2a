//! Values of the configuration file that have a range: each refuses what is outside of it and says what is inside,
//! so that toml can point at the line.

use std::time::Duration;

use gatepost_api::PlainHttp;
use gatepost_entitlements::{Access, FeatureValue, Reset};
use gatepost_kernel::{Environment, Secret};
use serde::{Deserialize, Deserializer, de::Error};

/// 2^53 − 1, the largest whole number that every JSON reader keeps.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// A whole number from 1.
#[derive(Debug, Clone, Copy)]
pub struct AtLeastOne(pub u64);

impl<'de> Deserialize<'de> for AtLeastOne {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        let number = u64::try_from(number).ok().filter(|n| (1..=MAX_INTEGER).contains(n));
        number.map(Self).ok_or_else(|| D::Error::custom("expected a whole number of 1 or more"))
    }
}

/// 0 to 1000 percent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Percent(pub u32);

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        let number = u32::try_from(number).ok().filter(|n| *n <= 1_000);
        number.map(Self).ok_or_else(|| D::Error::custom("expected a whole number from 0 to 1000"))
    }
}

/// 1 to 1000 percent.
#[derive(Debug, Clone, Copy)]
pub struct ThresholdSetting(pub u32);

impl<'de> Deserialize<'de> for ThresholdSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        let number = u32::try_from(number).ok().filter(|n| (1..=1_000).contains(n));
        number.map(Self).ok_or_else(|| D::Error::custom("expected a whole number from 1 to 1000"))
    }
}

/// `"5s"`, `"30m"`, `"90d"`.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime(pub Duration);

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let duration = humantime::parse_duration(&text).ok().filter(|d| !d.is_zero());
        duration
            .map(Self)
            .ok_or_else(|| D::Error::custom("expected a duration such as \"5s\", \"30m\", \"2h\" or \"30d\""))
    }
}

/// `"1s"` to `"10m"`.
#[derive(Debug, Clone, Copy)]
pub struct CallTimeout(pub Duration);

impl<'de> Deserialize<'de> for CallTimeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let duration = humantime::parse_duration(&text).ok();
        let duration = duration.filter(|d| (Duration::from_secs(1)..=Duration::from_secs(600)).contains(d));
        duration.map(Self).ok_or_else(|| D::Error::custom("expected a duration from \"1s\" to \"10m\""))
    }
}

/// A text that is not for showing.
#[derive(Debug, Clone)]
pub struct SecretText(pub Secret);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret::new).map(Self)
    }
}

/// `"1s"` to `"30s"`.
#[derive(Debug, Clone, Copy)]
pub struct AttemptTimeout(pub Duration);

impl<'de> Deserialize<'de> for AttemptTimeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let duration = humantime::parse_duration(&text).ok();
        let duration = duration.filter(|d| (Duration::from_secs(1)..=Duration::from_secs(30)).contains(d));
        duration.map(Self).ok_or_else(|| D::Error::custom("expected a duration from \"1s\" to \"30s\""))
    }
}

/// `http://…` or `https://…`
#[derive(Debug, Clone)]
pub struct PublicUrl(pub String);

impl<'de> Deserialize<'de> for PublicUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let sound = rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()));
        if sound {
            Ok(Self(text))
        } else {
            Err(D::Error::custom("expected a URL that begins with https:// or http://"))
        }
    }
}

/// `scheme://host`, perhaps with a port, as browsers write an origin; or `*`.
#[derive(Debug)]
pub struct CorsOrigin(pub String);

impl<'de> Deserialize<'de> for CorsOrigin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "*" {
            return Ok(Self(text));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let in_host = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b);
        if !matches!(scheme, "http" | "https") || rest.is_empty() || !rest.bytes().all(in_host) {
            return Err(D::Error::custom("expected an origin such as https://app.example.com, or *"));
        }
        // Colons in brackets are part of an address.
        if let Some((host, port)) = rest.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            let default = if scheme == "https" { "443" } else { "80" };
            if port == default {
                let fault = format!(
                    "browsers leave out the default port, so this would match nothing; write {scheme}://{host}"
                );
                return Err(D::Error::custom(fault));
            }
            if port.starts_with('0') || port.parse::<u16>().is_err() {
                return Err(D::Error::custom("expected a port of 1 to 65535, as browsers write it"));
            }
        }
        Ok(Self(text))
    }
}

/// What happens to requests without TLS.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlainHttpSetting {
    #[default]
    Allow,
    Reject,
    Redirect,
}

impl From<PlainHttpSetting> for PlainHttp {
    fn from(setting: PlainHttpSetting) -> Self {
        match setting {
            PlainHttpSetting::Allow => Self::Allow,
            PlainHttpSetting::Reject => Self::Reject,
            PlainHttpSetting::Redirect => Self::Redirect,
        }
    }
}

/// A URL that may hold a password, of a service with these schemes.
fn service_url<'de, D: Deserializer<'de>>(deserializer: D, schemes: &[&str]) -> Result<Secret, D::Error> {
    let url = Secret::new(String::deserialize(deserializer)?);
    if schemes.iter().any(|scheme| url.expose().starts_with(scheme)) {
        return Ok(url);
    }
    // The value itself is not repeated.
    Err(D::Error::custom(format!("expected a URL that begins with {}", schemes.join(" or "))))
}

/// `sqlite://…` or `postgres://…`
#[derive(Debug, Clone)]
pub struct DatabaseUrlSetting(pub Secret);

impl<'de> Deserialize<'de> for DatabaseUrlSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        service_url(deserializer, &["sqlite://", "postgres://", "postgresql://"]).map(Self)
    }
}

/// `redis://…` or `rediss://…`
#[derive(Debug, Clone, Copy)]
pub struct RedisUrlSetting;

impl<'de> Deserialize<'de> for RedisUrlSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        service_url(deserializer, &["redis://", "rediss://"])?;
        Err(D::Error::custom("a Redis has no effect, since this version uses none; leave it out"))
    }
}

/// Where limits are counted: in each process, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitMode;

impl<'de> Deserialize<'de> for LimitMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "local" => Ok(Self),
            mode @ ("exact" | "leased") => Err(D::Error::custom(format!(
                "{mode:?} has no effect, since this version counts limits in each process; expected \"local\""
            ))),
            _ => Err(D::Error::custom("expected \"local\"")),
        }
    }
}

/// An environment of keys.
#[derive(Debug, Clone, Copy)]
pub struct EnvironmentSetting(pub Environment);

impl<'de> Deserialize<'de> for EnvironmentSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| D::Error::custom("expected \"live\" or \"test\""))
    }
}

/// The widest access of a plan's keys.
#[derive(Debug, Clone, Copy)]
pub struct AccessSetting(pub Access);

impl Default for AccessSetting {
    fn default() -> Self {
        Self(Access::Write)
    }
}

impl<'de> Deserialize<'de> for AccessSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "read" => Ok(Self(Access::Read)),
            "write" => Ok(Self(Access::Write)),
            "admin" => Ok(Self(Access::Admin)),
            other => Err(D::Error::unknown_variant(other, &Access::NAMES)),
        }
    }
}

/// When a count starts again.
#[derive(Debug, Clone, Copy)]
pub struct ResetSetting(pub Reset);

impl Default for ResetSetting {
    fn default() -> Self {
        Self(Reset::Never)
    }
}

impl<'de> Deserialize<'de> for ResetSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// What a plan says of a feature.
#[derive(Debug, Clone, Copy)]
pub struct FeatureSetting(pub FeatureValue);

impl<'de> Deserialize<'de> for FeatureSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = match toml::Value::deserialize(deserializer)? {
            toml::Value::Boolean(enabled) => Some(FeatureValue::Enabled(enabled)),
            toml::Value::Integer(limit) => {
                u64::try_from(limit).ok().filter(|n| *n <= MAX_INTEGER).map(FeatureValue::Limit)
            }
            toml::Value::String(text) if text == "unlimited" => Some(FeatureValue::Unlimited),
            _ => None,
        };
        value.map(Self).ok_or_else(|| {
            D::Error::custom("expected true, false, a whole number of 0 or more, or \"unlimited\"")
        })
    }
}
