//! Every expression of every rule, panel and variable runs on a real Prometheus that scrapes real exporters, and
//! names only what they export.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::dashboard::{self, Choice, Query};
use super::incidents::small_layer_cake_path;
use super::{PATIENCE, STEP, names, rules_at};
use crate::exporter::{Exporter, Launch};
use crate::incidents::start_layer_cake;
use crate::lab::place::PrivateDir;
use crate::lab::{Firewall, Prometheus, PrometheusOptions, Python, wait_for};
use crate::parts::observe;

/// Queries that may find nothing on these data, each with the reason.
const MAY_BE_EMPTY: [(&str, &str); 2] = [
    ("mysql-canary-overview: Failed sources of the server view A", "every source can be read"),
    ("mysql-canary-overview: Paths I", "the column of paths is for targets with several"),
];

/// The names under which the exporters are scraped. Brackets and dots are signs of regular expressions too.
const INSTANCES: [&str; 3] = ["[2001:db8::1]:10052", "away.example:10052", "nobody.example:10052"];

/// Alerts that must be on their way on these data.
const EXPECTED: [&str; 3] =
    ["MySQLCanaryIdleLimit", "MySQLCanarySessionHeldPastRecycle", "MySQLCanaryServerUnreachable"];

/// What is watched: an exporter on an incident's path, one whose server is away, and one that is down.
struct World<'a> {
    exporter: Exporter<'a>,
    away: Exporter<'a>,
    prometheus: Prometheus<'a>,
    _applications: [Python; 2],
    _rules: PrivateDir,
}

impl<'a> World<'a> {
    fn start(firewall: &'a Firewall) -> Self {
        let patience = "--canary.probe-timeout=1s";
        let pools = ["name=never", "name=above,recycle=20s", "name=tiny,recycle=200ms"];
        let pools = pools.map(|pool| format!("--pool={pool},user=app,framework=sqlalchemy"));
        let launch = Launch::behind(firewall).ages("1500ms,3s,5s").args(&[patience]);
        let exporter = launch.args(&pools.each_ref().map(String::as_str)).start();
        let rules = PrivateDir::new();
        // That a web configuration is followed is told where there is one.
        let web_config = rules.path().join("web-config");
        fs::write(&web_config, "http_server_config: {headers: {X-Content-Type-Options: nosniff}}\n")
            .expect("writable");
        let web_config = format!("--web.config.file={}", web_config.display());
        let away =
            Launch::behind(firewall).to("127.0.0.1:1").ages("3s").args(&[patience, &web_config]).start();
        let nobody = ([127, 0, 0, 1], 2).into();
        let prometheus = Prometheus::start(PrometheusOptions {
            inside: Some(firewall),
            targets: [exporter.web(), away.web(), nobody].into_iter().zip(INSTANCES).map(named).collect(),
            scrape_interval: STEP,
            evaluation_interval: STEP,
            rules: rules_at(rules.path(), STEP * 2),
            ..PrometheusOptions::scraping(nobody)
        });
        exporter.wait_for_metrics("all there is to measure", Duration::from_secs(100), |page| {
            page.sum("layer_mismatch", &[("rule", "keepalive_too_late")]) == 1.0
                && page.values("remedy", &[]).len() == 2
        });
        // Three devices call at once; then their connections rest, until whose they are was read.
        firewall.server().sql("SET GLOBAL wait_timeout = 300");
        let application = start_layer_cake(firewall, &["--every", "600"]);
        exporter.wait_for_metrics("sessions at risk", Duration::from_secs(80), |page| {
            page.sum("sessions_at_risk", &[("user", "app")]) == 3.0
        });
        // Somebody sleeps and wakes, on the Unix socket, where no firewall is.
        let socket = firewall.server().socket();
        let socket = socket.to_str().expect("the path is UTF-8");
        let sleeper =
            Python::start(&[], "tests/applications/sleeper.py", &["--socket", socket, "--sleep", "6"]);
        exporter.wait_for_metrics("a survival", PATIENCE, |page| {
            page.sum("application_survival_age_seconds_count", &[]) > 0.0
        });
        // The server counts a login with a wrong password as an aborted connect.
        let wrong = ["query", "SELECT 1", "--password", "wrong"];
        observe(&firewall.client_around(), firewall.addr(), &wrong).event("refused");
        Self { exporter, away, prometheus, _applications: [application, sleeper], _rules: rules }
    }

    /// The other half of what can be seen: outcomes that are void, because nobody answers any more.
    fn freeze_the_server(&self, firewall: &Firewall) {
        firewall.server().sigstop();
        let void = "sum(increase(mysql_canary_voided_total[1m])) > 0";
        self.prometheus.wait_for_query(void, PATIENCE, |found| !found.is_empty());
    }

    /// The labels of all answers to a query, wherever one looks; nothing where there is no answer.
    fn answered(&self, query: &Query) -> Option<BTreeSet<String>> {
        let answers =
            choices().into_iter().flat_map(|choice| self.prometheus.query(&choice.apply(&query.expression)));
        answers.map(|answer| answer.labels.into_keys().collect()).reduce(|mut all: BTreeSet<String>, more| {
            all.extend(more);
            all
        })
    }

