//! A server with thousands of application sessions, and one with hundreds of users: exact counts, bounded
//! series, and what asking costs.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::exporter::{Exporter, Launch, Page};
use crate::lab::turns::turn;
use crate::lab::{Account, HaProxy, MariaDb, MariaDbOptions, Server, ThreadHandling, wire};

/// What the exporter's path forgets after, in seconds; the applications' sessions go around it.
const LIMIT: f64 = 10.0;
/// How many times as long as the server's own client a round may take, in a debug build.
const MOST_TIMES: f64 = 8.0;
/// The users that get series of their own.
const NAMED_USERS: usize = 50;

/// A server for many sessions; the exporter may see them.
pub(crate) fn start_server(users: Vec<Account>) -> Server {
    MariaDb::start(MariaDbOptions {
        thread_handling: ThreadHandling::PoolOfThreads,
        accounts: users.into_iter().chain([Account::canary().with_process_privilege()]).collect(),
        // A fifth of max_connections must stay free, or the exporter holds its canaries back.
        ..MariaDbOptions::with_args(&[
            "--max-connections=8000",
            "--open-files-limit=20000",
            "--back-log=2000",
        ])
    })
}

/// An application's session, as small as a session can be.
pub(crate) fn log_in(server: SocketAddr, user: &str) -> io::Result<TcpStream> {
    /// `CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION`.
    const CAPABILITIES: u32 = 0x8200;
    /// utf8mb4_general_ci.
    const CHARACTER_SET: u8 = 45;
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    wire::read_packet(&stream)?;
    let mut login = CAPABILITIES.to_le_bytes().to_vec();
    login.extend_from_slice(&u32::from(u16::MAX).to_le_bytes());
    login.push(CHARACTER_SET);
    login.extend_from_slice(&[0; 23]);
    login.extend_from_slice(user.as_bytes());
    // The end of the name, and no password.
    login.extend_from_slice(&[0, 0]);
    stream.write_all(&wire::packet(1, &login))?;
    match wire::read_packet(&stream)? {
        (_, answer) if answer.first() == Some(&0) => Ok(stream),
        (_, answer) => Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned())),
    }
}

fn log_in_many(server: SocketAddr, user: &str, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| log_in(server, user).expect("a login succeeds")).collect()
}

pub(crate) fn raise_file_limit(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum.map(|most| most.max(wanted)) };
        setrlimit(Resource::Nofile, raised).expect("root may open many files");
    }
}

/// How many sessions of a user have slept for so long by the server's own account.
fn slept(server: &Server, user: &str, seconds: f64) -> f64 {
    let rows = server.sql(&format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
         WHERE USER = '{user}' AND COMMAND = 'Sleep' AND TIME_MS >= {seconds} * 1000"
    ));
    rows[0][0].parse().expect("a count is a number")
}

#[track_caller]
fn assert_counts(exporter: &Exporter<'_>, server: &Server, what: &str, expected: &[(&str, f64)]) -> Page {
    let holds = |page: &Page| {
        expected.iter().all(|&(age, count)| {
            page.sum("idle_sessions", &[("user", "app"), ("idle_at_least", age)]) == count
        })
    };
    let page = exporter.wait_for_metrics(what, Duration::from_secs(30), holds);
    for &(age, count) in expected {
        assert_eq!(slept(server, "app", age.parse().expect("a number")), count, "{what}, {age} s");
    }
    page
}

#[test]
fn five_thousand_sessions_are_counted_exactly() {
    let _turn = turn();
    raise_file_limit(12_000);
    let server = start_server(vec![Account::new("app").with_password("")]);
    let proxy = HaProxy::start(server.addr(), Duration::from_secs_f64(LIMIT));
    let exporter = Launch::at(&proxy.addr().to_string())
        .ages("3s,6s,14s,30s")
        .args(&["--canary.probe-timeout=2s", "--pool=name=api,user=app,framework=sqlalchemy,recycle=1h"])
        .start();
    let first = log_in_many(server.addr(), "app", 2000);
    exporter.wait_for_metrics("a confirmed limit", Duration::from_secs(90), |page| {
        page.sum("idle_limit_confirmed", &[("kind", "idle")]) == 1.0
            && page.values("sessions_at_risk", &[("user", "app")]).len() == 1
    });
    // The proxy closes both sides, so whoever is still listed did not pass it.
    let page = assert_counts(&exporter, &server, "the first sessions", &[("3", 2000.0), ("14", 2000.0)]);
    assert_eq!(page.one("sessions_at_risk", &[("user", "app")]), 0.0);

    let second = log_in_many(server.addr(), "app", 3000);
    let page = assert_counts(&exporter, &server, "young ones and old", &[("3", 5000.0), ("30", 2000.0)]);
    assert_eq!(page.one("sessions", &[("user", "app"), ("command", "Sleep")]), 5000.0);
    assert_eq!(page.sum("sessions", &[("user", "canary")]), 0.0);
    let page = assert_counts(&exporter, &server, "all past the limit", &[("14", 5000.0)]);
    assert_eq!(page.one("sessions_at_risk", &[("user", "app")]), 0.0);
    assert_eq!(page.one("layer_mismatch", &[("rule", "sessions_at_risk")]), 0.0);

    // What the same list costs the server's own client, at the same time on the same machine.
    let (mut costs, mut plain): (Vec<f64>, Vec<f64>) = (0..10)
        .map(|_| {
            std::thread::sleep(Duration::from_secs(1));
            let asked = Instant::now();
            assert!(server.processlist().len() > 5000);
            let plain = asked.elapsed().as_secs_f64();
            (exporter.metrics().one("collector_duration_seconds", &[("collector", "processlist")]), plain)
        })
        .unzip();
    costs.sort_by(f64::total_cmp);
    plain.sort_by(f64::total_cmp);
    println!(
        "the processlist of 5,000 sessions took {:.1} to {:.1} ms, the server's client {:.1} to {:.1} ms",
        costs[0] * 1e3,
        costs[9] * 1e3,
        plain[0] * 1e3,
        plain[9] * 1e3
    );
    assert!(costs[5] < MOST_TIMES * plain[5], "a round took {costs:?} s, the client {plain:?} s");
    drop((first, second));
}

