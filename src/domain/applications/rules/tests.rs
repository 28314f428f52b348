//! A table for each rule.

use super::super::follower::{Follower, Listing};
use super::super::groups::Gone;
use super::super::ledger::Counters;
use super::super::row::{Row, Whose};
use super::*;

const NOW: f64 = 100_000.0;

fn group(host: &str, survived: &[f64], aborted: &[f64]) -> Group {
    let mut follower = Follower::new();
    follower.begin(Listing { asked: NOW, own_host: Some("10.0.0.9:1"), ..Listing::default() });
    follower.see(Row { id: 1, user: "app", host, command: "Query", time: None }, Whose::Application, NOW);
    follower.end(NOW, true, Counters::default());
    let mut group = follower.groups()[0].clone();
    group.survived = survived.iter().map(|&age| (age, NOW - 60.0)).collect();
    group.aborted = aborted
        .iter()
        .enumerate()
        .map(|(number, &idle)| {
            let at = NOW - 30.0 - 1000.0 * number as f64;
            Gone { age: None, idle: Some((idle - 0.5, idle + 0.5)), at }
        })
        .collect();
    group
}

#[test]
fn an_application_that_is_stopped_does_not_die_at_one_age() {
    let facts = PathFacts { limit: None, survived: 30_000.0, now: NOW };
    let mut group = group("10.0.0.9:5000", &[], &[350.0, 350.2, 349.9]);
    let differs = |group: &Group| application_path_differs(&facts, std::slice::from_ref(group));
    assert_eq!(differs(&group).map(|found| found.len()), Some(1), "three times, one after the other");
    group.aborted.iter_mut().for_each(|gone| gone.at = NOW - 30.0);
    assert_eq!(differs(&group).map(|found| found.len()), Some(0), "all at once");
}

#[test]
fn application_path_differs_where_they_outlive_the_canaries_or_die_before_them() {
    let limit = |takes_the_row| Some(Limit { reached: 350.0, takes_the_row });
    let path = |limit, survived| PathFacts { limit, survived, now: NOW };
    let here = "10.0.0.9:5000";
    let table: Vec<(&str, PathFacts, Group, Option<usize>)> = vec![
        ("outlives twice", path(limit(false), 320.0), group(here, &[900.0, 800.0], &[]), Some(1)),
        ("outlives once", path(limit(false), 320.0), group(here, &[900.0], &[]), Some(0)),
        ("wakes before the limit", path(limit(false), 320.0), group(here, &[200.0, 100.0], &[]), Some(0)),
        ("over the Unix socket", path(limit(false), 320.0), group("localhost", &[900.0, 800.0], &[]), None),
        ("nothing to compare", path(limit(false), 320.0), group(here, &[], &[]), None),
        ("no limit", path(None, 30_000.0), group(here, &[900.0, 800.0], &[]), None),
        (
            "dies at one age where canaries live",
            path(None, 30_000.0),
            group(here, &[], &[350.0, 350.2, 349.9]),
            Some(1),
        ),
        ("dies at any age", path(None, 30_000.0), group(here, &[], &[350.0, 20.0, 900.0]), Some(0)),
        ("dies twice", path(None, 30_000.0), group(here, &[], &[350.0, 350.0]), Some(0)),
        (
            "dies where canaries die",
            path(limit(false), 320.0),
            group(here, &[], &[350.0, 350.0, 350.0]),
            Some(0),
        ),
        (
            "dies past what canaries reached",
            path(None, 100.0),
            group(here, &[], &[350.0, 350.0, 350.0]),
            Some(0),
        ),
    ];
    for (what, facts, group, expected) in table {
        let differs = application_path_differs(&facts, &[group]);
        assert_eq!(differs.as_ref().map(Vec::len), expected, "{what}: {differs:?}");
    }
}

#[test]
fn undeclared_pool_where_sessions_grow_older_than_the_limit() {
    let limit = Some(Limit { reached: 350.0, takes_the_row: false });
    let pools = [Pool::parse("name=api,user=api,recycle=60s").expect("good")];
    for (limit, user, oldest, expected) in [
        (limit, "web", 900.0, Some(true)),
        (limit, "web", 300.0, Some(false)),
        (limit, "web", 352.0, Some(false)),
        (limit, "api", 900.0, Some(false)),
        (None, "web", 900.0, None),
    ] {
        assert_eq!(undeclared_pool(limit, user, oldest, &pools), expected, "{user} {oldest}");
    }
}

#[test]
fn pool_not_as_declared_where_its_sessions_show_another_time() {
    let replaces = |from, to| Observed { replaces_at: Some((from, to)), ends: 3, ..Observed::default() };
    let closes = |from, to| Observed { closes_idle_at: Some((from, to)), ends: 3, ..Observed::default() };
    for (pool, observed, expected) in [
        ("name=a,recycle=1800s", replaces(1790.0, 1830.0), Some(false)),
        ("name=a,recycle=1800s", replaces(1750.0, 1760.0), Some(false)),
        ("name=a,recycle=1800s", replaces(2100.0, 2150.0), Some(false)),
        ("name=a,recycle=1800s", replaces(3600.0, 3610.0), Some(true)),
        ("name=a,recycle=1800s", replaces(600.0, 610.0), Some(true)),
        ("name=a,recycle=6s", replaces(40.0, 41.0), Some(true)),
        ("name=a,recycle=never", replaces(600.0, 610.0), Some(true)),
        ("name=a,recycle=never,idle_timeout=600s", replaces(600.0, 610.0), None),
        ("name=a", replaces(600.0, 610.0), None),
        ("name=a,recycle=1800s", Observed::default(), None),
        ("name=a,idle_timeout=600s", closes(600.0, 630.0), Some(false)),
        ("name=a,idle_timeout=600s", closes(60.0, 90.0), Some(true)),
        ("name=a,idle_timeout=60s", Observed { rested: 300.0, ..Observed::default() }, Some(true)),
        ("name=a,idle_timeout=600s", Observed { rested: 300.0, ..Observed::default() }, None),
    ] {
        let parsed = Pool::parse(pool).expect("good");
        assert_eq!(pool_not_as_declared(&parsed, &observed), expected, "{pool} {observed:?}");
    }
}
