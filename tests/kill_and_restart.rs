//! Deaths that are nobody's timer: KILL, a restart, and a frozen server, which is no death at all.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use crate::exporter::{Exporter, Launch};
use crate::lab::{MariaDb, MariaDbOptions, MySql97, MySql97Options, Server};

/// Ages that nobody reaches in these tests.
const LONG: &str = "60s,120s";

fn servers() -> [Server; 2] {
    [MariaDb::start(MariaDbOptions::default()), MySql97::start(MySql97Options::default())]
}

fn canaries(server: &Server) -> Vec<u64> {
    let sessions = server.processlist();
    sessions
        .iter()
        .filter(|session| session.user == "canary" && session.command == "Sleep")
        .map(|s| s.id)
        .collect()
}

/// Waits until canaries are held.
#[track_caller]
fn hold(exporter: &Exporter<'_>, count: f64) {
    exporter.wait_for_metrics("held canaries", Duration::from_secs(20), |page| {
        page.sum("connections", &[("kind", "idle")]) >= count
    });
}

#[test]
fn a_killed_session_is_told_with_its_age() {
    for server in servers() {
        let exporter = Launch::on(&server).ages(LONG).start();
        hold(&exporter, 2.0);
        sleep(Duration::from_secs(3));
        // Who sleeps for longest is a canary: the server view asks every second, and a witness leaves at once.
        let held: Vec<_> =
            server.processlist().into_iter().filter(|session| session.user == "canary").collect();
        let victim = held.iter().max_by_key(|session| session.time).expect("canaries are held");
        server.kill(victim.id);
        let death = exporter.wait_for_events("death", 1, Duration::from_secs(10)).remove(0);
        assert_eq!(death["culprit"], "server_kill", "{death}");
        assert_eq!(death["ending"], "fin", "{death}");
        assert_eq!(death["thread_id"], victim.id, "{death}");
        let age = death["age_seconds"].as_f64().expect("a death has an age");
        // The server subtracts whole seconds: up to one more than passed.
        let age_by_server = victim.time as f64;
        assert!(
            age >= age_by_server - 1.1 && age <= age_by_server + 3.0,
            "{age} s; the server said {age_by_server} s"
        );
        let page = exporter.metrics();
        assert_eq!(page.sum("deaths_total", &[("culprit", "server_kill"), ("ending", "fin")]), 1.0);
        assert_eq!(page.sum("deaths_total", &[]), 1.0);
        assert!(page.values("idle_limit_upper_seconds", &[]).is_empty(), "a KILL bounds no idle age");
    }
}

#[test]
fn a_restart_kills_every_canary_once_and_new_ones_follow() {
    for mut server in servers() {
        let exporter = Launch::on(&server).ages(LONG).start();
        hold(&exporter, 2.0);
        sleep(Duration::from_millis(2500));
        let held = exporter.metrics().sum("connections", &[]);
        server.restart();
        let deaths = exporter.wait_for_events("death", held as usize, Duration::from_secs(60));
        assert!(deaths.len() >= held as usize);
        hold(&exporter, held);
        let page = exporter.metrics();
        // One may have been born between the look and the restart: the log tells how many there were.
        let deaths = exporter.events("death");
        let sessions: BTreeSet<_> = deaths.iter().map(|death| death["thread_id"].to_string()).collect();
        assert_eq!(sessions.len(), deaths.len(), "once each");
        assert!(deaths.iter().all(|death| death["culprit"] == "server_restart"), "{deaths:?}");
        assert_eq!(page.sum("deaths_total", &[("culprit", "server_restart")]), deaths.len() as f64);
        assert_eq!(page.sum("deaths_total", &[]), deaths.len() as f64);
        assert_eq!(
            page.sum("self_aborted_clients_total", &[]),
            0.0,
            "the new server's counter knows nothing of them"
        );
        assert!(!canaries(&server).is_empty());
        assert_eq!(page.one("up", &[]), 1.0);
    }
}

#[test]
fn a_frozen_server_is_an_outage_and_no_death() {
    let server = MariaDb::start(MariaDbOptions::default());
    let exporter = Launch::on(&server).ages("2s,3s,4s").args(&["--canary.probe-timeout=1500ms"]).start();
    exporter
        .wait_for_metrics("survivors", Duration::from_secs(20), |page| page.sum("lives_total", &[]) >= 3.0);
    server.sigstop();
    sleep(Duration::from_secs(8));
    let frozen = exporter.metrics();
    server.sigcont();
    assert!(frozen.sum("voided_total", &[("reason", "outage")]) >= 1.0, "{}", exporter.log());
    assert_eq!(frozen.sum("deaths_total", &[]), 0.0, "{}", exporter.log());
    assert_eq!(frozen.one("up", &[]), 0.0);
    let lives = frozen.sum("lives_total", &[]);
    let page = exporter.wait_for_metrics("new survivors", Duration::from_secs(40), |page| {
        page.sum("lives_total", &[]) >= lives + 3.0 && page.sum("up", &[]) == 1.0
    });
    assert_eq!(page.sum("deaths_total", &[]), 0.0, "{}", exporter.log());
}
