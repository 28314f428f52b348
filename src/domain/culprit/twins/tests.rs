use super::*;
use crate::domain::life::ending::Ending;

fn at(limit: f64) -> IdleLimit {
    IdleLimit { upper: Some(limit), share: 1.0, ..IdleLimit::default() }
}

fn seen(kind: Kind, at: f64, age: f64, lived: bool) -> Observation {
    let (ending, culprit) = (Ending::Fin, Culprit::Unknown);
    let died = Fate::Died { ending, exact: true, culprit, recurs: false, killed: None };
    Observation { at, kind, age, fate: if lived { Fate::Lived } else { died }, server: None }
}

#[test]
fn all_three_are_launched_once_and_then_rest() {
    let mut history = History::default();
    // One that pings lives by chance where a limit of age rules a part.
    let at_first = [Kind::Busy, Kind::Active, Kind::Keepalive, Kind::Active];
    let kinds = |plan: Vec<(Kind, f64)>| plan.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    assert_eq!(kinds(plan(&history, &at(100.0), &[], 0.0)), at_first);
    let held = [Kind::Busy, Kind::Active];
    assert_eq!(kinds(plan(&history, &at(100.0), &held, 0.0)), [Kind::Keepalive]);
    for kind in at_first {
        history.push(seen(kind, 10.0, probe_age(100.0), true));
    }
    assert_eq!(outlives(&history, Kind::Keepalive, &at(100.0)), Some(true));
    assert_eq!(plan(&history, &at(100.0), &[], 11.0), []);
    assert_eq!(kinds(plan(&history, &at(100.0), &[], 3611.0)), TWINS, "repeated rarely");
    assert_eq!(
        kinds(plan(&history, &at(200.0), &[], 11.0)),
        at_first,
        "a change of the limit launches them anew"
    );
}

#[test]
fn a_death_is_repeated_before_it_is_believed() {
    let mut history = History::default();
    let sent = |history: &History, now| plan(history, &at(100.0), &[Kind::Busy, Kind::Active], now).len();
    let told = |history: &History| outlives(history, Kind::Keepalive, &at(100.0));
    assert_eq!((sent(&history, 0.0), told(&history)), (1, None));
    history.push(seen(Kind::Keepalive, 10.0, 100.0, false));
    assert_eq!((sent(&history, 11.0), told(&history)), (1, None), "one death may be a stray");
    history.push(seen(Kind::Keepalive, 20.0, 100.1, false));
    assert_eq!((sent(&history, 21.0), told(&history)), (0, Some(false)));
    history.push(seen(Kind::Keepalive, 30.0, probe_age(100.0), true));
    assert_eq!((sent(&history, 31.0), told(&history)), (0, Some(true)));
    history.push(seen(Kind::Keepalive, 40.0, 100.1, false));
    assert_eq!((sent(&history, 41.0), told(&history)), (1, Some(true)), "a stray, until it is repeated");
}

#[test]
fn a_twin_that_dies_of_something_later_outlived_the_limit() {
    let mut history = History::default();
    history.push(seen(Kind::Keepalive, 10.0, 4.0, false));
    history.push(seen(Kind::Active, 10.0, 7.0, false));
    history.push(seen(Kind::Active, 10.5, 7.1, false));
    let found = Fate::Died {
        ending: Ending::Silence,
        exact: false,
        culprit: Culprit::Unknown,
        recurs: false,
        killed: None,
    };
    history.push(Observation { at: 11.0, kind: Kind::Busy, age: 6.0, fate: found, server: None });
    assert_eq!(
        read(&history, &at(4.0)),
        Twins { keepalive: Some(false), busy: Some(false), active: Some(true) }
    );
    assert_eq!(read(&history, &at(60.0)), Twins::default(), "of a limit that moved they say nothing");
    assert_eq!(read(&history, &at(1.0)), Twins::default());
}

#[test]
fn another_killer_at_that_age_is_another_story() {
    let idle_death = |at, culprit| {
        let fate = Fate::Died { ending: Ending::Silence, exact: false, culprit, recurs: false, killed: None };
        Observation { at, kind: Kind::Idle, age: 100.0, fate, server: None }
    };
    let mut history = History::default();
    history.push(idle_death(1.0, Culprit::NetworkIdleTimeout));
    history.push(seen(Kind::Keepalive, 10.0, probe_age(100.0), true));
    history.push(idle_death(20.0, Culprit::NetworkIdleTimeout));
    history.push(idle_death(30.0, Culprit::Unknown));
    assert_eq!(read(&history, &at(100.0)).keepalive, Some(true));
    history.push(idle_death(40.0, Culprit::ServerIdleTimeout));
    assert_eq!(read(&history, &at(100.0)).keepalive, Some(true), "one alone is a stray");
    history.push(idle_death(40.5, Culprit::ServerIdleTimeout));
    assert_eq!(read(&history, &at(100.0)), Twins::default());
    assert_eq!(plan(&history, &at(100.0), &[], 41.0).len(), TWINS.len() + 1);
    history.push(seen(Kind::Keepalive, 50.0, 100.0, false));
    assert_eq!(read(&history, &at(100.0)).keepalive, Some(false));
}

