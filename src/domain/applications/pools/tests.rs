//! Habits of pools, each told by a few ends.

use super::super::follower::{Follower, Listing};
use super::super::ledger::{Counters, Rise};
use super::super::row::{Row, Whose};
use super::*;

/// One session after the other, each of so many seconds of age; it sleeps `pause`, works at once, and so on. The
/// list is read each second. Gives what is seen after so many of them.
fn one_after_the_other(lifetimes: &[u32], pause: u32) -> Observed {
    let mut follower = Follower::new();
    let mut second = 0_u32;
    let mut ask = |id: u64, age: Option<u32>| {
        let asked = 500.0 + f64::from(second);
        second += 1;
        follower.begin(Listing { asked, ..Listing::default() });
        if let Some(age) = age {
            let host = format!("10.0.0.1:{}", 5000 + id);
            let time = Some(f64::from(age % (pause + 1)) + 0.25);
            let row = Row { id, user: "app", host: &host, command: "Sleep", time };
            follower.see(row, Whose::Application, asked + 0.01);
        }
        let counters =
            Counters { aborted: Some(Rise::exactly(0)), connections: Some(0), ..Counters::default() };
        follower.end(asked + 0.01, true, counters);
    };
    ask(0, None);
    for (number, &lifetime) in lifetimes.iter().enumerate() {
        for age in 0..lifetime {
            ask(number as u64 + 1, Some(age));
        }
    }
    ask(0, None);
    ask(0, None);
    observe(&follower.groups()[0])
}

#[track_caller]
fn is_about(range: Option<(f64, f64)>, seconds: f64) {
    let (from, to) = range.unwrap_or_else(|| panic!("nothing is told of {seconds} s"));
    assert!(from <= seconds + 2.0 && to >= seconds - 2.0 && to - from < 4.0, "{from} to {to}, not {seconds}");
}

#[test]
fn a_pool_that_recycles_is_known_after_two_periods() {
    let seen = one_after_the_other(&[60, 61], 7);
    is_about(seen.replaces_at, 60.0);
    assert_eq!((seen.closes_idle_at, seen.ends), (None, 2));
}

#[test]
fn lifetimes_that_are_shifted_by_some_per_cent_are_one_habit() {
    is_about(one_after_the_other(&[59, 60, 58, 60], 7).replaces_at, 59.0);
}

#[test]
fn two_pools_of_one_user_have_no_habit_in_common() {
    // Beside one that replaces at 20 s, another that never does: its session works every 8 s.
    let mut follower = Follower::new();
    for second in 0..130_u32 {
        let asked = 500.0 + f64::from(second);
        follower.begin(Listing { asked, ..Listing::default() });
        if second > 0 {
            for id in [1_u64, 2 + u64::from(second / 20)] {
                let host = format!("10.0.0.1:{}", 5000 + id);
                let row = Row {
                    id,
                    user: "app",
                    host: &host,
                    command: "Sleep",
                    time: Some(f64::from(second % 8) + 0.25),
                };
                follower.see(row, Whose::Application, asked + 0.01);
            }
        }
        let counters =
            Counters { aborted: Some(Rise::exactly(0)), connections: Some(0), ..Counters::default() };
        follower.end(asked + 0.01, true, counters);
    }
    let seen = observe(&follower.groups()[0]);
    assert_eq!((seen.replaces_at, seen.closes_idle_at), (None, None), "{seen:?}");
    assert!(seen.lent_at_age > 100.0, "{seen:?}");
}

#[test]
fn ends_at_any_age_are_no_habit() {
    let seen = one_after_the_other(&[60, 20, 43, 90], 7);
    assert_eq!((seen.replaces_at, seen.closes_idle_at), (None, None));
    assert!(seen.rested > 4.0);
}

#[test]
fn one_end_is_no_habit() {
    assert_eq!(one_after_the_other(&[60], 7).replaces_at, None);
}

#[test]
fn an_idle_timer_ends_rests_of_one_length_at_ages_of_any() {
    let gone = |age: f64, idle: f64| Gone {
        age: Some((age - 1.0, age + 1.0)),
        idle: Some((idle - 1.0, idle + 1.0)),
        at: 0.0,
    };
    let mut group = follower_group();
    group.closed = [gone(700.0, 600.0), gone(5000.0, 601.0), gone(1300.0, 603.0)].into();
    is_about(observe(&group).closes_idle_at, 601.0);
    assert_eq!(observe(&group).replaces_at, None);
    group.survived = vec![(900.0, 1.0)];
    assert_eq!(observe(&group).closes_idle_at, None, "one was lent again after a longer rest");
    group.survived.clear();
    group.closed = [gone(601.0, 600.0), gone(602.0, 601.0)].into();
    let seen = observe(&group);
    assert_eq!((seen.replaces_at, seen.closes_idle_at), (None, None), "age and rest are one");
    group.closed = [gone(700.0, 600.0), gone(5000.0, 601.0)].into();
    group.mixed = true;
    assert_eq!(observe(&group).closes_idle_at, None, "of a mixture nothing is said");
}

fn follower_group() -> Group {
    let mut follower = Follower::new();
    follower.begin(Listing::default());
    follower.see(
        Row { id: 1, user: "app", host: "10.0.0.1:1", command: "Query", time: None },
        Whose::Application,
        0.0,
    );
    follower.end(0.0, true, Counters::default());
    follower.groups()[0].clone()
}
