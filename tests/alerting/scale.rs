//! The rules at scale: real pages, served as many exporters with two paths each, on a real Prometheus.
//!
//! Every path has a limit. On some targets all is wrong that can be: contradictions, and five users with sessions at risk.
//! Every window of the rules is full: what they read over hours has a past.
//! Beside other tests there are twenty targets, two of them ill; `make bench-rules` measures two hundred, all ill.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{history, pages};
use crate::lab::place::PrivateDir;
use crate::lab::turns::turn;
use crate::lab::{Prometheus, PrometheusOptions};

/// The exporters, each with a target of its own; this variable may ask for more.
const TARGETS: (&str, u32) = ("MYSQL_CANARY_SCALE_TARGETS", 20);
/// The paths of each.
const PATHS: u32 = 2;
/// How often Prometheus asks each of them and evaluates rules, in seconds; with a hundred targets or more as seldom
/// as people let it.
const INTERVAL: [u32; 2] = [5, 15];
/// How often rules are evaluated by people, for whom a group must be done in a quarter of it.
const USUAL_INTERVAL: Duration = Duration::from_secs(15);
/// How often the group of the past is evaluated by people. Here it is every other time.
const SELDOM: Duration = Duration::from_secs(120);
/// How many scrapes of each target come before the measurement.
const SCRAPES: u32 = 3;
/// The seconds between two samples of the past; this variable may ask for others. With a hundred targets or more they
/// are further apart than scrapes, for promtool takes its time to make them.
const PAST: (&str, [u32; 2]) = ("MYSQL_CANARY_SCALE_PAST", [300, 60]);
/// On how many targets all is wrong; this variable may ask for more.
const ILL: (&str, u32) = ("MYSQL_CANARY_SCALE_ILL", 2);
/// Users with sessions at risk on each of these.
const USERS: [&str; 5] = ["api", "jobs", "reports", "web", "workers"];
/// How many evaluations are measured; the quickest counts, for the others waited for a processor.
const EVALUATIONS: usize = 2;

/// The number that a variable asks for, or the one that is usual.
fn asked((variable, usual): (&str, u32)) -> u32 {
    std::env::var(variable).map_or(usual, |text| text.parse().expect("the variable holds a number"))
}

/// The first of two numbers where there are few targets, and the second where there are many.
fn by_size([few, many]: [u32; 2]) -> u32 {
    if asked(TARGETS) < 100 { few } else { many }
}

/// How often Prometheus asks each target, and evaluates rules.
fn interval() -> Duration {
    Duration::from_secs(by_size(INTERVAL).into())
}

/// How far apart the samples of the past are.
fn step() -> Duration {
    Duration::from_secs(asked((PAST.0, by_size(PAST.1))).into())
}

/// The page with each path's lines once for every path, of a process that began with its past.
fn with_paths(page: &str) -> String {
    let begun = SystemTime::now() - Duration::from_secs(history::HOURS * 3600);
    let begun = begun.duration_since(UNIX_EPOCH).expect("the clock is right").as_secs();
    let mut all = String::new();
    for line in page.lines() {
        if line.starts_with("process_start_time_seconds ") {
            writeln!(all, "process_start_time_seconds {begun}").expect("a string grows");
            continue;
        }
        let paths = if line.contains("path=\"default\"") { PATHS } else { 1 };
        for path in 0..paths {
            let line = line.replace("path=\"default\"", &format!("path=\"path-{path}\""));
            writeln!(all, "{line}").expect("a string grows");
        }
    }
    all
}

/// The pages of all targets.
fn all_pages(well: &str, ill: &str) -> Vec<String> {
    let page = |number| {
        let page = if number < asked(ILL) { ill } else { well };
        page.replace("target=\"default\"", &format!("target=\"db-{number}\""))
    };
    (0..asked(TARGETS)).map(page).collect()
}

/// What the newest evaluation of every group and every rule took, in seconds, by `group` and `group/rule`; and
/// when that was. Nothing for what was not evaluated yet.
fn evaluations(prometheus: &Prometheus<'_>) -> BTreeMap<String, Option<(f64, String)>> {
    let answer = prometheus.ask("/api/v1/rules").expect("Prometheus tells its rules");
    let took = |value: &Value| {
        let at = value["lastEvaluation"].as_str().expect("it has a time");
        let seconds = value["evaluationTime"].as_f64().expect("it has a duration");
        (!at.starts_with("0001-")).then(|| (seconds, at.to_owned()))
    };
    let mut all = BTreeMap::new();
    for group in answer["groups"].as_array().into_iter().flatten() {
        let name = group["name"].as_str().unwrap_or_default();
        all.insert(name.to_owned(), took(group));
        for rule in group["rules"].as_array().into_iter().flatten() {
            assert_ne!(rule["health"], "err", "{rule}");
            all.insert(format!("{name}/{}", rule["name"].as_str().unwrap_or_default()), took(rule));
        }
    }
    all
}

