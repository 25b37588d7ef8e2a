//! Scopes: `resource:action`, with `resource:*`, `*:action` and `*`.
//!
//! The bare words `read`, `write`, `delete` stand for `*:read`, `*:write`, `*:delete`, and `admin` for `*`. A
//! scope keeps the spelling in which it was given. `*` never reaches across the colon.
//!
//! Tools of MCP servers have scopes of three parts, `mcp:server:tool` and `mcp:server:*`, which are parts of
//! `mcp:write`. A tool's name may be any text: what is not a letter or digit of ASCII, `-`, `_`, `.` or `/`
//! is percent-encoded, as in `mcp:server:New%20Tool`.

use std::{borrow::Cow, fmt, str::FromStr};

use gatepost_kernel::ListErrors;
#[cfg(feature = "json")]
use gatepost_kernel::describe::{Described, Schemas};
#[cfg(feature = "json")]
use serde_json::{Value, json};

/// What a scope looks like, as a regular expression.
pub const SCOPE_PATTERN: &str = "(\\*|admin|read|write|delete|([a-z][a-z0-9_-]{0,48}|\\*):([a-z][a-z0-9_-]{0,48}|\\*)\
                                 |mcp:[a-z][a-z0-9_-]{0,48}:(\\*|([A-Za-z0-9_./-]|%[0-9A-Fa-f]{2})+))";

const MAX_SCOPE_LEN: usize = 100;
/// The longest scope for a tool: 128 characters of the longest encoding, and a server.
const MAX_TOOL_SCOPE_LEN: usize = 1_700;
const MAX_SCOPES: usize = 100;
/// The resource whose scopes have a third part.
const MCP: &str = "mcp";
/// Actions that nobody calls a resource where the action stands first.
const COMMON_ACTIONS: [&str; 4] = ["read", "write", "delete", "admin"];

gatepost_kernel::words! {
    /// Which of a scope's two parts is written first. One word, and scopes for tools, are written in one way
    /// only.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub enum ScopeOrder {
        /// `leads:read`
        #[default]
        ResourceFirst = "resource_first",
        /// `read:leads`
        ActionFirst = "action_first",
    }
}
gatepost_kernel::read_as_word!(ScopeOrder);

impl ScopeOrder {
    /// The accepted forms, as a sentence.
    fn forms(self) -> &'static str {
        match self {
            Self::ResourceFirst => {
                "A scope must be resource:action, resource:*, *:action, *, read, write, delete or admin."
            }
            Self::ActionFirst => {
                "A scope must be action:resource, *:resource, action:*, *, read, write, delete or admin."
            }
        }
    }

    /// A scope as it is written in this order.
    pub fn spell<'a>(self, scope: impl Into<ScopeRef<'a>>) -> Cow<'a, str> {
        let scope = scope.into();
        match scope.text.split_once(':') {
            Some((first, second)) if self != scope.order && !scope.is_for_tools() => {
                Cow::Owned(format!("{second}:{first}"))
            }
            _ => Cow::Borrowed(scope.text),
        }
    }
}

/// Why a text is not a scope: a sentence that says which forms there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeError(&'static str);

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ScopeError {}

impl From<ScopeError> for String {
    fn from(error: ScopeError) -> Self {
        error.0.to_owned()
    }
}

/// One permission, as it was written, its resource first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope(String);

/// A scope that is only looked at, where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeRef<'a> {
    text: &'a str,
    order: ScopeOrder,
}

