//! Who is at risk: a table of one session each, its user's history beside it.

use super::super::follower::{Follower, Listing};
use super::super::groups::Gone;
use super::super::ledger::Counters;
use super::super::row::{Row, Whose};
use super::*;

const NOW: f64 = 100_000.0;
const LIMIT: Limit = Limit { reached: 8.0, takes_the_row: false };

fn group(host: &str) -> Group {
    let mut follower = Follower::new();
    follower.begin(Listing { asked: NOW, own_host: Some("10.0.0.9:1"), ..Listing::default() });
    follower.see(
        Row { id: 1, user: "app", host, command: "Sleep", time: Some(1.0) },
        Whose::Application,
        NOW,
    );
    follower.end(NOW, true, Counters::default());
    follower.groups()[0].clone()
}

fn asleep(idle: f64) -> Sleeper {
    Sleeper {
        group: 0,
        idle: Some((idle, idle)),
        age: idle,
        born_seen: false,
        survived: 0.0,
        survived_at: 0.0,
    }
}

fn with(change: impl FnOnce(&mut Group)) -> Group {
    let mut group = group("10.0.0.9:5000");
    change(&mut group);
    group
}

fn failed(at: f64) -> Gone {
    Gone { age: None, idle: Some((20.0, 30.0)), at }
}

#[test]
fn one_session_at_a_time() {
    let woke = |ages: &[(f64, f64)]| {
        let ages = ages.iter().map(|&(age, ago)| (age, NOW - ago)).collect::<Vec<_>>();
        with(|group| group.survived = ages)
    };
    let births =
        |ago: [Option<f64>; 2]| with(|group| group.newest_births = ago.map(|ago| ago.map(|ago| NOW - ago)));
    let table: Vec<(&str, f64, Group, Standing)> = vec![
        ("past the limit", 9.0, with(|_| {}), Standing::AtRisk),
        ("at the limit", 8.0, with(|_| {}), Standing::AtRisk),
        ("below the limit", 7.9, with(|_| {}), Standing::NotYet),
        ("Unix socket", 9.0, group("localhost"), Standing::NoPath),
        ("the server's loopback", 9.0, group("127.0.0.1:5000"), Standing::NoPath),
        ("another host", 9.0, group("10.0.0.7:5000"), Standing::AtRisk),
        ("woke twice from 18 s", 20.0, woke(&[(18.0, 60.0), (18.0, 40.0)]), Standing::Outlives),
        ("woke once", 20.0, woke(&[(18.0, 60.0)]), Standing::AtRisk),
        ("woke twice, once yesterday", 20.0, woke(&[(18.0, 90_000.0), (18.0, 40.0)]), Standing::AtRisk),
        ("woke twice from just past the limit", 9.0, woke(&[(9.0, 60.0), (9.5, 40.0)]), Standing::AtRisk),
        (
            "sleeps for much longer than it ever did",
            200.0,
            woke(&[(18.0, 60.0), (18.0, 40.0)]),
            Standing::AtRisk,
        ),
        ("two others began since", 60.0, births([Some(10.0), Some(30.0)]), Standing::LeftBehind),
        ("one began since", 60.0, births([Some(10.0), Some(70.0)]), Standing::AtRisk),
        ("two began before it was past", 9.0, births([Some(2.0), Some(5.0)]), Standing::AtRisk),
        (
            "one came and one went",
            60.0,
            with(|group| (group.newest_births[0], group.newest_end) = (Some(NOW - 10.0), Some(NOW - 20.0))),
            Standing::LeftBehind,
        ),
        (
            "others come, nobody knows whose they are",
            60.0,
            with(|group| {
                group.mixed = true;
                group.newest_births = [Some(NOW - 10.0), Some(NOW - 30.0)];
            }),
            Standing::AtRisk,
        ),
        (
            "outlived once, and fails since",
            20.0,
            with(|group| {
                group.survived = vec![(18.0, NOW - 900.0), (18.0, NOW - 800.0)];
                group.aborted = [failed(NOW - 500.0), failed(NOW - 400.0)].into();
            }),
            Standing::AtRisk,
        ),
        (
            "stopped after it had failed",
            900.0,
            with(|group| {
                (group.births, group.longest_pause, group.newest_wake) = (5, 30.0, Some(NOW - 895.0));
                group.aborted = [failed(NOW - 950.0), failed(NOW - 900.0)].into();
            }),
            Standing::LeftBehind,
        ),
        (
            "pauses, and never failed",
            900.0,
            with(|group| {
                (group.births, group.longest_pause, group.newest_wake) = (5, 30.0, Some(NOW - 895.0))
            }),
            Standing::AtRisk,
        ),
    ];
    for (what, idle, group, standing) in table {
        assert_eq!(judge(&asleep(idle), &group, LIMIT, NOW), standing, "{what}");
    }
    let awake = Sleeper { idle: None, ..asleep(0.0) };
    assert_eq!(judge(&awake, &with(|_| {}), LIMIT, NOW), Standing::NotYet);
    let takes = Limit { takes_the_row: true, ..LIMIT };
    assert_eq!(judge(&asleep(900.0), &with(|_| {}), takes, NOW), Standing::NotKilled);
    let itself = Sleeper { survived: 18.0, survived_at: NOW - 50.0, ..asleep(20.0) };
    let mixed = with(|group| group.mixed = true);
    assert_eq!(judge(&itself, &mixed, LIMIT, NOW), Standing::Outlives, "it did so itself");
}

