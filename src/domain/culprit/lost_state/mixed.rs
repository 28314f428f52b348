//! A timer beside flows that are forgotten here and there: all die that are older than it, and some that are younger.

use super::timer::{DIES, ORDERS};
use super::{AGAINST, Life, Sent, any_of, at_rate, rates};
use crate::domain::life::tolerance::PROBED;

/// How unlikely it is beforehand, as a logarithm, that a path has both.
const BOTH: f64 = -3.0;
/// So many that a timer struck are the least that it is seen by.
const STRUCK: usize = 3;

/// What explains lives by both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mixed {
    /// The logarithm of the likelihood of what was seen.
    pub(super) likelihood: f64,
    /// The age that the timer strikes at, in seconds.
    limit: f64,
}

impl Mixed {
    /// Whether the timer of both strikes one that is as old as this.
    pub(super) fn strikes(&self, one: &Life) -> bool {
        one.sent == Sent::Nothing && one.age() >= self.limit
    }
}

/// The best timer beside them. Others lived for `young` seconds together.
pub(super) fn mixed(lives: &[Life], young: f64) -> Mixed {
    let mut by_age: Vec<&Life> = lives.iter().filter(|life| life.sent == Sent::Nothing).collect();
    by_age.sort_by(|a, b| a.age().total_cmp(&b.age()));
    let longest = lives.iter().map(Life::age).fold(1.0, f64::max);
    // What those that send tell of each rate, and then those that are younger than the timer.
    let mut below: Vec<(f64, f64)> = rates(longest)
        .map(|rate| {
            let sends = lives.iter().filter(|life| life.sent != Sent::Nothing);
            (rate, sends.map(|life| at_rate(rate, life)).sum::<f64>() - rate * young)
        })
        .collect();
    let mut died = by_age.iter().filter(|life| life.is_dead).count();
    let mut lived = by_age.len() - died;
    let mut best = Mixed { likelihood: f64::NEG_INFINITY, limit: f64::INFINITY };
    let mut order_below = None;
    for life in by_age {
        if life.is_dead && died >= STRUCK {
            let order = life.age().ln();
            // Every age is as likely beforehand as any other of its order.
            let width = order_below.map_or(1.0, |below: f64| (order - below).max(PROBED.share));
            let struck = died as f64 * DIES + lived as f64 * AGAINST + BOTH + (width / ORDERS).ln();
            let forgotten = any_of(below.iter().map(|(_, likelihood)| *likelihood));
            if struck + forgotten > best.likelihood {
                best = Mixed { likelihood: struck + forgotten, limit: life.age() };
            }
        }
        *(if life.is_dead { &mut died } else { &mut lived }) -= 1;
        below.iter_mut().for_each(|(rate, likelihood)| *likelihood += at_rate(*rate, life));
        order_below = Some(life.age().ln());
    }
    best
}
