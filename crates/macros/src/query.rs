//! `#[query]`

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ItemStruct, Result};

use crate::declared::{self, Member, Settings, in_option};

pub fn expand(attribute: TokenStream, mut item: ItemStruct) -> Result<TokenStream> {
    let mut settings: Settings = syn::parse2(attribute)?;
    let check = settings.take("check");
    settings.end()?;
    let (mut described, mut read, mut made) = (TokenStream::new(), TokenStream::new(), TokenStream::new());
    for Member { ident, name, about, ty, mut settings } in declared::members(&mut item.fields)? {
        if settings.take_word("flatten") {
            described.extend(
                quote! { parameters.extend(<#ty as crate::query::ReadQuery>::parameters(contract)); },
            );
            read.extend(quote! { let #ident = <#ty as crate::query::ReadQuery>::read(parameters); });
            made.extend(quote! { #ident: #ident?, });
            settings.end()?;
            continue;
        }
        let inner = in_option(&ty);
        let own = inner.unwrap_or(&ty);
        let like = settings.take("like").unwrap_or_else(|| quote!(#own));
        let (default, example) = (settings.take("default"), settings.take("example"));
        settings.end()?;
        let required = inner.is_none() && default.is_none();
        let mut added = TokenStream::new();
        if let Some(default) = &default {
            added.extend(quote! { schema["default"] = ::serde_json::json!(#default); });
        }
        if let Some(example) = example {
            added.extend(quote! { schema["example"] = ::serde_json::json!(#example); });
        }
        described.extend(quote! {
            let mut schema = <#like as crate::query::Param>::schema();
            #added
            parameters.push(crate::query::parameter(#name, #about, schema, #required));
        });
        if required {
            read.extend(quote! { parameters.require(#name); });
        }
        read.extend(quote! { let #ident = <#like as crate::query::Param>::read(parameters, #name); });
        made.extend(match (inner, default) {
            (Some(_), _) => quote! { #ident, },
            (None, Some(default)) => quote! { #ident: #ident.unwrap_or(#default), },
            (None, None) => quote! { #ident: #ident?, },
        });
    }
    let ident = &item.ident;
    let check = check.map(|check| quote! { if let Some(query) = &query { #check(query, parameters); } });
    Ok(quote! {
        #item

        impl crate::query::Query for #ident {}

        impl crate::query::ReadQuery for #ident {
            fn parameters(contract: &::gatepost_contract::Contract) -> ::std::vec::Vec<crate::query::Parameter> {
                let _ = contract;
                let mut parameters = ::std::vec::Vec::new();
                #described
                parameters
            }

            fn read(parameters: &mut crate::query::Parameters) -> ::core::option::Option<Self> {
                #read
                let query = (|| ::core::option::Option::Some(Self { #made }))();
                #check
                query
            }
        }
    })
}
