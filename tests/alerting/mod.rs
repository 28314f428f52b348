//! The alerts, the recording rules and the dashboards on a real Prometheus, and what people are told.
//!
//! | module | what it shows |
//! |---|---|
//! | `first` | the first death of each sort shows in `increase()` |
//! | `fleet` | fifty exporters with one limit are one notification |
//! | `incidents` | each incident ends in the right notification, and its cure resolves it |
//! | `expressions` | every expression runs, on what the exporter really exports |
//! | `complete` | every rule of the exporter has its alert; every alert has its tests and its runbook |
//! | `scale` | what the rules cost with two hundred targets |
//! | `history` | a past of thirty-one hours for those rules |
//! | `pages` | real pages, served as many exporters |
//! | `scaled` | the rules in seconds instead of minutes |
//! | `said` | what panels say of facts that are written there |
//! | `dashboard`, `promql`, `names` | the queries of a dashboard; what they name, and whether it exists |

mod complete;
mod dashboard;
mod expressions;
mod first;
mod fleet;
mod history;
mod incidents;
mod names;
mod pages;
mod promql;
mod said;
mod scale;
mod scaled;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use crate::lab::place::PrivateDir;
use crate::lab::webhook::Notice;
use crate::lab::{Alertmanager, Firewall, Prometheus, PrometheusOptions, Webhook};

/// How much shorter the rules' durations are: an hour becomes 15 s, as in the incidents' applications.
const FACTOR: u64 = 240;

/// How often Prometheus scrapes and evaluates: two scrapes fit into the shortest window of the rules.
const STEP: Duration = Duration::from_millis(500);

/// How long a notification may take, a measurement included.
const PATIENCE: Duration = Duration::from_secs(60);

/// The one file beside the rules that holds none: for Alertmanager.
const EXAMPLE: &str = "alertmanager.example.yml";

/// The directory of the rules.
fn alerts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts")
}

/// The rule files directly inside a directory.
fn rule_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let files: io::Result<Vec<PathBuf>> =
        fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let is_rules = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".yml") && name != EXAMPLE
    };
    Ok(files?.into_iter().filter(is_rules).collect())
}

/// The rule files, copied into a directory; the group that people evaluate every two minutes has another interval.
fn rules_at(directory: &Path, interval: Duration) -> Vec<PathBuf> {
    let files = rule_files(&alerts()).expect("there are rules");
    let mut found = false;
    let copy = |file: PathBuf| {
        let text = fs::read_to_string(&file).expect("a rule file is readable");
        found |= text.contains("interval: 2m\n");
        let copy = directory.join(file.file_name().expect("a file has a name"));
        let text = text.replace("interval: 2m\n", &format!("interval: {}ms\n", interval.as_millis()));
        fs::write(&copy, text).expect("the directory is writable");
        copy
    };
    let copies = files.into_iter().map(copy).collect();
    assert!(found, "there is such a group");
    copies
}

/// All that stands between an exporter and a person: Prometheus with the real rules, their durations scaled,
/// Alertmanager and the person's webhook.
#[derive(Debug)]
struct Watch<'a> {
    prometheus: Prometheus<'a>,
    alertmanager: Alertmanager,
    webhook: Webhook,
    _rules: PrivateDir,
}

impl<'a> Watch<'a> {
    /// Starts it on an exporter, in the client namespace of a firewall where one is named.
    fn start(inside: Option<&'a Firewall>, exporter: SocketAddr) -> Self {
        let rules = PrivateDir::new();
        let files = scaled::copy_rules(&alerts(), rules.path(), FACTOR).expect("the rules can be copied");
        let webhook = Webhook::start(inside);
        let alertmanager = Alertmanager::start(inside, webhook.addr());
        let prometheus = Prometheus::start(PrometheusOptions {
            inside,
            scrape_interval: STEP,
            evaluation_interval: STEP,
            rules: files,
            alertmanagers: vec![alertmanager.web()],
            ..PrometheusOptions::scraping(exporter)
        });
        Self { prometheus, alertmanager, webhook, _rules: rules }
    }

    /// Waits until people know of an alert whose labels include `labels`; what they were told last of it.
    #[track_caller]
    fn firing(&self, alert: &str, labels: &[(&str, &str)]) -> Notice {
        let is_firing = |notice: &&&Notice| notice.status == "firing";
        self.wait_for(alert, labels, "firing", |known| Some((*known.iter().find(is_firing)?).clone()))
    }

    /// Waits until people were told that such an alert is over, in each of its forms.
    #[track_caller]
    fn resolved(&self, alert: &str, labels: &[(&str, &str)]) {
        self.wait_for(alert, labels, "resolved", |known| {
            let over = |notice: &&Notice| notice.status == "resolved";
            (!known.is_empty() && known.iter().all(over)).then_some(())
        });
    }

    #[track_caller]
    fn wait_for<T>(
        &self,
        alert: &str,
        labels: &[(&str, &str)],
        status: &str,
        pick: impl Fn(&[&Notice]) -> Option<T>,
    ) -> T {
        let is_meant = |notice: &Notice| {
            let has = |&(name, value): &(&str, &str)| notice.labels.get(name).is_some_and(|own| own == value);
            notice.alert() == alert && labels.iter().all(has)
        };
        let pick = |notices: &[Notice]| {
            let known: Vec<_> = newest(notices).into_iter().filter(|notice| is_meant(notice)).collect();
            pick(&known)
        };
        let what = format!("{alert} {labels:?} {status}");
        self.webhook.wait_for(&what, PATIENCE, pick, || {
            format!("{:#?}\n{}\n{}", self.prometheus.alerts(), self.prometheus.log(), self.alertmanager.log())
        })
    }

    /// Waits until the text of an alert that fires holds all these words: people are told once, and the text goes on.
    #[track_caller]
    fn says(&self, alert: &str, words: &[&str]) {
        let text = || {
            let alerts = self.prometheus.alerts().into_iter();
            let meant = alerts.filter(|one| one["labels"]["alertname"] == *alert && one["state"] == "firing");
            meant.map(|one| one["annotations"].to_string()).collect::<String>()
        };
        crate::lab::wait_for(&format!("{alert} to say {words:?}"), PATIENCE, || {
            let text = text();
            words.iter().all(|word| text.contains(word)).then_some(())
        });
    }

    /// The alerts people know of and have not heard the end of.
    fn still_firing(&self) -> BTreeSet<String> {
        let notices = self.webhook.notices();
        let firing = newest(&notices).into_iter().filter(|notice| notice.status == "firing");
        firing.map(|notice| notice.alert().to_owned()).collect()
    }
}

/// The newest notice of each alert: one for every set of labels.
fn newest(notices: &[Notice]) -> Vec<&Notice> {
    let newest: BTreeMap<_, _> = notices.iter().map(|notice| (&notice.labels, notice)).collect();
    newest.into_values().collect()
}
