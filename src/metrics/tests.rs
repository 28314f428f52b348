use super::family::{Distribution, Value};
use super::*;
use crate::domain::culprit::{Culprit, possible_culprits};
use crate::domain::life::ending::Ending;
use crate::domain::life::stage::Stage;

/// Default settings: what a path may cost in all, all that is not counted here among it.
const BUDGET: usize = 800;
/// Series of the page that other code draws, at most, where no user has a session: the server view, the
/// limits, the verdict. A real page is counted in `tests/many_sessions.rs`.
const DRAWN_ELSEWHERE: usize = 90;

fn fresh() -> (Metrics, PathMetrics) {
    let metrics = Metrics::new(&Ladder::default()).expect("good names");
    let path = metrics.path("default", "default", &Kind::ALL);
    (metrics, path)
}

/// How many lines the metrics' page has that are no comments.
fn series(metrics: &Metrics) -> usize {
    let mut count = 0;
    for family in metrics.families() {
        family.read_each(&mut |_, value| {
            count += match value {
                Value::Number(_) => 1,
                // And all of them, their sum and their count.
                Value::Distribution(distribution) => distribution.at_most.len() + 3,
            }
        });
    }
    count
}

/// In how many ways a canary of a kind may end.
fn combinations(kind: Kind) -> usize {
    Ending::ALL.into_iter().map(|ending| possible_culprits(kind, ending).len()).sum()
}

fn histograms(metrics: &Metrics, name: &str) -> Vec<Distribution> {
    let name = format!("mysql_canary_{name}");
    let family = metrics.families().into_iter().find(|family| family.description().name == name);
    let mut found = Vec::new();
    family.expect("its name").read_each(&mut |_, value| match value {
        Value::Distribution(distribution) => found.push(distribution.clone()),
        Value::Number(_) => panic!("{name} has no buckets"),
    });
    found
}

#[test]
fn a_path_is_born_with_the_histograms_that_idle_canaries_need() {
    let (metrics, path) = fresh();
    let twins: usize = [Kind::Keepalive, Kind::Busy, Kind::Active].into_iter().map(combinations).sum();
    assert_eq!(series(&metrics), 410 - twins);
    assert_eq!(histograms(&metrics, "survival_age_seconds").len(), 1);
    assert_eq!(histograms(&metrics, "death_age_seconds").len(), Culprit::ALL.len());
    path.set_connections(Kind::Busy, 0);
    assert_eq!(series(&metrics), 410 - twins, "no twin runs");
    path.set_connections(Kind::Busy, 1);
    assert_eq!(series(&metrics), 410 - twins + combinations(Kind::Busy) + 21, "born before the first end");
    assert_eq!(histograms(&metrics, "survival_age_seconds").len(), 2, "born before the first survival");
}

#[test]
fn both_age_histograms_have_the_ladders_buckets() {
    let (metrics, path) = fresh();
    path.survived(Kind::Idle, 25.0);
    path.died(Kind::Idle, Ending::Silence, Culprit::NetworkIdleTimeout, 40.0);
    path.died(Kind::Idle, Ending::Reset, Culprit::NetworkIdleTimeout, 350.2);
    path.survived(Kind::Idle, 40_000.0);
    let bounds = |name| {
        let filled = histograms(&metrics, name).into_iter().find(|distribution| distribution.count > 0);
        filled.expect("something was observed").at_most.into_iter().unzip()
    };
    let (survivals, lived): (Vec<f64>, Vec<u64>) = bounds("survival_age_seconds");
    let (deaths, died): (Vec<f64>, Vec<u64>) = bounds("death_age_seconds");
    assert_eq!(survivals, Ladder::default().ages());
    assert_eq!(deaths, survivals);
    assert_eq!(lived[..2], [1, 1], "a probe at a rung counts in the bucket that ends there");
    assert_eq!(died[..8], [0, 1, 1, 1, 1, 1, 1, 2], "350.2 s lies between 320 s and 420 s");
}

/// All twins were sent and died of the limit, and a restart and a KILL struck one canary of each kind.
#[test]
fn a_settled_path_stays_within_its_budget() {
    let (metrics, path) = fresh();
    for kind in Kind::ALL {
        path.set_connections(kind, 1);
        path.survived(kind, 300.0);
        let limit = if kind == Kind::Active { Culprit::LifetimeLimit } else { Culprit::ProxyIdleTimeout };
        for culprit in [limit, Culprit::ServerRestart, Culprit::ServerKill] {
            path.died(kind, Ending::Fin, culprit, 350.0);
        }
    }
    let series = series(&metrics);
    assert_eq!(series, 410 + 3 * 21 + 3 * 3 * 21);
    assert!(series + DRAWN_ELSEWHERE < BUDGET, "{series} series");
}

/// Every culprit has ended canaries of every kind within the life of one exporter: the end of growth.
#[test]
fn the_most_series_that_events_can_make() {
    let (metrics, path) = fresh();
    for kind in Kind::ALL {
        path.survived(kind, 300.0);
        for ending in Ending::ALL {
            for &culprit in possible_culprits(kind, ending) {
                path.died(kind, ending, culprit, 350.0);
            }
        }
    }
    assert_eq!(series(&metrics), 410 + 3 * 21 + (9 + 9 + 7) * 21);
}

#[test]
fn a_path_was_tried_once_a_connect_has_succeeded_or_failed() {
    let (_, path) = fresh();
    assert!(!path.was_tried());
    path.connect_failed(Stage::Limit);
    assert!(path.was_tried());
    let (_, path) = fresh();
    path.connected(0.01);
    assert!(path.was_tried());
}

#[test]
fn a_path_that_is_gone_leaves_no_series_and_the_other_stays_whole() {
    let (metrics, path) = fresh();
    let other = metrics.path("default", "balancer", &Kind::ALL);
    let alone = series(&metrics);
    for path in [&path, &other] {
        for kind in Kind::ALL {
            path.survived(kind, 300.0);
            path.died(kind, Ending::Fin, Culprit::ServerKill, 350.0);
        }
        path.connect_failed(Stage::Tls);
        path.stalled(1.0);
    }
    assert!(series(&metrics) > alone);
    metrics.forget_path("balancer");
    for family in metrics.families() {
        family.read_each(&mut |values, _| {
            assert!(!values.iter().any(|value| value == "balancer"), "{values:?}")
        });
    }
    assert_eq!(path.lives(Kind::Idle).get(), 2, "the other's counters stay as they were");
}
