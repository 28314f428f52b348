//! Nothing is forgotten: every rule of the exporter has its alert, and every alert its tests and its runbook.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use mysql_canary_exporter::domain::mismatch::Rule;

use super::dashboard::Query;
use super::{alerts, dashboard, rule_files, scaled};
use crate::lab::place::PrivateDir;

/// The values of a key of a YAML file, one a line, in order.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let value = |line: &'a str| line.trim_start().trim_start_matches("- ").strip_prefix(key);
    text.lines().filter_map(value).map(str::trim).collect()
}

fn read(directory: &Path) -> String {
    let files = rule_files(directory).expect("the directory is readable");
    files.into_iter().map(|file| fs::read_to_string(file).expect("the file is readable")).collect()
}

fn runbook() -> String {
    fs::read_to_string(alerts().join("README.md")).expect("there is a runbook")
}

/// Which alerts a file of tests shows firing, and which silent.
fn shown(tests: &str) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let (mut firing, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for case in tests.split("alertname:").skip(1) {
        let (alert, rest) = case.split_once('\n').unwrap_or((case, ""));
        let alert = alert.split(['}', ',']).next().unwrap_or_default().trim();
        let fires = rest.contains("exp_labels:");
        if fires {
            firing.insert(alert)
        } else {
            silent.insert(alert)
        };
    }
    (firing, silent)
}

#[test]
fn every_alert_has_a_test_that_fires_one_that_is_silent_and_a_runbook() {
    let (rules, tests) = (read(&alerts()), read(&alerts().join("tests")));
    let names: BTreeSet<&str> = values(&rules, "alert:").into_iter().collect();
    assert!(!names.is_empty(), "there are alerts");
    let (firing, silent) = shown(&tests);
    assert_eq!(names, firing, "left: alerts, right: those shown firing");
    assert_eq!(names, silent, "left: alerts, right: those shown silent");

    let runbook = runbook();
    let chapters: BTreeSet<&str> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .filter(|name| name.starts_with("MySQL"))
        .collect();
    assert_eq!(names, chapters, "left: alerts, right: chapters of the runbook");
    for (alert, url) in values(&rules, "alert:").into_iter().zip(values(&rules, "runbook_url:")) {
        assert!(url.ends_with(&format!("/alerts/README.md#{}", alert.to_lowercase())), "{alert}: {url}");
    }
}

#[test]
fn every_rule_of_the_exporter_has_its_alert() {
    let rules = read(&alerts());
    let names: BTreeSet<&str> = values(&rules, "alert:").into_iter().collect();
    for rule in Rule::ALL {
        let capitalised = |word: &str| word[..1].to_uppercase() + &word[1..];
        let name = rule.label().split('_').map(capitalised).collect::<String>();
        assert!(names.contains(format!("MySQLCanary{name}").as_str()), "{name} has no alert");
    }
    assert_eq!(values(&rules, "severity:").len(), names.len(), "every alert has a severity");
    for severity in values(&rules, "severity:") {
        // Of sessions at risk the exporter says it.
        let known = ["critical", "warning", "info", "'{{ $labels.severity }}'"];
        assert!(known.contains(&severity), "{severity}");
    }
}

#[test]
fn every_alert_links_to_a_dashboard_and_its_variables() {
    let rules = read(&alerts());
    let dashboards = dashboard::all();
    let links = values(&rules, "dashboard_url:");
    assert_eq!(links.len(), values(&rules, "alert:").len(), "every alert has a link");
    for link in links {
        let rest = link.strip_prefix("/d/").expect("a link to a dashboard");
        let (uid, query) = rest.split_once('?').unwrap_or((rest, ""));
        let known = dashboards.iter().find(|known| dashboard::uid(known) == uid);
        let variables = dashboard::variables(known.unwrap_or_else(|| panic!("no dashboard {uid}")));
        for name in query.split('&').filter_map(|pair| pair.strip_prefix("var-")?.split('=').next()) {
            assert!(variables.contains(&name), "{uid} has no variable {name}");
        }
    }
    for link in values(&read(&alerts().join("tests")), "dashboard_url:") {
        assert!(!link.contains("=&") && !link.trim_matches('\'').ends_with('='), "an empty choice: {link}");
    }
}

