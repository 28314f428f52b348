//! What the exporter says beside each application: on the same path, with the application's pool declared.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    accounts, background_job_path, error_codes, layer_cake_path, start_background_job, start_layer_cake,
    start_leaked_sessions, start_long_silence, watched,
};
use crate::exporter::{Exporter, Launch, Page};
use crate::lab::{
    Firewall, FirewallOptions, MariaDb, MariaDbOptions, MySql97, MySql97Options, Python, wait_for,
};

/// How long a limit may take to be confirmed.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

fn with_pools<'a>(launch: Launch<'a>, pools: &[&str]) -> Launch<'a> {
    let declare = |launch: Launch<'a>, pool: &&str| {
        launch.args(&[&format!("--pool={pool},user=app,framework=sqlalchemy")])
    };
    pools.iter().fold(launch.args(&["--canary.probe-timeout=2s"]), declare)
}

/// What a rule about the path, or about a pool, says; `None` while it cannot be judged.
pub(super) fn rule(page: &Page, rule: &str, pool: &str) -> Option<f64> {
    page.values("layer_mismatch", &[("rule", rule), ("pool", pool)]).first().copied()
}

#[track_caller]
pub(super) fn wait_for_rule(exporter: &Exporter<'_>, name: &str, pool: &str, limit: Duration) -> Page {
    let what = format!("the rule {name} of pool {pool:?}");
    exporter.wait_for_metrics(&what, limit, |page| rule(page, name, pool) == Some(1.0))
}

