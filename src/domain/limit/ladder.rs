//! The ladder: the idle ages at which canaries are probed, in seconds, and the text people write it in.

use crate::domain::life::duration::{self, DurationError};

/// The default ladder, in seconds. Each bracket between two rungs holds one cluster of well-known
/// idle timeouts (30, 50, 60, 240, 270, 300, 350, 600, 900, 1200, 1800, 3600, 7200, 8000, 14400,
/// 21600, 28800).
pub const DEFAULT_AGES: [f64; 18] = [
    25.0, 40.0, 55.0, 150.0, 255.0, 285.0, 320.0, 420.0, 750.0, 1050.0, 1500.0, 2700.0, 5400.0, 7700.0,
    9000.0, 16000.0, 25000.0, 30000.0,
];

/// The longest age a rung may have: the largest `wait_timeout` a server accepts, one year.
pub const LONGEST_AGE_SECONDS: f64 = 31_536_000.0;

/// The shortest age a rung may have: each canary is a login, and the servers are other people's.
pub const SHORTEST_AGE_SECONDS: f64 = 1.0;

/// The most rungs: each is a bucket of every histogram too.
pub const MOST_RUNGS: usize = 64;

/// Idle ages in rising order, in seconds: 1 to 64 of them, each from a second to a year, no two alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder(Vec<f64>);

/// Why a text or a list of ages is no ladder.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LadderError {
    /// There is no age at all.
    #[error("no age given: write at least one, such as 60s, or leave the flag out for the default ladder")]
    Empty,
    /// One age is not a duration.
    #[error("age {position} is {source}")]
    NotADuration {
        /// Its place in the list, from one.
        position: usize,
        /// What is wrong with it.
        source: DurationError,
    },
    /// There are too many.
    #[error("{0} ages given: write at most 64, for the search places more between them by itself")]
    TooMany(usize),
    /// One age is too short.
    #[error("age {position} is shorter than 1s: every canary is a login on the server, write 1s or more")]
    TooShort {
        /// Its place in the list, from one.
        position: usize,
    },
    /// One age is beyond what any server accepts as a timeout.
    #[error("age {position} is longer than a year (31536000s), the largest wait_timeout a server accepts")]
    TooLong {
        /// Its place in the list, from one.
        position: usize,
    },
    /// The ages do not rise.
    #[error(
        "age {position} ({age}s) is shorter than the one before it ({before}s): write the ages in rising order"
    )]
    Unsorted {
        /// Its place in the list, from one.
        position: usize,
        /// The age, in seconds.
        age: f64,
        /// The age before it, in seconds.
        before: f64,
    },
    /// One age stands twice.
    #[error("age {position} ({age}s) is the same as the one before it: write each age once")]
    Duplicate {
        /// Its place in the list, from one.
        position: usize,
        /// The age, in seconds.
        age: f64,
    },
}

impl Ladder {
    /// The ages in rising order, in seconds.
    pub fn ages(&self) -> &[f64] {
        &self.0
    }

    /// The longest age, in seconds.
    pub fn longest(&self) -> f64 {
        *self.0.last().expect("a ladder has at least one rung")
    }

    /// Parses ages separated by commas, such as `25s,40s,5m`.
    ///
    /// # Errors
    /// The first thing that is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, LadderError> {
        if text.trim().is_empty() {
            return Err(LadderError::Empty);
        }
        let count = text.split(',').count();
        if count > MOST_RUNGS {
            return Err(LadderError::TooMany(count));
        }
        let ages = text
            .split(',')
            .enumerate()
            .map(|(index, part)| {
                duration::parse_seconds(part.trim())
                    .map_err(|source| LadderError::NotADuration { position: index + 1, source })
            })
            .collect::<Result<Vec<f64>, _>>()?;
        Self::try_from(ages)
    }
}

impl TryFrom<Vec<f64>> for Ladder {
    type Error = LadderError;

    fn try_from(ages: Vec<f64>) -> Result<Self, Self::Error> {
        if ages.is_empty() {
            return Err(LadderError::Empty);
        }
        if ages.len() > MOST_RUNGS {
            return Err(LadderError::TooMany(ages.len()));
        }
        for (index, &age) in ages.iter().enumerate() {
            let position = index + 1;
            if age.is_nan() || age < SHORTEST_AGE_SECONDS {
                return Err(LadderError::TooShort { position });
            }
            if age > LONGEST_AGE_SECONDS {
                return Err(LadderError::TooLong { position });
            }
            if index > 0 {
                let before = ages[index - 1];
                if age == before {
                    return Err(LadderError::Duplicate { position, age });
                }
                if age < before {
                    return Err(LadderError::Unsorted { position, age, before });
                }
            }
        }
        Ok(Self(ages))
    }
}

impl Default for Ladder {
    fn default() -> Self {
        Self(DEFAULT_AGES.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        Ladder::parse(text).expect_err("must be refused").to_string()
    }

    #[test]
    fn good_ladders_are_taken() {
        assert_eq!(Ladder::parse("2s,4s,8s").expect("good").ages(), [2.0, 4.0, 8.0]);
        assert_eq!(Ladder::parse(" 1500ms , 1m30s ").expect("good").ages(), [1.5, 90.0]);
        assert_eq!(Ladder::parse("1s,1y").expect("good").ages(), [1.0, LONGEST_AGE_SECONDS]);
        assert_eq!(
            Ladder::try_from((1..=64).map(f64::from).collect::<Vec<_>>()).expect("good").longest(),
            64.0
        );
        assert_eq!(Ladder::default().longest(), 30000.0);
        assert!(Ladder::try_from(DEFAULT_AGES.to_vec()).is_ok());
    }

    #[test]
    fn bad_ladders_say_what_is_wrong() {
        assert_eq!(
            message(""),
            "no age given: write at least one, such as 60s, or leave the flag out for the default ladder"
        );
        for text in ["0s", "999ms", "1ms,2s"] {
            assert_eq!(
                message(text),
                "age 1 is shorter than 1s: every canary is a login on the server, write 1s or more"
            );
        }
        let many = (1..=65).map(|age| format!("{age}s")).collect::<Vec<_>>().join(",");
        let too_many = "65 ages given: write at most 64, for the search places more between them by itself";
        assert_eq!(message(&many), too_many);
        for odd in [f64::NAN, f64::NEG_INFINITY, -1.0] {
            assert_eq!(Ladder::try_from(vec![odd]), Err(LadderError::TooShort { position: 1 }));
        }
        assert_eq!(Ladder::try_from(vec![f64::INFINITY]), Err(LadderError::TooLong { position: 1 }));
        assert_eq!(
            message("4s,2s"),
            "age 2 (2s) is shorter than the one before it (4s): write the ages in rising order"
        );
        assert_eq!(message("4s,4s"), "age 2 (4s) is the same as the one before it: write each age once");
        assert_eq!(
            message("4s,soon"),
            "age 2 is \"soon\", not a duration: write a number and a unit (ms, s, m, h, d, w, y), such as 90s or 1h30m"
        );
        assert_eq!(
            message("4s,"),
            "age 2 is \"\", not a duration: write a number and a unit (ms, s, m, h, d, w, y), such as 90s or 1h30m"
        );
        assert_eq!(
            message("2y"),
            "age 1 is longer than a year (31536000s), the largest wait_timeout a server accepts"
        );
    }
}
