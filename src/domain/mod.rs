//! The pure core: plain data in, plain data out. No I/O, no clock, no async, no logging; time is an
//! argument, in seconds. `tests/architecture.rs` keeps it so.
//!
//! By floors, the lowest first:
//!
//! | room | what it holds |
//! |---|---|
//! | [`life`] | the words that all else is said in: kinds, endings, voids, what a life taught, how far two numbers may stray |
//! | [`culprit`] | from one end to who did it: the judgement, the inference, what the deaths beside it say |
//! | [`limit`] | from many ends to the idle limit, and the ladder of ages that are probed |
//! | [`schedule`] | which canary is launched, aimed anew or recalled next |
//! | [`layers`] | every timeout that is known: read, declared, measured; pools, devices, the catalogue of products |
//! | [`applications`] | the applications' own sessions, followed through the server's list |
//! | [`mismatch`] | which timeouts contradict each other |
//! | [`verdict`] | what it all comes to, in sentences and settings |
//! | [`conduct`] | how the exporter behaves: when it must not ask, launch or kill, and whether it can be relied on |

pub mod applications;
pub mod conduct;
pub mod culprit;
pub mod layers;
pub mod life;
pub mod limit;
pub mod mismatch;
pub mod schedule;
pub mod verdict;
