//! What is said of declared resources in sentences.

/// The text with a capital.
pub fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(text.len().min(1));
    first.to_ascii_uppercase() + rest
}

/// The word with its article.
pub fn one(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {word}")
}

/// `a, b and c`
pub fn listed(words: &[String], between: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} {between} {last}", most.join(", ")),
    }
}

/// What an event says: `lead.tagged` that a lead was `tagged`.
pub fn what_happened(event_type: &str) -> String {
    event_type.split_once('.').map_or(event_type, |(_, what)| what).replace('_', " ")
}

/// What an answer says that was done: `Lead tagged successfully.`
pub fn done(label: &str, event_type: &str) -> String {
    format!("{} {} successfully.", capital(label), what_happened(event_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_english() {
        assert_eq!(one("order"), "an order");
        assert_eq!(one("lead"), "a lead");
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(listed(&words(&["a", "b", "c"]), "and"), "a, b and c");
        assert_eq!(listed(&words(&["a"]), "and"), "a");
        assert_eq!(listed(&[], "and"), "");
        assert_eq!(done("conversation", "conversation.taken_over"), "Conversation taken over successfully.");
    }
}
