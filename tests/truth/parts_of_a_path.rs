//! A timer on a part of the connections: one proxy of two, one server of two.

use std::net::SocketAddr;
use std::time::Duration;

use super::runs::repeat;
use super::standing::{Standing, assert_says};
use crate::exporter::{Exporter, Launch};
use crate::lab::{HaProxy, MariaDb, MariaDbOptions, MySql97, MySql97Options, Server};

/// Half of the lives, as chance has it.
const HALF: std::ops::RangeInclusive<f64> = 0.1..=0.9;

fn behind_a_balancer(proxies: &[SocketAddr], ages: &str) -> (HaProxy, Launch<'static>) {
    let balancer = HaProxy::balancing(proxies);
    let launch = Launch::at(&balancer.addr().to_string())
        .ages(ages)
        .args(&["--canary.probe-timeout=2s", "--mysql.tls-mode=disabled"]);
    (balancer, launch)
}

#[test]
fn idle_timer_of_one_proxy_of_two() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        let proxies = [5, 3600].map(|idle| HaProxy::start(server.addr(), Duration::from_secs(idle)));
        let (_balancer, launch) = behind_a_balancer(&proxies.each_ref().map(HaProxy::addr), "2s,4s,7s,10s");
        let standing = Standing {
            culprit: "proxy_idle_timeout",
            layer: "proxy",
            upper: 4.7..=6.0,
            share: HALF,
            tcp_keepalive: false,
            // By chance few meet it at first.
            within: Duration::from_secs(200),
            canaries: 240.0,
            // That it is no limit of age is told by six that ping, and by more where few meet it by chance.
            unknown: 9,
            ends_twins: None,
        };
        let exporter = launch.start();
        standing.check(&exporter);
        let part = ["die of idleness: at ", "Not all: ", "A proxy does it", "TCP keepalive does not help"];
        assert_says(&exporter, &part, &["servers answer", "KILL"]);
    });
}

/// The newest words on each server's limit: by its identity with its port, the upper bound in seconds, if it has one.
fn limits_by_server(exporter: &Exporter<'_>) -> Vec<(String, Option<f64>)> {
    let mut limits: Vec<(String, Option<f64>)> = Vec::new();
    for line in exporter.events("server_limit") {
        let identity = line["server_identity"].as_str().expect("it tells which server").to_owned();
        limits.retain(|(known, _)| *known != identity);
        limits.push((identity, line["upper_seconds"].as_f64()));
    }
    limits
}

fn identity(server: &Server, variable: &str) -> String {
    server.sql(&format!("SELECT @@{variable}"))[0][0].clone()
}

/// No death is compared with another server's timer.
#[track_caller]
fn assert_each_dies_of_its_own(exporter: &Exporter<'_>, timers: &[(&str, f64)]) {
    for death in exporter.events("death").iter().filter(|death| death["kind"] == "idle") {
        let age = death["age_seconds"].as_f64().expect("a death has an age");
        let whose = death["server_identity"].as_str().expect("the server is known");
        let own = |(identity, _): &&(&str, f64)| whose.starts_with(identity);
        let (_, timer) = timers.iter().find(own).unwrap_or_else(|| panic!("{death}"));
        assert!(age > timer - 0.3 && age < timer + 2.0, "{timer} s, and {death} in\n{}", exporter.log());
    }
}

#[test]
fn wait_timeouts_of_two_servers_of_mariadb() {
    repeat(|| {
        let [short, long] =
            ["4", "9"].map(|s| MariaDb::start(MariaDbOptions::with_args(&[&format!("--wait-timeout={s}")])));
        let (_balancer, launch) = behind_a_balancer(&[short.addr(), long.addr()], "2s,3s,6s,12s");
        let exporter = launch.start();
        let standing = Standing {
            culprit: "server_idle_timeout",
            layer: "server",
            upper: 3.7..=6.0,
            share: HALF,
            tcp_keepalive: false,
            within: Duration::from_secs(130),
            canaries: 140.0,
            unknown: 1,
            ends_twins: None,
        };
        standing.check(&exporter);
        let names = [&short, &long].map(|server| identity(server, "server_uid"));
        assert_each_dies_of_its_own(&exporter, &[(&names[0], 4.0), (&names[1], 9.0)]);
        let is_near = |upper: Option<f64>, from: f64| upper.is_some_and(|at| at > from && at < from + 2.3);
        let patience = Duration::from_secs(60);
        exporter.wait_for_metrics("the limit of each server", patience, |_| {
            let told = limits_by_server(&exporter);
            let of = |name: &String| {
                told.iter().find(|(known, _)| known.starts_with(name)).and_then(|(_, upper)| *upper)
            };
            is_near(of(&names[0]), 3.7) && is_near(of(&names[1]), 8.7)
        });
        let one_of_two = ["Not all: ", "Several servers answer here", " does it, by its wait_timeout"];
        assert_says(&exporter, &one_of_two, &["wait_timeout of 9 s"]);
    });
}

#[test]
fn wait_timeout_of_one_server_of_mysql_of_two() {
    repeat(|| {
        let [short, long] = ["5", "28800"]
            .map(|s| MySql97::start(MySql97Options::with_args(&[&format!("--wait-timeout={s}")])));
        let (_balancer, launch) = behind_a_balancer(&[short.addr(), long.addr()], "2s,4s,7s,10s");
        let exporter = launch.start();
        let standing = Standing {
            culprit: "server_idle_timeout",
            layer: "server",
            upper: 4.7..=7.0,
            share: HALF,
            tcp_keepalive: false,
            within: Duration::from_secs(130),
            canaries: 140.0,
            unknown: 1,
            ends_twins: None,
        };
        standing.check(&exporter);
        let names = [&short, &long].map(|server| identity(server, "server_uuid"));
        assert_each_dies_of_its_own(&exporter, &[(&names[0], 5.0)]);
        let told = limits_by_server(&exporter);
        let of =
            |name: &String| told.iter().find(|(known, _)| known.starts_with(name)).map(|(_, upper)| *upper);
        let [short, long] = names.each_ref().map(of);
        let is_near = |upper: Option<f64>| upper.is_some_and(|upper| (4.7..=7.0).contains(&upper));
        assert!(short.is_some_and(is_near), "{told:?}\n{}", exporter.log());
        assert_eq!(long, Some(None), "{told:?}\n{}", exporter.log());
        let one_of_two = ["Not all: ", "Several servers answer here", " does it, by its wait_timeout"];
        assert_says(&exporter, &one_of_two, &["wait_timeout of 28800 s"]);
    });
}
