//! What happened, in dotted words, and which of it an endpoint wants to hear.

const MAX_LEN: usize = 128;
/// The first words of the types that Gatepost itself sends: who receives one must be able to rely on that.
pub const RESERVED: [&str; 8] =
    ["api_key", "workspace", "webhook", "entitlement", "seo", "mcp", "oauth", "member"];

/// `post.created`: lower-case words of `[a-z0-9_]`, separated by dots.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventType(String);

impl EventType {
    /// Reads a type; `None` if it is not one, or longer than 128.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() <= MAX_LEN && text.split('.').all(is_word)).then(|| Self(text.to_owned()))
    }

    /// The words with their dots.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether only Gatepost itself sends events of this type.
    pub fn is_reserved(&self) -> bool {
        self.0.split_once('.').is_some_and(|(first, _)| RESERVED.contains(&first))
    }
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// What an endpoint wants: a type, `post.*` for everything below `post` at any depth, or `*` for everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subscription(String);

impl Subscription {
    /// Reads a subscription; `None` if it is none of the three forms.
    pub fn parse(text: &str) -> Option<Self> {
        let named = text.strip_suffix(".*").unwrap_or(text);
        let sound = text == "*" || EventType::parse(named).is_some();
        sound.then(|| Self(text.to_owned()))
    }

    /// Whether an event of this type is wanted.
    pub fn covers(&self, event_type: &str) -> bool {
        match self.0.strip_suffix('*') {
            // With its dot, so `post.*` does not cover `posts.created`, and not `post` itself.
            Some(below) => event_type.len() > below.len() && event_type.starts_with(below),
            None => self.0 == event_type,
        }
    }

    /// The spelling in which it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn subscriptions_cover_what_they_say() {
        for (subscription, covered, not) in [
            ("post.created", &["post.created"][..], &["post.updated", "post", "post.created.again"][..]),
            ("post.*", &["post.created", "post.comment.added"], &["post", "posts.created", "poster"]),
            ("*", &["post", "a.b.c"], &[]),
        ] {
            let subscription = Subscription::parse(subscription).expect(subscription);
            assert!(covered.iter().all(|event| subscription.covers(event)), "{subscription:?}");
            assert!(!not.iter().any(|event| subscription.covers(event)), "{subscription:?}");
        }
    }

    #[test]
    fn types_of_gatepost_are_known_by_their_first_word() {
        for (text, reserved) in
            [("api_key.created", true), ("webhook.test", true), ("webhook", false), ("post.webhook", false)]
        {
            assert_eq!(EventType::parse(text).expect(text).is_reserved(), reserved, "{text}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for bad in ["", ".", "a.", ".a", "a..b", "A.b", "a b", "a-b", "é", "*", "a.*", &"a".repeat(129)] {
            assert_eq!(EventType::parse(bad), None, "{bad}");
        }
        for bad in ["", "**", "*.a", "a*", "a.*.b", ".*", "a.**", "A.*"] {
            assert_eq!(Subscription::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_type_covers_itself_and_its_parents_cover_it(words in proptest::collection::vec("[a-z0-9_]{1,8}", 1..6)) {
            let event = words.join(".");
            let covers = |subscription: &str| Subscription::parse(subscription).is_some_and(|s| s.covers(&event));
            prop_assert!(covers(&event) && covers("*"));
            for depth in 1..words.len() {
                let parent = format!("{}.*", words[..depth].join("."));
                prop_assert!(covers(&parent), "{}", parent);
            }
        }
    }
}
