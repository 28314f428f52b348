//! Nothing is forgotten: every rule of the exporter is told where it belongs, and every alert has its tests and its runbook.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use mysql_canary_exporter::domain::mismatch::Rule;

use super::dashboard::Query;
use super::{EXAMPLE, alerts, dashboard, rule_files, scaled};

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

/// Where people are told of a rule.
enum Told {
    /// By an alert of its own.
    Alone,
    /// In the text of the ticket of the limit that it follows from.
    InTheTicket,
    /// By an alert of its own, and while the limit has a ticket in that.
    Both,
    /// On the dashboards: there is nothing to do.
    AsAFact,
}

/// A new rule stops here: where is it told?
fn told(rule: Rule) -> Told {
    match rule {
        Rule::SessionHeldPastRecycle
        | Rule::DeclaredNotMeasured
        | Rule::LifetimeLimit
        | Rule::IdleTransactionEndsFirst
        | Rule::ApplicationPathDiffers
        | Rule::PoolNotAsDeclared => Told::Alone,
        Rule::PathShorterThanServer
        | Rule::PoolOutlivesPath
        | Rule::PoolNeverRecycles
        | Rule::KeepaliveTooLate
        | Rule::GhostsOnServer
        | Rule::PathsDisagree
        | Rule::UndeclaredPool => Told::InTheTicket,
        Rule::SessionsAtRisk | Rule::ServerOutlivesClientStall => Told::Both,
        Rule::PoolRecyclesTooEagerly | Rule::KeepaliveIneffective | Rule::SessionTimeoutNotGlobal => {
            Told::AsAFact
        }
    }
}

#[test]
fn every_rule_of_the_exporter_is_told_where_it_belongs() {
    let rules = read(&alerts());
    let names: BTreeSet<&str> = values(&rules, "alert:").into_iter().collect();
    // From where the ticket's limit is recorded to the end of the ticket's own text.
    let recorded = rules.split("record: path:mysql_canary_idle_limit_at_fault_seconds:max").nth(1);
    let ticket = rules.split("alert: MySQLCanaryIdleLimit\n").nth(1);
    let until =
        |text: Option<&str>, end: &str| text.and_then(|text| text.split(end).next()).unwrap_or("").to_owned();
    let recorded = until(recorded, "- record:").replace("culprit!=\"lifetime_limit\"", "");
    let ticket = recorded + &until(ticket, "- alert:");
    let words = fs::read_to_string(alerts().join("../dashboards/source/words.py")).expect("there are words");
    for rule in Rule::ALL {
        let capitalised = |word: &str| word[..1].to_uppercase() + &word[1..];
        let name = rule.label().split('_').map(capitalised).collect::<String>();
        let is_alone = names.contains(format!("MySQLCanary{name}").as_str());
        let is_in_the_ticket = ticket.contains(rule.label());
        let is = match told(rule) {
            Told::Alone => is_alone && !is_in_the_ticket,
            Told::InTheTicket => !is_alone && is_in_the_ticket,
            Told::Both => is_alone && is_in_the_ticket,
            Told::AsAFact => !is_alone && !is_in_the_ticket,
        };
        assert!(is, "{name}: alone {is_alone}, in the ticket {is_in_the_ticket}");
        assert!(words.contains(&format!("\"{}\": (", rule.label())), "{name} has no words on the dashboards");
    }
}

/// `info` is commonly swallowed; what wakes people is proved.
#[test]
fn one_alert_is_a_page_and_all_others_are_tickets() {
    let rules = read(&alerts());
    let severities = values(&rules, "severity:");
    let names = values(&rules, "alert:");
    assert_eq!(severities.len(), names.len(), "every alert has a severity");
    for (name, severity) in names.into_iter().zip(severities) {
        let expected = if name == "MySQLCanarySessionsAtRisk" { "critical" } else { "warning" };
        assert_eq!(severity, expected, "{name}");
    }
}

/// A person reads target and action first, in seconds.
#[test]
fn every_summary_leads_with_its_target_and_no_text_has_other_units() {
    let rules = read(&alerts());
    assert!(!rules.contains("humanizeDuration"), "seconds everywhere");
    for text in rules.split("summary: >-\n").skip(1) {
        let text = text.split("description:").next().unwrap_or_default();
        let first = text.lines().map(str::trim).find(|line| !line.starts_with("{{ $of :="));
        let first = first.expect("a summary has words");
        let leads = [
            "{{ $labels.target }}",
            "{{ $labels.instance }}",
            "{{ $labels.job }}",
            "{{ with $labels.target }}",
        ];
        assert!(leads.iter().any(|lead| first.starts_with(lead)), "{first}");
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
            ["path", "path_culprit", "target", "instance"].contains(&level)
                && metric.starts_with("mysql_canary_"),
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
fn the_example_of_an_alertmanager_is_good_sends_pages_to_the_pager_and_names_only_alerts_there_are() {
    let rules = read(&alerts());
    let file = alerts().join(EXAMPLE);
    let block = fs::read_to_string(&file).expect("there is an example");
    let amtool = |words: &[&str]| Command::new("amtool").args(words).output().expect("amtool runs");
    let path = file.to_str().expect("the path is UTF-8");
    let checked = amtool(&["check-config", path]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let config = format!("--config.file={path}");
    for (severity, receiver) in [("critical", "pager"), ("warning", "tickets")] {
        let asked = amtool(&["config", "routes", "test", &config, &format!("severity={severity}")]);
        assert_eq!(String::from_utf8_lossy(&asked.stdout).trim(), receiver);
    }

    let words = block
        .replace("MySQLCanary(IdleLimit|IdleLimitMoved)", "MySQLCanaryIdleLimit MySQLCanaryIdleLimitMoved");
    let words = words.split(|letter: char| !letter.is_ascii_alphanumeric());
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
