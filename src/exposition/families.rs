//! The families of gauges and counters that a scrape draws anew, each by name, once.

use std::borrow::Cow;

use super::drawing::Drawn;
use crate::domain::applications::risk::{Severity, Tense};
use crate::domain::applications::{Driver, Ending};
use crate::domain::culprit::{Culprit, Layer};
use crate::domain::layers::{Clock, Source};
use crate::domain::life::words::Field;
use crate::domain::mismatch::Rule;
use crate::metrics::family::{Description, MetricType};
use crate::metrics::labels::{KindLabels, PathLabels, TargetLabels, label_set, label_values};
use crate::server::{Collector, Flavor};

label_values!(Flavor, Collector, Remedy);

/// What may keep connections alive past the idle limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// TCP keepalive.
    TcpKeepalive,
    /// The application pings.
    AppPing,
}

impl Remedy {
    /// The value of the label `remedy`.
    const fn label(self) -> &'static str {
        match self {
            Self::TcpKeepalive => "tcp_keepalive",
            Self::AppPing => "app_ping",
        }
    }
}

label_set! {
    /// Which server answers.
    pub(super) struct ServerInfoLabels<'a> {
        flavor: Flavor,
        target: &'a str,
        version: &'a str,
    }
}

label_set! {
    /// One of the server's `Connection_errors_*`.
    pub(super) struct ErrorLabels<'a> {
        error: &'a str,
        target: &'a str,
    }
}

label_set! {
    /// A user's sessions of one COMMAND.
    pub(super) struct CommandLabels<'a> {
        command: &'a str,
        target: &'a str,
        user: Cow<'a, str>,
    }
}

label_set! {
    /// One user of the applications.
    pub(super) struct UserLabels<'a> {
        target: &'a str,
        user: Cow<'a, str>,
    }
}

label_set! {
    /// A user's sessions past one threshold, in seconds.
    pub(super) struct IdleLabels<'a> {
        idle_at_least: Cow<'a, str>,
        target: &'a str,
        user: Cow<'a, str>,
    }
}

label_set! {
    /// A field of the server's words.
    pub(super) struct FieldLabels<'a> {
        field: Field,
        target: &'a str,
    }
}

label_set! {
    /// One source of the server view.
    pub(super) struct CollectorLabels<'a> {
        collector: Collector,
        target: &'a str,
    }
}

label_set! {
    /// Who sets a path's idle limit.
    pub(super) struct LimitInfoLabels<'a> {
        culprit: Culprit,
        layer: Layer,
        path: &'a str,
        suspect: &'a str,
        target: &'a str,
    }
}

label_set! {
    /// Something that may keep connections alive.
    pub(super) struct RemedyLabels<'a> {
        path: &'a str,
        remedy: Remedy,
        target: &'a str,
    }
}

label_set! {
    /// A user's sessions, as one path's limit concerns them.
    pub(super) struct PathUserLabels<'a> {
        path: &'a str,
        target: &'a str,
        user: Cow<'a, str>,
    }
}

label_set! {
    /// How loudly sessions at risk are told of.
    pub(super) struct RiskLabels<'a> {
        path: &'a str,
        severity: Severity,
        target: &'a str,
        tense: Tense,
        user: Cow<'a, str>,
    }
}

label_set! {
    /// How a user's sessions ended.
    pub(super) struct EndingLabels<'a> {
        ending: Ending,
        target: &'a str,
        user: Cow<'a, str>,
    }
}

label_set! {
    /// What a user's sessions talk to the server with.
    pub(super) struct DriverLabels<'a> {
        driver: Driver,
        target: &'a str,
        user: Cow<'a, str>,
    }
}

label_set! {
    /// A declared pool's sessions.
    pub(super) struct HeldLabels<'a> {
        path: &'a str,
        pool: &'a str,
        target: &'a str,
        user: &'a str,
    }
}

label_set! {
    /// A timeout of one layer.
    pub(super) struct SettingLabels<'a> {
        clock: Clock,
        layer: Layer,
        path: &'a str,
        setting: &'a str,
        source: Source,
        target: &'a str,
    }
}

label_set! {
    /// Where a path leads.
    pub(super) struct AddressLabels<'a> {
        address: &'a str,
        path: &'a str,
        target: &'a str,
    }
}

label_set! {
    /// A rule about two layers, of one pool or of none.
    pub(super) struct MismatchLabels<'a> {
        path: &'a str,
        pool: &'a str,
        rule: Rule,
        target: &'a str,
    }
}

