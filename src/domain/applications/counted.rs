//! What the server counted with one list of sessions, and the endings that follow from it.

use std::collections::BTreeMap;

/// How a session ended: the label `ending`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Its client said COM_QUIT.
    Closed,
    /// It ended without COM_QUIT: a KILL, a socket that was dropped, a network error.
    Aborted,
    /// It met its `wait_timeout` (or `interactive_timeout`).
    IdleTimeout,
    /// The facts do not decide.
    Undecided,
}

impl Ending {
    /// Every ending, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Aborted, Self::IdleTimeout, Self::Undecided];

    /// The value of the label `ending`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Aborted => "aborted",
            Self::IdleTimeout => "idle_timeout",
            Self::Undecided => "undecided",
        }
    }
}

/// By how much a counter rose, our own part left out. Where our own part is not known to the last one, the rise
/// lies between these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rise {
    /// At least.
    pub least: u64,
    /// At most.
    pub most: u64,
}

impl Rise {
    /// A rise that is known.
    pub const fn exactly(rise: u64) -> Self {
        Self { least: rise, most: rise }
    }
}

/// What the server counted of one user's errors since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErrorCounts {
    /// Error 4031, `ER_CLIENT_INTERACTION_TIMEOUT`: one for each session that met `wait_timeout`.
    pub idle_timeouts: u64,
    /// Errors 1158 to 1161: the network failed, or the client dropped its socket.
    pub network: u64,
}

/// The errors by user, in this round.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Errors {
    /// The server has no such table, or the account may not read it.
    #[default]
    Unavailable,
    /// They were not read in this round.
    NotRead,
    /// What each user has come to, read after the list. A user that is missing has come to nothing.
    Read(BTreeMap<String, ErrorCounts>),
}

/// What the server counted, with one list of sessions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counters {
    /// The rise of `Aborted_clients` since the round before, read before the list, without our own part.
    pub aborted: Option<Rise>,
    /// The rise of `Connections` since the round before, read before the list, without our own. Without it
    /// nothing is known of sessions that came and went between two lists, and nobody is said to be aborted.
    pub connections: Option<u64>,
    /// `@@global.wait_timeout`, in seconds.
    pub wait_timeout: Option<f64>,
    /// Errors by user.
    pub errors: Errors,
}
