use super::*;
use crate::domain::life::ending::Ending;
use crate::domain::life::observation::Observation;

fn death(at: f64, age: f64) -> Observation {
    let (ending, culprit) = (Ending::Fin, Culprit::Unknown);
    let fate = Fate::Died { ending, exact: true, culprit, recurs: false, killed: None };
    Observation { at, kind: Kind::Idle, age, fate, server: None }
}

fn survival(at: f64, age: f64) -> Observation {
    Observation { at, kind: Kind::Idle, age, fate: Fate::Lived, server: None }
}

fn struck(age: f64, at: f64) -> Struck {
    Struck { kind: Kind::Idle, age, at, server: None, kills: None }
}

fn of(observations: &[Observation]) -> History {
    let mut history = History::default();
    observations.iter().for_each(|observation| history.push(*observation));
    history
}

#[test]
fn one_age_at_several_instants_is_company() {
    let history = of(&[death(10.0, 4.0), death(14.1, 4.02), death(20.0, 4.0), death(20.0, 2.5)]);
    assert_eq!(same_age(&history, &[], &[], &struck(4.0, 30.0)), 3);
    let others = [struck(4.1, 15.0)];
    assert_eq!(
        same_age(&history, &others, &others, &struck(4.0, 20.1)),
        3,
        "the one of this instant is the same event"
    );
    assert_eq!(same_age(&history, &[], &[], &struck(8.0, 30.0)), 0);
}

#[test]
fn a_younger_survivor_makes_it_another_story_unless_it_recurs() {
    let mut history = of(&[death(100.0, 60.0), survival(150.0, 5400.0)]);
    let here = |history: &History| same_age(history, &[], &[], &struck(60.0, 400.0));
    assert_eq!(here(&history), 1, "that one was born under another setting");
    history.push(survival(250.0, 90.0));
    assert_eq!(here(&history), 0);
    history.push(death(320.0, 60.1));
    assert_eq!(here(&history), 2, "two proxies, one of which has a timer");
}

#[test]
fn one_of_another_age_that_a_kill_was_counted_with_is_told_of() {
    let history = History::default();
    let counted = |rose| Some(Kills { rose, read_before: 1.0, others: 0.0 });
    let one = Struck { kills: counted(2), ..struck(30.4, 100.0) };
    let here = |others: &[Struck]| is_counted_with_another_age(&history, others, &one);
    let other = Struck { kills: counted(2), ..struck(26.4, 100.1) };
    assert!(here(&[one, other]));
    assert!(!here(&[one, Struck { age: 30.0, ..other }]), "of its age");
    assert!(!here(&[one, Struck { at: 101.0, ..other }]), "at another instant");
    assert!(!here(&[one, Struck { kills: counted(0), ..other }]), "without a KILL");
}

#[test]
fn only_one_servers_deaths_are_company() {
    let mut history = History::default();
    let (a, b) = (history.number_of(Some("a")), history.number_of(Some("b")));
    history.push(Observation { server: a, ..death(10.0, 4.0) });
    let one = |server| Struck { server, ..struck(4.0, 30.0) };
    assert_eq!(same_age(&history, &[], &[], &one(a)), 1);
    assert_eq!(same_age(&history, &[], &[], &one(b)), 0);
    assert_eq!(same_age(&history, &[], &[], &one(None)), 0, "it might be either");
}

#[test]
fn kills_of_a_tool_that_looks_seldom_are_company_at_ages_apart() {
    let killed = |at, age| {
        let (ending, culprit) = (Ending::Fin, Culprit::ServerKill);
        let fate = Fate::Died { ending, exact: true, culprit, recurs: false, killed: Some(true) };
        Observation { fate, ..death(at, age) }
    };
    let history = of(&[killed(10.0, 20.2), killed(40.0, 23.9), death(60.0, 22.0), killed(90.0, 60.0)]);
    assert_eq!(kills_near(&history, &[], &struck(21.5, 100.0)), 2);
    assert_eq!(same_age(&history, &[], &[], &struck(21.5, 100.0)), 1);
    assert!(!kills_there(&history, &[], &struck(21.5, 100.0)).died_unkilled());
    let proxy = Struck { kills: rose(0), ..struck(21.0, 95.0) };
    assert!(kills_there(&history, &[proxy], &struck(21.5, 100.0)).died_unkilled());
}

