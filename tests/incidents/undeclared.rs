//! What the exporter says beside each application with no pool declared: from its sessions alone, as far as they
//! tell. What they do not tell is in the README, and asserted here to be absent.

use std::time::Duration;

use super::seen::{PATIENCE, assert_no_error_yet, rule, wait_for_limit, wait_for_rule};
use super::{
    background_job_path, error_codes, layer_cake_path, start_background_job, start_layer_cake,
    start_leaked_sessions, start_long_silence, watched,
};
use crate::exporter::{Launch, Page};
use crate::lab::{Account, MariaDb, MariaDbOptions, MySql97, MySql97Options};

fn at_risk(page: &Page, user: &str) -> f64 {
    page.sum("sessions_at_risk", &[("user", user)])
}

fn left_behind(page: &Page, user: &str) -> f64 {
    page.sum("application_left_behind", &[("user", user)])
}

/// Whether sessions of this user are told of as ones that `will_fail`, or of which some have: never critical, for
/// nobody declared that their pool does not test them.
fn is_told(page: &Page, user: &str, tense: &str) -> bool {
    let told = |severity: &str| {
        page.sum("sessions_at_risk_info", &[("user", user), ("tense", tense), ("severity", severity)])
    };
    assert_eq!(told("critical"), 0.0);
    told("warning") == 1.0
}

fn observed(page: &Page, user: &str, key: &str) -> Option<f64> {
    let setting = format!("observed:{user}.{key}");
    page.values("layer_timeout_seconds", &[("setting", &setting), ("source", "observed")]).first().copied()
}

/// The session that the job holds is at risk before its commit fails, and left behind after it. Beside a pool that
/// replaces its others meanwhile, it cannot be told from one that nobody will use again.
#[test]
fn a_held_session_is_at_risk_until_it_has_failed() {
    let firewall = background_job_path();
    let launch = Launch::behind(&firewall).ages("1s,2s,3s,5s,7s");
    let exporter = launch.args(&["--canary.precision=5%", "--canary.probe-timeout=2s"]).start();
    wait_for_limit(&exporter);
    let mut never = start_background_job(&firewall, &["--traffic", "0.2"]);
    let mut recycling = start_background_job(
        &firewall,
        &["--traffic", "0.2", "--pool-recycle", "2.6", "--user", "recycling"],
    );
    let page = exporter.wait_for_metrics("a session at risk", Duration::from_secs(8), |page| {
        at_risk(page, "app") == 1.0 && is_told(page, "app", "will_fail")
    });
    assert_no_error_yet(&mut never);
    assert_eq!(rule(&page, "sessions_at_risk", ""), Some(1.0));
    assert_eq!(left_behind(&page, "app"), 0.0, "its user's others live on, and none has come or gone");
    // Its user's other requests go through a session that nobody replaces.
    exporter.wait_for_metrics("a pool that nobody declared", Duration::from_secs(15), |page| {
        rule(page, "undeclared_pool", "") == Some(1.0)
    });
    exporter.wait_for_metrics("what others of the same user hide", Duration::from_secs(12), |page| {
        left_behind(page, "recycling") == 1.0 && at_risk(page, "recycling") == 0.0
    });
    // An error makes SQLAlchemy drop its pool: another one begins, and the one that rested ends.
    for service in [&mut never, &mut recycling] {
        assert_eq!(service.event("error")["code"], 2013);
    }
    exporter.wait_for_metrics("the lost session, left behind", Duration::from_secs(25), |page| {
        left_behind(page, "app") == 1.0 && at_risk(page, "app") == 0.0
    });
    assert!(exporter.metrics().values("layer_mismatch", &[("rule", "session_held_past_recycle")]).is_empty());
}

