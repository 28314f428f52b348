//! The truth table: one row for each thing that can happen to a connection, and what must be said of it. No
//! other culprit is ever accused.
//!
//! | rows | what happens |
//! |---|---|
//! | here | one timer of each layer, one KILL, a killer of idle sessions, a restart, a frozen server, a path that breaks |
//! | `parts_of_a_path` | one proxy of two, one server of two: the limit, its share, whose it is |
//! | `killers` | a killer of busy sessions too, one that looks seldom, KILL of a whole account |
//! | `closed_at_once` | a proxy's drain and restart, offline_mode |
//! | `lost_flows` | a firewall's flush, silent and with RST, and one that forgets here and there |
//! | `two_timers` | a firewall before `wait_timeout`, firewall and proxy at one age, max_statement_time below both |
//! | `stopped` | the exporter itself stands still |
//! | `rarely` | a limit of age on one way of two, a limit at the ladder's end that goes, others that are killed, reloads that meet two, a timer that is set longer and back |
//!
//! [`standing`] watches that a verdict, once confirmed, stays, and how many canaries and seconds it took.
//! `MYSQL_CANARY_TRUTH_RUNS=20` runs every row twenty times, a few at a time.

pub(crate) mod closed_at_once;
mod killer;
mod killers;
mod lost_flows;
mod parts_of_a_path;
mod rarely;
mod runs;
mod standing;
mod stopped;
mod two_timers;

use std::thread::sleep;
use std::time::Duration;

use crate::exporter::{Exporter, Launch, Page};
use crate::lab::process::run;
use crate::lab::{
    Firewall, FirewallOptions, HaProxy, MariaDb, MariaDbOptions, MySql97, MySql97Options, OnInvalid, Server,
    ThreadHandling, wait_for,
};
use killer::Killer;
use runs::repeat;
use standing::summary;

/// What must be said of an idle limit.
struct Truth {
    culprit: &'static str,
    layer: &'static str,
    /// What idle canaries end with.
    ending: &'static str,
    /// The limit, in seconds.
    limit: f64,
    /// How far above it a canary may die or be found dead, in seconds.
    late: f64,
    /// Whether TCP keepalive helps; a ping helps against every idle limit.
    tcp_keepalive: bool,
}

const WAIT_TIMEOUT: Truth = Truth {
    culprit: "server_idle_timeout",
    layer: "server",
    ending: "",
    limit: 5.0,
    late: 2.0,
    tcp_keepalive: false,
};

/// The firewall's deaths are found by probes: at the rungs above the limit too.
const FIREWALL: Truth = Truth {
    culprit: "network_idle_timeout",
    layer: "network",
    ending: "silence",
    limit: 5.0,
    late: 6.0,
    tcp_keepalive: true,
};