/// The quickest of several evaluations, in seconds, by group and by rule.
fn measured(prometheus: &Prometheus<'_>) -> BTreeMap<String, f64> {
    let mut rounds: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    let begun = Instant::now();
    while rounds.is_empty() || rounds.values().any(|times| times.len() < EVALUATIONS) {
        assert!(begun.elapsed() < Duration::from_secs(120), "rules are evaluated too seldom: {rounds:?}");
        thread::sleep(Duration::from_millis(500));
        for (name, newest) in evaluations(prometheus) {
            rounds.entry(name).or_default().extend(newest.map(|(seconds, at)| (at, seconds)));
        }
    }
    let quickest = |times: BTreeMap<String, f64>| times.into_values().fold(f64::INFINITY, f64::min);
    rounds.into_iter().map(|(name, times)| (name, quickest(times))).collect()
}

#[test]
fn many_targets_with_two_paths_each() {
    let _turn = turn();
    let (well, ill) = thread::scope(|scope| {
        let well = scope.spawn(pages::well);
        let ill = pages::ill(&USERS, "critical");
        (with_paths(&well.join().expect("a page")), with_paths(&ill))
    });
    let pages = Arc::new(all_pages(&well, &ill));
    let (data, rules_here) = (PrivateDir::new(), PrivateDir::new());
    let begun = Instant::now();
    let instance = |number: usize| format!("exporter-{number}");
    history::make(
        data.path(),
        pages.iter().enumerate().map(|(number, page)| (instance(number), page.as_str())),
        step(),
    );
    println!(
        "a past with {} s between two samples: made in {:.0} s",
        step().as_secs(),
        begun.elapsed().as_secs_f64()
    );
    let targets = pages.len();
    let address = pages::serve(pages, Arc::new(AtomicUsize::new(0)));
    let label = |name: &str, value: String| (name.to_owned(), value);
    let targets = (0..targets).map(|number| {
        let path = label("__metrics_path__", format!("/{number}"));
        (address, vec![path, label("instance", instance(number))])
    });
    let prometheus = Prometheus::start(PrometheusOptions {
        targets: targets.collect(),
        scrape_interval: interval(),
        evaluation_interval: interval(),
        rules: super::rules_at(rules_here.path(), interval() * 2),
        data: Some(data.path().to_owned()),
        retention: Duration::from_secs(48 * 3600),
        ..PrometheusOptions::scraping(address)
    });
    let paths = f64::from(asked(TARGETS) * PATHS);
    let wait = |expression, count| {
        prometheus.wait_for_query(expression, Duration::from_secs(90), |answer| {
            answer.first().is_some_and(|found| found.value >= count)
        });
    };
    wait("count(up == 1)", f64::from(asked(TARGETS)));
    thread::sleep(interval() * SCRAPES);
    wait("count(path:mysql_canary_idle_limit_upper_seconds:max)", paths);
    let ill_paths = f64::from(asked(ILL) * PATHS);
    wait("count(ALERTS{alertname=\"MySQLCanaryIdleLimit\"})", ill_paths);
    wait("count(ALERTS{alertname=\"MySQLCanarySessionsAtRisk\"})", ill_paths);
    assert_windows_are_full(&prometheus);
    report(&prometheus);
}

/// What the rules read over an hour or more holds the samples of all that time.
#[track_caller]
fn assert_windows_are_full(prometheus: &Prometheus<'_>) {
    let rules = prometheus.rules();
    let expressions = rules.iter().filter_map(|rule| rule["query"].as_str());
    let windows: BTreeMap<String, u64> = expressions.flat_map(history::long_windows).collect();
    assert!(windows.len() > 10, "the rules read long windows: {windows:?}");
    // No exporter is down here.
    for (selector, seconds) in windows.iter().filter(|(selector, _)| !selector.starts_with("ALERTS{")) {
        let least = prometheus.query(&format!("min(count_over_time({selector}))"));
        let wanted = 0.9 * (seconds / step().as_secs()) as f64;
        assert!(
            least.first().is_some_and(|least| least.value >= wanted),
            "{selector} holds {least:?}, and {wanted} samples make a full window"
        );
    }
}

/// Prints what was measured, and holds every group to its bound.
fn report(prometheus: &Prometheus<'_>) {
    let one = |expression: &str| prometheus.query(expression).first().map_or(f64::NAN, |answer| answer.value);
    let used = || prometheus.own("process_cpu_seconds_total");
    let (begun, before) = (Instant::now(), used());
    let measured = measured(prometheus);
    let processor = (used() - before) / begun.elapsed().as_secs_f64();
    let mebibytes = prometheus.own("process_resident_memory_bytes") / f64::from(1 << 20);
    println!("series: {:.0}", prometheus.own("prometheus_tsdb_head_series"));
    println!("samples in a scrape: {:.0} at most", one("max(scrape_samples_scraped)"));
    println!("alerts pending or firing: {:.0}", one("count(ALERTS)"));
    println!("resident memory of Prometheus: {mebibytes:.0} MiB");
    println!("processor: {:.0} % of one", processor * 100.0);
    println!("evaluations of a group, and of its rules that take more than 50 ms:");
    for (name, seconds) in &measured {
        if !name.contains('/') || *seconds > 0.05 {
            println!("  {name}: {seconds:.3} s");
        }
    }
    let groups = measured.iter().filter(|(name, _)| !name.contains('/'));
    assert!(groups.clone().count() > 1, "there are groups");
    for (name, seconds) in groups {
        let interval = if name == "mysql-canary.past" { SELDOM } else { USUAL_INTERVAL };
        let most = interval.as_secs_f64() / 4.0;
        assert!(*seconds < most, "group {name} takes {seconds:.3} s, and {most} s are allowed");
    }
}
