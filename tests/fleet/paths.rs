//! Three paths to one MariaDB and one to a MySQL 9.7, in one process.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::file::{ConfigFile, Target};
use crate::exporter::{Exporter, Launch, Page};
use crate::harmless::foreign::Foreign;
use crate::lab::{
    Account, Firewall, FirewallOptions, Listing, MariaDbOptions, MySql97, MySql97Options, Server,
};

/// How many of our sessions the MariaDB may list, and the MySQL.
const BOUNDS: (usize, usize) = (30, 8);
/// Sessions of an application.
const FOREIGN: usize = 4;

/// What is to be said of one path.
#[derive(Debug, Clone, Copy)]
struct Limit {
    target: &'static str,
    path: &'static str,
    culprit: &'static str,
    layer: &'static str,
    seconds: f64,
}

const LIMITS: [Limit; 3] = [
    Limit {
        target: "orders",
        path: "firewall",
        culprit: "network_idle_timeout",
        layer: "network",
        seconds: 6.0,
    },
    Limit { target: "orders", path: "lb", culprit: "proxy_idle_timeout", layer: "proxy", seconds: 4.0 },
    Limit {
        target: "billing",
        path: "direct",
        culprit: "server_idle_timeout",
        layer: "server",
        seconds: 5.0,
    },
];

impl Limit {
    fn is_told(&self, page: &Page) -> bool {
        let of = |name: &str, more: &[(&str, &str)]| {
            let mut labels = vec![("target", self.target), ("path", self.path)];
            labels.extend(more);
            page.values(name, &labels)
        };
        of("idle_limit_confirmed", &[("kind", "idle")]) == [1.0]
            && of("idle_limit_info", &[]).len() == 1
            && of("idle_limit_info", &[("culprit", self.culprit), ("layer", self.layer)]) == [1.0]
            && of("idle_limit_upper_seconds", &[("kind", "idle")])
                .iter()
                .all(|upper| (self.seconds - 0.3..self.seconds + 3.0).contains(upper))
            && of("idle_limit_lower_seconds", &[("kind", "idle")])
                .iter()
                .all(|lower| *lower < self.seconds + 0.3)
    }
}

