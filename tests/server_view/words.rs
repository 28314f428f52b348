//! Words that a server made up, and lists without end: neither the page nor the memory grows with them.

use super::*;
use crate::lab::wire;
use crate::malice::peak_memory;

/// The most memory the exporter may ever have had after a list of 100,000 sessions, in KiB: BENCHMARKS.md.
const BOUND: u64 = 48 * 1024;

fn texts(columns: &[&str]) -> Vec<String> {
    columns.iter().map(ToString::to_string).collect()
}

/// A processlist of so many sessions.
fn list(sessions: usize, row: impl Fn(usize) -> [String; 6]) -> Vec<u8> {
    let rows: Vec<Vec<Option<String>>> =
        (0..sessions).map(|number| row(number).into_iter().map(Some).collect()).collect();
    wire::result_set(&texts(&["ID", "USER", "COMMAND", "TIME", "OWN", "HOST"]), &rows)
}

#[test]
fn a_hundred_thousand_sessions_are_counted_without_being_kept() {
    const SESSIONS: usize = 100_000;
    let answer = Arc::new(list(SESSIONS, |number| {
        let host = format!("application-{}.example.org:{}", number % 400, 1024 + number % 60_000);
        let user = format!("tenant{:02}", number % 60);
        [
            format!("{}", 1_000_000 + number),
            user,
            "Sleep".to_owned(),
            format!("{}.25", number % 7200),
            "1000000".to_owned(),
            host,
        ]
    }));
    let bytes = answer.len();
    let peer = peer(move |answers| {
        answers.bytes("id, user, command, time", answer.to_vec()).rows(
            "show global status where",
            &["Variable_name", "Value"],
            &[&["Uptime", "1000"], &["Threads_connected", "100003"]],
        )
    });
    // A round of a debug build takes a second of a processor, and is given up after five: others shall not take it.
    let exporter = launch(&peer).under(&["nice", "-n", "-15"]).start();
    let quiet = peak_memory(&exporter);
    let page = exporter.wait_for_metrics("all sessions", Duration::from_secs(150), |page| {
        page.sum("sessions", &[("command", "Sleep")]) == SESSIONS as f64
    });
    for _ in 0..3 {
        std::thread::sleep(Duration::from_secs(1));
        exporter.metrics();
    }
    let expected = (0..SESSIONS).filter(|number| number % 7200 >= 60).count();
    assert_eq!(page.sum("idle_sessions", &[("idle_at_least", "60")]), expected as f64);
    let peak = peak_memory(&exporter);
    let seconds = exporter.metrics().one("collector_duration_seconds", &[("collector", "processlist")]);
    println!(
        "{SESSIONS} sessions, {bytes} bytes: {quiet} KiB at the start, {peak} KiB at most, {seconds:.2} s a round"
    );
    assert!(peak < BOUND, "it once had {peak} KiB");
}

