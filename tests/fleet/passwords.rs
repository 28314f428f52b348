//! A password that is changed on the server and in its file: no canary dies of it, and no rung stays empty.

use std::time::{Duration, Instant};

use super::file::{ConfigFile, Target};
use super::lives::Lives;
use super::{mariadb, reload};
use crate::exporter::{Exporter, Launch};
use crate::lab::{HaProxy, Server};

const NEW: &str = "quite another";

const PATHS: [&str; 2] = ["direct", "lb"];
/// How long logins may pause after a refused one.
const PAUSE: Duration = Duration::from_secs(12);

/// Changes the password under an exporter that has every rung on two paths, and looks what that cost.
fn change(how: fn(&ConfigFile, &Server, &Exporter<'_>)) -> Vec<usize> {
    let server = mariadb(&[]);
    let proxy = HaProxy::start(server.addr(), Duration::from_secs(3600));
    let target = Target::new("orders", "2s,4s,300s,600s").path("direct", server.addr());
    let file = ConfigFile::of(&[target.path("lb", proxy.addr())]);
    let mut sessions = Lives::of(&server, "orders");
    let exporter = Launch::from_file(&file.path()).start();
    exporter.wait_for_metrics("every rung on both paths", Duration::from_secs(30), |page| {
        PATHS.iter().all(|path| page.sum("lives_total", &[("path", path)]) >= 3.0)
    });
    sessions.hold(&exporter);
    how(&file, &server, &exporter);
    let lives = PATHS.map(|path| exporter.metrics().sum("lives_total", &[("path", path)]));
    let begun = Instant::now();
    let page = exporter.wait_for_metrics("lives under the new password", PAUSE, |page| {
        PATHS
            .iter()
            .zip(lives)
            .all(|(path, before)| page.sum("lives_total", &[("path", path)]) >= before + 3.0)
    });
    println!("three lives more on each path after {:?}", begun.elapsed());
    assert_eq!(page.sum("deaths_total", &[]), 0.0, "{}", exporter.log());
    assert_eq!(page.sum("voided_total", &[]), 0.0, "{}", exporter.log());
    assert_eq!(page.sum("suspended", &[]), 0.0, "{}", exporter.log());
    sessions.assert_none_lost(&exporter);
    assert!(!exporter.log().contains(NEW), "a password in the log");
    PATHS.map(|path| page.sum("connect_failures_total", &[("path", path)]) as usize).to_vec()
}

/// On the server alone.
fn change_on(server: &Server) {
    server.sql(&format!("ALTER USER 'canary'@'%' IDENTIFIED BY '{NEW}'"));
}

#[test]
fn a_password_that_is_changed_costs_one_refused_login_a_path() {
    let refused = change(|file, server, _| {
        file.set_password(NEW);
        change_on(server);
    });
    assert_eq!(refused, [1, 1]);
}

#[test]
fn a_password_that_is_changed_with_a_reload_costs_one_refused_login_a_path_at_most() {
    let refused = change(|file, server, exporter| {
        file.set_password(NEW);
        change_on(server);
        reload(exporter);
    });
    println!("{refused:?} refused");
    assert!(refused.iter().all(|&count| count <= 1), "{refused:?}");
}
