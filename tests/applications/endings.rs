//! How sessions end is counted as it was: never a wrong one, and undecided where the facts do not decide.

use std::time::Duration;

use super::paths::sleepers;
use crate::exporter::{Exporter, Launch, Page};
use crate::lab::{Account, MariaDb, MariaDbOptions, MySql97, MySql97Options, Server};

/// Users and how many sessions each loses to `wait_timeout`.
const IDLE: [(&str, usize); 3] = [("idle1", 3), ("idle2", 2), ("idle3", 4)];
const ENDINGS: [&str; 4] = ["closed", "aborted", "idle_timeout", "undecided"];
const WAIT_TIMEOUT: Duration = Duration::from_secs(8);
/// Longer than two rounds: what ends after it is judged for itself.
const PAUSE: Duration = Duration::from_secs(4);

/// How many of a user's sessions ended, in the order of [`ENDINGS`].
fn ended(page: &Page, user: &str) -> [f64; 4] {
    ENDINGS.map(|ending| page.sum("application_endings_total", &[("user", user), ("ending", ending)]))
}

fn accounts() -> Vec<Account> {
    let users = ["idle1", "idle2", "idle3", "killed", "quit", "dropped"];
    let canary = Account::canary().with_process_privilege().with_grant("SELECT ON performance_schema.*");
    users.into_iter().map(Account::new).chain([canary]).collect()
}

/// Lets sessions end in every way, one way after the other. Gives the page once all of them are counted.
fn end_in_every_way(server: &Server, exporter: &Exporter<'_>) -> Page {
    exporter.wait_for_metrics("a server view", Duration::from_secs(20), |page| {
        page.sum("collector_success", &[("collector", "processlist")]) == 1.0
    });
    std::thread::sleep(PAUSE);
    let count = |count: usize| count.to_string();
    let mut idle: Vec<_> = IDLE
        .iter()
        .map(|&(user, sessions)| {
            sleepers(&[], server, user, &["--sessions", &count(sessions), "--sleep", "600"])
        })
        .collect();
    for (sleeper, (_, sessions)) in idle.iter_mut().zip(IDLE) {
        sleeper.events_until("connected", sessions);
    }
    // Nobody looks at the list meanwhile: who comes and goes between two rounds makes every ending doubtful.
    std::thread::sleep(WAIT_TIMEOUT + PAUSE);

    let mut killed = sleepers(&[], server, "killed", &["--sessions", "2", "--sleep", "600"]);
    let connected = killed.events_until("connected", 2);
    let kill: String = connected.iter().map(|event| format!("KILL {};", event["id"])).collect();
    // By a session that is seen to begin before, and to end after it.
    server.sql(&format!("DO SLEEP(2.5); {kill} DO SLEEP(3)"));
    std::thread::sleep(PAUSE);

    let mut quit = sleepers(&[], server, "quit", &["--sessions", "3", "--sleep", "2", "--quit"]);
    quit.events_until("quit", 3);
    std::thread::sleep(PAUSE);

    let mut dropped = sleepers(&[], server, "dropped", &["--sessions", "2", "--sleep", "600"]);
    dropped.events_until("connected", 2);
    std::thread::sleep(PAUSE);
    drop(dropped);

    let all = [("killed", 2.0), ("quit", 3.0), ("dropped", 2.0)];
    // The errors by user are read once a minute.
    exporter.wait_for_metrics("all endings", Duration::from_secs(100), |page| {
        let counted = |user: &str, sessions: f64| ended(page, user).iter().sum::<f64>() >= sessions;
        IDLE.iter().all(|&(user, sessions)| counted(user, sessions as f64))
            && all.iter().all(|&(user, sessions)| counted(user, sessions))
    })
}

fn launch(server: &Server) -> Launch<'_> {
    Launch::on(server).ages("1s,2s,3s").args(&["--canary.max-connections=4"])
}

/// How the sessions of each user ended on MySQL, in the order of [`ENDINGS`].
fn endings_of_mysql() -> Vec<(&'static str, [f64; 4])> {
    let idle = IDLE.map(|(user, sessions)| (user, [0.0, 0.0, sessions as f64, 0.0]));
    let others =
        [("killed", [0.0, 2.0, 0.0, 0.0]), ("quit", [3.0, 0.0, 0.0, 0.0]), ("dropped", [0.0, 2.0, 0.0, 0.0])];
    idle.into_iter().chain(others).collect()
}

