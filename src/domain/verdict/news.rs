//! Which verdicts are told: a verdict is drawn anew with every outcome, and nobody reads a line for each.

use super::Verdict;
use super::sentences::SHARES;

/// The longest age survived is told again when it has grown, or shrunk, by this factor.
const REACH_FACTOR: f64 = 2.0;
/// The recycle age is told again when it has changed by this factor: what the log says to set must be what the
/// page says.
const RECYCLE_FACTOR: f64 = 1.25;
/// The share of the connections that die is told again when it has changed by this factor: it is counted anew with
/// every death, of a few at first.
const SHARE_FACTOR: f64 = 1.5;

/// What of a verdict people have been told.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Its sentences and suspects, without the numbers.
    shape: String,
    reach: f64,
    recycle: Option<f64>,
    share: f64,
}

impl Told {
    /// What a verdict tells.
    pub fn of(verdict: &Verdict) -> Self {
        let lines = verdict.sentences.iter().chain(&verdict.suspects);
        Self {
            shape: lines.map(|line| without_numbers(line) + "\n").collect(),
            reach: verdict.reach_seconds,
            recycle: verdict.recycle_seconds,
            share: verdict.share,
        }
    }

    /// Whether this is news to people who were told `last`, if anything: the words differ, the reach has doubled
    /// while nothing dies, or the recycle age is another. That the end of the ladder is reached changes the words.
    pub fn is_news_after(&self, last: Option<&Self>) -> bool {
        let Some(last) = last else { return true };
        let reach = self.recycle.is_none() && differ(self.reach, last.reach, REACH_FACTOR);
        let recycle = match (self.recycle, last.recycle) {
            (Some(now), Some(last)) => differ(now, last, RECYCLE_FACTOR),
            (now, last) => now.is_some() != last.is_some(),
        };
        self.shape != last.shape || reach || recycle || differ(self.share, last.share, SHARE_FACTOR)
    }
}

/// A line without its numbers, and without the larger units that some of them are given in, such as "(8h20m)".
fn without_numbers(line: &str) -> String {
    let as_number = |line: String, (_, words): &(f64, &str)| {
        let of_all = |share: &str| format!("Not all: {share} of the connections");
        line.replace(&of_all(words), &of_all(" %"))
    };
    let line = SHARES.iter().fold(line.to_owned(), as_number);
    let is_word = |c: &char| !c.is_ascii_digit() && *c != '.';
    let is_units = |text: &str| text.chars().all(|c| c.is_ascii_digit() || "ywdhms".contains(c));
    let mut left = line.as_str();
    let mut words = String::new();
    while let Some((before, after)) = left.split_once(" (") {
        words.extend(before.chars().filter(is_word));
        match after.split_once(')') {
            Some((inside, rest)) if is_units(inside) => left = rest,
            Some(_) | None => {
                words.push_str(" (");
                left = after;
            }
        }
    }
    words.extend(left.chars().filter(is_word));
    words
}

/// Whether two ages in seconds lie apart by a factor or more. Zero and something always do.
fn differ(a: f64, b: f64, factor: f64) -> bool {
    let (less, more) = (a.min(b), a.max(b));
    more > less && more >= less * factor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limit::IdleLimit;
    use crate::domain::mismatch::Facts;
    use crate::domain::verdict::judge;

    fn path(lower: f64, upper: Option<f64>) -> Facts {
        let dead = upper.map_or(0, |_| 2);
        Facts {
            path: "default".to_owned(),
            ladder_end: Some(8000.0),
            idle: IdleLimit {
                lower,
                upper,
                deaths: dead,
                standing_deaths: dead,
                survivals: 2,
                confirmed: upper.is_some(),
                ..IdleLimit::default()
            },
            ..Facts::default()
        }
    }

    /// Which of these facts, one after the other, are told.
    fn told(all: &[Facts]) -> Vec<usize> {
        let mut last = None;
        let mut news = Vec::new();
        for (place, facts) in all.iter().enumerate() {
            let now = Told::of(&judge(facts));
            if now.is_news_after(last.as_ref()) {
                news.push(place);
                last = Some(now);
            }
        }
        news
    }

    #[test]
    fn a_sound_path_is_told_at_each_doubling_and_at_the_end_of_the_ladder() {
        let reaches = |ages: &[f64]| -> Vec<f64> {
            let all: Vec<Facts> = ages.iter().map(|age| path(*age, None)).collect();
            told(&all).into_iter().map(|place| ages[place]).collect()
        };
        assert_eq!(
            reaches(&[0.0, 2.0, 2.02, 3.0, 3.9, 4.0, 5.0, 7.9, 8.1, 20.0, 20.1]),
            [0.0, 2.0, 4.0, 8.1, 20.0]
        );
        assert_eq!(
            reaches(&[1000.0, 2000.0, 4000.0, 5400.0, 8000.0, 8000.1, 8003.0]),
            [1000.0, 2000.0, 4000.0, 8000.0]
        );
        // The last step is no doubling, and is told for being the last; a late probe after it is not.
        assert_eq!(reaches(&[5400.0, 7700.0, 8000.04, 8000.2, 8040.0]), [5400.0, 8000.04]);
        // A reach that was lost is told as well.
        assert_eq!(reaches(&[20.0, 12.0, 10.0, 9.0]), [20.0, 10.0]);
    }

    #[test]
    fn a_limit_is_told_again_when_what_to_set_changes() {
        let limits = |brackets: &[(f64, f64)]| -> Vec<(f64, f64)> {
            let all: Vec<Facts> = brackets.iter().map(|(lower, upper)| path(*lower, Some(*upper))).collect();
            told(&all).into_iter().map(|place| brackets[place]).collect()
        };
        assert_eq!(
            limits(&[(130.0, 200.0), (145.0, 180.0), (148.0, 160.0), (150.0, 153.0)]),
            [(130.0, 200.0)],
            "a bracket that narrows a little",
        );
        assert_eq!(
            limits(&[(80.0, 200.0), (120.0, 180.0), (150.0, 153.0), (10.0, 12.0), (10.5, 12.0)]),
            [(80.0, 200.0), (120.0, 180.0), (150.0, 153.0), (10.0, 12.0)],
            "one that narrows much, and a limit that moves",
        );
        assert_eq!(told(&[path(20.0, None), path(20.0, Some(30.0)), path(25.0, None)]), [0, 1, 2]);
    }

    #[test]
    fn a_share_is_told_again_when_it_has_changed_much() {
        let of = |share: f64| {
            let facts = path(4.0, Some(5.0));
            Facts { idle: IdleLimit { share, ..facts.idle }, ..facts }
        };
        let shares = [0.67, 0.62, 0.5, 0.45, 0.43, 0.38, 0.33, 0.35, 0.38, 0.45, 1.0];
        assert_eq!(told(&shares.map(of)), [0, 4, 10], "two thirds, and nearer the truth; then all");
    }

    #[test]
    fn numbers_are_no_words_and_neither_are_their_units() {
        assert_eq!(without_numbers("at 350 s (not sure), 28800 s (8h20m) idle"), "at  s (not sure),  s idle");
        assert_eq!(without_numbers("3.5 s (1h"), " s (h");
        assert_eq!(without_numbers("3600 s (1h)"), without_numbers("3640 s"));
    }
}
