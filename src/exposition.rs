//! The metrics that describe the present: drawn at each scrape from what the loops last published.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec};
use tokio::sync::watch;
use tokio::time::Duration;

use crate::domain::applications::Ending;
use crate::domain::life::words::{Field, OTHER, OTHER_USERS, account_label, account_name};
use crate::domain::mismatch::{AtRisk, Rule};
use crate::fleet::diagnosis::Diagnosis;
use crate::machine::calendar::unix_now;
use crate::machine::logging;
use crate::metrics::named;
use crate::prober::{Epoch, PathReport};
use crate::server::{self, Reading, ServerView};
use crate::supervision::Pulse;

/// The most users that get series of their own; the rest are summed under [`OTHER_USERS`].
const MOST_USERS: usize = 50;

/// One target's published state.
#[derive(Debug)]
pub struct TargetState {
    /// The target's configured name.
    pub target: String,
    /// The server view.
    pub server: watch::Receiver<Reading>,
    /// After how long a server view is stale.
    pub stale_after: Duration,
    /// What ties the times that paths report to the calendar.
    pub epoch: Epoch,
    /// Thresholds of `_idle_sessions`, in seconds.
    pub thresholds: Vec<f64>,
    /// Each path's state.
    pub paths: Vec<PathState>,
}

/// One path's published state.
#[derive(Debug)]
pub struct PathState {
    /// The path's configured name.
    pub path: String,
    /// Whether its loop moves.
    pub pulse: Pulse,
    /// What its loop says.
    pub report: watch::Receiver<PathReport>,
    /// What is concluded from it.
    pub diagnosis: watch::Receiver<Diagnosis>,
}

/// Draws the present at each scrape.
#[derive(Debug)]
pub struct StateCollector {
    targets: Vec<TargetState>,
    families: Families,
}

impl StateCollector {
    /// A collector of these targets' states.
    ///
    /// # Errors
    /// Never for the names of this file; the crate checks them all the same.
    pub fn new(targets: Vec<TargetState>) -> prometheus::Result<Self> {
        Ok(Self { targets, families: Families::new()? })
    }
}

/// Every family of this file, empty. A scrape fills a fresh set.
#[derive(Debug, Clone)]
struct Families {
    up: GaugeVec,
    server_info: GaugeVec,
    server_start_time: GaugeVec,
    aborted_clients: CounterVec,
    aborted_connects: CounterVec,
    connection_errors: CounterVec,
    threads_connected: GaugeVec,
    max_connections: GaugeVec,
    sessions: GaugeVec,
    session_longest_idle: GaugeVec,
    idle_sessions: GaugeVec,
    ghost_sessions: GaugeVec,
    words_cut: CounterVec,
    collector_success: GaugeVec,
    collector_duration: GaugeVec,
    limit_lower: GaugeVec,
    limit_upper: GaugeVec,
    limit_share: GaugeVec,
    limit_confirmed: GaugeVec,
    limit_info: GaugeVec,
    limit_evidence: GaugeVec,
    remedy: GaugeVec,
    sessions_at_risk: GaugeVec,
    sessions_at_risk_info: GaugeVec,
    application_left_behind: GaugeVec,
    application_longest_survived: GaugeVec,
    application_endings: CounterVec,
    application_driver: GaugeVec,
    sessions_held_past_recycle: GaugeVec,
    layer_timeout: GaugeVec,
    layer_mismatch: GaugeVec,
    prober_last_event: GaugeVec,
    log_lines_dropped: CounterVec,
    recommended_recycle: GaugeVec,
}

