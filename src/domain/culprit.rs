//! Culprits: who ended a canary, inferred from the ending and its witness by one rule at a time.
//!
//! The type of the last packet never decides alone: RST while idle is a middlebox or MariaDB's
//! `wait_timeout`, FIN is KILL, shutdown, a proxy or a pool-of-threads server.

use serde::{Deserialize, Serialize};

use super::ending::Ending;
use super::kind::Kind;

/// Who ended a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Culprit {
    /// The server's own idle timer, the session's `wait_timeout`.
    ServerIdleTimeout,
    /// KILL, by a person or by a tool that kills idle sessions.
    ServerKill,
    /// The server was restarted or replaced.
    ServerRestart,
    /// A proxy's idle timer, which counts bytes.
    ProxyIdleTimeout,
    /// A firewall, NAT or packet load balancer, which counts packets.
    PathIdleTimeout,
    /// A maximum lifetime that no traffic extends.
    LifetimeLimit,
    /// The evidence does not decide.
    Unknown,
}

impl Culprit {
    /// Every culprit, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::ServerIdleTimeout,
        Self::ServerKill,
        Self::ServerRestart,
        Self::ProxyIdleTimeout,
        Self::PathIdleTimeout,
        Self::LifetimeLimit,
        Self::Unknown,
    ];

    /// The value of the label `culprit`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ServerIdleTimeout => "server_idle_timeout",
            Self::ServerKill => "server_kill",
            Self::ServerRestart => "server_restart",
            Self::ProxyIdleTimeout => "proxy_idle_timeout",
            Self::PathIdleTimeout => "path_idle_timeout",
            Self::LifetimeLimit => "lifetime_limit",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a death by this culprit says something about idle ages by itself. KILL of one session
    /// and a restart strike at any age, so they bound nothing.
    pub const fn bounds_idle_age(self) -> bool {
        match self {
            Self::ServerIdleTimeout
            | Self::ProxyIdleTimeout
            | Self::PathIdleTimeout
            | Self::LifetimeLimit
            | Self::Unknown => true,
            Self::ServerKill | Self::ServerRestart => false,
        }
    }

    /// The layer this culprit sits in. A lifetime limit may be a proxy's or the server's own.
    pub const fn layer(self) -> Layer {
        match self {
            Self::ServerIdleTimeout | Self::ServerKill | Self::ServerRestart => Layer::Server,
            Self::ProxyIdleTimeout => Layer::Proxy,
            Self::PathIdleTimeout => Layer::Network,
            Self::LifetimeLimit | Self::Unknown => Layer::Unknown,
        }
    }
}

/// A place between an application and its rows that keeps a clock of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The application's connection pool and driver.
    Pool,
    /// The kernel of the machine that the client runs on.
    Kernel,
    /// Firewalls, NAT, security groups, packet load balancers.
    Network,
    /// Proxies and meshes that end the TCP connection and open another.
    Proxy,
    /// The MySQL or MariaDB server.
    Server,
    /// Not decided.
    Unknown,
}

impl Layer {
    /// Every layer, from the application to the server.
    pub const ALL: [Self; 6] =
        [Self::Pool, Self::Kernel, Self::Network, Self::Proxy, Self::Server, Self::Unknown];

    /// The value of the label `layer`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Kernel => "kernel",
            Self::Network => "network",
            Self::Proxy => "proxy",
            Self::Server => "server",
            Self::Unknown => "unknown",
        }
    }
}

/// What the server's processlist said of a dead canary's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Row {
    /// Not listed any more: the server knows.
    Gone,
    /// Still listed: the server does not know, and keeps a ghost.
    Present,
    /// Could not be asked, or a proxy in the path makes the answer worthless.
    Unknown,
}

/// How the twins of other kinds fared just past the age that idle canaries die at: `Some(true)` lived,
/// `Some(false)` died, `None` not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Twins {
    /// The twin with TCP keepalive.
    pub keepalive: Option<bool>,
    /// The twin in a sleeping statement.
    pub busy: Option<bool>,
    /// The twin that pings.
    pub active: Option<bool>,
}

/// All that is known of one death when its culprit is sought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// What the canary was doing.
    pub kind: Kind,
    /// What the wire showed.
    pub ending: Ending,
    /// Idle age at the ending, in seconds.
    pub age: f64,
    /// Whether the ending came while nothing was being sent, so that `age` is the age of the death
    /// itself and not only the age at which it was found.
    pub exact: bool,
    /// The code of the server's ERR packet, where one was read.
    pub error_code: Option<u16>,
    /// The session's own `@@session.wait_timeout`, in seconds.
    pub wait_timeout: Option<f64>,
    /// What the processlist said just after.
    pub row: Row,
    /// Uptime went back, or another server answers.
    pub restarted: bool,
    /// A proxy that speaks MySQL was seen by its thread ids.
    pub proxy_seen: bool,
    /// Other idle canaries that died at this age, at other times.
    pub same_age: usize,
    /// Another idle canary was seen alive past this age: no timer strikes at it.
    pub outlived: bool,
    /// How the twins fared at this age.
    pub twins: Twins,
}

