//! What was found on a page.

use gatepost_kernel::Json;
use gatepost_macros::described;

/// The most issues of one report.
pub const MAX_ISSUES: usize = 1_000;
/// The most characters of an issue's type.
pub const MAX_TYPE_CHARS: usize = 100;

/// How bad an issue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth mending.
    Warning,
    /// Broken.
    Error,
}

gatepost_kernel::written_as_word!(Severity);
gatepost_kernel::described_words!(Severity, "SeoSeverity", "Severity of an issue.", Severity::NAMES);

impl Severity {
    /// The accepted words, the worst first.
    pub const NAMES: [&str; 3] = ["error", "warning", "info"];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// What a word means.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "info" => Some(Self::Info),
            "warning" => Some(Self::Warning),
            "error" => Some(Self::Error),
            _ => None,
        }
    }

    /// Its rank, which grows with how bad it is, from 1.
    pub fn rank(self) -> i64 {
        self as i64 + 1
    }

    /// What a rank means.
    pub fn of_rank(rank: i64) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Error].into_iter().find(|severity| severity.rank() == rank)
    }
}

/// An issue as it was reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Issue {
    /// What kind of issue, as [`issue_type`] accepts it.
    pub issue_type: String,
    /// How bad it is.
    pub severity: Severity,
    /// An object of whatever else was said about it, the element above all.
    pub details: Json,
}

/// Whether a text can be the type of an issue: 1 to 100 letters, digits and `_.:/-`.
pub fn issue_type(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'/' | b'-');
    (1..=MAX_TYPE_CHARS).contains(&text.len()) && text.bytes().all(fits)
}

/// Number of issues by severity.
#[described(name = "SeoIssueCountsView", example = { "error": 0, "warning": 1, "info": 0 })]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IssueCounts {
    /// Number of errors found.
    pub error: u32,
    /// Number of warnings found.
    pub warning: u32,
    /// Number of minor issues found.
    pub info: u32,
}

impl IssueCounts {
    /// Counts.
    pub fn of(issues: &[Issue]) -> Self {
        let mut counts = Self::default();
        for issue in issues {
            *match issue.severity {
                Severity::Error => &mut counts.error,
                Severity::Warning => &mut counts.warning,
                Severity::Info => &mut counts.info,
            } += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_ranks() {
        for word in Severity::NAMES {
            let severity = Severity::parse(word).expect("a severity");
            assert_eq!((severity.as_str(), Severity::of_rank(severity.rank())), (word, Some(severity)));
        }
        assert!(Severity::Error.rank() > Severity::Warning.rank());
        assert_eq!((Severity::parse("fatal"), Severity::of_rank(0)), (None, None));
    }

    #[test]
    fn types_are_bounded() {
        assert!(issue_type("missing_alt") && issue_type("image-alt") && issue_type("wcag2.1:1/4"));
        for bad in ["", " x", "x ", "a\nb", "a\0b", "größe", &"x".repeat(101)] {
            assert!(!issue_type(bad), "{bad:?}");
        }
    }
}
