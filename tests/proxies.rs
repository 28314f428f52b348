//! Proxies in the path: HAProxy's idle timer, which ends with FIN as KILL does and is not taken for one, and
//! MySQL Router.

use std::time::Duration;

use crate::exporter::{Launch, ages, wait_until_gone};
use crate::lab::{HaProxy, MariaDb, MariaDbOptions, MySql97, MySql97Options, MySqlRouter};
use crate::truth::closed_at_once::{MANY_AGES, wait_for_many_ages};

/// HAProxy's idle timeout in these tests, in seconds.
const LIMIT: f64 = 4.0;

#[test]
fn an_idle_timer_of_haproxy_is_told_from_kill_by_its_twins() {
    let server = MariaDb::start(MariaDbOptions::default());
    let proxy = HaProxy::start(server.addr(), Duration::from_secs_f64(LIMIT));
    let mut exporter = Launch::at(&proxy.addr().to_string())
        .ages("2s,3s,6s,10s")
        .args(&["--canary.probe-timeout=2s", "--mysql.tls-mode=disabled"])
        .start();
    let page =
        exporter.wait_for_metrics("a confirmed limit and its remedies", Duration::from_secs(60), |page| {
            page.sum("deaths_total", &[("kind", "idle")]) >= 3.0
                && page.values("remedy", &[]).len() == 2
                && page.sum("layer_mismatch", &[("rule", "path_shorter_than_server")]) == 1.0
        });
    let idle = [("kind", "idle")];
    let upper = page.one("idle_limit_upper_seconds", &idle);
    assert!((upper - LIMIT).abs() < 0.3, "the limit is {LIMIT} s, not {upper}");
    let info = [("culprit", "proxy_idle_timeout"), ("layer", "proxy")];
    assert_eq!(page.one("idle_limit_info", &info), 1.0);
    assert_eq!(page.one("remedy", &[("remedy", "tcp_keepalive")]), 0.0);
    assert_eq!(page.one("remedy", &[("remedy", "app_ping")]), 1.0);
    assert_eq!(page.one("layer_mismatch", &[("rule", "keepalive_ineffective")]), 1.0);
    let measured = [("layer", "proxy"), ("setting", "idle_limit"), ("source", "measured")];
    // The path's report and what is concluded from it are published one after the other.
    let concluded = page.one("layer_timeout_seconds", &measured);
    assert!((concluded - upper).abs() < 0.1, "{concluded} s, and the limit is {upper} s");

    let (status, _) = exporter.terminate();
    assert!(status.success());
    let deaths = exporter.events("death");
    for death in &deaths {
        assert_eq!(death["culprit"], "proxy_idle_timeout", "{death}");
        assert_eq!(death["ending"], "fin", "{death}");
        assert_ne!(death["kind"], "active", "{death}");
    }
    for age in ages(&deaths) {
        assert!((age - LIMIT).abs() < 0.3, "died at {LIMIT} s, not at {age} s: {deaths:?}");
    }
    wait_until_gone(&server);
}

#[test]
fn mysql_router_hides_neither_the_server_nor_its_timer() {
    let server = MySql97::start(MySql97Options::with_args(&["--wait-timeout=5"]));
    let router = MySqlRouter::start(server.addr());
    let mut exporter =
        Launch::at(&router.addr().to_string()).ages("2s,4s,8s").args(&["--canary.probe-timeout=2s"]).start();
    let page = exporter.wait_for_metrics("survivors and deaths", Duration::from_secs(60), |page| {
        page.sum("survival_age_seconds_count", &[]) >= 3.0
            && page.sum("deaths_total", &[("kind", "idle")]) >= 2.0
    });
    assert_eq!(page.one("up", &[]), 1.0);
    assert_eq!(page.sum("server_info", &[("flavor", "mysql")]), 1.0);
    assert_eq!(page.one("idle_limit_info", &[("culprit", "server_idle_timeout"), ("layer", "server")]), 1.0);
    assert_eq!(page.sum("ghost_sessions", &[]), 0.0);
    assert_eq!(
        page.sum("sessions", &[("user", "canary")]),
        0.0,
        "our own sessions are known through the router"
    );
    let (status, _) = exporter.terminate();
    assert!(status.success());
    for death in &exporter.events("death") {
        assert_eq!(death["culprit"], "server_idle_timeout", "{death}");
        let age = death["age_seconds"].as_f64().expect("a death has an age");
        assert!((4.9..5.6).contains(&age), "{death}");
    }
    wait_until_gone(&server);
}

/// A drain or a reload closes sessions of every age at one instant: that is no timer and no KILL of one.
#[test]
fn sessions_closed_all_at_once_bound_nothing() {
    let server = MariaDb::start(MariaDbOptions::default());
    let proxy = HaProxy::start(server.addr(), Duration::from_secs(3600));
    let exporter = Launch::at(&proxy.addr().to_string()).ages(MANY_AGES).start();
    wait_for_many_ages(&server);
    proxy.shut_sessions();
    let deaths = exporter.wait_for_events("death", 3, Duration::from_secs(20));
    for death in deaths {
        assert_eq!(death["culprit"], "mass_disconnect", "{death}");
        assert!(death["rule"].as_str().is_some_and(|rule| rule.contains("at one instant")), "{death}");
    }
    let page = exporter.metrics();
    assert!(page.values("idle_limit_upper_seconds", &[]).is_empty(), "no age is bounded:\n{}", page.text());
}
