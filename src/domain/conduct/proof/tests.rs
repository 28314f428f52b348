use super::*;

fn mark() -> ServerMark {
    ServerMark {
        identity: "uuid".to_owned(),
        hostname: "db1".to_owned(),
        port: 3306,
        started: -5000.0,
        read_at: 10.0,
        took: 0.0,
    }
}

fn facts() -> (Claim, Executioner, ListedRow) {
    let claim = Claim {
        id_certain: true,
        server: Some(mark()),
        row: Some(OwnRow { user: "canary".to_owned(), host: "10.0.0.7:55238".to_owned() }),
        silent_at_least: 10.0,
        silent_at_most: 310.0,
        id_in_use: false,
    };
    let executioner = Executioner { id_certain: true, server: Some(mark()), path_balanced: false };
    let listed = ListedRow {
        user: Some("canary".to_owned()),
        host: Some("10.0.0.7:55238".to_owned()),
        command: Some("Sleep".to_owned()),
        time: Some(310.0),
    };
    (claim, executioner, listed)
}

/// One fact that is otherwise than in a complete proof.
type Change = fn(&mut Claim, &mut Executioner, &mut ListedRow);

#[test]
fn only_a_complete_proof_kills() {
    let missing = Proof::Missing;
    let table: &[(&str, Change, Proof)] = &[
        ("everything is known and fits", |_, _, _| {}, Proof::Complete),
        ("several servers in turn", |_, by, _| by.path_balanced = true, missing(Gap::Balanced)),
        ("its server is unknown", |ghost, _, _| ghost.server = None, missing(Gap::Identity)),
        ("our server is unknown", |_, by, _| by.server = None, missing(Gap::Identity)),
        (
            "neither server has an identity",
            |ghost, by, _| {
                for server in [&mut ghost.server, &mut by.server] {
                    server.as_mut().expect("known").identity.clear();
                }
            },
            missing(Gap::Identity),
        ),
        (
            "another server",
            |_, by, _| by.server.as_mut().expect("known").identity = "other".to_owned(),
            missing(Gap::OtherServer),
        ),
        (
            "a copied data directory on another machine",
            |_, by, _| by.server.as_mut().expect("known").hostname = "db2".to_owned(),
            missing(Gap::OtherServer),
        ),
        (
            "a copied data directory on another port",
            |_, by, _| by.server.as_mut().expect("known").port = 3307,
            missing(Gap::OtherServer),
        ),
        (
            "a copy that started a minute later",
            |_, by, _| by.server.as_mut().expect("known").started += 60.0,
            missing(Gap::OtherServer),
        ),
        (
            "a copy that started a minute earlier",
            |_, by, _| by.server.as_mut().expect("known").started -= 60.0,
            missing(Gap::OtherServer),
        ),
        (
            "Uptime a second off",
            |_, by, _| by.server.as_mut().expect("known").started += 1.0,
            Proof::Complete,
        ),
        ("its id may be a proxy's", |ghost, _, _| ghost.id_certain = false, missing(Gap::Proxy)),
        ("our id may be a proxy's", |_, by, _| by.id_certain = false, missing(Gap::Proxy)),
        ("it could not read its row", |ghost, _, _| ghost.row = None, missing(Gap::OwnRow)),
        (
            "a host without port, on both sides",
            |ghost, _, listed| {
                ghost.row.as_mut().expect("known").host = "localhost".to_owned();
                listed.host = Some("localhost".to_owned());
            },
            missing(Gap::Port),
        ),
        (
            "an IPv6 host",
            |ghost, _, listed| {
                ghost.row.as_mut().expect("known").host = "::1:55238".to_owned();
                listed.host = Some("::1:55238".to_owned());
            },
            Proof::Complete,
        ),
        (
            "a user without a name",
            |ghost, _, listed| {
                ghost.row.as_mut().expect("known").user.clear();
                listed.user = Some(String::new());
            },
            missing(Gap::OtherSession),
        ),
        ("a living session has its id", |ghost, _, _| ghost.id_in_use = true, missing(Gap::IdInUse)),
        ("another user", |_, _, listed| listed.user = Some("app".to_owned()), missing(Gap::OtherSession)),
        (
            "our user, from another port",
            |_, _, listed| listed.host = Some("10.0.0.7:55239".to_owned()),
            missing(Gap::OtherSession),
        ),
        (
            "our user, from another host",
            |_, _, listed| listed.host = Some("10.0.0.8:55238".to_owned()),
            missing(Gap::OtherSession),
        ),
        ("no user", |_, _, listed| listed.user = None, missing(Gap::OtherSession)),
        ("no host", |_, _, listed| listed.host = None, missing(Gap::OtherSession)),
        ("in a statement", |_, _, listed| listed.command = Some("Query".to_owned()), Proof::Busy),
        ("no command", |_, _, listed| listed.command = None, Proof::Busy),
        (
            "a stranger's statement",
            |_, _, listed| {
                listed.command = Some("Query".to_owned());
                listed.host = Some("10.0.0.8:55238".to_owned());
            },
            missing(Gap::OtherSession),
        ),
        ("last heard with the probe", |_, _, listed| listed.time = Some(10.0), Proof::Complete),
        ("heard of since", |_, _, listed| listed.time = Some(5.0), missing(Gap::Time)),
        ("asleep since before its birth", |_, _, listed| listed.time = Some(400.0), missing(Gap::Time)),
        ("no time", |_, _, listed| listed.time = None, missing(Gap::Time)),
        (
            "a time below zero",
            |ghost, _, listed| {
                ghost.silent_at_least = 0.0;
                listed.time = Some(-1.0);
            },
            missing(Gap::Time),
        ),
    ];
    for (name, change, expected) in table {
        let (mut claim, mut executioner, mut listed) = facts();
        change(&mut claim, &mut executioner, &mut listed);
        assert_eq!(prove(&claim, &executioner, &listed), *expected, "{name}");
    }
}