#[test]
fn the_runbook_names_every_recording_rule_and_each_name_says_level_metric_and_operation() {
    let rules = read(&alerts());
    let recorded: BTreeSet<&str> = values(&rules, "record:").into_iter().collect();
    let runbook = runbook();
    let rows = runbook.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let named: BTreeSet<&str> = rows.map(|(name, _)| name).filter(|name| name.contains(':')).collect();
    assert_eq!(recorded, named, "left: recording rules, right: rows of the runbook's table");

    for name in recorded {
        let [level, metric, operation] = name.split(':').collect::<Vec<_>>()[..] else {
            panic!("{name} has no three parts")
        };
        assert!(
            ["path", "target", "instance"].contains(&level) && metric.starts_with("mysql_canary_"),
            "{name}"
        );
        assert!(is_operation(operation), "{operation} of {name} is no operation");
    }
}

/// Whether the last part of a recorded name says what was done: `sum`, or with its window `increase1h`, or with what
/// lies between that window and now `median1d_offset6h`.
fn is_operation(word: &str) -> bool {
    let (word, offset) =
        word.split_once("_offset").map_or((word, None), |(word, offset)| (word, Some(offset)));
    let is_window = |text: &str| scaled::duration(text).is_some_and(|(length, _)| length == text.len());
    let has_window = |name: &str| word.strip_prefix(name).is_some_and(is_window);
    offset.is_none_or(is_window)
        && (["sum", "min", "max"].contains(&word)
            || ["increase", "max", "median"].into_iter().any(has_window))
}

#[test]
fn the_runbooks_alertmanager_configuration_is_good_and_names_only_alerts_there_are() {
    let (runbook, rules) = (runbook(), read(&alerts()));
    let blocks = runbook.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let (block, _) =
        blocks.into_iter().find(|(block, _)| block.contains("inhibit_rules:")).expect("it is there");
    let dir = PrivateDir::new();
    let file = dir.path().join("alertmanager.yml");
    fs::write(&file, block).expect("the private directory is writable");
    let checked = Command::new("amtool").arg("check-config").arg(&file).output().expect("amtool runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let words = block.split(|letter: char| !letter.is_ascii_alphanumeric());
    let names: BTreeSet<&str> = words.filter(|word| word.starts_with("MySQLCanary")).collect();
    let known: BTreeSet<&str> = values(&rules, "alert:").into_iter().chain(["MySQLCanary"]).collect();
    assert!(names.is_subset(&known), "no such alert: {:?}", names.difference(&known));
}

#[test]
fn no_panel_loses_an_event_between_two_windows() {
    for query in dashboard::all().iter().flat_map(dashboard::panel_queries) {
        let Query { place, expression, .. } = query;
        assert!(!expression.contains("[$__interval]"), "{place}: {expression}");
    }
}

/// Grafana escapes what is chosen in a variable of many choices, and only that.
#[test]
fn what_is_chosen_alone_is_compared_as_it_is() {
    for dashboard in &dashboard::all() {
        let queries = dashboard::panel_queries(dashboard).into_iter().map(|query| query.expression);
        let selectors = dashboard::variable_queries(dashboard).into_iter().map(|(_, selector, _)| selector);
        let written: Vec<String> = queries.chain(selectors).collect();
        for (name, many) in dashboard::choices(dashboard) {
            let wrong = format!("{}\"${name}\"", if many { "=" } else { "=~" });
            let place = dashboard::uid(dashboard);
            assert!(!written.iter().any(|text| text.contains(&wrong)), "{place}: {wrong}");
        }
    }
}

#[test]
fn a_test_file_is_read_by_its_cases() {
    let tests = "alert_rule_test:\n- eval_time: 1m\n  alertname: A\n  exp_alerts:\n    - exp_labels: {b: c}\n\
                 - eval_time: 2m\n  alertname: A\n  exp_alerts: []\n- eval_time: 3m\n  alertname: B\n";
    assert_eq!(shown(tests), (BTreeSet::from(["A"]), BTreeSet::from(["A", "B"])));
}
