//! The pure core: plain data in, plain data out. No I/O, no clock, no async, no logging; time is an
//! argument, in seconds. `tests/architecture.rs` keeps it so.

pub mod culprit;
pub mod duration;
pub mod ending;
pub mod kind;
pub mod ladder;
pub mod limit;
pub mod observation;
