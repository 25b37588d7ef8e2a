//! `#[body]`

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{ItemStruct, Result};

use crate::declared::{self, Member, Settings, about, in_option};

pub fn expand(attribute: TokenStream, mut item: ItemStruct) -> Result<TokenStream> {
    let mut settings: Settings = syn::parse2(attribute)?;
    let (changes, open) = (settings.take_word("changes"), settings.take_word("open"));
    let (example, target, check) = (settings.take("example"), settings.take("into"), settings.take("check"));
    let (limit, media_types) = (settings.take("limit_bytes"), settings.take("media_types"));
    settings.end()?;
    let null = format_ident!("{}", if changes { "IsWrong" } else { "IsAbsent" });
    let (mut described, mut read, mut late, mut made) =
        (TokenStream::new(), TokenStream::new(), TokenStream::new(), TokenStream::new());
    let (mut names, mut moved) = (Vec::new(), TokenStream::new());
    let mut optional = !changes;
    for Member { ident, name, about, ty, mut settings } in declared::members(&mut item.fields)? {
        names.push(ident.clone());
        let into = settings.take("into").unwrap_or_else(|| quote!(#ident));
        let to = settings.take("to").unwrap_or_else(|| quote!(#ident));
        moved.extend(quote! { #to: #into, });
        if settings.take_word("flatten") {
            described.extend(quote! { object.take_in(<#ty as ::gatepost_kernel::describe::DescribedObject>::object(schemas)); });
            read.extend(quote! { let #ident = <#ty as crate::body::ReadBody>::read(fields); });
            made.extend(quote! { #ident: #ident?, });
            optional = false;
            settings.end()?;
            continue;
        }
        if settings.take_word("rest") {
            late.extend(quote! { let #ident = fields.rest(); });
            made.extend(quote! { #ident: #ident?, });
            settings.end()?;
            continue;
        }
        let (default, kept) = (settings.take_word("default"), settings.take_word("kept"));
        if let Some(other) = settings.take("requires") {
            let text = other.to_string();
            described.extend(quote! { object.requires(#name, #text); });
            late.extend(quote! { if #ident.is_some() && #other.is_none() { fields.require(#text); } });
        }
        let inner = in_option(&ty);
        let nullable = inner.and_then(in_option);
        let own = nullable.or(inner).unwrap_or(&ty);
        let like = settings.take("like").unwrap_or_else(|| quote!(#own));
        settings.end()?;
        let may_be_null = nullable.is_some() || !(changes || kept);
        let kind = match (inner.is_some() || default, may_be_null) {
            (false, _) => quote!(required),
            (true, false) => quote!(optional),
            (true, true) => quote!(nullable),
        };
        described.extend(quote! { object.member::<#like>(schemas, #name, #about).#kind(); });
        let (how, value) = if kept {
            (quote! { fields.kept::<#like>(#name) }, quote!(#ident))
        } else if default {
            let how = quote! { fields.optional::<#like>(#name, crate::body::Null::#null) };
            (how, quote!(#ident.unwrap_or_default()))
        } else if nullable.is_some() {
            (quote! { fields.nullable::<#like>(#name) }, quote!(#ident))
        } else if inner.is_some() {
            (quote! { fields.optional::<#like>(#name, crate::body::Null::#null) }, quote!(#ident))
        } else {
            optional = false;
            (quote! { fields.required::<#like>(#name) }, quote!(#ident?))
        };
        read.extend(quote! { let #ident = #how; });
        made.extend(quote! { #ident: #value, });
    }
    let (ident, about) = (&item.ident, about(&item.attrs));
    let name = ident.to_string();
    let example = example.map(|example| quote! { object.examples(::serde_json::json!(#example)); });
    let close = (!open).then(|| quote! { object.close(); });
    let limit = limit.map(|limit| quote! { const LIMIT_BYTES: usize = #limit; });
    let media_types =
        media_types.map(|types| quote! { const MEDIA_TYPES: &'static [&'static str] = &#types; });
    let check = check.map(|check| quote! { if let Some(body) = &body { #check(body, fields); } });
    let target = target.map(|target| {
        quote! {
            impl ::core::convert::From<#ident> for #target {
                fn from(body: #ident) -> Self {
                    let #ident { #(#names),* } = body;
                    Self { #moved }
                }
            }
        }
    });
    Ok(quote! {
        #item

        impl crate::body::ReadBody for #ident {
            const OPTIONAL: bool = #optional;
            #limit
            #media_types

            fn read(fields: &mut crate::body::Fields<'_>) -> ::core::option::Option<Self> {
                #read
                #late
                let body = (|| ::core::option::Option::Some(Self { #made }))();
                #check
                body
            }
        }

        impl ::gatepost_kernel::describe::DescribedObject for #ident {
            fn object(schemas: &mut ::gatepost_kernel::describe::Schemas) -> ::gatepost_kernel::describe::Object {
                let mut object = ::gatepost_kernel::describe::Object::new(#about);
                #described
                #example
                #close
                object
            }
        }

        impl ::gatepost_kernel::describe::Described for #ident {
            fn schema(schemas: &mut ::gatepost_kernel::describe::Schemas) -> ::serde_json::Value {
                schemas.named(#name, |schemas| {
                    <Self as ::gatepost_kernel::describe::DescribedObject>::object(schemas).into_schema()
                })
            }
        }

        impl crate::body::Member for #ident {
            type Value = Self;

            fn read<'b>(
                fields: &mut crate::body::Fields<'b>,
                name: &'static str,
                value: &'b ::serde_json::value::RawValue,
            ) -> ::core::option::Option<Self> {
                fields.nested(name, value)
            }
        }

        #target
    })
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn what_is_not_known_does_not_compile() {
        let misspelt: ItemStruct = parse_quote! { struct B { #[member(liek = Name)] name: String } };
        let unknown = "this setting is not known here";
        let error = |item| expand(quote!(changes), item).err().map(|error| error.to_string());
        assert_eq!(error(misspelt).as_deref(), Some(unknown));
        assert_eq!(error(parse_quote! { struct B { #[member(like = Name)] name: String } }), None);
    }
}
