//! What the workspace pays for, and how much of it is used.

use askama::Template;
use gatepost_app::entitlements::{self, FeatureStanding};
use gatepost_entitlements::{Access, Grant};
use gatepost_kernel::settings;

use crate::{
    page::{self, Answer, Frame, shown},
    places::BILLING_ADMIN,
    visit::Visit,
};

struct Row {
    label: String,
    used: String,
    limit: String,
    /// A sentence, where the end is near.
    warning: &'static str,
    reset: String,
}

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    frame: Frame,
    tier: String,
    limits: Vec<(&'static str, String)>,
    rows: Vec<Row>,
    /// Where the plan is changed.
    upgrade_url: Option<String>,
}

/// `GET /dashboard/settings/plan`
pub async fn show(visit: &mut Visit) -> Answer {
    let billing = entitlements::billing(visit.app(), &visit.caller(&BILLING_ADMIN)?).await?;
    let plan = &billing.plan;
    let or_unlimited =
        |number: Option<u64>| number.map_or_else(|| "unlimited".to_owned(), |number| number.to_string());
    let access = match plan.access {
        Access::Read => "read only",
        Access::Write => "read and write",
        Access::Admin => "everything, managing the team and the plan included",
    };
    let limits = vec![
        ("Requests a minute, each key", or_unlimited(plan.requests_per_minute)),
        ("Requests a day, each key", or_unlimited(plan.requests_per_day)),
        ("Keys", or_unlimited(plan.max_keys)),
        ("What keys may do", access.to_owned()),
    ];
    let page = PlanPage {
        tier: billing.summary.tier.clone(),
        limits,
        rows: billing.summary.features.into_iter().map(row).collect(),
        // A link that is no address of the web could run a script.
        upgrade_url: billing.upgrade_url.filter(|url| settings::is_url(url)),
        frame: visit.frame("Plan").await?,
    };
    page::ok(&page)
}

fn row(standing: FeatureStanding) -> Row {
    let FeatureStanding { label, unit, grant, used, reset_at, .. } = standing;
    let of_unit = |number: u64| match &unit {
        Some(unit) => format!("{number} {unit}"),
        None => number.to_string(),
    };
    let (used_text, limit, warning) = match grant {
        Grant::Nothing(_) => (String::new(), "not in the plan".to_owned(), ""),
        Grant::On => (String::new(), "in the plan".to_owned(), ""),
        Grant::Unlimited => (of_unit(used), "unlimited".to_owned(), ""),
        Grant::UpTo { limit, soft } => {
            let warning = match (used >= limit, used >= limit / 5 * 4) {
                (true, _) if soft => "The plan is used up; more is counted.",
                (true, _) => "The plan is used up.",
                (false, true) => "More than 80 % is used.",
                (false, false) => "",
            };
            (of_unit(used), of_unit(limit), warning)
        }
    };
    Row { label, used: used_text, limit, warning, reset: reset_at.map_or_else(String::new, shown) }
}