#[test]
fn many_at_one_instant_are_one_event_whatever_their_age() {
    let others = [
        struck(4.0, 100.0),
        struck(60.0, 100.1),
        struck(300.0, 99.9),
        struck(61.0, 100.0),
        struck(25.0, 90.0),
    ];
    let history = History::default();
    let one = struck(60.0, 100.1);
    let company = |spared: &[f64]| {
        let spared: Vec<Spared> = spared.iter().map(|&born| Spared { born, server: None }).collect();
        same_instant(&history, &others, &spared, &one)
    };
    assert_eq!(company(&[]), 3, "25 s died at another time");
    assert_eq!(company(&[100.2]), 3, "one that was born after it was not spared");
    assert_eq!(company(&[97.0]), 0, "only the young live on: an age explains it");
    assert_eq!(company(&[97.0, 50.0]), 3, "one of 50 s lives on where one of 4 s died: another node's");
    assert_eq!(same_instant(&history, &others[1..2], &[], &one), 0);
}

#[test]
fn a_timer_strikes_those_that_were_launched_together_as_they_come() {
    let history = History::default();
    // Launched within two seconds, closed at one instant, and nobody else was there.
    let event = [struck(29.1, 100.0), struck(29.9, 100.0), struck(30.8, 100.1)];
    assert_eq!(same_instant(&history, &event, &[], &event[0]), 2);
    let timer = [struck(30.0, 100.0), struck(30.0, 100.9), struck(30.1, 101.8)];
    assert_eq!(same_instant(&history, &timer, &[], &timer[0]), 0);
    let together = [struck(5.0, 100.0), struck(5.1, 100.1), struck(5.1, 100.1)];
    assert_eq!(same_instant(&history, &together, &[], &together[0]), 0);
}

fn rose(rose: u32) -> Option<Kills> {
    Some(Kills { rose, read_before: 5.0, others: 0.0 })
}

#[test]
fn one_kill_explains_one_of_ten_unless_it_was_of_an_account() {
    let history = History::default();
    let struck_by = |kills| -> Vec<Struck> {
        (0..10).map(|age| Struck { kills, ..struck(4.0 + f64::from(age), 100.0) }).collect()
    };
    let too_few = |kills, spared: &[f64]| {
        let others = struck_by(kills);
        let spared: Vec<Spared> = spared.iter().map(|&born| Spared { born, server: None }).collect();
        are_kills_too_few(&history, &others, &spared, &others[3])
    };
    assert!(too_few(rose(1), &[50.0]), "nine were closed by something else");
    assert!(too_few(rose(9), &[50.0]));
    assert!(!too_few(rose(10), &[50.0]), "each by a KILL");
    assert!(!too_few(rose(1), &[]), "one statement may be of an account");
    assert!(!too_few(rose(1), &[99.9]), "one that was born after it was not spared");
    assert!(too_few(rose(0), &[]), "none at all");
    assert!(!too_few(None, &[50.0]), "not read");
    let alone = Struck { kills: rose(1), ..struck(4.0, 100.0) };
    assert!(!are_kills_too_few(&history, &[], &[Spared { born: 50.0, server: None }], &alone));
    let mut read_early = struck_by(rose(4));
    read_early[9].kills = rose(10);
    let spared = [Spared { born: 50.0, server: None }];
    assert!(!are_kills_too_few(&history, &read_early, &spared, &read_early[0]), "read before the last died");
}

#[test]
fn a_kill_that_struck_another_one_before_explains_nobody() {
    let history = History::default();
    let at_once = [28.4, 27.3, 28.5].map(|age| Struck { kills: rose(1), ..struck(age, 100.0) });
    let before = |at, kills| {
        let others = [&at_once[..], &[Struck { kills, ..struck(56.6, at) }]].concat();
        are_kills_too_few(&history, &others, &[], &at_once[1])
    };
    assert!(before(99.6, rose(1)), "between the two readings");
    assert!(!before(99.6, rose(0)), "that one was closed by something else");
    assert!(!before(95.1, rose(1)), "its KILL may have been counted when the count was read");
}

#[test]
fn one_that_dies_sooner_than_all_of_its_age_is_early() {
    let history = of(&[death(10.0, 10.67), death(40.0, 10.66), death(70.0, 10.68)]);
    let is_early = |age| is_before_its_age(&history, &[], &struck(age, 100.0));
    assert!(is_early(9.8));
    assert!(!is_early(10.3), "timers stray so far");
    assert!(!is_early(11.4), "late");
    let set_anew = of(&[death(10.0, 10.67), death(40.0, 10.66), death(70.0, 9.8)]);
    assert!(!is_before_its_age(&set_anew, &[], &struck(9.8, 100.0)), "another one died there");
    assert!(!is_before_its_age(&of(&[death(10.0, 10.67)]), &[], &struck(9.8, 100.0)), "one is no age");
}

