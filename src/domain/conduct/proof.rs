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
mod tests {
    use super::*;

    fn mark() -> ServerMark {
        ServerMark {
            identity: "uuid".to_owned(),
            hostname: "db1".to_owned(),
            port: 3306,
            started: -5000.0,
            read_at: 10.0,
            took: 0.0,
        }
    }

    fn facts() -> (Claim, Executioner, ListedRow) {
        let claim = Claim {
            id_certain: true,
            server: Some(mark()),
            row: Some(OwnRow { user: "canary".to_owned(), host: "10.0.0.7:55238".to_owned() }),
            silent_at_least: 10.0,
            silent_at_most: 310.0,
            id_in_use: false,
        };
        let executioner = Executioner { id_certain: true, server: Some(mark()), path_balanced: false };
        let listed = ListedRow {
            user: Some("canary".to_owned()),
            host: Some("10.0.0.7:55238".to_owned()),
            command: Some("Sleep".to_owned()),
            time: Some(310.0),
        };
        (claim, executioner, listed)
    }

    /// One fact that is otherwise than in a complete proof.
    type Change = fn(&mut Claim, &mut Executioner, &mut ListedRow);

    #[test]
    fn only_a_complete_proof_kills() {
        let missing = Proof::Missing;
        let table: &[(&str, Change, Proof)] = &[
            ("everything is known and fits", |_, _, _| {}, Proof::Complete),
            ("several servers in turn", |_, by, _| by.path_balanced = true, missing(Gap::Balanced)),
            ("its server is unknown", |ghost, _, _| ghost.server = None, missing(Gap::Identity)),
            ("our server is unknown", |_, by, _| by.server = None, missing(Gap::Identity)),
            (
                "neither server has an identity",
                |ghost, by, _| {
                    for server in [&mut ghost.server, &mut by.server] {
                        server.as_mut().expect("known").identity.clear();
                    }
                },
                missing(Gap::Identity),
            ),
            (
                "another server",
                |_, by, _| by.server.as_mut().expect("known").identity = "other".to_owned(),
                missing(Gap::OtherServer),
            ),
            (
                "a copied data directory on another machine",
                |_, by, _| by.server.as_mut().expect("known").hostname = "db2".to_owned(),
                missing(Gap::OtherServer),
            ),
            (
                "a copied data directory on another port",
                |_, by, _| by.server.as_mut().expect("known").port = 3307,
                missing(Gap::OtherServer),
            ),
            (
                "a copy that started a minute later",
                |_, by, _| by.server.as_mut().expect("known").started += 60.0,
                missing(Gap::OtherServer),
            ),
            (
                "a copy that started a minute earlier",
                |_, by, _| by.server.as_mut().expect("known").started -= 60.0,
                missing(Gap::OtherServer),
            ),
            (
                "Uptime a second off",
                |_, by, _| by.server.as_mut().expect("known").started += 1.0,
                Proof::Complete,
            ),
            ("its id may be a proxy's", |ghost, _, _| ghost.id_certain = false, missing(Gap::Proxy)),
            ("our id may be a proxy's", |_, by, _| by.id_certain = false, missing(Gap::Proxy)),
            ("it could not read its row", |ghost, _, _| ghost.row = None, missing(Gap::OwnRow)),
            (
                "a host without port, on both sides",
                |ghost, _, listed| {
                    ghost.row.as_mut().expect("known").host = "localhost".to_owned();
                    listed.host = Some("localhost".to_owned());
                },
                missing(Gap::Port),
            ),
            (
                "an IPv6 host",
                |ghost, _, listed| {
                    ghost.row.as_mut().expect("known").host = "::1:55238".to_owned();
                    listed.host = Some("::1:55238".to_owned());
                },
                Proof::Complete,
            ),
            (
                "a user without a name",
                |ghost, _, listed| {
                    ghost.row.as_mut().expect("known").user.clear();
                    listed.user = Some(String::new());
                },
                missing(Gap::OtherSession),
            ),
            ("a living session has its id", |ghost, _, _| ghost.id_in_use = true, missing(Gap::IdInUse)),
            ("another user", |_, _, listed| listed.user = Some("app".to_owned()), missing(Gap::OtherSession)),
            (
                "our user, from another port",
                |_, _, listed| listed.host = Some("10.0.0.7:55239".to_owned()),
                missing(Gap::OtherSession),
            ),
            (
                "our user, from another host",
                |_, _, listed| listed.host = Some("10.0.0.8:55238".to_owned()),
                missing(Gap::OtherSession),
            ),
            ("no user", |_, _, listed| listed.user = None, missing(Gap::OtherSession)),
            ("no host", |_, _, listed| listed.host = None, missing(Gap::OtherSession)),
            ("in a statement", |_, _, listed| listed.command = Some("Query".to_owned()), Proof::Busy),
            ("no command", |_, _, listed| listed.command = None, Proof::Busy),
            (
                "a stranger's statement",
                |_, _, listed| {
                    listed.command = Some("Query".to_owned());
                    listed.host = Some("10.0.0.8:55238".to_owned());
                },
                missing(Gap::OtherSession),
            ),
            ("last heard with the probe", |_, _, listed| listed.time = Some(10.0), Proof::Complete),
            ("heard of since", |_, _, listed| listed.time = Some(5.0), missing(Gap::Time)),
            ("asleep since before its birth", |_, _, listed| listed.time = Some(400.0), missing(Gap::Time)),
            ("no time", |_, _, listed| listed.time = None, missing(Gap::Time)),
            (
                "a time below zero",
                |ghost, _, listed| {
                    ghost.silent_at_least = 0.0;
                    listed.time = Some(-1.0);
                },
                missing(Gap::Time),
            ),
        ];
        for (name, change, expected) in table {
            let (mut claim, mut executioner, mut listed) = facts();
            change(&mut claim, &mut executioner, &mut listed);
            assert_eq!(prove(&claim, &executioner, &listed), *expected, "{name}");
        }
    }

