//! Sources that never answer.

use super::*;
use crate::malice::side_by_side;

/// The server never answers one question (`piece`) of the server view: only this source fails. No question is
/// asked again beside the one that hangs, and nobody logs in over and over.
#[track_caller]
fn fails_alone(piece: &'static str, hung: Option<&str>) {
    let peer = peer(move |answers| answers.bytes(piece, Vec::new()));
    let exporter = launch(&peer).start();
    let sources = ["global_status", "global_variables", "processlist"];
    let others: Vec<&str> = sources.into_iter().filter(|source| Some(*source) != hung).collect();
    exporter.wait_for_events("server_view_lost", 1, Duration::from_secs(20));
    let well = |page: &Page| {
        page.one("up", &[]) == 1.0
            && others.iter().all(|source| was_read(page, source))
            && hung.is_none_or(|hung| page.values("collector_success", &[("collector", hung)]) == [0.0])
    };
    exporter.wait_for_metrics(&format!("all but {piece:?}"), Duration::from_secs(10), well);
    // Its first rest is 30 s.
    let accepted = peer.accepted();
    for _ in 0..8 {
        std::thread::sleep(Duration::from_secs(1));
        let page = exporter.metrics();
        assert!(well(&page), "{piece:?}:\n{}", exporter.log());
        assert_eq!(page.sum("server_max_connections", &[]) > 0.0, hung != Some("global_variables"));
        assert_eq!(page.sum("server_threads_connected", &[]) > 0.0, hung != Some("global_status"));
        assert_eq!(page.sum("sessions", &[]) > 0.0, others.contains(&"processlist"));
    }
    // The two canaries may have waited for the place of the session that hangs, and for the first reading.
    let more = peer.accepted() - accepted;
    assert!(more <= 2, "{piece:?}: {more} logins meanwhile:\n{}", exporter.log());
    assert!(peer.open() <= 4, "{piece:?}: {} connections, with a budget of 4", peer.open());
    assert_eq!(exporter.events("server_view_lost").len(), 1, "{piece:?}: asked once:\n{}", exporter.log());
}

#[test]
fn a_source_that_hangs_takes_nothing_else_down() {
    let cases = [
        ("show global status where", Some("global_status")),
        ("show global variables where variable_name in ('max", Some("global_variables")),
        ("processlist where id = connection_id() + 0", Some("processlist")),
        ("id, user, command, time", Some("processlist")),
    ];
    side_by_side(cases, |(piece, hung)| fails_alone(piece, hung));
}

#[test]
fn privileges_that_hang_leave_the_applications_out_and_nothing_else() {
    let peer = peer(|answers| answers.bytes("user_privileges", Vec::new()));
    let exporter = launch(&peer).start();
    exporter.wait_for_events("server_view_lost", 1, Duration::from_secs(20));
    let page = exporter.wait_for_metrics("every source", Duration::from_secs(10), |page| {
        page.sum("collector_success", &[]) == 3.0 && page.one("up", &[]) == 1.0
    });
    assert!(page.values("sessions", &[]).is_empty(), "nobody said what the account may see");
    assert_eq!(exporter.events("privilege_unknown").len(), 1, "{}", exporter.log());
}

#[test]
fn a_server_that_answers_nothing_is_not_asked_over_and_over() {
    let silent = |answers: Answers| {
        ["show global", "user_privileges", "show grants", "user()", "processlist"]
            .into_iter()
            .fold(answers, |answers, piece| answers.bytes(piece, Vec::new()))
            .rows("like 'uptime'", &["Variable_name", "Value"], &[&["Uptime", "1000"]])
            .rows("in ('server_uuid', 'server_uid'", &["Variable_name", "Value"], &[])
    };
    let peer = peer(silent);
    let exporter = launch(&peer).start();
    exporter.wait_for_events("server_view_lost", 2, Duration::from_secs(30));
    let accepted = peer.accepted();
    for _ in 0..10 {
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(exporter.metrics().one("up", &[]), 0.0, "{}", exporter.log());
    }
    assert_eq!(peer.accepted(), accepted, "{}", exporter.log());
    assert_eq!(exporter.events("server_view_lost").len(), 2, "{}", exporter.log());
}

#[test]
fn a_source_that_breaks_every_connection_takes_nothing_else_down() {
    let head = crate::lab::wire::packet(1, &[0xfc, 0, 0]);
    let peer = peer(move |answers| answers.bytes("id, user, command, time", head.clone()));
    let exporter = launch(&peer).start();
    exporter.wait_for_events("server_view_lost", 2, Duration::from_secs(20));
    let accepted = peer.accepted();
    for _ in 0..8 {
        std::thread::sleep(Duration::from_secs(1));
        let page = exporter.metrics();
        assert!(was_read(&page, "global_status") && was_read(&page, "global_variables"));
        assert_eq!(page.one("up", &[]), 1.0);
    }
    assert!(peer.accepted() <= accepted + 1, "it rests:\n{}", exporter.log());
}

/// The question that hangs stays on the server for as long as the server lists who asked it: it is not asked
/// beside itself, however long the rest has been over.
#[test]
fn a_question_that_hangs_is_forgotten_with_the_session_that_asked_it() {
    // The session that asked first is listed for ever.
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let peer = Peer::start(move |mut scene: Scene| {
        if scene.log_in("9.7.0", scene.number).is_err() {
            return;
        }
        count.fetch_add(1, Ordering::Relaxed);
        let ids: Vec<String> = (1..20).map(|id: u32| id.to_string()).collect();
        let rows: Vec<[&str; 5]> =
            ids.iter().map(|id| [id.as_str(), "canary", "Query", "9", ids[0].as_str()]).collect();
        let rows: Vec<&[&str]> = rows.iter().map(|row| &row[..]).collect();
        let answers = good_answers(scene.number.into())
            .rows("id, user, command, time", &["ID", "USER", "COMMAND", "TIME", "OWN"], &rows)
            .bytes("show global status where", Vec::new());
        scene.serve(&answers, None);
    });
    let exporter = launch(&peer).start();
    exporter.wait_for_events("server_view_lost", 1, Duration::from_secs(20));
    // The first rest is 30 s.
    std::thread::sleep(Duration::from_secs(34));
    assert_eq!(exporter.events("server_view_lost").len(), 1, "{}", exporter.log());
    let page = exporter.metrics();
    assert!(was_read(&page, "processlist") && !was_read(&page, "global_status"));
}
