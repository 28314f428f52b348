use super::*;
use crate::domain::culprit::Culprit;
use crate::domain::life::ending::Ending;
use crate::domain::life::observation::Observation;

pub(super) const LIVED: Fate = Fate::Lived;
pub(super) const SILENT: Fate = Fate::Died {
    ending: Ending::Silence,
    exact: false,
    culprit: Culprit::NetworkIdleTimeout,
    recurs: false,
    killed: None,
};
const AUDIBLE: Fate = Fate::Died {
    ending: Ending::Fin,
    exact: true,
    culprit: Culprit::ServerIdleTimeout,
    recurs: false,
    killed: None,
};
const KILLED: Fate = Fate::Died {
    ending: Ending::Fin,
    exact: true,
    culprit: Culprit::ServerKill,
    recurs: false,
    killed: None,
};

pub(super) fn history(lives: &[(f64, Fate)]) -> History {
    let mut history = History::default();
    for (number, &(age, fate)) in lives.iter().enumerate() {
        // One after the other: none began before the last had ended.
        history.push(Observation {
            at: 1000.0 * (number + 1) as f64,
            kind: Kind::Idle,
            age,
            fate,
            server: None,
        });
    }
    history
}

pub(super) fn limit_of(lives: &[(f64, Fate)]) -> IdleLimit {
    idle_limit(&history(lives), Kind::Idle)
}

fn bracket(lives: &[(f64, Fate)]) -> (f64, Option<f64>) {
    let limit = limit_of(lives);
    (limit.lower, limit.upper)
}

#[test]
fn nothing_seen_is_nothing_known() {
    assert_eq!(limit_of(&[]), IdleLimit::default());
}

#[test]
fn a_silent_death_bounds_from_above_only() {
    assert_eq!(bracket(&[(8.0, SILENT)]), (0.0, Some(8.0)));
    assert_eq!(bracket(&[(4.0, LIVED), (8.0, SILENT), (6.0, SILENT)]), (4.0, Some(6.0)));
}

#[test]
fn one_audible_death_gives_the_limit() {
    let limit = limit_of(&[(2.0, LIVED), (4.0, LIVED), (5.0, AUDIBLE)]);
    assert_eq!((limit.lower, limit.upper, limit.exact), (4.5, Some(5.0), true));
    assert!(limit.is_sharp(0.01) && !limit.confirmed);
    assert!(limit_of(&[(5.0, AUDIBLE), (5.01, AUDIBLE)]).confirmed);
}

#[test]
fn one_that_is_heard_beside_silent_ones_leaves_a_limit_confirmed() {
    // A firewall and a proxy of 8 s: either may be first.
    let mut lives = vec![(7.94, LIVED), (7.97, LIVED), (8.08, SILENT), (8.08, SILENT), (7.94, LIVED)];
    assert!(limit_of(&lives).confirmed);
    lives.push((7.998, AUDIBLE));
    let told = limit_of(&lives);
    assert!(told.confirmed && told.exact && told.upper == Some(7.998), "{told:?}");
}

#[test]
fn kills_bound_nothing() {
    assert_eq!(limit_of(&[(4.0, KILLED)]), IdleLimit::default());
}

#[test]
fn a_stray_death_is_forgotten_at_the_first_survival() {
    let before = [(95.0, LIVED), (95.0, LIVED), (97.0, SILENT), (97.0, SILENT)];
    let settled = limit_of(&before);
    assert!(settled.confirmed);
    let mut lives = before.to_vec();
    lives.push((30.0, SILENT));
    let doubted = limit_of(&lives);
    assert_eq!((doubted.lower, doubted.upper, doubted.confirmed), (0.0, Some(30.0), false));
    lives.push((40.0, LIVED));
    let again = limit_of(&lives);
    assert_eq!((again.lower, again.upper, again.confirmed), (95.0, Some(97.0), true));
}

#[test]
fn a_stray_survival_is_forgotten_at_the_first_death() {
    let mut lives = vec![(95.0, LIVED), (95.0, LIVED), (97.0, SILENT), (97.0, SILENT), (97.5, LIVED)];
    assert_eq!(bracket(&lives), (97.5, None));
    lives.push((97.2, SILENT));
    assert_eq!(bracket(&lives), (95.0, Some(97.0)));
}

