//! Lists by page, in the styles that there are, and the `Link` header of RFC 8288.

use gatepost_kernel::{Page, PageRequest, Result, Window, words};
use serde::Serialize;

use crate::{Contract, EnvelopeStyle, to_json};

words! {
    /// How lists are cut into pages.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Paging {
        /// `page` and `per_page`; `meta` with the numbers of pages and rows, and `links`.
        Pages = "pages",
        /// `page` and `per_page`; `meta` with `page`, `per_page` and `total`.
        ShortPages = "short_pages",
        /// `offset` and `limit`; `pagination` with `total`, `limit`, `offset` and `has_more`.
        Offset = "offset",
    }
}
gatepost_kernel::read_as_word!(Paging);

impl Paging {
    /// The parameter that says which page.
    pub fn position_name(self) -> &'static str {
        match self {
            Self::Pages | Self::ShortPages => "page",
            Self::Offset => "offset",
        }
    }

    /// The parameter that says how many items.
    pub fn size_name(self) -> &'static str {
        match self {
            Self::Pages | Self::ShortPages => "per_page",
            Self::Offset => "limit",
        }
    }
}

/// The address of a list, from which the addresses of its pages are made.
pub struct PageUrl {
    /// Scheme, host and path.
    pub base: String,
    /// The query string of the request; everything in it but the place in the list is kept.
    pub query: String,
}

impl PageUrl {
    fn of_offset(&self, paging: Paging, offset: u64, per_page: u32) -> String {
        let position = match paging {
            Paging::Pages | Paging::ShortPages => PageRequest { offset, per_page }.page(),
            Paging::Offset => offset,
        };
        self.with(paging.position_name(), &position.to_string())
    }

    fn of_cursor(&self, cursor: &str) -> String {
        self.with("cursor", cursor)
    }

    /// Cursors hold only what needs no escape.
    fn with(&self, name: &str, value: &str) -> String {
        let places = |pair: &&str| matches!(pair.split('=').next(), Some("" | "page" | "offset" | "cursor"));
        let query: Vec<&str> = self.query.split('&').filter(|pair| !places(pair)).collect();
        let separator = if query.is_empty() { "" } else { "&" };
        format!("{}?{}{separator}{name}={value}", self.base, query.join("&"))
    }
}

#[derive(Serialize)]
struct Meta {
    current_page: Option<u64>,
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

#[derive(Serialize)]
struct ShortMeta {
    page: Option<u64>,
    per_page: u32,
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<Option<String>>,
}

#[derive(Serialize)]
struct Pagination {
    total: Option<u64>,
    limit: u32,
    offset: Option<u64>,
    has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<Option<String>>,
}

#[derive(Serialize)]
struct Body<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    data: &'a [T],
    #[serde(flatten)]
    position: PageMembers,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PageMembers {
    Pages { meta: Meta, links: Links },
    ShortPages { meta: ShortMeta },
    Offset { pagination: Pagination },
}

impl Contract {
    /// The body and the `Link` header of a page; in a log, with the cursor of what follows, if anything does.
    pub fn page<T: Serialize>(
        &self,
        page: &Page<T>,
        next_cursor: Option<Option<String>>,
        url: &PageUrl,
    ) -> Result<(Vec<u8>, String)> {
        let links = links(self.paging, page, next_cursor.as_ref(), url);
        let named = [
            ("first", Some(&links.first)),
            ("last", links.last.as_ref()),
            ("prev", links.prev.as_ref()),
            ("next", links.next.as_ref()),
        ];
        let link: Vec<String> =
            named.iter().filter_map(|(rel, url)| url.map(|url| format!("<{url}>; rel=\"{rel}\""))).collect();
        let link = link.join(", ");
        let (asked, per_page, total) = (by_number(page.window), page.window.per_page(), page.total);
        let position = match self.paging {
            Paging::Pages => {
                let shown = asked.filter(|_| !page.items.is_empty());
                let meta = Meta {
                    current_page: asked.map(PageRequest::page),
                    from: shown.map(|asked| asked.offset + 1),
                    last_page: asked.map(|_| page.last_page().unwrap_or(1)),
                    per_page,
                    to: shown.map(|asked| asked.offset + page.items.len() as u64),
                    total,
                    next_cursor,
                };
                PageMembers::Pages { meta, links }
            }
            Paging::ShortPages => {
                let page = asked.map(PageRequest::page);
                PageMembers::ShortPages { meta: ShortMeta { page, per_page, total, next_cursor } }
            }
            Paging::Offset => {
                let offset = asked.map(|asked| asked.offset);
                let has_more = links.next.is_some();
                let pagination = Pagination { total, limit: per_page, offset, has_more, next_cursor };
                PageMembers::Offset { pagination }
            }
        };
        let success = (self.envelope == EnvelopeStyle::Success).then_some(true);
        Ok((to_json(&Body { success, data: &page.items, position })?, link))
    }
}

fn by_number(window: Window) -> Option<PageRequest> {
    match window {
        Window::Page(request) => Some(request),
        Window::After { .. } => None,
    }
}

fn links<T>(paging: Paging, page: &Page<T>, next_cursor: Option<&Option<String>>, url: &PageUrl) -> Links {
    let cursor = next_cursor.and_then(Option::as_deref);
    let size = u64::from(page.window.per_page());
    let at = |offset: u64| url.of_offset(paging, offset, page.window.per_page());
    let Some(PageRequest { offset, .. }) = by_number(page.window) else {
        let next = cursor.map(|cursor| url.of_cursor(cursor));
        return Links { first: at(0), last: None, prev: None, next };
    };
    let last = (page.last_page().unwrap_or(1) - 1) * size;
    let next = match cursor {
        // What begins with the next number would begin behind what was left out.
        Some(cursor) if page.fitting.is_some() => Some(url.of_cursor(cursor)),
        _ => page.total.filter(|total| offset + size < *total).map(|_| at(offset + size)),
    };
    // From beyond the end, the way back leads to the last page.
    let prev = (offset > 0).then(|| at(offset.saturating_sub(size).min(last)));
    Links { first: at(0), last: Some(at(last)), prev, next }
}

#[cfg(test)]
mod tests {
    use gatepost_kernel::{Position, Timestamp};
    use serde_json::{Value, json};

