//! What the exporter says beside each application: on the same path, with the application's pool declared.

use std::time::Duration;

use super::{
    accounts, background_job_path, error_codes, layer_cake_path, start_background_job, start_layer_cake,
    start_leaked_sessions, start_long_silence, watched,
};
use crate::exporter::{Exporter, Launch, Page};
use crate::lab::{
    Firewall, FirewallOptions, MariaDb, MariaDbOptions, MySql97, MySql97Options, Python, wait_for,
};

/// How long a limit may take to be confirmed.
const PATIENCE: Duration = Duration::from_secs(60);

fn with_pools<'a>(launch: Launch<'a>, pools: &[&str]) -> Launch<'a> {
    let declare = |launch: Launch<'a>, pool: &&str| {
        launch.args(&[&format!("--pool={pool},user=app,framework=sqlalchemy")])
    };
    pools.iter().fold(launch.args(&["--canary.probe-timeout=2s"]), declare)
}

/// What a rule about the path, or about a pool, says; `None` while it cannot be judged.
fn rule(page: &Page, rule: &str, pool: &str) -> Option<f64> {
    page.values("layer_mismatch", &[("rule", rule), ("pool", pool)]).first().copied()
}

#[track_caller]
fn wait_for_rule(exporter: &Exporter<'_>, name: &str, pool: &str, limit: Duration) -> Page {
    let what = format!("the rule {name} of pool {pool:?}");
    exporter.wait_for_metrics(&what, limit, |page| rule(page, name, pool) == Some(1.0))
}

#[track_caller]
fn wait_for_limit(exporter: &Exporter<'_>) -> Page {
    wait_for_rule(exporter, "path_shorter_than_server", "", PATIENCE)
}

/// Rules and what each says of a pool.
#[track_caller]
fn assert_rules(exporter: &Exporter<'_>, expected: &[(&str, &str, f64)]) {
    let page = exporter.metrics();
    for &(name, pool, value) in expected {
        assert_eq!(rule(&page, name, pool), Some(value), "{name} of pool {pool:?} in\n{}", exporter.log());
    }
}

/// The words a rule was told with.
fn words(exporter: &Exporter<'_>, rule: &str) -> Vec<String> {
    let told = exporter.events("mismatch").into_iter().filter(|event| event["rule"] == rule);
    told.filter_map(|event| event["msg"].as_str().map(str::to_owned)).collect()
}

#[track_caller]
fn assert_no_error_yet(application: &mut Python) {
    assert_eq!(application.event_within("error", Duration::ZERO), None, "it was foretold too late");
}

#[test]
fn background_job_is_named_before_its_commit_fails() {
    let firewall = background_job_path();
    let launch = Launch::behind(&firewall).ages("1s,2s,3s,5s,7s");
    let exporter = with_pools(launch, &["name=jobs,recycle=2600ms"]).start();
    wait_for_limit(&exporter);
    let page = exporter.metrics();
    assert_eq!(rule(&page, "session_held_past_recycle", "jobs"), Some(0.0), "{}", exporter.log());

    let mut healed = start_background_job(&firewall, &["--fresh-session", "--null-pool"]);
    assert_eq!(error_codes(&healed.events_until("committed", 1)), [0; 0]);
    for rule in ["session_held_past_recycle", "sessions_at_risk"] {
        let told = words(&exporter, rule).iter().any(|words| words.contains("user app"));
        assert!(!told, "the healed one gives no cause:\n{}", exporter.log());
    }
    drop(healed);

    let mut ill = start_background_job(&firewall, &["--pool-recycle", "2.6"]);
    wait_for_rule(&exporter, "session_held_past_recycle", "jobs", Duration::from_secs(8));
    assert_no_error_yet(&mut ill);
    let page = exporter.wait_for_metrics("a session at risk", Duration::from_secs(8), |page| {
        page.sum("sessions_at_risk", &[("user", "app")]) == 1.0
    });
    assert_no_error_yet(&mut ill);
    assert_eq!(rule(&page, "sessions_at_risk", ""), Some(1.0));
    assert!(words(&exporter, "session_held_past_recycle")[0].contains("1 session of user app"));
    assert_eq!(ill.event("error")["code"], 2013);
}

#[test]
fn layer_cake_is_taken_apart() {
    let firewall = layer_cake_path();
    let launch = Launch::behind(&firewall).ages("3s,6s,10s,14s");
    let pools = ["name=never", "name=above,recycle=20s", "name=below,recycle=6s", "name=tiny,recycle=500ms"];
    let exporter = with_pools(launch, &pools).start();
    let mut ill = start_layer_cake(&firewall, &[]);
    wait_for_limit(&exporter);
    let page = wait_for_rule(&exporter, "keepalive_too_late", "", PATIENCE);
    assert_eq!(page.one("idle_limit_info", &[("layer", "network")]), 1.0);
    assert_rules(
        &exporter,
        &[
            ("path_shorter_than_server", "", 1.0),
            ("pool_never_recycles", "never", 1.0),
            ("pool_outlives_path", "above", 1.0),
            ("pool_never_recycles", "above", 0.0),
            ("pool_recycles_too_eagerly", "tiny", 1.0),
            ("pool_never_recycles", "below", 0.0),
            ("pool_outlives_path", "below", 0.0),
            ("pool_recycles_too_eagerly", "below", 0.0),
        ],
    );
    // A third connection of the pool rests for 12 s.
    let page = exporter.wait_for_metrics("sessions at risk", Duration::from_secs(30), |page| {
        page.sum("sessions_at_risk", &[("user", "app")]) >= 1.0
    });
    assert_eq!(rule(&page, "sessions_at_risk", ""), Some(1.0));
    assert_eq!(ill.event("error")["code"], 2013);
    drop(ill);

    // The other cure: keepalive below the firewall.
    firewall.set_client("ipv4/tcp_keepalive_time", 4);
    exporter.wait_for_metrics("keepalive in time", Duration::from_secs(10), |page| {
        rule(page, "keepalive_too_late", "") == Some(0.0)
    });
    let mut healed = start_layer_cake(&firewall, &["--pool-recycle", "6"]);
    assert_eq!(error_codes(&healed.events_until("call", 6)), [0; 0]);
    assert_rules(&exporter, &[("pool_outlives_path", "below", 0.0), ("pool_never_recycles", "below", 0.0)]);
}

