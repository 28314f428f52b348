//! Breadth: lives of very different ages, where deaths and survivals contradict one another.
//!
//! A timer of a part of the connections kills the same share at every age past it, flows that are forgotten here and
//! there the more the older they are, and the search, which looks ever closer, holds lives of one age that do not
//! tell one from the other. So some canaries are aimed at a half of the youngest death's age and at many times of it,
//! until the lives together tell.

use super::{Draft, Purpose, Scene, is_same_age};
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History};
use crate::domain::life::tolerance::probed;
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
    let (mut survived, mut died, mut youngest) = (0.0_f64, f64::INFINITY, f64::INFINITY);
    let mut contradictions = 0;
    let lives =
        history.iter().rev().filter(|seen| seen.kind == Kind::Idle).filter_map(|seen| match seen.fate {
            Fate::Lived => Some((seen.age, false)),
            Fate::Died { exact: false, .. } if seen.is_bounding_death() => Some((seen.age, true)),
            Fate::Died { .. } => None,
        });
    for (age, is_dead) in lives.take(NEWEST) {
        if is_dead {
            youngest = youngest.min(age);
            let is_against = age <= survived;
            contradictions += usize::from(is_against);
            (survived, died) = if is_against { (0.0, age) } else { (survived, died.min(age)) };
        } else {
            let is_against = age >= died + probed(died);
            contradictions += usize::from(is_against);
            (survived, died) = if is_against { (age, f64::INFINITY) } else { (survived.max(age), died) };
        }
    }
    (contradictions >= CONTRADICTIONS).then_some(youngest)
}
