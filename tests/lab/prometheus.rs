//! Prometheus: scrapes an exporter, evaluates rules and tells an Alertmanager, fast enough for a test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::place::PrivateDir;
use super::process::{Daemon, bound_command, on_free_port};
use super::{Firewall, http};

/// The job every example and dashboard speaks of.
pub(crate) const JOB: &str = "mysql-canary";

/// How to start a Prometheus.
#[derive(Debug, Clone)]
pub(crate) struct PrometheusOptions<'a> {
    /// The firewall in whose client namespace it runs; the machine's own network if `None`.
    pub(crate) inside: Option<&'a Firewall>,
    /// What it scrapes as the job [`JOB`]: addresses, each with the labels its series get.
    pub(crate) targets: Vec<(SocketAddr, Vec<(String, String)>)>,
    /// How often it scrapes.
    pub(crate) scrape_interval: Duration,
    /// How often it evaluates rules whose group does not say.
    pub(crate) evaluation_interval: Duration,
    /// Files of rules.
    pub(crate) rules: Vec<PathBuf>,
    /// Where alerts go.
    pub(crate) alertmanagers: Vec<SocketAddr>,
    /// Its data, if it is to find some; a directory that outlives it.
    pub(crate) data: Option<PathBuf>,
    /// For how long it keeps them.
    pub(crate) retention: Duration,
}

impl PrometheusOptions<'_> {
    /// Scrapes one target, and evaluates rules, every second.
    pub(crate) fn scraping(target: SocketAddr) -> Self {
        Self {
            inside: None,
            targets: vec![(target, Vec::new())],
            scrape_interval: Duration::from_secs(1),
            evaluation_interval: Duration::from_secs(1),
            rules: Vec::new(),
            alertmanagers: Vec::new(),
            data: None,
            retention: Duration::from_secs(3600),
        }
    }
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// Its labels, `__name__` among them where it has one.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its value; the newest of the range where a range was asked for.
    pub(crate) value: f64,
}

/// A running Prometheus. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Prometheus<'a> {
    daemon: Daemon,
    _dir: PrivateDir,
    web: SocketAddr,
    inside: Option<&'a Firewall>,
}

