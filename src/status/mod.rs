//! The published state as one document: what `/api/v1/status`, the status page and `check` are drawn from. It is made
//! of what the loops last published, from memory, and asks nobody.
//!
//! | file | what it holds |
//! |---|---|
//! | `document` | the document's shape, and its version |
//! | `target` | how a target is filled in: its server, its declared pools, its applications' sessions |
//! | `path` | how a path is filled in: its canaries, its limits, its layers, its deaths, its verdict |
//! | `book` | the targets that are shown, and the document as text |
//!
//! `docs/status.schema.json` describes the same shape for others, and `tests/status.rs` holds the two together. All
//! numbers are those of the metrics, and all words those of the log: each is made in one place, in the core.

mod book;
mod document;
mod path;
mod target;

pub use book::Book;
pub use document::{
    Canary, Death, DeathsOfAge, Device, Document, Foretold, HeldPastRecycle, IdleAtLeast, Killer, Layer,
    LeftBehind, Limit, LivesOfAge, Mismatch, PathDocument, Pool, Remedies, RiskOfUser, SCHEMA_VERSION,
    Server, ServerLimit, TargetDocument, Trouble, UserSessions, Verdict,
};
#[cfg(test)]
pub(crate) use path::path_for_tests;

/// Seconds to the millisecond: as fine as anything here is measured.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// The same where there may be none, or none that a number can say.
fn known(seconds: f64) -> Option<f64> {
    seconds.is_finite().then(|| rounded(seconds))
}

/// The same where zero means that nothing is known.
fn above_zero(seconds: f64) -> Option<f64> {
    known(seconds).filter(|seconds| *seconds > 0.0)
}
