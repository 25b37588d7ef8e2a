//! `#[operation]`

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Error, FnArg, Ident, ItemFn, LitStr, Pat, Result, ReturnType, Token, Type,
    parse::{Parse, ParseStream},
};

use crate::declared::{Settings, about};

/// `post "/webhooks"`, and settings.
struct Attribute {
    method: Ident,
    path: LitStr,
    settings: Settings,
}

impl Parse for Attribute {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (method, path) = (input.parse()?, input.parse()?);
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok(Self { method, path, settings: input.parse()? })
    }
}

/// The settings that describe the answer, with their statuses.
const ANSWERS: [(&str, u16); 4] = [("ok", 200), ("created", 201), ("accepted", 202), ("no_content", 204)];
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub fn expand(attribute: TokenStream, item: ItemFn) -> Result<TokenStream> {
    let Attribute { method, path, mut settings } = syn::parse2(attribute)?;
    let name = &item.sig.ident;
    if !METHODS.contains(&method.to_string().as_str()) {
        return Err(Error::new_spanned(method, "operations are of get, post, put, patch or delete"));
    }
    let Some(tag) = settings.take("tag") else {
        return Err(Error::new_spanned(name, "an operation says in which `tag` it stands"));
    };
    let mut answers = ANSWERS.iter().filter_map(|(name, status)| Some((*status, settings.take(name)?)));
    let (Some((status, answer)), None) = (answers.next(), answers.next()) else {
        let what = "an operation says what its answer is: `ok`, `created`, `accepted` or `no_content`";
        return Err(Error::new_spanned(name, what));
    };
    drop(answers);
    let refusal = match (settings.take("forbidden"), settings.take("like")) {
        (Some(about), Some(like)) => quote! { .with_refusal::<#like>(#about, contract, schemas) },
        _ => TokenStream::new(),
    };
    let changes = !settings.take_word("decides") && method != "get";
    let heeds_version = settings.take_word("if_match");
    settings.end()?;

    let mut arguments = item.sig.inputs.iter();
    let Some(input) = arguments.next().and_then(typed).map(|(_, ty)| ty) else {
        return Err(Error::new_spanned(&item.sig, "an operation takes a call"));
    };
    let ReturnType::Type(_, output) = &item.sig.output else {
        return Err(Error::new_spanned(&item.sig, "an operation answers"));
    };
    let (mut described, mut read, mut passed) = (TokenStream::new(), TokenStream::new(), TokenStream::new());
    let mut in_path = names_in(&path.value());
    for argument in arguments {
        let Some((argument, ty)) = typed(argument) else {
            return Err(Error::new_spanned(argument, "what stands in the path has a name"));
        };
        let text = argument.to_string();
        if in_path.is_empty() || in_path.remove(0) != text {
            return Err(Error::new_spanned(argument, "this is not what stands next in the path"));
        }
        described.extend(quote! { .with_path::<#ty>(#text, schemas) });
        read.extend(quote! {
            let #argument = <#ty as crate::operation::PathParam>::read(call.request(), #text)?;
        });
        passed.extend(quote! { , #argument });
    }
    if let Some(missing) = in_path.first() {
        return Err(Error::new_spanned(path, format!("the handler does not take `{missing}`")));
    }
    let id = name.to_string();
    let constant = Ident::new(&id.to_uppercase(), name.span());
    let verb = Ident::new(&method.to_string().to_uppercase(), Span::call_site());
    let guard = {
        let text = method.to_string();
        let (first, rest) = text.split_at(1);
        Ident::new(&format!("{}{rest}", first.to_uppercase()), Span::call_site())
    };
    let told = about(&item.attrs);
    let operation = format!("`{id}`.");
    Ok(quote! {
        #item

        #[doc = #operation]
        pub const #constant: crate::operation::Operation = crate::operation::Operation {
            id: #id,
            method: ::actix_web::http::Method::#verb,
            path: #path,
            tag: #tag,
            about: #told,
            answer: (#status, #answer),
            changes: #changes,
            heeds_version: #heeds_version,
            acts_on_workspace: <#input as crate::operation::Takes>::ACTS_ON_WORKSPACE,
            alias_of: ::core::option::Option::None,
            sentence: ::core::option::Option::None,
            shape: crate::operation::ShapeOf::Types(|contract, schemas| {
                crate::operation::Shape::of::<#input, #output>(contract, schemas)#described #refusal
            }),
            register: |config| {
                async fn handle(call: #input) -> #output {
                    #read
                    #name(call #passed).await
                }
                let resource = ::actix_web::web::resource(#path).guard(::actix_web::guard::#guard());
                config.service(resource.to(handle));
            },
        };
    })
}

/// The name and the type of an argument.
fn typed(argument: &FnArg) -> Option<(&Ident, &Type)> {
    let FnArg::Typed(argument) = argument else { return None };
    match argument.pat.as_ref() {
        Pat::Ident(name) => Some((&name.ident, &argument.ty)),
        _ => None,
    }
}

/// The names in braces, without what they match.
fn names_in(path: &str) -> Vec<String> {
    let braced = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    braced.map(|name| name.split(':').next().unwrap_or_default().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn error(attribute: TokenStream, item: ItemFn) -> Option<String> {
        expand(attribute, item).err().map(|error| error.to_string())
    }

    #[test]
    fn what_does_not_fit_the_path_does_not_compile() {
        let takes = |item: ItemFn| {
            error(quote!(get "/things/{id}/parts/{part_id:.+}", tag = "Things", ok = "A part"), item)
        };
        let fitting = parse_quote! {
            async fn get_part(call: Call<Read>, id: ThingId, part_id: PartId) -> Answer<Item<PartView>> {}
        };
        assert_eq!(takes(fitting), None);
        let short =
            parse_quote! { async fn get_part(call: Call<Read>, id: ThingId) -> Answer<Item<PartView>> {} };
        assert_eq!(takes(short).as_deref(), Some("the handler does not take `part_id`"));
        let mixed = parse_quote! {
            async fn get_part(call: Call<Read>, part_id: PartId, id: ThingId) -> Answer<Item<PartView>> {}
        };
        assert_eq!(takes(mixed).as_deref(), Some("this is not what stands next in the path"));
    }

    #[test]
    fn what_is_missing_or_not_known_does_not_compile() {
        let item: ItemFn =
            parse_quote! { async fn list_things(call: Call<Read>) -> Answer<PageOf<ThingView>> {} };
        let untold = "an operation says what its answer is: `ok`, `created`, `accepted` or `no_content`";
        assert_eq!(error(quote!(get "/things", tag = "Things"), item.clone()).as_deref(), Some(untold));
        let untagged = "an operation says in which `tag` it stands";
        assert_eq!(error(quote!(get "/things", ok = "Things"), item.clone()).as_deref(), Some(untagged));
        let unknown = "this setting is not known here";
        let misspelt = quote!(get "/things", tag = "Things", ok = "Things", if_mtach);
        assert_eq!(error(misspelt, item).as_deref(), Some(unknown));
    }
}
