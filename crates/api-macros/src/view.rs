//! `#[view]`

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ItemStruct, Result};

use crate::declared::{self, Member, Settings, about, in_option};

pub fn expand(attribute: TokenStream, mut item: ItemStruct) -> Result<TokenStream> {
    let mut settings: Settings = syn::parse2(attribute)?;
    let (source, example) = (settings.take("from"), settings.take("example"));
    settings.end()?;
    let mut members = declared::members(&mut item.fields)?;
    let (mut described, mut own, mut taken, mut early) =
        (TokenStream::new(), Vec::new(), TokenStream::new(), TokenStream::new());
    for (member, field) in members.iter_mut().zip(item.fields.iter_mut()) {
        let Member { ident, name, about, ty, settings } = member;
        let included = settings.take_word("included");
        let optional = settings.take_word("optional") || included;
        let flattened = settings.take_word("flatten");
        let like = settings.take("like").unwrap_or_else(|| quote!(#ty));
        let rules = declared::rules(settings);
        if let Some(from) = settings.take("from") {
            early.extend(quote! { let #ident = #from; });
            taken.extend(quote! { #ident, });
        } else {
            taken.extend(quote! { #ident: source.#ident.into(), });
        }
        settings.end()?;
        if flattened {
            field.attrs.push(syn::parse_quote!(#[serde(flatten)]));
            described.extend(quote! { object.flatten::<#like>(schemas, #about); });
            continue;
        }
        let mut kind = quote!(required);
        if optional {
            let empty = match in_option(ty) {
                Some(_) => "::core::option::Option::is_none",
                None => "::std::vec::Vec::is_empty",
            };
            field.attrs.push(syn::parse_quote!(#[serde(skip_serializing_if = #empty)]));
            kind = if included { quote!(included) } else { quote!(optional) };
        }
        if !included {
            own.push(name.clone());
        }
        described.extend(quote! { object.member::<#like>(schemas, #name, #about).#kind()#rules; });
    }
    let (ident, about) = (&item.ident, about(&item.attrs));
    let name = ident.to_string();
    let example = example.map(|example| quote! { object.examples(::serde_json::json!(#example)); });
    let from = source.map(|source| {
        quote! {
            impl ::core::convert::From<#source> for #ident {
                fn from(source: #source) -> Self {
                    #early
                    Self { #taken }
                }
            }
        }
    });
    Ok(quote! {
        #[derive(::serde::Serialize)]
        #item

        impl crate::describe::Described for #ident {
            fn schema(schemas: &mut crate::describe::Schemas) -> ::serde_json::Value {
                schemas.named(#name, |schemas| {
                    let mut object = crate::describe::Object::new(#about);
                    #described
                    #example
                    object.into_schema()
                })
            }
        }

        impl crate::describe::View for #ident {
            const MEMBERS: &'static [&'static str] = &[#(#own),*];
        }

        impl ::utoipa::PartialSchema for #ident {
            fn schema() -> ::utoipa::openapi::RefOr<::utoipa::openapi::Schema> {
                crate::describe::say::<Self>()
            }
        }

        impl ::utoipa::ToSchema for #ident {
            fn name() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(#name)
            }
        }

        #from
    })
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::parse_quote;

    use super::*;

    fn fault(attribute: TokenStream, item: ItemStruct) -> Option<String> {
        expand(attribute, item).err().map(|fault| fault.to_string())
    }

    #[test]
    fn what_is_not_known_does_not_compile() {
        let known: ItemStruct = parse_quote! {
            struct V {
                /// Numeric id.
                #[member(maximum = 7)]
                id: i64,
            }
        };
        assert_eq!(fault(quote!(example = { "id": 1 }), known.clone()), None);
        let unknown = "this setting is not known here";
        assert_eq!(fault(quote!(exampel = { "id": 1 }), known).as_deref(), Some(unknown));
        let misspelt: ItemStruct = parse_quote! { struct V { #[member(maximun = 7)] id: i64 } };
        assert_eq!(fault(quote!(), misspelt).as_deref(), Some(unknown));
        let nameless: ItemStruct = parse_quote! { struct V(i64); };
        assert_eq!(fault(quote!(), nameless).as_deref(), Some("members have names"));
    }
}