    use super::*;

    fn page(page: u32, items: usize, total: u64) -> Value {
        let url = PageUrl { base: "https://x.test/r".into(), query: "per_page=10&page=9&a=b".into() };
        let window = Window::Page(PageRequest::of_page(page, 10));
        let page = Page { items: vec![0; items], window, total: Some(total), next: None, fitting: None };
        let (body, link) = Contract::core().page(&page, None, &url).expect("a page");
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
            Contract::core().page(&page(Some(position)), Some(Some("new".into())), &url).expect("a page");
        let body: Value = serde_json::from_slice(&body).expect("json");
        let meta = json!({"current_page":null,"from":null,"last_page":null,"per_page":10,"to":null,"total":null,"next_cursor":"new"});
        assert_eq!(body["meta"], meta);
        assert_eq!(body["links"]["next"], "https://x.test/r?per_page=10&cursor=new");
        let (body, link) = Contract::core().page(&page(None), Some(None), &url).expect("a page");
        let body: Value = serde_json::from_slice(&body).expect("json");
        assert_eq!((&body["meta"]["next_cursor"], &body["links"]["next"]), (&Value::Null, &Value::Null));
        assert!(!link.contains("next"));
    }

    #[test]
    fn other_styles_say_the_same_in_their_own_words() {
        let url = PageUrl { base: "https://x.test/r".into(), query: "limit=10&offset=10".into() };
        let window = Window::Page(PageRequest { offset: 10, per_page: 10 });
        let page = Page { items: vec![0; 10], window, total: Some(25), next: None, fitting: None };
        let body = |paging| {
            let contract = Contract { paging, envelope: EnvelopeStyle::Success, ..Contract::core() };
            let (body, link) = contract.page(&page, None, &url).expect("a page");
            (serde_json::from_slice::<Value>(&body).expect("json"), link)
        };
        let (short, _) = body(Paging::ShortPages);
        assert_eq!(short["meta"], json!({"page":2,"per_page":10,"total":25}));
        let (offset, link) = body(Paging::Offset);
        assert_eq!(offset["pagination"], json!({"total":25,"limit":10,"offset":10,"has_more":true}));
        assert!(link.contains("<https://x.test/r?limit=10&offset=20>; rel=\"next\""), "{link}");
        assert_eq!((&offset["success"], offset.get("meta")), (&json!(true), None));
    }
}
