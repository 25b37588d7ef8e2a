//! Reading query strings: what is not declared is refused, naming what is.

use actix_web::web;
use gatepost_app::Caller;
use gatepost_contract::{Contract, Paging};
use gatepost_kernel::{FieldErrors, PageRequest, text::required};
use serde_json::Value;
pub use utoipa::openapi::path::Parameter;
use utoipa::openapi::{
    Required,
    path::{ParameterBuilder, ParameterIn},
};

/// What a parameter can be: how it is described and read.
pub trait Param {
    /// What is made of it.
    type Value;

    /// JSON schema of the parameter.
    fn schema() -> Value;

    /// Takes it, if it is there; an error goes to `parameters`.
    fn read(parameters: &mut Parameters, name: &'static str) -> Option<Self::Value>;
}

/// What was read of a query.
pub trait Query: 'static {
    /// How many bytes the answer may take to make and to send, where that can be many.
    fn most_bytes(&self) -> u64 {
        0
    }

    /// Whether the caller may ask for it.
    fn check(&self, _: &Caller) -> gatepost_kernel::Result<()> {
        Ok(())
    }
}

/// The query of an operation.
pub trait ReadQuery: Query + Sized {
    /// How the document describes the parameters.
    fn parameters(contract: &Contract) -> Vec<Parameter>;

    /// Reads the parameters; errors go to `parameters`. The answer counts only if there was none.
    fn read(parameters: &mut Parameters) -> Option<Self>;
}

/// No parameters.
pub struct NoQuery;

impl Query for NoQuery {}

impl ReadQuery for NoQuery {
    fn parameters(_: &Contract) -> Vec<Parameter> {
        Vec::new()
    }

    fn read(_: &mut Parameters) -> Option<Self> {
        Some(Self)
    }
}

/// A parameter for the document. The example of its schema becomes its own.
pub fn parameter(name: &str, about: &str, mut schema: Value, required: bool) -> Parameter {
    let example = schema.as_object_mut().and_then(|schema| schema.remove("example"));
    let schema: Option<utoipa::openapi::RefOr<utoipa::openapi::Schema>> = serde_json::from_value(schema).ok();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(if required { Required::True } else { Required::False })
        .description(Some(about))
        .schema(schema)
        .example(example)
        .build()
}

/// The parameters of a query string, taken one by one.
pub struct Parameters {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: FieldErrors,
    /// How lists are cut into pages.
    pub paging: Paging,
    /// How many items a page has if nothing is asked.
    pub default_per_page: u32,
}

impl Parameters {
    /// Takes a query string apart.
    pub fn new(query: &str) -> Self {
        // Every byte sequence is some list of pairs; what cannot be decoded ends up in a name nobody asks
        // for.
        let pairs = web::Query::<Vec<(String, String)>>::from_query(query).map(web::Query::into_inner);
        let (known, errors) = (Vec::new(), FieldErrors::default());
        let (paging, default_per_page) = (Paging::Pages, PageRequest::DEFAULT_PER_PAGE);
        Self { pairs: pairs.unwrap_or_default(), known, errors, paging, default_per_page }
    }

    /// The same, with pages as the contract has them.
    pub fn paged_by(self, contract: &Contract) -> Self {
        Self { paging: contract.paging, default_per_page: contract.default_per_page, ..self }
    }

    /// One of some words.
    pub fn choice<T>(
        &mut self,
        name: &'static str,
        words: &[&str],
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.take(name)?;
        let choice = read(&text);
        if choice.is_none() {
            self.errors.add(
                name,
                format!("The selected {name} is invalid. It must be one of: {}.", words.join(", ")),
            );
        }
        choice
    }

    /// Words with commas between, each one that is known; repeated ones count once.
    pub fn words<T: PartialEq>(
        &mut self,
        name: &'static str,
        read: impl Fn(&str) -> Option<T>,
        known: impl Fn() -> String,
    ) -> Option<Vec<T>> {
        let text = self.take(name)?;
        let mut words = Vec::new();
        for word in text.split(',').map(str::trim) {
            match read(word) {
                Some(word) if words.contains(&word) => {}
                Some(word) => words.push(word),
                None => {
                    let known = known();
                    self.errors.add(
                        name,
                        format!("The selected {name} is invalid. It must be one or more of: {known}."),
                    );
                    return None;
                }
            }
        }
        Some(words)
    }

    /// Whether it was given.
    pub fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(key, _)| key == name)
    }

    /// Any text.
    pub fn any_text(&mut self, name: &'static str) -> Option<String> {
        self.take(name)
    }

    /// All texts of a parameter that may be given several times.
    pub fn all(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let (given, others) = std::mem::take(&mut self.pairs).into_iter().partition(|(key, _)| key == name);
        self.pairs = others;
        Vec::into_iter(given).map(|(_, value)| value).collect()
    }

    /// Notes an error.
    pub fn error(&mut self, name: &str, message: impl Into<String>) {
        self.errors.add(name, message);
    }

    /// A text of a certain form.
    pub fn text<T>(&mut self, name: &'static str, read: impl Fn(&str) -> Option<T>, form: &str) -> Option<T> {
        let text = self.take(name)?;
        let value = read(&text);
        if value.is_none() {
            self.errors.add(name, format!("The {name} must be {form}."));
        }
        value
    }

    /// Notes that a parameter is missing, if it is.
    pub fn require(&mut self, name: &'static str) {
        if !self.has(name) {
            self.errors.add(name, required(name));
        }
    }

    /// All errors, those of parameters that nobody asked for included.
    pub fn into_errors(mut self) -> FieldErrors {
        for (name, _) in self.pairs.iter().take(FieldErrors::MAX_FIELDS) {
            let message = if self.known.is_empty() {
                "This parameter is not known; this request takes none.".to_owned()
            } else {
                format!("This parameter is not known. Known parameters: {}.", self.known.join(", "))
            };
            self.errors.add(name, message);
        }
        self.errors
    }

    fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let index = self.pairs.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.pairs.remove(index);
        if self.pairs.iter().any(|(key, _)| key == name) {
            self.pairs.retain(|(key, _)| key != name);
            self.errors.add(name, format!("The {name} may be given only once."));
            return None;
        }
        Some(value)
    }
}
