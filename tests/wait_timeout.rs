//! The server's own idle timer: found on every server and thread mode, at its age, with its ending.

use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::exporter::{Exporter, Launch, Page, ages, wait_until_gone};
use crate::lab::{
    Account, MariaDb, MariaDbOptions, MySql97, MySql97Options, Server, ThreadHandling, wait_for,
};

/// The server's `wait_timeout` in these tests, in seconds.
const LIMIT: f64 = 5.0;

fn mariadb(thread_handling: ThreadHandling) -> Server {
    MariaDb::start(MariaDbOptions { thread_handling, ..MariaDbOptions::with_args(&["--wait-timeout=5"]) })
}

fn mysql() -> Server {
    MySql97::start(MySql97Options::with_args(&["--wait-timeout=5"]))
}

#[test]
fn mariadb_with_a_thread_for_each_connection() {
    let server = mariadb(ThreadHandling::OneThreadPerConnection);
    check(&server, Launch::on(&server).args(&["--mysql.tls-mode=disabled"]), "reset", None);
}

#[test]
fn mariadb_with_a_pool_of_threads() {
    let server = mariadb(ThreadHandling::PoolOfThreads);
    check(&server, Launch::on(&server).args(&["--mysql.tls-mode=disabled"]), "fin", None);
}

/// How late the server may be, in seconds. A pool of threads looks at its clocks every half second.
fn lateness(ending: &str) -> f64 {
    if ending == "fin" { 0.8 } else { 0.3 }
}

#[test]
fn mariadb_with_tls() {
    let server =
        MariaDb::start(MariaDbOptions { tls: true, ..MariaDbOptions::with_args(&["--wait-timeout=5"]) });
    check(&server, Launch::on(&server).args(&["--mysql.tls-mode=required"]), "reset", None);
}

#[test]
fn mysql_without_tls() {
    let server = mysql();
    check(&server, Launch::on(&server).args(&["--mysql.tls-mode=disabled"]), "goodbye", Some(4031));
}

#[test]
fn mysql_with_tls() {
    let server = mysql();
    check(&server, Launch::on(&server).args(&["--mysql.tls-mode=required"]), "goodbye", Some(4031));
}

#[test]
fn the_session_timeout_counts_and_not_the_global_one() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary(), Account::app()],
        ..MariaDbOptions::with_args(&["--wait-timeout=28800", "--init-connect=SET SESSION wait_timeout=5"])
    });
    check(&server, Launch::on(&server).args(&["--mysql.tls-mode=disabled"]), "reset", None);
}

/// Ages 2, 4 and 8 s on a `wait_timeout` of 5 s.
#[track_caller]
fn check(server: &Server, launch: Launch<'_>, ending: &str, code: Option<u64>) {
    let aborted_before = server.status("Aborted_clients");
    let mut exporter = launch.ages("2s,4s,8s").start();
    exporter.wait_for_events("death", 3, Duration::from_secs(40));
    wait_for("survivors of two ages", Duration::from_secs(20), || {
        let lived = ages(&exporter.events("survival"));
        (lived.iter().any(|age| *age < 3.0) && lived.iter().any(|age| *age > 4.0)).then_some(())
    });
    check_limit(&exporter, lateness(ending));
    check_page(&exporter);
    let (status, _) = exporter.terminate();
    assert!(status.success());
    check_deaths(&exporter, ending, code);
    wait_until_gone(server);
    let deaths = exporter.events("death").len();
    let risen = server.status("Aborted_clients") - aborted_before;
    // At the end a busy canary may be in its statement, in which it cannot say COM_QUIT.
    let dead = i64::try_from(deaths).expect("few");
    assert!(
        (dead..=dead + 1).contains(&risen),
        "the server aborted the {dead} dead, and nobody else: {risen}"
    );
}

#[track_caller]
fn check_limit(exporter: &Exporter<'_>, lateness: f64) {
    let page = exporter.metrics();
    let idle = [("kind", "idle"), ("path", "default"), ("target", "default")];
    let lower = page.one("idle_limit_lower_seconds", &idle);
    let upper = page.one("idle_limit_upper_seconds", &idle);
    assert!(
        (4.0..if lateness > 0.5 { LIMIT + lateness } else { 4.3 }).contains(&lower),
        "the longest age survived is 4 s, not {lower}"
    );
    assert!((LIMIT - 0.1..LIMIT + lateness).contains(&upper), "the limit is 5 s, not {upper}");
    assert_eq!(page.one("idle_limit_info", &[("culprit", "server_idle_timeout"), ("layer", "server")]), 1.0);
}

/// What the page holds is what the event log tells: neither more nor less.
#[track_caller]
fn check_page(exporter: &Exporter<'_>) {
    let (lived, died, page) = at_one_moment(exporter);
    assert_eq!(page.sum("deaths_total", &[]) as usize, died.len());
    assert_eq!(page.sum("death_age_seconds_count", &[]) as usize, died.len());
    assert_eq!(page.sum("survival_age_seconds_count", &[]) as usize, lived.len());
    assert_eq!(page.sum("lives_total", &[]) as usize, died.len() + lived.len());
    for bound in ["2", "4", "8"] {
        let seconds: f64 = bound.parse().expect("a bound is a number");
        // The log rounds to milliseconds: ages within one of a bound may fall on either side.
        let near = |events| ages(events).iter().filter(|age| (*age - seconds).abs() < 0.002).count();
        let below = |events| ages(events).iter().filter(|age| **age <= seconds).count();
        for (name, events) in [("survival_age_seconds_bucket", &lived), ("death_age_seconds_bucket", &died)] {
            assert!(!page.values(name, &[("le", bound)]).is_empty(), "a rung is a bucket's bound");
            let counted = page.sum(name, &[("le", bound)]) as usize;
            assert!(counted.abs_diff(below(events)) <= near(events), "{name} le {bound}: {counted}");
        }
    }
}

/// The survivals and deaths in the log and a page between which nothing happened.
#[track_caller]
fn at_one_moment(exporter: &Exporter<'_>) -> (Vec<Value>, Vec<Value>, Page) {
    wait_for("a page between two equal looks at the log", Duration::from_secs(20), || {
        let log = || (exporter.events("survival"), exporter.events("death"));
        let (lived, died) = log();
        let page = exporter.metrics();
        // What is counted is told a moment after.
        sleep(Duration::from_millis(50));
        (log() == (lived.clone(), died.clone())).then_some((lived, died, page))
    })
}

#[track_caller]
fn check_deaths(exporter: &Exporter<'_>, ending: &str, code: Option<u64>) {
    let deaths = exporter.events("death");
    for death in &deaths {
        let age = death["age_seconds"].as_f64().expect("a death has an age");
        assert!(
            (LIMIT - 0.05..=LIMIT + lateness(ending)).contains(&age),
            "died at 5 s, not at {age}: {death}"
        );
        assert_eq!(death["culprit"], "server_idle_timeout", "{death}");
        assert_eq!(death["ending"], ending, "{death}");
        assert_eq!(death["error_code"].as_u64(), code, "{death}");
    }
    let idle =
        exporter.events("survival").into_iter().filter(|event| event["kind"] == "idle").collect::<Vec<_>>();
    for survivor in ages(&idle) {
        // A pool of threads that closes late truly answers a probe until it does.
        let longest = if ending == "fin" { LIMIT + lateness(ending) } else { LIMIT };
        assert!(survivor < longest, "nobody survives {survivor} s");
    }
}
