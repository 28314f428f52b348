//! The newest counts of KILLs that a path's sessions read: by how much the count rose over an ending is told the
//! better the shorter the time between the readings around it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};

use crate::domain::culprit::judgement::Kills;
use crate::domain::life::tolerance::{CONVICTS_SECONDS, READ_BEFORE_SECONDS};

/// So many readings are kept, and so many endings.
const KEPT: usize = 64;
/// A count that rose convicts over a longer time too where it stood still for so many times that time.
const STEADY_FOR: f64 = 10.0;

/// The readings of one path.
#[derive(Debug, Default)]
pub struct KillCount(Mutex<Readings>);

#[derive(Debug, Default)]
struct Readings {
    read: VecDeque<Reading>,
    /// When sessions of this path were ended, as far as was told.
    ended: VecDeque<Instant>,
}

#[derive(Debug, Clone)]
struct Reading {
    at: Instant,
    identity: Option<String>,
    kills: f64,
}

impl KillCount {
    /// A session on the server with this identity read this count no later than at this moment.
    pub fn note(&self, at: Instant, identity: Option<&str>, kills: Option<f64>) {
        let Some(kills) = kills else { return };
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut readings.read, Reading { at, identity: identity.map(str::to_owned), kills });
    }

    /// By how much the count rose between the newest reading before an ending and the one of now, read just after it. The
    /// session's own reading at its birth is one. `None` where nothing was read before.
    pub fn rose(
        &self,
        ended: Instant,
        identity: Option<&str>,
        birth: (Instant, Option<f64>),
        now: (Instant, f64),
    ) -> Option<Kills> {
        let until = ended.checked_sub(Duration::from_secs_f64(READ_BEFORE_SECONDS))?;
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut readings.ended, ended);
        let (born_at, at_birth) = birth;
        let (at, before) = readings
            .read
            .iter()
            .filter(|reading| reading.identity.as_deref() == identity && reading.at <= until)
            .map(|reading| (reading.at, reading.kills))
            .chain(at_birth.map(|kills| (born_at, kills)))
            .max_by_key(|(at, _)| *at)?;
        let (now, kills) = now;
        let rose = (kills - before).max(0.0) as u32;
        let read_before = ended.saturating_duration_since(at).as_secs_f64();
        let between = readings.between(identity);
        let others = chance_of_others(&between, now.saturating_duration_since(at).as_secs_f64());
        // Over a long time others' sessions are killed too, unless none was for much longer.
        let convicts = CONVICTS_SECONDS.max(steady(&between) / STEADY_FOR);
        (rose == 0 || read_before <= convicts).then_some(Kills { rose, read_before, others })
    }
}

impl Readings {
    /// By how much the count rose between two readings, and in how many seconds, where no session of this path was ended
    /// between them.
    fn between(&self, identity: Option<&str>) -> Vec<(f64, f64)> {
        let mut read: Vec<&Reading> =
            self.read.iter().filter(|reading| reading.identity.as_deref() == identity).collect();
        read.sort_by_key(|reading| reading.at);
        let between = read.windows(2).filter_map(|pair| {
            let (from, to) = (pair[0], pair[1]);
            // The count is of a moment before its answer.
            let early = from.at.checked_sub(Duration::from_secs_f64(READ_BEFORE_SECONDS)).unwrap_or(from.at);
            let is_quiet = !self.ended.iter().any(|ended| *ended >= early && *ended <= to.at);
            let lasted = to.at.saturating_duration_since(from.at).as_secs_f64();
            (is_quiet && lasted > 0.0).then(|| (lasted, (to.kills - from.kills).max(0.0)))
        });
        between.collect()
    }
}

/// How likely it is that somebody else's session is killed in so many seconds, as often as the count rose between readings.
fn chance_of_others(between: &[(f64, f64)], seconds: f64) -> f64 {
    1.0 - (-killed_per_second(between) * seconds).exp()
}

/// For how many seconds together the count stood still.
fn steady(between: &[(f64, f64)]) -> f64 {
    between.iter().filter(|(_, rose)| *rose <= 0.0).map(|(lasted, _)| lasted).sum()
}

/// How often anybody is killed, a second, by how much a count rose over so many seconds, again and again: many that are
/// killed at one instant are one event.
fn killed_per_second(between: &[(f64, f64)]) -> f64 {
    /// Halvings of the range that is looked in.
    const STEPS: usize = 40;
    let (lasted, rose) = between.iter().fold((0.0, 0.0), |(a, b), (lasted, rose)| (a + lasted, b + rose));
    if rose <= 0.0 {
        return 0.0;
    }
    // The rate at which as many of these times see one as did.
    let steady = steady(between);
    let expected = |rate: f64| -> f64 {
        let risen = between.iter().filter(|(_, rose)| *rose > 0.0);
        risen.map(|(lasted, _)| lasted / ((rate * lasted).exp() - 1.0)).sum()
    };
    let (mut least, mut most) = (0.0, rose / lasted);
    for _ in 0..STEPS {
        let rate = (least + most) / 2.0;
        *(if expected(rate) > steady { &mut least } else { &mut most }) = rate;
    }
    most
}

