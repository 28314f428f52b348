//! A password that is changed on the server and in its file: no canary dies of it, and no rung stays empty.

use std::time::{Duration, Instant};

use super::file::{ConfigFile, PasswordIn, Target};
use super::lives::Lives;
use super::{mariadb, reload};
use crate::exporter::{Exporter, Launch};
use crate::lab::{Account, HaProxy, MySql97, MySql97Options, Server};

const NEW: &str = "quite another";

const PATHS: [&str; 2] = ["direct", "lb"];
/// For how long three more lives on each path are waited for: six seconds, were the machine idle.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rungs that come due together log in together: their refusals lie within this time, in seconds. A login that was
/// made in the knowledge of a refusal would be one of the next rungs', two seconds later.
const TOGETHER: f64 = 1.5;

fn mysql() -> Server {
    let accounts = vec![Account::canary().with_process_privilege(), Account::app()];
    MySql97::start(MySql97Options { accounts, ..MySql97Options::default() })
}

/// Changes the password under an exporter that has every rung on two paths, and looks what that cost: how many logins
/// were refused on each path.
fn change(
    server: &Server,
    password: PasswordIn,
    how: fn(&ConfigFile, &Server, &Exporter<'_>),
) -> [usize; PATHS.len()] {
    let proxy = HaProxy::start(server.addr(), Duration::from_secs(3600));
    let target = Target::new("orders", "2s,4s,300s,600s").path("direct", server.addr());
    let file = ConfigFile::with_password_in(password);
    file.write(&[target.path("lb", proxy.addr())]);
    let mut sessions = Lives::of(server, "orders");
    let exporter = Launch::from_file(&file.path()).start();
    exporter.wait_for_metrics("every rung on both paths", PATIENCE, |page| {
        PATHS.iter().all(|path| page.sum("lives_total", &[("path", path)]) >= 3.0)
    });
    sessions.hold(&exporter);
    how(&file, server, &exporter);
    let lives = PATHS.map(|path| exporter.metrics().sum("lives_total", &[("path", path)]));
    let begun = Instant::now();
    let page = exporter.wait_for_metrics("lives under the new password", PATIENCE, |page| {
        // However slow the machine: a path that rests after a refused login says so, for fifteen seconds.
        assert_eq!(page.sum("suspended", &[]), 0.0, "{}", exporter.log());
        let more = |(path, before)| page.sum("lives_total", &[("path", path)]) >= before + 3.0;
        PATHS.into_iter().zip(lives).all(more)
    });
    println!("three lives more on each path after {:?}", begun.elapsed());
    assert_eq!(page.sum("deaths_total", &[]), 0.0, "{}", exporter.log());
    assert_eq!(page.sum("voided_total", &[]), 0.0, "{}", exporter.log());
    sessions.assert_none_lost(&exporter);
    assert!(!exporter.log().contains(NEW), "a password in the log");
    PATHS.map(|path| {
        let refused = exporter.events("connect_failed").into_iter().filter(|event| event["path"] == path);
        let moments: Vec<f64> = refused.map(|event| moment(&event)).collect();
        let first = moments.first().copied().unwrap_or_default();
        assert!(moments.iter().all(|at| at - first < TOGETHER), "{path}: {moments:?}\n{}", exporter.log());
        assert_eq!(page.sum("connect_failures_total", &[("path", path)]), moments.len() as f64);
        moments.len()
    })
}

/// When a line was written, in seconds since the Unix epoch.
fn moment(event: &serde_json::Value) -> f64 {
    let time = event["time"].as_str().expect("a line has its time");
    let time = humantime::parse_rfc3339(time).expect("as the log writes it");
    time.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// On the server alone.
fn change_on(server: &Server) {
    server.sql(&format!("ALTER USER 'canary'@'%' IDENTIFIED BY '{NEW}'"));
}

/// In the file, then on the server: who is refused finds the new one.
fn in_both(file: &ConfigFile, server: &Server, _: &Exporter<'_>) {
    file.set_password(NEW);
    change_on(server);
}

/// The same, and a reload.
fn with_a_reload(file: &ConfigFile, server: &Server, exporter: &Exporter<'_>) {
    in_both(file, server, exporter);
    reload(exporter);
}

#[track_caller]
fn assert_one_refused_a_path(refused: [usize; PATHS.len()]) {
    println!("{refused:?} refused");
    // One, and those that were on their way beside it.
    assert!(refused.iter().all(|&count| count >= 1), "the old password was tried: {refused:?}");
}

#[test]
fn a_password_that_is_changed_costs_one_refused_login_a_path() {
    assert_one_refused_a_path(change(&mariadb(&[]), PasswordIn::PasswordFile, in_both));
}

#[test]
fn a_password_that_is_changed_on_mysql_costs_one_refused_login_a_path() {
    assert_one_refused_a_path(change(&mysql(), PasswordIn::PasswordFile, in_both));
}

#[test]
fn a_password_that_is_changed_in_an_option_file_costs_one_refused_login_a_path() {
    assert_one_refused_a_path(change(&mariadb(&[]), PasswordIn::DefaultsFile, in_both));
}

#[test]
fn a_password_that_is_changed_with_a_reload_costs_one_refused_login_a_path_at_most() {
    println!("{:?} refused", change(&mariadb(&[]), PasswordIn::PasswordFile, with_a_reload));
}
