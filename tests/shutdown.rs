//! SIGTERM and SIGINT: every session that is in no statement ends with COM_QUIT (`budget.rs` has the busy one), and the
//! process ends soon, whoever does not answer.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::exporter::{Launch, wait_until_gone};
use crate::lab::resolver::Answer;
use crate::lab::{MariaDb, MariaDbOptions, MySql97, MySql97Options, Namespace, Resolver, Server, wait_for};

/// How long the end may take: two seconds, as the README promises, and what a busy machine adds to two processes.
const SOON: Duration = Duration::from_secs(5);

#[track_caller]
fn check(server: &Server, mode: &str, signal: Signal, wait: Duration) {
    let before = server.status("Aborted_clients");
    let mut exporter =
        Launch::on(server).ages("2s,60s,120s").args(&[&format!("--mysql.tls-mode={mode}")]).start();
    exporter.wait_for_metrics("held canaries", Duration::from_secs(20), |page| {
        page.sum("connections", &[]) >= 2.0
    });
    std::thread::sleep(wait);
    let begun = Instant::now();
    exporter.signal(signal);
    let status = exporter.wait_for_end(Duration::from_secs(60));
    let took = begun.elapsed();
    assert_eq!(status.code(), Some(0), "{}", exporter.log());
    assert!(took < SOON, "it took {took:?}: {}", exporter.log());
    assert!(exporter.events("loops_cut").is_empty(), "it waited for a loop in vain: {}", exporter.log());
    wait_until_gone(server);
    assert_eq!(server.status("Aborted_clients"), before, "{}", exporter.log());
}

#[test]
fn every_session_says_com_quit() {
    let mariadb = MariaDb::start(MariaDbOptions::default());
    check(&mariadb, "disabled", Signal::TERM, Duration::from_secs(1));
    check(&mariadb, "disabled", Signal::INT, Duration::from_millis(130));
    let mysql = MySql97::start(MySql97Options::default());
    check(&mysql, "disabled", Signal::TERM, Duration::from_secs(1));
    check(&mysql, "required", Signal::TERM, Duration::from_millis(370));
}

/// What systemd in a container is stopped with, and so what a container's `STOPSIGNAL` may say.
#[test]
fn a_real_time_signal_ends_no_session_without_com_quit() {
    let server = MariaDb::start(MariaDbOptions::default());
    let before = server.status("Aborted_clients");
    let mut exporter = Launch::on(&server).ages("2s,60s").start();
    exporter.wait_for_metrics("held canaries", Duration::from_secs(20), |page| {
        page.sum("connections", &[]) >= 2.0
    });
    let kill = |number: &str| {
        let status = Command::new("kill").args(["-s", number, &exporter.pid().to_string()]).status();
        assert!(status.expect("kill can be run").success());
    };
    kill("34");
    kill("64");
    wait_for("two lines", Duration::from_secs(10), || {
        (exporter.events("signal_ignored").len() == 2).then_some(())
    });
    kill("37");
    assert_eq!(exporter.wait_for_end(Duration::from_secs(10)).code(), Some(0), "{}", exporter.log());
    wait_until_gone(&server);
    assert_eq!(server.status("Aborted_clients"), before, "{}", exporter.log());
}

#[test]
fn a_stop_in_the_middle_of_the_first_logins_aborts_nobody() {
    let server = MariaDb::start(MariaDbOptions::default());
    let before = server.status("Aborted_clients");
    for _ in 0..5 {
        let mut exporter = Launch::on(&server).ages("2s,60s").start();
        let (status, took) = exporter.terminate();
        println!("the end took {took:?}");
        assert_eq!(status.code(), Some(0), "{}", exporter.log());
        let cut = exporter.events("loops_cut");
        assert!(cut.is_empty(), "{cut:?}");
        assert!(took < SOON, "it took {took:?}: {}", exporter.log());
    }
    wait_until_gone(&server);
    assert_eq!(server.status("Aborted_clients"), before);
}

#[test]
fn a_frozen_server_does_not_hold_the_end_up() {
    let server = MariaDb::start(MariaDbOptions::default());
    let mut exporter = Launch::on(&server).ages("2s,60s").start();
    exporter.wait_for_metrics("held canaries", Duration::from_secs(20), |page| {
        page.sum("connections", &[]) >= 2.0
    });
    server.sigstop();
    let (status, took) = exporter.terminate();
    server.sigcont();
    assert_eq!(status.code(), Some(0));
    assert!(took < SOON, "it took {took:?}");
}

#[test]
fn a_name_server_that_never_answers_does_not_hold_the_end_up() {
    let namespace = Namespace::new("client");
    let resolver = Resolver::start(&namespace, Answer::Silence);
    let mut exporter = Launch::at("db.invalid:3306").inside(&namespace).resolving(&resolver).start();
    wait_for("a look-up under way", Duration::from_secs(20), || (resolver.asked() > 0).then_some(()));
    let (status, took) = exporter.terminate();
    assert_eq!(status.code(), Some(0), "{}", exporter.log());
    assert!(took < SOON, "it took {took:?}");
}
