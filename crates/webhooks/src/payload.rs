//! What an endpoint receives: the event as a JSON object.

use gatepost_kernel::{Environment, EventId, Timestamp, WorkspaceId};
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
struct Payload<'a> {
    id: &'a EventId,
    #[serde(rename = "type")]
    event_type: &'a str,
    created_at: Timestamp,
    workspace_id: WorkspaceId,
    environment: Environment,
    data: &'a Value,
}

/// The bytes of an event, which are stored, signed and sent as they are.
pub fn event_payload(
    id: &EventId,
    event_type: &str,
    created_at: Timestamp,
    workspace_id: WorkspaceId,
    environment: Environment,
    data: &Value,
) -> String {
    let payload = Payload { id, event_type, created_at, workspace_id, environment, data };
    // Texts, numbers and JSON values are always JSON.
    serde_json::to_string(&payload).unwrap_or_default()
}

/// What happened to what, out of a payload.
pub fn event_data(payload: &str) -> Option<Value> {
    let mut payload: Value = serde_json::from_str(payload).ok()?;
    Some(payload.get_mut("data")?.take())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_looks_as_the_contract_says() {
        let id = EventId::parse("evt_1").expect("an id");
        let at = Timestamp::from_micros(1_768_473_000_000_000);
        let data = json!({ "id": 7, "title": "Über \"Gates\"" });
        let payload = event_payload(&id, "post.created", at, WorkspaceId(2), Environment::Live, &data);
        assert_eq!(
            payload,
            "{\"id\":\"evt_1\",\"type\":\"post.created\",\"created_at\":\"2026-01-15T10:30:00Z\",\"workspace_id\":2,\
             \"environment\":\"live\",\"data\":{\"id\":7,\"title\":\"Über \\\"Gates\\\"\"}}"
        );
        assert_eq!(event_data(&payload), Some(data));
    }
}
