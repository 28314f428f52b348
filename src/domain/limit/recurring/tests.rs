use super::*;
use crate::domain::culprit::Culprit;
use crate::domain::life::ending::Ending;
use crate::domain::limit::idle_limit;
use crate::domain::limit::tests::{LIVED, SILENT, history, limit_of as limit};

const HEARD: Fate = Fate::Died {
    ending: Ending::Fin,
    exact: true,
    culprit: Culprit::ProxyIdleTimeout,
    recurs: false,
    killed: None,
};
#[test]
fn a_timer_of_a_part_stands_whatever_outlives_it_and_says_its_share() {
    let mut lives = vec![(5.0, HEARD), (11.0, LIVED), (5.02, HEARD), (11.0, LIVED), (5.01, HEARD)];
    for round in 0..20 {
        let told = limit(&lives);
        assert_eq!(told.upper, Some(5.0), "{round}: {told:?}");
        assert!(told.confirmed && told.exact && told.lower < 5.0, "{told:?}");
        assert!((told.share - 0.5).abs() < 0.12, "{told:?}");
        lives.extend([(11.0, LIVED), (5.0, HEARD)]);
    }
    // It is taken away: withdrawn once, and no more than some lives later.
    let mut until = 0;
    while limit(&lives).upper.is_some() {
        lives.push((11.0, LIVED));
        until += 1;
    }
    assert!((4..=20).contains(&until), "{until}");
}

#[test]
fn the_first_that_outlive_a_proxys_timer_do_not_withdraw_it_and_more_do() {
    for died in 2..12 {
        let mut lives = vec![(3.0, LIVED), (3.0, LIVED)];
        lives.extend(vec![(5.0, HEARD); died]);
        assert_eq!(limit(&lives).share, 1.0);
        lives.push((7.0, LIVED));
        let told = limit(&lives);
        assert!(told.upper == Some(5.0) && told.confirmed && told.share < 1.0, "{died}: {told:?}");
        let mut again = lives.clone();
        again.push((5.0, HEARD));
        assert_eq!(limit(&again).upper, Some(5.0), "{died}");
        lives.extend([(7.0, LIVED); 2]);
        assert_eq!(limit(&lives).upper, None, "{died}: it is gone");
    }
}

#[test]
fn one_that_was_set_shorter_and_is_gone_is_not_there_again() {
    let mut lives = vec![(9.0, LIVED), (9.0, LIVED)];
    lives.extend([(13.0, HEARD); 6]);
    lives.extend([(5.0, HEARD); 6]);
    assert_eq!(limit(&lives).upper, Some(5.0));
    for _ in 0..3 {
        lives.extend([(9.0, LIVED), (13.5, LIVED), (18.0, LIVED)]);
        let told = limit(&lives).upper;
        assert!(told.is_none_or(|upper| upper == 5.0), "{told:?}");
    }
    assert_eq!(limit(&lives).upper, None);
    lives.extend([(13.0, HEARD); 2]);
    assert_eq!(limit(&lives).upper, Some(13.0), "it strikes again");
}

#[test]
fn rows_that_chance_mixes_are_many() {
    use Trial::{Died, Outlived};
    let of = |rows: &[(Trial, usize)]| -> Vec<Trial> {
        rows.iter().flat_map(|(trial, count)| vec![*trial; *count]).collect()
    };
    // By counting: 2 in two rows, 10 + 7 in three, of 75582.
    let blocks = chance_of_so_few_rows(&of(&[(Died, 1), (Outlived, 8), (Died, 10)]));
    assert!((blocks - 19.0 / 75582.0).abs() < 1e-9, "{blocks}");
    let two = chance_of_so_few_rows(&of(&[(Died, 2), (Outlived, 2)]));
    assert!((two - 2.0 / 6.0).abs() < 1e-9, "{two}");
    let mixed = chance_of_so_few_rows(&of(&[(Died, 1), (Outlived, 1), (Died, 1), (Outlived, 1), (Died, 1)]));
    assert!((mixed - 1.0).abs() < 1e-9, "{mixed}");
}

#[test]
fn a_timer_that_was_set_longer_and_back_again_is_one_of_all() {
    let long = Fate::Died {
        ending: Ending::Goodbye,
        exact: true,
        culprit: Culprit::ServerIdleTimeout,
        recurs: false,
        killed: None,
    };
    for of_server in [false, true] {
        let short = if of_server { long } else { HEARD };
        let mut lives = vec![(3.0, LIVED); 2];
        lives.extend(vec![(6.0, short); 12]);
        lives.extend(vec![(12.0, long); 10]);
        for died in 1..12 {
            lives.push((6.0, short));
            let told = limit(&lives);
            if died >= 3 {
                assert!(told.upper == Some(6.0) && told.share >= 1.0, "{of_server} {died}: {told:?}");
            }
        }
    }
    // Mixed by chance they are of a part.
    let mut mixed = Vec::new();
    for _ in 0..12 {
        mixed.extend([(6.0, HEARD), (12.0, LIVED), (6.0, HEARD)]);
    }
    assert!(limit(&mixed).share < 0.8);
}

#[test]
fn one_that_passed_the_age_long_ago_is_no_news() {
    let mut history = history(&[(5.0, HEARD), (5.0, HEARD)]);
    // One died after these had passed its age, which are probed much later.
    for number in 0..6 {
        let at = 9000.0 + f64::from(number);
        history.push(Observation { at, kind: Kind::Idle, age: 7500.0, fate: LIVED, server: None });
    }
    let told = idle_limit(&history, Kind::Idle);
    assert!(told.upper == Some(5.0) && told.confirmed && told.share < 0.5, "{told:?}");
}

