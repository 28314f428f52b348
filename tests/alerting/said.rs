//! What panels say of facts that are written here: promtool evaluates the dashboards' own queries.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::dashboard::{self, Choice};
use crate::lab::place::PrivateDir;

/// A panel by its title.
fn panel(uid: &str, title: &str) -> Value {
    let boards = dashboard::all();
    let board = boards.iter().find(|board| dashboard::uid(board) == uid).expect("the dashboard is there");
    let panels = board["panels"].as_array().expect("it has panels");
    // A row may have the title of a panel in it.
    let mut shown = panels.iter().filter(|panel| panel["type"] != "row");
    shown.find(|panel| panel["title"] == title).unwrap_or_else(|| panic!("no panel {title}")).clone()
}

/// The expression behind a column of a table.
fn of_column(panel: &Value, column: &str) -> String {
    let steps = panel["transformations"].as_array().expect("it is transformed");
    let mut renamed = steps.iter().filter_map(|step| step["options"]["renameByName"].as_object()).flatten();
    let (value, _) = renamed.find(|(_, shown)| **shown == column).expect("the column has a name");
    let letter = value.strip_prefix("Value #").expect("it is a number");
    let targets = panel["targets"].as_array().expect("it has queries");
    let target = targets.iter().find(|target| target["refId"] == letter).expect("it has a query");
    target["expr"].as_str().expect("an expression").to_owned()
}

/// The number that a column has these words for.
fn number_of(panel: &Value, column: &str, words: &str) -> f64 {
    let overrides = panel["fieldConfig"]["overrides"].as_array().expect("exceptions");
    let of_column = overrides.iter().filter(|of| of["matcher"]["options"] == column);
    let properties = of_column.flat_map(|of| of["properties"].as_array().expect("properties"));
    let mappings = properties.filter(|of| of["id"] == "mappings").map(|of| &of["value"][0]["options"]);
    let mut options = mappings.filter_map(Value::as_object).flatten();
    let found = options.find(|(_, shown)| shown["text"] == words);
    let (number, _) = found.unwrap_or_else(|| panic!("{column} never says {words:?}"));
    number.parse().expect("a number")
}

fn series(name: &str, labels: &str, values: &str) -> Value {
    json!({ "series": format!("{name}{{{labels}}}"), "values": values })
}

/// Evaluates a query over these series, a sample a minute, and compares each sample of the answer.
#[track_caller]
fn assert_answers(query: &str, input: &[Value], minute: usize, expected: &[(String, f64)]) {
    let place = PrivateDir::new();
    let (rules, test) = (place.path().join("rules.yml"), place.path().join("test.yml"));
    let samples: Vec<Value> = expected
        .iter()
        .map(|(labels, value)| json!({ "labels": format!("said{{{labels}}}"), "value": value }))
        .collect();
    let rule = json!({ "groups": [{ "name": "said", "rules": [{ "record": "said", "expr": query }] }] });
    let asked = json!({ "expr": "said", "eval_time": format!("{minute}m"), "exp_samples": samples });
    let tested = json!({
        "rule_files": [rules],
        "evaluation_interval": "1m",
        "tests": [{ "interval": "1m", "input_series": input, "promql_expr_test": [asked] }],
    });
    for (file, content) in [(&rules, &rule), (&test, &tested)] {
        fs::write(file, content.to_string()).expect("there is room");
    }
    let done = Command::new("promtool").args(["test", "rules"]).arg(&test).output().expect("promtool runs");
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
}