/// Waits until each of these is told. Gives when each was, in seconds.
#[track_caller]
fn wait_for_limits(
    exporters: &[(&Exporter<'_>, Limit)],
    mut each: impl FnMut(&[Page]),
) -> BTreeMap<usize, f64> {
    let begun = Instant::now();
    let mut told = BTreeMap::new();
    while told.len() < exporters.len() {
        let pages: Vec<Page> = exporters.iter().map(|(exporter, _)| exporter.metrics()).collect();
        for (place, ((_, limit), page)) in exporters.iter().zip(&pages).enumerate() {
            if limit.is_told(page) {
                told.entry(place).or_insert_with(|| begun.elapsed().as_secs_f64());
            }
        }
        each(&pages);
        if begun.elapsed() > Duration::from_secs(80) {
            for (place, (exporter, limit)) in exporters.iter().enumerate() {
                if !told.contains_key(&place) {
                    println!("not told: {limit:?} in\n{}", exporter.log());
                }
            }
            panic!("told in 80 s: {told:?}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    told
}

/// How many of the exporter's own sessions a MySQL lists.
fn count(server: &Server) -> usize {
    server.processlist().iter().filter(|row| row.user == "canary").count()
}

#[test]
fn each_path_has_its_own_culprit_layer_and_limit() {
    let firewall = Firewall::start(FirewallOptions {
        established_timeout_s: 6,
        mariadb: MariaDbOptions {
            accounts: vec![Account::canary().with_process_privilege(), Account::app()],
            ..MariaDbOptions::default()
        },
        ..FirewallOptions::default()
    });
    let direct = firewall.bypass();
    let proxy = firewall.proxy_on_bypass(Duration::from_secs(4));
    let mysql = MySql97::start(MySql97Options {
        netns: Some(firewall.client().name().to_owned()),
        ..MySql97Options::with_args(&["--wait-timeout=5"])
    });
    let foreign = firewall.in_client(|| Foreign::start_as("app", &[direct], FOREIGN, 2));
    foreign.wait_for_all();
    let file = ConfigFile::of(&[
        Target::new("orders", "2s,5s,7s,11s")
            .canary(&format!("max_connections_per_target: {}", BOUNDS.0))
            .path("direct", direct)
            .path("firewall", firewall.addr())
            .path("lb", proxy.addr()),
        Target::new("billing", "2s,4s,7s,11s")
            .canary(&format!("max_connections: {}", BOUNDS.1))
            .path("direct", mysql.addr()),
    ]);
    let mut listing = Listing::of(firewall.server(), "canary");
    let fleet = Launch::from_file(&file.path()).inside(firewall.client()).start();
    let mut most_of_mysql = 0;
    let all = LIMITS.map(|limit| (&fleet, limit));
    let told = wait_for_limits(&all, |_| most_of_mysql = most_of_mysql.max(count(&mysql)));
    println!("told together: {told:?} s");
    let page = fleet.wait_for_metrics("paths that disagree", Duration::from_secs(30), |page| {
        ["direct", "firewall", "lb"].iter().all(|path| {
            let labels = [("target", "orders"), ("path", path), ("rule", "paths_disagree")];
            page.values("layer_mismatch", &labels) == [1.0]
        })
    });
    let straight = [("target", "orders"), ("path", "direct")];
    assert_eq!(page.sum("deaths_total", &straight), 0.0, "{}", fleet.log());
    assert!(page.values("idle_limit_info", &straight).is_empty(), "{}", fleet.log());
    assert!(page.values("layer_mismatch", &[("target", "billing"), ("rule", "paths_disagree")]).is_empty());
    assert_verdicts(&fleet);
    assert_ghosts_end(&fleet, &firewall);
    let most = listing.most_at_once();
    println!("at most {} of {} and {most_of_mysql} of {} listed", most, BOUNDS.0, BOUNDS.1);
    assert!(most > 15, "all three paths were listed");
    assert!(most <= BOUNDS.0, "{most} listed:\n{}", fleet.log());
    assert!((3..=BOUNDS.1).contains(&most_of_mysql), "{most_of_mysql} listed:\n{}", fleet.log());
    let end = foreign.end();
    assert_eq!((end.alive, end.harmed), (FOREIGN + 2, Vec::new()), "{}", fleet.log());
}

/// Each path's verdict compares it with the others.
#[track_caller]
fn assert_verdicts(fleet: &Exporter<'_>) {
    for (path, others) in [("firewall", ["direct", "lb"]), ("lb", ["direct", "firewall"])] {
        let told = fleet.events("verdict_in_full");
        let newest = told.iter().rfind(|event| event["target_name"] == "orders" && event["path"] == path);
        let words = newest.and_then(|event| event["msg"].as_str()).unwrap_or_default();
        println!("{path}: {words}");
        assert!(others.iter().any(|other| words.contains(other)), "{path}: {words}");
    }
}

/// Ghosts of the firewall's path are ended by the server view, which goes another way.
#[track_caller]
fn assert_ghosts_end(fleet: &Exporter<'_>, firewall: &Firewall) {
    let ghosts = [("target", "orders"), ("path", "firewall")];
    let ended = fleet.wait_for_metrics("ghosts that were ended", Duration::from_secs(30), |page| {
        let killed = page.sum("ghost_kills_total", &[("path", "firewall"), ("outcome", "killed")]);
        killed >= 2.0 && page.sum("ghost_sessions", &ghosts) <= 2.0
    });
    let silent = ended.sum("deaths_total", &[("path", "firewall"), ("ending", "silence")]);
    let killed = ended.sum("ghost_kills_total", &[("outcome", "killed")]);
    let by_us = firewall.server().status("Com_kill") as f64;
    println!("{silent} silent deaths, {killed} ghosts killed, Com_kill {by_us}");
    let later = fleet.metrics().sum("ghost_kills_total", &[("outcome", "killed")]);
    assert!(
        (killed..=later + 1.0).contains(&by_us),
        "every KILL is counted: {by_us}, not {killed}..={later}"
    );
}

/// In a process of its own, a path is told no sooner than beside others.
#[test]
fn alone_each_path_takes_its_time_too() {
    let firewall =
        Firewall::start(FirewallOptions { established_timeout_s: 6, ..FirewallOptions::default() });
    firewall.bypass();
    let proxy = firewall.proxy_on_bypass(Duration::from_secs(4));
    let mysql = MySql97::start(MySql97Options {
        netns: Some(firewall.client().name().to_owned()),
        ..MySql97Options::with_args(&["--wait-timeout=5"])
    });
    let place = |place: usize, ages: &str, address: String, most: usize| {
        let Limit { target, .. } = LIMITS[place];
        let most = format!("--canary.max-connections={most}");
        let mut launch = Launch::behind(&firewall).to(&address).nameless().ages(ages);
        launch = launch.args(&["--canary.probe-timeout=2s", &most, &format!("--target.name={target}")]);
        launch.start()
    };
    let alone = [
        place(0, "2s,5s,7s,11s", firewall.addr().to_string(), 10),
        place(1, "2s,5s,7s,11s", proxy.addr().to_string(), 10),
        place(2, "2s,4s,7s,11s", mysql.addr().to_string(), 8),
    ];
    let of_default = LIMITS.map(|limit| Limit { path: "default", ..limit });
    let all: Vec<_> = alone.iter().zip(of_default).collect();
    println!("told alone: {:?} s", wait_for_limits(&all, |_| {}));
}
