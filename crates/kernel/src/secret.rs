//! A text that must not be printed.

use std::fmt;

use zeroize::Zeroizing;

/// Key material. `Debug` says only the type, there is no `Display` and no `Serialize`, and the memory is
/// wiped when the value goes; reading it takes the explicit [`Secret::expose`].
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text in.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the one answer or computation that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_only_the_type() {
        assert_eq!(format!("{:?}", Secret::new("sk_live_x".into())), "Secret(…)");
    }
}