fn on(launch: Launch<'_>) -> Launch<'_> {
    launch.ages("2s,4s,7s,10s").args(&["--canary.probe-timeout=2s"])
}

/// Ages that nobody reaches: whatever dies, dies of something that is no limit.
fn on_long_ages(launch: Launch<'_>) -> Launch<'_> {
    launch.ages("60s,120s").args(&["--canary.probe-timeout=2s"])
}

/// Waits until the limit, its culprit and its remedies are known, and checks them, and every death.
#[track_caller]
fn check(exporter: &Exporter<'_>, truth: &Truth) {
    let page = exporter.wait_for_metrics("a limit and its remedies", Duration::from_secs(90), |page| {
        page.sum("deaths_total", &[("kind", "idle")]) >= 3.0
            && page.values("idle_limit_upper_seconds", &[("kind", "idle")]).len() == 1
            && page.values("remedy", &[]).len() == 2
            // Who does it is told in the round after its deaths are decided.
            && page.values("idle_limit_info", &[("culprit", "unknown")]).is_empty()
    });
    let of_truth = [("culprit", truth.culprit), ("layer", truth.layer)];
    assert_eq!(page.one("idle_limit_info", &of_truth), 1.0, "{}", exporter.log());
    let keepalive = f64::from(u8::from(truth.tcp_keepalive));
    assert_eq!(page.one("remedy", &[("remedy", "tcp_keepalive")]), keepalive, "{}", exporter.log());
    assert_eq!(page.one("remedy", &[("remedy", "app_ping")]), 1.0, "{}", exporter.log());
    assert_only(exporter, truth.culprit);
    let bound = |name| page.one(name, &[("kind", "idle")]);
    let (lower, upper) = (bound("idle_limit_lower_seconds"), bound("idle_limit_upper_seconds"));
    // A server looks at its clocks every so often; a firewall does not.
    let stray = if truth.layer == "network" { 0.1 } else { truth.late };
    assert!(
        lower < truth.limit + stray && upper > truth.limit - 0.3,
        "({lower}, {upper}]\n{}",
        exporter.log()
    );
    let deaths = exporter.events("death");
    for death in deaths.iter().filter(|death| death["kind"] == "idle") {
        // The server may close in the very moment of a probe; then the probe finds it.
        let is_chance = !death["stall_seconds"].is_null() && truth.layer != "network";
        assert!(death["ending"] == truth.ending || is_chance, "{death}");
        let age = death["age_seconds"].as_f64().expect("a death has an age");
        assert!(age > truth.limit - 0.3 && age < truth.limit + truth.late, "{death}");
    }
    assert!(deaths.iter().all(|death| death["kind"] != "active"), "pings help: {deaths:?}");
}

/// Nobody but this culprit was ever accused; at most the first death's is unknown.
#[track_caller]
fn assert_only(exporter: &Exporter<'_>, culprit: &str) {
    for (place, death) in exporter.events("death").iter().enumerate() {
        let is_right = death["culprit"] == culprit || place == 0 && death["culprit"] == "unknown";
        assert!(is_right, "{culprit}, not {death} in\n{}", exporter.log());
    }
}

/// Whether so many idle canaries are held.
fn holds(page: &Page, count: f64) -> bool {
    page.sum("connections", &[("kind", "idle")]) >= count
}

#[track_caller]
fn wait_for_held(exporter: &Exporter<'_>) {
    exporter.wait_for_metrics("held canaries", Duration::from_secs(30), |page| holds(page, 2.0));
}

/// That no idle limit was concluded from what is none.
#[track_caller]
fn assert_no_limit(exporter: &Exporter<'_>) {
    // Advice follows what is known of the limit within a round of the diagnosis.
    sleep(Duration::from_secs(1));
    let page = exporter.metrics();
    for name in ["idle_limit_upper_seconds", "idle_limit_info", "remedy"] {
        assert!(page.values(name, &[]).is_empty(), "{name}:\n{}\n{}", summary(&page), exporter.log());
    }
}

fn mariadb_of(thread_handling: ThreadHandling) -> Server {
    MariaDb::start(MariaDbOptions { thread_handling, ..MariaDbOptions::with_args(&["--wait-timeout=5"]) })
}

#[test]
fn wait_timeout_of_mariadb_with_a_thread_for_each() {
    repeat(|| {
        let server = mariadb_of(ThreadHandling::OneThreadPerConnection);
        check(&on(Launch::on(&server)).start(), &Truth { ending: "reset", ..WAIT_TIMEOUT });
    });
}

#[test]
fn wait_timeout_of_mariadb_with_a_pool_of_threads() {
    repeat(|| {
        let server = mariadb_of(ThreadHandling::PoolOfThreads);
        check(&on(Launch::on(&server)).start(), &Truth { ending: "fin", ..WAIT_TIMEOUT });
    });
}

#[test]
fn wait_timeout_of_mysql() {
    repeat(|| {
        let server = MySql97::start(MySql97Options::with_args(&["--wait-timeout=5"]));
        let launch = on(Launch::on(&server)).args(&["--mysql.tls-mode=disabled"]);
        check(&launch.start(), &Truth { ending: "goodbye", ..WAIT_TIMEOUT });
    });
}

#[test]
fn wait_timeout_of_mysql_with_tls() {
    repeat(|| {
        let server = MySql97::start(MySql97Options::with_args(&["--wait-timeout=5"]));
        let launch = on(Launch::on(&server)).args(&["--mysql.tls-mode=required"]);
        check(&launch.start(), &Truth { ending: "goodbye", ..WAIT_TIMEOUT });
    });
}

#[test]
fn idle_timer_of_haproxy() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        let proxy = HaProxy::start(server.addr(), Duration::from_secs(5));
        let truth = Truth { culprit: "proxy_idle_timeout", layer: "proxy", ending: "fin", ..WAIT_TIMEOUT };
        check(&on(Launch::at(&proxy.addr().to_string())).start(), &truth);
    });
}

fn firewall_of(on_invalid: OnInvalid) -> Firewall {
    Firewall::start(FirewallOptions { established_timeout_s: 5, on_invalid, ..FirewallOptions::default() })
}

#[test]
fn firewall_that_drops() {
    repeat(|| {
        let firewall = firewall_of(OnInvalid::Drop);
        check(&on(Launch::behind(&firewall)).start(), &FIREWALL);
    });
}

#[test]
fn firewall_that_resets() {
    repeat(|| {
        let firewall = firewall_of(OnInvalid::RejectWithReset);
        check(&on(Launch::behind(&firewall)).start(), &Truth { ending: "reset_on_use", ..FIREWALL });
    });
}