/// Firewall, keepalive and `wait_timeout` contradict each other, and the pool never recycles.
#[test]
fn a_pool_that_never_recycles_is_known_by_its_sessions() {
    let firewall = layer_cake_path();
    let launch = Launch::behind(&firewall).ages("3s,6s,10s,14s");
    let exporter = launch.args(&["--canary.probe-timeout=2s"]).start();
    let mut service = start_layer_cake(&firewall, &[]);
    wait_for_limit(&exporter);
    wait_for_rule(&exporter, "keepalive_too_late", "", PATIENCE);
    wait_for_rule(&exporter, "undeclared_pool", "", PATIENCE);
    // The first query that fails tells how the next ones end.
    assert_eq!(service.event("error")["code"], 2013);
    let page = exporter.wait_for_metrics("sessions like one that failed", PATIENCE, |page| {
        at_risk(page, "app") >= 1.0 && is_told(page, "app", "has_failed")
    });
    assert_eq!(rule(&page, "sessions_at_risk", ""), Some(1.0));
    assert!(left_behind(&page, "app") >= 1.0, "the server waits long for what the firewall forgot");
    assert_eq!(observed(&page, "app", "recycle"), None, "it never replaces one by its age");
    for absent in ["pool_never_recycles", "pool_outlives_path"] {
        assert!(page.values("layer_mismatch", &[("rule", absent)]).is_empty(), "{absent} needs a pool");
    }
}

/// Nobody asks for longer than `wait_timeout`: the server says whom it ended, and takes the row along, so nobody who
/// is listed is at risk.
#[test]
fn a_silence_past_wait_timeout_is_counted_as_it_ended() {
    let canary = Account::canary().with_process_privilege().with_grant("SELECT ON performance_schema.*");
    let server = MySql97::start(MySql97Options {
        accounts: vec![canary, Account::app()],
        ..MySql97Options::with_args(&["--wait-timeout=3"])
    });
    let exporter = Launch::on(&server).ages("1s,2s,4s,6s").args(&["--canary.probe-timeout=2s"]).start();
    let mut service = start_long_silence(&[], server.addr(), &[]);
    assert_eq!(service.event("error")["code"], 2013);
    // The errors by user are read once a minute.
    let ended = |page: &Page, ending: &str| {
        page.sum("application_endings_total", &[("user", "app"), ("ending", ending)])
    };
    let page = exporter.wait_for_metrics("what wait_timeout ended", PATIENCE, |page| {
        assert_eq!(at_risk(page, "app"), 0.0, "who is still listed was not ended");
        ended(page, "idle_timeout") >= 3.0
    });
    assert_eq!((ended(&page, "aborted"), ended(&page, "closed")), (0.0, 0.0), "{}", page.text());
    assert_eq!(page.one("idle_limit_info", &[("culprit", "server_idle_timeout"), ("layer", "server")]), 1.0);
    assert_eq!(left_behind(&page, "app"), 0.0);
}

/// Sessions that are never returned and never woken: their pools are known by what they replace, and the others are
/// seen to rest longer and longer. That those are the pools' own, and held, only a declaration tells.
#[test]
fn a_leak_is_seen_to_grow_beside_the_pool_that_replaces_the_others() {
    let server = MariaDb::start(watched(MariaDbOptions::with_args(&["--wait-timeout=90"])));
    let exporter = Launch::on(&server).ages("2s,5s,8s,16s").start();
    let workers = ["--pool-recycle", "5", "--quiet", "80", "--traffic", "0.3"];
    let mut first = start_leaked_sessions(server.addr(), &workers);
    assert_eq!(error_codes(&first.events_until("rest", 2)), [0; 0]);
    let held = |page: &Page| page.sum("idle_sessions", &[("user", "app"), ("idle_at_least", "8")]);
    let page = exporter.wait_for_metrics("two leaks and their pool", PATIENCE, |page| {
        held(page) == 2.0 && observed(page, "app", "recycle").is_some()
    });
    let recycle = observed(&page, "app", "recycle").expect("it is known");
    assert!((3.5..=7.5).contains(&recycle), "5 s, not {recycle} s");
    let longest = page.one("session_longest_idle_seconds", &[("user", "app")]);
    let second = start_leaked_sessions(server.addr(), &[&workers[..], &["--workers", "3"]].concat());
    let page = exporter.wait_for_metrics("five leaks", PATIENCE, |page| held(page) == 5.0);
    assert!(page.one("session_longest_idle_seconds", &[("user", "app")]) > longest + 1.0);
    assert!(page.values("layer_mismatch", &[("rule", "session_held_past_recycle")]).is_empty());
    assert_eq!(at_risk(&page, "app"), 0.0, "nothing has ended them yet");
    drop((first, second));
}
