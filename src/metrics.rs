//! What events count: every such metric's name, help, labels and buckets, once. What describes the present is drawn
//! afresh at each scrape from what the loops last published (`exposition`), so that what is gone vanishes.
//!
//! | file | what it holds |
//! |---|---|
//! | `labels` | sets of labels, by name |
//! | `family` | families that events count in, and how they are read |
//! | `path` | the metrics of one path |
//! | `process` | what is counted once for the whole process |

use prometheus::{Histogram, IntCounter, IntGauge, Opts};

use crate::domain::conduct::health::Loop;
use crate::domain::life::kind::Kind;
use crate::domain::limit::ladder::Ladder;
use family::{Counted, Description, Family, Readable};
use labels::{
    DeathAgeLabels, DeathLabels, GhostKillLabels, KindLabels, LabelSet, LoopLabels, PathLabels, StageLabels,
    SuspensionLabels, TargetLabels, VoidLabels,
};

pub mod family;
pub mod labels;
mod path;
mod process;

pub use path::PathMetrics;
pub use process::{ConfigReload, ProcessMetrics, failed_rounds_of_the_process};

/// What failed rounds are; those of a target, and those of the process, whose target is empty.
const FAILED_ROUNDS: &str = "Rounds of the exporter's own loops that failed, by a fault of its own or of the driver. The target is empty for loops of the whole process.";

/// Bucket bounds of connects, in seconds.
const CONNECT_BUCKETS: [f64; 9] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];
/// Bucket bounds of stalls, in seconds: a round trip, the probe's deadline, `tcp_retries2`.
const STALL_BUCKETS: [f64; 9] = [0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 1000.0];

/// The metrics that events of one target make. Clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    connections: Family<KindLabels<'static>, IntGauge>,
    connect_duration: Family<PathLabels<'static>, Histogram>,
    connect_failures: Family<StageLabels<'static>, IntCounter>,
    lives: Family<KindLabels<'static>, IntCounter>,
    deaths: Family<DeathLabels<'static>, IntCounter>,
    death_age: Family<DeathAgeLabels<'static>, Histogram>,
    survival_age: Family<KindLabels<'static>, Histogram>,
    stall: Family<PathLabels<'static>, Histogram>,
    voided: Family<VoidLabels<'static>, IntCounter>,
    suspended: Family<SuspensionLabels<'static>, IntGauge>,
    self_aborted_clients: Family<TargetLabels<'static>, IntCounter>,
    ghost_kills: Family<GhostKillLabels<'static>, IntCounter>,
    failed_rounds: Family<LoopLabels<'static>, IntCounter>,
    application_survival_age: Family<TargetLabels<'static>, Histogram>,
}

impl Metrics {
    /// Every metric, without a series. Buckets of idle ages are the ladder's: canaries are aimed at its rungs, so a bucket
    /// between two of them could not tell more.
    ///
    /// # Errors
    /// Never for the names of this file and a ladder; the crate checks them all the same.
    #[rustfmt::skip]
    pub fn new(ladder: &Ladder) -> prometheus::Result<Self> {
        let ages = ladder.ages();
        Ok(Self {
            connections: plain("mysql_canary_connections", "Canary sessions held open now.")?,
            connect_duration: Family::new("mysql_canary_connect_duration_seconds", "Time from the start of a TCP connect to the end of the login.", &CONNECT_BUCKETS)?,
            connect_failures: plain("mysql_canary_connect_failures_total", "Connects that failed, by the stage they failed at.")?,
            lives: plain("mysql_canary_lives_total", "Canaries that came to an end that says something: a ping was answered, or the connection was dead.")?,
            deaths: plain("mysql_canary_deaths_total", "Canaries whose connection was dead, by kind of canary, symptom (ending) and cause (culprit).")?,
            death_age: Family::new("mysql_canary_death_age_seconds", "How long canaries had been idle when they died; a silent death counts when it was found. Buckets are the idle times that are tested.", ages)?,
            survival_age: Family::new("mysql_canary_survival_age_seconds", "How long canaries had been idle when a ping was answered. Buckets are the idle times that are tested.", ages)?,
            stall: Family::new("mysql_canary_stall_seconds", "How long a ping on a dead connection hung before it was known to be dead, at most the probe timeout.", &STALL_BUCKETS)?,
            voided: plain("mysql_canary_voided_total", "Canaries whose end says nothing and was discarded, by why.")?,
            suspended: plain("mysql_canary_suspended", "1 while no canary is launched, for this reason.")?,
            self_aborted_clients: plain("mysql_canary_self_aborted_clients_total", "Sessions of this exporter that the server counted in Aborted_clients.")?,
            ghost_kills: plain("mysql_canary_ghost_kills_total", "Sessions of this exporter that the server held although their client was dead, by what became of the attempt to kill them.")?,
            failed_rounds: plain("mysql_canary_failed_rounds_total", FAILED_ROUNDS)?,
            application_survival_age: Family::new("mysql_canary_application_survival_age_seconds", "How long application sessions had been idle when they were used again, alive. Buckets are the idle times that are tested.", ages)?,
        })
    }