#[test]
fn kill_of_one_session() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        let exporter = on_long_ages(Launch::on(&server)).start();
        wait_for_held(&exporter);
        let victim = wait_for("a canary that has slept", Duration::from_secs(20), || {
            let sessions = server.processlist();
            sessions.into_iter().find(|s| s.user == "canary" && s.command == "Sleep" && s.time >= 3)
        });
        server.kill(victim.id);
        let deaths = exporter.wait_for_events("death", 1, Duration::from_secs(20));
        assert_eq!(deaths[0]["thread_id"], victim.id);
        assert_eq!(deaths[0]["culprit"], "server_kill", "{}", exporter.log());
        assert_only(&exporter, "server_kill");
        assert_no_limit(&exporter);
    });
}

#[test]
fn killer_of_idle_sessions() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        Killer::of_idle(5).during(&server, || {
            let truth = Truth { culprit: "server_kill", ending: "fin", late: 3.0, ..WAIT_TIMEOUT };
            check(&on(Launch::on(&server)).start(), &truth);
        });
    });
}

#[test]
fn restart_of_the_server() {
    repeat(|| {
        let mut server = MariaDb::start(MariaDbOptions::default());
        let exporter = on_long_ages(Launch::on(&server)).start();
        wait_for_held(&exporter);
        sleep(Duration::from_secs(3));
        server.restart();
        exporter.wait_for_events("death", 2, Duration::from_secs(30));
        let deaths = exporter.events("death");
        assert!(deaths.iter().all(|death| death["culprit"] == "server_restart"), "{deaths:?}");
        assert_no_limit(&exporter);
    });
}

#[test]
fn freeze_of_the_server_kills_nobody() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        let exporter = on(Launch::on(&server)).start();
        exporter.wait_for_metrics("survivors", Duration::from_secs(30), |page| {
            page.sum("lives_total", &[]) >= 2.0
        });
        server.sigstop();
        sleep(Duration::from_secs(8));
        server.sigcont();
        assert_outage_is_void(&exporter);
    });
}

#[test]
fn break_of_the_path_kills_nobody() {
    repeat(|| {
        let firewall =
            Firewall::start(FirewallOptions { established_timeout_s: 3600, ..FirewallOptions::default() });
        let exporter = on(Launch::behind(&firewall)).start();
        exporter.wait_for_metrics("survivors", Duration::from_secs(30), |page| {
            page.sum("lives_total", &[]) >= 2.0
        });
        break_for(&firewall, Duration::from_secs(8));
        assert_outage_is_void(&exporter);
    });
}

/// Nothing that the server says comes through for so long.
fn break_for(firewall: &Firewall, long: Duration) {
    let nft = |rule: &str| run(firewall.client_command("nft").arg(rule));
    nft("add table ip cut; add chain ip cut in { type filter hook input priority 0; }; \
         add rule ip cut in iifname eth0 drop");
    sleep(long);
    nft("delete table ip cut");
}

/// A way that is out for less than a probe's time, again and again: what is lost is sent again only later, when a fresh
/// connection is answered at once.
#[test]
fn short_breaks_of_the_path_kill_nobody() {
    repeat(|| {
        let firewall =
            Firewall::start(FirewallOptions { established_timeout_s: 3600, ..FirewallOptions::default() });
        let launch = Launch::behind(&firewall).ages("1s,2s,3s,4s").args(&["--canary.probe-timeout=2s"]);
        let exporter = launch.start();
        exporter.wait_for_metrics("survivors", Duration::from_secs(30), |page| {
            page.sum("lives_total", &[]) >= 4.0
        });
        for long in [1.8, 1.9, 2.2, 1.8, 2.6, 1.9] {
            break_for(&firewall, Duration::from_secs_f64(long));
            sleep(Duration::from_secs(4));
        }
        let lives = exporter.metrics().sum("lives_total", &[]);
        let page = exporter.wait_for_metrics("new survivors", Duration::from_secs(60), |page| {
            page.sum("lives_total", &[]) >= lives + 3.0 && page.sum("up", &[]) == 1.0
        });
        assert_eq!(page.sum("deaths_total", &[]), 0.0, "{}", exporter.log());
        assert_no_limit(&exporter);
    });
}

/// What could not be probed during an outage is void, and lives go on after it.
#[track_caller]
fn assert_outage_is_void(exporter: &Exporter<'_>) {
    let lives = exporter.metrics().sum("lives_total", &[]);
    let page = exporter.wait_for_metrics("new survivors", Duration::from_secs(60), |page| {
        page.sum("lives_total", &[]) >= lives + 3.0 && page.sum("up", &[]) == 1.0
    });
    assert!(page.one("voided_total", &[("reason", "outage")]) >= 1.0, "{}", exporter.log());
    assert_eq!(page.sum("deaths_total", &[]), 0.0, "{}", exporter.log());
    assert_no_limit(exporter);
}
