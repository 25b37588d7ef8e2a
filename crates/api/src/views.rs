//! What goes out as objects, and what can be asked of them.

use gatepost_kernel::describe::DescribedObject;
use gatepost_keys::Scope;

/// What goes out as an object of its own.
pub trait View: DescribedObject {
    /// Its members, but for those that are there only if they are asked for.
    const MEMBERS: &'static [&'static str];
    /// Those.
    const INCLUDED: &'static [Included];
    /// What the names of its envelopes begin with.
    const STEM: &'static str;
}

/// A member that is there only if it is asked for.
pub struct Included {
    /// Name of the member.
    pub name: &'static str,
    /// What reading it takes.
    pub scope: fn() -> &'static Scope,
    /// What it is, for the document.
    pub about: &'static str,
}

#[cfg(test)]
mod tests {
    use gatepost_kernel::{
        Timestamp,
        describe::{Described, Schemas},
    };
    use gatepost_macros::view;
    use serde_json::json;

    use super::*;
    use crate::scopes::WebhooksRead;

    struct Counted {
        number: u32,
        text: Option<String>,
        parts: Vec<bool>,
    }

    /// A part.
    #[view]
    struct PartView {
        /// The time.
        at: Timestamp,
    }

    /// The whole.
    #[view(from = Counted, example = { "number": 7, "type": "a" })]
    struct WholeView {
        /// A number.
        #[member(maximum = 100)]
        number: u32,
        /// A text.
        text: Option<String>,
        /// A word.
        #[member(from = "a")]
        r#type: &'static str,
        /// A reason.
        #[member(optional, from = None)]
        reason: Option<String>,
        /// A list.
        parts: Vec<bool>,
        /// One part.
        #[member(from = None)]
        part: Option<PartView>,
        /// All parts.
        #[member(included = WebhooksRead, shown = "all parts", from = None)]
        all: Option<Vec<PartView>>,
    }

    #[test]
    fn a_view_is_described_as_it_is_written() {
        let mut schemas = Schemas::default();
        assert_eq!(WholeView::schema(&mut schemas), json!({ "$ref": "#/components/schemas/WholeView" }));
        let part = json!({ "$ref": "#/components/schemas/PartView" });
        let mut told = part.clone();
        told["description"] = json!("One part.");
        let whole = json!({
            "type": "object",
            "description": "The whole.",
            "required": ["number", "text", "type", "parts", "part"],
            "properties": {
                "number": {
                    "type": "integer", "format": "int32", "minimum": 0, "maximum": 100, "description": "A number.", "example": 7,
                },
                "text": { "type": ["string", "null"], "description": "A text." },
                "type": { "type": "string", "description": "A word.", "example": "a" },
                "reason": { "type": "string", "description": "A reason." },
                "parts": { "type": "array", "items": { "type": "boolean" }, "description": "A list." },
                "part": { "oneOf": [told, { "type": "null" }] },
                "all": { "type": "array", "items": part, "description": "All parts." },
            },
        });
        assert_eq!(schemas.get("WholeView"), Some(&whole));
        assert!(schemas.get("PartView").is_some(), "what it refers to is there too");
        assert_eq!(WholeView::MEMBERS, ["number", "text", "type", "reason", "parts", "part"]);
        assert_eq!((WholeView::ALL, WholeView::INCLUDED[0].name), ("all", "all"));
        let view = WholeView::from(Counted { number: 1, text: None, parts: vec![true] });
        let written = r#"{"number":1,"text":null,"type":"a","parts":[true],"part":null}"#;
        assert_eq!(serde_json::to_string(&view).expect("JSON"), written);
    }
}
