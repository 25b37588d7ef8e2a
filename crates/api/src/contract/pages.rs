//! Lists by page: `data`, `meta` and `links`, and the `Link` header of RFC 8288.

use gatepost_kernel::{Page, Result};
use serde::Serialize;

use super::{Contract, to_json};

/// The address of a list, from which the addresses of its pages are made.
pub struct PageUrl<'a> {
    /// Scheme, host and path.
    pub base: String,
    /// The query string of the request; everything in it but `page` is kept.
    pub query: &'a str,
}

impl PageUrl<'_> {
    fn of(&self, page: u64) -> String {
        let kept =
            self.query.split('&').filter(|pair| !pair.is_empty() && pair.split('=').next() != Some("page"));
        let query: Vec<&str> = kept.collect();
        let separator = if query.is_empty() { "" } else { "&" };
        format!("{}?{}{separator}page={page}", self.base, query.join("&"))
    }
}

#[derive(Serialize)]
struct Meta {
    current_page: u32,
    from: Option<u64>,
    last_page: u64,
    per_page: u32,
    to: Option<u64>,
    total: u64,
}

#[derive(Serialize)]
struct Links {
    first: String,
    last: String,
    prev: Option<String>,
    next: Option<String>,
}

impl Contract {
    /// The body and the `Link` header of a page.
    pub fn page<T: Serialize>(self, page: &Page<T>, url: &PageUrl<'_>) -> Result<(Vec<u8>, String)> {
        #[derive(Serialize)]
        struct Body<'a, T> {
            data: &'a [T],
            meta: Meta,
            links: Links,
        }
        let (current, last) = (u64::from(page.request.page), page.last_page());
        let from = page.request.offset().unsigned_abs() + 1;
        let shown = (!page.items.is_empty()).then_some(());
        let meta = Meta {
            current_page: page.request.page,
            from: shown.map(|()| from),
            last_page: last,
            per_page: page.request.per_page,
            to: shown.map(|()| from + page.items.len() as u64 - 1),
            total: page.total,
        };
        let links = Links {
            first: url.of(1),
            last: url.of(last),
            // From beyond the end, the way back leads to the last page.
            prev: (current > 1).then(|| url.of((current - 1).min(last))),
            next: (current < last).then(|| url.of(current + 1)),
        };
        let named = [
            ("first", Some(&links.first)),
            ("last", Some(&links.last)),
            ("prev", links.prev.as_ref()),
            ("next", links.next.as_ref()),
        ];
        let link: Vec<String> =
            named.iter().filter_map(|(rel, url)| url.map(|url| format!("<{url}>; rel=\"{rel}\""))).collect();
        let link = link.join(", ");
        match self {
            Self::Core => Ok((to_json(&Body { data: &page.items, meta, links })?, link)),
        }
    }
}

#[cfg(test)]
mod tests {
    use gatepost_kernel::PageRequest;
    use serde_json::{Value, json};

    use super::*;

    fn page(page: u32, items: usize, total: u64) -> Value {
        let url = PageUrl { base: "https://x.test/r".into(), query: "per_page=10&page=9&a=b" };
        let page = Page { items: vec![0; items], request: PageRequest { page, per_page: 10 }, total };
        let (body, link) = Contract::Core.page(&page, &url).expect("a page");
        let mut body: Value = serde_json::from_slice(&body).expect("json");
        body["link"] = json!(link.matches("rel=").count());
        body
    }

    #[test]
    fn first_middle_last_empty_and_beyond() {
        let url = |n: u32| format!("https://x.test/r?per_page=10&a=b&page={n}");
        let first = page(1, 10, 25);
        assert_eq!(
            first["meta"],
            json!({"current_page":1,"from":1,"last_page":3,"per_page":10,"to":10,"total":25})
        );
        assert_eq!(first["links"], json!({"first":url(1),"last":url(3),"prev":null,"next":url(2)}));
        assert_eq!(first["link"], 3);
        let last = page(3, 5, 25);
        assert_eq!((&last["meta"]["from"], &last["meta"]["to"]), (&json!(21), &json!(25)));
        assert_eq!(last["links"]["next"], Value::Null);
        let empty = page(1, 0, 0);
        assert_eq!(
            empty["meta"],
            json!({"current_page":1,"from":null,"last_page":1,"per_page":10,"to":null,"total":0})
        );
        let beyond = page(9, 0, 25);
        assert_eq!((&beyond["links"]["prev"], &beyond["links"]["next"]), (&json!(url(3)), &Value::Null));
    }
}