impl<'a> ScopeRef<'a> {
    /// Reads a scope where it stands.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn parse(text: &'a str) -> Result<Self, ScopeError> {
        Self::parse_in(ScopeOrder::ResourceFirst, text)
    }

    /// Reads a scope that is written in this order. One whose last part is a common action was written in the
    /// other: as it stands it would mean a resource of that name, and allow nothing that its writer thinks
    /// of.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn parse_in(order: ScopeOrder, text: &'a str) -> Result<Self, ScopeError> {
        let word = |s: &str| {
            s.starts_with(|c: char| c.is_ascii_lowercase())
                && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
        };
        let tool = |s: &str| !s.is_empty() && decoded(s).all(|byte| byte.is_some());
        let action = |resource: &str, action: &str| match action.split_once(':') {
            Some((server, name)) => resource == MCP && word(server) && (name == "*" || tool(name)),
            None => action == "*" || word(action),
        };
        let sound = matches!(text, "*" | "admin" | "read" | "write" | "delete")
            || text.split_once(':').is_some_and(|(r, a)| (r == "*" || word(r)) && action(r, a));
        let scope = Self { text, order };
        let longest = if scope.is_for_tools() { MAX_TOOL_SCOPE_LEN } else { MAX_SCOPE_LEN };
        let other_order = order == ScopeOrder::ActionFirst
            && text.split_once(':').is_some_and(|(first, last)| {
                COMMON_ACTIONS.contains(&last) && !COMMON_ACTIONS.contains(&first)
            });
        if sound && !other_order && text.len() <= longest {
            Ok(scope)
        } else if text.starts_with("mcp:") {
            Err(ScopeError(
                "A scope for tools must be mcp:server:tool or mcp:server:*, the tool's name percent-encoded.",
            ))
        } else {
            Err(ScopeError(order.forms()))
        }
    }

    /// Resource and action, each a name or `*`.
    fn parts(self) -> (&'a str, &'a str) {
        match self.text {
            "*" | "admin" => ("*", "*"),
            bare @ ("read" | "write" | "delete") => ("*", bare),
            pair => match (pair.split_once(':').unwrap_or((pair, "")), self.order) {
                (parts @ (MCP, tools), _) if tools.contains(':') => parts,
                (parts, ScopeOrder::ResourceFirst) => parts,
                ((action, resource), ScopeOrder::ActionFirst) => (resource, action),
            },
        }
    }

    /// Whether whoever holds this scope also holds `other`.
    pub fn covers(self, other: ScopeRef<'_>) -> bool {
        let ((resource, action), (other_resource, other_action)) = (self.parts(), other.parts());
        let covers_action = match other_action.split_once(':') {
            // To call any tool is to write.
            Some((server, _)) => {
                action == "write" || action.strip_suffix(":*").is_some_and(|own| own == server)
            }
            None => false,
        };
        (resource == "*" || resource == other_resource)
            && (action == "*" || is_same(action, other_action) || covers_action)
    }

    /// Whether it is for tools of an MCP server, and for nothing else.
    pub fn is_for_tools(self) -> bool {
        self.parts().1.contains(':')
    }

    /// The action that it names; `*` for all.
    pub fn action(self) -> &'a str {
        self.parts().1
    }

    /// The spelling in which it was given.
    pub fn as_str(self) -> &'a str {
        self.text
    }
}

/// Whether two actions are the same one, however the names of tools in them are written.
fn is_same(one: &str, other: &str) -> bool {
    let wildcard = |action: &str| action.ends_with(":*");
    one == other
        || (one.contains('%') || other.contains('%'))
            // The tool that is called `*` is not all tools.
            && !wildcard(one)
            && !wildcard(other)
            && one.split_once(':').zip(other.split_once(':')).is_some_and(
                |((server, tool), (other_server, other_tool))| {
                    server == other_server && decoded(tool).eq(decoded(other_tool))
                },
            )
}

/// The bytes of a tool's name as a scope has it; none where it is not as it should be.
fn decoded(name: &str) -> impl Iterator<Item = Option<u8>> {
    let mut bytes = name.bytes();
    let digit =
        |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).map(|digit| digit as u8);
    std::iter::from_fn(move || {
        let byte = bytes.next()?;
        Some(match byte {
            b'%' => digit(bytes.next()).zip(digit(bytes.next())).map(|(high, low)| high << 4 | low),
            _ => is_plain(byte).then_some(byte),
        })
    })
}

/// Whether a byte of a tool's name stands for itself in a scope.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/')
}

impl<'a> From<&'a Scope> for ScopeRef<'a> {
    fn from(scope: &'a Scope) -> Self {
        Self { text: &scope.0, order: ScopeOrder::ResourceFirst }
    }
}

