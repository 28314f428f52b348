//! Whether a session that a server lists is surely ours and dead. Only then may it be killed: what is not
//! proved may be somebody else's.

/// What became of one ghost: the label `outcome` of `_ghost_kills_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GhostKill {
    /// The server accepted the KILL.
    Killed,
    /// The server refused the KILL, or did not answer it.
    Refused,
    /// The proof was not complete: no KILL.
    Unproven,
    /// `--canary.kill-ghosts=false`: no KILL.
    Forbidden,
}

impl GhostKill {
    /// Every outcome, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Killed, Self::Refused, Self::Unproven, Self::Forbidden];

    /// The value of the label `outcome`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Refused => "refused",
            Self::Unproven => "unproven",
            Self::Forbidden => "forbidden",
        }
    }
}

/// Which run of which server a session is on, as the session itself read it. A `server_uuid` alone is not
/// enough: a copied data directory has its original's, and MariaDB makes its `server_uid` of a MAC address and a
/// port, which containers on two hosts share.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerMark {
    /// `server_uuid` or `server_uid`.
    pub identity: String,
    /// `@@hostname`.
    pub hostname: String,
    /// `@@port`.
    pub port: u64,
    /// When the server started by its `Uptime`, in seconds on our own clock.
    pub started: f64,
    /// When that was asked, in seconds on the same clock.
    pub read_at: f64,
    /// How long the answer took, in seconds: the server may have said it at any moment of them.
    pub took: f64,
}

/// How far two readings of one start may lie apart: `Uptime` is in whole seconds, read over a network, and counted by
/// the server's own clock. In seconds, and as a share of the time between.
const START_STRAYS: (f64, f64) = (2.0, 0.001);

/// An answer that takes longer, in seconds, says no more of when the server gave it.
const LONGEST_TAKEN: f64 = 5.0;

impl ServerMark {
    /// Whether both are surely one run of one server.
    pub fn is_same_run(&self, other: &Self) -> bool {
        self.is_same_server(other) && self.began_at(other.started, other.read_at, other.took)
    }

    /// Whether this is a later run of the server that the other mark is of: its sessions are gone. A later run began
    /// after the earlier one was spoken to; a start that only seems to have moved is a calendar that was set, or an
    /// `Uptime` that came late.
    pub fn is_later_run_of(&self, other: &Self) -> bool {
        let slack = self.slack(other.read_at, other.took);
        self.is_same_server(other)
            && self.started - other.started > slack
            && self.started > other.read_at - slack
    }

    /// Whether both are of one server, and nothing shows that it was restarted in between.
    pub fn may_be_same_run(&self, other: &Self) -> bool {
        self.is_same_server(other) && !self.is_later_run_of(other) && !other.is_later_run_of(self)
    }

    /// Whether a start, as it was told by an answer that was asked for at `read_at` and took so long, is the same one.
    /// All in seconds on our own clock.
    pub fn began_at(&self, started: f64, read_at: f64, took: f64) -> bool {
        (self.started - started).abs() <= self.slack(read_at, took)
    }

    fn is_same_server(&self, other: &Self) -> bool {
        !self.identity.is_empty()
            && (&self.identity, &self.hostname, self.port) == (&other.identity, &other.hostname, other.port)
    }

    /// How far two readings of one start may lie apart, in seconds. An answer that took long is believed for a while.
    fn slack(&self, read_at: f64, took: f64) -> f64 {
        let took = self.took.min(LONGEST_TAKEN) + took.min(LONGEST_TAKEN);
        START_STRAYS.0 + START_STRAYS.1 * (self.read_at - read_at).abs() + took
    }
}

/// A session's own row in the processlist, as the session read it at its birth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRow {
    /// `USER`.
    pub user: String,
    /// `HOST`, with the port that the server saw.
    pub host: String,
}

/// What is known of a ghost.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Its thread id is surely the server's own: greeting and server told the same one.
    pub id_certain: bool,
    /// Where it lives.
    pub server: Option<ServerMark>,
    /// Its own row.
    pub row: Option<OwnRow>,
    /// For how long the server has surely heard nothing of it, in seconds.
    pub silent_at_least: f64,
    /// For how long the server may have heard nothing of it, in seconds.
    pub silent_at_most: f64,
    /// A living session of ours, or one that has just said COM_QUIT, goes by the same thread id.
    pub id_in_use: bool,
}

