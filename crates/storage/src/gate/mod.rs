//! Rows of what lets requests in.

mod day_leases;

pub use day_leases::LeaseHolder;
