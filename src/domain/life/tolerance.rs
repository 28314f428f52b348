//! Tolerances: how far two numbers may lie apart and still mean one thing, each for one cause and each
//! with what it rests on.
//!
//! What is measured here strays for two reasons: by so many seconds, for clocks that are looked at every
//! so often, and by a share, for long timers that fire late.

/// So many seconds, and a share of the age beside them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slack {
    /// In seconds.
    pub seconds: f64,
    /// As a share of the age.
    pub share: f64,
}

impl Slack {
    /// The greater of both at an age, in seconds: one cause at a time.
    pub const fn either(self, age: f64) -> f64 {
        let share = self.share * age;
        if share > self.seconds { share } else { self.seconds }
    }

    /// Both together at an age, in seconds: the causes add up.
    pub const fn both(self, age: f64) -> f64 {
        self.seconds + self.share * age
    }
}

/// How long to wait: so many lives of an age one after the other, and so many seconds beside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wait {
    /// As so many times the age.
    pub lengths: f64,
    /// In seconds.
    pub seconds: f64,
}

impl Wait {
    /// For an age, both in seconds.
    pub const fn at(self, age: f64) -> f64 {
        let wait = self.lengths * age + self.seconds;
        if wait < LONGEST_WAIT_SECONDS { wait } else { LONGEST_WAIT_SECONDS }
    }
}

/// Two deaths at ages this near are one timer's work. A tool that kills idle sessions looks once a second
/// (pt-kill, `tests/truth/idle_killer.rs`); timers of hours were seen up to 2 % late (facts: HAProxy,
/// IPVS).
pub const ONE_AGE: Slack = Slack { seconds: 1.1, share: 0.02 };

/// How far audible deaths by one timer scatter around it, and so how long before one the session counts as
/// alive: pool-of-threads looks at its clocks a few times a second (measured 0.1 to 0.25 s late, up to 0.5 s on
/// a busy machine).
pub const HEARD: Slack = Slack { seconds: 0.5, share: 0.02 };

/// Two ages found by probes this near bear one bound out: a busy machine probes 50 ms late, and the search
/// asks for a bracket of 1 %.
pub const PROBED: Slack = Slack { seconds: 0.05, share: 0.0025 };

/// How much earlier than `wait_timeout` an ending may be and still be its work, in seconds: the server
/// starts its clock a moment before the client has read the last answer.
pub const WAIT_TIMEOUT_EARLY_SECONDS: f64 = 0.25;
/// How much later: pool-of-threads looks at its clocks a few times a second, and a loaded server late.
pub const WAIT_TIMEOUT_LATE: Slack = Slack { seconds: 1.5, share: 0.01 };

/// Two endings this near in time are one event, in seconds: one close reaches all sockets within
/// milliseconds, and is read one socket after the other.
pub const ONE_INSTANT_SECONDS: f64 = 0.3;

/// How long a heard death waits for its twins: so many times its age and so many seconds. A twin is launched when
/// the death is learnt, is probed a little past its age, and is repeated once before its own death is believed;
/// each connects and may be retried. Twice that where a part of the connections is ruled, of which many tell.
pub const AWAITS_TWINS: Wait = Wait { lengths: 2.5, seconds: 20.0 };

/// How long a silent death waits for other lives to tell an idle timer from lost state: four that begin when it is
/// found, one after the other, and the time to find them dead. What is not told by then is counted as unknown: in 510
/// worlds of virtual time with firewalls, evictions and events, 17 % of the deaths after ten minutes with half of this
/// wait and 13 % with it (with thresholds that were stricter than now). The limit does not wait: it is told of each death
/// at once.
pub const AWAITS_LIVES: Wait = Wait { lengths: 4.0, seconds: 10.0 };

/// How long at most a death waits, in seconds, however old it was: people look at a day, not at a week.
pub const LONGEST_WAIT_SECONDS: f64 = 86_400.0;

/// Those that one event closes may differ in age by no more than this, in seconds, before it shows that no
/// timer struck each of them at its age: a timer's deaths scatter by [`HEARD`].
pub const SAME_EVENT_SPREAD_SECONDS: f64 = 0.7;

/// Two that began to be idle this close to each other, in seconds, are of one age: launches are spread by
/// up to this, but for those that meet who looks seldom.
pub const BORN_TOGETHER_SECONDS: f64 = 2.0;

