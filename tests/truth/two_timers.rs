//! Two timers on one path, and timers of other things beside the idle one.

use std::time::Duration;

use super::runs::repeat;
use super::standing::Standing;
use super::{Truth, WAIT_TIMEOUT, check, on};
use crate::exporter::Launch;
use crate::lab::{Firewall, FirewallOptions, HaProxy, MariaDb, MariaDbOptions};

/// The server ends the twin that is busy in a statement, long before the proxy would.
#[test]
fn idle_timer_of_haproxy_where_long_statements_are_forbidden() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::with_args(&["--max-statement-time=2"]));
        let proxy = HaProxy::start(server.addr(), Duration::from_secs(5));
        let truth = Truth { culprit: "proxy_idle_timeout", layer: "proxy", ending: "fin", ..WAIT_TIMEOUT };
        check(&on(Launch::at(&proxy.addr().to_string())).start(), &truth);
    });
}

fn firewall_before(established_timeout_s: u32, args: &[&str]) -> Firewall {
    let mariadb = MariaDbOptions::with_args(args);
    Firewall::start(FirewallOptions { established_timeout_s, mariadb, ..FirewallOptions::default() })
}

/// The remedy is judged against the layer that is the limit: TCP keepalive carries past the firewall, and the
/// server's own timer comes after.
fn check_before(wait_timeout: u32) {
    let firewall = firewall_before(5, &[&format!("--wait-timeout={wait_timeout}")]);
    let standing = Standing {
        culprit: "network_idle_timeout",
        layer: "network",
        // Two found dead at the ladder's end bear out a bracket that is wider at first.
        upper: 4.7..=10.3,
        share: 0.9..=1.0,
        tcp_keepalive: true,
        within: Duration::from_secs(60),
        canaries: 60.0,
        unknown: 1,
        ends_twins: Some("server_idle_timeout"),
    };
    let page = standing.check(&on(Launch::behind(&firewall)).start());
    let (lower, upper) = page.bracket().expect("a limit stands");
    assert!(lower < 5.1 && upper < 7.3, "({lower}, {upper}]");
}

#[test]
fn firewall_before_a_longer_wait_timeout() {
    repeat(|| check_before(7));
}

#[test]
fn firewall_before_a_wait_timeout_that_is_little_longer() {
    repeat(|| check_before(6));
}

/// Which of them strikes first is chance: either may be named, and nobody else.
#[test]
fn firewall_and_proxy_with_one_timer() {
    const EITHER: [&str; 3] = ["network_idle_timeout", "proxy_idle_timeout", "unknown"];
    repeat(|| {
        let firewall = firewall_before(8, &[]);
        let proxy = firewall.proxy(Duration::from_secs(8));
        let launch = Launch::behind(&firewall).to(&proxy.addr().to_string());
        let exporter = launch.ages("3s,6s,10s,14s").args(&["--canary.probe-timeout=2s"]).start();
        let page = exporter.wait_for_metrics("a limit", Duration::from_secs(90), |page| {
            page.sum("idle_limit_confirmed", &[("kind", "idle")]) == 1.0
                && page.sum("deaths_total", &[]) >= 6.0
                && !page.values("remedy", &[("remedy", "tcp_keepalive")]).is_empty()
        });
        let (lower, upper) = page.bracket().expect("a limit stands");
        assert!(lower < 8.3 && upper > 7.7, "({lower}, {upper}]\n{}", exporter.log());
        assert_eq!(page.one("remedy", &[("remedy", "tcp_keepalive")]), 0.0, "{}", exporter.log());
        for death in exporter.events("death") {
            let is_right = EITHER.iter().any(|culprit| death["culprit"] == *culprit);
            assert!(is_right, "{death} in\n{}", exporter.log());
        }
        let named = exporter.metrics().values("idle_limit_info", &[("culprit", "server_kill")]);
        assert!(named.is_empty(), "{}", exporter.log());
    });
}
