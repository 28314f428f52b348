//! The watch: what is known is looked at again and again, at a rate the server does not feel.

use super::aims::{listening_age, past};
use super::limit::IdleLimit;
use super::tolerance::HEARD;
use super::{Draft, Purpose, Scene, is_longer, is_same_age};
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, Observation};

/// Logins an hour for visits to the ladder's rungs.
const LOGINS_PER_HOUR: f64 = 150.0;

/// A ladder so short that this many lives of its longest rung fit in an hour may log in more often in
/// proportion: nobody climbs it to run for days.
const SHORT_LADDER_LIVES: f64 = 20.0;

/// How long a watched bound rests between two looks, as a share of the limit: with the life itself,
/// less than two of its lengths.
const REST_SHARE: f64 = 0.25;

/// The most connections that visits to known rungs hold, whatever the budget.
const MOST_SLOTS: usize = 10;

/// Visits to known rungs leave this many slots free, and not more than a quarter, for whatever needs one
/// at once.
const SPARE_SLOTS: usize = 2;

const SECONDS_PER_HOUR: f64 = 3600.0;

/// So many idle canaries in a row that outlived a limit of a part make it doubtful ...
const DOUBTFUL: usize = 6;
/// ... and so many are sent past it at once then, where the budget has them to spare.
const SENT_AT_ONCE: usize = 4;

/// Looks again at both bounds of a limit that is sharp and confirmed.
pub(super) fn keep_in_sight(scene: &Scene<'_>, limit: &IdleLimit, upper: f64, draft: &mut Draft) {
    // Where deaths are heard, a canary aimed further up hears a limit that moved up as well.
    let above = if limit.exact { listening_age(scene, limit.longest()) } else { past(scene, upper) };
    // Where it rules a part of the connections only, one goes on to the ladder's end: how long do the others live?
    let is_of_a_part = limit.share < 1.0 || limit.server.is_some();
    let far = Some(scene.ladder.longest()).filter(|&far| is_of_a_part && is_longer(far, above));
    let is_far = |target: f64| far.is_some_and(|far| is_same_age(target, far));
    // Each of those that outlive it may be on the other part: many of them tell whether it is still there.
    let is_doubtful = is_of_a_part && outlived_in_a_row(scene, limit) >= DOUBTFUL;
    let many = if is_doubtful { SENT_AT_ONCE.min(scene.budget / 2).max(1) } else { 1 };
    for _ in draft.count_aimed_at(above)..if is_doubtful { many } else { 0 } {
        draft.launch(above, Purpose::Watch);
    }
    let cycle = (upper * (1.0 + REST_SHARE)).max(2.0 / logins_per_second(scene));
    for (age, strikes_at) in [(limit.below(), limit.lower), (above, upper)] {
        let seen_near = |seen: &&Observation| (seen.age / strikes_at - 1.0).abs() <= HEARD.share;
        let next = last_start(scene, seen_near).map_or(f64::NEG_INFINITY, |start| start + cycle);
        if limit.exact && age < above && scene.ladder.ages()[0] < limit.lower {
            // The visits to the ladder's rungs tell whether the limit moved down.
            continue;
        }
        if draft.is_aimed_at(age)
            || is_served_in_flight(age, limit.lower, &|aim| is_same_age(aim, above) || is_far(aim), draft)
        {
            continue;
        }
        if next <= scene.now {
            draft.launch(age, Purpose::Watch);
        } else {
            draft.wake_at(next);
        }
    }
    if let Some(far) = far.filter(|&far| !draft.is_aimed_at(far)) {
        draft.launch(far, Purpose::Watch);
    }
    // The search is over: what it left in flight above the lower bound can teach no more.
    let (lower, mut watched) = (limit.lower, 0);
    for canary in draft.free().filter(|canary| !is_far(canary.target)) {
        watched += usize::from(is_same_age(canary.target, above));
        let is_one_too_many = is_same_age(canary.target, above) && watched > many;
        let is_left_over = is_longer(canary.target, lower) && !is_same_age(canary.target, above);
        if is_one_too_many || is_left_over || (canary.idle > above && !limit.exact) {
            canary.recalled = true;
        }
    }
}

