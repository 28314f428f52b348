//! The applications of four real incidents: each fails with its users' own error, and its healed version does
//! not.
//!
//! Ages are scaled, an hour becomes seconds; the structure is not. Every `start_…` leaves the application
//! running beside the test: what an exporter says about it is asserted in `seen`, and with no pool declared in
//! `undeclared`.

mod seen;
mod undeclared;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::lab::{
    Account, Firewall, FirewallOptions, MariaDb, MariaDbOptions, MySql97, MySql97Options, OnInvalid, Python,
    ThreadHandling, http, wait_for,
};

/// Starts an application of this directory in front of `server` and leaves it running.
pub(crate) fn start_application(
    around: &[&str],
    script: &str,
    server: SocketAddr,
    arguments: &[&str],
) -> Python {
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    let all: Vec<&str> =
        ["--host", &host, "--port", &port].into_iter().chain(arguments.iter().copied()).collect();
    Python::start(around, &format!("tests/incidents/{script}"), &all)
}

/// A server on which the exporter sees the applications' sessions.
fn watched(options: MariaDbOptions) -> MariaDbOptions {
    MariaDbOptions { accounts: accounts(), ..options }
}

fn accounts() -> Vec<Account> {
    let recycling = Account::new("recycling").with_grant("ALL PRIVILEGES ON app.*");
    vec![Account::canary().with_process_privilege(), Account::app(), recycling]
}

/// The codes of all errors among `events`.
pub(crate) fn error_codes(events: &[Value]) -> Vec<i64> {
    events
        .iter()
        .filter(|event| event["event"] == "error")
        .filter_map(|event| event["code"].as_i64())
        .collect()
}

/// A firewall that forgets after 4 s and answers with RST, as a cloud's NAT gateway does after 350 s. The server
/// waits longer than any download; what the firewall leaves on it is gone within a test.
pub(crate) fn background_job_path() -> Firewall {
    Firewall::start(FirewallOptions {
        established_timeout_s: 4,
        on_invalid: OnInvalid::RejectWithReset,
        mariadb: watched(MariaDbOptions::with_args(&["--wait-timeout=12"])),
        ..FirewallOptions::default()
    })
}

