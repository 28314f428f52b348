//! Where it cannot be measured, or hardly: what is said, to the letter, and with which exit code.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::{ADDRESS, Check, Done, NAME, gist};
use crate::exporter::wait_until_gone;
use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::{Account, MariaDb, MariaDbOptions, Peer};

/// Runs a check to its end, without a word while it runs.
fn run(address: SocketAddr, password: &str, max_age: &str) -> Done {
    let args = ["--quiet", &format!("--max-age={max_age}")];
    Check::start(&[], address, password, &args).end(Duration::from_secs(120))
}

/// What was printed, in words.
fn printed(done: &Done, address: SocketAddr) -> String {
    gist(&done.out.replace(&address.to_string(), ADDRESS))
}

#[test]
fn a_wrong_password_is_told_at_once() {
    let server = MariaDb::start(MariaDbOptions::default());
    let done = run(server.addr(), "wrong", "30s");
    assert_eq!(done.code, Some(2), "{done:?}");
    assert_eq!(
        printed(&done, server.addr()),
        gist(&format!(
            "{NAME}: path default could not be measured: the server said \"Access denied for user \
             'canary'@'127.0.0.1' (using password: YES)\" (1045): check --mysql.username and the password"
        ))
    );
    assert!(
        done.took < Duration::from_secs(4),
        "a wrong password does not get right by waiting: {:?}",
        done.took
    );
}

#[test]
fn a_wrong_port_is_told_after_a_few_seconds_in_which_a_server_might_come_up() {
    let address = Peer::refusing();
    let done = run(address, DEFAULT_PASSWORD, "30s");
    assert_eq!(done.code, Some(2), "{done:?}");
    assert_eq!(
        printed(&done, address),
        gist(&format!(
            "{NAME}: path default could not be measured: TCP connect to {ADDRESS} failed: Connection refused (os error 111): \
             nothing listens at that address, or a firewall answers in its place"
        ))
    );
    assert!(done.took < Duration::from_secs(10), "{:?}", done.took);
}

#[test]
fn a_server_that_hangs_is_told() {
    let peer = Peer::start(|scene| scene.stay_silent());
    let done = run(peer.addr(), DEFAULT_PASSWORD, "30s");
    assert_eq!(done.code, Some(2), "{done:?}");
    assert_eq!(
        printed(&done, peer.addr()),
        gist(&format!(
            "{NAME}: path default could not be measured: connected, but no whole greeting came within 2 s: the server \
             is stuck, or the port is not a MySQL server's"
        ))
    );
    assert!(done.took < Duration::from_secs(15), "{:?}", done.took);
}

#[test]
fn with_three_free_connections_it_measures_on_three_and_says_so() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![
            Account::canary().with_process_privilege().with_max_user_connections(3),
            Account::app(),
        ],
        ..MariaDbOptions::default()
    });
    let done = run(server.addr(), DEFAULT_PASSWORD, "3s");
    assert_eq!(done.code, Some(0), "{done:?}");
    let printed = printed(&done, server.addr());
    let words = gist(
        "on at most 3 of 24 allowed connections, for the server said \"User 'canary' has exceeded the \
         'max_user_connections' resource (current value: 3)\" (1226)",
    );
    assert!(printed.contains(&words), "{printed}\n{}", done.out);
    assert!(
        printed.ends_with(&gist(&format!(
            "{NAME}: connections on path default live to 3 s idle, the age that was asked for"
        ))),
        "{printed}"
    );
}

#[test]
fn without_process_it_measures_and_says_what_it_did_not_look_at() {
    let server =
        MariaDb::start(MariaDbOptions { accounts: vec![Account::canary()], ..MariaDbOptions::default() });
    let done = run(server.addr(), DEFAULT_PASSWORD, "3s");
    assert_eq!(done.code, Some(0), "{done:?}");
    let printed = printed(&done, server.addr());
    let words = gist(
        "Not looked at - the applications' sessions: the account does not hold the privilege PROCESS (GRANT PROCESS \
         ON *.* TO it)",
    );
    assert!(printed.contains(&words), "{printed}");
}

#[test]
fn a_server_that_restarts_meanwhile_is_measured_all_the_same() {
    let mut server = MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary().with_process_privilege(), Account::app()],
        ..MariaDbOptions::default()
    });
    let args = ["--quiet", "--max-age=8s"];
    let check = Check::start(&[], server.addr(), DEFAULT_PASSWORD, &args);
    thread::sleep(Duration::from_secs(4));
    server.restart();
    let done = check.end(Duration::from_secs(120));
    assert_eq!(done.code, Some(0), "{done:?}");
    let printed = printed(&done, server.addr());
    assert!(printed.contains("lost to a server restart, which says nothing of idle ages"), "{printed}");
    assert!(
        printed.ends_with(&gist(&format!(
            "{NAME}: connections on path default live to 8 s idle, the age that was asked for"
        ))),
        "{printed}"
    );
    wait_until_gone(&server);
}

#[test]
fn a_server_that_comes_up_a_moment_later_is_waited_for() {
    let mut server = MariaDb::start(MariaDbOptions::default());
    server.stop();
    let check = Check::start(&[], server.addr(), DEFAULT_PASSWORD, &["--quiet", "--max-age=3s"]);
    server.restart();
    let done = check.end(Duration::from_secs(60));
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[test]
fn an_interrupted_check_tells_what_it_knows_and_leaves_no_session() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary().with_process_privilege(), Account::app()],
        ..MariaDbOptions::default()
    });
    let check = Check::start(&[], server.addr(), DEFAULT_PASSWORD, &["--quiet", "--max-age=60s"]);
    thread::sleep(Duration::from_secs(4));
    check.signal(Signal::INT);
    let done = check.end(Duration::from_secs(20));
    assert_eq!(done.code, Some(130), "{done:?}");
    let printed = printed(&done, server.addr());
    assert!(printed.contains("No canary died of idleness on path default: # s idle they live."), "{printed}");
    assert!(
        printed
            .contains(&gist(&format!("{NAME}: interrupted; connections on path default live to 3 s idle"))),
        "{printed}"
    );
    wait_until_gone(&server);
    assert_eq!(server.status("Aborted_clients"), 0, "every session said COM_QUIT");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let server = MariaDb::start(MariaDbOptions::default());
    let check = Check::start(&[], server.addr(), DEFAULT_PASSWORD, &["--quiet", "--max-age=60s"]);
    thread::sleep(Duration::from_secs(3));
    // What does not answer would be waited for.
    server.sigstop();
    check.signal(Signal::INT);
    thread::sleep(Duration::from_millis(400));
    check.signal(Signal::INT);
    let done = check.end(Duration::from_secs(20));
    server.sigcont();
    assert_eq!(done.code, Some(130), "{done:?}");
}
