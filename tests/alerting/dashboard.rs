//! The queries of the dashboards, as Grafana would send them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::lab::prometheus::JOB;

/// One query of a dashboard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Query {
    /// `<uid>: <title of the panel> <letter of the query>`.
    pub(super) place: String,
    /// The expression with its variables.
    pub(super) expression: String,
    /// The labels that the panel takes from the answer: for the names of series, and for names and links of fields.
    pub(super) labels: BTreeSet<String>,
}

/// What the user chose in the dashboard's variables job, instance, target and path.
#[derive(Debug, Clone)]
pub(super) enum Choice {
    /// One path of one exporter.
    Path([String; 4]),
    /// All of it. What is chosen alone has no such choice.
    Everything,
}

/// Every dashboard of the project.
pub(super) fn all() -> Vec<Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let files = fs::read_dir(&directory).expect("there are dashboards");
    let dashboards: Vec<Value> = files
        .map(|entry| entry.expect("the directory is readable").path())
        .filter(|file| file.extension().is_some_and(|end| end == "json"))
        .map(|file| fs::read_to_string(file).expect("a dashboard is readable"))
        .map(|text| serde_json::from_str(&text).expect("a dashboard is JSON"))
        .collect();
    assert!(!dashboards.is_empty(), "{} has no dashboard", directory.display());
    dashboards
}

/// The unique name of a dashboard, which links know it by.
pub(super) fn uid(dashboard: &Value) -> &str {
    dashboard["uid"].as_str().expect("a dashboard has a uid")
}

/// The queries of every panel, those in rows too.
pub(super) fn panel_queries(dashboard: &Value) -> Vec<Query> {
    let mut queries = Vec::new();
    collect(dashboard, uid(dashboard), &mut queries);
    queries
}

fn collect(parent: &Value, uid: &str, queries: &mut Vec<Query>) {
    for panel in parent["panels"].as_array().into_iter().flatten() {
        let title = panel["title"].as_str().unwrap_or_default();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let letter = target["refId"].as_str().unwrap_or_default();
            let expression = target["expr"].as_str().expect("every query has an expression");
            let mut labels = labels_of_fields(panel);
            labels.extend(names_after(target["legendFormat"].as_str().unwrap_or_default(), "{{"));
            let place = format!("{uid}: {title} {letter}");
            queries.push(Query { place, expression: expression.to_owned(), labels });
        }
        collect(panel, uid, queries);
    }
}

/// The labels that a panel's fields are named by, and those that their links take.
fn labels_of_fields(panel: &Value) -> BTreeSet<String> {
    let text = panel["fieldConfig"].to_string();
    let mut labels: BTreeSet<String> = names_after(&text, "${__field.labels.").collect();
    let transformations = panel["transformations"].as_array().into_iter().flatten();
    let renamed = transformations.filter_map(|step| step["options"]["renameByName"].as_object());
    let renamed: Vec<(&String, &Value)> = renamed.flatten().collect();
    for field in names_after(&text, "${__data.fields.") {
        let found = renamed.iter().find(|(_, shown)| **shown == field.as_str());
        labels.insert(found.map_or(field, |(label, _)| (*label).clone()));
    }
    labels
}

/// The words that stand behind a sign.
fn names_after<'a>(text: &'a str, sign: &'a str) -> impl Iterator<Item = String> + use<'a> {
    text.split(sign).skip(1).map(|rest| {
        let rest = rest.trim_start();
        rest.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
            .next()
            .unwrap_or("")
            .to_owned()
    })
}

/// The variables that ask for a label's values, each with whether many may be chosen.
pub(super) fn choices(dashboard: &Value) -> Vec<(&str, bool)> {
    let list = dashboard["templating"]["list"].as_array().into_iter().flatten();
    let is_many = |variable: &Value| variable["multi"] == true || variable["includeAll"] == true;
    list.filter(|variable| variable["type"] == "query")
        .filter_map(|variable| Some((variable["name"].as_str()?, is_many(variable))))
        .collect()
}