/// A culprit, and the rule that named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conclusion {
    /// Who did it.
    pub culprit: Culprit,
    /// Why this one, in a few words for the event log.
    pub rule: &'static str,
    /// Whether it stands. Where it does not, twins or companions may yet speak, and the death had
    /// better wait for them before it is counted.
    pub decided: bool,
    /// Whether it strikes at this age again and again, although this culprit need not.
    pub recurs: bool,
}

/// ER_SERVER_SHUTDOWN: "Server shutdown in progress".
const SERVER_SHUTDOWN: u16 = 1053;
/// ER_CONNECTION_KILLED, MariaDB: "Connection was killed".
const CONNECTION_KILLED: u16 = 1927;
/// ER_CLIENT_INTERACTION_TIMEOUT, MySQL 8.0.24 and later: "disconnected by the server because of inactivity".
const CLIENT_INTERACTION_TIMEOUT: u16 = 4031;

/// How much earlier than `wait_timeout` an ending may be and still be its work, in seconds: the
/// server starts its clock a moment before the client has read the last answer.
const EARLY_SECONDS: f64 = 0.25;
/// How much later: pool-of-threads looks at its clocks a few times a second, and a loaded server late.
const LATE_SECONDS: f64 = 1.5;
/// How much later as a share of the timeout, for long ones.
const LATE_SHARE: f64 = 0.01;

/// Whether an age fits a session's own `wait_timeout`, both in seconds.
pub fn is_near_wait_timeout(age: f64, wait_timeout: f64) -> bool {
    age >= wait_timeout - EARLY_SECONDS && age <= wait_timeout * (1.0 + LATE_SHARE) + LATE_SECONDS
}

/// Names the culprit of one death. The rules stand in the order of their strength; the first that
/// fits wins.
pub fn conclude(evidence: &Evidence) -> Conclusion {
    match evidence.error_code {
        Some(SERVER_SHUTDOWN) => {
            return decided(Culprit::ServerRestart, "the server said it shuts down (1053)");
        }
        Some(CONNECTION_KILLED) => {
            return decided(Culprit::ServerKill, "the server said the connection was killed (1927)");
        }
        Some(CLIENT_INTERACTION_TIMEOUT) => {
            return decided(
                Culprit::ServerIdleTimeout,
                "the server said the session was idle too long (4031)",
            );
        }
        Some(_) | None => {}
    }
    if evidence.restarted {
        return decided(
            Culprit::ServerRestart,
            "the server's uptime or identity changed since the canary was born",
        );
    }
    if evidence.kind == Kind::Active {
        return conclude_active(evidence);
    }
    if evidence.ending.is_found_by_probe() || !evidence.exact {
        return conclude_found(evidence);
    }
    if is_at_wait_timeout(evidence) && evidence.row != Row::Present {
        return decided(
            Culprit::ServerIdleTimeout,
            "closed while idle at the session's own wait_timeout, and its row is gone",
        );
    }
    if evidence.twins.active == Some(false) && evidence.same_age > 0 {
        return decided(
            Culprit::LifetimeLimit,
            "closed at one age again and again, and the pinging twin dies too",
        );
    }
    if evidence.proxy_seen && evidence.ending != Ending::Reset {
        return decided(Culprit::ProxyIdleTimeout, "closed while idle behind a proxy seen by its thread ids");
    }
    match evidence.ending {
        Ending::Reset => conclude_reset(evidence),
        Ending::Fin => conclude_fin(evidence),
        Ending::Goodbye | Ending::ResetOnUse | Ending::Silence => {
            decided(Culprit::Unknown, "the server spoke first, in words that name no cause")
        }
    }
}

const fn decided(culprit: Culprit, rule: &'static str) -> Conclusion {
    Conclusion { culprit, rule, decided: true, recurs: false }
}

const fn open(culprit: Culprit, rule: &'static str) -> Conclusion {
    Conclusion { culprit, rule, decided: false, recurs: false }
}

/// Whether the session's own idle timer was due. It does not run while a statement sleeps, and a
/// proxy's answer about it is worth nothing.
fn is_at_wait_timeout(evidence: &Evidence) -> bool {
    evidence.kind != Kind::Busy
        && !evidence.proxy_seen
        && evidence.wait_timeout.is_some_and(|timeout| is_near_wait_timeout(evidence.age, timeout))
}

/// A canary that pings: no idle timer reaches it.
fn conclude_active(evidence: &Evidence) -> Conclusion {
    if evidence.same_age > 0 {
        decided(Culprit::LifetimeLimit, "a canary that pings died at the age at which idle ones die")
    } else {
        open(Culprit::Unknown, "a canary that pings died, and no other at its age")
    }
}

