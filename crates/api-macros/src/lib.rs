//! What goes out is declared once, as a struct: from it come how it is written, its schema, and the members that can be asked for.
//!
//! The code that is made names `crate::describe` of the crate that uses it, which says what the parts mean.

mod declared;
mod view;

use proc_macro::TokenStream;
use syn::{ItemStruct, parse_macro_input};

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
/// A member that may be `None` is there as `null`, unless it says `#[member(optional)]`; `#[member(included)]` is the same for what is
/// shown only if it is asked for. With `from`, members are taken from those of the same name, or from `#[member(from = EXPRESSION)]`,
/// in which the whole is called `source`. `#[member(like = TYPE)]` describes a member as another type.
#[proc_macro_attribute]
pub fn view(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemStruct);
    view::expand(attribute.into(), item).unwrap_or_else(syn::Error::into_compile_error).into()
}
