//! Tools and people that KILL: busy sessions too, seldom, and all of an account at once.

use std::thread::sleep;
use std::time::Duration;

use super::killer::Killer;
use super::runs::repeat;
use super::standing::{Standing, assert_says};
use super::{assert_no_limit, on, on_long_ages, wait_for_held};
use crate::exporter::Launch;
use crate::lab::{MariaDb, MariaDbOptions, MySql97, MySql97Options, Server};

/// Looks once a second and kills who slept or worked for 5 s, as pt-kill with `--idle-time` and `--busy-time`. The
/// server's list rounds to whole seconds: 5 s may be 4 s and a little; and on a busy machine it looks less often.
fn check_killer_of_busy_ones(server: &Server) {
    Killer { busy: Some(5), ..Killer::of_idle(5) }.during(server, || {
        let standing = Standing {
            culprit: "server_kill",
            layer: "server",
            upper: 3.9..=8.5,
            share: 0.9..=1.0,
            tcp_keepalive: false,
            within: Duration::from_secs(60),
            canaries: 40.0,
            unknown: 1,
            ends_twins: None,
        };
        let exporter = on(Launch::on(server)).args(&["--mysql.tls-mode=disabled"]).start();
        standing.check(&exporter);
        for death in exporter.events("death").iter().filter(|death| death["kind"] == "idle") {
            let age = death["age_seconds"].as_f64().expect("a death has an age");
            assert!((3.9..=11.0).contains(&age), "{death}");
        }
    });
}

#[test]
fn killer_of_idle_and_busy_sessions_of_mariadb() {
    repeat(|| check_killer_of_busy_ones(&MariaDb::start(MariaDbOptions::default())));
}

#[test]
fn killer_of_idle_and_busy_sessions_of_mysql() {
    repeat(|| check_killer_of_busy_ones(&MySql97::start(MySql97Options::default())));
}

/// The share of 20 s that are looked at every 4 s, in less time.
#[test]
fn killer_that_looks_seldom() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        Killer { every: Duration::from_secs(3), ..Killer::of_idle(8) }.during(&server, || {
            let standing = Standing {
                culprit: "server_kill",
                layer: "server",
                upper: 6.9..=12.5,
                share: 0.9..=1.0,
                tcp_keepalive: false,
                within: Duration::from_secs(100),
                canaries: 80.0,
                unknown: 1,
                ends_twins: None,
            };
            let launch = Launch::on(&server).ages("3s,6s,10s,15s").args(&["--canary.probe-timeout=2s"]);
            let exporter = launch.start();
            standing.check(&exporter);
            assert_says(&exporter, &["A tool that kills idle sessions"], &["Not all", "looks like KILL"]);
        });
    });
}

/// Those that ping die too, as of a limit of age: the server's count says by what.
#[test]
fn killer_of_old_sessions() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        Killer::of_age(6).during(&server, || {
            let exporter = on(Launch::on(&server)).args(&["--mysql.tls-mode=disabled"]).start();
            let page = exporter.wait_for_metrics("KILL by age", Duration::from_secs(90), |page| {
                let remedy = |name| page.values("remedy", &[("remedy", name)]) == [0.0];
                page.sum("idle_limit_confirmed", &[("kind", "idle")]) == 1.0
                    && page.sum("idle_limit_info", &[("culprit", "server_kill")]) == 1.0
                    && remedy("app_ping")
                    && remedy("tcp_keepalive")
                    && page.sum("layer_mismatch", &[("rule", "lifetime_limit")]) == 1.0
            });
            assert_eq!(page.one("idle_limit_share", &[("kind", "idle")]), 1.0);
            sleep(Duration::from_secs(10));
            for death in exporter.events("death") {
                let is_right = death["culprit"] == "server_kill" || death["culprit"] == "unknown";
                assert!(is_right, "{death} in\n{}", exporter.log());
            }
            assert_says(&exporter, &["die of age, whatever they do", "by KILL"], &["die of idleness"]);
        });
    });
}

#[test]
fn kill_of_all_sessions_of_an_account() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        let exporter = on_long_ages(Launch::on(&server)).start();
        wait_for_held(&exporter);
        sleep(Duration::from_secs(3));
        server.sql("KILL USER canary");
        let deaths = exporter.wait_for_events("death", 2, Duration::from_secs(30));
        for death in &deaths {
            assert_eq!(death["culprit"], "server_kill", "{death} in\n{}", exporter.log());
        }
        sleep(Duration::from_secs(3));
        assert_no_limit(&exporter);
    });
}

#[test]
fn kill_of_all_sessions_of_an_account_at_all_ages() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        let exporter = Launch::on(&server).ages(super::closed_at_once::MANY_AGES).start();
        super::closed_at_once::wait_for_many_ages(&server);
        server.sql("KILL USER canary");
        exporter.wait_for_events("death", 3, Duration::from_secs(30));
        sleep(Duration::from_secs(3));
        for death in exporter.events("death") {
            assert_eq!(death["culprit"], "server_kill", "{death} in\n{}", exporter.log());
        }
        assert_no_limit(&exporter);
    });
}
