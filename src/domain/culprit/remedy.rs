//! Remedies: what the twins' lives and deaths past the idle limit say would help an application.

use serde::Serialize;

use crate::domain::culprit::twins;
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::History;
use crate::domain::limit::IdleLimit;

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

impl Remedies {
    /// Reads from a path's history what helps against an idle limit: whether the twins of that very limit
    /// outlive it. Nothing while there is no limit.
    pub fn read(history: &History, limit: &IdleLimit) -> Self {
        let outlives = |kind| twins::outlives(history, kind, limit);
        Self { tcp_keepalive: outlives(Kind::Keepalive), app_ping: outlives(Kind::Active) }
    }

    /// What was told `before` of the same limit stands where nothing is decided now: that a share of it is counted
    /// anew is no evidence against it.
    pub fn or(self, before: Self) -> Self {
        Self {
            tcp_keepalive: self.tcp_keepalive.or(before.tcp_keepalive),
            app_ping: self.app_ping.or(before.app_ping),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::culprit::Culprit;
    use crate::domain::life::ending::Ending;
    use crate::domain::life::observation::{Fate, Observation};

    #[test]
    fn twins_of_the_limit_itself_decide() {
        let mut history = History::default();
        let mut see = |kind, age, lived| {
            let died = Fate::Died {
                ending: Ending::Fin,
                exact: true,
                culprit: Culprit::Unknown,
                recurs: false,
                killed: None,
            };
            let fate = if lived { Fate::Lived } else { died };
            history.push(Observation { at: 1000.0 * history.len() as f64, kind, age, fate, server: None });
        };
        see(Kind::Keepalive, 28800.0, false);
        see(Kind::Keepalive, 28800.1, false);
        see(Kind::Active, 31000.0, true);
        let helps = |upper: Option<f64>| {
            Remedies::read(&history, &IdleLimit { upper, share: 1.0, ..IdleLimit::default() })
        };
        assert_eq!(helps(Some(28800.0)), Remedies { tcp_keepalive: Some(false), app_ping: Some(true) });
        assert_eq!(helps(Some(3600.0)), Remedies::default(), "the limit moved: not measured there yet");
        assert_eq!(helps(None), Remedies::default(), "no idle canary died");
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

    #[test]
    fn what_was_told_stands_until_something_else_is_measured() {
        let of = |tcp_keepalive, app_ping| Remedies { tcp_keepalive, app_ping };
        let told = of(Some(false), Some(true));
        assert_eq!(of(None, None).or(told), told);
        assert_eq!(of(Some(true), None).or(told), of(Some(true), Some(true)));
        assert_eq!(of(None, Some(false)).or(Remedies::default()), of(None, Some(false)));
    }
}
