#![doc = include_str!("../README.md")]

mod allowance;
mod day;
mod meter;
mod window;

pub use allowance::{Allowance, Standing};
pub use day::{DayLease, day_end, day_of};
pub use meter::{Meter, Refusal, Standings, Verdict, Whole};
pub use window::MinuteWindow;

pub use gatepost_kernel::{Error, Timestamp};
