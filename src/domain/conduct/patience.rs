//! Patience with a question that cost its connection: when it may be asked again.
//!
//! A question cannot be taken back without KILL, which is not ours to say. So one that hangs is left behind on
//! the server, and the same is not asked again while the server still lists the session that asked it; where
//! that cannot be known, rests that grow keep the questions few.

/// What became of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No answer came in time.
    Hung,
    /// It broke.
    Broke,
}

/// The first rest, in seconds.
const FIRST_REST: f64 = 30.0;
/// The longest rest, in seconds.
const LONGEST_REST: f64 = 600.0;

/// How long to rest after so many times in a row, in seconds. Connections break now and then: once costs none.
pub fn rest(how: Trouble, times: u32) -> f64 {
    let times = match how {
        Trouble::Hung => times.max(1),
        Trouble::Broke => times.saturating_sub(1),
    };
    match i32::try_from(times) {
        Ok(0) => 0.0,
        Ok(times @ ..16) => (FIRST_REST * 2_f64.powi(times - 1)).min(LONGEST_REST),
        Ok(_) | Err(_) => LONGEST_REST,
    }
}

/// Whether the question may be asked again: `since` is how long ago it failed, in seconds, for so many times in
/// a row; `left_behind` is whether the server still lists the session that asked it, `None` where it does not
/// say.
pub fn may_ask(since: f64, how: Trouble, times: u32, left_behind: Option<bool>) -> bool {
    since >= rest(how, times) && (how == Trouble::Broke || left_behind != Some(true))
}

/// Whether what a session asks about itself may be asked again: `since` is how long ago it cost a session, in
/// seconds, for so many times in a row; `left_behind` is whether the session that asked may still be on the server,
/// where the question hung. Once costs none, for sessions die in their birth too.
pub fn may_ask_again(since: f64, times: u32, left_behind: Option<bool>) -> bool {
    times < 2 || since >= rest(Trouble::Broke, times) && left_behind != Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_to_ten_minutes() {
        let rests = |how| [1, 2, 3, 4, 5, 6, 7, u32::MAX].map(|times| rest(how, times));
        assert_eq!(rests(Trouble::Hung), [30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0, 600.0]);
        assert_eq!(rests(Trouble::Broke), [0.0, 30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0]);
    }

    #[test]
    fn what_cost_two_sessions_in_a_row_rests() {
        for (since, times, left_behind, expected) in [
            (0.0, 1, None, true),
            (0.0, 1, Some(true), true),
            (29.9, 2, None, false),
            (30.0, 2, None, true),
            (30.0, 2, Some(false), true),
            (1e6, 2, Some(true), false),
            (599.0, 9, Some(false), false),
            (600.0, 9, Some(false), true),
        ] {
            assert_eq!(may_ask_again(since, times, left_behind), expected, "{since} {times} {left_behind:?}");
        }
    }

    #[test]
    fn a_question_that_still_hangs_on_the_server_is_not_asked_again() {
        use Trouble::{Broke, Hung};
        for (since, how, times, left_behind, expected) in [
            (29.9, Hung, 1, Some(false), false),
            (30.0, Hung, 1, Some(false), true),
            (30.0, Hung, 1, None, true),
            (1e6, Hung, 1, Some(true), false),
            (59.0, Hung, 2, None, false),
            (60.0, Hung, 2, None, true),
            (0.0, Broke, 1, None, true),
            (0.0, Broke, 1, Some(true), true),
            (29.9, Broke, 2, None, false),
        ] {
            assert_eq!(
                may_ask(since, how, times, left_behind),
                expected,
                "{since} {how:?} {times} {left_behind:?}"
            );
        }
    }
}