/// A death that only the probe found.
fn conclude_found(evidence: &Evidence) -> Conclusion {
    if is_at_wait_timeout(evidence) && evidence.row == Row::Gone && evidence.ending != Ending::Silence {
        return decided(
            Culprit::ServerIdleTimeout,
            "closed in the very moment of the probe at the session's own wait_timeout, and its row is gone",
        );
    }
    match evidence.ending {
        Ending::Silence => {
            decided(Culprit::PathIdleTimeout, "no answer to the probe, and a fresh connect works")
        }
        Ending::ResetOnUse => {
            decided(Culprit::PathIdleTimeout, "reset in answer to the probe, and a fresh connect works")
        }
        // A timer strikes in the very moment of a probe now and then: those that died at this age
        // unasked say which.
        Ending::Fin if evidence.same_age > 0 => conclude_fin(evidence),
        Ending::Fin => {
            open(Culprit::Unknown, "closed in answer to the probe, and nobody died at this age unasked")
        }
        Ending::Goodbye | Ending::Reset => {
            decided(Culprit::Unknown, "closed in answer to the probe, so the age of the death is not known")
        }
    }
}

/// A RST while idle, away from `wait_timeout`.
fn conclude_reset(evidence: &Evidence) -> Conclusion {
    let Evidence { row, twins, kind, outlived, .. } = *evidence;
    if row == Row::Present {
        decided(Culprit::PathIdleTimeout, "reset while idle, and the server still lists the session")
    } else if outlived {
        decided(Culprit::Unknown, "reset while idle, and another idle canary lives past this age: no timer")
    } else if twins.keepalive == Some(true) {
        decided(Culprit::PathIdleTimeout, "reset while idle, and the twin with TCP keepalive lives")
    } else if both_silent_twins_died(twins, kind) {
        decided(Culprit::ProxyIdleTimeout, "reset while idle, and the keepalive and busy twins die too")
    } else {
        open(Culprit::Unknown, "reset while idle away from wait_timeout, and no twin measured that decides")
    }
}

/// A FIN while idle, away from `wait_timeout`.
fn conclude_fin(evidence: &Evidence) -> Conclusion {
    let Evidence { kind, row, twins, same_age, outlived, .. } = *evidence;
    if same_age == 0 && row == Row::Gone {
        let rule = "closed away from wait_timeout, row gone, uptime steady, alone at its age";
        return Conclusion { culprit: Culprit::ServerKill, rule, decided: outlived, recurs: false };
    }
    if outlived && row == Row::Gone {
        let rule = "several closed at one age, row gone, and another idle canary lives past it: no timer";
        return decided(Culprit::ServerKill, rule);
    }
    if same_age == 0 {
        return open(
            Culprit::Unknown,
            "closed away from wait_timeout, alone at its age, and the server was not seen to end it",
        );
    }
    if kind == Kind::Busy || both_silent_twins_died(twins, kind) {
        let rule = "several closed at one age, the keepalive and busy twins too";
        let decided = twins.active.is_some();
        return Conclusion { culprit: Culprit::ProxyIdleTimeout, rule, decided, recurs: false };
    }
    if twins.busy == Some(true) && row == Row::Gone {
        let rule = "several closed at one age while the busy twin lives: a killer of idle sessions";
        // A person who kills several spares others that are as old.
        Conclusion { culprit: Culprit::ServerKill, rule, decided: true, recurs: !outlived }
    } else if twins.keepalive == Some(true) {
        decided(Culprit::PathIdleTimeout, "several closed at one age while the twin with TCP keepalive lives")
    } else {
        open(Culprit::Unknown, "several closed at one age, and no twin measured that decides")
    }
}

/// Whether the keepalive and the busy twin both died, counting the dead canary itself as one of them.
fn both_silent_twins_died(twins: Twins, kind: Kind) -> bool {
    let keepalive = kind == Kind::Keepalive || twins.keepalive == Some(false);
    let busy = kind == Kind::Busy || twins.busy == Some(false);
    keepalive && busy
}

/// The culprits that [`conclude`] can name for a kind and an ending: the label combinations that exist.
pub const fn possible_culprits(kind: Kind, ending: Ending) -> &'static [Culprit] {
    use Culprit::{LifetimeLimit, PathIdleTimeout, ServerIdleTimeout, ServerKill, ServerRestart, Unknown};
    match (kind, ending) {
        (Kind::Active, _) => &[ServerIdleTimeout, ServerKill, ServerRestart, LifetimeLimit, Unknown],
        (_, Ending::Goodbye | Ending::Fin | Ending::Reset) => &Culprit::ALL,
        (_, Ending::ResetOnUse | Ending::Silence) => {
            &[ServerIdleTimeout, ServerKill, ServerRestart, PathIdleTimeout]
        }
    }
}

#[cfg(test)]
mod tests;
