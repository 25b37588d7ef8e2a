//! Whole lists for the command line, fetched page by page.

use gatepost_app::lists::ListRequest;
use gatepost_kernel::{Page, PageRequest, Result, Window};

/// Fetches every page of a list.
///
/// # Errors
/// Those of `fetch`.
pub async fn every<T>(fetch: impl AsyncFn(ListRequest) -> Result<Page<T>>) -> Result<Vec<T>> {
    let mut request = PageRequest { offset: 0, per_page: PageRequest::MAX_PER_PAGE };
    let mut items = Vec::new();
    loop {
        let page = fetch(ListRequest::of(Window::Page(request))).await?;
        let total = page.total.unwrap_or_default();
        items.extend(page.items);
        request.offset += u64::from(request.per_page);
        if request.offset >= total {
            return Ok(items);
        }
    }
}
