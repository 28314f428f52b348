//! Breadth: lives of very different ages, where deaths and survivals contradict one another.
//!
//! A timer of a part of the connections kills the same share at every age past it, flows that are forgotten here and
//! there the more the older they are, and the search, which looks ever closer, holds lives of one age that do not
//! tell one from the other. So some canaries are aimed at a half of the youngest death's age and at many times of it,
//! until the lives together tell.

use super::{Draft, Purpose, Scene, is_same_age};
use crate::domain::culprit::lost_state::contradictions;
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History};
use crate::domain::limit::IdleLimit;

/// So many of the newest lives are looked at.
const NEWEST: usize = 32;
/// So often they contradict one another where no single limit explains them: a limit that moved is one contradiction,
/// a stray two.
const CONTRADICTIONS: usize = 4;
/// Where to look, in ages of the youngest that was found dead: the most telling first.
const AIMS: [f64; 5] = [8.0, 0.5, 4.0, 2.0, 8.0];

/// Aims canaries widely where the lives of now contradict one another, and keeps them from being aimed elsewhere.
pub(super) fn keep(scene: &Scene<'_>, limit: &IdleLimit, draft: &mut Draft) {
    let is_of_a_silent_part = limit.share > 0.0 && limit.share < 1.0 && !limit.exact;
    let youngest = limit.upper.filter(|_| is_of_a_silent_part).or_else(|| contested(scene.history));
    let Some(youngest) = youngest else { return };
    let longest = scene.ladder.longest();
    for aim in AIMS.iter().take(scene.budget / 2).map(|lengths| (lengths * youngest).min(longest)) {
        let fits = |target: f64| is_same_age(target, aim);
        if let Some(canary) = draft.free().find(|canary| fits(canary.target)) {
            canary.is_kept = true;
        } else if draft.room() > 0 {
            draft.launch(aim, Purpose::Ladder);
        } else if let Some(canary) = draft.free().find(|canary| canary.idle < aim) {
            canary.target = aim;
            canary.is_kept = true;
        }
    }
}

/// The shortest age that one was found dead at, in seconds, where deaths that only probes found and survivals
/// contradict one another again and again.
fn contested(history: &History) -> Option<f64> {
    let lives =
        history.iter().rev().filter(|seen| seen.kind == Kind::Idle).filter_map(|seen| match seen.fate {
            Fate::Lived => Some((seen.age, false)),
            Fate::Died { exact: false, .. } if seen.is_bounding_death() => Some((seen.age, true)),
            Fate::Died { .. } => None,
        });
    let lives: Vec<(f64, bool)> = lives.take(NEWEST).collect();
    let died = lives.iter().filter(|(_, is_dead)| *is_dead).map(|(age, _)| *age);
    died.reduce(f64::min).filter(|_| contradictions(lives.iter().copied()) >= CONTRADICTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::culprit::Culprit;
    use crate::domain::life::ending::Ending;
    use crate::domain::life::observation::Observation;

    fn history(lives: &[(f64, bool)]) -> History {
        let (ending, culprit) = (Ending::Silence, Culprit::Unknown);
        let died = Fate::Died { ending, exact: false, culprit, recurs: false, killed: None };
        let mut history = History::default();
        for (number, &(age, lived)) in lives.iter().enumerate() {
            let fate = if lived { Fate::Lived } else { died };
            let at = 1000.0 * (number + 1) as f64;
            history.push(Observation { at, kind: Kind::Idle, age, fate, server: None });
        }
        history
    }

    #[test]
    fn only_lives_that_contradict_one_another_again_and_again_are_contested() {
        let search = [(10.0, true), (40.0, false), (20.0, true), (30.0, false), (24.0, true), (27.0, false)];
        let moved = [(30.0, true), (60.0, true), (110.0, false), (70.0, true), (90.0, false), (75.0, true)];
        let stray = [(40.0, true), (60.0, true)];
        assert_eq!(contested(&history(&search)), None);
        assert_eq!(contested(&history(&[search, moved].concat())), None, "it was set longer");
        assert_eq!(
            contested(&history(&[&search[..], &[(5.0, false)], &search[1..]].concat())),
            None,
            "a stray"
        );
        assert_eq!(contested(&history(&[&search[..], &stray[..]].concat())), None);
        let part = [(8.0, false), (10.0, true), (9.0, false), (12.0, true), (8.5, false), (25.0, true)];
        assert_eq!(contested(&history(&part)), Some(8.0));
        let forgotten = [&part[..], &[(24.0, true); NEWEST]].concat();
        assert_eq!(contested(&history(&forgotten)), None, "of the past");
    }

    #[test]
    fn half_of_the_canaries_look_at_ages_far_apart_within_the_ladder() {
        let ladder = crate::domain::limit::ladder::Ladder::parse("4s,8s,15s,25s,40s").expect("a good ladder");
        let part = [(8.0, false), (10.0, true), (9.0, false), (12.0, true), (8.5, false), (25.0, true)];
        let history = history(&part);
        let plan = super::super::plan(&super::super::tests::ten_canaries(10_000.0, &ladder, &history));
        for (age, count) in [(40.0, 2), (32.0, 1), (16.0, 1), (4.0, 1)] {
            let aimed = plan.launches.iter().filter(|launch| is_same_age(launch.age, age)).count();
            assert!(aimed >= count, "{age} s: {plan:?}");
        }
        assert!(plan.launches.len() <= 10);
    }
}
