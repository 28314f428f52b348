//! Remedies: what the twins' lives and deaths past the idle limit say would help an application.

use serde::Serialize;

use super::limit::IdleLimit;

/// What keeps a connection alive past the idle limit. `None` while not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Remedies {
    /// TCP keepalive: the kernel's empty packets are traffic enough.
    pub tcp_keepalive: Option<bool>,
    /// A ping by the application or its pool.
    pub app_ping: Option<bool>,
}

/// What an application should do about a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Set TCP keepalive below the limit.
    TcpKeepalive,
    /// Ping below the limit; TCP keepalive does not help, or was not measured.
    AppPing,
    /// Nothing keeps a connection alive: replace it before the limit.
    OnlyRecycling,
    /// Not measured. Replacing connections before the limit is safe in any case.
    Undecided,
}

/// Up to this many times the idle limit, a twin that was found dead counts as dead of that limit.
/// Twins are launched just past it; one found dead much later may have met another limit behind it.
const FOUND_DEAD_REACH: f64 = 2.0;
/// A twin whose death is exact outlived the limit when it died later than this share beyond it, and
/// [`OUTLIVED_SECONDS`]. Timers fire late, by a few per cent.
const OUTLIVED_SHARE: f64 = 0.05;
/// See [`OUTLIVED_SHARE`]; in seconds, enough for a server's clock that ticks by the second.
const OUTLIVED_SECONDS: f64 = 1.0;

impl Remedies {
    /// Reads the remedies from the limits of three kinds on one path.
    pub fn from_limits(idle: &IdleLimit, keepalive: &IdleLimit, active: &IdleLimit) -> Self {
        Self { tcp_keepalive: outlived(idle, keepalive), app_ping: outlived(idle, active) }
    }

    /// What an application should do.
    pub fn choose(&self) -> Remedy {
        match (self.tcp_keepalive, self.app_ping) {
            (Some(true), _) => Remedy::TcpKeepalive,
            (Some(false) | None, Some(true)) => Remedy::AppPing,
            (Some(false) | None, Some(false)) => Remedy::OnlyRecycling,
            (Some(false) | None, None) => Remedy::Undecided,
        }
    }
}

/// Whether twins of another kind live past the age that idle canaries die at.
///
/// They do when one survived at or past that age, or died at an exact age well past it. They do not
/// when one died and none survived past it. Anything else is not measured: no idle canary died, no
/// twin ran, or a twin was found dead at an age so great that another limit may have ended it.
fn outlived(idle: &IdleLimit, twin: &IdleLimit) -> Option<bool> {
    let limit = idle.upper?;
    if let Some(died_at) = twin.upper.filter(|_| twin.exact) {
        // Its lower bound is drawn from the death itself and proves nothing beside it.
        return Some(died_at > limit * (1.0 + OUTLIVED_SHARE) + OUTLIVED_SECONDS);
    }
    if twin.survivals > 0 && twin.lower >= limit {
        return Some(true);
    }
    (twin.upper? <= limit * FOUND_DEAD_REACH + OUTLIVED_SECONDS).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn died(lower: f64, upper: f64, exact: bool) -> IdleLimit {
        IdleLimit { lower, upper: Some(upper), exact, deaths: 2, survivals: 1, ..IdleLimit::default() }
    }

    fn lived(lower: f64) -> IdleLimit {
        IdleLimit { lower, survivals: 1, ..IdleLimit::default() }
    }

    #[test]
    fn a_twin_past_the_limit_decides() {
        let none = IdleLimit::default();
        let cases = [
            ("no idle canary died", lived(30000.0), lived(30000.0), None),
            ("no twin ran", died(320.0, 420.0, false), none, None),
            ("it lived past", died(320.0, 350.1, true), lived(360.0), Some(true)),
            ("it lived, but only below", died(320.0, 350.1, true), lived(300.0), None),
            ("it was found dead", died(320.0, 420.0, false), died(0.0, 430.0, false), Some(false)),
            ("it died at the limit", died(3.0, 4.05, true), died(0.0, 4.06, true), Some(false)),
            ("it died a little later", died(3.0, 4.05, true), died(4.3, 4.8, true), Some(false)),
            ("it died of something later", died(3.0, 4.05, true), died(0.0, 8.0, true), Some(true)),
            ("it lived past and died much later", died(3.0, 4.05, true), died(5.0, 9.0, false), Some(true)),
            ("it was found dead far beyond", died(3.0, 4.05, true), died(0.0, 90.0, false), None),
        ];
        for (name, idle, twin, answer) in cases {
            assert_eq!(Remedies::from_limits(&idle, &twin, &none).tcp_keepalive, answer, "{name}");
            assert_eq!(Remedies::from_limits(&idle, &none, &twin).app_ping, answer, "{name}");
        }
    }

    #[test]
    fn the_cheapest_remedy_that_works_is_chosen() {
        let choose = |tcp_keepalive, app_ping| Remedies { tcp_keepalive, app_ping }.choose();
        assert_eq!(choose(Some(true), Some(true)), Remedy::TcpKeepalive);
        assert_eq!(choose(Some(true), None), Remedy::TcpKeepalive);
        assert_eq!(choose(Some(false), Some(true)), Remedy::AppPing);
        assert_eq!(choose(None, Some(true)), Remedy::AppPing);
        assert_eq!(choose(Some(false), Some(false)), Remedy::OnlyRecycling);
        assert_eq!(choose(Some(false), None), Remedy::Undecided);
        assert_eq!(choose(None, None), Remedy::Undecided);
    }
}
