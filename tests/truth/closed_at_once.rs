//! Many closed at one instant by something that is neither KILL nor a restart of the server.

use std::thread::sleep;
use std::time::Duration;

use super::assert_no_limit;
use super::runs::repeat;
use super::standing::{assert_says, verdict};
use crate::exporter::{Exporter, Launch};
use crate::lab::{HaProxy, MariaDb, MariaDbOptions, MySql97, MySql97Options, Server, wait_for};

/// Rungs that are held at one time, seconds apart.
pub(crate) const MANY_AGES: &str = "2s,5s,9s,14s,20s,27s,60s,120s";

/// Waits for sessions of at least three ages, seconds apart: the server view asks every second.
pub(crate) fn wait_for_many_ages(server: &Server) {
    wait_for("canaries of three ages", Duration::from_secs(60), || {
        let sessions = server.processlist().into_iter();
        let mut ages: Vec<_> =
            sessions.filter(|s| s.user == "canary" && s.command == "Sleep").map(|s| s.time).collect();
        ages.sort_unstable();
        ages.retain(|age| *age > 1);
        ages.dedup_by(|next, kept| *next - *kept < 4);
        (ages.len() >= 3).then_some(())
    });
}

/// Waits until as many as were held are dead or void, and checks what is said of them.
#[track_caller]
fn assert_blamed_on_nobodys_timer(exporter: &Exporter<'_>, wanted_deaths: usize) {
    let ended = || exporter.events("death").len() + exporter.events("void").len();
    wait_for("deaths or voids", Duration::from_secs(30), || (ended() >= 3).then_some(()));
    // What is undecided waits no longer than this for others of its instant.
    sleep(Duration::from_secs(3));
    let deaths = exporter.events("death");
    for death in &deaths {
        assert_eq!(death["culprit"], "mass_disconnect", "{death} in\n{}", exporter.log());
    }
    let voids = exporter.events("void").len();
    println!("{} deaths, {voids} voids", deaths.len());
    assert!(deaths.len() >= wanted_deaths, "{deaths:?} in\n{}", exporter.log());
    assert_no_limit(exporter);
    let said: &[&str] =
        if deaths.is_empty() { &[] } else { &["closed at one instant", "This says nothing of idle ages"] };
    assert_says(exporter, said, &["KILL, by", "restarted"]);
    println!("{}", verdict(exporter));
}

/// A login that is under way in that instant is closed with the others, and what dies while logins fail is void: it is
/// tried again, for nothing is told of it.
#[test]
fn drain_of_a_proxy() {
    const TRIES: usize = 3;
    repeat(|| assert!((0..TRIES).any(|_| is_drain_told()), "each of {TRIES} drains met a login"));
}

/// Whether it was told, and did not meet a login.
fn is_drain_told() -> bool {
    let server = MariaDb::start(MariaDbOptions::default());
    let proxy = HaProxy::balancing(&[server.addr()]);
    let exporter = Launch::at(&proxy.addr().to_string()).ages(MANY_AGES).start();
    wait_for_many_ages(&server);
    proxy.shut_sessions();
    wait_for("the first of them", Duration::from_secs(30), || {
        (exporter.events("death").len() + exporter.events("void").len() > 0).then_some(())
    });
    let met_a_login = !exporter.events("connect_failed").is_empty();
    assert_blamed_on_nobodys_timer(&exporter, if met_a_login { 0 } else { 3 });
    !met_a_login
}

/// Fresh connections may fail while it starts: what is then void is no death.
#[test]
fn restart_of_a_proxy() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        let mut proxy = HaProxy::balancing(&[server.addr()]);
        let exporter = Launch::at(&proxy.addr().to_string()).ages(MANY_AGES).start();
        wait_for_many_ages(&server);
        proxy.restart();
        assert_blamed_on_nobodys_timer(&exporter, 0);
    });
}

/// It closes the sessions of all who may not administer connections, and lets nobody in while it is on.
#[test]
fn offline_mode_for_a_moment() {
    repeat(|| {
        let server = MySql97::start(MySql97Options::default());
        let launch = Launch::on(&server).ages(MANY_AGES).args(&["--mysql.tls-mode=disabled"]);
        let exporter = launch.start();
        wait_for_many_ages(&server);
        server.sql("SET GLOBAL offline_mode = ON; SET GLOBAL offline_mode = OFF");
        assert_blamed_on_nobodys_timer(&exporter, 0);
    });
}

#[test]
fn offline_mode_for_seconds() {
    repeat(|| {
        let server = MySql97::start(MySql97Options::default());
        let launch = Launch::on(&server).ages(MANY_AGES).args(&["--mysql.tls-mode=disabled"]);
        let exporter = launch.start();
        wait_for_many_ages(&server);
        server.sql("SET GLOBAL offline_mode = ON");
        sleep(Duration::from_secs(2));
        server.sql("SET GLOBAL offline_mode = OFF");
        assert_blamed_on_nobodys_timer(&exporter, 0);
    });
}
