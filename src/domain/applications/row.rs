//! One row of the processlist as the follower takes it, and what its words prove.

/// One row. Nothing of it is kept but what the follower needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// `ID`.
    pub id: u64,
    /// `USER`.
    pub user: &'a str,
    /// `HOST`, with the client's port where there is one.
    pub host: &'a str,
    /// `COMMAND`.
    pub command: &'a str,
    /// `TIME`, in seconds, as the server gives it: whole on MySQL, with a fraction on MariaDB; negative or
    /// huge where the server's clock or counter went wrong.
    pub time: Option<f64>,
}

/// Whose session a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// An application's.
    Application,
    /// Ours, or a sibling exporter's: never followed, and forgotten where it was.
    Ours,
    /// Somebody's who is left out. It is followed, for its end moves the server's counters too, and never
    /// told of.
    LeftOut,
}

/// Where a session comes from, as the server sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The server's Unix socket: there is no network that could end it.
    Socket,
    /// The server's own host over loopback, while our canaries come from elsewhere.
    Loopback,
    /// The host that our own sessions come from.
    CanaryHost,
    /// Another host, which may have another path.
    OtherHost,
}

/// What a session is doing, as far as it proves anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// It waits for its client.
    Sleep,
    /// A packet of its client's came in.
    Work,
    /// It was killed, and is not gone yet.
    Killed,
    /// It says farewell, logs in, or does something that is not known here.
    Unknown,
}

/// Whether the server sends a replica what it writes: nobody's pool lends such a session.
pub(super) fn is_replication(row: &Row<'_>) -> bool {
    row.command.starts_with("Binlog Dump")
}

/// Commands that only a packet of the client's begins. Not `Quit` and `Connect`: nothing follows the one, and
/// nothing comes before the other.
const WORK: [&str; 16] = [
    "Query",
    "Execute",
    "Prepare",
    "Ping",
    "Init DB",
    "Field List",
    "Fetch",
    "Close stmt",
    "Reset stmt",
    "Long Data",
    "Reset Connection",
    "Reset connection",
    "Change user",
    "Set option",
    "Statistics",
    "Processlist",
];

impl Doing {
    pub(super) fn of(command: &str) -> Self {
        match command {
            "Sleep" => Self::Sleep,
            "Killed" => Self::Killed,
            other if WORK.contains(&other) => Self::Work,
            _ => Self::Unknown,
        }
    }
}

/// Whose the server's own threads are: nobody's.
pub(super) fn is_server_thread(row: &Row<'_>) -> bool {
    matches!(row.user, "system user" | "event_scheduler" | "unauthenticated user") || row.command == "Daemon"
}

/// The host without the client's port, and whether there is a port. `::1:55238` is `::1`.
pub(super) fn without_port(host: &str) -> (&str, bool) {
    match host.rsplit_once(':') {
        // An IPv6 address alone has more colons than one, and would lose its last part.
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => (name, true),
        _ => (host, false),
    }
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.starts_with("127.") || name == "::1"
}

impl Origin {
    /// Where a session with this `HOST` comes from; `own_host` is the `HOST` of one of our own sessions.
    pub fn of(host: &str, own_host: Option<&str>) -> Self {
        let (name, has_port) = without_port(host);
        if name.is_empty() || (!has_port && name.eq_ignore_ascii_case("localhost")) {
            return Self::Socket;
        }
        let own = own_host.map(|own| without_port(own).0);
        if own.is_some_and(|own| own.eq_ignore_ascii_case(name) || (is_loopback(own) && is_loopback(name))) {
            Self::CanaryHost
        } else if is_loopback(name) {
            Self::Loopback
        } else {
            Self::OtherHost
        }
    }

    /// Whether a network lies between the session and its server.
    pub const fn has_path(self) -> bool {
        matches!(self, Self::CanaryHost | Self::OtherHost)
    }
}

/// The idle time that a `TIME` stands for at the most and at the least, in seconds. A whole number was made of
/// two clock readings that were both cut. `None` where it is no time: a session older than a year is a wrapped
/// counter.
pub(super) fn idle_range(time: Option<f64>) -> Option<(f64, f64)> {
    /// A year, in seconds.
    const YEAR: f64 = 31_536_000.0;
    let time = time.filter(|time| (0.0..=YEAR).contains(time))?;
    let cut = if time.fract() == 0.0 { 1.0 } else { 0.0 };
    Some(((time - cut).max(0.0), time + cut))
}

/// What stands for a name of the server's, which is not kept. A list of 100,000 sessions has as many hosts, so it is a
/// quick one.
pub(super) fn hash(text: &str) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut sum = text.len() as u64;
    for part in text.as_bytes().chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(ODD);
        sum ^= sum >> 29;
    }
    sum ^ (sum >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_session_comes_from() {
        for (host, own, origin) in [
            ("localhost", Some("10.0.0.9:4000"), Origin::Socket),
            ("localhost", Some("127.0.0.1:4000"), Origin::Socket),
            ("", None, Origin::Socket),
            ("localhost:5000", Some("10.0.0.9:4000"), Origin::Loopback),
            ("127.0.0.1:5000", Some("10.0.0.9:4000"), Origin::Loopback),
            ("::1:5000", Some("10.0.0.9:4000"), Origin::Loopback),
            ("127.0.0.1:5000", Some("localhost:4000"), Origin::CanaryHost),
            ("10.0.0.9:5000", Some("10.0.0.9:4000"), Origin::CanaryHost),
            ("2001:db8::7:5000", Some("2001:db8::7:6000"), Origin::CanaryHost),
            ("10.0.0.8:5000", Some("10.0.0.9:4000"), Origin::OtherHost),
            ("10.0.0.8:5000", None, Origin::OtherHost),
            ("web.example", Some("10.0.0.9:4000"), Origin::OtherHost),
        ] {
            assert_eq!(Origin::of(host, own), origin, "{host} {own:?}");
        }
    }

    #[test]
    fn a_time_that_is_none_proves_nothing() {
        assert_eq!(idle_range(Some(5.0)), Some((4.0, 6.0)));
        assert_eq!(idle_range(Some(0.0)), Some((0.0, 1.0)));
        assert_eq!(idle_range(Some(5.25)), Some((5.25, 5.25)));
        for time in [None, Some(-1.0), Some(f64::NAN), Some(4_294_967_295.0), Some(f64::INFINITY)] {
            assert_eq!(idle_range(time), None, "{time:?}");
        }
    }

    #[test]
    fn names_that_differ_are_told_apart() {
        let mut known = std::collections::BTreeSet::new();
        for number in 0..100_000 {
            let host = format!("application-{}.example.org:{}", number % 400, 1024 + number % 60_000);
            known.insert((host.clone(), hash(&host) as u32));
        }
        let names: std::collections::BTreeSet<u32> = known.iter().map(|(_, hash)| *hash).collect();
        // As many as chance lets meet among four thousand million.
        assert!(known.len() - names.len() < 10, "{} of {}", names.len(), known.len());
        assert_ne!(hash("app"), hash("app\0"));
        assert_ne!(hash(""), hash("\0"));
    }

    #[test]
    fn what_a_command_proves() {
        for (command, doing) in [
            ("Sleep", Doing::Sleep),
            ("Query", Doing::Work),
            ("Ping", Doing::Work),
            ("Killed", Doing::Killed),
            ("Quit", Doing::Unknown),
            ("Connect", Doing::Unknown),
            ("", Doing::Unknown),
            ("Teleport", Doing::Unknown),
        ] {
            assert_eq!(Doing::of(command), doing, "{command}");
        }
    }
}