#[test]
fn twins_that_live_say_nothing_of_a_part_until_they_are_many() {
    let part = IdleLimit { share: 0.5, ..at(100.0) };
    let mut history = History::default();
    let told = |history: &History| outlives(history, Kind::Keepalive, &part);
    for place in 0..4 {
        history.push(seen(Kind::Keepalive, f64::from(place), probe_age(100.0), true));
        assert_eq!(told(&history), None, "one in {} is of the other part by chance", 2 << place);
        let held = [[Kind::Busy].as_slice(), &[Kind::Active; AT_ONCE_OF_A_PART]].concat();
        assert_eq!(plan(&history, &part, &held, 10.0).len(), 1);
    }
    history.push(seen(Kind::Keepalive, 5.0, probe_age(100.0), true));
    assert_eq!(told(&history), Some(true));
    history.push(seen(Kind::Keepalive, 6.0, 100.0, false));
    assert_eq!(told(&history), None);
    history.push(seen(Kind::Keepalive, 7.0, 100.1, false));
    history.push(seen(Kind::Keepalive, 8.0, probe_age(100.0), true));
    assert_eq!(told(&history), Some(false), "whatever lives on the other part");
}

#[test]
fn one_with_keepalive_that_lives_past_a_kill_or_a_proxy_was_elsewhere() {
    for culprit in [Culprit::ServerKill, Culprit::ProxyIdleTimeout] {
        let mut history = History::default();
        let fate = Fate::Died { ending: Ending::Fin, exact: true, culprit, recurs: true, killed: None };
        history.push(Observation { at: 0.0, kind: Kind::Idle, age: 100.0, fate, server: None });
        let told = |history: &History| outlives(history, Kind::Keepalive, &at(100.0));
        let again = |history: &History| plan(history, &at(100.0), &[Kind::Busy, Kind::Active], 10.0).len();
        history.push(seen(Kind::Keepalive, 1.0, 100.0, false));
        history.push(seen(Kind::Keepalive, 2.0, probe_age(100.0), true));
        assert_eq!((told(&history), again(&history)), (None, 1), "{culprit:?}");
        history.push(seen(Kind::Keepalive, 3.0, 100.0, false));
        history.push(seen(Kind::Keepalive, 4.0, probe_age(100.0), true));
        assert_eq!((told(&history), again(&history)), (Some(false), 0), "{culprit:?}");
        history.push(seen(Kind::Active, 5.0, probe_age(100.0), true));
        assert_eq!(outlives(&history, Kind::Active, &at(100.0)), Some(true), "a ping is heard by all");
    }
}

#[test]
fn a_twin_that_another_layer_ends_past_a_silent_limit_outlived_it() {
    let told = |exact: bool, age: f64| {
        let mut history = History::default();
        let found = |at: f64, age: f64, exact: bool, culprit| {
            let ending = if exact { Ending::Reset } else { Ending::Silence };
            let fate = Fate::Died { ending, exact, culprit, recurs: false, killed: None };
            Observation { at, kind: Kind::Idle, age, fate, server: None }
        };
        for at in [1.0, 2.0, 3.0] {
            history.push(found(at, 5.95, exact, Culprit::NetworkIdleTimeout));
        }
        let twin = found(4.0, age, true, Culprit::ServerIdleTimeout);
        history.push(Observation { kind: Kind::Keepalive, ..twin });
        read(&history, &IdleLimit { exact, ..at(5.95) }).keepalive
    };
    assert_eq!((told(false, 6.0), told(false, 5.5)), (Some(true), None));
    assert_eq!((told(true, 6.0), told(true, 7.0)), (Some(false), Some(true)), "one that is heard scatters");
}