impl Families {
    #[rustfmt::skip]
    fn new() -> prometheus::Result<Self> {
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
            log_lines_dropped: counters("log_lines_dropped_total", "Log lines that were dropped because their reader was too slow, or gone.", &[])?,
            layer_mismatch: gauges("layer_mismatch", "1 if this rule about two layers that contradict holds. Absent where it cannot be judged.", &["target", "path", "rule", "pool"])?,
            recommended_recycle: gauges("recommended_recycle_seconds", "The age at which pools should replace their connections, to keep clear of what was measured. Absent while nothing died.", &["target", "path"])?,
        })
    }

    fn each(&self) -> [&dyn Collector; 34] {
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
            &self.log_lines_dropped,
            &self.recommended_recycle,
        ]
    }

    /// Draws a target's state at a moment when the calendar says `unix_now`, in seconds since the Unix epoch.
    fn draw(&self, state: &TargetState, unix_now: f64) {
        let target = state.target.as_str();
        let reading = state.server.borrow().clone();
        let view = reading.view.filter(|view| view.taken_at.elapsed() <= state.stale_after);
        self.up.with_label_values(&[target]).set(f64::from(u8::from(reading.up && view.is_some())));
        for field in Field::ALL {
            self.words_cut
                .with_label_values(&[target, field.label()])
                .inc_by(reading.words_cut.of(field) as f64);
        }
        let viewed = view.is_some();
        if let Some(view) = view {
            self.draw_server(target, &view, state);
        }
        for path in &state.paths {
            let behind = state.epoch.behind(unix_now);
            let last_event = self.prober_last_event.with_label_values(&[target, &path.path]);
            last_event.set(unix_now - path.pulse.silent());
            self.draw_path(target, &path.path, &path.report.borrow(), &path.diagnosis.borrow(), behind);
            if viewed {
                self.draw_seen(target, &path.path, &path.diagnosis.borrow());
            }
        }
    }

    fn draw_server(&self, target: &str, view: &ServerView, state: &TargetState) {
        let version = view.version.as_deref().unwrap_or(OTHER);
        self.server_info.with_label_values(&[target, view.flavor.label(), version]).set(1.0);
        for (collector, run) in &view.collectors {
            let labels = [target, collector.label()];
            self.collector_success.with_label_values(&labels).set(f64::from(u8::from(run.succeeded)));
            if let Some(seconds) = run.seconds {
                self.collector_duration.with_label_values(&labels).set(seconds);
            }
        }
        if let Some(status) = &view.status {
            self.draw_status(target, status);
        }
        if let Some(started_at) = view.started_at {
            self.server_start_time.with_label_values(&[target]).set(started_at.round());
        }
        if let Some(limit) = view.variables.as_ref().and_then(|variables| variables.max_connections) {
            self.max_connections.with_label_values(&[target]).set(limit);
        }
        if let Some(list) = view.applications() {
            self.draw_sessions(target, list, &state.thresholds);
        }
        if let Some(followed) = &view.followed {
            self.draw_followed(target, followed);
        }
        if let Some(ghosts) = view.ghosts {
            for path in &state.paths {
                self.ghost_sessions.with_label_values(&[target, &path.path]).set(ghosts as f64);
            }
        }
    }

    fn draw_status(&self, target: &str, status: &server::GlobalStatus) {
        let count = |family: &CounterVec, labels: &[&str], value: Option<f64>| {
            // A counter below zero is a server's bug, and nothing to count.
            if let Some(value) = value.filter(|value| *value >= 0.0) {
                family.with_label_values(labels).inc_by(value);
            }
        };
        count(&self.aborted_clients, &[target], status.aborted_clients);
        count(&self.aborted_connects, &[target], status.aborted_connects);
        for (error, &value) in &status.connection_errors {
            count(&self.connection_errors, &[target, error], Some(value));
        }
        if let Some(threads) = status.threads_connected {
            self.threads_connected.with_label_values(&[target]).set(threads);
        }
    }

    fn draw_sessions(&self, target: &str, list: &server::ProcessList, thresholds: &[f64]) {
        // The users with the most sessions get series of their own; ties fall by name.
        let mut ranked: Vec<_> = list.users.iter().map(|(user, of)| (user, of, of.count())).collect();
        ranked.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(b.0)));
        // A user with a session whose age is not known has no ages to tell: a count of some would seem that of all.
        let others_have_ages = ranked.iter().skip(MOST_USERS).all(|(_, of, _)| of.ageless == 0);
        for (place, (user, of, _)) in ranked.into_iter().enumerate() {
            let named = place < MOST_USERS;
            let label = if named { account_label(user) } else { OTHER_USERS.into() };
            for (command, &count) in &of.commands {
                self.sessions.with_label_values(&[target, &label, command]).add(count as f64);
            }
            let has_ages = if named { of.ageless == 0 } else { others_have_ages };
            if has_ages && !of.idle.is_empty() {
                self.draw_ages(target, &label, &of.idle, thresholds);
            }
        }
    }

    /// Draws what the applications' sessions showed; at most 50 of them have a name of their own.
    fn draw_followed(&self, target: &str, followed: &server::Followed) {
        for (user, &seconds) in &followed.longest_survived {
            self.application_longest_survived.with_label_values(&[target, &user_label(user)]).set(seconds);
        }
        for (user, counts) in &followed.endings {
            let user = user_label(user);
            for (ending, &count) in Ending::ALL.iter().zip(counts) {
                let counter = self.application_endings.with_label_values(&[target, &user, ending.label()]);
                counter.inc_by(count as f64);
            }
        }
        for (user, drivers) in &followed.drivers {
            for driver in drivers {
                self.application_driver
                    .with_label_values(&[target, &user_label(user), driver.label()])
                    .set(1.0);
            }
        }
    }

    fn draw_ages(&self, target: &str, user: &str, ages: &[f64], thresholds: &[f64]) {
        let longest = self.session_longest_idle.with_label_values(&[target, user]);
        longest.set(ages.iter().copied().fold(longest.get(), f64::max));
        for &threshold in thresholds {
            let count = ages.iter().filter(|&&age| age >= threshold).count();
            let labels = [target, user, &threshold.to_string()];
            self.idle_sessions.with_label_values(&labels).add(count as f64);
        }
    }

    /// Draws what is known of a path, whose times are so many seconds `behind` the calendar.
    fn draw_path(&self, target: &str, path: &str, report: &PathReport, diagnosis: &Diagnosis, behind: f64) {
        for (kind, limit) in &report.limits {
            let labels = [target, path, kind.label()];
            self.limit_lower.with_label_values(&labels).set(limit.survived);
            if let Some(upper) = limit.upper {
                self.limit_upper.with_label_values(&labels).set(upper);
                self.limit_share.with_label_values(&labels).set(limit.share);
                self.limit_confirmed.with_label_values(&labels).set(f64::from(u8::from(limit.confirmed)));
            }
            if let Some(at) = limit.evidence_at {
                self.limit_evidence.with_label_values(&labels).set(at + behind);
            }
        }
        if let Some(culprit) = report.killer.map(|killer| killer.culprit) {
            let labels = [target, path, culprit.label(), culprit.layer().label(), &diagnosis.suspect];
            self.limit_info.with_label_values(&labels).set(1.0);
        }
        for (remedy, helps) in
            [("tcp_keepalive", diagnosis.remedies.tcp_keepalive), ("app_ping", diagnosis.remedies.app_ping)]
        {
            if let Some(helps) = helps {
                self.remedy.with_label_values(&[target, path, remedy]).set(f64::from(u8::from(helps)));
            }
        }
        for finding in diagnosis.findings.iter().filter(|finding| !rests_on_the_view(finding.rule)) {
            let labels = [target, path, finding.rule.label(), &finding.pool];
            self.layer_mismatch.with_label_values(&labels).set(f64::from(u8::from(finding.holds)));
        }
        for setting in &diagnosis.layers {
            let (layer, clock, source) =
                (setting.layer.label(), setting.clock.label(), setting.source.label());
            let labels = [target, path, layer, &setting.setting, clock, source];
            self.layer_timeout.with_label_values(&labels).set(setting.seconds);
        }
        if let Some(seconds) = diagnosis.recommended_recycle {
            self.recommended_recycle.with_label_values(&[target, path]).set(seconds);
        }
    }

    /// Draws what was concluded from the server view: only while that is not stale.
    fn draw_seen(&self, target: &str, path: &str, diagnosis: &Diagnosis) {
        for finding in diagnosis.findings.iter().filter(|finding| rests_on_the_view(finding.rule)) {
            let labels = [target, path, finding.rule.label(), &finding.pool];
            self.layer_mismatch.with_label_values(&labels).set(f64::from(u8::from(finding.holds)));
        }
        for held in &diagnosis.held_past_recycle {
            let labels = [target, path, &held.pool, &held.user];
            self.sessions_held_past_recycle.with_label_values(&labels).set(held.count as f64);
        }
        // At most 50 users and `_other` have a name of their own.
        for AtRisk { user, count, severity, tense } in diagnosis.at_risk.iter().flatten() {
            let user = user_label(user);
            self.sessions_at_risk.with_label_values(&[target, path, &user]).add(*count as f64);
            if *count > 0 {
                let labels = [target, path, &user, severity.label(), tense.label()];
                self.sessions_at_risk_info.with_label_values(&labels).set(1.0);
            }
        }
        for (user, count) in diagnosis.left_behind.iter().flatten() {
            let labels = [target, path, &user_label(user)];
            self.application_left_behind.with_label_values(&labels).add(*count as f64);
        }
    }
}