/// The names of a dashboard's variables.
pub(super) fn variables(dashboard: &Value) -> Vec<&str> {
    let list = dashboard["templating"]["list"].as_array().into_iter().flatten();
    list.filter_map(|variable| variable["name"].as_str()).collect()
}

/// The variables that ask for a label's values: name, selector, label.
pub(super) fn variable_queries(dashboard: &Value) -> Vec<(String, String, String)> {
    let list = dashboard["templating"]["list"].as_array().into_iter().flatten();
    list.filter(|variable| variable["type"] == "query")
        .map(|variable| {
            let name = variable["name"].as_str().expect("a variable has a name");
            let query = &variable["query"];
            let query = query["query"].as_str().or(query.as_str()).expect("a variable has a query");
            let inside = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
            let (selector, label) = inside
                .and_then(|inside| inside.rsplit_once(','))
                .unwrap_or_else(|| panic!("the variable {name} does not ask for a label's values: {query}"));
            (name.to_owned(), selector.trim().to_owned(), label.trim().to_owned())
        })
        .collect()
}

impl Choice {
    /// The path of an exporter that has only one.
    pub(super) fn path(instance: &str) -> Self {
        Self::Path([JOB, instance, "default", "default"].map(str::to_owned))
    }

    /// The expression that Grafana sends. Ranges are a minute, in steps of some seconds: the data of a test are no older.
    #[track_caller]
    pub(super) fn apply(&self, expression: &str) -> String {
        let mut sent = expression.to_owned();
        for (window, lasts) in [("$__rate_interval", "1m"), ("$__interval", "5s"), ("$__range", "1m")] {
            sent = sent.replace(window, lasts);
        }
        for (at, name) in ["job", "instance", "target", "path"].into_iter().enumerate() {
            let (alone, of_many) = match self {
                Self::Path(chosen) => (chosen[at].clone(), escaped(&chosen[at])),
                Self::Everything => (String::new(), ".*".to_owned()),
            };
            sent = sent.replace(&format!("=~\"${name}\""), &format!("=~\"{of_many}\""));
            sent = sent.replace(&format!("=\"${name}\""), &format!("=\"{alone}\""));
        }
        // `$1` is a group of a regular expression, and no variable.
        assert!(
            !sent.replace("\"$1\"", "").contains("\"$") && !sent.contains("[$"),
            "a variable without a value: {sent}"
        );
        sent
    }
}

/// A value in a regular expression inside a string, as Grafana writes it.
fn escaped(value: &str) -> String {
    let mut escaped = String::new();
    for letter in value.chars() {
        if r"\^$*+?.()|{}[]/".contains(letter) {
            escaped.push_str(r"\\");
        }
        escaped.push(letter);
    }
    escaped
}

#[test]
fn a_choice_alone_is_sent_as_it_is_and_one_of_many_escaped() {
    let choice = Choice::path("[::1]:10052");
    assert_eq!(choice.apply("a{instance=\"$instance\"}"), "a{instance=\"[::1]:10052\"}");
    assert_eq!(choice.apply("a{instance=~\"$instance\"}"), "a{instance=~\"\\\\[::1\\\\]:10052\"}");
    assert_eq!(Choice::Everything.apply("a{path=~\"$path\"}"), "a{path=~\".*\"}");
}

#[test]
fn the_labels_that_a_panel_shows_are_found() {
    let panel = serde_json::json!({
        "fieldConfig": { "defaults": { "displayName": "x ${__field.labels.pool}", "url": "${__data.fields.Job}" } },
        "transformations": [{ "options": { "renameByName": { "job": "Job" } } }],
        "targets": [{ "expr": "up", "refId": "A", "legendFormat": "{{user}} of {{ path }}" }],
    });
    let found = panel_queries(&serde_json::json!({ "uid": "x", "panels": [panel] }));
    let labels: Vec<&str> = found.iter().flat_map(|query| &query.labels).map(String::as_str).collect();
    assert_eq!(labels, ["job", "path", "pool", "user"]);
}