#[test]
fn commands_errors_users_and_versions_that_a_server_made_up_are_counted_and_make_no_series() {
    const WORDS: usize = 30_000;
    let long = ["a", "b"].map(|end| format!("{}{end}", "u".repeat(60)));
    let names = long.clone();
    let commands = list(WORDS, move |number| {
        let user = match number {
            0 => names[0].clone(),
            1 => names[1].clone(),
            2 => "x".repeat(50_000),
            3 => "_other".to_owned(),
            _ => "app".to_owned(),
        };
        let command = if number < 4 { "Sleep".to_owned() } else { format!("command{number}") };
        [format!("{}", 1000 + number), user, command, "7".to_owned(), "1000".to_owned(), "h:1".to_owned()]
    });
    let errors: Vec<Vec<Option<String>>> = (0..WORDS)
        .map(|number| vec![Some(format!("Connection_errors_made_up_{number}")), Some("2".to_owned())])
        .chain([vec![Some("Connection_errors_accept".to_owned()), Some("3".to_owned())]])
        .chain([vec![Some("Threads_connected".to_owned()), Some("30000".to_owned())]])
        .collect();
    let errors = wire::result_set(&texts(&["Variable_name", "Value"]), &errors);
    let peer = Peer::start(move |mut scene: Scene| {
        let version = format!("made-up-{}", "9".repeat(1000));
        if scene.log_in(&version, scene.number).is_ok() {
            let answers = good_answers(scene.number.into())
                .bytes("id, user, command, time", commands.clone())
                .bytes("show global status where", errors.clone());
            scene.serve(&answers, None);
        }
    });
    let exporter = launch(&peer).start();
    let page = exporter.wait_for_metrics("the list", Duration::from_secs(30), |page| {
        page.sum("sessions", &[("user", "app"), ("command", "other")]) == (WORDS - 4) as f64
            && page.sum("server_connection_errors_total", &[("error", "other")]) == 2.0 * WORDS as f64
    });
    assert_eq!(page.one("server_connection_errors_total", &[("error", "accept")]), 3.0);
    assert_eq!(page.values("sessions", &[("command", "Sleep")]), [1.0; 4], "no two users are one");
    assert_eq!(page.one("server_info", &[("version", "other"), ("flavor", "mysql")]), 1.0);
    for (field, least) in [("command", WORDS - 4), ("connection_error", WORDS), ("user", 4), ("version", 1)] {
        assert!(page.one("server_words_cut_total", &[("field", field)]) >= least as f64, "{field}");
    }
    assert!(page.series_count() < 700, "{} series", page.series_count());
    for line in page.text().lines().filter(|line| line.contains("user=\"")) {
        let longest = line.split('"').skip(1).step_by(2).map(|value| value.chars().count()).max();
        assert!(longest <= Some(32), "{line}");
    }
    assert!(peak_memory(&exporter) < BOUND, "{} KiB", peak_memory(&exporter));
}

#[test]
fn a_list_that_is_not_whole_says_nothing() {
    let peer = peer(|answers| {
        answers.bytes(
            "id, user, command, time",
            list(120_001, |number| {
                [
                    "1".to_owned(),
                    "app".to_owned(),
                    "Sleep".to_owned(),
                    format!("{number}"),
                    "1".to_owned(),
                    "h".to_owned(),
                ]
            }),
        )
    });
    says_nothing(&peer, "the server lists more than 120000 sessions");
}

#[test]
fn a_list_without_the_session_that_asked_says_nothing() {
    let columns = ["ID", "USER", "COMMAND", "TIME", "OWN"];
    let empty = peer(move |answers| answers.rows("id, user, command, time", &columns, &[]));
    says_nothing(&empty, "does not hold the session that asked");
    let other = peer(move |answers| {
        answers.rows("id, user, command, time", &columns, &[&["999", "app", "Sleep", "7", "998"]])
    });
    says_nothing(&other, "does not hold the session that asked");
}

#[track_caller]
fn says_nothing(peer: &Peer, words: &str) {
    // A round that is too slow is given up, and asked again after half a minute: that is no answer yet.
    let exporter = launch(peer).under(&["nice", "-n", "-15"]).start();
    exporter.wait_for_events("collector_failed", 1, Duration::from_secs(150));
    let page = exporter.wait_for_metrics("a round", Duration::from_secs(90), |page| {
        page.values("collector_success", &[("collector", "processlist")]) == [0.0]
    });
    assert!(was_read(&page, "global_status") && page.one("up", &[]) == 1.0);
    for name in ["sessions", "idle_sessions", "session_longest_idle_seconds", "ghost_sessions"] {
        assert!(page.values(name, &[]).is_empty(), "{name}");
    }
    std::thread::sleep(Duration::from_secs(3));
    let told = exporter.events("collector_failed");
    assert_eq!(told.len(), 1, "once, not every round: {}", exporter.log());
    assert!(told[0]["error"].as_str().is_some_and(|error| error.contains(words)), "{}", told[0]);
}
