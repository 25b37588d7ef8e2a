//! What can be declared, and what is told of what cannot.

use gatepost_resources::{Kind, OnDelete};

use crate::{EXAMPLE, declared, example};

#[test]
fn the_example_is_read() {
    let all = declared(EXAMPLE).expect("the example");
    let names: Vec<_> = all.iter().map(|declared| (declared.name, declared.plural)).collect();
    assert_eq!(
        names[..3],
        [("collection", "collections"), ("lead", "leads"), ("conversation", "conversations")]
    );
    let lead = all.get("lead").expect("a type");
    let parameters: Vec<_> = lead.parameters().collect();
    assert_eq!(parameters, ["email", "status", "score", "score_min", "score_max", "tags", "collection_id"]);
    let operations = [
        "list_leads",
        "create_lead",
        "get_lead",
        "update_lead",
        "put_lead",
        "delete_lead",
        "tag_lead",
        "untag_lead",
        "get_lead_analytics",
    ];
    assert_eq!(lead.operation_ids(), operations);
    let events: Vec<_> = lead.event_types().collect();
    assert_eq!(events, ["lead.created", "lead.updated", "lead.deleted", "lead.tagged", "lead.untagged"]);
    assert!(all.sends("task.completed") && !all.sends("task.started"));

    let message = all.get("message").expect("a child");
    assert_eq!(message.parent_field(), Some("conversation_id"));
    assert_eq!(
        message.operation_ids(),
        ["list_conversation_messages", "create_conversation_message", "get_conversation_message"]
    );
    assert_eq!(message.event_types().collect::<Vec<_>>(), ["message.created"]);
    assert_eq!(all.scope_owner(message).plural, "conversations");
    let kind = &message.fields[0].kind;
    assert!(matches!(
        kind,
        Kind::Ref { to: "conversation", id_prefix: "conv_", on_delete: OnDelete::Cascade }
    ));
    let references: Vec<_> = all.references("collection").map(|(of, field)| (of.name, field.name)).collect();
    assert_eq!(references, [("lead", "collection_id")]);
    assert_eq!(example("conversation").actions_of("handler").collect::<Vec<_>>(), ["take_over", "release"]);
}

/// What is told of a declaration, and of which text in it.
fn error(text: &str, at: &str, told: &str) {
    let (start, error) = declared(text).expect_err(text);
    assert!(error.contains(told), "{text}: {error}");
    let found = text.get(start..).unwrap_or_default();
    assert!(found.starts_with(at), "{text}: told at {found:?}");
}