/// A machine that stands still for seconds lets what ended one after the other end between two looks: then some are
/// `undecided`, and it is tried again. A wrong ending is never excused.
#[test]
fn mysql_tells_every_ending_exactly() {
    for last in [false, false, true] {
        let server = MySql97::start(MySql97Options {
            accounts: accounts(),
            ..MySql97Options::with_args(&["--wait-timeout=8"])
        });
        let exporter = launch(&server).start();
        let page = end_in_every_way(&server, &exporter);
        let mut exact = true;
        for (user, real) in endings_of_mysql() {
            let told = ended(&page, user);
            let wrong = (0..3).any(|ending| told[ending] > real[ending]);
            exact &= told == real;
            assert!(
                !wrong && (told == real || !last),
                "{user}, in the order of {ENDINGS:?}: {told:?} for {real:?}: {}",
                exporter.log()
            );
        }
        if exact {
            break;
        }
        println!("once more, for some were undecided");
    }
}

#[test]
fn mariadb_never_tells_a_wrong_ending() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: accounts(),
        ..MariaDbOptions::with_args(&["--wait-timeout=8"])
    });
    let exporter = launch(&server).start();
    let page = end_in_every_way(&server, &exporter);
    for (user, sessions) in IDLE {
        let told = ended(&page, user);
        println!("{user}: {ENDINGS:?} = {told:?}");
        assert_eq!(
            told,
            [0.0, 0.0, 0.0, sessions as f64],
            "{user}: nothing tells KILL from wait_timeout here"
        );
    }
    for (user, wrong) in [("killed", &[0, 2][..]), ("quit", &[1, 2]), ("dropped", &[0, 2])] {
        let told = ended(&page, user);
        println!("{user}: {ENDINGS:?} = {told:?}");
        assert!(wrong.iter().all(|&ending| told[ending] == 0.0), "{user}, {ENDINGS:?}: {told:?}");
    }
}

/// KILL QUERY ends nobody, asleep or at work; and where the counters and the table of errors are emptied in the moment
/// in which sockets are dropped, nobody is said to have been closed, or to have met `wait_timeout`.
fn an_operator_who_empties_counters_makes_nothing_wrong(server: &Server, empties: &str) {
    let exporter = launch(server).start();
    exporter.wait_for_metrics("a server view", Duration::from_secs(20), |page| {
        page.sum("collector_success", &[("collector", "processlist")]) == 1.0
    });
    let mut quiet = sleepers(&[], server, "killed", &["--sessions", "2", "--sleep", "600"]);
    let connected = quiet.events_until("connected", 2);
    let mut dropped = sleepers(&[], server, "dropped", &["--sessions", "2", "--sleep", "600"]);
    dropped.events_until("connected", 2);
    std::thread::sleep(PAUSE);
    let interrupt: String = connected.iter().map(|event| format!("KILL QUERY {};", event["id"])).collect();
    server.sql(&format!("DO SLEEP(2.5); {interrupt} DO SLEEP(4)"));
    let page = exporter.metrics();
    assert_eq!(ended(&page, "killed"), [0.0; 4], "they live on: {:?}", server.processlist());
    assert_eq!(server.processlist().iter().filter(|row| row.user == "killed").count(), 2);
    drop(dropped);
    server.sql(empties);
    let page = exporter.wait_for_metrics("both ends", Duration::from_secs(100), |page| {
        ended(page, "dropped").iter().sum::<f64>() == 2.0
    });
    let told = ended(&page, "dropped");
    println!("dropped, {ENDINGS:?}: {told:?}");
    assert_eq!((told[0], told[2]), (0.0, 0.0), "in the order of {ENDINGS:?}: {told:?}");
    assert_eq!(ended(&page, "killed"), [0.0; 4]);
}

#[test]
fn an_operator_who_empties_counters_makes_nothing_wrong_on_mysql() {
    let server = MySql97::start(MySql97Options { accounts: accounts(), ..MySql97Options::default() });
    let empties = "FLUSH STATUS; TRUNCATE performance_schema.events_errors_summary_by_user_by_error";
    an_operator_who_empties_counters_makes_nothing_wrong(&server, empties);
}

#[test]
fn an_operator_who_empties_counters_makes_nothing_wrong_on_mariadb() {
    let server = MariaDb::start(MariaDbOptions { accounts: accounts(), ..MariaDbOptions::default() });
    an_operator_who_empties_counters_makes_nothing_wrong(&server, "FLUSH STATUS");
}