/// The service behind it, with one job under way: its download takes 8 s for half an hour.
pub(crate) fn start_background_job(firewall: &Firewall, arguments: &[&str]) -> Python {
    let all = [&["--download", "8"], arguments].concat();
    let mut service =
        start_application(&firewall.client_around(), "background_job.py", firewall.addr(), &all);
    let port = service.event("listening")["port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok())
        .expect("a port");
    let response =
        firewall.in_client(|| http::request(([127, 0, 0, 1], port).into(), "POST", "/import", &[]));
    assert_eq!(response.expect("the endpoint answers").status, 202);
    service.event("started");
    service
}

#[test]
fn background_job_loses_the_session_it_holds_and_no_pool_setting_helps() {
    let firewall = background_job_path();
    // What the users tried; 2.6 s stands for pool_recycle=600.
    let attempts: [&[&str]; 4] = [&[], &["--pool-recycle", "2.6"], &["--pre-ping"], &["--null-pool"]];
    let mut services = attempts.map(|arguments| start_background_job(&firewall, arguments));
    let mut healed = start_background_job(&firewall, &["--fresh-session", "--pool-recycle", "2.6"]);

    for service in &mut services {
        let error = service.event("error");
        assert_eq!(error["code"], 2013, "{error}");
        let message = error["message"].as_str().expect("the driver gives a message");
        assert!(message.starts_with("Lost connection to MySQL server during query"), "{error}");
    }
    assert_eq!(error_codes(&healed.events_until("committed", 1)), [0; 0]);
}

/// The firewall forgets after 8 s (an hour), keepalive begins at 16 s (two hours), the server waits 64 s
/// (eight hours).
pub(crate) fn layer_cake_path() -> Firewall {
    let firewall = Firewall::start(FirewallOptions {
        established_timeout_s: 8,
        mariadb: watched(MariaDbOptions::with_args(&["--wait-timeout=64"])),
        ..FirewallOptions::default()
    });
    firewall.set_client("ipv4/tcp_keepalive_time", 16);
    firewall
}

/// The service behind it: three devices at once, then one every 4 s, which leaves each connection idle for 12
/// s.
pub(crate) fn start_layer_cake(firewall: &Firewall, arguments: &[&str]) -> Python {
    let all = [&["--every", "4", "--read-timeout", "1"], arguments].concat();
    start_application(&firewall.client_around(), "layer_cake.py", firewall.addr(), &all)
}

#[test]
fn layer_cake_errors_come_and_go_until_the_pool_recycles_below_the_firewall() {
    let firewall = layer_cake_path();
    let mut never = start_layer_cake(&firewall, &[]);
    let mut above = start_layer_cake(&firewall, &["--pool-recycle", "20"]);
    let mut below = start_layer_cake(&firewall, &["--pool-recycle", "6"]);

    for service in [&mut never, &mut above] {
        // Three devices and a first single call go well, …
        let error = service.events_until("error", 1).pop().expect("the last one is the error");
        assert_eq!(error["code"], 2013, "{error}");
        let idle = error["idle"].as_f64().expect("it was used before");
        assert!(
            (8.0..16.0).contains(&idle),
            "idle past the firewall's limit, before keepalive and wait_timeout: {error}"
        );
        // … and so does the next one.
        let next = service.events_until("call", 1);
        assert_eq!(error_codes(&next), [0; 0]);
    }
    // Three devices, four calls, three devices again.
    assert_eq!(error_codes(&below.events_until("call", 10)), [0; 0]);
    let ghosts = firewall.server().processlist().into_iter().filter(|session| session.time > 8).count();
    assert!(ghosts > 0, "the server still lists what the firewall forgot");
}

/// Any server or path, one request every 5 s; `wait_timeout` is 3 s.
pub(crate) fn start_long_silence(around: &[&str], server: SocketAddr, arguments: &[&str]) -> Python {
    start_application(around, "long_silence.py", server, &[&["--silence", "5"], arguments].concat())
}

#[test]
fn long_silence_ends_with_a_lost_connection_until_the_pool_recycles_below_wait_timeout() {
    let mysql = MySql97::start(MySql97Options::with_args(&["--wait-timeout=3"]));
    let pool = MariaDb::start(MariaDbOptions {
        thread_handling: ThreadHandling::PoolOfThreads,
        ..MariaDbOptions::with_args(&["--wait-timeout=3"])
    });
    let thread_each = MariaDb::start(MariaDbOptions::with_args(&["--wait-timeout=3"]));
    // FIN, with 4031 or without, is found while reading the answer; RST already while asking.
    let applications = [(&mysql, 2013), (&pool, 2013), (&thread_each, 2006)].map(|(server, code)| {
        let ill = start_long_silence(&[], server.addr(), &[]);
        let healed = start_long_silence(&[], server.addr(), &["--pool-recycle", "2"]);
        (ill, healed, code)
    });
    for (mut ill, mut healed, code) in applications {
        assert_eq!(error_codes(&ill.events_until("error", 1)), [code]);
        assert_eq!(error_codes(&healed.events_until("answered", 3)), [0; 0]);
    }
}

#[test]
fn long_silence_on_a_silent_path_hangs() {
    let firewall =
        Firewall::start(FirewallOptions { established_timeout_s: 3, ..FirewallOptions::default() });
    let mut application = start_long_silence(&firewall.client_around(), firewall.addr(), &[]);
    let mut healed = start_long_silence(&firewall.client_around(), firewall.addr(), &["--pool-recycle", "2"]);
    application.event("answered");
    application.event("asking");
    // For 924 s at least; the test does not wait for that.
    assert_eq!(application.event_within("answered", Duration::from_secs(8)), None);
    assert_eq!(error_codes(&healed.events_until("answered", 3)), [0; 0]);
}

/// Two workers with a job every 5 s; `wait_timeout` is 3 s, and 2 s stands for pool_recycle=300.
pub(crate) fn start_leaked_sessions(server: SocketAddr, arguments: &[&str]) -> Python {
    let all = [&["--quiet", "5", "--pool-recycle", "2"], arguments].concat();
    start_application(&[], "leaked_sessions.py", server, &all)
}

#[test]
fn leaked_sessions_die_out_of_the_pools_sight_until_they_are_returned() {
    let ways = [(ThreadHandling::OneThreadPerConnection, 2006), (ThreadHandling::PoolOfThreads, 2013)];
    let applications = ways.map(|(thread_handling, code)| {
        let server = MariaDb::start(MariaDbOptions {
            thread_handling,
            ..MariaDbOptions::with_args(&["--wait-timeout=3"])
        });
        let ill = start_leaked_sessions(server.addr(), &[]);
        let healed = start_leaked_sessions(server.addr(), &["--return-sessions"]);
        (server, ill, healed, code)
    });
    for (server, mut ill, mut healed, code) in applications {
        // Both workers lose theirs.
        let events = ill.events_until("error", 2);
        assert_eq!(error_codes(&events), [code; 2]);
        assert!(
            events.iter().all(|event| event["event"] != "ping"),
            "the listener had nothing to look at: {events:?}"
        );
        assert_eq!(error_codes(&healed.events_until("job", 6)), [0; 0]);
        // The workers end with the application.
        drop((ill, healed));
        wait_for("the sessions of the workers to end", Duration::from_secs(10), || {
            server.processlist().is_empty().then_some(())
        });
    }
}

/// Four workers with one job each; their own session was taken before the fork, or after it.
fn first_jobs(server: SocketAddr, arguments: &[&str]) -> Vec<i64> {
    let all = [&["--workers", "4", "--quiet", "40", "--read-timeout", "2"], arguments].concat();
    error_codes(&start_leaked_sessions(server, &all).events_until("rest", 4))
}

#[test]
fn sessions_taken_before_the_fork_are_out_of_sync() {
    /// One start in three goes well for COMMIT: which worker reads which answer is chance.
    const STARTS: usize = 20;
    let server = MariaDb::start(MariaDbOptions::default());
    assert_eq!(first_jobs(server.addr(), &[]), [0; 0], "a session of each worker's own");
    let mut starts: Vec<Vec<i64>> = Vec::new();
    while !starts.iter().flatten().any(|code| *code == 2014) {
        assert!(starts.len() < STARTS, "no 2014 among {starts:?}");
        starts.push(first_jobs(server.addr(), &["--before-fork"]));
    }
    let known = [0, 2006, 2013, 2014];
    assert!(starts.iter().flatten().all(|code| known.contains(code)), "{starts:?}");
}
