//! Every metric: its name, help, labels and buckets, once. Values that events make live in
//! [`Metrics`]; values that describe the present are drawn afresh at each scrape from what the loops
//! last published (`exposition`), so that what is gone vanishes.

use std::collections::BTreeMap;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
};

use crate::domain::conduct::health::Loop;
use crate::domain::conduct::proof::GhostKill;
use crate::domain::conduct::suspension::Suspension;
use crate::domain::culprit::{Culprit, possible_culprits};
use crate::domain::life::ending::Ending;
use crate::domain::life::kind::Kind;
use crate::domain::life::stage::Stage;
use crate::domain::life::void::VoidReason;
use crate::domain::limit::ladder::Ladder;

mod process;
mod seldom;

pub use process::{ConfigReload, ProcessMetrics, failed_rounds_of_the_process};
pub use seldom::Seldom;

/// What failed rounds are; those of a target, and those of the process, whose target is empty.
const FAILED_ROUNDS: &str = "Rounds of the exporter's own loops that failed, by a fault of its own or of the driver. The target is empty for loops of the whole process.";

/// Bucket bounds of connects, in seconds.
const CONNECT_BUCKETS: [f64; 9] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];
/// Bucket bounds of stalls, in seconds: a round trip, the probe's deadline, `tcp_retries2`.
const STALL_BUCKETS: [f64; 9] = [0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 1000.0];

/// The metrics that events of one target make.
#[derive(Debug, Clone)]
pub struct Metrics {
    connections: IntGaugeVec,
    connect_duration: HistogramVec,
    connect_failures: IntCounterVec,
    lives: IntCounterVec,
    deaths: IntCounterVec,
    death_age: HistogramVec,
    survival_age: HistogramVec,
    stall: HistogramVec,
    voided: IntCounterVec,
    suspended: IntGaugeVec,
    self_aborted_clients: IntCounterVec,
    ghost_kills: IntCounterVec,
    failed_rounds: IntCounterVec,
    application_survival_age: HistogramVec,
    /// Those of deaths: two series in three.
    seldom: Seldom,
}

impl Metrics {
    /// Registers every metric into the registry it is given, which is the target's own. Buckets of idle ages are the ladder's:
    /// canaries are aimed at its rungs, so a bucket between two of them could not tell more.
    ///
    /// # Errors
    /// When one of the names is in the registry already.
    pub fn register(registry: &Registry, ladder: &Ladder) -> prometheus::Result<Self> {
        Self::register_apart(registry, &Seldom::within(registry), ladder)
    }

    /// The same, but those of deaths, which are most of all series and seldom change, apart.
    ///
    /// # Errors
    /// When one of the names is in its registry already.
    #[rustfmt::skip]
    pub fn register_apart(registry: &Registry, seldom: &Seldom, ladder: &Ladder) -> prometheus::Result<Self> {
        let gauges = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntGaugeVec> {
            let vec = IntGaugeVec::new(named(name, help), labels)?;
            registry.register(Box::new(vec.clone())).map(|()| vec)
        };
        let counters_in = |registry: &Registry, name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
            let vec = IntCounterVec::new(named(name, help), labels)?;
            registry.register(Box::new(vec.clone())).map(|()| vec)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| counters_in(registry, name, help, labels);
        let histograms = |name: &str, help: &str, labels: &[&str], buckets: &[f64]| -> prometheus::Result<HistogramVec> {
            let vec = HistogramVec::new(HistogramOpts::from(named(name, help)).buckets(buckets.to_vec()), labels)?;
            registry.register(Box::new(vec.clone())).map(|()| vec)
        };
        let [death_age, survival_age, application_survival_age] = age_histograms(registry, &seldom.registry, ladder)?;
        Ok(Self {
            connections: gauges("connections", "Canary sessions held open now.", &["target", "path", "kind"])?,
            connect_duration: histograms("connect_duration_seconds", "Time from the start of a TCP connect to the end of the login.", &["target", "path"], &CONNECT_BUCKETS)?,
            connect_failures: counters("connect_failures_total", "Connects that failed, by the stage they failed at.", &["target", "path", "stage"])?,
            lives: counters("lives_total", "Canaries whose life had an outcome: they survived to their probe, or died.", &["target", "path", "kind"])?,
            deaths: counters_in(&seldom.registry, "deaths_total", "Canaries that died, by what the wire showed and who did it.", &["target", "path", "kind", "ending", "culprit"])?,
            death_age,
            survival_age,
            stall: histograms("stall_seconds", "Time from sending on a dead connection to knowing, at most the probe timeout.", &["target", "path"], &STALL_BUCKETS)?,
            voided: counters("voided_total", "Canaries whose outcome says nothing and was not counted.", &["target", "path", "reason"])?,
            suspended: gauges("suspended", "1 while no canary is launched, for this reason.", &["target", "path", "reason"])?,
            self_aborted_clients: counters("self_aborted_clients_total", "Sessions of this exporter that the server counted in Aborted_clients.", &["target"])?,
            ghost_kills: counters("ghost_kills_total", "Sessions of this exporter that the server held although their client was dead, by what became of the attempt to kill them.", &["target", "path", "outcome"])?,
            failed_rounds: counters("failed_rounds_total", FAILED_ROUNDS, &["target", "loop"])?,
            application_survival_age,
            seldom: seldom.clone(),
        })
    }

