//! What the follower is asked with and what it reports.

use std::collections::BTreeMap;

use super::counted::Ending;

/// Which server is asked, and when.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Listing<'a> {
    /// When the list is asked for, in seconds on the caller's clock.
    pub asked: f64,
    /// The server's own name for itself (`server_uuid`).
    pub identity: Option<&'a str>,
    /// Its `Uptime` in seconds, and between when it was read, in seconds on the caller's clock.
    pub uptime: Option<(f64, f64, f64)>,
    /// `HOST` of one of our own sessions.
    pub own_host: Option<&'a str>,
    /// What `TIME` of a sleeping session counts from.
    pub counts_from: CountsFrom,
}

/// What the server counts `TIME` of a sleeping session from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CountsFrom {
    /// Its sleep: MariaDB.
    #[default]
    Sleep,
    /// The statement before its sleep, which may have taken hours, or what the session itself has set: MySQL. After
    /// `SELECT SLEEP(6)` a session has slept for 6 s at once, after `SET timestamp` since whenever it likes.
    Statement,
}

/// A sleep that a session woke up from: its whole path let it live through it.
#[derive(Debug, Clone, PartialEq)]
pub struct Survival {
    /// The place of its group in [`Follower::groups`](super::Follower::groups).
    pub group: usize,
    /// For how long it had slept at least, in seconds.
    pub at_least: f64,
    /// And at most.
    pub at_most: f64,
}

/// What one round showed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Round {
    /// Sleeps that were survived.
    pub survivals: Vec<Survival>,
    /// How sessions ended, by user: what has been decided since the round before.
    pub endings: BTreeMap<(String, Ending), u64>,
    /// Sessions seen to begin.
    pub births: u64,
    /// Sessions of which nothing will be known any more: another server answers.
    pub out_of_sight: u64,
    /// Sessions that are listed and not followed, for there are too many.
    pub unfollowed: u64,
}

/// A session that is listed now, for those who judge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sleeper {
    /// The place of its group in [`Follower::groups`](super::Follower::groups).
    pub group: usize,
    /// For how long it had slept when it was last seen, in seconds, at least and at most. `None` while it works,
    /// or where the server gives no sense.
    pub idle: Option<(f64, f64)>,
    /// How old it is at least, in seconds.
    pub age: f64,
    /// Whether it was seen to begin.
    pub born_seen: bool,
    /// The longest sleep that it survived itself, in seconds; zero where none is known.
    pub survived: f64,
    /// When that was seen.
    pub survived_at: f64,
}
