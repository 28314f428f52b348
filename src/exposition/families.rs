//! The families of gauges and counters that a scrape fills anew, each by name, once.

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{CounterVec, GaugeVec};

use crate::metrics::named;

/// A family whose series can all be taken out.
pub(super) trait Drawn: Collector {
    /// Takes out every series.
    fn clear(&self);
}

impl<T: MetricVecBuilder> Drawn for MetricVec<T> {
    fn clear(&self) {
        self.reset();
    }
}

/// Every family of one target, empty but while a scrape fills it.
#[derive(Debug, Clone)]
pub(super) struct Families {
    pub(super) up: GaugeVec,
    pub(super) server_info: GaugeVec,
    pub(super) server_start_time: GaugeVec,
    pub(super) aborted_clients: CounterVec,
    pub(super) aborted_connects: CounterVec,
    pub(super) connection_errors: CounterVec,
    pub(super) threads_connected: GaugeVec,
    pub(super) max_connections: GaugeVec,
    pub(super) sessions: GaugeVec,
    pub(super) session_longest_idle: GaugeVec,
    pub(super) idle_sessions: GaugeVec,
    pub(super) ghost_sessions: GaugeVec,
    pub(super) words_cut: CounterVec,
    pub(super) collector_success: GaugeVec,
    pub(super) collector_duration: GaugeVec,
    pub(super) limit_lower: GaugeVec,
    pub(super) limit_upper: GaugeVec,
    pub(super) limit_share: GaugeVec,
    pub(super) limit_confirmed: GaugeVec,
    pub(super) limit_info: GaugeVec,
    pub(super) limit_evidence: GaugeVec,
    pub(super) remedy: GaugeVec,
    pub(super) sessions_at_risk: GaugeVec,
    pub(super) sessions_at_risk_info: GaugeVec,
    pub(super) application_left_behind: GaugeVec,
    pub(super) application_longest_survived: GaugeVec,
    pub(super) application_endings: CounterVec,
    pub(super) application_driver: GaugeVec,
    pub(super) sessions_held_past_recycle: GaugeVec,
    pub(super) layer_timeout: GaugeVec,
    pub(super) layer_mismatch: GaugeVec,
    pub(super) prober_last_event: GaugeVec,
    pub(super) path_info: GaugeVec,
    pub(super) recommended_recycle: GaugeVec,
}