    /// These metrics with the buckets of another ladder: the histograms of idle ages begin anew, all others go on.
    ///
    /// # Errors
    /// Never for metrics that this registry has; the crate checks them all the same.
    pub fn with_ladder(&self, registry: &Registry, ladder: &Ladder) -> prometheus::Result<Self> {
        self.seldom.registry.unregister(Box::new(self.death_age.clone()))?;
        for histogram in [&self.survival_age, &self.application_survival_age] {
            registry.unregister(Box::new(histogram.clone()))?;
        }
        let [death_age, survival_age, application_survival_age] =
            age_histograms(registry, &self.seldom.registry, ladder)?;
        self.seldom.change();
        Ok(Self { death_age, survival_age, application_survival_age, ..self.clone() })
    }

    /// The metrics of one path. Counters are born at zero for every legal combination of their closed
    /// labels; of the histograms, those that will be needed: idle canaries always run, while a twin may
    /// never be sent. `kinds` are those that may run there.
    pub fn path(&self, target: &str, path: &str, kinds: &[Kind]) -> PathMetrics {
        let bound = PathMetrics { metrics: self.clone(), target: target.to_owned(), path: path.to_owned() };
        for &kind in kinds {
            bound.set_connections(kind, 0);
            bound.lives(kind).inc_by(0);
            for ending in Ending::ALL {
                for &culprit in possible_culprits(kind, ending) {
                    bound.deaths(kind, ending, culprit).inc_by(0);
                    if kind == Kind::Idle {
                        bound.death_age(kind, culprit);
                    }
                }
            }
            if kind == Kind::Idle {
                bound.survival_age(kind);
            }
        }
        for reason in VoidReason::ALL {
            self.voided.with_label_values(&[target, path, reason.label()]);
        }
        for reason in Suspension::ALL {
            bound.set_suspended(reason, false);
        }
        for stage in Stage::ALL {
            self.connect_failures.with_label_values(&[target, path, stage.label()]);
        }
        self.connect_duration.with_label_values(&[target, path]);
        self.stall.with_label_values(&[target, path]);
        self.self_aborted_clients.with_label_values(&[target]);
        for name in Loop::OF_A_TARGET {
            self.failed_rounds(target, name);
        }
        bound.ghost_kills();
        self.seldom.change();
        bound
    }

    /// Takes out every series of a path that is gone.
    pub fn forget_path(&self, path: &str) {
        let with_a_path: [&dyn Removable; 11] = [
            &self.connections,
            &self.connect_duration,
            &self.connect_failures,
            &self.lives,
            &self.deaths,
            &self.death_age,
            &self.survival_age,
            &self.stall,
            &self.voided,
            &self.suspended,
            &self.ghost_kills,
        ];
        for vec in with_a_path {
            let Some(description) = vec.desc().first().map(|description| description.variable_labels.clone())
            else {
                continue;
            };
            for family in vec.collect() {
                for metric in family.get_metric() {
                    // The page sorts labels by name; a series is named by them in the order of the metric.
                    let value_of = |name: &String| {
                        metric
                            .get_label()
                            .iter()
                            .find(|label| label.name() == name)
                            .map_or("", |label| label.value())
                    };
                    let values: Vec<&str> = description.iter().map(value_of).collect();
                    if values.get(PATH_PLACE) == Some(&path) {
                        vec.remove(&values);
                    }
                }
            }
        }
        self.seldom.change();
    }

    /// Sleeps that the applications' sessions survived, in seconds: the histogram of a target is made once its
    /// sessions are followed.
    pub fn application_survival_ages(&self) -> HistogramVec {
        self.application_survival_age.clone()
    }

    /// Counts the sessions of ours that the target's server counted in `Aborted_clients`.
    pub fn self_aborted_clients(&self, target: &str) -> IntCounter {
        self.self_aborted_clients.with_label_values(&[target])
    }

    /// Counts the failed rounds of a loop.
    pub fn failed_rounds(&self, target: &str, name: Loop) -> IntCounter {
        self.failed_rounds.with_label_values(&[target, name.label()])
    }
}

/// The place of the label `path` in the metrics that have one.
const PATH_PLACE: usize = 1;

/// A collector whose series can be taken out one by one.
trait Removable: Collector {
    fn remove(&self, values: &[&str]);
}

