//! What survives a restart: the observations of every path, as a text.
//!
//! Only what was seen is kept, not what was concluded from it, so the text does not depend on the ladder
//! or on the version of the rules that read it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::life::observation::{HISTORY_CAPACITY, History, Observation};

/// The version of the text that this program writes, and the only one it reads.
pub const VERSION: u64 = 1;

/// The most paths one text may hold.
pub const MOST_PATHS: usize = 1024;

/// The longest age that a canary can have, in seconds: that of the longest rung, and a day for a probe that came
/// late.
pub const LONGEST_AGE_SECONDS: f64 = crate::domain::limit::ladder::LONGEST_AGE_SECONDS + 86_400.0;

/// The longest text that is read, in bytes: a full history is about half a megabyte.
pub const LONGEST_TEXT_BYTES: usize = 256 << 20;

/// The histories of all paths, by the name of the path.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Remembered {
    /// What was seen on each path.
    pub paths: BTreeMap<String, History>,
    /// What each path led to, as it was configured; unknown for what older versions wrote.
    pub against: BTreeMap<String, String>,
}

/// Why a text does not tell what was remembered.
#[derive(Debug, thiserror::Error)]
pub enum RememberedError {
    /// It is too long to have been written by this program.
    #[error("it is {length} bytes long, and no state is longer than {LONGEST_TEXT_BYTES}")]
    TooLong {
        /// Its length, in bytes.
        length: usize,
    },
    /// It is no JSON, or cut off, or not of the shape that this program writes.
    #[error("it is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// Another version of the program wrote it.
    #[error("it has version {found}, and this program reads version {VERSION}")]
    UnknownVersion {
        /// The version it names.
        found: u64,
    },
    /// It holds more paths than any configuration has.
    #[error("it holds {count} paths, and at most {MOST_PATHS} are remembered")]
    TooManyPaths {
        /// How many it holds.
        count: usize,
    },
    /// A path has more observations than are ever kept.
    #[error("path {path:?} has {count} observations, and at most {HISTORY_CAPACITY} are kept")]
    TooManyObservations {
        /// The name of the path.
        path: String,
        /// How many it has.
        count: usize,
    },
    /// An observation has a time or an age that no life can have.
    #[error("path {path:?} has an observation at age {age}s and time {at}s, which no canary can have made")]
    Impossible {
        /// The name of the path.
        path: String,
        /// The age, in seconds.
        age: f64,
        /// The time, in seconds since the Unix epoch.
        at: f64,
    },
}

/// The one part that every version has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(rename = "version")]
    _version: u64,
    paths: BTreeMap<String, History>,
    #[serde(default)]
    against: BTreeMap<String, String>,
    /// The names of the servers behind each path, by their numbers in its observations.
    #[serde(default)]
    servers: BTreeMap<String, Vec<String>>,
}

#[derive(Serialize)]
struct TextRef<'a> {
    version: u64,
    paths: &'a BTreeMap<String, History>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    against: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    servers: BTreeMap<&'a str, &'a [String]>,
}

impl Remembered {
    /// Writes the text.
    ///
    /// # Errors
    /// When a number in it cannot be written as JSON, such as an infinite age.
    pub fn to_text(&self) -> Result<String, RememberedError> {
        self.check()?;
        let Self { paths, against } = self;
        let named = paths.iter().filter(|(_, history)| !history.servers().is_empty());
        let servers = named.map(|(path, history)| (path.as_str(), history.servers())).collect();
        Ok(serde_json::to_string(&TextRef { version: VERSION, paths, against, servers })?)
    }

