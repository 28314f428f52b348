//! The pure core: plain data in, plain data out. No I/O, no clock, no async, no logging; time is an
//! argument, in seconds. `tests/architecture.rs` keeps it so.

pub mod admission;
pub mod applications;
pub mod catalogue;
pub mod companions;
pub mod culprit;
pub mod duration;
pub mod ending;
pub mod health;
pub mod judgement;
pub mod killer;
pub mod kind;
pub mod ladder;
pub mod layers;
pub mod limit;
pub mod lost_state;
pub mod mismatch;
pub mod observation;
pub mod patience;
pub mod pool;
pub mod proof;
pub mod remedy;
pub mod remembered;
pub mod restart;
pub mod schedule;
pub mod sight;
pub mod suspension;
pub mod tolerance;
pub mod twins;
pub mod verdict;
pub mod void;
pub mod words;
