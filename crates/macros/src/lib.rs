//! What travels is declared once, as a struct: from it come how it is read or written, its schema, and the
//! members that can be asked for.
//!
//! The code that is made names the kernel's `describe`, which says what JSON looks like, and in `api` the
//! rooms that read and list.

mod body;
mod declared;
mod fields;
mod operation;
mod query;
mod view;

use proc_macro::TokenStream;
use syn::{ItemFn, ItemStruct, parse_macro_input};

/// Something that goes out: how it is written, and its schema.
///
/// ```text
/// /// What one attempt came to.
/// #[view(from = WebhookAttempt, example = { "number": 1, "error": null })]
/// pub struct WebhookAttemptView {
///     /// Number of the attempt, counted from 1.
///     number: u32,
///     /// What went wrong, in words.
///     error: Option<String>,
/// }
/// ```
///
/// A member that may be `None` is there as `null`, unless it says `#[member(optional)]`. `#[member(included =
/// SCOPE, shown = "…")]` is one that is there only if it is asked for, which takes a scope. With `from`,
/// members are taken from those of the same name, or from `#[member(from = EXPRESSION)]`, in which the whole
/// is called `source`; `of` names the part of it that has them, if that is not the whole. `#[member(like =
/// TYPE)]` describes a member as another type. `name` is what the schema is called, if that is not the name
/// of the type, and `stem` what the names of its envelopes begin with.
#[proc_macro_attribute]
pub fn view(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemStruct);
    view::expand(attribute.into(), item, view::Kind::View)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Something that goes out, as [`macro@view`] declares it, in a crate that has no views: how it is written,
/// and its schema. The members of what is flattened are its own.
#[proc_macro_attribute]
pub fn described(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemStruct);
    view::expand(attribute.into(), item, view::Kind::Plain)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// The fields of a struct as a tuple, in the order in which they stand (`kernel::Fields`): what a row of a
/// table is made of.
#[proc_macro_derive(Fields)]
pub fn fields(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemStruct);
    fields::expand(&item).into()
}

/// Something that comes in as JSON: how it is read, with all its errors at once, and its schema.
///
/// ```text
/// /// Changes to a webhook endpoint; members that are left out stay as they are.
/// #[body(changes, into = UpdateWebhook, example = { "is_active": true })]
/// pub struct UpdateWebhookBody {
///     /// Human-readable description of the endpoint; null removes it
///     #[member(like = ShortText)]
///     description: Option<Option<String>>,
///     /// Whether to send deliveries to this endpoint
///     is_active: Option<bool>,
/// }
/// ```
///
/// A member is required, unless it is an `Option`, or `#[member(default)]`. `null` is the same as leaving it
/// out; where a body says what `changes`, it is an error, unless the member is an `Option` of an `Option`.
/// `like` names the type that reads and describes a member, if that is not its own; `requires` another member
/// that has to be there too. A body is closed: what it does not name is an error. An `open` one keeps it in
/// the member that is `rest`, with what is `kept`. With `into`, the members go to those of the same name or
/// of the one that is said with `to`, or as `#[member(into = EXPRESSION)]` says. `check` names a function
/// that looks at the whole.
#[proc_macro_attribute]
pub fn body(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemStruct);
    body::expand(attribute.into(), item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// The parameters of a query string: how they are read, and how the document describes them.
///
/// A parameter is required, unless it is an `Option`, or has a `default`. `like` names the type that reads
/// and describes it, if that is not its own; `flatten` takes in the parameters of another query. `check`
/// names a function that looks at the whole.
#[proc_macro_attribute]
pub fn query(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemStruct);
    query::expand(attribute.into(), item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// An operation of the API: a handler becomes a constant of its name in capitals, which has its route and its
/// part of the document.
///
/// ```text
/// /// Get a webhook endpoint
/// #[operation(get "/webhooks/{id}", tag = "Webhooks", ok = "The endpoint, without its secret")]
/// async fn get_webhook(call: Call<WebhooksRead>, id: WebhookEndpointId) -> Answer<Item<WebhookView>> {
/// ```
///
/// The arguments behind the first are what stands in the path, in its order. `ok`, `created`, `accepted` or
/// `no_content` says what the answer is. `forbidden` says what a 403 of its own is, and `like` of which type.
/// `decides` stands where nothing is changed although the method is not `get`, and `if_match` where a version
/// of the resource is heeded.
#[proc_macro_attribute]
pub fn operation(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemFn);
    operation::expand(attribute.into(), item).unwrap_or_else(syn::Error::into_compile_error).into()
}
