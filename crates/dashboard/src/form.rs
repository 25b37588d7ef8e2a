//! What somebody has filled in, and what is wrong with it.

use gatepost_kernel::{Error, FieldErrors};
use gatepost_people::OpaqueToken;

/// The fields of a form that was sent.
#[derive(Debug, Clone, Default)]
pub struct Form(Vec<(String, String)>);

/// Fields that say who somebody is, for password managers, or prove it. They are never shown again.
const PROOFS: [&str; 3] = ["confirm_password", "form_id", "username"];

impl Form {
    /// These fields, in the order in which they were sent.
    pub fn new(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// The value of a field; empty if it was not sent.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// The value of a field without the blanks around it; none if nothing is left.
    pub fn filled(&self, name: &str) -> Option<&str> {
        Some(self.get(name).trim()).filter(|text| !text.is_empty())
    }

    /// All values of a field that can be sent several times.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The random id of the form, if it has one.
    pub fn id(&self) -> Option<OpaqueToken> {
        OpaqueToken::parse(self.get("form_id"))
    }

    /// The fields, but for proofs and the form's id.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_proof = |name: &str| PROOFS.contains(&name);
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(move |(name, _)| !is_proof(name))
    }
}

/// What is wrong with a form, by field, in the order in which it was found.
#[derive(Debug, Clone, Default)]
pub struct Errors(Vec<(String, String)>);

impl Errors {
    /// One error of one field; the empty name is the form as a whole.
    pub fn one(field: &str, message: impl Into<String>) -> Self {
        Self(vec![(field.to_owned(), message.into())])
    }

    /// Adds an error.
    pub fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push((field.to_owned(), message.into()));
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All errors with their fields.
    pub fn all(&self) -> &[(String, String)] {
        &self.0
    }

    /// What is wrong with a field; empty if nothing is.
    pub fn of(&self, field: &str) -> &str {
        self.0.iter().find(|(name, _)| name == field).map_or("", |(_, message)| message)
    }

    /// What a use-case says of what was filled in; the error again if it is about something else.
    ///
    /// # Errors
    /// The error, if the form cannot be mended.
    pub fn from_use_case(error: Error) -> Result<Self, Error> {
        match error {
            Error::Validation(errors) => Ok(errors.into()),
            Error::Conflict(text) | Error::AccessDenied(text) => Ok(Self::one("", text)),
            Error::MissingScope(scope) => Ok(Self::one(
                "",
                format!("Your role does not have the scope {scope}, so you cannot give it."),
            )),
            Error::FeatureLimitReached { .. } => {
                Ok(Self::one("", "Your plan allows no more of these. Remove one, or change the plan."))
            }
            other => Err(other),
        }
    }
}

impl From<FieldErrors> for Errors {
    fn from(errors: FieldErrors) -> Self {
        let mut all = Self::default();
        for (field, messages) in errors.iter() {
            // Errors of items are shown at the whole: `scopes.2` at `scopes`.
            let name = field.split('.').next().unwrap_or(field);
            messages.iter().for_each(|message| all.add(name, message));
        }
        all
    }
}