impl<'a> Prometheus<'a> {
    /// Starts it; it has read its rules and answers when this returns.
    pub(crate) fn start(options: PrometheusOptions<'a>) -> Self {
        let dir = PrivateDir::new();
        let config = dir.path().join("prometheus.yml");
        // JSON is YAML, and needs no thought about quotes.
        fs::write(&config, configuration(&options).to_string()).expect("the private directory is writable");
        let data = options.data.clone().unwrap_or_else(|| dir.path().join("data"));
        let around = options.inside.map(Firewall::client_around);
        let around = around.as_ref().map_or(&[][..], |words| &words[..]);
        let (port, daemon) = on_free_port(|port| {
            let mut command = bound_command(around, "prometheus");
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .arg(format!("--storage.tsdb.retention.time={}s", options.retention.as_secs()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                // An alert that an Alertmanager did not hear is told again in a moment, not in a minute.
                .arg("--rules.alert.resend-delay=2s")
                .env("GOMAXPROCS", "1");
            let mut daemon = Daemon::start(command, &dir.path().join("log"));
            daemon.wait_for_output("Server is ready to receive web requests").map(|()| daemon)
        });
        let web = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { daemon, _dir: dir, web, inside: options.inside }
    }

    /// The answer to an instant query now; an error carries what Prometheus said.
    pub(crate) fn try_query(&self, expression: &str) -> Result<Vec<Sample>, String> {
        self.ask(&format!("/api/v1/query?query={}", encoded(expression))).map(|data| samples(&data))
    }

    /// The answer to an instant query now.
    #[track_caller]
    pub(crate) fn query(&self, expression: &str) -> Vec<Sample> {
        self.try_query(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Asks until the answer satisfies `wanted`.
    #[track_caller]
    pub(crate) fn wait_for_query(
        &self,
        expression: &str,
        limit: Duration,
        wanted: impl Fn(&[Sample]) -> bool,
    ) -> Vec<Sample> {
        let begun = Instant::now();
        loop {
            let answer = self.query(expression);
            if wanted(&answer) {
                return answer;
            }
            assert!(
                begun.elapsed() < limit,
                "waited {limit:?} in vain for {expression}: {answer:?}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Every loaded rule: `/api/v1/rules` without its groups.
    pub(crate) fn rules(&self) -> Vec<Value> {
        let groups = elements(self.asked("/api/v1/rules"), "groups");
        groups.into_iter().flat_map(|group| elements(group, "rules")).collect()
    }

    /// Every pending or firing alert.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        elements(self.asked("/api/v1/alerts"), "alerts")
    }

    /// Every series a selector such as `{job="mysql-canary"}` matches.
    pub(crate) fn series(&self, selector: &str) -> Vec<BTreeMap<String, String>> {
        list(self.asked(&format!("/api/v1/series?match[]={}", encoded(selector))))
            .iter()
            .map(labels)
            .collect()
    }

    /// What `/api/v1/<path>` answers; an error carries what Prometheus said.
    pub(crate) fn ask(&self, path: &str) -> Result<Value, String> {
        let ask = || http::get(self.web, path);
        let response = match self.inside {
            Some(firewall) => firewall.in_client(ask),
            None => ask(),
        };
        let response = response.expect("Prometheus answers");
        let mut answer: Value = serde_json::from_str(&response.body)
            .unwrap_or_else(|error| panic!("{path} is not answered in JSON ({error}): {response:?}"));
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].take()),
            _ => Err(answer["error"].as_str().unwrap_or("no reason given").to_owned()),
        }
    }

    #[track_caller]
    fn asked(&self, path: &str) -> Value {
        self.ask(path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The value of one of its own metrics that has no labels, such as `process_resident_memory_bytes`.
    #[track_caller]
    pub(crate) fn own(&self, name: &str) -> f64 {
        let ask = || http::get(self.web, "/metrics");
        let page = match self.inside {
            Some(firewall) => firewall.in_client(ask),
            None => ask(),
        };
        let page = page.expect("Prometheus answers").body;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("Prometheus has no {name}"))
    }

    /// All it has logged.
    pub(crate) fn log(&self) -> String {
        self.daemon.output()
    }
}

fn configuration(options: &PrometheusOptions<'_>) -> Value {
    let duration = |duration: Duration| format!("{}ms", duration.as_millis());
    let targets: Vec<Value> = options
        .targets
        .iter()
        .map(|(address, labels)| {
            let labels: BTreeMap<_, _> = labels.iter().cloned().collect();
            json!({ "targets": [address.to_string()], "labels": labels })
        })
        .collect();
    let alertmanagers: Vec<Value> = options
        .alertmanagers
        .iter()
        .map(|address| json!({ "static_configs": [{ "targets": [address.to_string()] }] }))
        .collect();
    json!({
        "global": {
            "scrape_interval": duration(options.scrape_interval),
            "scrape_timeout": duration(options.scrape_interval),
            "evaluation_interval": duration(options.evaluation_interval),
        },
        "rule_files": options.rules,
        "alerting": { "alertmanagers": alertmanagers },
        "scrape_configs": [{ "job_name": JOB, "static_configs": targets }],
    })
}

/// The series of an answer to a query, whatever its type.
fn samples(data: &Value) -> Vec<Sample> {
    let number = |pair: &Value| {
        pair[1].as_str().and_then(|text| text.parse().ok()).expect("a sample carries a number")
    };
    match data["resultType"].as_str() {
        Some("vector") => {
            let series = data["result"].as_array().into_iter().flatten();
            series
                .map(|one| Sample { labels: labels(&one["metric"]), value: number(&one["value"]) })
                .collect()
        }
        Some("matrix") => {
            let series = data["result"].as_array().into_iter().flatten();
            let newest = |one: &Value| {
                one["values"].as_array().and_then(|values| values.last()).map_or(f64::NAN, number)
            };
            series.map(|one| Sample { labels: labels(&one["metric"]), value: newest(one) }).collect()
        }
        Some("scalar") => vec![Sample { labels: BTreeMap::new(), value: number(&data["result"]) }],
        _ => panic!("an answer of an unknown type: {data}"),
    }
}

fn labels(series: &Value) -> BTreeMap<String, String> {
    let pairs = series.as_object().into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

fn elements(mut object: Value, key: &str) -> Vec<Value> {
    list(object[key].take())
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        other => panic!("a list was expected, not {other}"),
    }
}

/// A query parameter: every byte that is not plainly harmless in hexadecimal.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => encoded.push(char::from(byte)),
            _ => write!(encoded, "%{byte:02X}").expect("a string grows"),
        }
    }
    encoded
}