impl<T: MetricVecBuilder> Removable for MetricVec<T> {
    fn remove(&self, values: &[&str]) {
        // It was listed a moment ago; whoever took it out since did the same.
        let _ = self.remove_label_values(values);
    }
}

/// Registers the histograms of idle ages: those of deaths, of survivals, and of the applications' survivals.
#[rustfmt::skip]
fn age_histograms(registry: &Registry, of_deaths: &Registry, ladder: &Ladder) -> prometheus::Result<[HistogramVec; 3]> {
    let histogram = |registry: &Registry, name: &str, help: &str, labels: &[&str]| -> prometheus::Result<HistogramVec> {
        let vec = HistogramVec::new(HistogramOpts::from(named(name, help)).buckets(ladder.ages().to_vec()), labels)?;
        registry.register(Box::new(vec.clone())).map(|()| vec)
    };
    Ok([
        histogram(of_deaths, "death_age_seconds", "Idle age at death. A silent death counts at the age it was found. Buckets are the ladder's ages.", &["target", "path", "kind", "culprit"])?,
        histogram(registry, "survival_age_seconds", "Idle age at which a probe was answered. Buckets are the ladder's ages.", &["target", "path", "kind"])?,
        histogram(registry, "application_survival_age_seconds", "Idle age that an application's session woke up from. Buckets are the ladder's ages.", &["target"])?,
    ])
}

/// Options of a metric with the project's prefix.
pub fn named(name: &str, help: &str) -> Opts {
    Opts::new(format!("mysql_canary_{name}"), help)
}

/// The metrics of one path.
#[derive(Debug, Clone)]
pub struct PathMetrics {
    metrics: Metrics,
    target: String,
    path: String,
}

impl PathMetrics {
    /// Canaries of a kind held open now. The first of a kind brings its histogram of survivals, at zero:
    /// the first survival then shows as an increase.
    pub fn set_connections(&self, kind: Kind, count: usize) {
        let gauge = self.metrics.connections.with_label_values(&[&self.target, &self.path, kind.label()]);
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        if count > 0 {
            self.survival_age(kind);
        }
    }

    /// A connect succeeded after this many seconds.
    pub fn connected(&self, seconds: f64) {
        self.metrics.connect_duration.with_label_values(&[&self.target, &self.path]).observe(seconds);
    }

    /// A connect failed.
    pub fn connect_failed(&self, stage: Stage) {
        self.metrics.connect_failures.with_label_values(&[&self.target, &self.path, stage.label()]).inc();
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
        self.metrics.seldom.change();
    }

    /// Sending on a dead connection took this many seconds to be known.
    pub fn stalled(&self, seconds: f64) {
        self.metrics.stall.with_label_values(&[&self.target, &self.path]).observe(seconds);
    }

    /// Whether a connect has succeeded or failed yet.
    pub fn was_tried(&self) -> bool {
        let path = [self.target.as_str(), &self.path];
        let succeeded = self.metrics.connect_duration.with_label_values(&path).get_sample_count() > 0;
        let failed = |stage: &Stage| {
            self.metrics.connect_failures.with_label_values(&[path[0], path[1], stage.label()]).get() > 0
        };
        succeeded || Stage::ALL.iter().any(failed)
    }

    /// An outcome was void.
    pub fn voided(&self, reason: VoidReason) {
        self.metrics.voided.with_label_values(&[&self.target, &self.path, reason.label()]).inc();
    }

    /// Launches are, or are not, suspended for this reason.
    pub fn set_suspended(&self, reason: Suspension, suspended: bool) {
        let gauge = self.metrics.suspended.with_label_values(&[&self.target, &self.path, reason.label()]);
        gauge.set(i64::from(suspended));
    }

    /// Counts ghosts by what became of them.
    pub fn ghost_kills(&self) -> BTreeMap<GhostKill, IntCounter> {
        let counter = |outcome: GhostKill| {
            let labels = [self.target.as_str(), &self.path, outcome.label()];
            (outcome, self.metrics.ghost_kills.with_label_values(&labels))
        };
        GhostKill::ALL.into_iter().map(counter).collect()
    }

    fn lives(&self, kind: Kind) -> IntCounter {
        self.metrics.lives.with_label_values(&[&self.target, &self.path, kind.label()])
    }

    fn deaths(&self, kind: Kind, ending: Ending, culprit: Culprit) -> IntCounter {
        let labels = [self.target.as_str(), &self.path, kind.label(), ending.label(), culprit.label()];
        self.metrics.deaths.with_label_values(&labels)
    }

    fn survival_age(&self, kind: Kind) -> Histogram {
        self.metrics.survival_age.with_label_values(&[&self.target, &self.path, kind.label()])
    }

    fn death_age(&self, kind: Kind, culprit: Culprit) -> Histogram {
        self.metrics.death_age.with_label_values(&[&self.target, &self.path, kind.label(), culprit.label()])
    }
}

#[cfg(test)]
mod tests;
