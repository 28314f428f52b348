//! The applications' own sessions, followed through the rounds of the server view: what they prove of the
//! paths that the applications really use, at no connection of ours. The server view's rounds feed it, row by row as
//! they stream by.
//!
//! ```text
//! row -> follower -> survival, birth, end -> ledger (which kind of end) -> group -> risk, pools, rules -> evidence
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`row`] | one row of the list as the follower takes it; where a session comes from; what its command proves |
//! | [`follower`] | every session from its first sighting to its end, and the survivals in between |
//! | `session` | one followed session, in few bytes |
//! | [`counted`] | what the server counted with one list, and the endings that follow from it |
//! | [`ledger`] | which of the sessions that ended were closed, aborted, or met `wait_timeout` |
//! | `by_user` | who met `wait_timeout` or was aborted, by the errors that the server counted by user |
//! | `unseen` | who else may be meant: sessions that no round saw, and ends that stay unexplained |
//! | [`reports`] | what the follower is asked with and what it reports |
//! | [`groups`] | what is remembered of one user on one host; at most 50 users have a name |
//! | [`risk`] | who is at risk, who is left behind, and how loudly that is told |
//! | [`pools`] | what a pool that nobody declared does, read off its sessions' ends |
//! | [`rules`] | the rules that compare what was declared and measured with what the applications show |
//! | [`evidence`] | what all of it comes to on one path, as rules, settings and verdict take it |
//! | [`driver`] | the closed list of drivers, by the attributes that they send |
//!
//! All times are in seconds on one monotonic clock, the caller's. A listing is answered somewhere between
//! `asked` and `answered`, so nothing here is a point: a session's age and idle time are ranges, and only
//! what holds for the whole range is claimed.

mod by_user;
pub mod counted;
pub mod driver;
pub mod evidence;
pub mod follower;
pub mod groups;
pub mod ledger;
pub mod pools;
pub mod reports;
pub mod risk;
pub mod row;
pub mod rules;
mod session;
mod unseen;

pub use counted::{Counters, Ending, ErrorCounts, Errors, Rise};
pub use driver::Driver;
pub use evidence::{Evidence, Witness};
pub use follower::Follower;
pub use groups::{Group, OTHER};
pub use reports::{CountsFrom, Listing, Round, Sleeper, Survival};
pub use row::{Origin, Row, Whose};

#[cfg(test)]
mod oracle;
