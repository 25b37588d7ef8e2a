//! How everything looks on the wire: envelopes, errors, the names of headers.
//!
//! A handler hands over a typed value ([`Message`], [`Deleted`], an item, a page, an [`ApiError`]); the
//! [`Contract`] turns it into bytes, and into schemas for the document. All that tells one face of the
//! platform from another is data in it. The API and the gate before other services both answer by it, so
//! their refusals are the same.

pub mod accept;
pub mod document;
mod error;
mod error_answers;
mod headers;
mod limit_headers;
mod pages;
mod settings;

use std::{borrow::Cow, collections::BTreeMap};

use actix_web::http::StatusCode;
use gatepost_kernel::{Error, PageRequest, Result, WireAnswer, words};
use gatepost_keys::{ScopeOrder, TokenFormat};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use error::ApiError;
pub use error_answers::ErrorFormat;
pub use headers::{Header, Headers, REQUEST_ID};
pub use limit_headers::{PlanHeaders, number};
pub use pages::{PageUrl, Paging};
pub use settings::{BrandSettings, ContractSettings, SettingError};

const JSON: &str = "application/json";

/// A face of the platform.
#[derive(Debug, Clone)]
pub struct Contract {
    /// Where the operations live, such as `/api/v1`.
    pub base_path: Cow<'static, str>,
    /// The headers whose names differ.
    pub headers: Headers,
    /// In what answers are wrapped.
    pub envelope: EnvelopeStyle,
    /// How the codes of errors are written.
    pub error_codes: LetterCase,
    /// Codes of errors that have another name, by that of the core contract.
    pub error_names: BTreeMap<&'static str, Cow<'static, str>>,
    /// What errors say, by the code of the core contract, where it is something else. `{seconds}` is how long
    /// to wait.
    pub messages: BTreeMap<&'static str, Cow<'static, str>>,
    /// What is said of a field that is missing, where it is something else. `{field}` is what it is called,
    /// `{Field}` with a capital.
    pub missing_field: Option<Cow<'static, str>>,
    /// Whether an error about input says of the first field what is wrong, and names it in `details.field`,
    /// beside all errors.
    pub names_first_field: bool,
    /// Which statuses there are.
    pub statuses: Statuses,
    /// How lists are cut into pages.
    pub paging: Paging,
    /// How many items a page has if nothing is asked.
    pub default_per_page: u32,
    /// How the tokens of API keys begin.
    pub tokens: TokenFormat,
    /// How scopes are written.
    pub scope_order: ScopeOrder,
    /// Whose platform it is.
    pub brand: Brand,
}

words! {
    /// In what answers are wrapped.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum EnvelopeStyle {
        /// `{"data":…}`, `{"message":…,"data":…}`, and `{"error":"code","message":…}`; some operations answer
        /// without it.
        Data = "data",
        /// `{"success":true,"data":…}` around everything, and
        /// `{"success":false,"error":{"code":…,"message":…,"details":{…}}}`.
        Success = "success",
    }
}
gatepost_kernel::read_as_word!(EnvelopeStyle);

words! {
    /// How a word is written.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum LetterCase {
        /// `not_found`
        Lower = "lower",
        /// `NOT_FOUND`
        Upper = "upper",
    }
}
gatepost_kernel::read_as_word!(LetterCase);

words! {
    /// Which statuses there are.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Statuses {
        /// All of HTTP's.
        Full = "full",
        /// Neither 202, 204 and 207, which are 200, nor 409, 412, 422 and 428, which are 400.
        Plain = "plain",
    }
}
gatepost_kernel::read_as_word!(Statuses);

/// Whose platform it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    /// Name of the platform, such as `Anvil`.
    pub name: String,
    /// URL of the logo.
    pub logo: Option<String>,
    /// Where people get help: a URL, or an address of email.
    pub support: Option<String>,
    /// URL of the documentation for people.
    pub docs_url: Option<String>,
}

impl Brand {
    /// Gatepost itself.
    pub fn gatepost() -> Self {
        Self { name: "Gatepost".to_owned(), logo: None, support: None, docs_url: None }
    }

    /// The name as part of a header: letters and digits of ASCII, `-`, `.` and `_`.
    pub fn token(&self) -> String {
        let token: String =
            self.name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')).collect();
        if token.is_empty() { Self::gatepost().name } else { token }
    }
}

impl Statuses {
    /// What a status is among those that there are.
    pub fn of(self, status: u16) -> u16 {
        match (self, status) {
            (Self::Plain, 202 | 204 | 207) => 200,
            (Self::Plain, 409 | 412 | 422 | 428) => 400,
            _ => status,
        }
    }
}

impl Contract {
    /// The core contract.
    pub fn core() -> Self {
        Self {
            base_path: Cow::Borrowed("/api/v1"),
            headers: Headers::core(),
            envelope: EnvelopeStyle::Data,
            error_codes: LetterCase::Lower,
            error_names: BTreeMap::new(),
            messages: BTreeMap::new(),
            statuses: Statuses::Full,
            paging: Paging::Pages,
            default_per_page: PageRequest::DEFAULT_PER_PAGE,
            tokens: TokenFormat::default(),
            scope_order: ScopeOrder::ResourceFirst,
            missing_field: None,
            names_first_field: false,
            brand: Brand::gatepost(),
        }
    }