#[test]
fn a_moved_limit_drops_what_was_known_of_the_old_one() {
    let settled = [(80.0, LIVED), (95.0, LIVED), (95.0, LIVED), (97.0, SILENT), (97.0, SILENT)];
    let mut down = settled.to_vec();
    down.push((95.0, SILENT));
    assert_eq!(bracket(&down), (0.0, Some(95.0)), "80 was survived before the move, so it is no bound");
    let mut up = settled.to_vec();
    up.push((120.0, LIVED));
    assert_eq!(bracket(&up), (120.0, None));
}

#[test]
fn audible_deaths_follow_a_limit_up_and_down() {
    assert_eq!(bracket(&[(5.0, AUDIBLE), (5.0, AUDIBLE), (7.0, AUDIBLE)]), (6.5, Some(7.0)));
    assert_eq!(bracket(&[(5.0, AUDIBLE), (5.0, AUDIBLE), (3.0, AUDIBLE)]), (2.5, Some(3.0)));
    assert_eq!(bracket(&[(5.02, AUDIBLE), (5.0, AUDIBLE), (5.01, AUDIBLE)]).1, Some(5.0));
}

#[test]
fn one_that_keeps_an_older_setting_outweighs_nothing() {
    let mut history = History::default();
    let mut see = |at: f64, age: f64, fate: Fate| {
        history.push(Observation { at, kind: Kind::Idle, age, fate, server: None })
    };
    see(10_000.0, 3000.0, LIVED);
    // A timer of an hour is set at 20,000 s; what was born before lives on.
    see(24_000.0, 3600.0, AUDIBLE);
    see(27_700.0, 3600.1, AUDIBLE);
    see(28_000.0, 16_000.0, LIVED);
    see(29_000.0, 25_000.0, LIVED);
    let limit = idle_limit(&history, Kind::Idle);
    assert_eq!((limit.upper, limit.confirmed), (Some(3600.0), true));
    // One that was born after it, and lives past it, does count.
    let mut raised = history.clone();
    for at in [40_000.0, 41_000.0] {
        raised.push(Observation { at, kind: Kind::Idle, age: 7200.0, fate: LIVED, server: None });
    }
    assert_eq!(idle_limit(&raised, Kind::Idle).upper, None);
}

#[test]
fn two_strays_at_quite_other_ages_silence_no_survivor() {
    let mut history = History::default();
    for (at, age, fate) in [(1000.0, 40.0, SILENT), (9000.0, 750.0, SILENT), (30_000.0, 30_000.0, LIVED)] {
        history.push(Observation { at, kind: Kind::Idle, age, fate, server: None });
    }
    assert_eq!(idle_limit(&history, Kind::Idle).upper, None);
}

#[test]
fn a_bracket_that_was_borne_out_stands_until_a_narrower_one_is() {
    let borne_out = [(6.0, LIVED), (14.0, SILENT), (6.0, LIVED), (14.0, SILENT)];
    let told = |more: &[(f64, Fate)]| {
        let limit = limit_of(&[&borne_out, more].concat()).told();
        (limit.confirmed, limit.lower, limit.upper)
    };
    assert_eq!(told(&[]), (true, 6.0, Some(14.0)));
    assert_eq!(told(&[(8.0, SILENT)]), (true, 6.0, Some(14.0)), "one death is no better bound");
    assert_eq!(told(&[(8.0, SILENT), (7.0, LIVED)]), (true, 6.0, Some(14.0)));
    let narrower = [(8.0, SILENT), (7.0, LIVED), (8.0, SILENT), (7.0, LIVED)];
    assert_eq!(told(&narrower), (true, 7.0, Some(8.0)));
    // What was outlived says nothing any more.
    assert!(!told(&[(8.0, SILENT), (20.0, LIVED), (20.0, LIVED)]).0);
    // Two strays at quite other ages are no bound.
    let strays = limit_of(&[(6.0, LIVED), (6.0, LIVED), (14.0, SILENT), (9.0, SILENT)]).told();
    assert!(!strays.confirmed, "{strays:?}");
}