#[test]
fn one_unkilled_of_many_acquits_no_killer() {
    let at = |killed: u32, unkilled: u32| -> bool {
        let near = |number: u32, kills: u32| {
            (0..number).map(move |_| Struck { kills: rose(kills), ..struck(8.0, 90.0) })
        };
        let others: Vec<Struck> = near(killed, 1).chain(near(unkilled, 0)).collect();
        kills_there(&History::default(), &others, &struck(8.1, 100.0)).died_unkilled()
    };
    assert!(at(0, 1) && at(7, 1), "others are killed meanwhile, now and then");
    assert!(!at(20, 1), "a proxy's reload at just the age of a tool that kills");
    assert!(at(20, 3) && !at(3, 0));
}

#[test]
fn what_a_reload_closes_among_the_ages_of_a_tool_that_looks_seldom_acquits_no_killer() {
    let of = |kills: u32| move |age: f64| Struck { kills: rose(kills), ..struck(age, 90.0) };
    let unkilled: Vec<Struck> = [89.6].map(of(0)).to_vec();
    let ages = [88.1, 100.1, 91.8, 97.4, 95.2, 90.1, 94.3, 87.8, 93.0];
    let there = |killed: &[f64], age: f64| {
        let killed = killed.iter().copied().map(of(1));
        kills_there(
            &History::default(),
            &killed.chain(unkilled.clone()).collect::<Vec<_>>(),
            &struck(age, 200.0),
        )
    };
    assert!(there(&ages, 90.3).strike());
    assert!(!there(&ages[..2], 90.3).strike(), "too few to tell");
    assert!(
        !there(&[92.1, 100.1, 94.8, 97.4, 95.2, 93.1, 94.3, 92.8, 93.0], 90.3).strike(),
        "sooner than the tool"
    );
}

#[test]
fn what_a_mass_disconnect_closed_at_an_age_acquits_no_killer() {
    let closed_by = |culprit| {
        let (ending, killed) = (Ending::Fin, Some(false));
        let fate = Fate::Died { ending, exact: true, culprit, recurs: false, killed };
        let mut history = History::default();
        history.push(Observation { at: 50.0, kind: Kind::Idle, age: 116.1, fate, server: None });
        kills_there(&history, &[], &struck(115.4, 900.0)).died_unkilled()
    };
    assert!(closed_by(Culprit::ProxyIdleTimeout) && !closed_by(Culprit::MassDisconnect));
}

#[test]
fn a_kill_far_from_where_a_tool_kills_is_not_its() {
    let kills = |ages: &[f64]| -> Vec<Struck> {
        let of = |(place, age): (usize, &f64)| Struck { kills: rose(1), ..struck(*age, place as f64 * 50.0) };
        ages.iter().enumerate().map(of).collect()
    };
    let near = |ages: &[f64], age: f64| kills_near(&History::default(), &kills(ages), &struck(age, 900.0));
    let tool = [42.9, 43.5, 42.6, 43.1, 42.8, 43.4];
    assert_eq!(near(&tool, 27.9), 0, "somebody's KILL");
    assert_eq!(near(&tool, 43.6), 6);
    assert_eq!(near(&tool[..2], 27.9), 2, "of two it may be the third");
    assert_eq!(near(&[&tool[..], &[28.3]].concat(), 27.9), 7, "it looks for younger ones now");
    assert_eq!(near(&[8.8, 9.3, 8.1, 10.7], 9.9), 4, "one that looks seldom");
}

#[test]
fn whether_kills_are_read_is_told_by_deaths_however_many_lived_since() {
    let killed = Fate::Died {
        ending: Ending::Fin,
        exact: true,
        culprit: Culprit::ServerKill,
        recurs: true,
        killed: Some(true),
    };
    let mut history = of(&[Observation { fate: killed, ..death(1.0, 8.0) }]);
    (0..80).for_each(|place| history.push(survival(2.0 + f64::from(place), 4.0)));
    assert!(are_kills_read(&history, &[]));
    assert!(!are_kills_read(&of(&[death(1.0, 8.0)]), &[]));
}

