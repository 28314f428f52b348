//! What is walked: the ladder for one look up to an age, by how many canaries there may be.

use crate::domain::limit::ladder::{DEFAULT_AGES, Ladder};

/// The rungs below the default ladder's first, in seconds: somebody waits, and a short limit is to be found in its own
/// time.
const SHORT_AGES: [f64; 9] = [1.0, 2.0, 3.0, 4.5, 6.5, 9.0, 12.0, 15.0, 19.0];
/// With fewer canaries than this the search goes one rung after the other: each climbs more of the ladder alone, and every rung costs its whole age.
pub(super) const ENOUGH_CANARIES: usize = 8;
/// The least ratio of two rungs then.
const STEEP: f64 = 1.8;

/// The ladder up to an age in seconds, which is its last rung; a second at least.
pub(super) fn ladder(max_age: f64, canaries: usize) -> Ladder {
    let longest = max_age.max(SHORT_AGES[0]);
    let mut ages: Vec<f64> = Vec::new();
    let ratio = if canaries < ENOUGH_CANARIES { STEEP } else { 1.0 };
    for age in SHORT_AGES.into_iter().chain(DEFAULT_AGES) {
        let is_apart = ages.last().is_none_or(|&before| age >= before * ratio);
        // One just below the end tells no more than the end.
        if age < longest * 0.95 && is_apart {
            ages.push(age);
        }
    }
    ages.push(longest);
    // Rising ages of a second and more are a ladder.
    Ladder::try_from(ages).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_ends_at_the_age_and_is_steeper_for_few() {
        for (max_age, canaries, ages) in [
            (0.0, 22, &[1.0][..]),
            (10.0, 22, &[1.0, 2.0, 3.0, 4.5, 6.5, 9.0, 10.0]),
            (10.0, 1, &[1.0, 2.0, 4.5, 9.0, 10.0]),
            (12.5, 22, &[1.0, 2.0, 3.0, 4.5, 6.5, 9.0, 12.5]),
            (60.0, 22, &[1.0, 2.0, 3.0, 4.5, 6.5, 9.0, 12.0, 15.0, 19.0, 25.0, 40.0, 55.0, 60.0]),
        ] {
            assert_eq!(ladder(max_age, canaries).ages(), ages, "{max_age} s, {canaries} canaries");
        }
        assert_eq!(ladder(600.0, 22).longest(), 600.0);
        assert!(ladder(86_400.0, 22).ages().len() <= 64);
    }
}
