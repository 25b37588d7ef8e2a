//! What stands in the attributes of a struct and of its members.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Error, Expr, Field, GenericArgument, Ident, LitStr, PathArguments, Result, Token, Type,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
};

/// `name`, `name = EXPRESSION`, or `name = { JSON }`.
pub struct Setting {
    pub name: Ident,
    pub value: Option<TokenStream>,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.call(Ident::parse_any)?;
        if !input.peek(Token![=]) {
            return Ok(Self { name, value: None });
        }
        input.parse::<Token![=]>()?;
        let value = match input.fork().parse::<TokenTree>()? {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                input.parse::<TokenTree>()?.into_token_stream()
            }
            _ if name == "like" => input.parse::<Type>()?.into_token_stream(),
            _ => {
                let ahead = input.fork();
                // Most types are expressions too; one with several parts in angle brackets is none.
                let is_expression =
                    ahead.parse::<Expr>().is_ok() && (ahead.is_empty() || ahead.peek(Token![,]));
                if is_expression {
                    input.parse::<Expr>()?.into_token_stream()
                } else {
                    input.parse::<Type>()?.into_token_stream()
                }
            }
        };
        Ok(Self { name, value: Some(value) })
    }
}

/// The settings of an attribute.
pub struct Settings(Vec<Setting>);

impl Parse for Settings {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let settings = Punctuated::<Setting, Token![,]>::parse_terminated(input)?;
        Ok(Self(settings.into_iter().collect()))
    }
}

impl Settings {
    /// Whether a word stands there.
    pub fn take_word(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|setting| !(setting.name == name && setting.value.is_none()));
        self.0.len() < before
    }

    /// The value of a setting.
    pub fn take(&mut self, name: &str) -> Option<TokenStream> {
        let index = self.0.iter().position(|setting| setting.name == name && setting.value.is_some())?;
        self.0.remove(index).value
    }

    /// Refuses what nobody has asked for.
    pub fn end(&self) -> Result<()> {
        match self.0.first() {
            Some(setting) => Err(Error::new(setting.name.span(), "this setting is not known here")),
            None => Ok(()),
        }
    }
}

/// A member of a struct.
pub struct Member {
    pub ident: Ident,
    /// What it is called in JSON.
    pub name: LitStr,
    pub about: String,
    pub ty: Type,
    pub settings: Settings,
}

/// The members, whose attributes are taken off.
pub fn members(fields: &mut syn::Fields) -> Result<Vec<Member>> {
    fields.iter_mut().map(member).collect()
}

fn member(field: &mut Field) -> Result<Member> {
    let Some(ident) = field.ident.clone() else {
        return Err(Error::new_spanned(field, "members have names"));
    };
    let mut settings = Settings(Vec::new());
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("member")) {
        settings.0.extend(attribute.parse_args::<Settings>()?.0);
    }
    field.attrs.retain(|attribute| !attribute.path().is_ident("member"));
    let name = LitStr::new(&ident.unraw().to_string(), ident.span());
    Ok(Member { name, about: about(&field.attrs), ty: field.ty.clone(), ident, settings })
}

/// The text of the documentation.
pub fn about(attributes: &[Attribute]) -> String {
    let lines =
        attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| {
            let syn::Meta::NameValue(doc) = &attribute.meta else { return None };
            let Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &doc.value else { return None };
            let text = text.value();
            Some(text.strip_prefix(' ').unwrap_or(&text).to_owned())
        });
    // A paragraph is one line, however it is wrapped in the source.
    let mut text = String::new();
    for line in lines {
        let is_item = ["- ", "| ", "# ", "```"].iter().any(|mark| line.starts_with(mark));
        let starts_anew = line.is_empty() || is_item || text.ends_with('\n');
        text.push_str(if text.is_empty() || starts_anew { "\n" } else { " " });
        text.push_str(&line);
    }
    text.trim().to_owned()
}

/// What is in an `Option`.
pub fn in_option(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }
}

/// The rules that a schema can say, as calls of what describes a member.
pub fn rules(settings: &mut Settings) -> TokenStream {
    let mut calls = TokenStream::new();
    for rule in ["minimum", "maximum", "format"] {
        if let Some(value) = settings.take(rule) {
            calls.extend(quote! { .rule(#rule, ::serde_json::json!(#value)) });
        }
    }
    calls
}