/// The session that would send the KILL.
#[derive(Debug, Clone, PartialEq)]
pub struct Executioner {
    /// Its own thread id is certain, and it was told the same one just now.
    pub id_certain: bool,
    /// Where it lives.
    pub server: Option<ServerMark>,
    /// Several servers answer in turn on this path.
    pub path_balanced: bool,
}

/// A row of the processlist, read right before.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListedRow {
    /// `USER`.
    pub user: Option<String>,
    /// `HOST`.
    pub host: Option<String>,
    /// `COMMAND`.
    pub command: Option<String>,
    /// `TIME`, in seconds.
    pub time: Option<f64>,
}

/// What the facts prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The session is ours and dead.
    Complete,
    /// It is in a statement, which must end first.
    Busy,
    /// Something is missing.
    Missing(Gap),
}

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The ghost's server or ours would not tell who it is.
    Identity,
    /// It lives on another server than the one that is asked, or on an earlier run of it.
    OtherServer,
    /// Several servers answer in turn.
    Balanced,
    /// A proxy that speaks MySQL may stand between, or the id could not be checked.
    Proxy,
    /// It could not read its own row.
    OwnRow,
    /// Its row names no port.
    Port,
    /// A living session of ours has the same id.
    IdInUse,
    /// The row's user or host are another's.
    OtherSession,
    /// The row was heard of since, or sleeps for longer than it can.
    Time,
}

impl Gap {
    /// In words, as they follow "it is not certain that it is ours: ".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Identity => "the server does not tell who it is",
            Self::OtherServer => {
                "it lives on another server than the one that is asked, or on an earlier run"
            }
            Self::Balanced => "several servers answer in turn on this path",
            Self::Proxy => "a proxy that speaks MySQL may stand between",
            Self::OwnRow => "it could not read its own row of the processlist",
            Self::Port => "the processlist names no port",
            Self::IdInUse => "a living session has the same id",
            Self::OtherSession => "user or host in the processlist are not its own",
            Self::Time => "its time in the processlist is not its own",
        }
    }
}

/// The server counts whole seconds, and its clock is its own.
const TIME_SLACK_SECONDS: f64 = 2.0;
const TIME_DRIFT: f64 = 0.001;

/// Whether the listed row is the ghost's own, and nobody else's.
pub fn prove(claim: &Claim, executioner: &Executioner, listed: &ListedRow) -> Proof {
    match gap(claim, executioner, listed) {
        Some(gap) => Proof::Missing(gap),
        None if listed.command.as_deref() != Some("Sleep") => Proof::Busy,
        None if is_time_its_own(claim, listed.time) => Proof::Complete,
        None => Proof::Missing(Gap::Time),
    }
}

fn gap(claim: &Claim, executioner: &Executioner, listed: &ListedRow) -> Option<Gap> {
    if executioner.path_balanced {
        return Some(Gap::Balanced);
    }
    let (Some(its), Some(ours)) = (&claim.server, &executioner.server) else { return Some(Gap::Identity) };
    if its.identity.is_empty() || ours.identity.is_empty() {
        return Some(Gap::Identity);
    }
    if !its.is_same_run(ours) {
        return Some(Gap::OtherServer);
    }
    if !claim.id_certain || !executioner.id_certain {
        return Some(Gap::Proxy);
    }
    let Some(row) = &claim.row else { return Some(Gap::OwnRow) };
    if !has_port(&row.host) {
        return Some(Gap::Port);
    }
    if claim.id_in_use {
        return Some(Gap::IdInUse);
    }
    let same = listed.user.as_deref() == Some(row.user.as_str())
        && listed.host.as_deref() == Some(row.host.as_str())
        && !row.user.is_empty();
    (!same).then_some(Gap::OtherSession)
}

/// Whether a host is written with a port: `10.0.0.7:55238`, `::1:55238`, `name:55238`.
fn has_port(host: &str) -> bool {
    let parts = host.rsplit_once(':');
    parts.is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_time_its_own(claim: &Claim, time: Option<f64>) -> bool {
    let slack = TIME_SLACK_SECONDS + TIME_DRIFT * claim.silent_at_most;
    let fits = claim.silent_at_least - slack..=claim.silent_at_most + slack;
    time.is_some_and(|time| time >= 0.0 && fits.contains(&time))
}

#[cfg(test)]
mod tests;
