//! Counting by time.
//!
//! What happens is counted by quarter hours since 1970 ([`QuarterHour`]): every offset of a time zone is a
//! whole number of them, so the hours and days of any time zone are sums of slots, and one count serves all.
//! A [`Timeline`] says which.

mod slot;
mod timeline;

pub use slot::QuarterHour;
pub use timeline::{Interval, Moment, Segment, Timeline};
