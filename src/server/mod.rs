//! The server view: what the server itself says, read by a loop over one connection, never by a
//! scrape. One file per source, named as MySQL names it, query and pure parse together. The only SQL
//! in the tree is here.

pub mod applications;
pub mod birth;
pub mod events_errors_summary;
mod ghosts;
pub mod global_status;
pub mod global_variables;
pub mod innodb_trx;
pub mod introduction;
pub mod optional;
pub mod privileges;
pub mod processlist;
mod round;
mod seldom;
pub mod session_connect_attrs;
pub mod statement;
mod troubles;
pub mod uptime;
mod value;
pub mod watch;
pub mod witness;

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::domain::conduct::sight::Sight;
use crate::domain::mismatch::OpenTransaction;
use crate::session::{Asking, Session};

pub use applications::{Applications, Followed, Heard};
pub use global_status::GlobalStatus;
pub use global_variables::GlobalVariables;
pub use processlist::ProcessList;
pub use watch::{Reading, watch};

/// Whose code the server runs: the label `flavor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// MySQL and what descends from it.
    Mysql,
    /// MariaDB.
    Mariadb,
}

impl Flavor {
    /// The flavor that a session's server told of itself.
    fn of(session: &Session) -> Self {
        Self::of_version(&session.greeting.version)
    }

    /// Reads the flavor from a greeting's version text.
    pub fn of_version(version: &str) -> Self {
        if version.to_ascii_lowercase().contains("mariadb") { Self::Mariadb } else { Self::Mysql }
    }

    /// The value of the label `flavor`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
        }
    }
}

/// What one round over the sources found. A source that failed is absent; the others stay.
#[derive(Debug, Clone)]
pub struct ServerView {
    /// When the round was made.
    pub taken_at: Instant,
    /// MySQL or MariaDB.
    pub flavor: Flavor,
    /// The numbers of the version in the greeting: `10.11.19` of `10.11.19-MariaDB-log`.
    pub version: Option<String>,
    /// When the server started, in seconds since the Unix epoch: its `Uptime` before the calendar's time
    /// at the reading.
    pub started_at: Option<f64>,
    /// Status counters.
    pub status: Option<GlobalStatus>,
    /// Settings.
    pub variables: Option<GlobalVariables>,
    /// Sessions, our own left out: all of them only where `sight` says so.
    pub processlist: Option<ProcessList>,
    /// What the applications' sessions came to that were followed. `None` where not everybody's are shown.
    pub followed: Option<Followed>,
    /// What the processlist shows. `None` where it was not read.
    pub sight: Option<Sight>,
    /// Sessions that sleep inside a transaction. `None` where that was not asked, or was refused.
    pub open_transactions: Option<Vec<OpenTransaction>>,
    /// Sessions of ours that the server lists although their client is dead, by path; a path without any is not there.
    pub ghosts: Option<BTreeMap<String, usize>>,
    /// How each source fared.
    pub collectors: BTreeMap<Collector, CollectorRun>,
}

impl ServerView {
    /// The applications' sessions. `None` where they were not read, or cannot be seen: that nobody is
    /// listed then says nothing.
    pub fn applications(&self) -> Option<&ProcessList> {
        self.processlist.as_ref().filter(|_| self.sight == Some(Sight::Everyone))
    }

    /// How many sessions of this path the server lists although their client is dead. `None` where that is not known.
    pub fn ghosts_of(&self, path: &str) -> Option<usize> {
        self.ghosts.as_ref().map(|ghosts| ghosts.get(path).copied().unwrap_or_default())
    }
}

/// A refused query leaves only its answer out; an error that breaks the connection stays one.
fn unless_fatal<T>(result: mysql_async::Result<T>) -> mysql_async::Result<Option<T>> {
    match result {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_fatal() => Err(error),
        Err(_) => Ok(None),
    }
}

/// Asks what may stay unknown. `None` where it rests, or is refused.
async fn optional<T>(
    asking: Option<Asking>,
    answer: impl Future<Output = mysql_async::Result<T>>,
) -> mysql_async::Result<Option<T>> {
    let Some(asking) = asking else { return Ok(None) };
    let answer = answer.await;
    asking.ended(answer.as_ref().is_err_and(mysql_async::Error::is_fatal));
    unless_fatal(answer)
}

/// A source of the server view: the label `collector`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Collector {
    /// `SHOW GLOBAL STATUS`.
    GlobalStatus,
    /// `SHOW GLOBAL VARIABLES`.
    GlobalVariables,
    /// The processlist.
    Processlist,
}

impl Collector {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::GlobalStatus, Self::GlobalVariables, Self::Processlist];

    /// The value of the label `collector`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::GlobalStatus => "global_status",
            Self::GlobalVariables => "global_variables",
            Self::Processlist => "processlist",
        }
    }
}

/// How one source fared in one round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CollectorRun {
    /// Whether it was read.
    pub succeeded: bool,
    /// How long it took, in seconds. `None` where it was not asked: it rests, or nothing could be asked.
    pub seconds: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(Flavor::of_version("10.11.19-MariaDB-0+deb12u1"), Flavor::Mariadb);
        assert_eq!(Flavor::of_version("9.7.4"), Flavor::Mysql);
    }
}
