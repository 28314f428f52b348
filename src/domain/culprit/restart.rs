//! Whether a server was restarted or replaced between two moments at which it spoke.
//!
//! `Uptime` alone does not tell: servers make it from the calendar's clock, which may be set back or
//! forward while they run.

/// What a server said of itself at one moment. What is not known is `None`, and proves nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Glimpse {
    /// `Uptime`, in seconds.
    pub uptime: Option<f64>,
    /// `server_uuid` or `server_uid`.
    pub identity: Option<String>,
    /// The thread id of the session that was asked, as only the server behind any proxy tells it. A server
    /// counts them upwards, and from the beginning when it starts.
    pub thread_id: Option<u64>,
}

/// Whether the server of `now` is not the process of `then`, which spoke at least `between` seconds before.
///
/// A new identity is another server. A restart shows in an `Uptime` that does not go on from the earlier
/// one, and that is either no longer than the time between, or told by a session that the server counted
/// from the beginning again: a clock that was set back leaves both as they were.
pub fn has_restarted(then: &Glimpse, now: &Glimpse, between: f64) -> bool {
    let replaced = then.identity.as_ref().zip(now.identity.as_ref()).is_some_and(|(then, now)| then != now);
    let recounted = then.thread_id.zip(now.thread_id).is_some_and(|(then, now)| now < then);
    let restarted = then.uptime.zip(now.uptime).is_some_and(|(then, now)| {
        let stray = SLACK + DRIFT * between;
        then + between - now > stray && (now <= between + stray || recounted)
    });
    replaced || restarted
}

/// `Uptime` is in whole seconds, and read over a network: the start strays by this much, in seconds ...
const SLACK: f64 = 2.0;
/// ... and by this much more as a share of the time between: the server counts by its own clock.
const DRIFT: f64 = 0.001;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glimpse(uptime: f64, identity: &str, thread_id: u64) -> Glimpse {
        Glimpse { uptime: Some(uptime), identity: Some(identity.to_owned()), thread_id: Some(thread_id) }
    }

    #[test]
    fn restarts_are_told_from_clocks_that_were_set() {
        // What it said then, what it says a minute later, and whether it was restarted.
        for (why, then, now, expected) in [
            ("it runs on", (100.0, "a", 7), (160.0, "a", 9), false),
            ("whole seconds", (100.0, "a", 7), (158.5, "a", 9), false),
            ("restarted a moment ago", (100.0, "a", 7), (5.0, "a", 3), true),
            ("restarted, and ids that passed the old one already", (100.0, "a", 7), (5.0, "a", 90), true),
            ("restarted in the first second of the minute", (9000.0, "a", 7), (59.0, "a", 90), true),
            ("a young server restarts too", (1.0, "a", 7), (30.0, "a", 3), true),
            ("another server answers", (100.0, "a", 7), (9000.0, "b", 700), true),
            ("another server, as old as this one", (100.0, "a", 7), (160.0, "b", 9), true),
            ("the clock was set back by 6 s", (100.0, "a", 7), (154.0, "a", 9), false),
            ("the clock was set back by an hour", (90_000.0, "a", 7), (86_460.0, "a", 9), false),
            ("the clock was set forward by 6 s", (100.0, "a", 7), (166.0, "a", 9), false),
            ("the clock was set forward by a year", (100.0, "a", 7), (31_536_160.0, "a", 9), false),
            ("restarted, then the clock was set forward", (9000.0, "a", 700), (3610.0, "a", 3), true),
            (
                "ids begin anew, `Uptime` does not: a counter that came round",
                (100.0, "a", 700),
                (160.0, "a", 3),
                false,
            ),
        ] {
            let (then, now) = (glimpse(then.0, then.1, then.2), glimpse(now.0, now.1, now.2));
            assert_eq!(has_restarted(&then, &now, 60.0), expected, "{why}");
        }
    }

    #[test]
    fn what_is_not_known_proves_nothing() {
        let (then, now) = (glimpse(100.0, "a", 7), glimpse(5.0, "b", 3));
        let nothing = Glimpse::default();
        assert!(!has_restarted(&nothing, &now, 60.0) && !has_restarted(&then, &nothing, 60.0));
        let only_id = Glimpse { thread_id: Some(3), ..Glimpse::default() };
        assert!(!has_restarted(&then, &only_id, 60.0), "ids alone");
        let only_uptime = Glimpse { uptime: Some(5.0), ..Glimpse::default() };
        assert!(has_restarted(&then, &only_uptime, 60.0));
        let only_identity = Glimpse { identity: Some("b".to_owned()), ..Glimpse::default() };
        assert!(has_restarted(&then, &only_identity, 60.0));
    }

    proptest! {
        #[test]
        fn a_server_that_runs_on_was_not_restarted(
            uptime in 0.0_f64..1e8,
            between in 0.0_f64..1e6,
            cut in 0.0_f64..1.0,
            late in 0.0_f64..5.0,
        ) {
            // The answer is in whole seconds, and may be of a moment after the question.
            let now = Glimpse { uptime: Some((uptime + between + late).floor()), ..Glimpse::default() };
            let then = Glimpse { uptime: Some((uptime + cut).floor()), ..Glimpse::default() };
            prop_assert!(!has_restarted(&then, &now, between));
        }

        #[test]
        fn no_step_of_the_clock_makes_an_old_server_restart(step in -86_400.0_f64..1e6, between in 0.0_f64..900.0) {
            let then = glimpse(90_000.0, "a", 7);
            let now = glimpse((90_000.0 + between + step).floor(), "a", 9);
            prop_assert!(!has_restarted(&then, &now, between));
        }

        #[test]
        fn every_restart_shows_in_uptime_alone(
            uptime in 3.0_f64..1e8,
            between in 0.0_f64..1e5,
            share in 0.0_f64..1.0,
        ) {
            // The server started in the time between.
            let then = Glimpse { uptime: Some(uptime.floor()), ..Glimpse::default() };
            let now = Glimpse { uptime: Some((between * share).floor()), ..Glimpse::default() };
            let stray = 2.0 + 0.001 * between;
            prop_assume!(uptime.floor() > stray);
            prop_assert!(has_restarted(&then, &now, between));
        }
    }
}
