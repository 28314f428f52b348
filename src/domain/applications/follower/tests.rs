//! Sessions as the follower sees them, one oddity at a time; all of them at once are the oracle's.

use super::*;

/// A round a second apart, its rows as (id, user, host, command, time).
fn round(follower: &mut Follower, asked: f64, rows: &[(u64, &str, &str, &str, Option<f64>)]) -> Round {
    follower.begin(Listing { asked, identity: Some("one"), ..Listing::default() });
    for &(id, user, host, command, time) in rows {
        follower.see(Row { id, user, host, command, time }, Whose::Application, asked + 0.01);
    }
    follower.end(asked + 0.01, true, Counters::default())
}

const HOST: &str = "10.0.0.1:4000";

fn sleep(time: f64) -> (u64, &'static str, &'static str, &'static str, Option<f64>) {
    (7, "app", HOST, "Sleep", Some(time))
}

#[track_caller]
fn survives(
    before: f64,
    after: f64,
    row: (u64, &str, &str, &str, Option<f64>),
    expected: Option<(f64, f64)>,
) {
    let mut follower = Follower::new();
    round(&mut follower, 100.0, &[sleep(before)]);
    let seen = round(&mut follower, 100.0 + after, &[row]);
    let told = seen.survivals.first().map(|survival| (survival.at_least, survival.at_most));
    match (told, expected) {
        (Some(told), Some(expected)) => {
            assert!(
                (told.0 - expected.0).abs() < 0.1 && (told.1 - expected.1).abs() < 0.1,
                "{told:?} {expected:?}"
            );
        }
        (told, expected) => assert_eq!(told, expected, "{before} {after} {row:?}"),
    }
}

#[test]
fn a_smaller_time_is_a_survival_between_two_ages() {
    // Slept 20 s when seen, woke at some time in the next 15 s, and has slept for 3 s again.
    survives(20.5, 15.0, sleep(3.5), Some((20.5, 32.0)));
    survives(20.0, 15.0, sleep(3.0), Some((19.0, 34.0)));
    survives(20.5, 15.0, (7, "app", HOST, "Query", Some(0.0)), Some((20.5, 35.5)));
    survives(20.5, 15.0, (7, "app", HOST, "Ping", None), Some((20.5, 35.5)));
}

#[test]
fn what_proves_no_wake_is_none() {
    survives(20.5, 15.0, sleep(35.5), None);
    survives(20.0, 15.0, sleep(34.0), None);
    survives(20.5, 15.0, sleep(35.45), None);
    for command in ["Killed", "Quit", "Connect", "", "Teleport"] {
        survives(20.5, 15.0, (7, "app", HOST, command, Some(0.0)), None);
    }
    for time in [None, Some(-1.0), Some(f64::NAN), Some(4_294_967_295.0)] {
        survives(20.5, 15.0, (7, "app", HOST, "Sleep", time), None);
    }
    // A sleep too short to be told from a clock that was set.
    survives(3.0, 15.0, sleep(1.5), None);
    // A clock that was set back by ten seconds: the sleep would have begun before it was seen.
    survives(100.5, 15.0, sleep(105.5), None);
    // Another client under the same id.
    survives(20.5, 15.0, (7, "app", "10.0.0.1:4001", "Query", Some(0.0)), None);
}

#[test]
fn a_change_of_user_is_a_packet_of_the_client() {
    survives(20.5, 15.0, (7, "other", HOST, "Sleep", Some(3.5)), Some((20.5, 32.0)));
}

#[test]
fn an_hour_that_a_clock_was_set_forward_is_no_sleep() {
    let mut follower = Follower::new();
    let mut ask = |asked: f64, uptime: f64, time: f64| {
        let listing = Listing {
            asked,
            identity: Some("one"),
            uptime: Some((uptime, asked, asked)),
            ..Listing::default()
        };
        follower.begin(listing);
        let row = Row { id: 7, user: "app", host: HOST, command: "Sleep", time: Some(time) };
        follower.see(row, Whose::Application, asked);
        follower.end(asked, true, Counters::default()).survivals
    };
    assert!(ask(100.0, 1000.0, 10.5).is_empty());
    assert!(ask(115.0, 4615.0, 3625.5).is_empty());
    assert!(ask(130.0, 4630.0, 3640.5).is_empty());
    let survivals = ask(145.0, 4645.0, 1.5);
    assert_eq!(survivals.len(), 1);
    assert!(survivals[0].at_least <= 15.1, "{survivals:?}");
}