    /// Queries that find nothing.
    fn empty(&self, queries: &[Query]) -> BTreeSet<String> {
        let is_empty = |query: &&Query| self.answered(query).is_none();
        queries.iter().filter(is_empty).map(|query| query.place.clone()).collect()
    }

    /// Labels that a panel shows and its answers do not have.
    fn without_a_label(&self, queries: &[Query]) -> Vec<String> {
        let missing = |query: &Query| {
            let known = self.answered(query)?;
            let missing: Vec<&String> = query.labels.difference(&known).collect();
            (!missing.is_empty()).then(|| format!("{missing:?} in {}", query.place))
        };
        queries.iter().filter_map(missing).collect()
    }

    /// The variables of a dashboard that find no value.
    fn without_a_choice(&self, dashboard: &Value) -> Vec<String> {
        let queries = dashboard::variable_queries(dashboard).into_iter();
        let has_none = |selector: &str, label: &str| {
            let found =
                choices().into_iter().flat_map(|choice| self.prometheus.series(&choice.apply(selector)));
            !found.into_iter().any(|series| series.contains_key(label))
        };
        queries.filter(|(_, selector, label)| has_none(selector, label)).map(|(name, ..)| name).collect()
    }

    /// The labels of every metric, recorded ones and Prometheus' own among them.
    fn labels(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for series in self.prometheus.series("{__name__!=''}") {
            labels.entry(series["__name__"].clone()).or_default().extend(series.into_keys());
        }
        labels
    }
}

/// A target of Prometheus' under a name of its own.
fn named((address, instance): (SocketAddr, &str)) -> (SocketAddr, Vec<(String, String)>) {
    (address, vec![("instance".to_owned(), instance.to_owned())])
}

/// What one may choose in a dashboard.
fn choices() -> [Choice; 3] {
    [Choice::path(INSTANCES[0]), Choice::path(INSTANCES[1]), Choice::Everything]
}

#[test]
fn every_expression_runs_and_names_only_what_is_exported() {
    let firewall = small_layer_cake_path();
    let world = World::start(&firewall);
    let rules = settled_rules(&world.prometheus);
    assert_well(&rules, &world.prometheus);

    let dashboards = dashboard::all();
    let recorded = rules.iter().filter(|rule| rule["type"] == "recording");
    let recorded: Vec<Query> = recorded.flat_map(names::written_in).collect();
    // These data are minutes old. That such windows are full where there is a past, the test at scale shows.
    let (of_before, recorded): (Vec<Query>, Vec<Query>) =
        recorded.into_iter().partition(|query| query.expression.contains(" offset "));
    let of_the_past: Vec<String> = of_before.iter().map(|query| query.place.clone()).collect();
    let shown: Vec<Query> = dashboards.iter().flat_map(dashboard::panel_queries).chain(recorded).collect();
    let excused: BTreeSet<String> = MAY_BE_EMPTY.iter().map(|(place, _)| (*place).to_owned()).collect();
    let empty = world.empty(&shown);
    let chosen: Vec<String> =
        dashboards.iter().flat_map(|dashboard| world.without_a_choice(dashboard)).collect();
    assert!(chosen.is_empty(), "variables with nothing to choose: {chosen:?}");
    let nameless = world.without_a_label(&shown);
    assert!(nameless.is_empty(), "labels that are shown and are not there: {nameless:#?}");
    world.freeze_the_server(&firewall);
    let empty: BTreeSet<String> = world.empty(&shown).intersection(&empty).cloned().collect();
    firewall.server().sigcont();
    assert_eq!(empty, excused, "left: queries without an answer, right: those excused");

    let alerts = rules.iter().filter(|rule| rule["type"] == "alerting").flat_map(names::written_in);
    let variables = dashboards.iter().flat_map(names::of_variables);
    let written: Vec<Query> =
        shown.into_iter().chain(of_before).chain(alerts).chain(variables).map(as_sent).collect();
    let mut known = world.labels();
    known.extend(of_the_past.into_iter().map(|name| (name, BTreeSet::new())));
    let unknown: Vec<String> = written.iter().flat_map(|query| names::unknown(query, &known)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    let exported = [&world.exporter, &world.away].map(|exporter| exporter.metrics().families());
    names::assert_each_is_used(&exported.into_iter().flatten().collect(), &written);
}

fn as_sent(query: Query) -> Query {
    Query { expression: Choice::Everything.apply(&query.expression), ..query }
}

/// The rules, once every one was evaluated.
fn settled_rules(prometheus: &Prometheus<'_>) -> Vec<Value> {
    wait_for("the first evaluation of every rule", Duration::from_secs(30), || {
        let rules = prometheus.rules();
        let settled = !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown");
        settled.then_some(rules)
    })
}

/// No rule fails, no text fails, and the alerts that these data are due are on their way.
#[track_caller]
fn assert_well(rules: &[Value], prometheus: &Prometheus<'_>) {
    for rule in rules {
        assert_eq!((rule["health"].as_str(), rule["lastError"].as_str()), (Some("ok"), None), "{rule}");
    }
    wait_for("the alerts that these data are due", Duration::from_secs(30), || {
        let told = prometheus.alerts();
        let is_told = |name: &&str| told.iter().any(|alert| alert["labels"]["alertname"] == **name);
        EXPECTED.iter().all(is_told).then_some(())
    });
    let log = prometheus.log();
    assert!(!log.contains("template failed"), "{log}");
}