/// A reading of a counter this close before an ending, in seconds, may be of the moment after its cause: the
/// KILL is counted before the close is heard.
pub const READ_BEFORE_SECONDS: f64 = 0.25;

/// How long this process may stand still around an ending that is to count: a busy machine's scheduler was
/// seen to be a few tenths of a second late, and an age that is a hundredth off is still that age.
pub const STOOD_STILL: Slack = Slack { seconds: 1.0, share: 0.01 };

/// A count of KILLs that rose over a longer time than this, in seconds, convicts nobody, for others' sessions are killed
/// too; but for where it stood still for ten times as long. Launches read it every few seconds on short ladders.
pub const CONVICTS_SECONDS: f64 = 45.0;

/// How much more time the server may count than this machine: `Uptime` is in whole seconds and the answer
/// takes its time; two good clocks differ by less than a tenth of a per cent.
pub const UPTIME_AHEAD: Slack = Slack { seconds: 3.0, share: 0.001 };

/// How much before an exact death its timer may have been set, when a configured time is compared with it: a
/// `wait_timeout` of 28800 s shows as a death at 28800.05 s, and pool-of-threads was measured 0.1 to 0.25 s
/// late.
pub const SET_BEFORE: Slack = Slack { seconds: 0.25, share: 0.01 };

/// How much earlier than a declared device's time a death may seem to come: two clocks are compared.
pub const DECLARED_EARLY: Slack = Slack { seconds: 0.25, share: 0.03 };

/// How late a device acts that looks at its clock every so often: 2 %, and on top up to 30 s, yet no more than a
/// quarter of its timeout. IPVS at 900 s was measured at 901 to 920 s.
pub const DEVICE_LATE: Slack = Slack { seconds: 30.0, share: 0.02 };
/// The most of a timeout that [`DEVICE_LATE`]'s seconds may be.
pub const DEVICE_LATE_MOST_SHARE: f64 = 0.25;

/// Whether two ages are one timer's, in seconds.
pub fn is_one_age(a: f64, b: f64) -> bool {
    (a - b).abs() <= ONE_AGE.either(a)
}

/// How far from the age of a death others may lie that one timer struck with it, in seconds: at most a quarter of that age,
/// for whatever closes all of them closes many that are young.
pub fn one_age(age: f64) -> f64 {
    ONE_AGE.either(age).min(age / 4.0)
}

/// Whether an age fits a session's own `wait_timeout`, both in seconds.
pub fn is_near_wait_timeout(age: f64, wait_timeout: f64) -> bool {
    age >= wait_timeout - WAIT_TIMEOUT_EARLY_SECONDS
        && age <= wait_timeout + WAIT_TIMEOUT_LATE.both(wait_timeout)
}

/// How far before an audible death the session counts as alive, in seconds: at most half its age.
pub fn heard(age: f64) -> f64 {
    HEARD.either(age).min(age / 2.0)
}

/// How far apart two ages found by probes may lie and still agree, in seconds.
pub fn probed(age: f64) -> f64 {
    PROBED.either(age).min(age / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_rule_short_ages_and_shares_long_ones() {
        assert_eq!(ONE_AGE.either(5.0), 1.1);
        assert_eq!(ONE_AGE.either(1000.0), 20.0);
        assert_eq!(WAIT_TIMEOUT_LATE.both(100.0), 2.5);
        assert_eq!((heard(0.4), probed(0.02)), (0.2, 0.01));
    }

    #[test]
    fn a_death_waits_for_lives_of_its_own_age_and_never_longer_than_a_day() {
        assert_eq!((AWAITS_LIVES.at(5.0), AWAITS_TWINS.at(8.0)), (30.0, 40.0));
        assert_eq!(AWAITS_TWINS.at(100_000.0), LONGEST_WAIT_SECONDS);
    }

    #[test]
    fn the_window_of_wait_timeout_is_early_by_little_and_late_by_more() {
        assert!(!is_near_wait_timeout(4.7, 5.0));
        assert!(is_near_wait_timeout(4.8, 5.0));
        assert!(is_near_wait_timeout(6.5, 5.0));
        assert!(!is_near_wait_timeout(6.6, 5.0));
        assert!(is_near_wait_timeout(28_800.0 + 280.0, 28_800.0));
        assert!(!is_near_wait_timeout(29_200.0, 28_800.0));
    }
}