    /// Each of them, to be read.
    pub fn families(&self) -> [&dyn Readable; 14] {
        let Self {
            connections,
            connect_duration,
            connect_failures,
            lives,
            deaths,
            death_age,
            survival_age,
            stall,
            voided,
            suspended,
            self_aborted_clients,
            ghost_kills,
            failed_rounds,
            application_survival_age,
        } = self;
        [
            connections,
            connect_duration,
            connect_failures,
            lives,
            deaths,
            death_age,
            survival_age,
            stall,
            voided,
            suspended,
            self_aborted_clients,
            ghost_kills,
            failed_rounds,
            application_survival_age,
        ]
    }

    /// What each of them is.
    pub fn descriptions(&self) -> Vec<Description> {
        self.families().into_iter().map(Readable::description).collect()
    }

    /// The buckets are another ladder's from now on: the histograms of idle ages begin anew, all others go on.
    ///
    /// # Errors
    /// Never for a ladder; the crate checks its ages all the same.
    pub fn set_ladder(&self, ladder: &Ladder) -> prometheus::Result<()> {
        self.death_age.begin_anew(ladder.ages())?;
        self.survival_age.begin_anew(ladder.ages())?;
        self.application_survival_age.begin_anew(ladder.ages())
    }

    /// The metrics of one path. Counters are born at zero for every legal combination of their closed
    /// labels, what counts the ends of a kind with the first canary of it: idle ones always run, while a twin may
    /// never be sent. `kinds` are those that may run there.
    pub fn path(&self, target: &str, path: &str, kinds: &[Kind]) -> PathMetrics {
        PathMetrics::born(self, target, path, kinds)
    }

    /// Takes out every series of a path that is gone.
    pub fn forget_path(&self, path: &str) {
        self.families().into_iter().for_each(|family| family.forget("path", path));
    }

    /// Sleeps that the applications' sessions of a target survived, in seconds.
    pub fn application_survival_age(&self, target: &str) -> Histogram {
        self.application_survival_age.of(TargetLabels { target })
    }

    /// Counts the sessions of ours that the target's server counted in `Aborted_clients`.
    pub fn self_aborted_clients(&self, target: &str) -> IntCounter {
        self.self_aborted_clients.of(TargetLabels { target })
    }

    /// Counts the failed rounds of a loop.
    pub fn failed_rounds(&self, target: &str, name: Loop) -> IntCounter {
        self.failed_rounds.of(LoopLabels { r#loop: name, target })
    }
}

/// A family that has no buckets.
fn plain<Shape: LabelSet<'static>, M: Counted>(
    name: &'static str,
    help: &'static str,
) -> prometheus::Result<Family<Shape, M>> {
    Family::new(name, help, &[])
}

/// Options of a metric of the process, with the project's prefix.
pub fn named(name: &str, help: &str) -> Opts {
    Opts::new(format!("mysql_canary_{name}"), help)
}

#[cfg(test)]
mod tests;
