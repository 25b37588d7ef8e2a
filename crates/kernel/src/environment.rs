//! The two environments of a workspace. A key belongs to one of them, and every row of a tenant carries it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// `live` or `test`; on the wire and in the database the lower-case word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// The real thing.
    Live,
    /// The sandbox: separate keys, separate rows.
    Test,
}

crate::described_words!(
    Environment,
    "EnvironmentWord",
    "Environment something belongs to.",
    Environment::NAMES
);

impl Environment {
    /// The accepted words, in the order in which messages name them.
    pub const NAMES: [&str; 2] = ["live", "test"];

    /// What a word means.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "live" => Some(Self::Live),
            "test" => Some(Self::Test),
            _ => None,
        }
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// Whether a key of this environment may see and change keys of `other`. A live key manages both.
    pub fn manages(self, other: Self) -> bool {
        self == Self::Live || self == other
    }
}

/// Keys of which environments may pass a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnvironmentFilter {
    /// Those of one.
    Only(Environment),
    /// Those of both.
    Any,
}

crate::described_words!(
    EnvironmentFilter,
    "EnvironmentChoice",
    "Environment an API key must be of.",
    EnvironmentFilter::NAMES
);

impl EnvironmentFilter {
    /// The accepted words, in the order in which messages name them.
    pub const NAMES: [&str; 3] = ["live", "test", "any"];

    /// What a word means.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "any" => Some(Self::Any),
            word => Environment::parse(word).map(Self::Only),
        }
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Only(environment) => environment.as_str(),
            Self::Any => "any",
        }
    }

    /// Whether keys of `environment` may pass.
    pub fn admits(self, environment: Environment) -> bool {
        self == Self::Any || self == Self::Only(environment)
    }
}

/// A gate that says nothing else lets live keys pass: what is tried out must not reach the real thing by an
/// oversight.
impl Default for EnvironmentFilter {
    fn default() -> Self {
        Self::Only(Environment::Live)
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Environment {
    type Err = String;

    /// # Errors
    /// A sentence naming the accepted words.
    fn from_str(s: &str) -> Result<Self, String> {
        Self::parse(s).ok_or_else(|| "The environment must be live or test.".to_owned())
    }
}
