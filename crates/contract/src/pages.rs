//! Lists by page: `data`, `meta` and `links`, and the `Link` header of RFC 8288.

use gatepost_kernel::{Page, PageRequest, Result, Window};
use serde::Serialize;

use crate::{Contract, to_json};

/// The address of a list, from which the addresses of its pages are made.
pub struct PageUrl {
    /// Scheme, host and path.
    pub base: String,
    /// The query string of the request; everything in it but `page` and `cursor` is kept.
    pub query: String,
}

impl PageUrl {
    fn of_page(&self, page: u64) -> String {
        self.with("page", &page.to_string())
    }

    fn of_cursor(&self, cursor: &str) -> String {
        self.with("cursor", cursor)
    }

    /// Cursors hold only what needs no escape.
    fn with(&self, name: &str, value: &str) -> String {
        let pages = |pair: &&str| matches!(pair.split('=').next(), Some("" | "page" | "cursor"));
        let query: Vec<&str> = self.query.split('&').filter(|pair| !pages(pair)).collect();
        let separator = if query.is_empty() { "" } else { "&" };
        format!("{}?{}{separator}{name}={value}", self.base, query.join("&"))
    }
}

#[derive(Serialize)]
struct Meta {
    current_page: Option<u32>,
    from: Option<u64>,
    last_page: Option<u64>,
    per_page: u32,
    to: Option<u64>,
    total: Option<u64>,
    /// Only in logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<Option<String>>,
}

#[derive(Serialize)]
struct Links {
    first: String,
    last: Option<String>,
    prev: Option<String>,
    next: Option<String>,
}

impl Contract {
    /// The body and the `Link` header of a page; in a log, with the cursor of what follows, if anything does.
    pub fn page<T: Serialize>(
        self,
        page: &Page<T>,
        next_cursor: Option<Option<String>>,
        url: &PageUrl,
    ) -> Result<(Vec<u8>, String)> {
        #[derive(Serialize)]
        struct Body<'a, T> {
            data: &'a [T],
            meta: Meta,
            links: Links,
        }
        let (meta, links) = match page.window {
            Window::Page(request) => by_number(page, request, next_cursor, url),
            Window::After { per_page, .. } => {
                let next =
                    next_cursor.as_ref().and_then(Option::as_deref).map(|cursor| url.of_cursor(cursor));
                let meta = Meta {
                    current_page: None,
                    from: None,
                    last_page: None,
                    per_page,
                    to: None,
                    total: None,
                    next_cursor,
                };
                (meta, Links { first: url.of_page(1), last: None, prev: None, next })
            }
        };
        let named = [
            ("first", Some(&links.first)),
            ("last", links.last.as_ref()),
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

fn by_number<T>(
    page: &Page<T>,
    request: PageRequest,
    next_cursor: Option<Option<String>>,
    url: &PageUrl,
) -> (Meta, Links) {
    let (current, last) = (u64::from(request.page), page.last_page().unwrap_or(1));
    let from = request.offset().unsigned_abs() + 1;
    let shown = (!page.items.is_empty()).then_some(());
    let meta = Meta {
        current_page: Some(request.page),
        from: shown.map(|()| from),
        last_page: Some(last),
        per_page: request.per_page,
        to: shown.map(|()| from + page.items.len() as u64 - 1),
        total: page.total,
        next_cursor: next_cursor.clone(),
    };
    let links = Links {
        first: url.of_page(1),
        last: Some(url.of_page(last)),
        // From beyond the end, the way back leads to the last page.
        prev: (current > 1).then(|| url.of_page((current - 1).min(last))),
        next: match &next_cursor {
            // The page with the next number would begin behind what was left out.
            Some(Some(cursor)) if page.fitting.is_some() => Some(url.of_cursor(cursor)),
            _ => (current < last).then(|| url.of_page(current + 1)),
        },
    };
    (meta, links)
}

#[cfg(test)]
mod tests {
    use gatepost_kernel::{Position, Timestamp};
    use serde_json::{Value, json};

    use super::*;

    fn page(page: u32, items: usize, total: u64) -> Value {
        let url = PageUrl { base: "https://x.test/r".into(), query: "per_page=10&page=9&a=b".into() };
        let window = Window::Page(PageRequest { page, per_page: 10 });
        let page = Page { items: vec![0; items], window, total: Some(total), next: None, fitting: None };
        let (body, link) = Contract::Core.page(&page, None, &url).expect("a page");
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

    #[test]
    fn what_follows_a_cursor_is_not_counted() {
        let url = PageUrl { base: "https://x.test/r".into(), query: "cursor=old&per_page=10".into() };
        let position = Position { at: Timestamp::from_micros(1), id: 1 };
        let page = |next| Page {
            items: vec![0],
            window: Window::After { position, per_page: 10 },
            total: None,
            next,
            fitting: None,
        };
        let (body, _) =
            Contract::Core.page(&page(Some(position)), Some(Some("new".into())), &url).expect("a page");
        let body: Value = serde_json::from_slice(&body).expect("json");
        let meta = json!({"current_page":null,"from":null,"last_page":null,"per_page":10,"to":null,"total":null,"next_cursor":"new"});
        assert_eq!(body["meta"], meta);
        assert_eq!(body["links"]["next"], "https://x.test/r?per_page=10&cursor=new");
        let (body, link) = Contract::Core.page(&page(None), Some(None), &url).expect("a page");
        let body: Value = serde_json::from_slice(&body).expect("json");
        assert_eq!((&body["meta"]["next_cursor"], &body["links"]["next"]), (&Value::Null, &Value::Null));
        assert!(!link.contains("next"));
    }
}
