//! Rate limits of a key: so many requests in any sliding 60 seconds, so many in a UTC day; and of all keys of a workspace together.
//!
//! Everything here is a value and a rule: the present instant is an argument, and nothing waits. A
//! [`Meter`] holds what one key has used; [`Meter::check`] says what a request would meet, [`Meter::take`] spends.
//! A service can use this crate alone, in process.

mod allowance;
mod day;
mod meter;
mod window;

pub use allowance::{Allowance, Standing};
pub use day::{DayLease, day_end, day_of};
pub use meter::{Meter, Refusal, Standings, Verdict, Whole};
pub use window::MinuteWindow;