/// A session asked at 10 s; the server had run for 5010 s.
#[test]
fn a_later_run_is_told_from_a_clock_that_strays() {
    // When it started by the other reading, when that was made, and whether it is surely the same run, surely a
    // later one, or neither.
    for (why, started, read_at, same, later) in [
        ("it runs on", -5000.0, 20.0, true, false),
        ("a thousandth in three hours", -4990.0, 10_010.0, true, false),
        ("an `Uptime` that came 3.5 s late", -5003.5, 20.0, false, false),
        ("the same, and the first one was the late one", -4996.5, 20.0, false, false),
        ("its clock was set back by 15 s", -4985.0, 20.0, false, false),
        ("its clock was set back by an hour", -1400.0, 20.0, false, false),
        ("its clock was set forward by an hour", -8600.0, 20.0, false, false),
        ("restarted between the readings", 15.0, 20.0, false, true),
        ("restarted right after the first", 10.5, 10_000.0, false, true),
    ] {
        let other = ServerMark { started, read_at, ..mark() };
        assert_eq!(other.is_same_run(&mark()), same, "{why}");
        assert_eq!(other.is_later_run_of(&mark()), later, "{why}");
        assert_eq!(other.may_be_same_run(&mark()), !later, "{why}");
        assert_eq!(mark().may_be_same_run(&other), !later, "{why}");
        let slow = ServerMark { took: 4.0, ..other.clone() };
        let near = (started + 5000.0).abs() < 6.0;
        assert_eq!(slow.is_same_run(&mark()), same || near, "{why}, by an answer that took 4 s");
        let elsewhere = ServerMark { hostname: "db2".to_owned(), ..other };
        assert!(!elsewhere.is_later_run_of(&mark()) && !elsewhere.may_be_same_run(&mark()), "{why}");
    }
    let young = ServerMark { started: 9.0, read_at: 10.0, ..mark() };
    let again = ServerMark { started: 9.5, read_at: 12.0, ..mark() };
    assert!(!again.is_later_run_of(&young), "a server that was asked in its first second");
}