    /// Reads the text again.
    ///
    /// # Errors
    /// What is wrong with the text. A text is taken whole or not at all.
    pub fn from_text(text: &[u8]) -> Result<Self, RememberedError> {
        if text.len() > LONGEST_TEXT_BYTES {
            return Err(RememberedError::TooLong { length: text.len() });
        }
        let AnyVersion { version } = serde_json::from_slice(text)?;
        if version != VERSION {
            return Err(RememberedError::UnknownVersion { found: version });
        }
        let Text { mut paths, against, servers, .. } = serde_json::from_slice(text)?;
        for (path, names) in servers {
            if let Some(history) = paths.get_mut(&path) {
                history.set_servers(names);
            }
        }
        let remembered = Self { paths, against };
        remembered.check()?;
        Ok(remembered)
    }

    fn check(&self) -> Result<(), RememberedError> {
        let count = self.paths.len().max(self.against.len());
        if count > MOST_PATHS {
            return Err(RememberedError::TooManyPaths { count });
        }
        for (path, history) in &self.paths {
            let count = history.len();
            if count > HISTORY_CAPACITY {
                return Err(RememberedError::TooManyObservations { path: path.clone(), count });
            }
            let is_possible = |seen: &Observation| {
                (0.0..=LONGEST_AGE_SECONDS).contains(&seen.age) && seen.at.is_finite() && seen.at >= 0.0
            };
            if let Some(seen) = history.iter().find(|seen| !is_possible(seen)) {
                return Err(RememberedError::Impossible { path: path.clone(), age: seen.age, at: seen.at });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::culprit::Culprit;
    use crate::domain::life::ending::Ending;
    use crate::domain::life::kind::Kind;
    use crate::domain::life::observation::Fate;
    use proptest::prelude::*;

    fn sample(ages: &[f64]) -> Remembered {
        let mut history = History::default();
        for (number, &age) in ages.iter().enumerate() {
            let died = Fate::Died {
                ending: Ending::Silence,
                exact: false,
                culprit: Culprit::NetworkIdleTimeout,
                recurs: false,
                killed: None,
            };
            let fate = if number % 2 == 0 { Fate::Lived } else { died };
            history.push(Observation {
                at: 1.7e9 + number as f64,
                kind: Kind::Idle,
                age,
                fate,
                server: None,
            });
        }
        let paths = BTreeMap::from([("shop/direct".to_owned(), history)]);
        Remembered { paths, against: BTreeMap::new() }
    }

    fn message(text: &str) -> String {
        Remembered::from_text(text.as_bytes()).expect_err("must be refused").to_string()
    }

    #[test]
    fn the_text_is_this() {
        let text = sample(&[25.0, 40.5]).to_text().expect("can be written");
        assert_eq!(
            text,
            "{\"version\":1,\"paths\":{\"shop/direct\":[\
             {\"at\":1700000000.0,\"kind\":\"idle\",\"age\":25.0,\"fate\":\"lived\"},\
             {\"at\":1700000001.0,\"kind\":\"idle\",\"age\":40.5,\"fate\":{\"died\":\
             {\"ending\":\"silence\",\"exact\":false,\"culprit\":\"network_idle_timeout\",\"recurs\":false}}}]}}"
        );
    }

    #[test]
    fn a_culprit_is_read_by_the_name_it_had_before() {
        let remembered = sample(&[25.0, 40.5]);
        let text = remembered.to_text().expect("can be written");
        let old = text.replace("network_idle_timeout", "path_idle_timeout");
        assert!(old != text);
        assert_eq!(Remembered::from_text(old.as_bytes()).expect("can be read"), remembered);
    }

    #[test]
    fn what_a_path_led_to_is_kept_beside_it() {
        let mut remembered = sample(&[]);
        remembered.against.insert("shop/direct".to_owned(), "db.example.org:3306".to_owned());
        let text = remembered.to_text().expect("can be written");
        let against = "\"against\":{\"shop/direct\":\"db.example.org:3306\"}}";
        assert_eq!(text, format!("{{\"version\":1,\"paths\":{{\"shop/direct\":[]}},{against}"));
        assert_eq!(Remembered::from_text(text.as_bytes()).expect("can be read"), remembered);
    }

    #[test]
    fn the_servers_behind_a_path_are_kept_beside_it() {
        let mut remembered = sample(&[25.0]);
        let history = remembered.paths.get_mut("shop/direct").expect("it is there");
        let server = history.number_of(Some("uuid-a"));
        let seen = Observation { at: 1.8e9, kind: Kind::Idle, age: 40.0, fate: Fate::Lived, server };
        history.push(seen);
        let text = remembered.to_text().expect("can be written");
        assert!(text.contains("\"age\":40.0,\"fate\":\"lived\",\"server\":0}"), "{text}");
        assert!(text.ends_with("\"servers\":{\"shop/direct\":[\"uuid-a\"]}}"), "{text}");
        assert_eq!(Remembered::from_text(text.as_bytes()).expect("can be read"), remembered);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        assert_eq!(message(""), "it is damaged: EOF while parsing a value at line 1 column 0");
        assert_eq!(
            message("{\"version\":7,\"anything\":[]}"),
            "it has version 7, and this program reads version 1"
        );
        assert!(message("{\"paths\":{}}").starts_with("it is damaged: missing field `version`"));
        assert!(message("{\"version\":1,\"paths\":{},\"more\":1}").contains("unknown field `more`"));
        let text = "{\"version\":1,\"paths\":{\"a\":[{\"at\":1.0,\"kind\":\"idle\",\"age\":-3.0,\"fate\":\"lived\"}]}}";
        assert_eq!(
            message(text),
            "path \"a\" has an observation at age -3s and time 1s, which no canary can have made"
        );
        let one = "{\"at\":1.0,\"kind\":\"idle\",\"age\":3.0,\"fate\":\"lived\"}";
        let many = vec![one; HISTORY_CAPACITY + 1].join(",");
        assert_eq!(
            message(&format!("{{\"version\":1,\"paths\":{{\"a\":[{many}]}}}}")),
            "path \"a\" has 4097 observations, and at most 4096 are kept"
        );
    }

    #[test]
    fn an_age_that_no_canary_can_have_is_neither_written_nor_read() {
        for age in [f64::INFINITY, f64::NAN, -1.0, LONGEST_AGE_SECONDS + 1.0, 1e300] {
            assert!(sample(&[age]).to_text().is_err(), "{age}");
        }
        let text = sample(&[LONGEST_AGE_SECONDS]).to_text().expect("late, and possible");
        Remembered::from_text(text.as_bytes()).expect("it is read again");
        let text = text.replace("\"age\":31622400.0", "\"age\":31622401.0");
        let words = message(&text);
        assert!(
            words.contains("at age 31622401s") && words.ends_with("which no canary can have made"),
            "{words}"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ages in prop::collection::vec(0.0..LONGEST_AGE_SECONDS, 0..40)) {
            let remembered = sample(&ages);
            let text = remembered.to_text().expect("can be written");
            let read = Remembered::from_text(text.as_bytes()).expect("can be read");
            let pairs = read.paths["shop/direct"].iter().zip(remembered.paths["shop/direct"].iter());
            // The last digit of a number may change on the way.
            for (was, is) in pairs {
                prop_assert!((was.age - is.age).abs() <= 1e-6 && was.at == is.at && was.fate == is.fate);
            }
            prop_assert_eq!(read.paths["shop/direct"].len(), ages.len());
        }

        #[test]
        fn a_cut_text_is_an_error(cut in 0.0..1.0_f64) {
            let text = sample(&[25.0, 40.5, 55.0]).to_text().expect("can be written");
            let kept = (text.len() as f64 * cut) as usize;
            prop_assert!(Remembered::from_text(&text.as_bytes()[..kept]).is_err());
        }

        #[test]
        fn garbage_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), noise in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut text = sample(&[25.0, 40.5]).to_text().expect("can be written").into_bytes();
            let place = at.index(text.len());
            text[place] = byte;
            let _either_is_fine = Remembered::from_text(&text);
            prop_assert!(Remembered::from_text(&noise).is_err());
        }
    }
}