#[test]
fn only_twins_of_the_server_whose_limit_it_is_say_anything() {
    let mut history = History::default();
    let (a, b) = (history.number_of(Some("a")), history.number_of(Some("b")));
    let of_a = IdleLimit { server: a, share: 0.5, ..at(100.0) };
    history.push(Observation { server: b, ..seen(Kind::Keepalive, 1.0, probe_age(100.0), true) });
    assert_eq!(read(&history, &IdleLimit { server: a, ..at(100.0) }), Twins::default());
    let held = [[Kind::Busy].as_slice(), &[Kind::Active; AT_ONCE_OF_A_PART]].concat();
    assert_eq!(plan(&history, &of_a, &held, 10.0).len(), 1);
    history.push(Observation { server: a, ..seen(Kind::Keepalive, 2.0, 100.0, false) });
    assert_eq!(read(&history, &IdleLimit { server: a, ..at(100.0) }).keepalive, Some(false));
}

#[test]
fn those_that_ping_tell_a_limit_of_age_from_one_of_silence() {
    let told_by = |standing_deaths: usize, share: f64, lives: &[bool]| {
        let mut history = History::default();
        for (place, &lived) in lives.iter().enumerate() {
            let age = if lived { probe_age(100.0) } else { 100.0 };
            history.push(seen(Kind::Active, place as f64, age, lived));
        }
        read(&history, &IdleLimit { share, standing_deaths, ..at(100.0) }).active
    };
    let told = |share: f64, lives: &[bool]| told_by(30, share, lives);
    assert_eq!(told(1.0, &[true]), None, "it may be on another part");
    assert_eq!(told(1.0, &[true, true]), Some(true));
    assert_eq!(told(1.0, &[false, true]), Some(false), "it may rule a part that is not known yet");
    assert_eq!(told(1.0, &[false, true, true]), Some(true), "a stray");
    assert_eq!(told(1.0, &[false, false, true, true]), Some(false), "two are none");
    assert_eq!(told(0.5, &[true; 5]), None, "all on the other part, by chance");
    assert_eq!(told(0.5, &[true; 9]), Some(true));
    assert_eq!(told_by(3, 0.5, &[true; 9]), None, "three deaths know little of the share");
    assert_eq!(told_by(3, 0.5, &[true; 12]), Some(true));
    assert_eq!(told_by(4, 0.8, &[true, true, true, true, false, true]), None);
    assert_eq!(told(0.3, &[true; 9]), None);
    assert_eq!(told(0.3, &[true; 16]), Some(true));
    assert_eq!(told(0.5, &[true, false, true]), None);
    assert_eq!(told(0.5, &[true, false, false]), Some(false));
    assert_eq!(told(0.5, &[[true; 20].as_slice(), &[false]].concat()), Some(true), "one of many is a stray");
    assert_eq!(told_by(2, 0.01, &[true; 64]), Some(true), "of hardly any, they are not sent for ever");
    assert_eq!(told(0.005, &[false; 6]), Some(false));
}

#[test]
fn one_that_pings_is_sent_again_until_two_in_a_row_agree() {
    let mut history = History::default();
    let mut is_sent = |lived: bool| {
        let at_now = history.iter().count() as f64;
        let age = if lived { probe_age(100.0) } else { 100.0 };
        history.push(seen(Kind::Active, at_now, age, lived));
        plan(&history, &at(100.0), &[Kind::Busy, Kind::Keepalive], at_now + 1.0).len()
    };
    assert_eq!([true, true].map(&mut is_sent), [1, 0]);
    assert_eq!([false, true, true].map(&mut is_sent), [1, 1, 0], "a stray is contradicted twice");
}

#[test]
fn where_there_is_little_room_each_kind_goes_before_another_of_one() {
    let mut history = History::default();
    history.push(seen(Kind::Busy, 1.0, 100.0, false));
    history.push(seen(Kind::Active, 2.0, probe_age(100.0), true));
    let kinds: Vec<Kind> = plan(&history, &at(100.0), &[], 3.0).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [Kind::Keepalive, Kind::Active]);
}

#[test]
fn a_row_that_is_no_chance_of_a_part_is_longer_where_the_part_is_small() {
    let lived = |share: f64, outlived: u32| {
        let mut history = History::default();
        history.push(seen(Kind::Idle, 0.5, 100.0, false));
        history.push(seen(Kind::Keepalive, 1.0, 100.0, false));
        for place in 0..outlived {
            history.push(seen(Kind::Idle, 10.0 + f64::from(place), 200.0, true));
        }
        history.push(seen(Kind::Idle, 900.0, 100.0, false));
        read(&history, &IdleLimit { share, ..at(100.0) }).keepalive
    };
    assert_eq!((lived(0.5, 7), lived(0.5, 8)), (Some(false), None));
    assert_eq!((lived(0.2, 20), lived(0.2, 25)), (Some(false), None));
}