#[test]
fn a_server_has_one_setting_and_the_first_that_outlives_it_shows_another() {
    let (ending, culprit) = (Ending::Goodbye, Culprit::ServerIdleTimeout);
    let died = Fate::Died { ending, exact: true, culprit, recurs: false, killed: None };
    assert_eq!(limit(&[(5.0, died), (5.0, died), (5.0, died), (7.0, LIVED)]).upper, None);
}

#[test]
fn the_shorter_of_two_servers_limits_is_the_one_to_obey() {
    let mut history = History::default();
    let (a, b) = (history.number_of(Some("a")), history.number_of(Some("b")));
    for round in 0..6 {
        let at = 100.0 * f64::from(round);
        history.push(Observation { at, kind: Kind::Idle, age: 4.0, fate: HEARD, server: a });
        history.push(Observation { at: at + 9.0, kind: Kind::Idle, age: 9.0, fate: HEARD, server: b });
    }
    let told = idle_limit(&history, Kind::Idle);
    assert_eq!((told.upper, told.server, told.confirmed), (Some(4.0), a, true), "{told:?}");
    assert!((told.share - 0.5).abs() < 0.1, "{told:?}");
    let each: Vec<_> = crate::domain::limit::by_server(&history, Kind::Idle)
        .into_iter()
        .map(|(server, limit)| (server, limit.upper))
        .collect();
    assert_eq!(each, [(a, Some(4.0)), (b, Some(9.0))]);
}

/// Of a silent limit those that live a little less long are not those that outlive it.
#[test]
fn a_silent_limit_of_all_is_of_all_on_two_servers_too() {
    let mut history = History::default();
    let servers = [history.number_of(Some("a")), history.number_of(Some("b"))];
    for round in 0..8 {
        for (place, server) in servers.into_iter().enumerate() {
            let at = 100.0 * f64::from(round) + 20.0 * place as f64;
            for (later, age, fate) in [(0.0, 7.7, LIVED), (30.0, 8.05, SILENT), (60.0, 7.95, LIVED)] {
                history.push(Observation { at: at + later, kind: Kind::Idle, age, fate, server });
            }
        }
    }
    let told = idle_limit(&history, Kind::Idle);
    assert_eq!((told.upper, told.server, told.share), (Some(8.05), None, 1.0), "{told:?}");
    // One that outlives it counts.
    let seen = Observation { at: 900.0, kind: Kind::Idle, age: 8.2, fate: LIVED, server: servers[1] };
    history.push(seen);
    assert_eq!(met(&history, Kind::Idle, 8.05, None), Some((16, 17)));
}

#[test]
fn those_that_live_little_longer_on_another_server_count_in_the_share() {
    let mut history = History::default();
    let (a, b) = (history.number_of(Some("a")), history.number_of(Some("b")));
    for round in 0..6 {
        let at = 100.0 * f64::from(round);
        history.push(Observation { at, kind: Kind::Idle, age: 4.0, fate: HEARD, server: a });
        history.push(Observation { at: at + 9.0, kind: Kind::Idle, age: 6.0, fate: LIVED, server: b });
    }
    let told = idle_limit(&history, Kind::Idle);
    assert_eq!((told.upper, told.server), (Some(4.0), a), "{told:?}");
    assert!((told.share - 0.5).abs() < 0.1, "{told:?}");
}

#[test]
fn one_that_looks_seldom_is_one_limit_between_two_ages() {
    let ages = [20.4, 23.7, 21.1, 22.9, 20.2, 23.9, 22.0, 21.5];
    let (ending, culprit) = (Ending::Fin, Culprit::ServerKill);
    let killed = Fate::Died { ending, exact: true, culprit, recurs: true, killed: Some(true) };
    let lives: Vec<(f64, Fate)> = ages.iter().map(|&age| (age, killed)).collect();
    for until in 5..=lives.len() {
        let told = limit(&lives[..until]);
        let shortest = ages[..until].iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(
            (told.upper, told.spread_to.is_some(), told.share),
            (Some(shortest), true, 1.0),
            "{told:?}"
        );
    }
}

#[test]
fn a_timer_that_is_set_anew_is_no_band() {
    let lives = [(20.0, HEARD), (20.1, HEARD), (20.0, HEARD), (24.0, HEARD), (24.1, HEARD), (24.0, HEARD)];
    let told = limit(&lives);
    assert_eq!((told.upper, told.spread_to), (Some(24.0), None), "{told:?}");
}

#[test]
fn a_silent_timer_of_a_part_is_told_from_noise() {
    let mut lives: Vec<(f64, Fate)> = vec![(300.0, LIVED); 30];
    for _ in 0..12 {
        lives.extend([(401.0, SILENT), (420.0, LIVED), (430.0, LIVED), (400.0, SILENT)]);
    }
    let told = limit(&lives);
    assert_eq!(told.upper, Some(400.0), "{told:?}");
    assert!((told.share - 0.5).abs() < 0.1 && told.confirmed, "{told:?}");
    // One answer in fifty is random: no share of anything.
    let mut noisy: Vec<(f64, Fate)> = vec![(40.0, LIVED); 200];
    for place in [20, 70, 120, 170] {
        noisy[place] = (40.0, SILENT);
    }
    assert_eq!(limit(&noisy).upper, None);
}