/// The label of a user as the follower calls it.
fn user_label(user: &str) -> String {
    if user == OTHER_USERS { user.to_owned() } else { account_label(&account_name(user).0).into_owned() }
}

/// Whether a rule speaks of sessions that the server lists, as it does now.
const fn rests_on_the_view(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::SessionHeldPastRecycle
            | Rule::SessionsAtRisk
            | Rule::GhostsOnServer
            | Rule::IdleTransactionEndsFirst
            | Rule::ApplicationPathDiffers
            | Rule::UndeclaredPool
            | Rule::PoolNotAsDeclared
    )
}

impl Collector for StateCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.families.each().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(families) = Families::new() else { return Vec::new() };
        for state in &self.targets {
            families.draw(state, unix_now());
        }
        families.log_lines_dropped.with_label_values::<&str>(&[]).inc_by(logging::lines_dropped() as f64);
        families
            .each()
            .into_iter()
            .flat_map(Collector::collect)
            .filter(|family| !family.get_metric().is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::conduct::health::Loop;
    use crate::domain::life::kind::Kind;
    use crate::domain::life::observation::{Fate, History, Observation};

    const START: f64 = 1.8e9;

    fn evidence(families: &Families) -> f64 {
        let labels = ["default", "default", "idle"];
        families.limit_evidence.with_label_values(&labels).get()
    }

    #[tokio::test(start_paused = true)]
    async fn evidence_is_as_old_as_it_is_whatever_the_calendar_was_set_to() {
        let mut history = History::default();
        history.push(Observation { at: START, kind: Kind::Idle, age: 25.0, fate: Fate::Lived, server: None });
        let (_reading, server) = watch::channel(Reading::default());
        let (_report, report) = watch::channel(PathReport::new(&history, None));
        let (_diagnosis, diagnosis) = watch::channel(Diagnosis::default());
        let name = || "default".to_owned();
        let state = TargetState {
            target: name(),
            server,
            stale_after: Duration::from_secs(35),
            epoch: Epoch::new(START),
            thresholds: Vec::new(),
            paths: vec![PathState { path: name(), pulse: Pulse::unwatched(Loop::Prober), report, diagnosis }],
        };
        tokio::time::advance(Duration::from_secs(60)).await;
        for step in [0.0, 3600.0, -3600.0] {
            let families = Families::new().expect("the names are good");
            let unix_now = START + 60.0 + step;
            families.draw(&state, unix_now);
            assert_eq!(unix_now - evidence(&families), 60.0, "a step of {step} s");
        }
    }
}