#[test]
fn a_kill_shortly_before_a_proxys_timer_is_told_from_it() {
    let of = |age: f64, kills: u32| Struck { kills: rose(kills), ..struck(age, 10.0 * age) };
    let proxy = [6.501, 6.504, 6.509].map(|age| of(age, 0));
    let with_killed = [&proxy[..], &[of(6.2, 1), of(6.4, 1)]].concat();
    let is_early = |others: &[Struck], age: f64, kills: u32| {
        let one = Struck { kills: rose(kills), ..struck(age, 900.0) };
        is_before_its_age(&History::default(), others, &one)
    };
    assert!(is_early(&with_killed, 6.3, 1), "whoever else was killed");
    assert!(!is_early(&with_killed, 6.48, 1), "timers stray so far");
    assert!(
        !is_early(&with_killed, 6.3, 0),
        "closed by something else: it takes more to tell it from the timer"
    );
    assert!(!is_early(&with_killed[1..], 6.3, 1), "two are no age");
}

#[test]
fn what_one_event_closed_at_ages_apart_is_no_company() {
    let unkilled = |age, at| Struck { kills: rose(0), ..struck(age, at) };
    let events = [unkilled(20.0, 100.0), unkilled(60.0, 100.1), unkilled(20.5, 300.0), unkilled(4.0, 300.1)];
    let company = |others: &[Struck]| same_age(&History::default(), others, others, &unkilled(20.2, 500.0));
    assert_eq!(company(&events), 0, "a proxy is reloaded again and again");
    assert_eq!(company(&[events[0], events[2]]), 2, "a timer");
    assert_eq!(company(&[unkilled(20.0, 100.0), unkilled(22.0, 100.1), unkilled(20.5, 300.0)]), 2);
    let killed = [Struck { kills: rose(1), ..events[0] }, Struck { kills: rose(1), ..events[1] }];
    assert_eq!(company(&killed), 1, "a tool that kills looks at all of them at once");
    let unkilled_there = Fate::Died {
        ending: Ending::Fin,
        exact: true,
        culprit: Culprit::Unknown,
        recurs: false,
        killed: Some(false),
    };
    let told = of(&[Observation { fate: unkilled_there, ..death(300.0, 20.5) }]);
    let told_of = |lately: &[Struck]| same_age(&told, &[], lately, &unkilled(20.2, 500.0));
    assert_eq!(
        (told_of(&[]), told_of(&events[3..])),
        (1, 0),
        "one that the history was not told of died with it"
    );
    assert_eq!(
        same_age(&History::default(), &[struck(1.3, 100.0)], &[], &struck(0.5, 200.0)),
        0,
        "in its first second"
    );
}

#[test]
fn one_that_looks_seldom_in_a_part_is_no_event() {
    let at_once = [struck(21.0, 100.0), struck(24.0, 100.1), struck(26.5, 100.0)];
    let older = [Spared { born: 40.0, server: None }];
    assert_eq!(same_instant(&History::default(), &at_once, &older, &at_once[0]), 0);
    assert_eq!(same_instant(&History::default(), &at_once, &[], &at_once[0]), 2, "nobody is left");
    let again = of(&[death(40.0, 22.0), death(60.0, 23.0)]);
    assert_eq!(same_instant(&again, &at_once, &[], &at_once[0]), 0, "again and again");
    let lately = [at_once[0], at_once[1], at_once[2], struck(22.0, 40.0)];
    let once = of(&[death(40.0, 22.0)]);
    assert_eq!(same_instant(&once, &lately, &[], &at_once[0]), 2, "one that was decided lately is one");
    let reloads = of(&[death(40.0, 22.0), death(50.0, 3.0), death(60.0, 23.0), death(70.0, 60.0)]);
    assert_eq!(same_instant(&reloads, &at_once, &[], &at_once[0]), 2, "at any age");
    let apart = [at_once[0], at_once[1], struck(4.0, 100.0)];
    assert_eq!(same_instant(&History::default(), &apart, &older, &at_once[0]), 2);
}

#[test]
fn others_kills_explain_what_was_counted_where_they_are_as_frequent() {
    let there = |counted, unkilled| KillsThere { counted, unkilled };
    assert!(!there(1, 0).may_be_of_others(0.01), "one alone on a quiet server");
    assert!(there(1, 0).may_be_of_others(0.1) && there(2, 0).may_be_of_others(0.3));
    assert!(!there(2, 0).may_be_of_others(0.2) && !there(9, 0).may_be_of_others(0.3));
    assert!(there(3, 12).may_be_of_others(0.2), "a proxy's timer, and others are killed now and then");
    assert!(there(90, 0).may_be_of_others(0.5), "a job that kills each second explains any row");
    assert!(!there(0, 5).may_be_of_others(0.0) && !there(3, 0).may_be_of_others(0.0));
}
