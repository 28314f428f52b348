//! One limit that fifty exporters meet, with three users past it and two pools that contradict it: at most fifty
//! notifications where nothing is grouped, and one with the Alertmanager that `alerts/` recommends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{EXAMPLE, FACTOR, PATIENCE, STEP, alerts, pages, scaled};
use crate::lab::place::PrivateDir;
use crate::lab::turns::turn;
use crate::lab::webhook::Notice;
use crate::lab::{Alertmanager, Prometheus, PrometheusOptions, Webhook};

const EXPORTERS: usize = 50;
/// How many of them go down.
const DOWN: usize = 10;
/// After this long without a word nothing more is on its way: every `for` of these rules is shorter.
const QUIET: Duration = Duration::from_secs(18);

/// Who is told: by a receiver of every alert alone, and by those of the example.
struct Told {
    alone: Webhook,
    tickets: Webhook,
    pager: Webhook,
}

impl Told {
    /// Waits until nobody was told anything for a while.
    fn settle(&self) {
        let count = || [&self.alone, &self.tickets, &self.pager].map(|webhook| webhook.notifications().len());
        let (begun, mut since, mut last) = (Instant::now(), Instant::now(), count());
        while since.elapsed() < QUIET {
            assert!(begun.elapsed() < 4 * PATIENCE, "it never ends: {last:?}");
            std::thread::sleep(STEP);
            let now = count();
            if now != last {
                (since, last) = (Instant::now(), now);
            }
        }
    }
}

/// How many alerts of each name are firing among those.
fn by_name(notices: &[Notice]) -> BTreeMap<&str, usize> {
    let firing: BTreeSet<_> = notices
        .iter()
        .filter(|notice| notice.status == "firing")
        .map(|notice| (notice.alert(), &notice.labels))
        .collect();
    let mut names = BTreeMap::new();
    for (name, _) in firing {
        *names.entry(name).or_default() += 1;
    }
    names
}

/// The example, with a wait that lets every exporter be scraped, and no second round within the test.
fn example() -> String {
    let text = fs::read_to_string(alerts().join(EXAMPLE)).expect("there is an example");
    let shorter = text
        .replace("group_wait: 1m\n", "group_wait: 10s\n")
        .replace("group_interval: 15m\n", "group_interval: 20s\n");
    assert_ne!(text, shorter, "the example has these waits");
    shorter
}

#[test]
fn one_limit_on_fifty_exporters_is_one_notification_and_an_exporter_that_is_down_hides_the_rest() {
    let _turn = turn();
    let page =
        pages::ill(&["api", "jobs", "web"], "warning").replace("target=\"default\"", "target=\"orders\"");
    let recycle = page.lines().find_map(|line| line.strip_prefix("mysql_canary_recommended_recycle_seconds"));
    let recycle = recycle.and_then(|rest| rest.rsplit_once(' ')).map(|(_, value)| value.to_owned());
    let down = Arc::new(AtomicUsize::new(0));
    let address = pages::serve(Arc::new(vec![page; EXPORTERS]), Arc::clone(&down));
    let told =
        Told { alone: Webhook::start(None), tickets: Webhook::start(None), pager: Webhook::start(None) };
    let each = Alertmanager::start(None, told.alone.addr());
    let receivers = [("tickets", told.tickets.addr()), ("pager", told.pager.addr())];
    let grouped = Alertmanager::with_receivers(&example(), &receivers);
    let rules = PrivateDir::new();
    let label = |name: &str, value: String| (name.to_owned(), value);
    let targets = (0..EXPORTERS).map(|number| {
        let labels = vec![
            label("__metrics_path__", format!("/{number}")),
            label("instance", format!("exporter-{number}")),
        ];
        (address, labels)
    });
    let prometheus = Prometheus::start(PrometheusOptions {
        targets: targets.collect(),
        scrape_interval: STEP * 2,
        evaluation_interval: STEP * 2,
        rules: scaled::copy_rules(&alerts(), rules.path(), FACTOR).expect("the rules can be copied"),
        alertmanagers: vec![each.web(), grouped.web()],
        ..PrometheusOptions::scraping(address)
    });
    let all =
        format!("count(ALERTS{{alertname=\"MySQLCanaryIdleLimit\",alertstate=\"firing\"}}) == {EXPORTERS}");
    prometheus.wait_for_query(&all, 3 * PATIENCE, |found| !found.is_empty());
    told.settle();

    let expected = BTreeMap::from([("MySQLCanaryIdleLimit", EXPORTERS)]);
    let alone = told.alone.notices();
    assert_eq!(by_name(&alone), expected, "{:#?}", prometheus.alerts());
    assert!(told.alone.notifications().len() <= EXPORTERS, "{}", told.alone.notifications().len());
    let tickets = told.tickets.notifications();
    assert_eq!(tickets.len(), 1, "{:?}", tickets.iter().map(|one| by_name(one)).collect::<Vec<_>>());
    assert_eq!(by_name(&tickets[0]), expected);
    assert!(told.pager.notices().is_empty(), "nothing is proved, and nobody is woken");
    assert_says_what_to_do(&alone[0], recycle.as_deref());

    // An exporter that is down is told, and nothing else of it.
    let before = tickets[0].len();
    down.store(DOWN, Ordering::Relaxed);
    let is_down =
        format!("count(ALERTS{{alertname=\"MySQLCanaryExporterDown\",alertstate=\"firing\"}}) == {DOWN}");
    prometheus.wait_for_query(&is_down, 3 * PATIENCE, |found| !found.is_empty());
    told.settle();
    let later = told.tickets.notices().split_off(before);
    let down_now = BTreeSet::from_iter((0..DOWN).map(|number| format!("exporter-{number}")));
    let names = by_name(&later);
    assert_eq!(names.get("MySQLCanaryExporterDown"), Some(&DOWN), "{names:?}");
    let others = later.iter().filter(|notice| notice.alert() != "MySQLCanaryExporterDown");
    let of_those: Vec<_> = others.filter(|notice| down_now.contains(&notice.labels["instance"])).collect();
    assert!(of_those.is_empty(), "{of_those:#?}");
}

/// Target and action stand in the first sentence, with the number of the exporter's own verdict.
#[track_caller]
fn assert_says_what_to_do(notice: &Notice, recycle: Option<&str>) {
    let summary = &notice.annotations["summary"];
    let recycle = recycle.map_or_else(
        || "too soon for a pool to recycle".to_owned(),
        |seconds| format!("recycle pools below {seconds} s"),
    );
    for words in ["orders (127.0.0.1:", &recycle, "raising wait_timeout does not help"] {
        assert!(summary.contains(words), "{words} is not in {summary}");
    }
    // As measured, a little before or after the proxy's 3 s.
    let after = summary.split_once("proxy closes idle connections after ").map(|(_, rest)| rest);
    let seconds = after.and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    assert!(seconds.is_some_and(|seconds| (seconds - 3.0).abs() < 0.5), "{summary}");
    let text = &notice.annotations["description"];
    for words in ["pool outlives path", "pool never recycles (jobs)", "sessions at risk"] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
}
