//! Whether what is named exists, and whether what exists is named.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::dashboard::{self, Query};
use super::promql;

/// What Prometheus itself knows: metrics, and labels that are on every scraped series.
const OF_PROMETHEUS: [&str; 3] = ["up", "ALERTS", "ALERTS_FOR_STATE"];

/// Metrics that no rule and no panel uses, each with the reason.
const UNUSED: [(&str, &str); 7] = [
    (
        "mysql_canary_exporter_web_config_last_reload_success_timestamp_seconds",
        "the file is followed as it changes: that it could not be read is an alert, and how old it is says nothing",
    ),
    (
        "mysql_canary_server_words_cut_total",
        "there is nothing to do about it: it answers whoever meets a label `other` or a user with a sum",
    ),
    ("process_cpu_seconds_total", PROCESS),
    ("process_max_fds", PROCESS),
    ("process_open_fds", PROCESS),
    ("process_threads", PROCESS),
    ("process_virtual_memory_bytes", PROCESS),
];
const PROCESS: &str = "every Prometheus client has these, and everybody's process dashboards show them";

/// The expressions written in a rule: its own, and those its annotations ask when the alert is told.
pub(super) fn written_in(rule: &Value) -> Vec<Query> {
    let place = rule["name"].as_str().expect("a rule has a name").to_owned();
    let own = rule["query"].as_str().expect("a rule has an expression").to_owned();
    let annotations = rule["annotations"].as_object().into_iter().flatten();
    let asked = annotations.filter_map(|(_, text)| text.as_str()).flat_map(quoted);
    let query = |expression| Query { place: place.clone(), expression, labels: BTreeSet::new() };
    [own].into_iter().chain(asked).map(query).collect()
}

/// The queries in a template's text stand in backquotes; `%s` stands for labels that are told anyway.
fn quoted(text: &str) -> Vec<String> {
    let inside = text.split('`').skip(1).step_by(2);
    inside
        .map(|query| {
            query.replace(",%s", "").replace("{%s,", "{").replace("{%s}", "").replace("=%q", "=\"x\"")
        })
        .collect()
}

/// The selectors of a dashboard's variables.
pub(super) fn of_variables(dashboard: &Value) -> Vec<Query> {
    let place = |name: &str| format!("{}: variable {name}", dashboard::uid(dashboard));
    let queries = dashboard::variable_queries(dashboard).into_iter();
    queries
        .map(|(name, selector, label)| Query {
            place: place(&name),
            expression: format!("count by ({label}) ({selector})"),
            labels: BTreeSet::new(),
        })
        .collect()
}

/// The metrics and labels an expression names that do not exist.
pub(super) fn unknown(query: &Query, known: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let named = promql::names(&query.expression);
    let mut unknown = Vec::new();
    let mut near = named.made.clone();
    for (metric, labels) in &named.metrics {
        match known.get(metric) {
            Some(exported) => {
                near.extend(exported.iter().cloned());
                unknown.extend(labels.difference(exported).map(|label| format!("{metric}{{{label}}}")));
            }
            None if OF_PROMETHEUS.contains(&metric.as_str()) => {}
            None => unknown.push(metric.clone()),
        }
    }
    unknown.extend(named.labels.difference(&near).filter(|label| !label.is_empty()).cloned());
    unknown.into_iter().map(|name| format!("{name} in {}: {}", query.place, query.expression)).collect()
}

/// Every metric the exporter exports is named somewhere, or excused.
#[track_caller]
pub(super) fn assert_each_is_used(exported: &BTreeSet<String>, written: &[Query]) {
    let named: BTreeSet<String> =
        written.iter().flat_map(|query| promql::names(&query.expression).metrics.into_keys()).collect();
    let is_used = |metric: &&String| {
        named.contains(*metric)
            || ["_bucket", "_sum", "_count"].iter().any(|end| named.contains(&format!("{metric}{end}")))
    };
    let unused: BTreeSet<&str> =
        exported.iter().filter(|metric| !is_used(metric)).map(String::as_str).collect();
    let excused = UNUSED.iter().map(|(metric, _)| *metric).collect();
    assert_eq!(unused, excused, "left: metrics without a use, right: those excused");
}

#[test]
fn what_does_not_exist_is_found() {
    let known = BTreeMap::from([("a".to_owned(), BTreeSet::from(["b".to_owned()]))]);
    let found = |expression: &str| {
        let query =
            Query { place: "here".to_owned(), expression: expression.to_owned(), labels: BTreeSet::new() };
        unknown(&query, &known).len()
    };
    assert_eq!(found("sum by (b) (a{b='c'}) or up"), 0);
    assert_eq!(found("sum by (d) (a{e='c'}) or f"), 3);
    let text = "{{ with printf `a{%s,b=%q} > 0` $of .B | query }}{{ . }}{{ end }} `c`";
    assert_eq!(quoted(text), ["a{b=\"x\"} > 0", "c"]);
}
