//! The budget is hard: every session of ours that the server may still hold has a place in it, the dead too.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::exporter::{Exporter, Launch};
use crate::lab::{
    Account, Answers, Firewall, FirewallOptions, MariaDb, MariaDbOptions, MySql97, MySql97Options, Peer,
    Scene, Served, Server, wait_for,
};
use crate::malice::good_answers;

/// How many sessions of the exporter a server lists at most, looked at again and again for so long.
fn most_listed(server: &Server, how_long: Duration, mut each: impl FnMut()) -> usize {
    let (begun, mut most) = (Instant::now(), 0);
    while begun.elapsed() < how_long {
        most = most.max(server.processlist().iter().filter(|row| row.user == "canary").count());
        each();
        std::thread::sleep(Duration::from_millis(20));
    }
    most
}

fn forgetful_firewall(budget: u32) -> Firewall {
    let account = Account::canary().with_process_privilege().with_max_user_connections(budget);
    Firewall::start(FirewallOptions {
        established_timeout_s: 4,
        mariadb: MariaDbOptions { accounts: vec![account], ..MariaDbOptions::default() },
        ..FirewallOptions::default()
    })
}

/// No witness was refused, and no death was taken for an outage.
#[track_caller]
fn assert_nobody_was_refused(exporter: &Exporter<'_>) {
    let refused: Vec<Value> =
        exporter.events("connect_failed").into_iter().filter(|event| event["stage"] == "limit").collect();
    assert_eq!(refused, Vec::<Value>::new(), "{}", exporter.log());
    assert_eq!(exporter.metrics().sum("voided_total", &[("reason", "outage")]), 0.0, "{}", exporter.log());
}

#[test]
fn ghosts_that_may_not_be_killed_take_their_places_in_the_budget() {
    let firewall = forgetful_firewall(6);
    let exporter = Launch::behind(&firewall)
        .ages("2s,5s,6s,7s")
        .args(&["--canary.max-connections=6", "--canary.probe-timeout=1s", "--canary.kill-ghosts=false"])
        .start();
    let most = most_listed(firewall.server(), Duration::from_secs(95), || {});
    let page = exporter.metrics();
    assert!(page.sum("deaths_total", &[("ending", "silence")]) >= 2.0, "{}", exporter.log());
    println!(
        "at most {most} of 6 listed; {} forbidden, {} deaths",
        page.sum("ghost_kills_total", &[("outcome", "forbidden")]),
        page.sum("deaths_total", &[])
    );
    assert!(most <= 6, "{most} sessions on a budget of 6:\n{}", exporter.log());
    assert_eq!(firewall.server().status("Com_kill"), 0);
    let left = exporter.events("ghost_left");
    assert!(!left.is_empty(), "{}", exporter.log());
    assert_told_once(&left);
    assert_eq!(
        page.sum("ghost_kills_total", &[]),
        page.sum("ghost_kills_total", &[("outcome", "forbidden")])
    );
    assert_nobody_was_refused(&exporter);
}

#[test]
fn a_server_view_that_dies_in_every_pause_leaves_no_more_than_the_budget() {
    let firewall = forgetful_firewall(6);
    let exporter = Launch::behind(&firewall)
        .ages("2s,5s,20s,40s")
        // The server view's own session is forgotten in each pause.
        .args(&["--canary.max-connections=6", "--canary.probe-timeout=1s"])
        .interval("6s")
        .start();
    let most = most_listed(firewall.server(), Duration::from_secs(30), || {});
    println!("at most {most} of 6 listed; {} lost views", exporter.events("server_view_lost").len());
    assert!(exporter.events("server_view_lost").len() >= 2, "{}", exporter.log());
    assert!(most <= 6, "{most} sessions on a budget of 6:\n{}", exporter.log());
    let ended = exporter.events("ghost_ended");
    let views = ended
        .iter()
        .filter(|event| event["msg"].as_str().is_some_and(|text| text.contains("the server view")));
    assert!(views.count() >= 1, "{}", exporter.log());
    assert_nobody_was_refused(&exporter);
}

/// One line for each ghost.
#[track_caller]
fn assert_told_once(left: &[Value]) {
    let mut ids: Vec<u64> = left.iter().filter_map(|event| event["thread_id"].as_u64()).collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "one line for each ghost: {left:?}");
}

#[test]
fn a_refused_kill_is_told_as_refused_and_not_tried_again() {
    let peer = Peer::start(|mut scene: Scene| {
        let own = scene.number;
        if scene.log_in("9.7.0", own).is_err() {
            return;
        }
        // The server view speaks every second; canaries are forgotten.
        if scene.serve(&answers(own), Some(Duration::from_millis(2500))) == Served::Idle {
            scene.stay_silent();
        }
    });
    let exporter = Launch::at(&peer.addr().to_string())
        .ages("3s,60s")
        .args(&["--canary.max-connections=3", "--canary.probe-timeout=1s"])
        .start();
    exporter.wait_for_events("ghost_left", 1, Duration::from_secs(20));
    std::thread::sleep(Duration::from_secs(4));
    let left = exporter.events("ghost_left");
    assert_told_once(&left);
    assert!(left.iter().all(|event| event["outcome"] == "refused"), "{left:?}");
    assert_eq!(exporter.events("ghost_ended"), Vec::<Value>::new());
    let page = exporter.metrics();
    assert_eq!(page.sum("ghost_kills_total", &[("outcome", "refused")]), left.len() as f64);
    assert_eq!(page.sum("ghost_kills_total", &[]), left.len() as f64);
    assert_eq!(page.one("suspended", &[("reason", "ghosts")]), 1.0, "the one place is taken");
}

