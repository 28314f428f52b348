//! Servers that cannot be reached: the exporter runs all the same, says at which stage it fails and why, and
//! keeps nothing of what failed.

use std::time::Duration;

use crate::exporter::{Exporter, Launch};
use crate::lab::resolver::Answer;
use crate::lab::{
    MariaDb, MariaDbOptions, MySql97, MySql97Options, Namespace, Peer, Resolver, Scene, Server, http,
};

/// Failed connects are told one by one; between them lie rests of 1, 2, 4 … s.
const ROUNDS: usize = 4;

/// Several rounds fail at this stage, each with these words, and leave no file descriptor behind.
#[track_caller]
fn fails(exporter: &Exporter<'_>, stage: &str, words: &str) {
    exporter.wait_for_events("connect_failed", 2, Duration::from_secs(30));
    let files = quietest(exporter);
    let failures = exporter.wait_for_events("connect_failed", ROUNDS, Duration::from_secs(30));
    for failure in &failures {
        assert_eq!(failure["stage"], stage, "{failure}");
        let message = failure["msg"].as_str().expect("a failure has a message");
        assert!(message.contains(words), "{message:?} does not say {words:?}");
    }
    let page = exporter.wait_for_metrics("the count of the failures", Duration::from_secs(5), |page| {
        page.sum("connect_failures_total", &[("stage", stage)]) >= ROUNDS as f64
    });
    let all = page.sum("connect_failures_total", &[]);
    assert_eq!(page.sum("connect_failures_total", &[("stage", stage)]), all, "no other stage failed");
    assert_eq!(page.one("up", &[]), 0.0);
    assert_eq!(page.sum("connections", &[]), 0.0);
    assert_eq!(page.one("suspended", &[("reason", "connect_failing")]), 1.0);
    assert!(page.values("server_info", &[]).is_empty());
    assert_eq!(page.sum("deaths_total", &[]) + page.sum("lives_total", &[]), 0.0);
    let after = quietest(exporter);
    assert!(after <= files, "{files} open files became {after}");
    assert!(!exporter.log().contains("panicked"), "{}", exporter.log());
}

/// The fewest open files of a while: an attempt under way has some.
fn quietest(exporter: &Exporter<'_>) -> usize {
    (0..40)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(25));
            exporter.open_files()
        })
        .min()
        .expect("forty numbers have a least one")
}

#[test]
fn an_unknown_host() {
    let namespace = Namespace::new("client");
    let resolver = Resolver::start(&namespace, Answer::NoSuchName);
    let exporter = Launch::at("no-such-host.invalid:3306").inside(&namespace).resolving(&resolver).start();
    fails(
        &exporter,
        "dns",
        "cannot connect to no-such-host.invalid:3306: the host \"no-such-host.invalid\" has no address",
    );
}

#[test]
fn a_refused_port() {
    let address = Peer::refusing();
    let exporter = Launch::at(&address.to_string()).start();
    let words = format!("cannot connect to {address}: TCP connect to {address} failed: Connection refused");
    fails(&exporter, "tcp", &words);
}

#[test]
fn a_port_that_accepts_and_says_nothing() {
    let peer = Peer::start(Scene::stay_silent);
    let exporter = Launch::at(&peer.addr().to_string()).args(&["--canary.probe-timeout=700ms"]).start();
    fails(
        &exporter,
        "greeting",
        "connected, but no whole greeting came within 0.7 s: the server is stuck, or the port is not a MySQL server's",
    );
}

#[test]
fn a_port_that_closes_at_once() {
    let peer = Peer::start(drop);
    let exporter = Launch::at(&peer.addr().to_string()).start();
    fails(&exporter, "greeting", "the connection closed before a whole greeting came");
    assert_eq!(peer.open(), 0);
}

#[test]
fn a_port_that_resets() {
    let peer = Peer::start(|scene: Scene| {
        // Not before the client has seen the connection made.
        std::thread::sleep(Duration::from_millis(100));
        scene.reset();
    });
    let exporter = Launch::at(&peer.addr().to_string()).start();
    fails(
        &exporter,
        "greeting",
        "the connection closed before a whole greeting came: Connection reset by peer",
    );
}

#[test]
fn ports_that_speak_another_protocol() {
    for (first, name) in [
        (&b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..], " but look like HTTP"),
        (b"SSH-2.0-OpenSSH_10.0\r\n", " but look like SSH"),
        (b"220 mail.example.org ESMTP\r\n", " but look like SMTP or FTP"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", " but look like TLS"),
        (b"+OK POP3 ready\r\n", ""),
    ] {
        let peer = Peer::start(move |scene: Scene| {
            scene.send(first);
            scene.stay_silent();
        });
        let exporter = Launch::at(&peer.addr().to_string()).start();
        let failure = exporter.wait_for_events("connect_failed", 1, Duration::from_secs(20)).remove(0);
        assert_eq!(failure["stage"], "greeting", "{failure}");
        let message = failure["msg"].as_str().expect("a failure has a message");
        let words = format!("the first bytes are no MySQL greeting{name}: is this port a MySQL server's?");
        assert!(message.ends_with(&words), "{message}");
    }
}

#[test]
fn a_port_that_speaks_http_time_and_again() {
    let peer = Peer::start(|scene: Scene| {
        scene.send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let exporter = Launch::at(&peer.addr().to_string()).start();
    fails(&exporter, "greeting", "the first bytes are no MySQL greeting but look like HTTP");
    assert_eq!(peer.open(), 0, "the exporter hung up");
}

/// Two exporters point at each other's web side: each is a port that waits for the other to speak.
#[test]
fn a_real_web_server() {
    let other = Launch::at(&Peer::refusing().to_string()).start();
    let exporter = Launch::at(&other.web().to_string()).args(&["--canary.probe-timeout=700ms"]).start();
    fails(&exporter, "greeting", "connected, but no whole greeting came");
    assert_eq!(http::get(other.web(), "/-/healthy").expect("the other one is well").status, 200);
}

#[track_caller]
fn comes_later(mut server: Server) {
    server.stop();
    let exporter = Launch::on(&server).ages("1s,60s").start();
    exporter.wait_for_events("connect_failed", 2, Duration::from_secs(20));
    let page = exporter.metrics();
    assert_eq!(page.one("up", &[]), 0.0);
    assert!(page.sum("connect_failures_total", &[("stage", "tcp")]) >= 2.0);
    server.restart();
    // The longest rest between two attempts is 15 s.
    let page = exporter.wait_for_metrics("canaries and a server view", Duration::from_secs(40), |page| {
        page.sum("up", &[]) == 1.0
            && page.sum("connections", &[]) >= 1.0
            && page.sum("lives_total", &[]) >= 1.0
    });
    assert_eq!(page.sum("suspended", &[]), 0.0, "nothing suspends launches any more");
    assert_eq!(page.sum("deaths_total", &[]), 0.0);
}

#[test]
fn a_mariadb_that_comes_later() {
    comes_later(MariaDb::start(MariaDbOptions::default()));
}

#[test]
fn a_mysql_that_comes_later() {
    comes_later(MySql97::start(MySql97Options::default()));
}