/// How many idle canaries outlived a limit, one after the other, since it struck last.
fn outlived_in_a_row(scene: &Scene<'_>, limit: &IdleLimit) -> usize {
    let Some(past) = limit.outlived_from() else { return 0 };
    let tells = scene.history.iter().rev().filter(|seen| {
        let is_here = limit.server.is_none() || scene.history.is_one_server(limit.server, seen.server);
        seen.kind == Kind::Idle && is_here && seen.age >= limit.lower
    });
    let outlived = |seen: &&Observation| match seen.fate {
        Fate::Lived => true,
        Fate::Died { exact, .. } => exact && seen.age > past,
    };
    tells.take_while(outlived).filter(|seen| seen.age >= past).count()
}

/// Re-aims a canary that the search left in flight, the oldest that fits, and says whether there was one: its session lives
/// no longer than to the ladder's end.
fn is_served_in_flight(age: f64, lower: f64, is_watched: &dyn Fn(f64) -> bool, draft: &mut Draft) -> bool {
    if age > draft.longest {
        return false;
    }
    let is_left_over = |aim: f64| is_longer(aim, lower) && !is_watched(aim);
    let left_over = draft.free().find(|canary| canary.idle <= age && is_left_over(canary.target));
    left_over.is_some_and(|canary| {
        canary.target = age;
        true
    })
}

/// Visits the rungs below `lower` again, or all of them, the most overdue first; and the age past the ladder's end that was
/// survived, where one was: that a limit at that end is gone is borne out by more.
pub(super) fn revisit_ladder(
    scene: &Scene<'_>,
    lower: Option<f64>,
    past_end: Option<f64>,
    draft: &mut Draft,
) {
    let below = lower.map_or(f64::INFINITY, |lower| lower * (1.0 - HEARD.share));
    let rungs = scene.ladder.ages().iter().copied().filter(|&rung| rung < below);
    let rungs: Vec<f64> = rungs.chain(past_end).collect();
    let slots = (scene.budget - SPARE_SLOTS.min(scene.budget / 4)).min(MOST_SLOTS);
    let share = (rungs.len() as f64 / slots.max(1) as f64).max(1.0);
    let shortest = shortest_cycle(&rungs, share, logins_per_second(scene));
    let mut due: Vec<(f64, f64)> = Vec::new();
    for rung in rungs {
        if draft.is_aimed_at(rung) {
            continue;
        }
        let cycle = (rung * share).max(shortest);
        let last = last_start(scene, |seen| is_same_age(seen.age, rung));
        let next = last.map_or(f64::NEG_INFINITY, |start| start + cycle);
        if next <= scene.now {
            due.push(((scene.now - next) / cycle, rung));
        } else {
            draft.wake_at(next);
        }
    }
    due.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
    for (_, rung) in due {
        if draft.in_flight() < slots {
            let purpose = if past_end == Some(rung) { Purpose::Watch } else { Purpose::Ladder };
            draft.launch(rung, purpose);
        }
    }
}

/// When the last finished life that fits began, in seconds since the Unix epoch.
fn last_start(scene: &Scene<'_>, fits: impl Fn(&&Observation) -> bool) -> Option<f64> {
    scene.history.iter().rev().find(fits).map(Observation::born)
}

fn logins_per_second(scene: &Scene<'_>) -> f64 {
    let lives = SECONDS_PER_HOUR / (SHORT_LADDER_LIVES * scene.ladder.longest());
    LOGINS_PER_HOUR / SECONDS_PER_HOUR * lives.max(1.0)
}