/// A server that lists its first forty sessions as asleep for three seconds, and refuses every KILL.
fn answers(own: u32) -> Answers {
    let name = own.to_string();
    let host = |id: u32| format!("10.0.0.1:{}", 4000 + id);
    let ids: Vec<String> = (1..=40).map(|id: u32| id.to_string()).collect();
    let rows: Vec<[&str; 5]> = ids.iter().map(|id| [id, "canary", "Sleep", "3", &name]).collect();
    let rows: Vec<&[&str]> = rows.iter().map(|row| &row[..]).collect();
    let mut answers = good_answers(own.into())
        .rows(
            "connection_id() + 0, user, host",
            &["ID", "USER", "HOST", "UUID", "HOSTNAME", "PORT"],
            &[&[&name, "canary", &host(own), "11111111-2222-3333-4444-555555555555", "db", "3306"]],
        )
        .rows("id, user, command, time", &["ID", "USER", "COMMAND", "TIME", "OWN"], &rows)
        .rows("processlist where id in", &["ID"], &[&["1"], &["2"], &["3"]])
        .error("kill ", 1095, "You are not owner of thread");
    for id in 1..=40 {
        answers = answers.rows(
            &format!("where id = {id} or"),
            &["ID", "USER", "HOST", "COMMAND", "TIME", "OWN"],
            &[&[&id.to_string(), "canary", &host(id), "Sleep", "3", &name]],
        );
    }
    answers
}

#[test]
fn a_witness_that_is_refused_for_want_of_room_makes_no_outage_of_a_death() {
    let account = |limit| Account::canary().with_process_privilege().with_max_user_connections(limit);
    let firewall = Firewall::start(FirewallOptions {
        established_timeout_s: 4,
        mariadb: MariaDbOptions { accounts: vec![account(6)], ..MariaDbOptions::default() },
        ..FirewallOptions::default()
    });
    let exporter = Launch::behind(&firewall)
        .ages("6s")
        .args(&["--canary.max-connections=3", "--canary.probe-timeout=1s"])
        .interval("600s")
        .start();
    exporter
        .wait_for_metrics("a canary", Duration::from_secs(20), |page| page.sum("connections", &[]) >= 1.0);
    // Somebody else takes all the room that the account has, until the witness was refused.
    let server = firewall.server();
    server.sql("ALTER USER 'canary'@'%' WITH MAX_USER_CONNECTIONS 1");
    wait_for("a refused witness", Duration::from_secs(20), || {
        exporter.events("connect_failed").iter().any(|event| event["stage"] == "limit").then_some(())
    });
    server.sql("ALTER USER 'canary'@'%' WITH MAX_USER_CONNECTIONS 100");
    exporter.wait_for_events("death", 1, Duration::from_secs(120));
    assert_eq!(exporter.metrics().sum("voided_total", &[("reason", "outage")]), 0.0, "{}", exporter.log());
}

/// A canary in its statement is taken back by closing its connection: for how long does the server hold it?
#[track_caller]
fn check_busy(server: &Server, what: &str) {
    let before = server.status("Aborted_clients");
    // The limit's twins are launched at once.
    let mut exporter = Launch::on(server).ages("2s,60s").args(&["--canary.probe-timeout=2s"]).start();
    let busy = || {
        let listed = server.processlist();
        listed.iter().filter(|row| row.user == "canary" && row.command == "Query" && row.time >= 1).count()
    };
    wait_for("held canaries", Duration::from_secs(20), || {
        (exporter.metrics().sum("connections", &[("kind", "idle")]) >= 2.0).then_some(())
    });
    // Deaths at one age make twins: the busy one sits in its statement.
    let begun = Instant::now();
    while busy() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(45), "no busy canary on {what}:\n{}", exporter.log());
        for row in server.processlist() {
            if row.user == "canary" && row.command == "Sleep" && row.time >= 20 {
                let _ = server.try_sql(&format!("KILL {}", row.id));
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let kills = server.status("Com_kill");
    let aborted = server.status("Aborted_clients");
    let (status, took) = exporter.terminate();
    assert!(status.success() && took < Duration::from_secs(2), "it took {took:?}");
    let ended = Instant::now();
    wait_for("the end of the statement's session", Duration::from_secs(30), || {
        server.processlist().iter().all(|row| row.user != "canary").then_some(())
    });
    println!(
        "{what}: the busy session was gone {:.1} s after the exporter's end; Aborted_clients rose by {} ({} in all)",
        ended.elapsed().as_secs_f64(),
        server.status("Aborted_clients") - aborted,
        server.status("Aborted_clients") - before,
    );
    assert_eq!(server.status("Com_kill"), kills, "nothing is killed at the end");
    assert_eq!(server.status("Aborted_clients") - aborted, 1, "the busy one alone:\n{}", exporter.log());
}

#[test]
fn a_busy_canary_is_taken_back_without_a_kill() {
    let mariadb = MariaDb::start(MariaDbOptions::default());
    let mysql = MySql97::start(MySql97Options::default());
    std::thread::scope(|scope| {
        scope.spawn(|| check_busy(&mariadb, "MariaDB"));
        scope.spawn(|| check_busy(&mysql, "MySQL 9.7"));
    });
}