/// What a server that counts `TIME` from the statement before is seen to say each second from 100 s on; gives the
/// follower, and the survivals.
fn by_statement(rows: impl IntoIterator<Item = Option<(&'static str, f64)>>) -> (Follower, Vec<Survival>) {
    let (mut follower, mut survivals) = (Follower::new(), Vec::new());
    for (second, row) in (0_u32..).zip(rows) {
        let asked = 100.0 + f64::from(second);
        let counts_from = CountsFrom::Statement;
        follower.begin(Listing { asked, identity: Some("one"), counts_from, ..Listing::default() });
        if let Some((command, time)) = row {
            let row = Row { id: 7, user: "app", host: HOST, command, time: Some(time) };
            follower.see(row, Whose::Application, asked + 0.01);
        }
        survivals.extend(follower.end(asked + 0.01, true, Counters::default()).survivals);
    }
    (follower, survivals)
}

fn idle(follower: &Follower) -> Option<(f64, f64)> {
    follower.sleepers().next().and_then(|(_, sleeper)| sleeper.idle)
}

#[test]
fn a_long_statement_is_no_sleep() {
    let statement = || (0..30).map(|second| Some(("Query", f64::from(second))));
    let sleep = |seconds: std::ops::Range<i32>| seconds.map(|second| Some(("Sleep", f64::from(second))));
    let (follower, _) = by_statement(statement().chain(sleep(30..31)));
    assert_eq!(idle(&follower), Some((0.0, 31.0)), "it has slept since it was last seen at work");
    let (follower, _) = by_statement(statement().chain(sleep(30..50)));
    let slept = idle(&follower).expect("it sleeps").0;
    assert!((18.0..=19.0).contains(&slept), "{slept}");
    let (_, survivals) = by_statement(statement().chain(sleep(30..35)).chain([Some(("Query", 0.0))]));
    assert!(survivals.iter().all(|survival| survival.at_least < 5.0), "{survivals:?}");
    let (_, survivals) = by_statement(sleep(0..20).chain([Some(("Query", 0.0))]));
    let least = survivals.first().expect("it woke").at_least;
    assert!((15.0..19.0).contains(&least), "{least}");
}

#[test]
fn a_time_that_a_session_set_itself_proves_nothing() {
    // `SET timestamp` to ten thousand seconds ago, and a statement each few seconds that no list meets.
    let set =
        |seconds: std::ops::Range<i32>| seconds.map(|second| Some(("Sleep", f64::from(10_000 + second))));
    let (follower, survivals) = by_statement([None, None].into_iter().chain(set(0..60)));
    assert_eq!(idle(&follower), None);
    assert!(
        follower.sleepers().all(|(_, sleeper)| sleeper.age < 70.0 && sleeper.born_seen),
        "it has just begun"
    );
    assert!(survivals.is_empty());
    let set_later = [None, Some(("Sleep", 0.0)), Some(("Sleep", 1.0))].into_iter().chain(set(0..60));
    let (follower, survivals) = by_statement(set_later.chain([Some(("Query", 10_060.0))]));
    assert!(survivals.is_empty(), "{survivals:?}");
    assert_eq!(idle(&follower), None);
}

#[test]
fn nobody_has_slept_since_before_the_server_began() {
    for (uptime, expected) in [(500.0, None), (20_000.0, Some((0.0, 10_001.0)))] {
        let mut follower = Follower::new();
        let uptime = Some((uptime, 100.0, 100.0));
        follower.begin(Listing {
            asked: 100.0,
            uptime,
            counts_from: CountsFrom::Statement,
            ..Listing::default()
        });
        let (id, user, host, command, time) = sleep(10_000.0);
        follower.see(Row { id, user, host, command, time }, Whose::Application, 100.0);
        follower.end(100.0, true, Counters::default());
        assert_eq!(idle(&follower), expected);
    }
}

#[test]
fn another_server_ends_nobody() {
    let mut follower = Follower::new();
    round(&mut follower, 100.0, &[sleep(20.5)]);
    follower.begin(Listing { asked: 115.0, identity: Some("two"), ..Listing::default() });
    follower.see(
        Row { id: 7, user: "app", host: "10.0.0.1:9", command: "Query", time: None },
        Whose::Application,
        115.0,
    );
    let seen = follower.end(115.0, true, Counters::default());
    assert_eq!((seen.survivals.len(), seen.endings.len(), seen.out_of_sight, follower.len()), (0, 0, 1, 1));
}

#[test]
fn ours_are_forgotten_and_end_never() {
    let mut follower = Follower::new();
    round(&mut follower, 100.0, &[sleep(20.5), (8, "app", "10.0.0.1:8", "Sleep", Some(1.5))]);
    follower.begin(Listing { asked: 115.0, identity: Some("one"), ..Listing::default() });
    follower.see(
        Row { id: 7, user: "app", host: HOST, command: "Sleep", time: Some(1.0) },
        Whose::Ours,
        115.0,
    );
    follower.forget(8);
    follower.end(115.0, true, Counters::default());
    let seen = round(&mut follower, 130.0, &[]);
    assert!(follower.is_empty() && seen.survivals.is_empty() && seen.endings.is_empty());
    assert_eq!(follower.groups()[0].living, 0);
}

#[test]
fn who_is_left_out_is_followed_and_never_told_of() {
    let mut follower = Follower::new();
    for (asked, time) in [(100.0, 20.5), (115.0, 1.5)] {
        follower.begin(Listing { asked, ..Listing::default() });
        follower.see(
            Row { id: 7, user: "console", host: HOST, command: "Sleep", time: Some(time) },
            Whose::LeftOut,
            asked,
        );
        assert!(follower.end(asked, true, Counters::default()).survivals.is_empty());
    }
    assert_eq!((follower.len(), follower.sleepers().count()), (1, 0));
    assert!(round(&mut follower, 130.0, &[]).endings.is_empty());
    assert!(round(&mut follower, 145.0, &[]).endings.is_empty());
}

#[test]
fn twenty_thousand_sessions_with_churn_cost_less_than_200_bytes_each() {
    const SESSIONS: u64 = 20_000;
    let mut follower = Follower::new();
    let hosts: Vec<String> =
        (0..SESSIONS).map(|n| format!("10.0.{}.{}:{}", n % 3, n % 200, 1024 + n)).collect();
    let users: Vec<String> = (0..60).map(|n| format!("tenant{n}")).collect();
    let mut most = 0.0_f64;
    for turn in 0..40_u64 {
        let asked = 100.0 + turn as f64 * 15.0;
        follower.begin(Listing { asked, ..Listing::default() });
        for place in 0..SESSIONS {
            // Every tenth place has a new session in every round.
            let id = if place % 10 == turn % 10 { turn * SESSIONS + place } else { place };
            let user = &users[place as usize % users.len()];
            let row = Row { id, user, host: &hosts[place as usize], command: "Sleep", time: Some(1.5) };
            follower.see(row, Whose::Application, asked);
        }
        follower.end(asked, true, Counters::default());
        assert_eq!(follower.len() as u64, SESSIONS);
        most = most.max(follower.bytes() as f64 / follower.len() as f64);
    }
    assert!(most < 200.0, "{most}");
    assert!(follower.groups().len() <= 512 + 8);
    // They leave, and their memory with them.
    round(&mut follower, 1000.0, &[]);
    assert_eq!(follower.bytes(), 0);
}

/// What a round tells of a list of one row, after one of another a second before.
fn then(
    before: (u64, &str, &str, &str, Option<f64>),
    rows: &[(u64, &str, &str, &str, Option<f64>)],
) -> Round {
    let mut follower = Follower::new();
    round(&mut follower, 100.0, &[before]);
    let mut told = round(&mut follower, 101.0, rows);
    for later in 0..4 {
        told.endings.extend(round(&mut follower, 102.0 + f64::from(later), &[]).endings);
    }
    told
}

#[test]
fn rows_of_the_servers_own_and_of_replicas_are_no_applications() {
    for row in [
        (7, "repl", HOST, "Binlog Dump", Some(90_000.0)),
        (7, "repl", HOST, "Binlog Dump GTID", Some(5.0)),
        (7, "event_scheduler", "localhost", "Daemon", Some(50.0)),
        (7, "system user", "", "Connect", Some(50.0)),
        (7, "somebody", "localhost", "Daemon", None),
    ] {
        let told = then(row, &[row]);
        assert!(told.survivals.is_empty() && told.endings.is_empty(), "{row:?}: {told:?}");
    }
    // One that asked as anybody does, and then for the binary log.
    let told = then((7, "repl", HOST, "Sleep", Some(60.5)), &[(7, "repl", HOST, "Binlog Dump", Some(0.5))]);
    assert!(told.survivals.is_empty() && told.endings.is_empty(), "{told:?}");
}

#[test]
fn a_killed_query_is_no_end() {
    let mut follower = Follower::new();
    for (asked, command) in [(100.0, "Query"), (101.0, "Killed"), (102.0, "Sleep")] {
        let told = round(&mut follower, asked, &[(7, "app", HOST, command, Some(0.5))]);
        assert!(told.endings.is_empty(), "{told:?}");
    }
    assert_eq!(follower.len(), 1);
    // It says COM_QUIT later: nothing was counted, or nobody knows.
    for (counters, ending) in [
        (Counters { aborted: Some(Rise::default()), ..Counters::default() }, Ending::Closed),
        (Counters::default(), Ending::Undecided),
    ] {
        let mut follower = Follower::new();
        round(&mut follower, 100.0, &[(7, "app", HOST, "Killed", Some(0.5))]);
        let mut told = BTreeMap::new();
        for later in 0..5 {
            let asked = 101.0 + f64::from(later);
            follower.begin(Listing { asked, identity: Some("one"), ..Listing::default() });
            told.extend(follower.end(asked, true, counters.clone()).endings);
        }
        assert_eq!(told, BTreeMap::from([(("app".to_owned(), ending), 1)]));
    }
}

#[test]
fn without_uptime_a_session_on_the_socket_may_be_another_one() {
    let row = |time: f64| (7, "app", "localhost", "Sleep", Some(time));
    let told = then(row(60.5), &[row(0.5)]);
    assert!(told.survivals.is_empty(), "{told:?}");
}