fn path(name: &str) -> String {
    format!(r#"job="j", instance="i", target="t", path="{name}""#)
}

/// A path with a limit is never said to have nothing, and one without a limit is not blamed for another's.
#[test]
fn what_is_wrong_follows_from_what_is_known() {
    const COLUMN: &str = "What is wrong";
    let paths = panel("mysql-canary-overview", "Paths");
    let expected = [
        ("at_peace", "a limit; nothing contradicts it"),
        ("fresh", "a limit that is not confirmed yet"),
        ("sound", "no limit found so far"),
        ("beside", "no limit; another path to its server has one"),
        ("new", "nothing is known yet"),
        ("shorter", "two paths to one server have different limits"),
        ("ill", "a pool lends connections idle past the limit"),
        ("suspended", "not measured: no canary is launched"),
    ];
    let mut input = vec![series("mysql_canary_up", r#"job="j", instance="i", target="t""#, "1x10")];
    for (name, _) in expected {
        let is = |names: &[&str]| names.contains(&name);
        let suspended = if is(&["suspended"]) { "1x10" } else { "0x10" };
        let of = format!(r#"{}, reason="ghosts""#, path(name));
        input.push(series("mysql_canary_suspended", &of, suspended));
        let idle = format!(r#"{}, kind="idle""#, path(name));
        if !is(&["new"]) {
            input.push(series("mysql_canary_idle_limit_lower_seconds", &idle, "8x10"));
        }
        if is(&["at_peace", "fresh", "shorter", "ill"]) {
            let confirmed = if is(&["fresh"]) { "0x10" } else { "1x10" };
            input.push(series("mysql_canary_idle_limit_upper_seconds", &idle, "10x10"));
            input.push(series("mysql_canary_idle_limit_confirmed", &idle, confirmed));
        }
        let rules = [
            ("paths_disagree", is(&["shorter", "beside", "ill"])),
            ("pool_outlives_path", is(&["ill"])),
            ("ghosts_on_server", false),
        ];
        for (rule, holds) in rules {
            let of = format!(r#"{}, rule="{rule}", pool="""#, path(name));
            input.push(series("mysql_canary_layer_mismatch", &of, if holds { "1x10" } else { "0x10" }));
        }
    }
    let query = Choice::Everything.apply(&of_column(&paths, COLUMN));
    let numbers = expected.map(|(name, words)| (path(name), number_of(&paths, COLUMN, words)));
    assert_answers(&query, &input, 5, &numbers);
}

/// A limit of 14 s for twenty minutes, then one of 8 s, each narrowed: the survival is that of the second. Without a limit, that
/// of all.
#[test]
fn survival_leaves_out_what_was_before_the_limit_moved() {
    let survival = panel("mysql-canary-path", "Survival by idle time");
    let query = survival["targets"][0]["expr"].as_str().expect("an expression");
    let query =
        query.replace("$__rate_interval", "2m").replace("$__interval", "30s").replace("$__range", "40m");
    let query = ["job", "instance", "target", "path"].iter().fold(query, |query, name| {
        let value =
            path("p").split(", ").find_map(|pair| pair.strip_prefix(&format!("{name}=")).map(str::to_owned));
        query.replace(&format!("\"${name}\""), &value.expect("it is one of them"))
    });
    let idle = format!(r#"{}, kind="idle""#, path("p"));
    let bucket = |of: &str, le: &str, values: &str| {
        series(&format!("mysql_canary_{of}_age_seconds_bucket"), &format!(r#"{idle}, le="{le}""#), values)
    };
    let mut input = vec![
        series("mysql_canary_death_age_seconds_count", &idle, "0+1x40"),
        bucket("death", "4", "0x40"),
        bucket("death", "8", "0x20 1+1x19"),
        bucket("death", "16", "0+1x40"),
        series("mysql_canary_survival_age_seconds_count", &idle, "0+1x40"),
    ];
    input.extend(["4", "8", "16"].map(|le| bucket("survival", le, "0+1x40")));
    let is_few = format!("({query}) < bool 0.1");
    let of = |ages: [f64; 3]| {
        ["16", "4", "8"].iter().zip(ages).map(|(le, few)| (format!(r#"le="{le}""#), few)).collect::<Vec<_>>()
    };
    assert_answers(&is_few, &input, 40, &of([1.0, 0.0, 0.0]));
    input.push(series("mysql_canary_idle_limit_upper_seconds", &idle, "16x10 14x9 8x20"));
    input.push(series("mysql_canary_idle_limit_lower_seconds", &idle, "12x10 13x9 4x5 7x14"));
    assert_answers(&is_few, &input, 40, &of([1.0, 0.0, 1.0]));
}
