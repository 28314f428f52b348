//! The limit of a silent timer that rules a part of the connections only, read from all lives together: no single
//! death or survival says anything of it, since a life may have been on the other part.

use super::IdleLimit;
use super::recurring::survived_by_all;
use crate::domain::culprit::lost_state::{Beside, Life, Part, Sent, bears_out_all, timer_of_a_part};
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History, Observation};
use crate::domain::life::tolerance::probed;

/// So many found dead beside one another bear the upper bound out.
const ENOUGH: usize = 2;

/// Whether what the lives of now tell together bears a silent limit out, of all connections or of a part.
pub fn is_told_by_all_lives(history: &History, kind: Kind, limit: &IdleLimit) -> bool {
    let counts = |seen: &Observation| limit.server.is_none() || seen.server == limit.server;
    let Some(upper) = limit.upper else { return false };
    limit.exact || limit.share < 1.0 || bears_out_all(&lives(history, kind, &counts), limit.lower, upper)
}

/// The lives that tell of silent deaths.
fn lives(history: &History, kind: Kind, counts: &dyn Fn(&Observation) -> bool) -> Beside {
    let seen = history.iter().rev().filter(|seen| seen.kind == kind && counts(seen));
    let lives = seen.filter_map(|seen| {
        let is_dead = match seen.fate {
            // Whose end was heard lived until then: its flow was known.
            Fate::Lived | Fate::Died { exact: true, .. } => false,
            Fate::Died { exact: false, .. } if seen.is_bounding_death() => true,
            // What was lost at one moment, or closed in answer to a probe, is explained.
            Fate::Died { .. } => return None,
        };
        Some(Life { born: seen.born(), seen: seen.at, is_dead, sent: Sent::Nothing })
    });
    Beside::of(lives, Vec::new())
}

/// The limit of a timer that rules a part of the connections, where one explains the lives of now.
pub(super) fn find(
    history: &History,
    kind: Kind,
    counts: &dyn Fn(&Observation) -> bool,
) -> Option<IdleLimit> {
    let beside = lives(history, kind, counts);
    let Part { limit, since, died, lived } = timer_of_a_part(&beside)?;
    let lives = beside.lives;
    let is_of_now = |life: &&Life| since.holds(life);
    let ages = |is_dead: bool| {
        let those = lives.iter().filter(is_of_now).filter(move |life| life.is_dead == is_dead);
        let mut ages: Vec<f64> = those.map(Life::age).collect();
        ages.sort_by(f64::total_cmp);
        ages
    };
    let (dead, alive) = (ages(true), ages(false));
    let mut struck = dead.iter().copied().filter(|age| *age >= limit * (1.0 - 1e-9));
    let upper = struck.next()?;
    let certain = struck.next();
    let share = died as f64 / (died + lived) as f64;
    let below: Vec<f64> = alive.iter().rev().copied().filter(|age| *age < upper).collect();
    let lower = survived_by_all(&below, share);
    let bears_out = dead.iter().filter(|age| **age >= upper && **age <= upper + probed(upper)).count();
    let newest = lives.iter().filter(|life| life.is_dead && is_of_now(life)).map(|life| life.seen);
    Some(IdleLimit {
        lower,
        survived: lower,
        upper: Some(upper),
        exact: false,
        evidence_at: newest.reduce(f64::max),
        deaths: bears_out.max(ENOUGH),
        survivals: below.len(),
        confirmed: true,
        upper_in_doubt: false,
        lower_in_doubt: false,
        certain,
        standing_deaths: died,
        share,
        spread_to: None,
        others_live_to: alive.last().copied().unwrap_or(0.0),
        server: None,
        borne_out: None,
    })
}
