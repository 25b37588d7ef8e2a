//! What travels: bodies that come in (`…Body`), things that go out (`…View`), and their descriptions for the
//! OpenAPI document.

use utoipa::ToSchema;

/// Declares the envelopes of a resource for the document, as schemas with names of their own: generics would be
/// copied into each user. The contract renders the real ones.
macro_rules! envelopes {
    (@item $name:ident $view:ident) => {
        #[doc = concat!("One `", stringify!($view), "`.")]
        #[derive(utoipa::ToSchema)]
        #[expect(dead_code, reason = "only describes what the contract renders")]
        pub struct $name {
            data: $view,
        }
    };
    (@message $name:ident $view:ident) => {
        #[doc = concat!("A sentence for people, and a `", stringify!($view), "`.")]
        #[derive(utoipa::ToSchema)]
        #[expect(dead_code, reason = "only describes what the contract renders")]
        pub struct $name {
            #[schema(example = "Done successfully.")]
            message: String,
            data: $view,
        }
    };
    (@page $name:ident $view:ident) => {
        #[doc = concat!("One page of `", stringify!($view), "`.")]
        #[derive(utoipa::ToSchema)]
        #[expect(dead_code, reason = "only describes what the contract renders")]
        pub struct $name {
            data: Vec<$view>,
            meta: $crate::wire::PageMeta,
            links: $crate::wire::PageLinks,
        }
    };
    (@log $name:ident $view:ident) => {
        #[doc = concat!("One page of `", stringify!($view), "`s, by number or by cursor.")]
        #[derive(utoipa::ToSchema)]
        #[expect(dead_code, reason = "only describes what the contract renders")]
        pub struct $name {
            data: Vec<$view>,
            meta: $crate::wire::LogMeta,
            links: $crate::wire::LogLinks,
        }
    };
    ($($kind:ident $name:ident($view:ident);)*) => {
        $($crate::wire::envelopes!(@$kind $name $view);)*
    };
}
pub(crate) use envelopes;

/// Where a page stands in its list.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct PageMeta {
    /// The number of this page.
    #[schema(example = 1, minimum = 1)]
    current_page: u32,
    /// The place of the first item of this page in the list, from 1; null when the page is empty.
    #[schema(required, example = 1)]
    from: Option<u64>,
    /// The number of the last page.
    #[schema(example = 1, minimum = 1)]
    last_page: u64,
    /// How many items a page can hold.
    #[schema(example = 25, minimum = 1, maximum = 100)]
    per_page: u32,
    /// The place of the last item of this page in the list; null when the page is empty.
    #[schema(required, example = 1)]
    to: Option<u64>,
    /// How many items the whole list has.
    #[schema(example = 1)]
    total: u64,
}

/// The addresses of other pages.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct PageLinks {
    /// The first page.
    #[schema(example = "https://api.example.com/api/v1/resource?page=1")]
    first: String,
    /// The last page.
    #[schema(example = "https://api.example.com/api/v1/resource?page=1")]
    last: String,
    /// The page before this one.
    #[schema(required)]
    prev: Option<String>,
    /// The page after this one.
    #[schema(required)]
    next: Option<String>,
}

/// Where a page stands in its log. By cursor, nothing is counted: then only `per_page` and `next_cursor` are not null.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct LogMeta {
    /// The number of this page.
    #[schema(required, example = 1, minimum = 1)]
    current_page: Option<u32>,
    /// The place of the first item of this page in the list, from 1; null when the page is empty.
    #[schema(required, example = 1)]
    from: Option<u64>,
    /// The number of the last page.
    #[schema(required, example = 1, minimum = 1)]
    last_page: Option<u64>,
    /// How many items a page can hold.
    #[schema(example = 25, minimum = 1, maximum = 100)]
    per_page: u32,
    /// The place of the last item of this page in the list; null when the page is empty.
    #[schema(required, example = 1)]
    to: Option<u64>,
    /// How many items the whole list has.
    #[schema(required, example = 1)]
    total: Option<u64>,
    /// What to give as `cursor` to get what follows this page; null when nothing does.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// The addresses of other pages of a log.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct LogLinks {
    /// The first page.
    #[schema(example = "https://api.example.com/api/v1/resource?page=1")]
    first: String,
    /// The last page; null by cursor.
    #[schema(required, example = "https://api.example.com/api/v1/resource?page=1")]
    last: Option<String>,
    /// The page before this one; null by cursor.
    #[schema(required)]
    prev: Option<String>,
    /// The page after this one.
    #[schema(required)]
    next: Option<String>,
}

/// An error.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct ErrorBody {
    /// A stable code.
    #[schema(example = "not_found")]
    error: String,
    /// A sentence for people.
    #[schema(example = "Resource not found.")]
    message: String,
    /// What to quote when asking for help.
    #[schema(example = "req_abc123def456")]
    request_id: String,
}

/// An input that breaks rules.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct ValidationErrorBody {
    /// `validation_failed`, or `idempotency_key_reused` without `errors`.
    #[schema(example = "validation_failed")]
    error: String,
    /// A sentence for people.
    #[schema(example = "The given data was invalid.")]
    message: String,
    /// What to quote when asking for help.
    #[schema(example = "req_abc123def456")]
    request_id: String,
    /// Every fault, by field.
    #[schema(example = json!({"name": ["The name field is required."]}), nullable = false)]
    errors: Option<std::collections::BTreeMap<String, Vec<String>>>,
}

/// Too many requests.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct RateLimitErrorBody {
    /// `rate_limit_exceeded`
    #[schema(example = "rate_limit_exceeded")]
    error: String,
    /// A sentence for people.
    #[schema(example = "Too many requests. Please retry after 60 seconds.")]
    message: String,
    /// Seconds to wait.
    #[schema(example = 60)]
    retry_after: u64,
    /// The figure that was reached.
    #[schema(example = 1000)]
    limit: u64,
    /// What is left: 0.
    #[schema(example = 0)]
    remaining: u64,
    /// When to come again.
    #[schema(format = DateTime, example = "2026-01-15T11:00:00Z")]
    reset_at: String,
    /// What to quote when asking for help.
    #[schema(example = "req_abc123def456")]
    request_id: String,
}