/// Default ladder, a limit found, every twin sent; then many users. What docs/costs.md promises under "What it
/// costs".
#[test]
fn a_path_costs_a_bounded_number_of_series() {
    let _turn = turn();
    const USERS: usize = 60;
    let names: Vec<String> = (0..USERS).map(|number| format!("tenant{number:02}")).collect();
    let server = start_server(names.iter().map(|name| Account::new(name).with_password("")).collect());
    let proxy = HaProxy::start(server.addr(), Duration::from_secs(3));
    let pools: Vec<String> =
        names[..3].iter().map(|name| format!("--pool=name={name},user={name},recycle=1s")).collect();
    let pools: Vec<&str> = pools.iter().map(String::as_str).collect();
    let exporter = Launch::at(&proxy.addr().to_string()).args(&pools).start();
    let fresh = exporter.wait_for_metrics("a server view", Duration::from_secs(20), |page| {
        page.sum("up", &[]) == 1.0 && page.values("sessions_held_past_recycle", &[]).len() == pools.len()
    });
    let settled = exporter.wait_for_metrics("a limit and all its twins", Duration::from_secs(60), |page| {
        page.values("remedy", &[]).len() == 2
            && page.sum("deaths_total", &[("kind", "keepalive")]) > 0.0
            && page.sum("deaths_total", &[("kind", "busy")]) > 0.0
            && page.sum("lives_total", &[("kind", "active")]) > 0.0
    });
    let sessions: Vec<TcpStream> =
        names.iter().map(|name| log_in(server.addr(), name).expect("a login succeeds")).collect();
    let crowded = exporter.wait_for_metrics("all users", Duration::from_secs(30), |page| {
        page.values("sessions_at_risk", &[]).len() == NAMED_USERS + 1
            && page.sum("sessions_held_past_recycle", &[]) == 3.0
    });
    assert_eq!(crowded.sum("sessions_at_risk", &[]), 0.0, "the proxy closes both sides");
    assert_eq!(crowded.values("application_endings_total", &[]).len(), 4 * (NAMED_USERS + 1));
    assert_eq!(crowded.sum("sessions_held_past_recycle", &[]), 3.0, "one session of each pool");
    drop(sessions);

    let [fresh, settled, crowded] = [fresh, settled, crowded].map(|page| page.series_count());
    println!(
        "series: {fresh} at the start, {settled} with a limit and its twins, {crowded} with {USERS} users"
    );
    assert!(fresh < settled && settled < 800, "{settled} series with default settings");
    assert!(settled < crowded && crowded < 3500, "{crowded} series with {USERS} users");
}

#[test]
fn hundreds_of_users_share_a_bounded_number_of_series() {
    let _turn = turn();
    const USERS: usize = 500;
    raise_file_limit(4_000);
    let names: Vec<String> = (0..USERS).map(|number| format!("tenant{number:03}")).collect();
    let accounts = names.iter().map(|name| Account::new(name).with_password("")).collect();
    let server = start_server(accounts);
    let exporter = Launch::on(&server).ages("1s,2s,60s").start();
    // The last one has the most.
    let busiest = names.last().expect("there are some");
    let mut sessions = log_in_many(server.addr(), busiest, 3);
    sessions.extend(names.iter().map(|name| log_in(server.addr(), name).expect("a login succeeds")));

    let all = sessions.len() as f64;
    let page = exporter.wait_for_metrics("every session", Duration::from_secs(30), |page| {
        // A canary that is logging in may be counted for once.
        page.sum("idle_sessions", &[("idle_at_least", "2")]) == all && page.sum("sessions", &[]) == all
    });
    assert_eq!(page.one("sessions", &[("user", busiest)]), 4.0);
    assert_eq!(page.one("sessions", &[("user", "_other")]), (USERS - NAMED_USERS) as f64);
    assert_eq!(page.values("session_longest_idle_seconds", &[]).len(), NAMED_USERS + 1);
    assert_eq!(page.values("idle_sessions", &[("idle_at_least", "1")]).len(), NAMED_USERS + 1);
}
