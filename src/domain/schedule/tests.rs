use proptest::prelude::*;

use super::*;
use crate::domain::culprit::Culprit;
use crate::domain::life::ending::Ending;
use crate::domain::life::observation::{Fate, Observation};
use crate::domain::limit::idle_limit;

mod domain {
    pub(super) use crate::domain::*;
}
#[path = "../../../benches/locate/world.rs"]
mod world;

use world::{Random, START, Search, Truth, World};

/// What is known at a time, in seconds since the Unix epoch, where nothing flies and ten may.
pub(super) fn ten_canaries<'a>(now: f64, ladder: &'a Ladder, history: &'a History) -> Scene<'a> {
    Scene {
        now,
        ladder,
        precision: 0.01,
        budget: 10,
        history,
        in_flight: &[],
        common_timeouts: &[],
        hurried: false,
    }
}

/// The defaults of well-known devices and servers, in seconds.
const COMMON_TIMEOUTS: [f64; 12] =
    [60.0, 240.0, 300.0, 350.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0];

fn silent(limit: f64) -> Truth {
    Truth { limit, audible: false, noise: 0.0, deadline: 0.0 }
}

fn audible(limit: f64) -> Truth {
    Truth { limit, audible: true, noise: 0.0, deadline: 0.0 }
}

fn ladder(text: &str) -> Ladder {
    Ladder::parse(text).expect("a good ladder")
}

fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

/// Limits spread evenly on the logarithm between 26 s and 28,000 s.
fn arbitrary_limits(count: usize) -> Vec<f64> {
    let mut random = Random::new(11);
    (0..count).map(|_| 26.0 * (28_000.0_f64 / 26.0).powf(random.share())).collect()
}

fn search_all(limits: &[f64], truth: impl Fn(f64) -> Truth) -> Vec<Search> {
    let ladder = Ladder::default();
    let one = |(seed, &limit): (usize, &f64)| {
        let mut world = World::new(truth(limit), 12, &ladder, &COMMON_TIMEOUTS, seed as u64);
        let search = world::search(&mut world, 12.0);
        assert!(world.peak <= 12, "the budget is hard");
        search
    };
    limits.iter().enumerate().map(one).collect()
}

#[test]
fn silent_limits_are_sharp_within_two_lengths() {
    let found = search_all(&arbitrary_limits(150), silent);
    assert!(found.iter().all(|search| search.sharp.is_right && search.settled.is_right));
    assert!(quantile(found.iter().map(|s| s.sharp.time).collect(), 0.5) <= 1.6);
    assert!(quantile(found.iter().map(|s| s.sharp.time).collect(), 0.95) <= 2.5);
    assert!(quantile(found.iter().map(|s| s.confirmed.time).collect(), 0.5) <= 2.1);
    assert!(quantile(found.iter().map(|s| s.sharp.held).collect(), 0.5) <= 20.0, "connection-seconds");
    assert!(quantile(found.iter().map(|s| s.logins as f64).collect(), 0.5) <= 60.0, "logins");
}

#[test]
fn silent_limits_at_well_known_defaults_are_found_sooner() {
    let found = search_all(&COMMON_TIMEOUTS, silent);
    assert!(found.iter().all(|search| search.sharp.is_right && search.settled.is_right));
    assert!(quantile(found.iter().map(|s| s.sharp.time).collect(), 0.5) <= 1.5);
    assert!(quantile(found.iter().map(|s| s.sharp.time).collect(), 0.95) <= 2.0);
}

#[test]
fn audible_limits_are_heard_at_once() {
    let found = search_all(&arbitrary_limits(60), audible);
    assert!(found.iter().all(|search| search.sharp.is_right && search.sharp.time <= 1.05));
}

#[test]
fn random_outcomes_do_not_mislead() {
    let mut limits = arbitrary_limits(150);
    limits.retain(|&limit| limit < 8_000.0);
    let found = search_all(&limits, |limit| Truth { noise: 0.02, ..silent(limit) });
    let wrong = found.iter().filter(|search| !search.settled.is_right).count();
    assert!(wrong <= 2, "{wrong} of {}", limits.len());
}

