//! What fields can hold, and the rules for it.

use std::str::FromStr;

use email_address::EmailAddress;
use gatepost_kernel::{CalendarTime, Json, Timestamp, text};
use rand::CryptoRng;

use crate::Column;

/// The alphabet of ids, and how many characters of it stand behind the prefix.
const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const ID_CHARS: usize = 16;

gatepost_kernel::words! {
    /// What becomes of a record when the one that it refers to is deleted.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum OnDelete {
        /// It refers to nothing.
        Unset = "unset",
        /// It is deleted too.
        Cascade = "cascade",
        /// The other cannot be deleted.
        Restrict = "restrict",
    }
}

/// What a field can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text {
        /// The most characters.
        max: usize,
    },
    /// An address of email.
    Email,
    /// The address of a page of the web.
    Url,
    /// One of some words.
    Enum {
        /// The words.
        values: Vec<&'static str>,
    },
    /// A whole number.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// Yes or no.
    Boolean,
    /// An instant.
    Time,
    /// Another record.
    Ref {
        /// Name of its type.
        to: &'static str,
        /// What its ids begin with.
        id_prefix: &'static str,
        /// What becomes of this record when that one is deleted.
        on_delete: OnDelete,
    },
    /// Several texts.
    Texts {
        /// The most characters of one.
        max: usize,
        /// The most texts.
        max_items: usize,
    },
    /// Whatever JSON.
    Json {
        /// The most bytes.
        max_bytes: usize,
    },
}

impl Kind {
    /// The longest text that can be found or sorted by: PostgreSQL's indexes hold no more than 2,704 bytes.
    pub const MAX_INDEXED: usize = 500;
    /// The most characters of any text.
    pub const MAX_TEXT: usize = 100_000;
    /// The most characters of an address of email (RFC 5321).
    pub const MAX_EMAIL: usize = 254;
    /// The words of the configuration.
    pub const NAMES: [&str; 10] =
        ["text", "email", "url", "enum", "integer", "boolean", "time", "ref", "text[]", "json"];

    /// The most bytes that a value has as JSON, where it has no fixed size; 0 where it has.
    pub fn most_bytes(&self) -> u64 {
        // `\u0001` is one character.
        const OF_A_CHARACTER: usize = 6;
        let bytes = match *self {
            Self::Text { max } => max * OF_A_CHARACTER,
            Self::Texts { max, max_items } => max_items * max * OF_A_CHARACTER,
            Self::Json { max_bytes } => max_bytes,
            Self::Email => Self::MAX_EMAIL,
            Self::Url => text::MAX_URL_BYTES,
            Self::Enum { .. } | Self::Integer { .. } | Self::Boolean | Self::Time | Self::Ref { .. } => 0,
        };
        bytes as u64
    }

