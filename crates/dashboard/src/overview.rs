//! The first page.

use std::time::Duration;

use askama::Template;
use gatepost_app::{
    keys::api_keys::{self, ListApiKeys},
    lists::ListRequest,
};
use gatepost_kernel::{PageRequest, Timestamp, Window};
use gatepost_keys::{ApiKey, KeyStatus};

use crate::{
    page::{self, Answer, Frame},
    places::{self, API_KEYS_READ, API_KEYS_WRITE},
    visit::Visit,
};

/// A key that somebody should look at, and why.
struct Care {
    id: i64,
    name: String,
    why: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    sees_keys: bool,
    makes_keys: bool,
    keys: u64,
    cares: Vec<Care>,
    /// An address to try a key with.
    example_url: String,
}

/// `GET /dashboard`
pub async fn show(visit: &mut Visit) -> Answer {
    let now = visit.app().now();
    let makes_keys = visit.caller(&API_KEYS_WRITE).is_ok();
    let (keys, cares, sees_keys) = match visit.caller(&API_KEYS_READ) {
        Ok(caller) => {
            let first = PageRequest { offset: 0, per_page: PageRequest::MAX_PER_PAGE };
            let request = ListRequest::of(Window::Page(first));
            let (keys, _) = api_keys::list(visit.app(), &caller, ListApiKeys::default(), request).await?;
            let cares = keys.items.iter().filter_map(|key| care(key, now)).collect();
            (keys.total.unwrap_or_default(), cares, true)
        }
        Err(_) => (0, Vec::new(), false),
    };
    let base_path = &visit.state.contract().base_path;
    let example_url = format!("{}{base_path}/me", visit.base_url);
    let frame = visit.frame("Overview").await?;
    page::ok(&OverviewPage { frame, sees_keys, makes_keys, keys, cares, example_url })
}

/// `GET /dashboard/`
pub async fn to_start(_: &mut Visit) -> Answer {
    page::see_other(places::OVERVIEW)
}

/// Why somebody should look at a key, if they should.
fn care(key: &ApiKey, now: Timestamp) -> Option<Care> {
    const SOON: Duration = Duration::from_hours(14 * 24);
    const IDLE: Duration = Duration::from_hours(90 * 24);
    if key.status(now) != KeyStatus::Active {
        return None;
    }
    let used = key.last_used_at.unwrap_or(key.created_at);
    let why = match key.ends_at() {
        Some(end) if end < now.plus(SOON) => format!("expires {}", page::shown(end)),
        _ if now.since(used) >= IDLE => "was not used for 90 days".to_owned(),
        None => "never expires".to_owned(),
        Some(_) => return None,
    };
    Some(Care { id: key.id.0, name: key.name.clone(), why })
}