impl From<ScopeRef<'_>> for Scope {
    fn from(scope: ScopeRef<'_>) -> Self {
        Self(ScopeOrder::ResourceFirst.spell(scope).into_owned())
    }
}

impl Scope {
    /// The scope for one tool of an MCP server, by the name that the server gives it.
    ///
    /// # Errors
    /// If the server's id cannot be part of a scope, or the name is empty or too long.
    pub fn for_tool(server: &str, tool: &str) -> Result<Self, ScopeError> {
        let mut text = format!("{MCP}:{server}:");
        for byte in tool.bytes() {
            match is_plain(byte) {
                true => text.push(byte.into()),
                false => text.push_str(&format!("%{byte:02X}")),
            }
        }
        text.parse()
    }

    /// Whether whoever holds this scope also holds `other`.
    pub fn covers(&self, other: &Self) -> bool {
        ScopeRef::from(self).covers(other.into())
    }

    /// The scope as it was written, its resource first.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        ScopeRef::parse(text).map(Self::from)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The scopes of a key, in the order given, without repetitions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(Vec<Scope>);

#[cfg(feature = "json")]
impl Described for ScopeSet {
    fn schema(_: &mut Schemas) -> Value {
        let scope = json!({
            "type": "string", "pattern": format!("^{SCOPE_PATTERN}$"), "maxLength": MAX_TOOL_SCOPE_LEN,
        });
        json!({ "type": "array", "maxItems": MAX_SCOPES, "items": scope })
    }
}

impl FromStr for ScopeSet {
    type Err = ScopeError;

    /// Reads scopes with blanks between them, as OAuth writes them; none for a text of blanks alone.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        text.split_whitespace().map(str::parse).collect()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut set = Vec::new();
        for scope in scopes {
            if !set.contains(&scope) {
                set.push(scope);
            }
        }
        Self(set)
    }
}

impl ScopeSet {
    /// Whether one of these scopes covers the one that is written in `required`.
    ///
    /// # Errors
    /// [`ScopeError`] if it is not a scope.
    pub fn allows_written(&self, required: &str) -> Result<bool, ScopeError> {
        ScopeRef::parse(required).map(|required| self.allows(required))
    }

    /// Reads a list of scopes.
    ///
    /// # Errors
    /// What is wrong with which scope, or that there are more than 100.
    pub fn parse(texts: &[&str]) -> Result<Self, ListErrors> {
        Self::parse_in(ScopeOrder::ResourceFirst, texts)
    }