#[track_caller]
pub(super) fn wait_for_limit(exporter: &Exporter<'_>) -> Page {
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

/// The series of the rules that hold.
fn holding(page: &Page) -> Vec<&str> {
    let series = page.text().lines().filter(|line| line.starts_with("mysql_canary_layer_mismatch{"));
    series.filter(|line| line.ends_with(" 1")).collect()
}

/// No rule holds at all; those that do are named.
#[track_caller]
fn quiet(exporter: &Exporter<'_>) {
    let page = exporter.metrics();
    let holding = holding(&page);
    assert!(holding.is_empty(), "{holding:#?} in\n{}", exporter.log());
}

/// All events of the application up to the `count`-th called `name`. Until then, `check` stands whenever one
/// looks.
#[track_caller]
fn watch(application: &mut Python, name: &str, count: usize, check: impl Fn()) -> Vec<Value> {
    let begun = Instant::now();
    let mut events = Vec::new();
    loop {
        // All it has said by now: no check may come later than what it is about.
        while let Some(event) = application.next_within(Duration::ZERO) {
            events.push(event);
        }
        if events.iter().filter(|event| event["event"] == name).count() >= count {
            return events;
        }
        check();
        assert!(begun.elapsed() < PATIENCE, "too few {name:?} within {PATIENCE:?}: {events:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The words a rule was told with.
fn words(exporter: &Exporter<'_>, rule: &str) -> Vec<String> {
    let told = exporter.events("mismatch").into_iter().filter(|event| event["rule"] == rule);
    told.filter_map(|event| event["msg"].as_str().map(str::to_owned)).collect()
}

#[track_caller]
pub(super) fn assert_no_error_yet(application: &mut Python) {
    assert_eq!(application.event_within("error", Duration::ZERO), None, "it was foretold too late");
}

#[test]
fn background_job_is_named_before_its_commit_fails() {
    let firewall = background_job_path();
    // A hundredth of 4 s is less than timers stray: probes that near would put the limit in doubt again.
    let launch = Launch::behind(&firewall).ages("1s,2s,3s,5s,7s").args(&["--canary.precision=5%"]);
    let exporter = with_pools(launch, &["name=jobs,recycle=2600ms"]).start();
    wait_for_limit(&exporter);
    let named = [("session_held_past_recycle", "jobs"), ("sessions_at_risk", "")];
    let are_false = |page: &Page| named.iter().all(|(name, pool)| rule(page, name, pool) == Some(0.0));
    exporter.wait_for_metrics("both rules", PATIENCE, are_false);

    let service = ["--pool-recycle", "2.6", "--traffic", "0.2"];
    let mut healed = start_background_job(&firewall, &[&service[..], &["--fresh-session"]].concat());
    let events = watch(&mut healed, "committed", 1, || {
        let page = exporter.metrics();
        let hold = named.iter().any(|(name, pool)| rule(&page, name, pool) == Some(1.0));
        assert!(!hold, "the healed one gives no cause in\n{}", exporter.log());
    });
    assert_eq!(error_codes(&events), [0; 0]);
    exporter.wait_for_metrics("both rules", PATIENCE, are_false);
    drop(healed);

    let mut ill = start_background_job(&firewall, &service);
    wait_for_rule(&exporter, "session_held_past_recycle", "jobs", Duration::from_secs(8));
    assert_no_error_yet(&mut ill);
    let page = exporter.wait_for_metrics("a session at risk", Duration::from_secs(8), |page| {
        page.sum("sessions_at_risk", &[("user", "app")]) == 1.0
    });
    assert_no_error_yet(&mut ill);
    assert_eq!(rule(&page, "sessions_at_risk", ""), Some(1.0));
    assert!(words(&exporter, "session_held_past_recycle")[0].contains("1 session of user app"));
    let error = ill.event("error");
    assert_eq!((&error["code"], error["job"].is_number()), (&2013.into(), true), "the job's own: {error}");
    // Its other requests go on. The server lists the lost session until wait_timeout.
    exporter.wait_for_metrics("quiet again", PATIENCE, are_false);
    assert_eq!(ill.event_within("error", Duration::ZERO), None);
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
fn layer_cake_put_in_order_is_quiet() {
    let firewall = layer_cake_path();
    let launch = Launch::behind(&firewall).ages("3s,6s,10s,14s");
    let exporter = with_pools(launch, &["name=sound,recycle=4s"]).start();
    wait_for_limit(&exporter);
    // The path forgets long after the server ends idle sessions at 6 s (1800 s), and the pool recycles at 4 s
    // (1200 s).
    firewall.set_established_timeout(60);
    firewall.server().sql("SET GLOBAL wait_timeout = 6");
    // Canaries from before die of the old timer, silently; the last of them, a busy one, after twice its length.
    let is_followed = |page: &Page| {
        let info = [("culprit", "server_idle_timeout"), ("layer", "server")];
        page.sum("idle_limit_info", &info) == 1.0 && holding(page).is_empty()
    };
    std::thread::sleep(Duration::from_secs(20));
    exporter.wait_for_metrics("the change to be followed", PATIENCE, is_followed);
    // Three connections in turn and a call every 0.5 s: each rests for 1.5 s.
    let mut healed = start_layer_cake(&firewall, &["--pool-recycle", "4", "--every", "0.5"]);
    let events = watch(&mut healed, "call", 25, || quiet(&exporter));
    assert_eq!(error_codes(&events), [0; 0]);
    assert_rules(
        &exporter,
        &[
            ("path_shorter_than_server", "", 0.0),
            ("pool_outlives_path", "sound", 0.0),
            ("pool_never_recycles", "sound", 0.0),
            ("pool_recycles_too_eagerly", "sound", 0.0),
            ("session_held_past_recycle", "sound", 0.0),
            ("sessions_at_risk", "", 0.0),
            ("session_timeout_not_global", "", 0.0),
        ],
    );
    let ineffective = rule(&exporter.metrics(), "keepalive_ineffective", "");
    assert_eq!(ineffective, None, "the server ends them first: nothing is known of the path");
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

/// With a request every 0.2 s by day and none for 8 s at night. What rests in the pool then is past its recycle
/// age in truth, for SQLAlchemy replaces a connection only when it lends it, and the server lists it until
/// wait_timeout. By day no rule holds.
#[test]
fn long_silence_is_over_in_the_morning() {
    let server = MariaDb::start(watched(MariaDbOptions::with_args(&["--wait-timeout=6"])));
    let launch = Launch::on(&server).ages("2s,4s,8s,10s");
    let exporter = with_pools(launch, &["name=below,recycle=4s"]).start();
    // A limit, and what its twins show.
    let judged = [("pool_outlives_path", "below"), ("sessions_at_risk", ""), ("lifetime_limit", "")];
    exporter.wait_for_metrics("a judgement", PATIENCE, |page| {
        judged.iter().all(|(name, pool)| rule(page, name, pool) == Some(0.0))
    });
    let arguments = ["--pool-recycle", "4", "--silence", "8", "--day", "8", "--every", "0.2"];
    let mut healed = start_long_silence(&[], server.addr(), &arguments);
    for _ in 0..2 {
        let day = watch(&mut healed, "silence", 1, || quiet(&exporter));
        assert_eq!(error_codes(&day), [0; 0]);
        assert_eq!(error_codes(&healed.events_until("answered", 1)), [0; 0]);
        exporter.wait_for_metrics("a new morning", Duration::from_secs(5), |page| holding(page).is_empty());
    }
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
    let hang = [("setting", "send_give_up"), ("clock", "stall"), ("source", "read")];
    assert!(page.one("layer_timeout_seconds", &hang) > 900.0, "the application's has far to go");
    application.event("answered");
    application.event("asking");
    assert_eq!(application.event_within("answered", Duration::from_secs(3)), None);
}

#[test]
fn leaked_sessions_are_counted_as_they_grow() {
    let server = MariaDb::start(watched(MariaDbOptions::with_args(&["--wait-timeout=90"])));
    let launch = Launch::on(&server).ages("2s,5s,8s,16s");
    let exporter = with_pools(launch, &["name=workers,recycle=5s"]).start();
    let held = |page: &Page| page.sum("idle_sessions", &[("user", "app"), ("idle_at_least", "5")]);

    // Other requests go through each worker's pool all the while.
    let workers = ["--pool-recycle", "5", "--quiet", "80", "--traffic", "0.3"];
    let healed = start_leaked_sessions(server.addr(), &[&workers[..], &["--return-sessions"]].concat());
    exporter.wait_for_metrics("a judgement", PATIENCE, |page| {
        rule(page, "session_held_past_recycle", "workers") == Some(0.0)
            && page.sum("sessions", &[("user", "app")]) >= 2.0
    });
    for _ in 0..80 {
        quiet(&exporter);
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(healed);

    let first = start_leaked_sessions(server.addr(), &workers);
    let page = wait_for_rule(&exporter, "session_held_past_recycle", "workers", PATIENCE);
    assert!(words(&exporter, "session_held_past_recycle")[0].contains("of user app"));
    let longest = page.one("session_longest_idle_seconds", &[("user", "app")]);
    exporter.wait_for_metrics("both leaks", PATIENCE, |page| held(page) == 2.0);
    let second = start_leaked_sessions(server.addr(), &[&workers[..], &["--workers", "3"]].concat());
    let page = exporter.wait_for_metrics("five leaks", PATIENCE, |page| held(page) == 5.0);
    assert_eq!(rule(&page, "session_held_past_recycle", "workers"), Some(1.0));
    let grown = page.one("session_longest_idle_seconds", &[("user", "app")]);
    assert!(grown > longest + 1.0, "the longest idle grew from {longest} s to {grown} s");
    drop((first, second));
    wait_for("the end of the workers' sessions", Duration::from_secs(10), || {
        server.processlist().iter().all(|session| session.user != "app").then_some(())
    });
    exporter.wait_for_metrics("the end of the leak", PATIENCE, |page| {
        rule(page, "session_held_past_recycle", "workers") == Some(0.0)
    });
    quiet(&exporter);
}
