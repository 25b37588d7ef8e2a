//! Whole lists for the command line, fetched page by page.

use gatepost_kernel::{Page, PageRequest, Result};

/// Fetches every page of a list.
///
/// # Errors
/// Those of `fetch`.
pub async fn every<T>(fetch: impl AsyncFn(PageRequest) -> Result<Page<T>>) -> Result<Vec<T>> {
    let mut request = PageRequest { page: 1, per_page: PageRequest::MAX_PER_PAGE };
    let mut items = Vec::new();
    loop {
        let page = fetch(request).await?;
        let last = page.last_page();
        items.extend(page.items);
        if u64::from(request.page) >= last {
            return Ok(items);
        }
        request.page += 1;
    }
}
