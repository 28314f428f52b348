//! Nothing is forgotten: every rule of the exporter has its alert, and every alert its tests and its runbook.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mysql_canary_exporter::domain::mismatch::Rule;

use super::{alerts, dashboard, rule_files};

/// The values of a key of a YAML file, one a line, in order.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let value = |line: &'a str| line.trim_start().trim_start_matches("- ").strip_prefix(key);
    text.lines().filter_map(value).map(str::trim).collect()
}

fn read(directory: &Path) -> String {
    let files = rule_files(directory).expect("the directory is readable");
    files.into_iter().map(|file| fs::read_to_string(file).expect("the file is readable")).collect()
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

    let runbook = fs::read_to_string(alerts().join("README.md")).expect("there is a runbook");
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
        assert!(["critical", "warning", "info"].contains(&severity), "{severity}");
    }
}

#[test]
fn every_alert_links_to_a_dashboard_and_its_variables() {
    let rules = read(&alerts());
    let dashboards = dashboard::all();
    let links = values(&rules, "dashboard_url:");
    assert_eq!(links.len(), values(&rules, "alert:").len(), "every alert has a link");
    for link in links {
        let (uid, query) = link.strip_prefix("/d/").and_then(|rest| rest.split_once('?')).expect("a link");
        let known = dashboards.iter().find(|known| dashboard::uid(known) == uid);
        let variables = dashboard::variables(known.unwrap_or_else(|| panic!("no dashboard {uid}")));
        for name in query.split('&').filter_map(|pair| pair.strip_prefix("var-")?.split('=').next()) {
            assert!(variables.contains(&name), "{uid} has no variable {name}");
        }
    }
}

#[test]
fn a_test_file_is_read_by_its_cases() {
    let tests = "alert_rule_test:\n- eval_time: 1m\n  alertname: A\n  exp_alerts:\n    - exp_labels: {b: c}\n\
                 - eval_time: 2m\n  alertname: A\n  exp_alerts: []\n- eval_time: 3m\n  alertname: B\n";
    assert_eq!(shown(tests), (BTreeSet::from(["A"]), BTreeSet::from(["A", "B"])));
}
