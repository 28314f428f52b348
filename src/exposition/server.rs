//! What the server view says, drawn.

use std::borrow::Cow;

use super::TargetState;
use super::drawing::{Drawing, Drawn};
use super::families::{
    ABORTED_CLIENTS, ABORTED_CONNECTS, APPLICATION_DRIVER, APPLICATION_ENDINGS, APPLICATION_LONGEST_SURVIVED,
    COLLECTOR_DURATION, COLLECTOR_SUCCESS, CONNECTION_ERRORS, CollectorLabels, CommandLabels, DriverLabels,
    EndingLabels, ErrorLabels, GHOST_SESSIONS, IDLE_SESSIONS, IdleLabels, MAX_CONNECTIONS, SERVER_INFO,
    SERVER_START_TIME, SESSION_LONGEST_IDLE, SESSIONS, ServerInfoLabels, THREADS_CONNECTED, UserLabels,
};
use crate::domain::applications::Ending;
use crate::domain::life::words::{MOST_NAMED_USERS, OTHER, OTHER_USERS, account_label, user_label};
use crate::metrics::labels::{LabelSet, PathLabels, TargetLabels};
use crate::server::{self, ServerView};

impl<'a> Drawing<'a> {
    /// Draws what the server said.
    pub(super) fn draw_server(&mut self, target: &'a str, view: &'a ServerView, state: &'a TargetState) {
        let version = view.version.as_deref().unwrap_or(OTHER);
        self.set(&SERVER_INFO, ServerInfoLabels { flavor: view.flavor, target, version }, 1.0);
        for (&collector, run) in &view.collectors {
            self.set_flag(&COLLECTOR_SUCCESS, CollectorLabels { collector, target }, run.succeeded);
            if let Some(seconds) = run.seconds {
                self.set(&COLLECTOR_DURATION, CollectorLabels { collector, target }, seconds);
            }
        }
        if let Some(status) = &view.status {
            self.draw_status(target, status);
        }
        if let Some(started_at) = view.started_at {
            self.set(&SERVER_START_TIME, TargetLabels { target }, started_at.round());
        }
        if let Some(limit) = view.variables.as_ref().and_then(|variables| variables.max_connections) {
            self.set(&MAX_CONNECTIONS, TargetLabels { target }, limit);
        }
        if let Some(list) = view.applications() {
            self.draw_sessions(target, list, &state.thresholds);
        }
        if let Some(followed) = &view.followed {
            self.draw_followed(target, followed);
        }
        for path in &state.paths {
            if let Some(ghosts) = view.ghosts_of(&path.path) {
                self.set(&GHOST_SESSIONS, PathLabels { path: &path.path, target }, ghosts as f64);
            }
        }
    }

    fn draw_status(&mut self, target: &'a str, status: &server::GlobalStatus) {
        self.count(&ABORTED_CLIENTS, TargetLabels { target }, status.aborted_clients);
        self.count(&ABORTED_CONNECTS, TargetLabels { target }, status.aborted_connects);
        for (&error, &value) in &status.connection_errors {
            self.count(&CONNECTION_ERRORS, ErrorLabels { error, target }, Some(value));
        }
        if let Some(threads) = status.threads_connected {
            self.set(&THREADS_CONNECTED, TargetLabels { target }, threads);
        }
    }

    /// A counter of the server's: one below zero is a server's bug, and nothing to count.
    fn count<Shape>(
        &mut self,
        family: &Drawn<Shape>,
        labels: impl LabelSet<'a, Shape = Shape>,
        value: Option<f64>,
    ) {
        if let Some(value) = value.filter(|value| *value >= 0.0) {
            self.set(family, labels, value);
        }
    }

    fn draw_sessions(&mut self, target: &'a str, list: &'a server::ProcessList, thresholds: &[f64]) {
        // The users with the most sessions get series of their own; ties fall by name.
        let mut ranked: Vec<_> = list.users.iter().map(|(user, of)| (user, of, of.count())).collect();
        ranked.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(b.0)));
        // A user with a session whose age is not known has no ages to tell: a count of some would seem that of all.
        let others_have_ages = ranked.iter().skip(MOST_NAMED_USERS).all(|(_, of, _)| of.ageless == 0);
        for (place, (user, of, _)) in ranked.into_iter().enumerate() {
            let named = place < MOST_NAMED_USERS;
            let user = if named { account_label(user) } else { OTHER_USERS.into() };
            for (&command, &count) in &of.commands {
                let labels = CommandLabels { command, target, user: user.clone() };
                self.add(&SESSIONS, labels, count as f64);
            }
            let has_ages = if named { of.ageless == 0 } else { others_have_ages };
            if has_ages && !of.idle.is_empty() {
                self.draw_ages(target, user, &of.idle, thresholds);
            }
        }
    }

    /// Draws what the applications' sessions showed; at most 50 of them have a name of their own.
    fn draw_followed(&mut self, target: &'a str, followed: &'a server::Followed) {
        for (user, &seconds) in &followed.longest_survived {
            let labels = UserLabels { target, user: user_label(user) };
            self.set(&APPLICATION_LONGEST_SURVIVED, labels, seconds);
        }
        for (user, counts) in &followed.endings {
            let user = user_label(user);
            for (ending, &count) in Ending::ALL.into_iter().zip(counts) {
                let labels = EndingLabels { ending, target, user: user.clone() };
                self.add(&APPLICATION_ENDINGS, labels, count as f64);
            }
        }
        for (user, drivers) in &followed.drivers {
            let user = user_label(user);
            for &driver in drivers {
                self.set(&APPLICATION_DRIVER, DriverLabels { driver, target, user: user.clone() }, 1.0);
            }
        }
    }

    fn draw_ages(&mut self, target: &'a str, user: Cow<'a, str>, ages: &[f64], thresholds: &[f64]) {
        let longest = ages.iter().copied().fold(0.0, f64::max);
        self.raise(&SESSION_LONGEST_IDLE, UserLabels { target, user: user.clone() }, longest);
        for &threshold in thresholds {
            let count = ages.iter().filter(|&&age| age >= threshold).count();
            let idle_at_least = threshold.to_string().into();
            self.add(&IDLE_SESSIONS, IdleLabels { idle_at_least, target, user: user.clone() }, count as f64);
        }
    }
}