/// Each family as a static of its own, and all of them.
macro_rules! families {
    ($($metric_type:ident $family:ident: $labels:ident = $name:literal, $help:literal;)*) => {
        $(pub(super) static $family: Drawn<$labels<'static>> = Drawn::new(MetricType::$metric_type, $name, $help);)*

        /// What each of them is.
        pub(super) fn descriptions() -> Vec<Description> {
            vec![$($family.description),*]
        }
    };
}

families! {
    Gauge UP: TargetLabels = "mysql_canary_up", "1 if the newest round of the server view reached the server.";
    Gauge SERVER_INFO: ServerInfoLabels = "mysql_canary_server_info", "Always 1; the labels say which server answers.";
    Gauge SERVER_START_TIME: TargetLabels = "mysql_canary_server_start_time_seconds", "When the server started, in seconds since the Unix epoch, from its Uptime.";
    Counter ABORTED_CLIENTS: TargetLabels = "mysql_canary_server_aborted_clients_total", "Aborted_clients, as the server reports it.";
    Counter ABORTED_CONNECTS: TargetLabels = "mysql_canary_server_aborted_connects_total", "Aborted_connects, as the server reports it.";
    Counter CONNECTION_ERRORS: ErrorLabels = "mysql_canary_server_connection_errors_total", "Connection_errors_*, as the server reports them.";
    Gauge THREADS_CONNECTED: TargetLabels = "mysql_canary_server_threads_connected", "Threads_connected: sessions open on the server, ours among them.";
    Gauge MAX_CONNECTIONS: TargetLabels = "mysql_canary_server_max_connections", "The server's max_connections: the most sessions it accepts.";
    Gauge SESSIONS: CommandLabels = "mysql_canary_sessions", "Application sessions, by user and COMMAND; ours are left out.";
    Gauge SESSION_LONGEST_IDLE: UserLabels = "mysql_canary_session_longest_idle_seconds", "How long the user's longest idle session has been idle.";
    Gauge IDLE_SESSIONS: IdleLabels = "mysql_canary_idle_sessions", "Application sessions that have been idle for at least this many seconds.";
    Gauge GHOST_SESSIONS: PathLabels = "mysql_canary_ghost_sessions", "Sessions of ours that the server lists although their client is dead.";
    Counter WORDS_CUT: FieldLabels = "mysql_canary_server_words_cut_total", "Words of the server's that no list knows, or that were cut or cleaned before they became labels.";
    Gauge COLLECTOR_SUCCESS: CollectorLabels = "mysql_canary_collector_success", "1 if this source of the server view was read in the newest round.";
    Gauge COLLECTOR_DURATION: CollectorLabels = "mysql_canary_collector_duration_seconds", "How long this source took in the newest round.";
    Gauge LIMIT_LOWER: KindLabels = "mysql_canary_idle_limit_lower_seconds", "Connections that are idle for this long live: the longest idle time that was survived.";
    Gauge LIMIT_UPPER: KindLabels = "mysql_canary_idle_limit_upper_seconds", "Connections that are idle for this long are dead: the shortest idle time that was not survived. Absent while nothing died.";
    Gauge LIMIT_SHARE: KindLabels = "mysql_canary_idle_limit_share", "Share of the lives that reached the limit's age and died there; 1 where all do. Absent while nothing died.";
    Gauge LIMIT_CONFIRMED: KindLabels = "mysql_canary_idle_limit_confirmed", "1 if two deaths and two survivals bear the idle limit out, 0 while it rests on less. Absent while nothing died.";
    Gauge LIMIT_INFO: LimitInfoLabels = "mysql_canary_idle_limit_info", "Always 1; who sets the idle limit, in which layer, and what product fits. Absent while nothing died.";
    Gauge LIMIT_EVIDENCE: KindLabels = "mysql_canary_idle_limit_evidence_timestamp_seconds", "When the newest evidence of the idle limit was seen, in seconds since the Unix epoch.";
    Gauge REMEDY: RemedyLabels = "mysql_canary_remedy", "1 if this keeps connections alive past the idle limit, 0 if not. Absent until measured.";
    Gauge SESSIONS_AT_RISK: PathUserLabels = "mysql_canary_sessions_at_risk", "Application sessions idle past the measured limit that nothing shows to live on: their next query fails.";
    Gauge SESSIONS_AT_RISK_INFO: RiskLabels = "mysql_canary_sessions_at_risk_info", "Always 1, for users with sessions at risk: how loudly to tell of them, and whether sessions like these have failed already.";
    Gauge APPLICATION_LEFT_BEHIND: PathUserLabels = "mysql_canary_application_left_behind", "Application sessions idle past the measured limit that nobody will use any more.";
    Gauge APPLICATION_LONGEST_SURVIVED: UserLabels = "mysql_canary_application_longest_survived_idle_seconds", "The longest idle time that a session of this user woke up from, within a day.";
    Counter APPLICATION_ENDINGS: EndingLabels = "mysql_canary_application_endings_total", "Application sessions that ended, by how: closed by their client, aborted, ended by wait_timeout, or undecided.";
    Gauge APPLICATION_DRIVER: DriverLabels = "mysql_canary_application_driver_info", "Always 1; what a user's sessions talk to the server with, as they say themselves.";
    Gauge SESSIONS_HELD_PAST_RECYCLE: HeldLabels = "mysql_canary_sessions_held_past_recycle", "Sessions of a declared pool's user that are idle for longer than the pool keeps a connection.";
    Gauge LAYER_TIMEOUT: SettingLabels = "mysql_canary_layer_timeout_seconds", "A timeout of one layer: what its clock counts, and how it is known.";
    Gauge PROBER_LAST_EVENT: PathLabels = "mysql_canary_prober_last_event_timestamp_seconds", "When the path's loop last moved, in seconds since the Unix epoch. It wakes by itself every few seconds.";
    Gauge PATH_INFO: AddressLabels = "mysql_canary_path_info", "Always 1; the label address says where the path leads.";
    Gauge LAYER_MISMATCH: MismatchLabels = "mysql_canary_layer_mismatch", "1 if these two settings, or setting and measurement, contradict each other; 0 if not. Absent where it cannot be judged.";
    Gauge RECOMMENDED_RECYCLE: PathLabels = "mysql_canary_recommended_recycle_seconds", "Set the recycle of pools below this to keep clear of the limit. Absent while nothing died.";
}
