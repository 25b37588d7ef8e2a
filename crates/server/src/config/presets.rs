//! Presets: configuration files that come with the program, each of which gives the platform another face.

/// Each by name.
const ALL: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/presets.rs"));

/// The text of the preset of this name.
///
/// # Errors
/// A sentence that names those that there are.
pub fn text(name: &str) -> Result<&'static str, String> {
    let found = ALL.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text).ok_or_else(|| {
        format!(
            "unknown preset {name:?}; known are: {}",
            ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        )
    })
}

/// Their names, each with what it says of itself.
pub fn list() -> impl Iterator<Item = (&'static str, String)> {
    ALL.iter().map(|(name, text)| (*name, about(text)))
}

/// What a preset says of itself: the comment that it begins with.
fn about(text: &str) -> String {
    let comment = text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim);
    comment.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
