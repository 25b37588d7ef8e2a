//! What keys are used for, and who still uses one that was replaced.

use askama::Template;
use gatepost_app::keys::usage;
use gatepost_kernel::{PageRequest, Window};
use gatepost_keys::ApiKey;

use crate::{
    chart::total,
    page::{self, Answer, Frame, shown},
    places::{API_KEYS_READ, USAGE},
    visit::Visit,
};

const PER_PAGE: u32 = 20;
const DAYS: [u32; 3] = [7, 30, 90];

/// A key with its requests.
struct Row {
    id: i64,
    name: String,
    prefix: String,
    all: u64,
    refused: u64,
    failed: u64,
    last_used: String,
    /// The key that replaced it.
    replaced_by: Option<i64>,
    /// What to do about a key that was replaced.
    advice: &'static str,
}

#[derive(Template)]
#[template(path = "usage.html")]
struct UsagePage {
    frame: Frame,
    rows: Vec<Row>,
    days: u32,
    /// The periods in days, and whether each is the one that is shown.
    choices: [(u32, bool); 3],
    total: u64,
    page: u64,
    previous: Option<String>,
    next: Option<String>,
}

/// `GET /dashboard/settings/api-keys/usage`
pub async fn show(visit: &mut Visit) -> Answer {
    let caller = visit.caller(&API_KEYS_READ)?;
    let days = visit.query.get("days").parse().ok().filter(|days| DAYS.contains(days)).unwrap_or(30);
    let number = visit.page_number();
    let window = PageRequest { offset: (number - 1) * u64::from(PER_PAGE), per_page: PER_PAGE };
    let (found, counts) = usage::list(visit.app(), &caller, days, Window::Page(window)).await?;
    let now = visit.app().now();
    let rows = found.items.into_iter().map(|key| {
        let of_key = counts.get(&key.id).copied().unwrap_or_default();
        let is_used =
            key.last_used_at.is_some_and(|used| now.since(used) < std::time::Duration::from_hours(24));
        Row {
            advice: advice(&key, is_used),
            id: key.id.0,
            name: key.name,
            prefix: key.prefix,
            all: total(&of_key),
            refused: of_key.refusals,
            failed: of_key.failures,
            last_used: key.last_used_at.map_or_else(|| "never".to_owned(), shown),
            replaced_by: key.rotated_to_id.map(|id| id.0),
        }
    });
    let total = found.total.unwrap_or_default();
    let to = |page: u64| format!("{USAGE}?days={days}&page={page}");
    let template = UsagePage {
        rows: rows.collect(),
        days,
        choices: DAYS.map(|choice| (choice, choice == days)),
        total,
        page: number,
        previous: (number > 1).then(|| to(number - 1)),
        next: (number * u64::from(PER_PAGE) < total).then(|| to(number + 1)),
        frame: visit.frame("Usage").await?,
    };
    page::ok(&template)
}

fn advice(key: &ApiKey, is_used: bool) -> &'static str {
    match (key.rotated_to_id, is_used) {
        (None, _) => "",
        (Some(_), true) => "Somebody still uses the old key.",
        (Some(_), false) => "Nobody has used the old key for 24 hours. It can be revoked.",
    }
}
