//! The README documents what users hold on to: every metric with its labels, and every flag; and none
//! that does not exist.

mod schema;
#[path = "docs/shapes.rs"]
mod shapes;

use std::collections::{BTreeMap, BTreeSet};

use mysql_canary_exporter::config::file::keys;
use mysql_canary_exporter::config::flags::LowArgs;
use mysql_canary_exporter::domain::life::kind::Kind;
use mysql_canary_exporter::domain::limit::ladder::Ladder;
use mysql_canary_exporter::exposition;
use mysql_canary_exporter::metrics::{Metrics, ProcessMetrics};
use prometheus::Registry;

const README: &str = include_str!("../README.md");
const CONFIGURATION: &str = include_str!("../docs/configuration.md");
/// A label that every metric but the exporter's own has; the README says so once.
const EVERYWHERE: &str = "target";

/// Every metric's name and labels, from the code itself.
fn metrics() -> BTreeMap<String, BTreeSet<String>> {
    let registry = Registry::new();
    let metrics =
        Metrics::register(&registry, &Ladder::default()).expect("a fresh registry takes every name");
    ProcessMetrics::register(&registry).expect("and the process's own");
    metrics.path("default", "default", &Kind::ALL);
    metrics.application_survival_ages().with_label_values(&["default"]);
    let mut found = BTreeMap::new();
    for family in registry.gather() {
        let labels = family.get_metric()[0].get_label().iter().map(|pair| pair.name().to_owned()).collect();
        found.insert(family.name().to_owned(), labels);
    }
    for description in exposition::descriptions().expect("the names are good") {
        let labels = description.variable_labels.iter().cloned().collect();
        found.insert(description.fq_name.clone(), labels);
    }
    found
}

/// The words of the README that begin so: letters, digits, and the marks given.
fn words<'a>(prefix: &'a str, marks: &'a [char]) -> BTreeSet<&'a str> {
    README
        .match_indices(prefix)
        .map(|(at, _)| {
            let rest = &README[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !marks.contains(&c));
            rest[..end.unwrap_or(rest.len())].trim_end_matches(marks)
        })
        .collect()
}

#[test]
fn every_metric_is_in_the_readme_with_its_labels() {
    let metrics = metrics();
    assert!(metrics.len() > 30, "the registry was read: {}", metrics.len());
    for (name, labels) in metrics {
        let row = README
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")))
            .unwrap_or_else(|| panic!("README.md has no row for {name}"));
        for label in labels.iter().filter(|label| *label != EVERYWHERE) {
            assert!(
                row.contains(&format!("`{label}`")),
                "README.md does not name the label {label} of {name}"
            );
        }
    }
}

#[test]
fn every_metric_in_the_readme_exists() {
    let metrics = metrics();
    for word in words("mysql_canary_", &['_']) {
        let base =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
        assert!(metrics.contains_key(base) || metrics.contains_key(word), "README.md names {word}");
    }
}

#[test]
fn every_flag_is_in_the_readme_and_every_flag_there_exists() {
    let command = LowArgs::words();
    let flags: BTreeSet<String> =
        command.get_arguments().filter_map(|flag| flag.get_long().map(|name| format!("--{name}"))).collect();
    assert!(flags.len() > 10, "the command line was read: {flags:?}");
    for flag in &flags {
        assert!(README.contains(&format!("| `{flag}")), "README.md has no row for {flag}");
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
            assert!(flags.contains(word), "README.md names {word}");
        }
    }
}

#[test]
fn every_key_of_the_file_is_documented_and_every_key_there_exists() {
    let documented: BTreeSet<(String, String)> = CONFIGURATION
        .split("\n## ")
        .skip(1)
        .flat_map(|section| {
            let heading = section.lines().next().unwrap_or_default().trim_matches('`').to_lowercase();
            let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
            let keys: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
            keys.into_iter().map(move |key| (heading.clone(), key.to_owned())).collect::<Vec<_>>()
        })
        .collect();
    let known: BTreeSet<(String, String)> = keys::SECTIONS
        .iter()
        .flat_map(|section| section.keys.iter().map(|key| (section.name.to_owned(), (*key).to_owned())))
        .collect();
    assert!(known.len() > 50, "the keys were read: {}", known.len());
    assert_eq!(documented, known);
}
