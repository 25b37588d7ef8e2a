//! SEO reports: the scores of a page, the issues that were found on it, and when a score has dropped.
//!
//! Nothing here does input or output; the address of a page is checked by [`page_url`], and what has dropped
//! against the last report of the page is said by [`Scores::dropped`].

mod issue;
mod scores;
mod url;

pub use issue::{Issue, IssueCounts, MAX_ISSUES, MAX_TYPE_CHARS, Severity, issue_type};
pub use scores::{Dropped, MAX_SCORE, SCORES, Scores};
pub use url::page_url;