/// The shortest cycle, in seconds, that keeps all rungs together under a rate of logins.
fn shortest_cycle(rungs: &[f64], share: f64, rate: f64) -> f64 {
    let logins = |floor: f64| rungs.iter().map(|rung| 1.0 / (rung * share).max(floor)).sum::<f64>();
    if logins(0.0) <= rate {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, rungs.len() as f64 / rate);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if logins(middle) > rate {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::culprit::Culprit;
    use crate::domain::life::ending::Ending;
    use crate::domain::life::observation::History;
    use crate::domain::life::tolerance::ONE_AGE;
    use crate::domain::limit::ladder::Ladder;

    #[test]
    fn a_limit_of_a_part_that_many_outlived_in_a_row_is_looked_at_by_several() {
        let ladder = Ladder::parse("4s,8s,15s,25s,40s").expect("a good ladder");
        let (ending, culprit) = (Ending::Fin, Culprit::ProxyIdleTimeout);
        let closed = Fate::Died { ending, exact: true, culprit, recurs: true, killed: Some(false) };
        let launched = |outlived: usize| {
            let met =
                [(10.0, closed), (40.0, Fate::Lived), (10.01, closed), (40.0, Fate::Lived), (10.0, closed)];
            let lives = met.into_iter().chain(std::iter::repeat_n((15.0, Fate::Lived), outlived));
            let mut history = History::default();
            for (number, (age, fate)) in lives.enumerate() {
                let at = 100.0 * (number + 1) as f64;
                history.push(Observation { at, kind: Kind::Idle, age, fate, server: None });
            }
            let plan = super::super::plan(&super::super::tests::ten_canaries(10_000.0, &ladder, &history));
            plan.launches.iter().filter(|launch| is_same_age(launch.age, 15.0)).count()
        };
        assert_eq!((launched(0), launched(DOUBTFUL - 1), launched(DOUBTFUL)), (1, 1, SENT_AT_ONCE));
    }

    #[test]
    fn a_limit_just_below_the_ladders_end_is_looked_at_past_that_end() {
        for (ages, limit) in [("2s,4s,8s", 7.3), ("2s,4s,8s", 8.3), ("1h,7h", 24_900.0)] {
            let ladder = Ladder::parse(ages).expect("a good ladder");
            let (ending, culprit) = (Ending::Fin, Culprit::ProxyIdleTimeout);
            let fate = Fate::Died { ending, exact: true, culprit, recurs: true, killed: Some(false) };
            let mut history = History::default();
            for place in 1..4 {
                let at = 100_000.0 * f64::from(place);
                history.push(Observation { at, kind: Kind::Idle, age: limit, fate, server: None });
            }
            let scene = super::super::tests::ten_canaries(1e7, &ladder, &history);
            let plan = super::super::plan(&scene);
            let past = limit + ONE_AGE.either(limit);
            let watches: Vec<_> = plan.launches.iter().filter(|launch| launch.age > past).collect();
            assert_eq!(watches.len(), 1, "{ages}, {limit} s: {plan:?}");
            // It goes on to that age, once it is on its way.
            let in_flight = [super::super::InFlight { id: 1, age: watches[0].age, born: 1e7 - 1.0 }];
            let plan = super::super::plan(&Scene { in_flight: &in_flight, ..scene });
            assert!(plan.retimes.is_empty() && plan.recalls.is_empty(), "{plan:?}");
            assert!(!plan.launches.iter().any(|launch| launch.age > past), "one is enough: {plan:?}");
            // One that outlived it there is borne out by others.
            for place in 1..8 {
                let (at, age) = (1e7 + 1e5 * f64::from(place), past * 1.002);
                history.push(Observation { at, kind: Kind::Idle, age, fate: Fate::Lived, server: None });
                let plan =
                    super::super::plan(&super::super::tests::ten_canaries(at + 1e5, &ladder, &history));
                assert!(
                    plan.launches.iter().any(|launch| launch.age > past),
                    "{ages}, {limit} s, {place}: {plan:?}"
                );
            }
        }
    }
}
