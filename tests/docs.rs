//! The documents tell what users hold on to: every metric with its labels, every flag and every key of the file; and none
//! that does not exist. The README is short, and says the first things first.

mod schema;
#[path = "docs/shapes.rs"]
mod shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use mysql_canary_exporter::config::file::keys;
use mysql_canary_exporter::config::flags::LowArgs;
use mysql_canary_exporter::domain::limit::ladder::Ladder;
use mysql_canary_exporter::exposition::{self, LogLines};
use mysql_canary_exporter::metrics::{ConfigReload, Metrics, ProcessMetrics, failed_rounds_of_the_process};
use prometheus::Registry;

const README: &str = include_str!("../README.md");
const METRICS: &str = include_str!("../docs/metrics.md");
const FLAGS: &str = include_str!("../docs/flags.md");
/// Every document for users, by its place.
const DOCUMENTS: [(&str, &str); 15] = [
    ("README.md", README),
    ("docs/metrics.md", METRICS),
    ("docs/flags.md", FLAGS),
    ("docs/results.md", include_str!("../docs/results.md")),
    ("docs/account.md", include_str!("../docs/account.md")),
    ("docs/costs.md", include_str!("../docs/costs.md")),
    ("docs/configuration.md", CONFIGURATION),
    ("docs/web.md", WEB),
    ("docs/packages.md", include_str!("../docs/packages.md")),
    ("docs/scale.md", include_str!("../docs/scale.md")),
    ("SECURITY.md", include_str!("../SECURITY.md")),
    ("docs/operations.md", include_str!("../docs/operations.md")),
    ("docs/driver.md", include_str!("../docs/driver.md")),
    ("alerts/README.md", include_str!("../alerts/README.md")),
    ("dashboards/README.md", include_str!("../dashboards/README.md")),
];
const CONFIGURATION: &str = include_str!("../docs/configuration.md");
const WEB: &str = include_str!("../docs/web.md");
/// A label that every metric but the exporter's own has; the document says so once.
const EVERYWHERE: &str = "target";

/// Every metric's name and labels, from the code itself.
fn metrics() -> BTreeMap<String, BTreeSet<String>> {
    let registry = Registry::new();
    ProcessMetrics::register(&registry).expect("a fresh registry takes every name");
    failed_rounds_of_the_process(&registry).expect("and this one");
    registry.register(Box::new(LogLines::new().expect("a good name"))).expect("and that one");
    ConfigReload::of_the_web(&registry).expect("and those of the web configuration");
    let mut found = BTreeMap::new();
    for family in registry.gather() {
        let labels = family.get_metric()[0].get_label().iter().map(|pair| pair.name().to_owned()).collect();
        found.insert(family.name().to_owned(), labels);
    }
    let events = Metrics::new(&Ladder::default()).expect("good names").descriptions();
    for description in events.into_iter().chain(exposition::descriptions()) {
        let labels = description.labels.iter().map(|&label| label.to_owned()).collect();
        found.insert(description.name.to_owned(), labels);
    }
    found
}

/// The words of the README, its flags and its metrics that begin so: letters, digits, and the marks given.
fn words<'a>(prefix: &'a str, marks: &'a [char]) -> BTreeSet<&'a str> {
    let documents = DOCUMENTS[..6].iter().map(|(_, text)| *text);
    documents
        .flat_map(|text| text.match_indices(prefix).map(move |(at, _)| &text[at..]))
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !marks.contains(&c));
            rest[..end.unwrap_or(rest.len())].trim_end_matches(marks)
        })
        .collect()
}

#[test]
fn every_metric_has_its_row_with_its_labels() {
    let metrics = metrics();
    assert!(metrics.len() > 30, "the registry was read: {}", metrics.len());
    for (name, labels) in metrics {
        let row = METRICS
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")))
            .unwrap_or_else(|| panic!("docs/metrics.md has no row for {name}"));
        for label in labels.iter().filter(|label| *label != EVERYWHERE) {
            assert!(
                row.contains(&format!("`{label}`")),
                "docs/metrics.md does not name the label {label} of {name}"
            );
        }
    }
}

