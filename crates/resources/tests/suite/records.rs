//! What becomes of records.

use gatepost_kernel::{FieldErrors, JsonObject};
use gatepost_resources::{Change, Refusal, ResourceType, is_id, new_id};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

use crate::{example, now, object, text};

fn created(of: &ResourceType, json: &str) -> JsonObject {
    of.create(object(json), now()).expect("a record").data
}

fn act(of: &ResourceType, name: &str, before: &JsonObject, input: &str) -> Result<Change, Refusal> {
    of.act(of.action(name).expect("an action"), before, object(input), now())
}

fn fields(errors: &FieldErrors) -> Vec<&str> {
    errors.iter().map(|(field, _)| field).collect()
}

#[test]
fn a_record_has_its_defaults_in_the_order_of_the_declaration() {
    let lead = example("lead");
    let change = lead.create(object(r#"{"score":7,"name":"Ada","email":null}"#), now()).expect("a record");
    assert_eq!(text(&change.data), r#"{"name":"Ada","status":"new","score":7}"#);
    assert_eq!(change.events, ["lead.created"]);
    for missing in ["{}", r#"{"name":null}"#, r#"{"name":" "}"#] {
        let errors = lead.create(object(missing), now()).expect_err(missing);
        assert_eq!(errors.missing("name"), Some("name"), "{missing}");
    }
}

#[test]
fn changes_are_merged() {
    let lead = example("lead");
    let before = created(&lead, r#"{"name":"Ada","company":"A","custom":{"n":1.50}}"#);
    let change = lead.update(&before, object(r#"{"company":null,"score":1}"#), now());
    let change = change.expect("a change").expect("something else");
    assert_eq!(text(&change.data), r#"{"name":"Ada","status":"new","score":1,"custom":{"n":1.50}}"#);
    assert_eq!(change.events, ["lead.updated"]);
    assert_eq!(lead.update(&before, object(r#"{"company":"A"}"#), now()), Ok(None));
    let refused = lead.update(&before, object(r#"{"name":null}"#), now()).expect_err("it is required");
    assert!(matches!(refused, Refusal::Fields(errors) if fields(&errors) == ["name"]));
    // What is declared no more is kept.
    let mut hidden = before.clone();
    hidden.set("old", object(r#"{"a":1}"#).get("a").cloned().expect("a member"));
    let change = lead.update(&hidden, object(r#"{"score":2}"#), now()).expect("a change").expect("another");
    assert!(text(&change.data).ends_with(r#","old":1}"#), "{}", text(&change.data));
}

#[test]
fn values_are_entered_and_left_by_any_way() {
    let task = example("task");
    let todo = created(&task, r#"{"title":"Call"}"#);
    let done =
        task.update(&todo, object(r#"{"status":"completed"}"#), now()).expect("a change").expect("one");
    assert_eq!(done.events, ["task.updated", "task.completed"]);
    assert_eq!(done.data.text("completed_at").as_deref(), Some("2026-01-15T10:30:00Z"));
    let refused = task.update(&done.data, object(r#"{"status":"in_progress"}"#), now());
    let Err(Refusal::State(told)) = refused else { panic!("{refused:?}") };
    assert_eq!(told, "The status of the task cannot become in_progress: from completed it can become todo.");
    let again =
        task.update(&done.data, object(r#"{"status":"todo"}"#), now()).expect("a change").expect("one");
    assert_eq!((again.data.get("completed_at"), again.events), (None, vec!["task.updated"]));
    let change = task.create(object(r#"{"title":"Done","status":"completed"}"#), now()).expect("a record");
    assert_eq!(change.events, ["task.created", "task.completed"]);
}

#[test]
fn actions_need_their_state_and_their_input() {
    let conversation = example("conversation");
    let bot = created(&conversation, "{}");
    let human = act(&conversation, "take_over", &bot, r#"{"agent":"Kim"}"#).expect("it is open");
    assert_eq!(text(&human.data), r#"{"status":"open","handler":"human","agent":"Kim"}"#);
    assert_eq!(human.events, ["conversation.taken_over"]);
    let refused = act(&conversation, "take_over", &human.data, "{}");
    let told = "The conversation cannot take over while its handler is human; it must be bot.";
    assert_eq!(refused, Err(Refusal::State(told.to_owned())));
    let released = act(&conversation, "release", &human.data, "{}").expect("it is taken");
    assert_eq!(text(&released.data), r#"{"status":"open","handler":"bot"}"#);

    let post = example("post");
    let draft = created(&post, r#"{"title":"Hello"}"#);
    let refused = act(&post, "schedule", &draft, "{}");
    assert!(matches!(refused, Err(Refusal::Fields(errors)) if fields(&errors) == ["publish_at"]));
    let published = act(&post, "publish", &draft, "{}").expect("a draft can be published").data;
    assert_eq!(published.text("published_at").as_deref(), Some("2026-01-15T10:30:00Z"));
}

#[test]
fn items_are_added_once_and_taken_away() {
    let lead = example("lead");
    let before = created(&lead, r#"{"name":"Ada","tags":["a"]}"#);
    let tagged = act(&lead, "tag", &before, r#"{"tags":["b","a","b"]}"#).expect("tagged");
    assert_eq!(tagged.data.get("tags").map(|tags| tags.as_str()), Some(r#"["a","b"]"#));
    let untagged = act(&lead, "untag", &tagged.data, r#"{"tags":["a","x"]}"#).expect("untagged");
    assert_eq!(untagged.data.get("tags").map(|tags| tags.as_str()), Some(r#"["b"]"#));
    let refused = act(&lead, "tag", &tagged.data, r#"{"tags":["c","d"]}"#);
    assert!(matches!(refused, Err(Refusal::Fields(errors)) if fields(&errors) == ["tags"]), "three at most");
    let refused = act(&lead, "tag", &before, r#"{"tags":[]}"#);
    assert!(matches!(refused, Err(Refusal::Fields(_))), "nothing to add");
}

#[test]
fn a_parent_must_be_in_its_state() {
    let (conversation, message) = (example("conversation"), example("message"));
    assert_eq!(message.refused_by(&conversation, &object(r#"{"status":"open"}"#)), None);
    let told = message.refused_by(&conversation, &object(r#"{"status":"closed"}"#));
    assert_eq!(
        told.as_deref(),
        Some("A message can only be added while the status of the conversation is open.")
    );
}

#[test]
fn values_have_rules() {
    let lead = example("lead");
    let read = |field: &str, text: &str| lead.field(field).expect("a field").kind.text(field, text);
    assert_eq!(read("email", "Ada@Example.com").as_deref(), Ok("Ada@Example.com"));
    for bad in ["", "ada", "ada@", "a b@example.com", &format!("{}@example.com", "a".repeat(250))] {
        assert!(read("email", bad).is_err(), "{bad}");
    }
    assert_eq!(read("name", "Cafe\u{301}").as_deref(), Ok("Café"));
    assert!(read("name", "a\0b").is_err() && read("name", &"é".repeat(201)).is_err());
    assert_eq!(read("name", &"é".repeat(200)).map(|text| text.chars().count()), Ok(200));
    let told = read("status", "old").expect_err("no value");
    assert_eq!(
        told,
        "The selected status is invalid. It must be one of: new, contacted, qualified, won, lost."
    );
    let told = read("collection_id", "lead_0123456789abcdef").expect_err("another's id");
    assert_eq!(told, "The collection id must be the id of a collection.");
    let post = example("post");
    let time = |text: &str| post.field("publish_at").expect("a field").kind.text("publish_at", text);
    assert_eq!(time("2026-01-15T11:30:00+01:00").as_deref(), Ok("2026-01-15T10:30:00Z"));
    assert!(time("tomorrow").is_err());
    for (data, told) in [
        (r#"{"name":"A","score":101}"#, Some("score")),
        (r#"{"name":"A","status":"old"}"#, Some("status")),
        (r#"{"name":"A","tags":["a","b","c","d"]}"#, Some("tags")),
        (r#"{"score":1}"#, Some("name")),
        (r#"{"name":"A","score":100,"tags":["a"],"custom":{}}"#, None),
    ] {
        let error = lead.error(&object(data));
        assert_eq!(error.is_some(), told.is_some(), "{data}");
        assert!(told.is_none_or(|told| error.as_deref().unwrap_or_default().contains(told)), "{error:?}");
    }
}

proptest! {
    #[test]
    fn ids_are_those_of_their_prefix(seed: u64, other in "[a-z0-9_]{0,24}") {
        let id = new_id(&mut StdRng::seed_from_u64(seed), "lead_");
        prop_assert!(is_id("lead_", &id) && !is_id("post_", &id), "{}", id);
        prop_assert_eq!(is_id("lead_", &other), other.len() == 21 && other.starts_with("lead_") && !other[5..].contains('_'));
    }

    #[test]
    fn a_merge_is_repeatable(score in 0u8..=100, company in proptest::option::of("[a-z]{1,8}")) {
        let lead = example("lead");
        let before = created(&lead, r#"{"name":"Ada"}"#);
        let changes = serde_json::json!({ "score": score, "company": company }).to_string();
        let after = lead.update(&before, object(&changes), now()).expect("a change").expect("something else");
        prop_assert_eq!(lead.update(&after.data, object(&changes), now()), Ok(None));
        prop_assert_eq!(lead.error(&after.data), None);
    }
}
