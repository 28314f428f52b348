//! What the server view says, drawn.

use prometheus::CounterVec;

use super::TargetState;
use super::families::Families;
use crate::domain::applications::Ending;
use crate::domain::life::words::{MOST_NAMED_USERS, OTHER, OTHER_USERS, account_label, user_label};
use crate::server::{self, ServerView};

impl Families {
    /// Draws what the server said.
    pub(super) fn draw_server(&self, target: &str, view: &ServerView, state: &TargetState) {
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
        for path in &state.paths {
            if let Some(ghosts) = view.ghosts_of(&path.path) {
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
        let others_have_ages = ranked.iter().skip(MOST_NAMED_USERS).all(|(_, of, _)| of.ageless == 0);
        for (place, (user, of, _)) in ranked.into_iter().enumerate() {
            let named = place < MOST_NAMED_USERS;
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
}