impl Families {
    #[rustfmt::skip]
    pub(super) fn new() -> prometheus::Result<Self> {
        let gauges = |name: &str, help: &str, labels: &[&str]| GaugeVec::new(named(name, help), labels);
        let counters = |name: &str, help: &str, labels: &[&str]| CounterVec::new(named(name, help), labels);
        Ok(Self {
            up: gauges("up", "1 if the newest round of the server view reached the server.", &["target"])?,
            server_info: gauges("server_info", "Always 1; the labels say which server answers.", &["target", "flavor", "version"])?,
            server_start_time: gauges("server_start_time_seconds", "When the server started, in seconds since the Unix epoch, from its Uptime.", &["target"])?,
            aborted_clients: counters("server_aborted_clients_total", "Aborted_clients, as the server reports it.", &["target"])?,
            aborted_connects: counters("server_aborted_connects_total", "Aborted_connects, as the server reports it.", &["target"])?,
            connection_errors: counters("server_connection_errors_total", "Connection_errors_*, as the server reports them.", &["target", "error"])?,
            threads_connected: gauges("server_threads_connected", "Threads_connected: sessions open on the server, ours among them.", &["target"])?,
            max_connections: gauges("server_max_connections", "The server's max_connections: the most sessions it accepts.", &["target"])?,
            sessions: gauges("sessions", "Application sessions, by user and COMMAND; ours are left out.", &["target", "user", "command"])?,
            session_longest_idle: gauges("session_longest_idle_seconds", "How long the longest sleeper of a user's sessions has slept.", &["target", "user"])?,
            idle_sessions: gauges("idle_sessions", "Application sessions that have slept at least this many seconds.", &["target", "user", "idle_at_least"])?,
            ghost_sessions: gauges("ghost_sessions", "Sessions of ours that the server lists although their client is dead.", &["target", "path"])?,
            words_cut: counters("server_words_cut_total", "Words of the server's that no list knows, or that were cut or cleaned before they became labels.", &["target", "field"])?,
            collector_success: gauges("collector_success", "1 if this source of the server view was read in the newest round.", &["target", "collector"])?,
            collector_duration: gauges("collector_duration_seconds", "How long this source took in the newest round.", &["target", "collector"])?,
            limit_lower: gauges("idle_limit_lower_seconds", "The longest idle age survived that no later death contradicts.", &["target", "path", "kind"])?,
            limit_upper: gauges("idle_limit_upper_seconds", "The shortest idle age died at that no later survival contradicts. Absent while nothing died.", &["target", "path", "kind"])?,
            limit_share: gauges("idle_limit_share", "Share of the lives that reached the limit's age and died there; 1 where all do. Absent while nothing died.", &["target", "path", "kind"])?,
            limit_confirmed: gauges("idle_limit_confirmed", "1 if two deaths and two survivals bear the idle limit out, 0 while it rests on less. Absent while nothing died.", &["target", "path", "kind"])?,
            limit_info: gauges("idle_limit_info", "Always 1; who sets the idle limit, in which layer, and what product fits. Absent while nothing died.", &["target", "path", "culprit", "layer", "suspect"])?,
            limit_evidence: gauges("idle_limit_evidence_timestamp_seconds", "When the newest evidence of the idle limit was seen, in seconds since the Unix epoch.", &["target", "path", "kind"])?,
            remedy: gauges("remedy", "1 if this keeps connections alive past the idle limit, 0 if not. Absent until measured.", &["target", "path", "remedy"])?,
            sessions_at_risk: gauges("sessions_at_risk", "Application sessions idle past the measured limit that nothing shows to live on: their next query fails.", &["target", "path", "user"])?,
            sessions_at_risk_info: gauges("sessions_at_risk_info", "Always 1, for users with sessions at risk: how loudly to tell of them, and whether sessions like these have failed already.", &["target", "path", "user", "severity", "tense"])?,
            application_left_behind: gauges("application_left_behind", "Application sessions idle past the measured limit that nobody will use any more.", &["target", "path", "user"])?,
            application_longest_survived: gauges("application_longest_survived_idle_seconds", "The longest idle time that a session of this user woke up from, within a day.", &["target", "user"])?,
            application_endings: counters("application_endings_total", "Application sessions that ended, by how: closed by their client, aborted, ended by wait_timeout, or undecided.", &["target", "user", "ending"])?,
            application_driver: gauges("application_driver_info", "Always 1; what a user's sessions talk to the server with, as they say themselves.", &["target", "user", "driver"])?,
            sessions_held_past_recycle: gauges("sessions_held_past_recycle", "Sessions of a declared pool's user that are idle for longer than the pool keeps a connection.", &["target", "path", "pool", "user"])?,
            layer_timeout: gauges("layer_timeout_seconds", "A timeout of one layer: what its clock counts, and how it is known.", &["target", "path", "layer", "setting", "clock", "source"])?,
            prober_last_event: gauges("prober_last_event_timestamp_seconds", "When the path's loop last moved, in seconds since the Unix epoch. It wakes by itself every few seconds.", &["target", "path"])?,
            path_info: gauges("path_info", "Always 1; the label address says where the path leads.", &["target", "path", "address"])?,
            layer_mismatch: gauges("layer_mismatch", "1 if this rule about two layers that contradict holds. Absent where it cannot be judged.", &["target", "path", "rule", "pool"])?,
            recommended_recycle: gauges("recommended_recycle_seconds", "The age at which pools should replace their connections, to keep clear of what was measured. Absent while nothing died.", &["target", "path"])?,
        })
    }

    /// Each of them.
    pub(super) fn each(&self) -> [&dyn Drawn; 34] {
        [
            &self.up,
            &self.server_info,
            &self.server_start_time,
            &self.aborted_clients,
            &self.aborted_connects,
            &self.connection_errors,
            &self.threads_connected,
            &self.max_connections,
            &self.sessions,
            &self.session_longest_idle,
            &self.idle_sessions,
            &self.ghost_sessions,
            &self.words_cut,
            &self.collector_success,
            &self.collector_duration,
            &self.limit_lower,
            &self.limit_upper,
            &self.limit_share,
            &self.limit_confirmed,
            &self.limit_info,
            &self.limit_evidence,
            &self.remedy,
            &self.sessions_at_risk,
            &self.sessions_at_risk_info,
            &self.application_left_behind,
            &self.application_longest_survived,
            &self.application_endings,
            &self.application_driver,
            &self.sessions_held_past_recycle,
            &self.layer_timeout,
            &self.layer_mismatch,
            &self.prober_last_event,
            &self.path_info,
            &self.recommended_recycle,
        ]
    }
}