    /// Reads a list of scopes that are written in this order.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_in(order: ScopeOrder, texts: &[&str]) -> Result<Self, ListErrors> {
        if texts.len() > MAX_SCOPES {
            return Err(ListErrors::of_list(format!(
                "The scopes may not have more than {MAX_SCOPES} items."
            )));
        }
        let (mut scopes, mut errors) = (Vec::<Scope>::new(), ListErrors::default());
        for (index, text) in texts.iter().enumerate() {
            match ScopeRef::parse_in(order, text).map(Scope::from) {
                Ok(scope) if scopes.contains(&scope) => {}
                Ok(scope) => scopes.push(scope),
                Err(error) => errors.add(index, error),
            }
        }
        errors.none_or(Self(scopes))
    }

    /// `read` and `write`: what a key gets when its maker names no scopes.
    pub fn default_for_new_keys() -> Self {
        Self(vec![Scope("read".to_owned()), Scope("write".to_owned())])
    }

    /// `*`.
    pub fn everything() -> Self {
        Self(vec![Scope("*".to_owned())])
    }

    /// Whether one of these scopes covers `required`.
    pub fn allows<'a>(&self, required: impl Into<ScopeRef<'a>>) -> bool {
        let required = required.into();
        self.0.iter().any(|held| ScopeRef::from(held).covers(required))
    }

    /// The first of `others` that these scopes do not cover.
    pub fn first_missing<'a>(&self, others: &'a Self) -> Option<&'a Scope> {
        others.0.iter().find(|scope| !self.allows(*scope))
    }

    /// Whether one of these scopes is for tools of an MCP server.
    pub fn has_tools(&self) -> bool {
        self.0.iter().any(|held| ScopeRef::from(held).is_for_tools())
    }

    /// The scopes as they are written in this order.
    pub fn texts(&self, order: ScopeOrder) -> Vec<String> {
        self.0.iter().map(|scope| order.spell(scope).into_owned()).collect()
    }

    /// Each scope.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().expect(text)
    }

    #[test]
    fn wildcards_and_bare_words() {
        for (held, covered, not) in [
            (
                "posts:read",
                &["posts:read"][..],
                &["posts:write", "users:read", "posts:*", "*:read", "read", "*"][..],
            ),
            (
                "posts:*",
                &["posts:read", "posts:*", "posts:admin"],
                &["users:read", "*:read", "*", "postsx:read"],
            ),
            ("*:read", &["posts:read", "read", "*:read"], &["posts:write", "posts:*", "*"]),
            ("read", &["posts:read", "*:read", "read"], &["posts:write", "posts:*"]),
            ("write", &["posts:write"], &["posts:delete", "posts:read"]),
            ("*", &["posts:read", "*", "admin", "posts:*", "*:read", "*:*", "delete"], &[]),
            ("admin", &["posts:read", "*", "admin"], &[]),
            ("mcp:write", &["mcp:files:read_file", "mcp:files:*", "mcp:write"], &["mcp:read", "mcp:*"]),
            ("mcp:*", &["mcp:files:read_file", "mcp:files:*", "mcp:read"], &["*"]),
            ("write", &["mcp:files:read_file"], &["mcp:read"]),
            (
                "mcp:files:*",
                &["mcp:files:read_file", "mcp:files:*"],
                &["mcp:write", "mcp:file:x", "mcp:files2:x", "mcp:read", "mcp:*"],
            ),
            (
                "mcp:files:read_file",
                &["mcp:files:read_file"],
                &["mcp:files:*", "mcp:files:read", "mcp:write", "write"],
            ),
            ("mcp:read", &["mcp:read"], &["mcp:files:read_file"]),
            (
                "mcp:files:New%20Tool",
                &["mcp:files:New%20Tool", "mcp:files:%4eew%20Tool"],
                &["mcp:files:New", "mcp:files:*", "mcp:other:New%20Tool", "mcp:files:New%20tool"],
            ),
            ("mcp:files:%C3%BC", &["mcp:files:%c3%bc"], &["mcp:files:%C3%9C"]),
            ("mcp:files:*", &["mcp:files:%2A", "mcp:files:%C3%BC"], &["mcp:file:%2A"]),
            ("mcp:files:%2A", &["mcp:files:%2a"], &["mcp:files:*", "mcp:files:x"]),
            ("entitlements:admin", &["entitlements:admin"], &["entitlements:read", "admin", "*"]),
        ] {
            for text in covered {
                assert!(scope(held).covers(&scope(text)), "{held} covers {text}");
            }
            for text in not {
                assert!(!scope(held).covers(&scope(text)), "{held} does not cover {text}");
            }
        }
    }

    #[test]
    fn malformed_scopes() {
        for bad in [
            "",
            ":",
            "posts:",
            ":read",
            "posts",
            "a:b:c",
            "*:b:c",
            "mcp:a:",
            "mcp::b",
            "mcp:a:b:c",
            "mcp:*:b",
            "mcp:a:b c",
            "mcp:a:ü",
            "mcp:a:b%",
            "mcp:a:b%2",
            "mcp:a:b%2x",
            "posts:re%61d",
            "Posts:read",
            "posts:re ad",
            "po*:read",
            "**",
            "*:",
            "1:read",
        ] {
            assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
        }
        assert!(format!("{}:read", "x".repeat(96)).parse::<Scope>().is_err());
        let errors = ScopeSet::parse(&["posts:read", "bad", "x:"]).expect_err("two errors");
        assert_eq!(errors.iter().map(|error| error.index).collect::<Vec<_>>(), [Some(1), Some(2)]);
        assert!(errors.to_string().starts_with("Item 1: "), "{errors}");
        let many: Vec<_> = (0..101).map(|n| format!("r{n}:read")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let errors = ScopeSet::parse(&many).expect_err("too many");
        assert_eq!(errors.iter().map(|error| error.index).collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn the_action_can_come_first() {
        let order = ScopeOrder::ActionFirst;
        for (text, meant) in [
            ("read:leads", "leads:read"),
            ("read:*", "*:read"),
            ("*:leads", "leads:*"),
            ("read", "read"),
            ("*", "*"),
            ("admin", "admin"),
            ("write:mcp", "mcp:write"),
            ("mcp:files:read_file", "mcp:files:read_file"),
            ("mcp:files:*", "mcp:files:*"),
            ("take_over:conversations", "conversations:take_over"),
        ] {
            let read = Scope::from(ScopeRef::parse_in(order, text).expect(text));
            assert_eq!(read, scope(meant));
            assert_eq!(order.spell(&read), text);
            assert!(scope(meant).covers(&read) && read.covers(&scope(meant)), "{text}");
            let here = ScopeRef::parse_in(order, text).expect(text);
            assert!(here.covers((&read).into()) && ScopeRef::from(&read).covers(here), "{text}");
        }
        for other in ["leads:read", "leads:delete", "settings:admin", "*:write", "leads", "mcp:", ""] {
            assert!(ScopeRef::parse_in(order, other).is_err(), "{other}");
        }
        let error = ScopeRef::parse_in(order, "leads:read").expect_err("the other order");
        assert!(error.to_string().contains("action:resource"), "{error}");
    }

    #[test]
    fn every_name_of_a_tool_has_a_scope() {
        for (name, text) in [
            ("read_file", "mcp:std:read_file"),
            ("New Tool", "mcp:std:New%20Tool"),
            ("colon:name", "mcp:std:colon%3Aname"),
            ("ünïcode", "mcp:std:%C3%BCn%C3%AFcode"),
            ("*", "mcp:std:%2A"),
            ("100%", "mcp:std:100%25"),
        ] {
            assert_eq!(Scope::for_tool("std", name).expect(name).as_str(), text);
        }
        assert!(Scope::for_tool("std", &"😀".repeat(128)).is_ok());
        assert!(Scope::for_tool("std", "").is_err() && Scope::for_tool("St d", "x").is_err());
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        prop_oneof![
            Just("*".to_owned()),
            Just("admin".to_owned()),
            Just("read".to_owned()),
            Just("write".to_owned()),
            "(\\*|[ab]|mcp):(\\*|read|write|admin)",
            "mcp:[ab]:(\\*|[xy]|%2A|%78)",
        ]
        .prop_map(|s| s.parse().expect("a scope"))
    }

    proptest! {
        #[test]
        fn both_orders_say_the_same(one in any_scope(), other in any_scope()) {
            let order = ScopeOrder::ActionFirst;
            let (spelled, other_spelled) = (order.spell(&one), order.spell(&other));
            let read = |text| ScopeRef::parse_in(order, text);
            if let (Ok(here), Ok(there)) = (read(&spelled), read(&other_spelled)) {
                prop_assert_eq!(Scope::from(here), one.clone());
                prop_assert_eq!(here.covers(there), one.covers(&other));
            }
        }

        #[test]
        fn covering_is_reflexive_and_transitive(a in any_scope(), b in any_scope(), c in any_scope()) {
            prop_assert!(a.covers(&a));
            prop_assert!(!(a.covers(&b) && b.covers(&c)) || a.covers(&c));
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = text.parse::<Scope>();
        }

        #[test]
        fn the_scope_of_a_tool_covers_that_tool_alone(one in ".{1,9}", other in ".{1,9}") {
            let scope = |name: &str| Scope::for_tool("s", name).expect("a scope");
            prop_assert_eq!(scope(&one).covers(&scope(&other)), one == other);
        }
    }
}