#[test]
fn a_day_on_which_nothing_dies_costs_few_connections_and_logins() {
    let ladder = Ladder::default();
    let mut world = World::new(silent(f64::INFINITY), 12, &ladder, &COMMON_TIMEOUTS, 1);
    for hour in 1..=34 {
        let logins = world.logins;
        world.peak = 0;
        while world.step(START + 3600.0 * f64::from(hour)) {}
        if hour > 10 {
            assert!(world.logins - logins < 200, "{} logins in hour {hour}", world.logins - logins);
            assert!(world.peak < 12, "{} connections in hour {hour}", world.peak);
        }
    }
}

/// The observations of a world after some seconds, by the age in whole seconds.
fn ages_seen(truth: Truth, budget: usize, ladder: &Ladder, seconds: f64) -> (Vec<(f64, bool)>, IdleLimit) {
    let mut world = World::new(truth, budget, ladder, &[], 1);
    while world.step(START + seconds) {}
    let seen = world.history.iter().map(|o| ((o.age * 100.0).round() / 100.0, o.is_survival())).collect();
    (seen, world.limit())
}

#[test]
fn a_short_ladder_lives_several_times_in_half_a_minute() {
    for budget in [3, 6, 12] {
        let (seen, limit) = ages_seen(audible(5.0), budget, &ladder("2s,4s,8s"), 30.0);
        let count = |what: (f64, bool)| seen.iter().filter(|&&one| one == what).count();
        assert!(count((2.0, true)) >= 3, "budget {budget}: {seen:?}");
        assert!(count((4.0, true)) >= 3, "budget {budget}: {seen:?}");
        assert!(count((5.0, false)) >= 3, "budget {budget}: {seen:?}");
        assert!(seen.iter().all(|&(age, lived)| lived == (age < 5.0)), "budget {budget}: {seen:?}");
        assert!(limit.lower >= 4.0 && limit.upper.is_some_and(|upper| (upper - 5.0).abs() < 1e-3));
        assert!(limit.confirmed && limit.exact);
    }
}

#[test]
fn a_short_ladder_finds_a_silent_limit() {
    let (_, limit) = ages_seen(silent(8.0), 12, &ladder("3s,6s,10s,14s"), 40.0);
    assert!(limit.confirmed && limit.is_sharp(0.01), "{limit:?}");
    assert!(limit.lower < 8.0 && limit.upper.is_some_and(|upper| upper >= 8.0), "{limit:?}");
}

#[test]
fn deaths_at_the_first_rung_are_refined_below_it() {
    let (_, limit) = ages_seen(silent(3.0), 12, &ladder("8s,20s"), 60.0);
    assert!(
        limit.confirmed && limit.lower > 2.8 && limit.upper.is_some_and(|upper| upper < 3.2),
        "{limit:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_moved_limit_is_bracketed_within_two_of_its_lengths(
        old in 3.4..7.5_f64,
        ratio in prop_oneof![0.1..0.9_f64, 1.1..5.0_f64],
        phase in 0.0..1.0_f64,
        is_audible in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let old = old.exp();
        let new = (old * ratio).clamp(27.0, 29_000.0);
        let truth = if is_audible { audible(old) } else { silent(old) };
        let ladder = Ladder::default();
        let mut world = World::new(truth, 12, &ladder, &COMMON_TIMEOUTS, seed);
        let settled = world.now + old * (5.0 + phase);
        while world.step(settled) {}
        let seen = world::follow(&mut world, new, 3.0);
        prop_assert!(seen.bracketed <= 2.0, "{old} to {new}: {seen:?}");
        prop_assert!(seen.noticed <= 2.0, "{old} to {new}: {seen:?}");
    }

    #[test]
    fn the_budget_holds_at_every_moment(
        limit in 2.0..11.0_f64,
        budget in 0_usize..30,
        is_audible in any::<bool>(),
        noise in 0.0..0.3_f64,
        seed in any::<u64>(),
    ) {
        let truth = Truth { limit: limit.exp(), audible: is_audible, noise, deadline: 10.0 };
        let ladder = Ladder::default();
        let mut world = World::new(truth, budget, &ladder, &COMMON_TIMEOUTS, seed);
        for _ in 0..400 {
            world.step(START + 1e9);
            prop_assert!(world.peak <= budget);
        }
    }
}