    /// A session asked at 10 s; the server had run for 5010 s.
    #[test]
    fn a_later_run_is_told_from_a_clock_that_strays() {
        // When it started by the other reading, when that was made, and whether it is surely the same run, surely a
        // later one, or neither.
        for (why, started, read_at, same, later) in [
            ("it runs on", -5000.0, 20.0, true, false),
            ("a thousandth in three hours", -4990.0, 10_010.0, true, false),
            ("an `Uptime` that came 3.5 s late", -5003.5, 20.0, false, false),
            ("the same, and the first one was the late one", -4996.5, 20.0, false, false),
            ("its clock was set back by 15 s", -4985.0, 20.0, false, false),
            ("its clock was set back by an hour", -1400.0, 20.0, false, false),
            ("its clock was set forward by an hour", -8600.0, 20.0, false, false),
            ("restarted between the readings", 15.0, 20.0, false, true),
            ("restarted right after the first", 10.5, 10_000.0, false, true),
        ] {
            let other = ServerMark { started, read_at, ..mark() };
            assert_eq!(other.is_same_run(&mark()), same, "{why}");
            assert_eq!(other.is_later_run_of(&mark()), later, "{why}");
            assert_eq!(other.may_be_same_run(&mark()), !later, "{why}");
            assert_eq!(mark().may_be_same_run(&other), !later, "{why}");
            let slow = ServerMark { took: 4.0, ..other.clone() };
            let near = (started + 5000.0).abs() < 6.0;
            assert_eq!(slow.is_same_run(&mark()), same || near, "{why}, by an answer that took 4 s");
            let elsewhere = ServerMark { hostname: "db2".to_owned(), ..other };
            assert!(!elsewhere.is_later_run_of(&mark()) && !elsewhere.may_be_same_run(&mark()), "{why}");
        }
        let young = ServerMark { started: 9.0, read_at: 10.0, ..mark() };
        let again = ServerMark { started: 9.5, read_at: 12.0, ..mark() };
        assert!(!again.is_later_run_of(&young), "a server that was asked in its first second");
    }
}
