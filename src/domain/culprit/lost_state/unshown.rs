//! Moments of loss that nothing shows yet: none of those that were found dead by them was born after one and lived.

use super::moment::moments;
use super::timer::timer;
use super::{Life, MOST_MOMENTS, Stories, here_and_there, mixed};

/// How unlikely such a moment is beforehand, as a logarithm.
const UNSHOWN_MOMENT: f64 = -3.0;

impl Stories {
    /// The log-likelihood that this one was lost at a moment with others, whether or not those that are born later
    /// show it yet: with so many moments at most that nobody lived through, where they explain more.
    pub(super) fn lost_at_moments(&self, one: &Life, most: usize) -> f64 {
        let shared = moments(&self.lives, &self.survivors).filter(|moment| one.spans(*moment));
        let Some(first) = shared.max_by_key(|moment| dead_at(&self.lives, *moment)) else {
            return f64::NEG_INFINITY;
        };
        let asked = self.lost_at_moments.borrow().iter().find(|of| (of.0, of.1) == (first, most)).copied();
        if let Some((_, _, likelihood)) = asked {
            return likelihood;
        }
        let alone = |lives: &[Life]| {
            let alone = timer(lives).likelihood.max(here_and_there(lives, self.young));
            alone.max(mixed(lives, self.young).likelihood)
        };
        let best = self.likelihood_beside(Some(first), most, alone);
        self.lost_at_moments.borrow_mut().push((first, most, best));
        best
    }

    /// The log-likelihood of a timer beside moments that nothing shows yet, by which those were lost that no timer strikes.
    pub(super) fn timer_beside_moments(&self) -> f64 {
        let next = next_moment(&self.lives, &self.survivors);
        self.likelihood_beside(next, MOST_MOMENTS, |lives| timer(lives).likelihood)
    }

    /// The best log-likelihood beside so many moments at most, this one first, then that which takes the most of the rest:
    /// what is `left` to explain is as likely as is said.
    fn likelihood_beside(&self, first: Option<f64>, most: usize, left: impl Fn(&[Life]) -> f64) -> f64 {
        let (mut rest, mut best) = (self.lives.clone(), f64::NEG_INFINITY);
        for place in 1..=most {
            let next = if place == 1 { first } else { next_moment(&rest, &self.survivors) };
            let Some(moment) = next else { break };
            rest.retain(|life| !life.is_dead || !life.spans(moment));
            best = best.max(UNSHOWN_MOMENT * place as f64 + left(&rest));
        }
        best
    }
}

/// The moment that takes the most of these along.
fn next_moment(lives: &[Life], survivors: &[Life]) -> Option<f64> {
    moments(lives, survivors).max_by_key(|moment| dead_at(lives, *moment))
}

/// How many of these were dead by a moment that they lived before.
fn dead_at(lives: &[Life], moment: f64) -> usize {
    lives.iter().filter(|life| life.is_dead && life.spans(moment)).count()
}
