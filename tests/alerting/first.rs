//! The first death of each sort shows in `increase()`: its counter was scraped at zero before it, although most counters
//! are not there at the start.

use std::time::Duration;

use super::{PATIENCE, STEP};
use crate::exporter::Launch;
use crate::lab::{HaProxy, MariaDb, MariaDbOptions, Prometheus, PrometheusOptions};

#[test]
fn the_first_death_of_each_kind_is_seen_to_rise_from_zero() {
    let server = MariaDb::start(MariaDbOptions::default());
    let proxy = HaProxy::start(server.addr(), Duration::from_secs(4));
    let exporter = Launch::at(&proxy.addr().to_string()).start();
    let of_twins = exporter.metrics().values("deaths_total", &[("kind", "busy")]).len();
    assert_eq!(of_twins, 0, "nothing counts the ends of twins before there is one");
    let prometheus = Prometheus::start(PrometheusOptions {
        scrape_interval: STEP,
        ..PrometheusOptions::scraping(exporter.web())
    });
    let kinds = "count(count by (kind) (mysql_canary_deaths_total{kind=~\"idle|keepalive|busy\"} > 0)) == 3";
    prometheus.wait_for_query(kinds, 2 * PATIENCE, |found| !found.is_empty());
    let count = |expression: &str| {
        prometheus.query(&format!("count({expression})")).first().map_or(0.0, |one| one.value)
    };
    let died = count("mysql_canary_deaths_total > 0");
    assert_eq!(
        count("mysql_canary_deaths_total > 0 and min_over_time(mysql_canary_deaths_total[10m]) == 0"),
        died
    );
    assert_eq!(count("increase(mysql_canary_deaths_total[10m]) > 0"), died);
}