    /// The word that the configuration has for it.
    pub fn name(&self) -> &'static str {
        let place = match self {
            Self::Text { .. } => 0,
            Self::Email => 1,
            Self::Url => 2,
            Self::Enum { .. } => 3,
            Self::Integer { .. } => 4,
            Self::Boolean => 5,
            Self::Time => 6,
            Self::Ref { .. } => 7,
            Self::Texts { .. } => 8,
            Self::Json { .. } => 9,
        };
        Self::NAMES[place]
    }

    /// The columns that its values can be found by; none where they cannot.
    pub(crate) fn column(&self) -> Option<Column> {
        match self {
            Self::Text { .. } | Self::Email | Self::Enum { .. } | Self::Ref { .. } => Some(Column::Text),
            Self::Integer { .. } | Self::Boolean | Self::Time => Some(Column::Number),
            Self::Url | Self::Texts { .. } | Self::Json { .. } => None,
        }
    }

    /// A text as it is stored; `name` is that of the field.
    ///
    /// # Errors
    /// The error as a sentence.
    pub fn text(&self, name: &str, text: &str) -> Result<String, String> {
        let label = name.replace('_', " ");
        match self {
            Self::Text { max } | Self::Texts { max, .. } => plain(&label, text, *max),
            Self::Email => {
                let sound = text.chars().count() <= Self::MAX_EMAIL && EmailAddress::is_valid(text);
                let form = || format!("The {label} must be a valid email address.");
                sound.then(|| text::composed(text)).ok_or_else(form)
            }
            Self::Url => text::web_url(&label, text).map(String::from),
            Self::Enum { values } => match values.contains(&text) {
                true => Ok(text.to_owned()),
                false => {
                    Err(format!("The selected {name} is invalid. It must be one of: {}.", values.join(", ")))
                }
            },
            Self::Time => {
                let at = Timestamp::parse(text).map(|at| CalendarTime(at).to_string());
                at.ok_or_else(|| format!("The {label} must be an ISO 8601 date."))
            }
            Self::Ref { to, id_prefix, .. } => match is_id(id_prefix, text) {
                true => Ok(text.to_owned()),
                false => Err(format!("The {label} must be the id of a {}.", to.replace('_', " "))),
            },
            Self::Integer { .. } | Self::Boolean | Self::Json { .. } => {
                Err(format!("The {label} must not be a string."))
            }
        }
    }

    /// The error of a value that was stored, by the rules of now; none if there is none.
    pub fn error(&self, name: &str, value: &Json) -> Option<String> {
        let label = name.replace('_', " ");
        match self {
            Self::Integer { min, max } => match value.as_str().parse::<i64>() {
                Ok(number) if (min..=max).contains(&&number) => None,
                _ => Some(format!("The {label} must be between {min} and {max}.")),
            },
            Self::Boolean => (!matches!(value.as_str(), "true" | "false"))
                .then(|| format!("The {label} must be true or false.")),
            Self::Json { max_bytes } => (value.as_str().len() > *max_bytes)
                .then(|| format!("The {label} may not be larger than {max_bytes} bytes.")),
            Self::Texts { max_items, .. } => match serde_json::from_str::<Vec<String>>(value.as_str()) {
                Ok(items) if items.len() <= *max_items => {
                    items.iter().find_map(|item| self.text(name, item).err())
                }
                Ok(_) => Some(format!("The {label} may not have more than {max_items} items.")),
                Err(_) => Some(format!("The {label} must be an array.")),
            },
            _ => match value.text() {
                Some(text) => self.text(name, &text).err(),
                None => Some(format!("The {label} must be a string.")),
            },
        }
    }
}

/// A text of the caller's, in its one spelling.
fn plain(label: &str, text: &str, max: usize) -> Result<String, String> {
    // SQL's texts on PostgreSQL cannot hold it, and no other reader likes it.
    if text.contains('\0') {
        return Err(format!("The {label} may not contain the character NUL."));
    }
    let text = text::composed(text);
    match text.chars().count() > max {
        true => Err(format!("The {label} may not be greater than {max} characters.")),
        false => Ok(text),
    }
}

/// A fresh id: the prefix and 16 characters of `0-9a-z` (83 bits).
pub fn new_id(rng: &mut impl CryptoRng, prefix: &str) -> String {
    let mut id = String::with_capacity(prefix.len() + ID_CHARS);
    id.push_str(prefix);
    while id.len() < prefix.len() + ID_CHARS {
        // 252 is the last multiple of 36: what is above would favour the first characters.
        let byte = (rng.next_u32() & 0xff) as u8;
        if byte < 252 {
            id.push(char::from(BASE36[usize::from(byte % 36)]));
        }
    }
    id
}

/// Whether a text has the form of an id with this prefix.
pub fn is_id(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == ID_CHARS && rest.bytes().all(|byte| BASE36.contains(&byte)))
}

impl FromStr for OnDelete {
    type Err = String;

    /// # Errors
    /// The accepted words.
    fn from_str(word: &str) -> Result<Self, String> {
        Self::parse(word).ok_or_else(|| format!("expected one of: {}", Self::NAMES.join(", ")))
    }
}
