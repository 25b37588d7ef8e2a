//! `#[derive(Fields)]`

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ItemStruct, ext::IdentExt};

pub fn expand(item: &ItemStruct) -> TokenStream {
    let name = &item.ident;
    let fields: Vec<_> =
        item.fields.iter().filter_map(|field| Some((field.ident.as_ref()?, &field.ty))).collect();
    let (idents, types): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let names = idents.iter().map(|ident| ident.unraw().to_string());
    quote! {
        impl ::gatepost_kernel::Fields for #name {
            type Values = (#(#types,)*);
            const NAMES: &'static [&'static str] = &[#(#names),*];

            fn of((#(#idents,)*): Self::Values) -> Self {
                Self { #(#idents),* }
            }
        }
    }
}
