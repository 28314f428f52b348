//! Whose sessions live on, behind a firewall that ends those of canaries; and whose page is not true.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::exporter::{Exporter, Launch, Page};
use crate::lab::{
    Account, Firewall, FirewallOptions, HaProxy, MariaDb, MariaDbOptions, Python, Server, wait_for,
};

/// How long a limit may take to be confirmed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts sessions that sleep and work in turn.
pub(super) fn sleepers(around: &[&str], server: &Server, user: &str, arguments: &[&str]) -> Python {
    let (host, port) = (server.addr().ip().to_string(), server.port().to_string());
    let all = [&["--host", &host, "--port", &port, "--user", user], arguments].concat();
    Python::start(around, "tests/applications/sleeper.py", &all)
}

fn socket(server: &Server) -> String {
    let socket: PathBuf = server.socket();
    socket.to_str().expect("the path is UTF-8").to_owned()
}

fn accounts(users: &[&str]) -> Vec<Account> {
    let users = users.iter().map(|user| Account::new(user));
    users.chain([Account::canary().with_process_privilege()]).collect()
}

fn at_risk(page: &Page, user: &str) -> f64 {
    page.sum("sessions_at_risk", &[("user", user)])
}

/// What the exporter said of a rule that began to hold.
fn words(exporter: &Exporter<'_>, rule: &str) -> String {
    let told = exporter.events("mismatch").into_iter().filter(|event| event["rule"] == rule);
    told.map(|event| event["msg"].to_string()).collect()
}

/// Behind a firewall of 7 s: sessions with TCP keepalive every 2 s that wake each 18 s, one without that fails each
/// time, one on the Unix socket, and one on the server's own loopback. Then all stop.
#[test]
fn who_wakes_up_alive_is_not_at_risk_and_who_fails_is_until_it_stops() {
    let firewall = Firewall::start(FirewallOptions {
        established_timeout_s: 7,
        mariadb: MariaDbOptions {
            accounts: accounts(&["steady", "plain", "local"]),
            ..MariaDbOptions::default()
        },
        ..FirewallOptions::default()
    });
    let around = firewall.client_around();
    let pools = ["--pool=name=plain,user=plain,framework=sqlalchemy", "--canary.probe-timeout=1s"];
    let exporter = Launch::behind(&firewall).ages("3s,6s,9s,12s").args(&pools).start();
    let mut steady = sleepers(&around, firewall.server(), "steady", &["--sessions", "2", "--keepalive", "2"]);
    let mut plain = sleepers(&around, firewall.server(), "plain", &["--read-timeout", "1"]);
    let on_socket = sleepers(&[], firewall.server(), "local", &["--socket", &socket(firewall.server())]);
    exporter.wait_for_metrics("a confirmed limit", PATIENCE, |page| {
        page.sum("layer_mismatch", &[("rule", "path_shorter_than_server")]) == 1.0
    });
    for _ in 0..4 {
        steady.event("woke");
    }
    plain.event("error");
    exporter.wait_for_metrics("the survivals", Duration::from_secs(10), |page| {
        page.sum("application_survival_age_seconds_count", &[]) >= 4.0 && at_risk(page, "plain") > 0.0
    });
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(25) {
        let page = exporter.metrics();
        assert_eq!(page.one("sessions_at_risk", &[("user", "steady")]), 0.0, "{}", exporter.log());
        assert_eq!(page.one("sessions_at_risk", &[("user", "local")]), 0.0, "it has no path");
        assert!(at_risk(&page, "plain") >= 1.0, "it always fails: {}", exporter.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    let page = exporter.metrics();
    let longest = page.one("application_longest_survived_idle_seconds", &[("user", "steady")]);
    assert!((16.5..19.0).contains(&longest), "18 s, not {longest}");
    let told = [("user", "plain"), ("severity", "critical"), ("tense", "has_failed")];
    assert_eq!(page.one("sessions_at_risk_info", &told), 1.0, "its pool is declared and does not test");
    assert_eq!(page.one("layer_mismatch", &[("rule", "application_path_differs")]), 1.0);
    let said = words(&exporter, "application_path_differs");
    assert!(said.contains("user steady") && !said.contains("user plain"), "{said}");

    drop((steady, plain, on_socket));
    let stopped = Instant::now();
    let page = exporter.wait_for_metrics("nobody at risk", Duration::from_secs(75), |page| {
        page.sum("sessions_at_risk", &[]) == 0.0
    });
    println!("nothing pages {:.0} s after all stopped", stopped.elapsed().as_secs_f64());
    assert!(page.sum("application_left_behind", &[("user", "plain")]) >= 1.0, "{}", exporter.log());
    assert_eq!(page.values("sessions_at_risk_info", &[]), [0.0; 0]);
    // They stay on the server's list, and nobody is told of them again.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(exporter.metrics().sum("sessions_at_risk", &[]), 0.0);
}

/// The exporter's path goes through a proxy that closes both sides; three users' sessions do not.
#[test]
fn sessions_that_never_passed_the_proxy_are_not_paged() {
    let users = ["one", "two", "three"];
    let server = MariaDb::start(MariaDbOptions { accounts: accounts(&users), ..MariaDbOptions::default() });
    let proxy = HaProxy::start(server.addr(), Duration::from_secs(3));
    let exporter = Launch::at(&proxy.addr().to_string()).ages("1s,2s,4s,6s").start();
    let socket = socket(&server);
    let quiet: Vec<Python> = users
        .iter()
        .map(|user| {
            let way = if *user == "three" { vec!["--socket", &socket] } else { vec![] };
            sleepers(&[], &server, user, &[&way[..], &["--sleep", "600"]].concat())
        })
        .collect();
    let page = exporter.wait_for_metrics("a judgement of sessions past the limit", PATIENCE, |page| {
        page.sum("idle_limit_confirmed", &[("kind", "idle")]) == 1.0
            && page.sum("idle_sessions", &[("idle_at_least", "6")]) == 3.0
            && !page.values("layer_mismatch", &[("rule", "sessions_at_risk")]).is_empty()
    });
    for user in users {
        assert_eq!(page.one("sessions_at_risk", &[("user", user)]), 0.0, "{user}");
    }
    assert_eq!(page.one("layer_mismatch", &[("rule", "sessions_at_risk")]), 0.0);
    drop(quiet);
    wait_for("their end", Duration::from_secs(10), || {
        server.processlist().iter().all(|session| session.user == "canary").then_some(())
    });
}
