//! What a proxy asks forward auth for, in the query: read once in full, and once where it stands, for the
//! short way.
//!
//! The query is the operator's, so what is not known in it is a slip of the pen that would open a route, and
//! is refused.

use gatepost_kernel::{EnvironmentFilter, Error, Result};
use gatepost_keys::{SCOPE_PATTERN as SCOPE, Scope, ScopeOrder, ScopeRef};

use serde_json::json;

use crate::query::{Param, Parameter, Parameters, parameter};

/// What a route needs, and how a refusal is told.
#[derive(Debug, PartialEq, Eq)]
pub struct AuthQuery {
    /// The scopes, all of them.
    pub scopes: Vec<Scope>,
    /// Keys of which environments may pass.
    pub environment: EnvironmentFilter,
    /// Whether a reached limit is told by 403.
    pub deny_by_403: bool,
    /// Whether preflights of browsers, which never carry a key, may pass.
    pub lets_preflights_pass: bool,
}

impl AuthQuery {
    /// How the document describes the parameters.
    pub fn parameters() -> Vec<Parameter> {
        let scopes = json!({ "type": "string", "pattern": format!("^{SCOPE}(,{SCOPE})*$") });
        let only = |word: &str| json!({ "type": "string", "enum": [word] });
        let about_scopes =
            "Scopes the route requires, all of them: separated by commas, or given several times";
        let about_preflights = "`allow` lets CORS preflights pass, which never carry a key: by the request's method, or by \
                                `X-Forwarded-Method`";
        vec![
            parameter("scope", about_scopes, scopes, false),
            parameter(
                "environment",
                "Environment the key must be of; `live` if not given",
                EnvironmentFilter::schema(),
                false,
            ),
            parameter(
                "deny",
                "`403` answers 403 instead of 429, which nginx does not know",
                only("403"),
                false,
            ),
            parameter("preflight", about_preflights, only("allow"), false),
        ]
    }

    /// Reads a query, in which scopes are written in this order.
    ///
    /// # Errors
    /// [`Error::Validation`] naming each parameter that is not known, or not as it should be.
    pub fn read(query: &str, order: ScopeOrder) -> Result<Self> {
        let mut parameters = Parameters::new(query);
        let mut scopes = Vec::new();
        for text in parameters.all("scope") {
            for scope in text.split(',').map(str::trim) {
                match ScopeRef::parse_in(order, scope) {
                    Ok(scope) => scopes.push(scope.into()),
                    Err(error) => parameters.error("scope", error),
                }
            }
        }
        let environment =
            parameters.choice("environment", &EnvironmentFilter::NAMES, EnvironmentFilter::parse);
        let only = |word: &'static str| move |text: &str| (text == word).then_some(());
        let deny = parameters.choice("deny", &["403"], only("403"));
        let preflight = parameters.choice("preflight", &["allow"], only("allow"));
        let errors = parameters.into_errors();
        if !errors.is_empty() {
            return Err(Error::Validation(errors));
        }
        Ok(Self {
            scopes,
            environment: environment.unwrap_or_default(),
            deny_by_403: deny.is_some(),
            lets_preflights_pass: preflight.is_some(),
        })
    }
}

/// The environment and the scopes of a query in which nothing has to be decoded, where they stand; none for
/// each scope that is not one. Nothing at all where [`AuthQuery::read`] has to look, to read it or to refuse
/// it.
pub fn plain(
    query: &str,
    order: ScopeOrder,
) -> Option<(EnvironmentFilter, impl Iterator<Item = Option<ScopeRef<'_>>>)> {
    let (mut environment, mut deny, mut preflight) = (None, false, false);
    for pair in pairs(query) {
        match pair.split_once('=')? {
            ("scope", scopes) if !scopes.bytes().any(|b| matches!(b, b'%' | b'+')) => {}
            ("deny", "403") if !deny => deny = true,
            ("preflight", "allow") if !preflight => preflight = true,
            ("environment", word) if environment.is_none() => {
                environment = Some(EnvironmentFilter::parse(word)?);
            }
            _ => return None,
        }
    }
    let scopes = pairs(query).filter_map(|pair| pair.strip_prefix("scope="));
    let scopes =
        scopes.flat_map(|scopes| scopes.split(',')).map(move |scope| ScopeRef::parse_in(order, scope).ok());
    Some((environment.unwrap_or_default(), scopes))
}

fn pairs(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter(|pair| !pair.is_empty())
}

#[cfg(test)]
mod tests {
    use gatepost_kernel::Environment;

    use super::*;

    /// What the short way makes of a query; nothing if it leaves it to the other.
    fn short(query: &str) -> Option<(EnvironmentFilter, Vec<String>)> {
        let (environment, scopes) = plain(query, ScopeOrder::ResourceFirst)?;
        let scopes: Option<Vec<String>> = scopes.map(|scope| Some(scope?.as_str().to_owned())).collect();
        Some((environment, scopes?))
    }

    #[test]
    fn both_ways_read_the_same() {
        let live = EnvironmentFilter::Only(Environment::Live);
        let test = EnvironmentFilter::Only(Environment::Test);
        for (query, environment, scopes) in [
            ("", live, &[][..]),
            ("deny=403", live, &[]),
            ("scope=posts:read", live, &["posts:read"]),
            ("deny=403&scope=posts:read,users:*", live, &["posts:read", "users:*"]),
            ("scope=posts:read&scope=posts:write", live, &["posts:read", "posts:write"]),
            ("environment=any&scope=a:b", EnvironmentFilter::Any, &["a:b"]),
            ("scope=a:b&environment=test&preflight=allow&", test, &["a:b"]),
            ("environment=live", live, &[]),
        ] {
            let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            assert_eq!(short(query), Some((environment, scopes.clone())), "{query}");
            let read = AuthQuery::read(query, ScopeOrder::ResourceFirst).expect(query);
            assert_eq!(
                (read.environment, read.scopes.iter().map(Scope::to_string).collect()),
                (environment, scopes)
            );
        }
    }

    #[test]
    fn what_has_to_be_decoded_goes_the_long_way() {
        for query in ["scope=posts%3Aread", "scope=posts:read,+users:read", "sc%6Fpe=posts:read"] {
            assert_eq!(short(query), None, "{query}");
            assert!(AuthQuery::read(query, ScopeOrder::ResourceFirst).is_ok(), "{query}");
        }
    }

    #[test]
    fn slips_of_the_pen_are_refused() {
        for (query, field) in [
            ("scopes=posts:write", "scopes"),
            ("Scope=posts:write", "Scope"),
            ("scope=nonsense", "scope"),
            ("scope=", "scope"),
            ("scope", "scope"),
            ("scope=posts:read,", "scope"),
            ("scope=posts: read", "scope"),
            ("deny=401", "deny"),
            ("deny=403&deny=403", "deny"),
            ("environment=prod", "environment"),
            ("environment=live&environment=test", "environment"),
            ("preflight", "preflight"),
            ("x=y", "x"),
        ] {
            assert_eq!(short(query), None, "{query}");
            let Err(Error::Validation(errors)) = AuthQuery::read(query, ScopeOrder::ResourceFirst) else {
                panic!("{query}")
            };
            assert!(errors.iter().any(|(name, _)| name == field), "{query}: {errors:?}");
        }
    }
}
