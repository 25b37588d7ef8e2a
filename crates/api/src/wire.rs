//! What travels: bodies that come in (`…Body`), things that go out (`…View`), and their descriptions for the
//! OpenAPI document.

use utoipa::ToSchema;

/// Declares the envelopes of a resource for the document, as schemas with names of their own: generics would be
/// copied into each user. The contract renders the real ones.
macro_rules! envelopes {
    (@item $name:ident $view:ident) => {
        #[doc = concat!("Response with one `", stringify!($view), "`.")]
        #[derive(utoipa::ToSchema)]
        #[expect(dead_code, reason = "only describes what the contract renders")]
        pub struct $name {
            data: $view,
        }
    };
    (@message $name:ident $view:ident) => {
        #[doc = concat!("Response with a message and one `", stringify!($view), "`.")]
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

/// Position of a page in its list.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct PageMeta {
    /// Number of this page.
    #[schema(example = 1, minimum = 1)]
    current_page: u32,
    /// Position of the first item of this page in the list, starting at 1; null if the page is empty.
    #[schema(required, example = 1)]
    from: Option<u64>,
    /// Number of the last page.
    #[schema(example = 1, minimum = 1)]
    last_page: u64,
    /// Maximum number of items per page.
    #[schema(example = 25, minimum = 1, maximum = 100)]
    per_page: u32,
    /// Position of the last item of this page in the list; null if the page is empty.
    #[schema(required, example = 1)]
    to: Option<u64>,
    /// Number of items in the whole list.
    #[schema(example = 1)]
    total: u64,
}

/// URLs of other pages.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct PageLinks {
    /// URL of the first page.
    #[schema(example = "https://api.example.com/api/v1/resource?page=1")]
    first: String,
    /// URL of the last page.
    #[schema(example = "https://api.example.com/api/v1/resource?page=1")]
    last: String,
    /// URL of the previous page; null on the first.
    #[schema(required)]
    prev: Option<String>,
    /// URL of the next page; null on the last.
    #[schema(required)]
    next: Option<String>,
}

/// Position of a page in its log. With a cursor nothing is counted: then only `per_page` and `next_cursor` are not null.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct LogMeta {
    /// Number of this page.
    #[schema(required, example = 1, minimum = 1)]
    current_page: Option<u32>,
    /// Position of the first item of this page in the list, starting at 1; null if the page is empty.
    #[schema(required, example = 1)]
    from: Option<u64>,
    /// Number of the last page.
    #[schema(required, example = 1, minimum = 1)]
    last_page: Option<u64>,
    /// Maximum number of items per page.
    #[schema(example = 25, minimum = 1, maximum = 100)]
    per_page: u32,
    /// Position of the last item of this page in the list; null if the page is empty.
    #[schema(required, example = 1)]
    to: Option<u64>,
    /// Number of items in the whole list.
    #[schema(required, example = 1)]
    total: Option<u64>,
    /// Cursor of the page that follows this one; null if there is none.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// URLs of other pages of a log.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct LogLinks {
    /// URL of the first page.
    #[schema(example = "https://api.example.com/api/v1/resource?page=1")]
    first: String,
    /// URL of the last page; null with a cursor.
    #[schema(required, example = "https://api.example.com/api/v1/resource?page=1")]
    last: Option<String>,
    /// URL of the previous page; null with a cursor.
    #[schema(required)]
    prev: Option<String>,
    /// URL of the next page; null on the last.
    #[schema(required)]
    next: Option<String>,
}

/// An error response.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct ErrorBody {
    /// Stable, machine-readable error code.
    #[schema(example = "not_found")]
    error: String,
    /// Human-readable error message.
    #[schema(example = "Resource not found.")]
    message: String,
    /// Id of the request, for support.
    #[schema(example = "req_abc123def456")]
    request_id: String,
}

/// An error response for invalid input.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct ValidationErrorBody {
    /// Error code: `validation_failed`, or `idempotency_key_reused` without `errors`.
    #[schema(example = "validation_failed")]
    error: String,
    /// Human-readable error message.
    #[schema(example = "The given data was invalid.")]
    message: String,
    /// Id of the request, for support.
    #[schema(example = "req_abc123def456")]
    request_id: String,
    /// Every fault, by field.
    #[schema(example = json!({"name": ["The name field is required."]}), nullable = false)]
    errors: Option<std::collections::BTreeMap<String, Vec<String>>>,
}

/// An error response for too many requests.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct RateLimitErrorBody {
    /// Error code, always `rate_limit_exceeded`.
    #[schema(example = "rate_limit_exceeded")]
    error: String,
    /// Human-readable error message.
    #[schema(example = "Too many requests. Please retry after 60 seconds.")]
    message: String,
    /// Seconds to wait before the next request.
    #[schema(example = 60)]
    retry_after: u64,
    /// Limit that was reached.
    #[schema(example = 1000)]
    limit: u64,
    /// Number of requests left, always 0.
    #[schema(example = 0)]
    remaining: u64,
    /// Time at which the limit has room again.
    #[schema(format = DateTime, example = "2026-01-15T11:00:00Z")]
    reset_at: String,
    /// Id of the request, for support.
    #[schema(example = "req_abc123def456")]
    request_id: String,
}
