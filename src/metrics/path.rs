//! The metrics of one path.

use std::collections::BTreeMap;

use prometheus::{Histogram, IntCounter};

use super::Metrics;
use super::labels::{
    DeathAgeLabels, DeathLabels, GhostKillLabels, KindLabels, PathLabels, StageLabels, SuspensionLabels,
    VoidLabels,
};
use crate::domain::conduct::health::Loop;
use crate::domain::conduct::proof::GhostKill;
use crate::domain::conduct::suspension::Suspension;
use crate::domain::culprit::{Culprit, possible_culprits};
use crate::domain::life::ending::Ending;
use crate::domain::life::kind::Kind;
use crate::domain::life::stage::Stage;
use crate::domain::life::void::VoidReason;

/// The metrics of one path.
#[derive(Debug, Clone)]
pub struct PathMetrics {
    metrics: Metrics,
    target: String,
    path: String,
}

impl PathMetrics {
    /// As [`Metrics::path`].
    pub(super) fn born(metrics: &Metrics, target: &str, path: &str, kinds: &[Kind]) -> Self {
        let born = Self { metrics: metrics.clone(), target: target.to_owned(), path: path.to_owned() };
        for &kind in kinds {
            born.set_connections(kind, 0);
            born.lives(kind);
        }
        born.expect(Kind::Idle);
        for culprit in Culprit::ALL {
            born.death_age(Kind::Idle, culprit);
        }
        for reason in VoidReason::ALL {
            born.voids(reason);
        }
        for reason in Suspension::ALL {
            born.set_suspended(reason, false);
        }
        for stage in Stage::ALL {
            born.connect_failures(stage);
        }
        born.connect_duration();
        born.stall();
        metrics.self_aborted_clients(target);
        for name in Loop::OF_A_TARGET {
            metrics.failed_rounds(target, name);
        }
        born.ghost_kills();
        born
    }

    /// Canaries of a kind held open now. The first of a kind brings what its ends are counted in, at zero: it lives for
    /// as long as the limit, so a scrape finds the zeros before its end, which then shows as an increase. Most paths
    /// never need them, for twins are sent past a limit only.
    pub fn set_connections(&self, kind: Kind, count: usize) {
        let held = self.metrics.connections.of(self.kind(kind));
        if count > 0 && held.get() == 0 {
            self.expect(kind);
        }
        held.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Brings every count that the end of a canary of this kind may need.
    fn expect(&self, kind: Kind) {
        for ending in Ending::ALL {
            for &culprit in possible_culprits(kind, ending) {
                self.deaths(kind, ending, culprit);
            }
        }
        self.survival_age(kind);
    }

    /// A connect succeeded after this many seconds.
    pub fn connected(&self, seconds: f64) {
        self.connect_duration().observe(seconds);
    }

    /// A connect failed.
    pub fn connect_failed(&self, stage: Stage) {
        self.connect_failures(stage).inc();
    }

    /// A canary survived to this idle age, in seconds.
    pub fn survived(&self, kind: Kind, age: f64) {
        self.lives(kind).inc();
        self.survival_age(kind).observe(age);
    }

    /// A canary died at this idle age, in seconds.
    pub fn died(&self, kind: Kind, ending: Ending, culprit: Culprit, age: f64) {
        self.lives(kind).inc();
        self.deaths(kind, ending, culprit).inc();
        self.death_age(kind, culprit).observe(age);
    }

    /// Sending on a dead connection took this many seconds to be known.
    pub fn stalled(&self, seconds: f64) {
        self.stall().observe(seconds);
    }

    /// Whether a connect has succeeded or failed yet.
    pub fn was_tried(&self) -> bool {
        let failed = |stage: &Stage| self.connect_failures(*stage).get() > 0;
        self.connect_duration().get_sample_count() > 0 || Stage::ALL.iter().any(failed)
    }

    /// An outcome was void.
    pub fn voided(&self, reason: VoidReason) {
        self.voids(reason).inc();
    }

    /// Launches are, or are not, suspended for this reason.
    pub fn set_suspended(&self, reason: Suspension, suspended: bool) {
        let labels = SuspensionLabels { path: &self.path, reason, target: &self.target };
        self.metrics.suspended.of(labels).set(i64::from(suspended));
    }

    /// Counts ghosts by what became of them.
    pub fn ghost_kills(&self) -> BTreeMap<GhostKill, IntCounter> {
        let counter = |outcome: GhostKill| {
            let labels = GhostKillLabels { outcome, path: &self.path, target: &self.target };
            (outcome, self.metrics.ghost_kills.of(labels))
        };
        GhostKill::ALL.into_iter().map(counter).collect()
    }

    fn path(&self) -> PathLabels<'_> {
        PathLabels { path: &self.path, target: &self.target }
    }

    fn kind(&self, kind: Kind) -> KindLabels<'_> {
        KindLabels { kind, path: &self.path, target: &self.target }
    }

    pub(super) fn lives(&self, kind: Kind) -> IntCounter {
        self.metrics.lives.of(self.kind(kind))
    }

    fn deaths(&self, kind: Kind, ending: Ending, culprit: Culprit) -> IntCounter {
        let labels = DeathLabels { culprit, ending, kind, path: &self.path, target: &self.target };
        self.metrics.deaths.of(labels)
    }

    fn death_age(&self, kind: Kind, culprit: Culprit) -> Histogram {
        self.metrics.death_age.of(DeathAgeLabels { culprit, kind, path: &self.path, target: &self.target })
    }

    fn survival_age(&self, kind: Kind) -> Histogram {
        self.metrics.survival_age.of(self.kind(kind))
    }

    fn connect_duration(&self) -> Histogram {
        self.metrics.connect_duration.of(self.path())
    }

    fn connect_failures(&self, stage: Stage) -> IntCounter {
        self.metrics.connect_failures.of(StageLabels { path: &self.path, stage, target: &self.target })
    }

    fn stall(&self) -> Histogram {
        self.metrics.stall.of(self.path())
    }

    fn voids(&self, reason: VoidReason) -> IntCounter {
        self.metrics.voided.of(VoidLabels { path: &self.path, reason, target: &self.target })
    }
}