fn any_fate() -> impl Strategy<Value = Fate> {
    let culprit = prop::sample::select(Culprit::ALL.to_vec());
    let died = (prop::sample::select(Ending::ALL.to_vec()), any::<bool>(), culprit).prop_map(
        |(ending, exact, culprit)| Fate::Died { ending, exact, culprit, recurs: false, killed: None },
    );
    prop_oneof![Just(Fate::Lived), died]
}

/// A number of any size, sometimes absurd.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..100.0_f64,
        2 => -1e6..1e9_f64,
        1 => Just(0.0),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        1 => Just(f64::MIN_POSITIVE),
        1 => Just(f64::MAX),
    ]
}

prop_compose! {
    fn any_history()(seen in prop::collection::vec((any_number(), any_number(), any_fate()), 0..40)) -> History {
        let mut history = History::default();
        for (at, age, fate) in seen {
            history.push(Observation { at, kind: Kind::Idle, age, fate, server: None });
        }
        history
    }
}

proptest! {
    #[test]
    fn any_scene_gets_a_plan_that_keeps_the_rules(
        history in any_history(),
        canaries in prop::collection::vec((any_number(), any_number()), 0..20),
        budget in 0_usize..20,
        now in any_number(),
        precision in prop_oneof![Just(0.01), any_number()],
        common_timeouts in prop::collection::vec(any_number(), 0..6),
        ages in prop::collection::btree_set(1_u32..40_000, 1..20),
    ) {
        let ladder = Ladder::try_from(ages.into_iter().map(f64::from).collect::<Vec<_>>()).expect("good");
        let in_flight: Vec<InFlight> = canaries
            .iter()
            .enumerate()
            .map(|(id, &(age, born))| InFlight { id: id as u64, age, born })
            .collect();
        let scene = Scene {
            now, ladder: &ladder, precision, budget, history: &history, in_flight: &in_flight, common_timeouts: &common_timeouts, hurried: budget % 2 == 0,
        };
        let plan = super::plan(&scene);
        prop_assert!(plan.launches.len() + in_flight.len() - plan.recalls.len() <= budget);
        for launch in &plan.launches {
            let most = if launch.purpose == Purpose::Watch { aims::reach(&scene) } else { ladder.longest() };
            prop_assert!(launch.age > 0.0 && launch.age <= most);
        }
        for (id, age) in &plan.retimes {
            prop_assert!(age.is_finite() && !plan.recalls.contains(id));
            let born = in_flight[*id as usize].born;
            prop_assert!(!(now - born).is_finite() || *age >= now - born);
        }
        prop_assert!(plan.wake.is_none_or(|wake| !wake.is_nan()));
        let _any_history_has_a_limit = idle_limit(&history, Kind::Idle);
        prop_assert_eq!(super::plan(&scene), plan);
    }
}

#[test]
fn bounds_are_looked_at_again_a_little_beside_them() {
    // A limit of 8 s: at 7.997 s canaries live and die by chance.
    let lives = [(3.0, true), (6.0, true), (7.85, true), (8.089, false), (7.997, true)];
    let rungs = ladder("3s,6s,10s");
    let mut history = History::default();
    for (number, (age, lived)) in lives.into_iter().enumerate() {
        let (ending, culprit) = (Ending::Silence, Culprit::NetworkIdleTimeout);
        let died = Fate::Died { ending, exact: false, culprit, recurs: false, killed: None };
        let fate = if lived { Fate::Lived } else { died };
        history.push(Observation { at: START + number as f64, kind: Kind::Idle, age, fate, server: None });
    }
    let bounds = idle_limit(&history, Kind::Idle);
    assert_eq!((bounds.lower, bounds.upper), (7.997, Some(8.089)));
    let next = plan(&ten_canaries(START + 10.0, &rungs, &history));
    for launch in next.launches {
        assert!(launch.age < 7.98 || launch.age > 8.1, "{launch:?}");
        let (ending, culprit) = (Ending::Silence, Culprit::NetworkIdleTimeout);
        let died = Fate::Died { ending, exact: false, culprit, recurs: false, killed: None };
        let fate = if launch.age < 8.0 { Fate::Lived } else { died };
        history.push(Observation { at: START + 20.0, kind: Kind::Idle, age: launch.age, fate, server: None });
    }
    assert!(is_settled(&idle_limit(&history, Kind::Idle), 0.01), "what was seen there bears the bounds out");
}

