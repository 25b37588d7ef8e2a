//! What an endpoint receives: the event as a JSON object.
//!
//! The data is the last member and stands in the text as it came, so it can be put in and taken out without
//! being read.

use gatepost_kernel::{Environment, EventId, Json, Owner, Timestamp, WorkspaceId};
use serde::Serialize;

#[derive(Serialize)]
struct Head<'a> {
    id: &'a EventId,
    #[serde(rename = "type")]
    event_type: &'a str,
    created_at: Timestamp,
    workspace_id: WorkspaceId,
    environment: Environment,
}

/// What stands before the data. No member before it can hold a quotation mark.
const DATA: &str = ",\"data\":";

/// The bytes of an event, which are stored, signed and sent as they are.
pub fn event_payload(
    id: &EventId,
    event_type: &str,
    created_at: Timestamp,
    owner: Owner,
    data: &Json,
) -> String {
    let Owner { workspace_id, environment } = owner;
    let head = Head { id, event_type, created_at, workspace_id, environment };
    // Texts and numbers are always JSON.
    let mut payload = serde_json::to_string(&head).unwrap_or_default();
    payload.pop();
    payload.reserve(DATA.len() + data.as_str().len() + 1);
    payload.push_str(DATA);
    payload.push_str(data.as_str());
    payload.push('}');
    payload
}

/// What happened to what, out of a payload.
pub fn event_data(payload: &str) -> Option<&str> {
    payload.split_once(DATA)?.1.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(data: &str) -> String {
        let id = EventId::parse("evt_1").expect("an id");
        let at = Timestamp::from_micros(1_768_473_000_000_000);
        let data = Json::from_text(data.to_owned()).expect("JSON");
        event_payload(&id, "post.created", at, Owner::new(WorkspaceId(2), Environment::Live), &data)
    }

    #[test]
    fn an_event_looks_as_the_contract_says() {
        let data = r#"{"title":"Über \"Gates\"","price":19.90}"#;
        let payload = payload(data);
        assert_eq!(
            payload,
            "{\"id\":\"evt_1\",\"type\":\"post.created\",\"created_at\":\"2026-01-15T10:30:00.000000Z\",\"workspace_id\":2,\
             \"environment\":\"live\",\"data\":{\"title\":\"Über \\\"Gates\\\"\",\"price\":19.90}}"
        );
        assert_eq!(event_data(&payload), Some(data));
    }

    proptest! {
        #[test]
        fn data_is_taken_out_as_it_was_put_in(text in ".*", number in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?") {
            let text = serde_json::to_string(&text).expect("a text");
            let data = format!("{{ {text}:[{number},{{\"data\":{text}}}] }}");
            let payload = payload(&data);
            prop_assert_eq!(event_data(&payload), Some(data.as_str()));
        }
    }
}