#[test]
fn one_user_clears_no_other() {
    let survivor = with(|group| group.survived = vec![(18.0, NOW - 60.0), (18.0, NOW - 40.0)]);
    let other = with(|group| group.user = "other".to_owned());
    let sleepers = [asleep(20.0), Sleeper { group: 1, ..asleep(20.0) }];
    let groups = [survivor, other];
    let users = judge_all(sleepers.into_iter(), &groups, LIMIT, NOW);
    assert_eq!((users["app"].at_risk, users["app"].outlives), (0, Some((2, 18.0))));
    assert_eq!((users["other"].at_risk, users["other"].at_risk_on_canary_host), (1, 1));
}

#[test]
fn an_application_that_reconnects_and_then_stops_pages_no_more() {
    // It sleeps 20 s, finds its session dead, and opens another one: four times. Then it is gone.
    let mut follower = Follower::new();
    let mut at_risk = Vec::new();
    for second in 0..400_u32 {
        let asked = 1000.0 + f64::from(second);
        follower.begin(Listing { asked, own_host: Some("10.0.0.9:1"), ..Listing::default() });
        for turn in 0..5_u32 {
            let born = turn * 20 + 5;
            if second < born {
                continue;
            }
            let time = Some(f64::from(second - born) + 0.5);
            let host = format!("10.0.0.9:{}", 5000 + turn);
            let row = Row { id: u64::from(turn) + 1, user: "app", host: &host, command: "Sleep", time };
            follower.see(row, Whose::Application, asked);
        }
        follower.end(asked, true, Counters::default());
        let sleepers = follower.sleepers().map(|(_, sleeper)| sleeper);
        let users = judge_all(sleepers, follower.groups(), LIMIT, asked);
        at_risk.push(users.get("app").map_or(0, |user| user.at_risk));
    }
    assert_eq!(at_risk[20], 1, "the first one will fail");
    assert_eq!(at_risk[399], 0, "{at_risk:?}");
    let last = at_risk.iter().rposition(|&count| count > 0).expect("some were at risk");
    assert!(last < 85 + 100, "it stopped at second 85, and was last at risk at {last}");
}

#[test]
fn severity_follows_the_stakes() {
    let stakes = |pool_replaces, on_this_path, failed| Stakes { pool_replaces, on_this_path, failed };
    for (stakes, severe) in [
        (stakes(Some(false), true, 1), (Severity::Critical, Tense::HasFailed)),
        (stakes(Some(false), true, 0), (Severity::Warning, Tense::WillFail)),
        (stakes(Some(true), true, 9), (Severity::Warning, Tense::HasFailed)),
        (stakes(None, true, 9), (Severity::Warning, Tense::HasFailed)),
        (stakes(Some(false), false, 9), (Severity::Warning, Tense::HasFailed)),
    ] {
        assert_eq!(severity(stakes), severe, "{stakes:?}");
    }
}