fn add<T>(kept: &mut VecDeque<T>, one: T) {
    if kept.len() >= KEPT {
        kept.pop_front();
    }
    kept.push_back(one);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_count_that_stood_still_for_long_convicts_over_a_longer_time() {
        let told = |readings: u32, pause: f64, before: f64| {
            let (count, begin) = (KillCount::default(), Instant::now());
            let after = |seconds: f64| begin + Duration::from_secs_f64(seconds);
            (0..readings).for_each(|place| count.note(after(pause * f64::from(place)), Some("a"), Some(3.0)));
            let ended = pause * f64::from(readings - 1) + before;
            let birth = (begin, Some(3.0));
            count.rose(after(ended), Some("a"), birth, (after(ended + 0.3), 4.0)).map(|kills| kills.rose)
        };
        assert_eq!((told(4, 100.0, 40.0), told(4, 100.0, 90.0)), (Some(1), None));
        assert_eq!((told(12, 100.0, 90.0), told(12, 100.0, 140.0)), (Some(1), None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_reading_before_the_ending_counts() {
        let (count, begin) = (KillCount::default(), Instant::now());
        let after = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        let birth = (after(55.0), Some(3.0));
        let told = |count: &KillCount, birth, now: f64| {
            let kills = count.rose(after(60.0), Some("a"), birth, (after(60.2), now));
            kills.map(|kills| (kills.rose, kills.read_before))
        };
        assert_eq!(told(&count, (begin, None), 5.0), None, "never read");
        assert_eq!(told(&count, birth, 3.0), Some((0, 5.0)));
        assert_eq!(told(&count, birth, 5.0), Some((2, 5.0)), "two were killed since");
        count.note(after(57.0), Some("a"), Some(5.0));
        assert_eq!(told(&count, birth, 5.0), Some((0, 3.0)), "but before");
        count.note(after(59.9), Some("a"), Some(6.0));
        assert_eq!(told(&count, birth, 6.0), Some((1, 3.0)), "read in the same moment");
        count.note(after(58.0), Some("b"), Some(90.0));
        assert_eq!(told(&count, birth, 6.0), Some((1, 3.0)), "another server's count");
        assert_eq!(told(&KillCount::default(), (begin, Some(3.0)), 5.0), None, "anybody's, in a minute");
    }

    #[tokio::test(start_paused = true)]
    async fn how_often_others_are_killed_is_read_where_nobody_of_ours_was() {
        let begin = Instant::now();
        let after = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        let chance = |kills: &dyn Fn(u32) -> f64, ends: bool| {
            let count = KillCount::default();
            for place in 0..40 {
                count.note(after(5.0 * f64::from(place)), Some("a"), Some(kills(place)));
                if ends {
                    let _ = count.rose(
                        after(5.0 * f64::from(place) + 2.5),
                        Some("a"),
                        (begin, None),
                        (begin, 0.0),
                    );
                }
            }
            let now = (after(205.0), kills(40) + 1.0);
            count.rose(after(202.0), Some("a"), (begin, None), now).expect("read before").others
        };
        assert_eq!(chance(&|_| 7.0, false), 0.0, "nobody was");
        let one_in_ten = chance(&|place| f64::from(place / 10), false);
        assert!((0.1..0.2).contains(&one_in_ten), "over ten seconds, one each fifty: {one_in_ten}");
        let at_once = chance(&|place| f64::from(100 * (place / 10)), false);
        assert!((at_once - one_in_ten).abs() < 0.1, "a hundred at one instant are one event: {at_once}");
        assert!(chance(&f64::from, false) > 0.8, "one each five seconds");
        assert_eq!(chance(&f64::from, true), 0.0, "what is counted when ours end is not others' alone");
    }

    #[test]
    fn rates_follow_from_how_many_times_saw_one() {
        assert_eq!(killed_per_second(&[]), 0.0);
        assert_eq!(killed_per_second(&[(60.0, 0.0)]), 0.0);
        let rate = killed_per_second(&[(60.0, 1.0); 10]);
        assert!((rate - 1.0 / 60.0).abs() < 1e-6, "one in each minute: {rate}");
        let half = killed_per_second(&[(1.0, 5.0), (1.0, 0.0), (1.0, 9.0), (1.0, 0.0)]);
        assert!((half - 2.0_f64.ln()).abs() < 1e-6, "half of the seconds saw one: {half}");
    }
}
