//! `#[view]`

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Ident, ItemStruct, Result};

use crate::declared::{self, Member, Settings, about, in_option};

/// Where it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In `api`, which asks more of it.
    View,
    /// Anywhere.
    Plain,
}

pub fn expand(attribute: TokenStream, mut item: ItemStruct, kind: Kind) -> Result<TokenStream> {
    let mut settings: Settings = syn::parse2(attribute)?;
    let (source, example, stem) = (settings.take("from"), settings.take("example"), settings.take("stem"));
    let named = settings.take("name");
    let of = settings.take("of").map(|of| quote!(.#of));
    settings.end()?;
    let mut members = declared::members(&mut item.fields)?;
    let (mut described, mut own, mut taken, mut early) =
        (TokenStream::new(), Vec::new(), TokenStream::new(), TokenStream::new());
    let (mut included, mut names) = (TokenStream::new(), TokenStream::new());
    for (member, field) in members.iter_mut().zip(item.fields.iter_mut()) {
        let Member { ident, name, about, ty, settings } = member;
        let scope = settings.take("included");
        let optional = settings.take_word("optional") || scope.is_some();
        let flattened = settings.take_word("flatten");
        let like = settings.take("like").unwrap_or_else(|| quote!(#ty));
        let rules = declared::rules(settings);
        if let Some(from) = settings.take("from") {
            early.extend(quote! { let #ident = #from; });
            taken.extend(quote! { #ident, });
        } else {
            taken.extend(quote! { #ident: source #of.#ident.into(), });
        }
        if flattened {
            settings.end()?;
            field.attrs.push(syn::parse_quote!(#[serde(flatten)]));
            described.extend(match kind {
                Kind::View => quote! { object.flatten::<#like>(schemas, #about); },
                Kind::Plain => quote! {
                    object.take_in(<#like as ::gatepost_kernel::describe::DescribedObject>::object(schemas));
                },
            });
            continue;
        }
        let mut presence = quote!(required);
        if optional {
            let empty = match in_option(ty) {
                Some(_) => "::core::option::Option::is_none",
                None => "::std::vec::Vec::is_empty",
            };
            field.attrs.push(syn::parse_quote!(#[serde(skip_serializing_if = #empty)]));
            presence = if scope.is_some() { quote!(included) } else { quote!(optional) };
        }
        match scope {
            Some(scope) => {
                let Some(shown) = settings.take("shown") else {
                    return Err(Error::new_spanned(ident, "what is included says as what it is `shown`"));
                };
                included.extend(quote! {
                    crate::views::Included {
                        name: #name,
                        scope: <#scope as crate::scopes::RequiredScope>::scope,
                        about: #shown,
                    },
                });
                let constant = Ident::new(&name.value().to_uppercase(), ident.span());
                names.extend(quote! {
                    #[doc = concat!("What `include` calls `", #name, "`.")]
                    pub const #constant: &'static str = #name;
                });
            }
            None => own.push(name.clone()),
        }
        settings.end()?;
        described.extend(quote! { object.member::<#like>(schemas, #name, #about).#presence()#rules; });
    }
    let (ident, about) = (&item.ident, about(&item.attrs));
    let name = ident.to_string();
    let schema = named.unwrap_or_else(|| quote!(#name));
    let stem = stem.unwrap_or_else(|| {
        let stem = name.trim_end_matches("View");
        quote!(#stem)
    });
    let names = (!names.is_empty()).then(|| quote! { impl #ident { #names } });
    let view = (kind == Kind::View).then(|| {
        quote! {
            impl crate::views::View for #ident {
                const MEMBERS: &'static [&'static str] = &[#(#own),*];
                const INCLUDED: &'static [crate::views::Included] = &[#included];
                const STEM: &'static str = #stem;
            }
        }
    });
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

        impl ::gatepost_kernel::describe::Described for #ident {
            fn schema(schemas: &mut ::gatepost_kernel::describe::Schemas) -> ::serde_json::Value {
                schemas.named(#schema, |schemas| {
                    <Self as ::gatepost_kernel::describe::DescribedObject>::object(schemas).into_schema()
                })
            }
        }

        impl ::gatepost_kernel::describe::DescribedObject for #ident {
            fn object(schemas: &mut ::gatepost_kernel::describe::Schemas) -> ::gatepost_kernel::describe::Object {
                let mut object = ::gatepost_kernel::describe::Object::new(#about);
                #described
                #example
                object
            }
        }

        #view

        #names

        #from
    })
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::parse_quote;

    use super::*;

    fn error(attribute: TokenStream, item: ItemStruct) -> Option<String> {
        expand(attribute, item, Kind::View).err().map(|error| error.to_string())
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
        assert_eq!(error(quote!(example = { "id": 1 }), known.clone()), None);
        let unknown = "this setting is not known here";
        assert_eq!(error(quote!(exampel = { "id": 1 }), known).as_deref(), Some(unknown));
        let misspelt: ItemStruct = parse_quote! { struct V { #[member(maximun = 7)] id: i64 } };
        assert_eq!(error(quote!(), misspelt).as_deref(), Some(unknown));
        let nameless: ItemStruct = parse_quote! { struct V(i64); };
        assert_eq!(error(quote!(), nameless).as_deref(), Some("members have names"));
    }
}