#[test]
fn beyond_a_limit_of_a_part_one_goes_to_the_ladders_end() {
    let rungs = ladder("2s,4s,7s,10s");
    let (ending, culprit) = (Ending::Fin, Culprit::ProxyIdleTimeout);
    let died = Fate::Died { ending, exact: true, culprit, recurs: false, killed: Some(false) };
    let of = |share_of_all: bool| {
        let mut history = History::default();
        let lives = [(4.0, Fate::Lived), (4.0, Fate::Lived), (5.0, died), (7.0, Fate::Lived), (5.0, died)];
        let lives = lives.into_iter().chain([(5.0, died), (5.01, died)]);
        let is_counted = |(age, fate): &(f64, Fate)| !share_of_all || *age < 6.0 || *fate != Fate::Lived;
        for (number, (age, fate)) in lives.filter(is_counted).enumerate() {
            let at = START + 10.0 * number as f64;
            history.push(Observation { at, kind: Kind::Idle, age, fate, server: None });
        }
        history
    };
    let aims = |history: &History, in_flight: &[InFlight]| -> Vec<f64> {
        let (now, ladder, precision, budget) = (START + 300.0, &rungs, 0.01, 10);
        let scene = Scene {
            now,
            ladder,
            precision,
            budget,
            history,
            in_flight,
            common_timeouts: &[],
            hurried: false,
        };
        let next = plan(&scene);
        assert!(next.recalls.is_empty(), "{next:?}");
        next.launches.into_iter().map(|launch| launch.age).collect()
    };
    let (part, all) = (of(false), of(true));
    assert!(idle_limit(&part, Kind::Idle).share < 1.0 && idle_limit(&all, Kind::Idle).share == 1.0);
    assert!(aims(&part, &[]).contains(&10.0) && !aims(&all, &[]).contains(&10.0));
    let there = [InFlight { id: 1, age: 10.0, born: START + 297.0 }];
    assert!(!aims(&part, &there).contains(&10.0), "one is enough, and it is left alone");
}

proptest! {
    #[test]
    fn there_is_always_something_to_wait_for(
        lives in prop::collection::vec((0_usize..4, 0.0..0.03_f64, 0.0..1.0_f64, any::<bool>()), 0..30),
        limit in 5.0..60.0_f64,
        budget in 2_usize..14,
    ) {
        // Probes of a busy machine come late, those at the ladder's end too.
        let ladder = ladder("10s,25s,33s,40s");
        let mut history = History::default();
        for (number, (rung, late, share, exact)) in lives.into_iter().enumerate() {
            let age = (ladder.ages()[rung] * (0.9 + 0.1 * share)) * (1.0 + late);
            let (ending, culprit) = (Ending::Silence, Culprit::NetworkIdleTimeout);
            let died = Fate::Died { ending, exact, culprit, recurs: false, killed: None };
            let fate = if age < limit { Fate::Lived } else { died };
            history.push(Observation { at: START + number as f64, kind: Kind::Idle, age, fate, server: None });
        }
        let plan = super::plan(&Scene {
            now: START + 1000.0,
            ladder: &ladder,
            precision: 0.01,
            budget,
            history: &history,
            in_flight: &[],
            common_timeouts: &COMMON_TIMEOUTS,
            hurried: false,
        });
        prop_assert!(!plan.launches.is_empty() || plan.wake.is_some(), "{:?}", idle_limit(&history, Kind::Idle));
    }
}

/// Else the limit stood for ever after what struck there was gone: those that are sent past it would tell nothing.
#[test]
fn who_listens_for_a_limit_lives_past_all_that_counts_as_its_age() {
    let ladder = Ladder::parse("1s,7h").expect("a good ladder");
    let history = History::default();
    let scene = ten_canaries(0.0, &ladder, &history);
    for limit in [1.5, 4.0, 5.0, 6.3, 30.0, 55.0, 300.0, 3600.0] {
        let aimed = aims::listening_age(&scene, limit);
        assert!(aimed > limit + tolerance::ONE_AGE.either(limit), "{limit} s: {aimed} s");
    }
}
