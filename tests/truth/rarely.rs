//! What is met rarely, and was told wrong: a limit of age on one way of two, a limit at the ladder's end that goes, others'
//! sessions that are killed all the time, reloads that meet few, a timer that is set longer and back again.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use super::runs::repeat;
use super::standing::summary;
use crate::exporter::{Exporter, Launch, Page};
use crate::lab::{HaProxy, LimitOnAge, MariaDb, MariaDbOptions, Server};

fn at(proxy: &HaProxy, ages: &str) -> Launch<'static> {
    let args = ["--canary.probe-timeout=2s", "--mysql.tls-mode=disabled"];
    Launch::at(&proxy.addr().to_string()).ages(ages).args(&args)
}

fn is_told(page: &Page, culprit: &str) -> bool {
    page.sum("idle_limit_confirmed", &[("kind", "idle")]) == 1.0
        && page.sum("idle_limit_info", &[("culprit", culprit)]) == 1.0
}

/// Nobody else was ever accused of a death.
#[track_caller]
fn assert_named_only(exporter: &Exporter<'_>, culprit: &str) {
    for death in exporter.events("death") {
        let is_right = death["culprit"] == culprit || death["culprit"] == "unknown";
        assert!(is_right, "{culprit}, not {death} in\n{}", exporter.log());
    }
}

#[test]
fn limit_of_age_on_one_way_of_two() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        let aging = LimitOnAge::start(server.addr(), Duration::from_secs(5));
        let other = HaProxy::start(server.addr(), Duration::from_secs(3600));
        let balancer = HaProxy::balancing(&[aging.addr(), other.addr()]);
        let exporter = at(&balancer, "2s,4s,7s,10s").start();
        let page = exporter.wait_for_metrics("a limit of age", Duration::from_secs(130), |page| {
            let is_of_a_part = page.sum("idle_limit_share", &[("kind", "idle")]) < 1.0;
            let does_a_ping_help = page.values("remedy", &[("remedy", "app_ping")]);
            is_told(page, "lifetime_limit") && is_of_a_part && does_a_ping_help == [0.0]
        });
        let share = page.one("idle_limit_share", &[("kind", "idle")]);
        assert!((0.1..=0.9).contains(&share), "{share} of all:\n{}", exporter.log());
        // Until somebody outlives it, two that ping and live on the other way are as those of a proxy's timer.
        let deaths = exporter.events("death");
        let named = |culprit: &str| deaths.iter().filter(|death| death["culprit"] == culprit).count();
        let others = deaths.len() - named("lifetime_limit") - named("unknown") - named("proxy_idle_timeout");
        assert!(others == 0 && named("proxy_idle_timeout") <= 9, "{}", exporter.log());
    });
}

#[test]
fn limit_at_the_ladders_end_goes() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        let mut proxy = HaProxy::start(server.addr(), Duration::from_millis(7300));
        let exporter = at(&proxy, "2s,4s,8s").start();
        exporter.wait_for_metrics("the limit", Duration::from_secs(120), |page| {
            is_told(page, "proxy_idle_timeout")
        });
        proxy.set_idle(server.addr(), Duration::from_secs(3600));
        // It was told by few deaths, and may rule a part of the connections: a dozen lives past it tell.
        exporter.wait_for_metrics("no limit", Duration::from_secs(200), |page| {
            page.values("idle_limit_upper_seconds", &[("kind", "idle")]).is_empty()
        });
        let page = exporter.metrics();
        let reached = page.one("idle_limit_lower_seconds", &[("kind", "idle")]);
        assert!(reached > 7.3, "{reached} s:\n{}", summary(&page));
    });
}

/// Kills a session of its own on the server again and again, while something is done.
fn while_others_are_killed(server: &Server, every: Duration, act: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let killing = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                // It is told of its own end.
                assert!(server.try_sql("KILL CONNECTION_ID()").is_err(), "it was not killed");
                sleep(every);
            }
        });
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        is_over.store(true, Ordering::Relaxed);
        let killed = killing.join();
        acted.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        killed.expect("the server can be asked");
    });
}

#[test]
fn others_are_killed_beside_a_proxy() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        let proxy = HaProxy::start(server.addr(), Duration::from_secs(5));
        while_others_are_killed(&server, Duration::from_millis(700), || {
            let exporter = at(&proxy, "2s,4s,7s,10s").start();
            exporter.wait_for_metrics("a limit", Duration::from_secs(90), |page| {
                page.sum("deaths_total", &[("kind", "idle")]) >= 8.0
                    && page.values("idle_limit_upper_seconds", &[("kind", "idle")]).len() == 1
            });
            assert_named_only(&exporter, "proxy_idle_timeout");
        });
    });
}

#[test]
fn reloads_that_meet_two_are_no_timer() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        let proxy = RefCell::new(HaProxy::start(server.addr(), Duration::from_secs(3600)));
        let exporter =
            at(&proxy.borrow(), "6s,10s,15s,22s,30s").args(&["--canary.max-connections=4"]).start();
        exporter.wait_for_metrics("canaries", Duration::from_secs(60), |page| {
            page.sum("connections", &[("kind", "idle")]) >= 2.0
        });
        // At no one distance: what is reloaded again and again after so many seconds is a limit of age.
        for seconds in [7, 13, 5, 17, 9, 11] {
            sleep(Duration::from_secs(seconds));
            proxy.borrow().shut_sessions();
        }
        sleep(Duration::from_secs(3));
        for death in exporter.events("death") {
            let is_right = death["culprit"] == "mass_disconnect" || death["culprit"] == "unknown";
            assert!(is_right, "{death} in\n{}", exporter.log());
        }
    });
}

/// Those that lived between were under the longer setting: it rules no part of the connections.
#[test]
fn wait_timeout_that_is_set_longer_and_back_again() {
    const BACK: f64 = 8.0;
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::with_args(&["--wait_timeout=3"]));
        let exporter = Launch::on(&server).ages("2s,5s,8s").args(&["--canary.probe-timeout=2s"]).start();
        let wait = |what: &str, limit: f64, is_enough: &dyn Fn(&Page) -> bool| {
            exporter.wait_for_metrics(what, Duration::from_secs(150), |page| {
                let upper = page.values("idle_limit_upper_seconds", &[("kind", "idle")]);
                is_told(page, "server_idle_timeout")
                    && upper.iter().any(|upper| (limit - 0.3..limit + 1.5).contains(upper))
                    && is_enough(page)
            })
        };
        let died = |page: &Page| page.sum("deaths_total", &[("kind", "idle")]);
        let short = died(&wait("the short one", 3.0, &|page| died(page) >= BACK));
        server.sql("SET GLOBAL wait_timeout = 6");
        let long = died(&wait("the long one", 6.0, &|page| died(page) >= short + BACK));
        server.sql("SET GLOBAL wait_timeout = 3");
        let is_of_all = |page: &Page| {
            died(page) >= long + 3.0 && page.one("idle_limit_share", &[("kind", "idle")]) == 1.0
        };
        wait("the short one, of all", 3.0, &is_of_all);
        assert_named_only(&exporter, "server_idle_timeout");
    });
}
