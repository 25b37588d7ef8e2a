//! What operations answer with, as types: from them come the schemas of answers in the document.

use gatepost_kernel::describe::{Described, Schemas};
use std::marker::PhantomData;

use actix_web::{HttpRequest, HttpResponse, Responder};
use gatepost_contract::{
    Accepted, ApiError, Contract, Deleted, EnvelopeStyle, Message, Plain, Statuses, document::Envelope,
};
use serde_json::{Value, json};

use crate::lists::Listed;
use crate::views::View;

/// The answer of an operation: a `K`, or an error.
pub type Answer<K> = Result<Response<K>, ApiError>;

/// An answer that holds a `K`, in the contract's envelope.
pub struct Response<K>(HttpResponse, PhantomData<fn() -> K>);

impl<K> From<HttpResponse> for Response<K> {
    fn from(response: HttpResponse) -> Self {
        Self(response, PhantomData)
    }
}

impl<K> Response<K> {
    /// The answer itself.
    pub fn into_inner(self) -> HttpResponse {
        self.0
    }
}

impl<K> Responder for Response<K> {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

/// One thing.
pub struct Item<V>(PhantomData<V>);

/// A page of a list of the database.
pub struct PageOf<V>(PhantomData<V>);

/// A page of what is in memory.
pub struct SliceOf<V>(PhantomData<V>);

/// What an operation can answer with.
pub trait Kind {
    /// Whether it is a page with links to others.
    const IS_PAGE: bool = false;

    /// The schema of its body, if it has one.
    fn schema(contract: &Contract, schemas: &mut Schemas) -> Option<Value>;
}

/// The type that a handler returns.
pub trait Answers {
    /// What is in it if it is no error.
    type Kind: Kind;
}

impl<K: Kind> Answers for Answer<K> {
    type Kind = K;
}

fn in_envelope<V: View>(contract: &Contract, envelope: Envelope, schemas: &mut Schemas) -> Option<Value> {
    let data = V::schema(schemas);
    let view = data["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or(V::STEM);
    let (name, schema) = contract.envelope_schema(envelope, V::STEM, view, &data);
    Some(schemas.named(&name, |_| schema))
}

impl<V: View> Kind for Item<V> {
    fn schema(contract: &Contract, schemas: &mut Schemas) -> Option<Value> {
        in_envelope::<V>(contract, Envelope::Item, schemas)
    }
}

impl<V: View> Kind for Message<V> {
    fn schema(contract: &Contract, schemas: &mut Schemas) -> Option<Value> {
        in_envelope::<V>(contract, Envelope::Message, schemas)
    }
}

impl<V: Listed> Kind for PageOf<V> {
    const IS_PAGE: bool = true;

    fn schema(contract: &Contract, schemas: &mut Schemas) -> Option<Value> {
        let envelope = if V::LIST.is_log { Envelope::Log } else { Envelope::Page };
        in_envelope::<V>(contract, envelope, schemas)
    }
}

impl<V: View> Kind for SliceOf<V> {
    const IS_PAGE: bool = true;

    fn schema(contract: &Contract, schemas: &mut Schemas) -> Option<Value> {
        in_envelope::<V>(contract, Envelope::Page, schemas)
    }
}

impl<V: View> Kind for Accepted<V> {
    fn schema(contract: &Contract, schemas: &mut Schemas) -> Option<Value> {
        in_envelope::<V>(contract, Envelope::Item, schemas)
    }
}

impl<V: View> Kind for Accepted<Vec<V>> {
    fn schema(contract: &Contract, schemas: &mut Schemas) -> Option<Value> {
        in_envelope::<V>(contract, Envelope::Several, schemas)
    }
}

impl<V: View> Kind for Plain<V> {
    fn schema(contract: &Contract, schemas: &mut Schemas) -> Option<Value> {
        match contract.envelope {
            EnvelopeStyle::Data => Some(V::schema(schemas)),
            EnvelopeStyle::Success => in_envelope::<V>(contract, Envelope::Item, schemas),
        }
    }
}

impl<I: Described> Kind for Deleted<I> {
    fn schema(contract: &Contract, schemas: &mut Schemas) -> Option<Value> {
        if contract.statuses == Statuses::Full {
            return None;
        }
        let id = I::schema(schemas);
        Some(deleted(contract, schemas, "Deleted", (id, json!(1))))
    }
}

/// The schema of what says that something was deleted, by the schema of its id and an example of that.
pub fn deleted(
    contract: &Contract,
    schemas: &mut Schemas,
    stem: &str,
    (mut id, example): (Value, Value),
) -> Value {
    let view = format!("{stem}View");
    let deleted = schemas.named(&view, |_| {
        id["description"] = json!("Id of what was deleted.");
        id["example"] = example;
        let is_deleted = json!({ "type": "boolean", "description": "Always true.", "example": true });
        json!({
            "type": "object",
            "description": "What was deleted.",
            "required": ["id", "deleted"],
            "properties": { "id": id, "deleted": is_deleted },
        })
    });
    let (name, schema) = contract.envelope_schema(Envelope::Item, stem, &view, &deleted);
    schemas.named(&name, |_| schema)
}
