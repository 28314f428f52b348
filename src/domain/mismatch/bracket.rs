//! Comparing a configured time with a limit that is known only as a bracket.

use crate::domain::life::tolerance::{DEVICE_LATE, DEVICE_LATE_MOST_SHARE, SET_BEFORE};
use crate::domain::limit::IdleLimit;

/// Whether a configured time reaches the limit, both in seconds, so that a connection may be idle (or
/// old) past it.
///
/// Canaries of age `lower` lived and of age `upper` were dead, so the limit lies in (lower, upper].
/// A time of `upper` or more reaches every limit in there: true. A time of `lower` or less reaches
/// none: false. Between, only a sharper bracket can tell: `None`. An exact death has no bracket: its
/// limit is `upper` less the little that timers are late, and the answer is always known.
///
/// True needs a confirmed limit, for a single death may be a stray and an alert hangs on it. False
/// does not: canaries survived that age.
pub fn reached(limit: &IdleLimit, seconds: f64) -> Option<bool> {
    match firm_upper(limit) {
        Some(upper) if seconds >= upper => Some(true),
        Some(_) if limit.exact => Some(false),
        Some(_) | None => (seconds <= limit.lower).then_some(false),
    }
}

/// The longest age in seconds up to which connections are known to live. For an exact limit it is the
/// limit itself less the lateness of timers, otherwise the longest age survived. Zero: none is known.
pub fn safe_below(limit: &IdleLimit) -> f64 {
    match firm_upper(limit) {
        Some(upper) if limit.exact => upper.max(0.0),
        Some(_) | None => limit.lower.max(0.0),
    }
}

/// The shortest time in seconds that is certain to reach a confirmed limit.
pub fn firm_upper(limit: &IdleLimit) -> Option<f64> {
    let upper = limit.upper.filter(|_| limit.confirmed)?;
    if limit.exact { Some(timer_of(upper)) } else { Some(upper) }
}

/// The shortest timer, in seconds, that an exact death at this age may be the work of.
fn timer_of(age: f64) -> f64 {
    (age - SET_BEFORE.both(age)).max(age * 0.5)
}

/// The limits that a bracket allows, from and to, in seconds. Unconfirmed or absent deaths leave it open.
pub(super) fn allowed(limit: &IdleLimit) -> (f64, f64) {
    match (limit.confirmed, limit.upper) {
        (true, Some(upper)) if limit.exact => (timer_of(upper).min(upper), upper),
        (true, Some(upper)) => (limit.lower, upper),
        (_, Some(_) | None) => (limit.lower, f64::INFINITY),
    }
}

/// By when, in seconds, a device of this idle timeout has acted: default lateness of coarse timers,
/// 2 % and up to 30 s (less for short timeouts).
pub(super) fn device_acts_by(idle_timeout: f64) -> f64 {
    idle_timeout * (1.0 + DEVICE_LATE.share) + DEVICE_LATE.seconds.min(idle_timeout * DEVICE_LATE_MOST_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(lower: f64, upper: Option<f64>, exact: bool, confirmed: bool) -> IdleLimit {
        IdleLimit { lower, upper, exact, confirmed, ..IdleLimit::default() }
    }

    #[test]
    fn inside_a_bracket_nothing_is_said() {
        let silent = limit(320.0, Some(420.0), false, true);
        for (seconds, answer) in
            [(0.0, Some(false)), (320.0, Some(false)), (320.1, None), (419.9, None), (420.0, Some(true))]
        {
            assert_eq!(reached(&silent, seconds), answer, "{seconds}");
        }
        assert_eq!(safe_below(&silent), 320.0);
    }

    #[test]
    fn an_exact_death_has_no_inside() {
        let exact = limit(4.0, Some(5.05), true, true);
        assert_eq!(reached(&exact, 5.0), Some(true));
        assert_eq!(reached(&exact, 4.8), Some(true));
        assert_eq!(reached(&exact, 4.7), Some(false));
        assert!((safe_below(&exact) - 4.7495).abs() < 1e-9);
    }

    #[test]
    fn an_unconfirmed_limit_is_never_reached() {
        for exact in [false, true] {
            let stray = limit(320.0, Some(350.0), exact, false);
            assert_eq!(reached(&stray, 1e9), None);
            assert_eq!(reached(&stray, 320.0), Some(false));
            assert_eq!(safe_below(&stray), 320.0);
        }
    }

    #[test]
    fn while_nothing_died_only_survived_ages_are_safe() {
        let lived = limit(30000.0, None, false, false);
        assert_eq!(reached(&lived, 30000.0), Some(false));
        assert_eq!(reached(&lived, 30001.0), None);
        assert_eq!(reached(&IdleLimit::default(), 1.0), None);
    }
}
