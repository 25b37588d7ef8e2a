//! Who changed what, as a page and as a file.

use std::collections::HashMap;

use actix_web::{HttpResponse, http::header};
use askama::Template;
use gatepost_app::{
    Actor, AuditEntry, Caller,
    audit_log::{self, ListAuditLog},
    lists::{AUDIT_SORTS, Direction, ListRequest},
};
use gatepost_kernel::{Environment, MemberId, PageRequest, Window};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    page::{self, Answer, Failure, Frame, shown},
    places::{AUDIT_LOG, AUDIT_READ},
    visit::Visit,
};

const PER_PAGE: u32 = 50;
/// How many entries the file has at most.
const IN_FILE: u32 = 2_000;
const KINDS: [&str; 6] = ["api_key", "workspace", "webhook", "mcp_server", "member", "invitation"];

struct Row {
    at: String,
    actor: String,
    action: String,
    target: String,
    address: String,
    request_id: String,
    details: String,
}

#[derive(Template)]
#[template(path = "audit_log.html")]
struct AuditLogPage<'v> {
    frame: Frame,
    rows: Vec<Row>,
    action: &'v str,
    /// The kinds of things, and whether each is the one that is asked for.
    kinds: [(&'static str, bool); 6],
    environment: &'static str,
    in_file: u32,
    file: String,
    page: u64,
    total: u64,
    previous: Option<String>,
    next: Option<String>,
}

/// What is asked for: the filters, and as whom.
struct Asked {
    caller: Caller,
    query: ListAuditLog,
    environment: Environment,
    /// The filters as they stand in an address.
    in_address: String,
}

fn asked(visit: &Visit) -> Result<Asked, Failure> {
    let (action, kind) = (visit.query.filled("action"), visit.query.filled("kind"));
    let environment = Environment::parse(visit.query.get("environment")).unwrap_or(Environment::Live);
    let encoded =
        |value: Option<&str>| utf8_percent_encode(value.unwrap_or_default(), NON_ALPHANUMERIC).to_string();
    let in_address =
        format!("action={}&kind={}&environment={}", encoded(action), encoded(kind), environment.as_str());
    Ok(Asked {
        caller: visit.caller_in(&AUDIT_READ, environment)?,
        query: ListAuditLog {
            action: action.map(str::to_owned),
            target_type: kind.map(str::to_owned),
            ..ListAuditLog::default()
        },
        environment,
        in_address,
    })
}

fn newest(offset: u64, per_page: u32) -> ListRequest {
    let by_time = AUDIT_SORTS.iter().find(|key| key.name == "created_at");
    let order = by_time.map(|key| (*key, Direction::Descending)).into_iter().collect();
    ListRequest { order, ..ListRequest::of(Window::Page(PageRequest { offset, per_page })) }
}

/// `GET /dashboard/settings/audit-log`
pub async fn show(visit: &mut Visit) -> Answer {
    let Asked { caller, query, environment, in_address } = asked(visit)?;
    let number = visit.page_number();
    let request = newest((number - 1) * u64::from(PER_PAGE), PER_PAGE);
    let found = audit_log::list(visit.app(), &caller, query, request).await?;
    let names = audit_log::names_of_members(visit.app(), &caller, &found.items).await?;
    let total = found.total.unwrap_or_default();
    let to = |page: u64| format!("{AUDIT_LOG}?{in_address}&page={page}");
    let template = AuditLogPage {
        rows: found.items.into_iter().map(|entry| row(entry, &names)).collect(),
        action: visit.query.get("action"),
        kinds: KINDS.map(|kind| (kind, kind == visit.query.get("kind"))),
        environment: environment.as_str(),
        in_file: IN_FILE,
        file: format!("{AUDIT_LOG}.csv?{in_address}"),
        page: number,
        total,
        previous: (number > 1).then(|| to(number - 1)),
        next: (number * u64::from(PER_PAGE) < total).then(|| to(number + 1)),
        frame: visit.frame("Audit log").await?,
    };
    page::ok(&template)
}

/// `GET /dashboard/settings/audit-log.csv`
pub async fn download(visit: &mut Visit) -> Answer {
    let Asked { caller, query, .. } = asked(visit)?;
    let mut csv = line(["time", "actor", "action", "target", "address", "request_id", "details"]);
    let per_page = PageRequest::MAX_PER_PAGE;
    for offset in (0..IN_FILE).step_by(per_page as usize) {
        let found =
            audit_log::list(visit.app(), &caller, query.clone(), newest(offset.into(), per_page)).await?;
        let names = audit_log::names_of_members(visit.app(), &caller, &found.items).await?;
        let is_last = found.items.len() < per_page as usize;
        for entry in found.items {
            let at = entry.created_at.to_string();
            let row = row(entry, &names);
            csv.push_str(&line([
                &at,
                &row.actor,
                &row.action,
                &row.target,
                &row.address,
                &row.request_id,
                &row.details,
            ]));
        }
        if is_last {
            break;
        }
    }
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"audit-log.csv\""))
        .body(csv))
}

fn row(entry: AuditEntry, names: &HashMap<MemberId, String>) -> Row {
    let actor = match entry.actor {
        Actor::ApiKey(id, _) => format!("API key {id}"),
        Actor::Member(id, _) => names.get(&id).cloned().unwrap_or_else(|| format!("Member {id}")),
        Actor::Anonymous => "Somebody unknown".to_owned(),
        Actor::CommandLine => "The server's command line".to_owned(),
        Actor::Platform => "The platform".to_owned(),
    };
    let details = match entry.details.is_empty() {
        true => String::new(),
        false => serde_json::Value::Object(entry.details).to_string(),
    };
    Row {
        at: shown(entry.created_at),
        actor,
        action: entry.action,
        target: format!("{} {}", entry.target_type.replace('_', " "), entry.target_id),
        address: entry.ip_address.unwrap_or_default(),
        request_id: entry.request_id.unwrap_or_default(),
        details,
    }
}

/// A line of the file (RFC 4180). A cell that a spreadsheet would take for a formula gets an apostrophe.
fn line(cells: [&str; 7]) -> String {
    let cell = |text: &str| {
        let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    };
    format!("{}\r\n", cells.map(cell).join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        let cells = ["=1+1", "+1", "-1", "@SUM", "\tx", "\rx", "say \"=1\""];
        let expected = "\"'=1+1\",\"'+1\",\"'-1\",\"'@SUM\",\"'\tx\",\"'\rx\",\"say \"\"=1\"\"\"\r\n";
        assert_eq!(line(cells), expected);
    }
}