#[test]
fn every_metric_that_is_named_exists() {
    let metrics = metrics();
    for word in words("mysql_canary_", &['_']) {
        let base =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
        assert!(metrics.contains_key(base) || metrics.contains_key(word), "the documents name {word}");
    }
}

#[test]
fn every_flag_has_its_row_and_every_flag_that_is_named_exists() {
    let command = LowArgs::words();
    let flags: BTreeSet<String> =
        command.get_arguments().filter_map(|flag| flag.get_long().map(|name| format!("--{name}"))).collect();
    assert!(flags.len() > 10, "the command line was read: {flags:?}");
    for flag in &flags {
        assert!(FLAGS.contains(&format!("| `{flag}")), "docs/flags.md has no row for {flag}");
    }
    for prefix in [
        "--mysql.",
        "--canary.",
        "--server.",
        "--target.",
        "--web.",
        "--log.",
        "--config.",
        "--state.",
        "--pool",
    ] {
        for word in words(prefix, &['-', '.']) {
            assert!(flags.contains(word), "the documents name {word}");
        }
    }
}

#[test]
fn every_key_of_the_file_is_documented_and_every_key_there_exists() {
    let known = known_keys(&keys::SECTIONS);
    assert!(known.len() > 50, "the keys were read: {}", known.len());
    assert_eq!(documented_keys(CONFIGURATION, "\n## "), known);
    let known = known_keys(&keys::WEB_SECTIONS);
    assert!(known.len() > 20, "the keys were read: {}", known.len());
    assert_eq!(documented_keys(WEB, "\n### "), known);
}

fn known_keys(sections: &[&keys::Keys]) -> BTreeSet<(String, String)> {
    let of_section = |section: &&keys::Keys| {
        section.keys.iter().map(|key| (section.name.to_owned(), (*key).to_owned())).collect::<Vec<_>>()
    };
    sections.iter().flat_map(of_section).collect()
}

/// The keys in the tables of a document, each with the heading above it.
fn documented_keys(document: &str, heading: &str) -> BTreeSet<(String, String)> {
    document
        .split(heading)
        .skip(1)
        .flat_map(|section| {
            let heading = section.lines().next().unwrap_or_default().trim_matches('`').to_lowercase();
            let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
            let keys: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
            keys.into_iter().map(move |key| (heading.clone(), key.to_owned())).collect::<Vec<_>>()
        })
        .collect()
}

/// Whoever is called at night reads until the reference, and no further.
#[test]
fn the_readme_is_short_and_begins_with_what_one_asks_first() {
    let first = README.split("## Reference").next().unwrap_or_default();
    let words = first.split_whitespace().count();
    assert!(words <= 1200, "{words} words before the reference");
    let screen = first.split("## The account").next().unwrap_or_default();
    let asked = [
        "Which layer kills",
        "make demo",
        "make build",
        "The verdict",
        "Time to an answer",
        "Where one runs",
        "Connections",
        "Logins",
        "Statements",
        "Error log",
        "Slow log",
        "KILL",
    ];
    for words in asked {
        assert!(screen.contains(words), "the first screen does not say {words}");
    }
}

/// Each link within the project leads to a file that is there, and to a heading in it.
#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, text) in DOCUMENTS {
        let folder = root.join(name).parent().expect("a document has a folder").to_owned();
        for rest in text.split("](").skip(1) {
            let link = rest.split(')').next().unwrap_or_default();
            if link.starts_with("http") || link.starts_with('/') {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { root.join(name) } else { folder.join(file) };
            assert!(path.exists(), "{name} leads to {link}");
            if !heading.is_empty() {
                let there = fs::read_to_string(&path).expect("a linked document is readable");
                let is_meant = |line: &str| line.starts_with('#') && anchor(line) == heading;
                assert!(there.lines().any(is_meant), "{name} leads to {link}, and there is no such heading");
            }
        }
    }
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// The README shows one check, as docs/check holds it.
#[test]
fn the_readme_shows_what_check_says() {
    let whole = include_str!("../docs/check/haproxy.txt");
    let (_, verdict) = whole.split_once("Verdict on path default").expect("it holds the verdict");
    let (verdict, _) = verdict.split_once("  timeouts on path").expect("the table of timeouts is next");
    assert!(README.contains(&format!("```text\nVerdict on path default{verdict}```")), "{verdict}");
}
