use super::*;

/// Default settings: what a path may cost in all, all that is not counted here among it.
const BUDGET: usize = 800;
/// Series of the page that other code draws, at most, where no user has a session: the server view, the
/// limits, the verdict. A real page is counted in `tests/many_sessions.rs`.
const DRAWN_ELSEWHERE: usize = 90;

fn fresh() -> (Registry, PathMetrics) {
    let registry = Registry::new();
    let metrics =
        Metrics::register(&registry, &Ladder::default()).expect("a fresh registry takes every name");
    let path = metrics.path("default", "default", &Kind::ALL);
    (registry, path)
}

/// How many lines the registry's page has that are no comments.
fn series(registry: &Registry) -> usize {
    let page = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("a page");
    page.lines().filter(|line| !line.starts_with('#')).count()
}

fn histograms(registry: &Registry, name: &str) -> Vec<prometheus::proto::Metric> {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == format!("mysql_canary_{name}"));
    family.map(|family| family.get_metric().to_vec()).unwrap_or_default()
}

#[test]
fn a_path_is_born_with_the_histograms_that_idle_canaries_need() {
    let (registry, path) = fresh();
    assert_eq!(series(&registry), 406);
    assert_eq!(histograms(&registry, "survival_age_seconds").len(), 1);
    assert_eq!(histograms(&registry, "death_age_seconds").len(), Culprit::ALL.len());
    path.set_connections(Kind::Busy, 0);
    assert_eq!(series(&registry), 406, "no twin runs");
    path.set_connections(Kind::Busy, 1);
    assert_eq!(histograms(&registry, "survival_age_seconds").len(), 2, "born before the first survival");
}

#[test]
fn both_age_histograms_have_the_ladders_buckets() {
    let (registry, path) = fresh();
    path.survived(Kind::Idle, 25.0);
    path.died(Kind::Idle, Ending::Silence, Culprit::NetworkIdleTimeout, 40.0);
    path.died(Kind::Idle, Ending::Reset, Culprit::NetworkIdleTimeout, 350.2);
    path.survived(Kind::Idle, 40_000.0);
    let bounds = |name| {
        let filled = |metric: &prometheus::proto::Metric| metric.get_histogram().get_sample_count() > 0;
        let metric = histograms(&registry, name).into_iter().find(filled).expect("something was observed");
        let buckets = metric.get_histogram().get_bucket().to_vec();
        buckets.iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).unzip()
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
    let (registry, path) = fresh();
    for kind in Kind::ALL {
        path.survived(kind, 300.0);
        let limit = if kind == Kind::Active { Culprit::LifetimeLimit } else { Culprit::ProxyIdleTimeout };
        for culprit in [limit, Culprit::ServerRestart, Culprit::ServerKill] {
            path.died(kind, Ending::Fin, culprit, 350.0);
        }
    }
    let series = series(&registry);
    assert_eq!(series, 406 + 3 * 21 + 3 * 3 * 21);
    assert!(series + DRAWN_ELSEWHERE < BUDGET, "{series} series");
}

/// Every culprit has ended canaries of every kind within the life of one exporter: the end of growth.
#[test]
fn the_most_series_that_events_can_make() {
    let (registry, path) = fresh();
    for kind in Kind::ALL {
        path.survived(kind, 300.0);
        for ending in Ending::ALL {
            for &culprit in possible_culprits(kind, ending) {
                path.died(kind, ending, culprit, 350.0);
            }
        }
    }
    assert_eq!(series(&registry), 406 + 3 * 21 + (9 + 9 + 6) * 21);
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
    let (registry, path) = fresh();
    let other = path.metrics.path("default", "balancer", &Kind::ALL);
    let alone = series(&registry);
    for path in [&path, &other] {
        for kind in Kind::ALL {
            path.survived(kind, 300.0);
            path.died(kind, Ending::Fin, Culprit::ServerKill, 350.0);
        }
        path.connect_failed(Stage::Tls);
        path.stalled(1.0);
    }
    assert!(series(&registry) > alone);
    path.metrics.forget_path("balancer");
    let page = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("a page");
    assert!(!page.contains("balancer"), "{page}");
    assert_eq!(path.lives(Kind::Idle).get(), 2, "the other's counters stay as they were");
}
