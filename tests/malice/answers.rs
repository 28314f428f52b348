//! Answers to questions that no server gives.

use std::time::Duration;

use super::{QUIET, SWELLING, check_well, good_answers, launch, peak_memory, send, side_by_side};
use crate::lab::{Peer, Scene, Served, wait_for, wire};

/// A server that is good but for these bytes in answer to queries with `piece`.
fn evil_answer(piece: &'static str, bytes: Vec<u8>) -> Peer {
    Peer::start(good_but(piece, bytes))
}

pub(super) fn good_but(piece: &'static str, bytes: Vec<u8>) -> impl Fn(Scene) + Send + Sync + 'static {
    move |mut scene: Scene| {
        if scene.log_in("9.7.0", scene.number).is_ok() {
            let answers = good_answers(scene.number.into()).bytes(piece, bytes.clone());
            scene.serve(&answers, None);
        }
    }
}

/// One kind of question is answered with `bytes`: the exporter tells it, and goes on.
#[track_caller]
fn answers_with(piece: &'static str, bytes: Vec<u8>, words: &str) {
    is_told(&evil_answer(piece, bytes), piece, words);
}

/// What a peer answers is told in these words, and another session is tried.
#[track_caller]
pub(super) fn is_told(peer: &Peer, piece: &str, words: &str) {
    let exporter = launch(peer).start();
    wait_for(&format!("{words:?} in the log after an answer to {piece:?}"), Duration::from_secs(20), || {
        exporter.log().contains(words).then_some(())
    });
    check_well(&exporter);
    let accepted = peer.accepted();
    wait_for("another try", Duration::from_secs(20), || (peer.accepted() > accepted).then_some(()));
}

#[test]
fn answers_of_garbage() {
    let head = |columns: u64| wire::packet(1, &[&[0xfe], &columns.to_le_bytes()[..]].concat());
    let nonsense =
        |what: &str| format!("the server sent {what}, as no MySQL server does: the connection is given up");
    let empty = || (wire::packet(1, &[]), nonsense("an empty packet"));
    let without_columns = || (wire::packet(1, &[0xfc, 0, 0]), nonsense("a result set of 0 columns"));
    let with_columns =
        |columns: u64| (head(columns), nonsense(&format!("a result set of {columns} columns")));
    let row_of = |id: &str, cells: &[&str], columns: &[&str]| {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let row = [id].iter().chain(cells).map(|cell| Some((*cell).to_owned())).collect();
        (wire::result_set(&columns, &[row]), nonsense("a row that does not fit its columns"))
    };
    // The answer to a question that was not asked yet.
    let (one, _) = row_of("7", &[], &["id"]);
    let ahead = ([one.clone(), one].concat(), nonsense("more than was asked for"));
    let cases = [
        ("connection_id()", empty()),
        ("connection_id()", without_columns()),
        ("show global status where", empty()),
        ("show global variables where", without_columns()),
        ("id, user, command, time", with_columns(1 << 24)),
        ("id, user, command, time", with_columns(1 << 40)),
        ("id, user, command, time", with_columns(u64::MAX)),
        ("like 'uptime'", (wire::packet(1, b"\xfb/etc/passwd"), nonsense("a request for a file of ours"))),
        ("connection_id()", row_of("7", &["1", "2"], &["id"])),
        ("connection_id()", ahead),
        ("like 'uptime'", (vec![0xff, 0xff, 0xff, 1], nonsense("a packet of 16777215 bytes"))),
    ];
    side_by_side(cases, |(piece, (bytes, words))| answers_with(piece, bytes, &words));
}

#[test]
fn a_session_that_is_answered_nonsense_is_told_as_that() {
    let cases = [
        ("connection_id()", wire::packet(1, &[]), "an empty packet"),
        ("like 'uptime'", wire::packet(1, &[0xfc, 0, 0]), "a result set of 0 columns"),
    ];
    side_by_side(cases, |(piece, bytes, what)| {
        let peer = evil_answer(piece, bytes);
        let exporter = launch(&peer).start();
        let of_no_use = |failure: &&serde_json::Value| {
            failure["msg"].as_str().is_some_and(|msg| msg.contains("the session is of no use"))
        };
        let failure = wait_for("a session of no use", Duration::from_secs(20), || {
            exporter.events("connect_failed").iter().find(of_no_use).cloned()
        });
        assert_eq!(failure["stage"], "nonsense", "{failure}");
        let told = failure["msg"].as_str().unwrap_or_default();
        assert!(told.ends_with(&format!("the server sent {what}, as no MySQL server does")), "{told}");
        exporter.wait_for_metrics("the count of the failure", Duration::from_secs(5), |page| {
            page.sum("connect_failures_total", &[("stage", "nonsense")]) >= 1.0
        });
    });
}

#[test]
fn an_answer_without_end() {
    let columns = ["ID", "USER", "COMMAND", "TIME"].map(str::to_owned);
    let row = ["999", &"u".repeat(700), "Sleep", "1"].map(|value| Some(value.to_owned()));
    let mut answer = wire::result_set(&columns, &vec![row.to_vec(); 60_000]);
    assert!(answer.len() > 36 << 20);
    // Its end never comes.
    answer.truncate(answer.len() - 9);
    let peer = evil_answer("id, user, command, time", answer);
    let exporter = launch(&peer).start();
    let words = "the server sent an answer of more than 32 MiB";
    wait_for("the end of an answer without end", Duration::from_secs(150), || {
        exporter.log().contains(words).then_some(())
    });
    check_well(&exporter);
}

#[test]
fn names_that_are_no_names() {
    let long = "x".repeat(60_000);
    let odd = "a\"b\\c\nd\u{7f}{}=,é";
    let columns = ["ID", "USER", "COMMAND", "TIME"].map(str::to_owned);
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    for (id, user, command, time) in [
        ("901", odd, "Sleep", "-5"),
        ("x", "app", odd, "nan"),
        ("902", "app", "Sleep", "99999999999999999999999"),
    ] {
        rows.push([id, user, command, time].iter().map(|value| Some((*value).to_owned())).collect());
    }
    rows.push(vec![None; 4]);
    rows.push(vec![Some("903".to_owned()), Some(long), Some("Sleep".to_owned()), Some("1".to_owned())]);
    let list = wire::result_set(&columns, &rows);
    let peer = evil_answer("id, user, command, time", list);
    let exporter = launch(&peer).start();
    let response = wait_for("sessions on the page", Duration::from_secs(20), || {
        let response = exporter.get("/metrics");
        response.body.contains("mysql_canary_sessions{").then_some(response)
    });
    assert!(response.body.contains(r#"user="a\"b\\c?d?{}=,é~"#), "cleaned and escaped:\n{}", response.body);
    let words = |field: &str| {
        format!("mysql_canary_server_words_cut_total{{field=\"{field}\",target=\"default\"}} 0\n")
    };
    assert!(!response.body.contains(&words("user")) && !response.body.contains(&words("command")));
    assert_eq!(response.body.lines().filter(|line| line.starts_with("mysql_canary_up")).count(), 1);
    let log = exporter.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(peak_memory(&exporter) < QUIET + SWELLING);
}

#[test]
fn numbers_that_are_no_numbers() {
    let peer = Peer::start(|mut scene: Scene| {
        if scene.log_in("9.7.0", scene.number).is_err() {
            return;
        }
        let odd = [&["NULL"][..], &["-1"], &["many"]][scene.number as usize % 3];
        let answers = good_answers(scene.number.into())
            .rows("connection_id()", &["id"], &[odd])
            .rows("user_privileges", &["count"], &[odd])
            .rows("processlist where id = connection_id() + 0", &["count"], &[odd])
            .rows("processlist where id in", &["ID"], &[odd, &["18446744073709551616"]])
            .rows("like 'uptime'", &["Variable_name", "Value"], &[&["Uptime", odd[0]]]);
        if scene.serve(&answers, None) == Served::Cued {
            send(&scene, &wire::goodbye());
        }
    });
    let exporter = launch(&peer).start();
    for _ in 0..2 {
        let deaths = exporter.events("death").len();
        exporter.wait_for_metrics("canaries and a server view", Duration::from_secs(20), |page| {
            page.sum("connections", &[]) >= 3.0 && page.sum("up", &[]) == 1.0
        });
        peer.cue();
        exporter.wait_for_events("death", deaths + 2, Duration::from_secs(20));
    }
    check_well(&exporter);
}
