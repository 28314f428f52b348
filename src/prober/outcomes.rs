//! What the loop does with outcomes: each is counted once, remembered, and told; deaths when their culprit is decided.

use tokio::time::Instant;

use super::deaths::Decided;
use super::life::{Outcome, Unborn, World};
use super::report::{self, Waiting};
use super::{PathReport, Prober, RETRY_SECONDS};
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, Observation};
use crate::domain::life::void::VoidReason;
use crate::domain::limit::ServerLimit;

impl<W: World> Prober<W> {
    /// Takes one outcome. Lives are counted here and, the dead among them, in [`Self::count_death`].
    pub(super) fn settle(&mut self, kind: Kind, born: Option<Instant>, outcome: Outcome) {
        match outcome {
            Outcome::Survived { age, server } => {
                self.metrics.survived(kind, age);
                let server = self.history.number_of(server.as_deref());
                // It is learnt later: a goodbye is waited for.
                let now = self.epoch.now();
                let at = born.map_or(now, |born| (self.epoch.unix(born) + age).min(now));
                self.observe(Observation { at, kind, age, fate: Fate::Lived, server });
                report::tell_survival(&self.settings, kind, age);
            }
            Outcome::Died(death) => {
                let server = self.history.number_of(death.identity.as_deref());
                if let Some(foretold) = self.undecided.open(kind, born, death, server, &self.epoch) {
                    self.observe(foretold);
                }
            }
            Outcome::Void(voided) => {
                let reason = voided.cause.reason();
                self.metrics.voided(reason);
                report::tell_void(&self.settings, kind, voided);
                if reason == VoidReason::Outage {
                    self.rest(RETRY_SECONDS);
                }
            }
            Outcome::Unborn(Unborn::HeldBack { seconds, failed_at }) => {
                // A birth may have come in after the failure, and lifted what stands.
                if let Some(stage) = failed_at {
                    self.suspend_after(stage);
                }
                self.rest(seconds);
            }
            Outcome::Unborn(Unborn::Failed(stage)) => {
                self.suspend_after(stage);
                self.rest(RETRY_SECONDS);
            }
            Outcome::Unborn(Unborn::Stopped) | Outcome::Recalled => {}
        }
    }

    /// Counts the deaths whose culprit is decided; at the end (`last_call`), all of them.
    pub(super) fn review(&mut self, last_call: bool) {
        let told = self.publish.report.borrow().limit(Kind::Idle);
        let mut is_news = false;
        // What is decided tells of those that wait.
        loop {
            let decided = self.undecided.review(&self.history, &self.flights, &self.epoch, &told, last_call);
            if decided.is_empty() {
                break;
            }
            is_news = true;
            // All of them at once: what one moment did is no limit in between.
            for one in &decided {
                self.count_death(one);
            }
        }
        if is_news {
            self.keep_and_report();
        }
    }

    fn count_death(&mut self, decided: &Decided) {
        let Decided { kind, death, at, conclusion, server, foretold } = decided;
        self.metrics.died(*kind, death.ending, conclusion.culprit, death.age);
        if let Some(seconds) = death.stall {
            self.metrics.stalled(seconds);
            self.longest_stall = Some(self.longest_stall.map_or(seconds, |longest| longest.max(seconds)));
        }
        let fate = Fate::Died {
            ending: death.ending,
            exact: death.exact,
            culprit: conclusion.culprit,
            recurs: conclusion.recurs,
            killed: death.killed(),
        };
        if let Some(foretold) = foretold {
            self.history.withdraw(foretold);
        }
        if *kind == Kind::Idle && (conclusion.recurs || conclusion.culprit.bounds_idle_age()) {
            self.rows.note(death.age, death.row);
        }
        if !conclusion.stray {
            self.history.push(Observation { at: *at, kind: *kind, age: death.age, fate, server: *server });
        }
        self.show_death(decided);
        let expected = self.publish.report.borrow().expects(death.age, conclusion.culprit);
        report::tell_death(&self.settings, decided, expected);
    }

    pub(super) fn observe(&mut self, observation: Observation) {
        self.history.push(observation);
        self.keep_and_report();
    }

    pub(super) fn keep_and_report(&mut self) {
        if let Some(keep) = &mut self.keep {
            keep(&self.history);
        }
        self.report();
    }

    pub(super) fn report(&self) {
        let is_open = |seen: &Observation| self.undecided.is_open(seen);
        self.show_lives();
        let undecided = Waiting { is_open, recurs_at: self.undecided.recurs_at() };
        let report = self.publish.report.borrow().followed_by(&self.history, self.longest_stall, undecided);
        let takes_the_row = self.rows.leave_at(&report.limit(Kind::Idle));
        let report = PathReport { takes_the_row, ..report };
        let limits = |servers: &[ServerLimit]| -> Vec<(Option<u16>, bool)> {
            servers.iter().map(|of| (of.server, of.limit.confirmed)).collect()
        };
        let before = self.publish.report.send_replace(report);
        let now = self.publish.report.borrow();
        if limits(&before.servers) != limits(&now.servers) {
            report::tell_servers(&self.settings, &now.servers);
        }
    }
}