#[test]
fn what_cannot_be_is_refused_where_it_stands() {
    let one = |rest: &str| format!("[resources.deal]\nids = \"deal_\"\n{rest}");
    let field = |field: &str| one(&format!("fields.a = {{ {field} }}"));
    for (text, at, told) in [
        (one("color = 1"), "color", "unknown field `color`"),
        (field("type = \"color\""), "\"color\"", "known are: text, email"),
        (field("type = \"text\", values = [\"a\"]"), "[\"a\"]", "values is an option of enum"),
        (field("type = \"text\", size = 1"), "size", "unknown field `size`"),
        (field("type = \"text\", max = 0"), "0", "1 to 100000"),
        (field("type = \"text\", max = 501, filter = true"), "true", "max = 500"),
        (field("type = \"url\", sort = true"), "true", "url cannot have sort"),
        (one("log = true\nfields.a = { type = \"text\", sort = true }"), "true", "in no other"),
        (field("type = \"json\", filter = true"), "true", "json cannot have filter"),
        (field("type = \"integer\", unique = true"), "true", "integer cannot have unique"),
        (field("type = \"integer\", min = 2, max = 1"), "\"integer\"", "min ≤ max"),
        (field("type = \"integer\", max = 5, default = 6"), "6", "between"),
        (field("type = \"boolean\", default = \"yes\""), "\"yes\"", "expected a value of boolean"),
        (field("type = \"enum\""), "\"enum\"", "takes values"),
        (field("type = \"enum\", values = []"), "[]", "1 to 100"),
        (field("type = \"enum\", values = [\"a\", \"a\"]"), "\"a\"]", "each once"),
        (field("type = \"enum\", values = [\"a\"], default = \"b\""), "\"b\"", "one of: a"),
        (field("type = \"enum\", values = [\"a\"], moves = { b = [] }"), "b =", "known are: a"),
        (field("type = \"ref\""), "\"ref\"", "takes the resource"),
        (field("type = \"ref\", to = \"deal\""), "\"ref\"", "takes on_delete"),
        (
            field("type = \"ref\", to = \"lead\", on_delete = \"unset\""),
            "\"lead\"",
            "unknown resource; known are: deal",
        ),
        (
            field("type = \"ref\", to = \"deal\", on_delete = \"forget\""),
            "\"forget\"",
            "unset, cascade, restrict",
        ),
        (
            field("type = \"ref\", to = \"deal\", on_delete = \"unset\", required = true"),
            "\"unset\"",
            "required",
        ),
        (field("type = \"text\", set_by = \"hand\""), "\"hand\"", "actions"),
        (field("type = \"text\", required = true, set_by = \"actions\""), "a =", "takes a default"),
        (one("fields.id = { type = \"text\" }"), "id", "every resource has"),
        (one("fields.Name = { type = \"text\" }"), "Name", "a-z"),
        (one("search = [\"b\"]\nfields.a = { type = \"text\" }"), "\"b\"", "known are: a"),
        (one("search = [\"a\"]\nfields.a = { type = \"time\" }"), "\"a\"", "only texts"),
        (one("count = \"deals\""), "\"deals\"", "no plan"),
        (one("parent = \"deal\""), "\"deal\"", "its own parent"),
        (one("parent = \"lead\""), "\"lead\"", "unknown resource"),
        (one("when = { a = [\"b\"] }"), "a =", "takes a parent"),
        (one("plural = \"write\""), "\"write\"", "the action of a scope"),
        (one("plural = \"members\""), "\"members\"", "a path of the platform"),
        (one("plural = \"webhooks\""), "\"webhooks\"", "a path of the platform"),
        (one("plural = \"pixel\""), "\"pixel\"", "a path of the platform"),
        (one("log = true\nactions.win = {}"), "win", "do not change"),
        (one("actions.win = { input = [\"a\"] }"), "\"a\"", "unknown field"),
        (one("actions.win = { event = \"lead.won\" }"), "\"lead.won\"", "deal. and a word"),
        (
            one("fields.a = { type = \"text\", required = true }\nactions.win = { unset = [\"a\"] }"),
            "\"a\"",
            "required",
        ),
        (
            one("fields.a = { type = \"text\" }\nactions.win = { input = [\"a\"], add = [\"a\"] }"),
            "\"a\"] }",
            "a list",
        ),
        (one("fields.a = { type = \"text\" }\nactions.win = { from = { a = [\"b\"] } }"), "\"b\"", "no enum"),
        (
            one("fields.a = { type = \"enum\", values = [\"b\"] }\nenter.c = { field = \"a\" }"),
            "c =",
            "known are: b",
        ),
        (
            one(
                "fields.a = { type = \"integer\", filter = true }\nfields.a_min = { type = \"text\", filter = true }",
            ),
            "deal]",
            "a_min",
        ),
        (
            "[resources.webhook]\nids = \"wh_\"\nplural = \"hooks\"".to_owned(),
            "webhook]",
            "events of the platform",
        ),
        ("[resources.invoice]\nids = \"inv_\"".to_owned(), "invoice]", "list_invoices"),
        ("[resources.error_body]\nids = \"err_\"".to_owned(), "error_body]", "ErrorBody"),
        ("[resources.deal]\nids = \"Deal\"".to_owned(), "\"Deal\"", "such as lead_"),
        ("[resources.deal]\nids = \"evt_\"".to_owned(), "\"evt_\"", "of the platform"),
        ("[resources.a]\nids = \"x_\"\n[resources.b]\nids = \"x_\"".to_owned(), "\"x_\"", "has these ids"),
        (
            "[resources.a]\nids = \"a_\"\nplural = \"bs\"\n[resources.b]\nids = \"b_\"".to_owned(),
            "b]",
            "plural bs",
        ),
        (
            "[resources.a]\nids = \"a_\"\nparent = \"b\"\n[resources.b]\nids = \"b_\"\nparent = \"a\""
                .to_owned(),
            "\"b\"",
            "belongs to another",
        ),
        (
            "[resources.a]\nids = \"a_\"\nlog = true\n[resources.b]\nids = \"b_\"\nparent = \"a\"".to_owned(),
            "\"a\"",
            "no children",
        ),
        (
            "[resources.a]\nids = \"a_\"\nactions.bs = {}\n[resources.b]\nids = \"b_\"\nparent = \"a\""
                .to_owned(),
            "b]",
            "an action of the parent",
        ),
    ] {
        error(&text, at, told);
    }
    let ninth: String =
        (1..=9).map(|n| format!("fields.f{n} = {{ type = \"text\", sort = true }}\n")).collect();
    error(&one(&ninth), "f9", "no more than 8 texts");
    let eight: String =
        (1..=8).map(|n| format!("fields.f{n} = {{ type = \"text\", sort = true }}\n")).collect();
    assert!(declared(&one(&eight)).is_ok());
}
