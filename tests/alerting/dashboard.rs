//! The queries of the dashboards, as Grafana would send them.

use std::fs;
use std::net::SocketAddr;
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
}

/// What the user chose in the dashboard's variables: job, instance, target and path, each a regular expression.
#[derive(Debug, Clone)]
pub(super) struct Choice([String; 4]);

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
            queries
                .push(Query { place: format!("{uid}: {title} {letter}"), expression: expression.to_owned() });
        }
        collect(panel, uid, queries);
    }
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
    /// One path of one exporter.
    pub(super) fn path(instance: SocketAddr) -> Self {
        Self([JOB.to_owned(), instance.to_string(), "default".to_owned(), "default".to_owned()])
    }

    /// All of it.
    pub(super) fn everything() -> Self {
        Self([".*"; 4].map(str::to_owned))
    }

    /// The expression that Grafana sends. Ranges are a minute: the data of a test are no older.
    #[track_caller]
    pub(super) fn apply(&self, expression: &str) -> String {
        let mut sent = expression.to_owned();
        for window in ["$__rate_interval", "$__interval", "$__range"] {
            sent = sent.replace(window, "1m");
        }
        for (name, value) in ["job", "instance", "target", "path"].into_iter().zip(&self.0) {
            sent = sent.replace(&format!("\"${name}\""), &format!("\"{value}\""));
        }
        assert!(!sent.contains("\"$") && !sent.contains("[$"), "a variable without a value: {sent}");
        sent
    }
}
