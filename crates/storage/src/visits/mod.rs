//! Rows of pixel events, of what was counted of them and of requests, and of SEO reports.

mod analytics;
mod pixel;
mod seo_issues;
mod seo_reports;

pub use analytics::{CountedBy, GroupCount};
pub use pixel::{CountedValues, NewPixelEvent, PixelDimension, PixelOwner};
pub use seo_issues::{SEO_ISSUE_SORTS, SeoIssue, SeoIssueFilter};
pub use seo_reports::{NewSeoReport, SEO_REPORT_SORTS, SeoReport};