    /// The body of an answer that shows one thing.
    pub fn item<T: Serialize>(&self, data: &T) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Item<'a, T> {
            data: &'a T,
        }
        match self.envelope {
            EnvelopeStyle::Data => to_json(&Item { data }),
            EnvelopeStyle::Success => self.success(data),
        }
    }

    /// The body of an answer that has no envelope where not everything has one.
    pub fn plain<T: Serialize>(&self, data: &T) -> Result<Vec<u8>> {
        match self.envelope {
            EnvelopeStyle::Data => to_json(data),
            EnvelopeStyle::Success => self.success(data),
        }
    }

    /// Reads such a body, for who has asked.
    ///
    /// # Errors
    /// If it is something else.
    pub fn read_plain<T: DeserializeOwned>(&self, body: &[u8]) -> serde_json::Result<T> {
        #[derive(Deserialize)]
        struct Wrapped<T> {
            data: T,
        }
        match self.envelope {
            EnvelopeStyle::Data => serde_json::from_slice(body),
            EnvelopeStyle::Success => serde_json::from_slice(body).map(|Wrapped { data }| data),
        }
    }

    fn success<T: Serialize>(&self, data: &T) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Success<'a, T> {
            success: bool,
            data: &'a T,
        }
        to_json(&Success { success: true, data })
    }

    /// The status of an error.
    pub fn status(&self, error: &ApiError) -> StatusCode {
        let status = actix_web::ResponseError::status_code(error);
        StatusCode::from_u16(self.statuses.of(status.as_u16())).unwrap_or(status)
    }

    fn answer(&self, status: u16, body: Vec<u8>, holds_secret: bool) -> WireAnswer {
        let status = self.statuses.of(status);
        let content_type = if body.is_empty() { String::new() } else { JSON.to_owned() };
        WireAnswer { status, content_type, body, holds_secret, replayed: false }
    }
}

/// What a mutating operation can end in.
pub trait IntoAnswer {
    /// The bytes of it.
    fn into_answer(self, contract: &Contract) -> Result<WireAnswer>;
}

/// A sentence for people, and the thing that was made or changed.
pub struct Message<T> {
    status: u16,
    text: Cow<'static, str>,
    data: T,
    holds_secret: bool,
}

impl<T> Message<T> {
    /// Something was made: 201.
    pub fn created(text: impl Into<Cow<'static, str>>, data: T) -> Self {
        Self { status: 201, text: text.into(), data, holds_secret: false }
    }

    /// Something was done: 200.
    pub fn done(text: impl Into<Cow<'static, str>>, data: T) -> Self {
        Self { status: 200, text: text.into(), data, holds_secret: false }
    }

    /// The data shows a secret: if the answer is kept, then encrypted.
    pub fn with_secret(self) -> Self {
        Self { holds_secret: true, ..self }
    }
}

impl<T: Serialize> IntoAnswer for Message<T> {
    fn into_answer(self, contract: &Contract) -> Result<WireAnswer> {
        #[derive(Serialize)]
        struct Body<'a, T> {
            message: &'a str,
            data: &'a T,
        }
        let body = match contract.envelope {
            EnvelopeStyle::Data => to_json(&Body { message: &self.text, data: &self.data })?,
            EnvelopeStyle::Success => contract.success(&self.data)?,
        };
        Ok(contract.answer(self.status, body, self.holds_secret))
    }
}

/// Something was stored and will be done: 202, with what it is known by.
pub struct Accepted<T>(pub T);

impl<T: Serialize> IntoAnswer for Accepted<T> {
    fn into_answer(self, contract: &Contract) -> Result<WireAnswer> {
        Ok(contract.answer(202, contract.item(&self.0)?, false))
    }
}

/// A thing that has no envelope where not everything has one: 200.
pub struct Plain<T>(pub T);

impl<T: Serialize> IntoAnswer for Plain<T> {
    fn into_answer(self, contract: &Contract) -> Result<WireAnswer> {
        Ok(contract.answer(200, contract.plain(&self.0)?, false))
    }
}

/// The thing with this id is gone: 204, or what says so where there is no such status.
pub struct Deleted<I>(pub I);

impl<I: Serialize> IntoAnswer for Deleted<I> {
    fn into_answer(self, contract: &Contract) -> Result<WireAnswer> {
        #[derive(Serialize)]
        struct Gone<I> {
            id: I,
            deleted: bool,
        }
        let body = match contract.statuses {
            Statuses::Full => Vec::new(),
            Statuses::Plain => contract.item(&Gone { id: self.0, deleted: true })?,
        };
        Ok(contract.answer(204, body, false))
    }
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(Error::failed("rendering an answer"))
}