#[test]
fn a_twin_that_a_later_timer_of_another_layer_ends_outlived_the_limit() {
    let died = |kind, at, age, exact, culprit| {
        let fate = Fate::Died { ending: Ending::Fin, exact, culprit, recurs: false, killed: None };
        Observation { at, kind, age, fate, server: None }
    };
    let mut history = History::default();
    history.push(died(Kind::Idle, 1.0, 5.02, false, Culprit::NetworkIdleTimeout));
    history.push(died(Kind::Keepalive, 2.0, 6.0, true, Culprit::ServerIdleTimeout));
    assert_eq!(read(&history, &at(5.02)).keepalive, Some(true), "past the firewall");
    history.push(died(Kind::Keepalive, 3.0, 5.1, true, Culprit::ProxyIdleTimeout));
    assert_eq!(read(&history, &at(5.02)).keepalive, Some(false), "a proxy's timer of the same age");
}

#[test]
fn what_they_showed_is_read_at_their_limit_only() {
    let mut history = History::default();
    history.push(seen(Kind::Keepalive, 1.0, 108.0, true));
    history.push(seen(Kind::Busy, 2.0, 100.3, false));
    let twins = read(&history, &at(100.0));
    assert_eq!(twins, Twins { keepalive: Some(true), busy: Some(false), active: None });
    assert_eq!(read(&history, &at(300.0)), Twins::default());
}

#[test]
fn what_was_seen_while_idle_canaries_outlived_an_age_says_nothing_of_it() {
    let mut history = History::default();
    let mut push = |seen| history.push(seen);
    // A proxy's 7.3 s becomes 4 s: the statement that slept was ended at 7.3 s, and outlived no 4 s.
    for place in 0..3 {
        push(seen(Kind::Idle, f64::from(place), 7.3, false));
    }
    push(seen(Kind::Busy, 3.0, 7.3, false));
    push(seen(Kind::Idle, 4.0, 7.3, false));
    push(seen(Kind::Idle, 5.0, 4.0, false));
    push(seen(Kind::Idle, 6.0, 4.0, false));
    assert_eq!(read(&history, &at(4.0)), Twins::default());
    assert_eq!(plan(&history, &at(4.0), &[Kind::Active, Kind::Keepalive], 7.0).len(), 1, "it is asked anew");
    history.push(seen(Kind::Busy, 8.0, 4.0, false));
    assert_eq!(read(&history, &at(4.0)).busy, Some(false));
}

#[test]
fn idle_canaries_on_another_part_take_no_twin_its_word() {
    let mut history = History::default();
    history.push(seen(Kind::Idle, 0.0, 4.0, false));
    history.push(seen(Kind::Keepalive, 1.0, 4.0, false));
    let told = |history: &History| read(history, &at(4.0)).keepalive;
    for place in 2..9 {
        history.push(seen(Kind::Idle, f64::from(place), 8.0, true));
        assert_eq!(told(&history), Some(false), "{place}");
    }
    history.push(seen(Kind::Idle, 9.0, 8.0, true));
    assert_eq!(told(&history), None, "so many in a row are no chance");
}

#[test]
fn a_pinging_twin_that_somebody_killed_says_nothing_of_a_proxy() {
    let died = |kind, at, culprit| {
        let fate =
            Fate::Died { ending: Ending::Fin, exact: true, culprit, recurs: false, killed: Some(false) };
        Observation { at, kind, age: 8.0, fate, server: None }
    };
    let mut history = History::default();
    history.push(died(Kind::Idle, 1.0, Culprit::ProxyIdleTimeout));
    history.push(died(Kind::Active, 2.0, Culprit::ServerKill));
    assert_eq!(read(&history, &at(8.0)).active, None);
    history.push(died(Kind::Active, 3.0, Culprit::LifetimeLimit));
    assert_eq!(read(&history, &at(8.0)).active, Some(false));
}

#[test]
fn one_that_pings_and_is_forgotten_says_nothing_of_a_limit_that_is_heard() {
    let fate = |exact| Fate::Died {
        ending: Ending::Silence,
        exact,
        culprit: Culprit::Unknown,
        recurs: false,
        killed: None,
    };
    let mut history = History::default();
    history.push(Observation { fate: fate(false), ..seen(Kind::Active, 1.0, probe_age(100.0), true) });
    assert_eq!(read(&history, &IdleLimit { exact: true, ..at(100.0) }).active, None);
    assert_eq!(read(&history, &at(100.0)).active, Some(false), "of one that only probes find it does");
}