#[test]
fn long_silence_is_the_servers_own() {
    let mysql = MySql97::start(MySql97Options {
        accounts: accounts(),
        ..MySql97Options::with_args(&["--wait-timeout=3"])
    });
    let pools = ["name=never", "name=below,recycle=2s"];
    let exporter = with_pools(Launch::on(&mysql).ages("1s,2s,4s,6s"), &pools).start();
    let mut ill = start_long_silence(&[], mysql.addr(), &[]);
    let page = wait_for_rule(&exporter, "pool_never_recycles", "never", PATIENCE);
    let info = [("culprit", "server_idle_timeout"), ("layer", "server")];
    assert_eq!(page.one("idle_limit_info", &info), 1.0);
    let upper = page.one("idle_limit_upper_seconds", &[("kind", "idle")]);
    assert!((2.9..3.7).contains(&upper), "3 s, not {upper}");
    exporter.wait_for_metrics("a pool that recycles in time", PATIENCE, |page| {
        rule(page, "pool_outlives_path", "below") == Some(0.0)
    });
    assert_rules(&exporter, &[("pool_never_recycles", "below", 0.0), ("path_shorter_than_server", "", 0.0)]);
    assert_eq!(ill.event("error")["code"], 2013);
}

#[test]
fn long_silence_on_a_silent_path_is_a_stall_that_nobody_ends() {
    let firewall = Firewall::start(FirewallOptions {
        established_timeout_s: 3,
        mariadb: watched(MariaDbOptions::default()),
        ..FirewallOptions::default()
    });
    let pools = ["name=patient", "name=quick,read_timeout=1s"];
    let exporter = with_pools(Launch::behind(&firewall).ages("1s,2s,4s,6s"), &pools).start();
    let mut application = start_long_silence(&firewall.client_around(), firewall.addr(), &[]);
    let page = wait_for_rule(&exporter, "server_outlives_client_stall", "patient", PATIENCE);
    assert_eq!(rule(&page, "server_outlives_client_stall", "quick"), Some(0.0));
    let stall = page.one("layer_timeout_seconds", &[("setting", "stall"), ("source", "measured")]);
    assert!((1.9..3.0).contains(&stall), "the exporter's own patience ended after {stall} s");
    assert!(page.one("stall_seconds_count", &[]) >= 2.0);
    let hang = [("setting", "tcp_retries2"), ("clock", "stall"), ("source", "read")];
    assert!(page.one("layer_timeout_seconds", &hang) > 900.0, "the application's has far to go");
    application.event("answered");
    application.event("asking");
    assert_eq!(application.event_within("answered", Duration::from_secs(3)), None);
}

#[test]
fn leaked_sessions_are_counted_as_they_grow() {
    let server = MariaDb::start(watched(MariaDbOptions::with_args(&["--wait-timeout=30"])));
    let launch = Launch::on(&server).ages("2s,4s,8s,16s");
    let exporter = with_pools(launch, &["name=workers,recycle=2s"]).start();
    let held = |page: &Page| page.sum("idle_sessions", &[("user", "app"), ("idle_at_least", "2")]);

    let healed = start_leaked_sessions(server.addr(), &["--return-sessions", "--null-pool"]);
    exporter.wait_for_metrics("a judgement", PATIENCE, |page| {
        rule(page, "session_held_past_recycle", "workers") == Some(0.0)
    });
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(words(&exporter, "session_held_past_recycle"), [""; 0], "the healed ones give no cause");
    drop(healed);

    let first = start_leaked_sessions(server.addr(), &["--quiet", "40"]);
    let page = wait_for_rule(&exporter, "session_held_past_recycle", "workers", Duration::from_secs(15));
    assert!(words(&exporter, "session_held_past_recycle")[0].contains("of user app"));
    let longest = page.one("session_longest_idle_seconds", &[("user", "app")]);
    exporter.wait_for_metrics("both leaks", Duration::from_secs(10), |page| held(page) == 2.0);
    let second = start_leaked_sessions(server.addr(), &["--quiet", "40", "--workers", "3"]);
    let page = exporter.wait_for_metrics("five leaks", Duration::from_secs(15), |page| held(page) == 5.0);
    assert_eq!(rule(&page, "session_held_past_recycle", "workers"), Some(1.0));
    let grown = page.one("session_longest_idle_seconds", &[("user", "app")]);
    assert!(grown > longest + 1.0, "the longest idle grew from {longest} s to {grown} s");
    drop((first, second));
    wait_for("the end of the workers' sessions", Duration::from_secs(10), || {
        server.processlist().iter().all(|session| session.user != "app").then_some(())
    });
    exporter.wait_for_metrics("quiet", Duration::from_secs(10), |page| {
        rule(page, "session_held_past_recycle", "workers") == Some(0.0)
    });
}
