//! A metrics page: series by name and labels.

use std::collections::{BTreeMap, BTreeSet};

/// A parsed metrics page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Page {
    text: String,
    series: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Page {
    /// Parses the text format; our own label values have no escapes worth the trouble.
    pub(crate) fn parse(text: &str) -> Self {
        let series = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                let labels = labels
                    .trim_end_matches('}')
                    .split("\",")
                    .filter(|pair| !pair.is_empty())
                    .map(|pair| pair.split_once("=\"").expect("a label has a value"))
                    .map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()))
                    .collect();
                (name.to_owned(), labels, value.parse().expect("a sample is a number"))
            })
            .collect();
        Self { text: text.to_owned(), series }
    }

    /// The page as it came.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// How many series of ours it has, buckets included.
    pub(crate) fn series_count(&self) -> usize {
        self.series.iter().filter(|(name, _, _)| name.starts_with("mysql_canary_")).count()
    }

    /// The names of all metrics, those of histograms without their suffixes.
    pub(crate) fn families(&self) -> BTreeSet<String> {
        let types = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
    }

    /// The values of the series of `mysql_canary_<name>` that have these labels.
    pub(crate) fn values(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let name = format!("mysql_canary_{name}");
        self.series
            .iter()
            .filter(|(known, theirs, _)| {
                *known == name
                    && labels.iter().all(|(label, value)| theirs.get(*label).is_some_and(|v| v == value))
            })
            .map(|(_, _, value)| *value)
            .collect()
    }

    /// Their sum; zero where there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.values(name, labels).iter().sum()
    }

    /// The idle limit's lower and upper bound, in seconds, once there are both.
    pub(crate) fn bracket(&self) -> Option<(f64, f64)> {
        let bound = |name| self.values(name, &[("kind", "idle")]).first().copied();
        Some((bound("idle_limit_lower_seconds")?, bound("idle_limit_upper_seconds")?))
    }

    /// The one such series' value.
    #[track_caller]
    pub(crate) fn one(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        match self.values(name, labels)[..] {
            [value] => value,
            ref other => panic!("{name} {labels:?} has {} series, not one, in\n{}", other.len(), self.text),
        }
    }
}
