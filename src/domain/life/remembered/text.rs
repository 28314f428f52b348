//! What is remembered as a text: JSON, a path a line.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{MOST_PATHS, PathName, Remembered, RememberedPath};
use crate::domain::life::observation::{HISTORY_CAPACITY, History, Observation};

/// The version of the text that this program writes.
pub const VERSION: u64 = 2;

/// The version before, which is read as well: it knew no path that left, and named paths `target/path`.
const VERSION_BEFORE: u64 = 1;

/// The longest age that a canary can have, in seconds: that of the longest rung, and a day for a probe that came
/// late.
pub const LONGEST_AGE_SECONDS: f64 = crate::domain::limit::ladder::LONGEST_AGE_SECONDS + 86_400.0;

/// The longest text that is written and read, in bytes: a full history is about half a megabyte.
pub const LONGEST_TEXT_BYTES: usize = 256 << 20;

/// Why a text does not tell what was remembered, or why there can be none.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// It is too long.
    #[error("it is {length} bytes long, and no state is longer than {LONGEST_TEXT_BYTES}")]
    TooLong {
        /// Its length, in bytes.
        length: usize,
    },
    /// It is no JSON, or cut off, or not of the shape that this program writes.
    #[error("it is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// Another version of the program wrote it.
    #[error("it has version {found}, and this program reads versions {VERSION_BEFORE} and {VERSION}")]
    UnknownVersion {
        /// The version it names.
        found: u64,
    },
    /// It holds more paths than are remembered.
    #[error("it holds {count} paths, and at most {MOST_PATHS} are remembered")]
    TooManyPaths {
        /// How many it holds.
        count: usize,
    },
    /// A path has more observations than are ever kept.
    #[error("path {path:?} has {count} observations, and at most {HISTORY_CAPACITY} are kept")]
    TooManyObservations {
        /// The name of the target and the path.
        path: String,
        /// How many it has.
        count: usize,
    },
    /// An observation has a time or an age that no life can have.
    #[error("path {path:?} has an observation at age {age}s and time {at}s, which no canary can have made")]
    Impossible {
        /// The name of the target and the path.
        path: String,
        /// The age, in seconds.
        age: f64,
        /// The time, in seconds since the Unix epoch.
        at: f64,
    },
    /// A path left at a time that no calendar says.
    #[error("path {path:?} left at time {at}s, which no calendar says")]
    ImpossibleLeave {
        /// The name of the target and the path.
        path: String,
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
    paths: Vec<PathText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PathText {
    target: String,
    path: String,
    #[serde(default)]
    against: Option<String>,
    #[serde(default)]
    left_at: Option<f64>,
    /// The names of the servers behind the path, by their numbers in its observations.
    #[serde(default)]
    servers: Vec<String>,
    seen: History,
}

#[derive(Serialize)]
struct PathTextRef<'a> {
    target: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_at: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    servers: &'a [String],
    seen: &'a History,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextBefore {
    #[serde(rename = "version")]
    _version: u64,
    paths: BTreeMap<String, History>,
    #[serde(default)]
    against: BTreeMap<String, String>,
    #[serde(default)]
    servers: BTreeMap<String, Vec<String>>,
}

impl Remembered {
    /// The text in parts of one path each, to be written one after the other: the whole may be long.
    ///
    /// # Errors
    /// Each part can be one: when a number in it cannot be written as JSON, such as an infinite age, or when
    /// [`Self::from_text`] would not read the whole again.
    pub fn text_parts(&self) -> impl Iterator<Item = Result<String, TextError>> {
        let begin = self.check().map(|()| format!("{{\"version\":{VERSION},\"paths\":["));
        let paths = self.paths.iter().enumerate().map(|(number, (name, known))| {
            let text = PathTextRef {
                target: &name.target,
                path: &name.path,
                against: known.against.as_deref(),
                left_at: known.left_at,
                servers: known.history.servers(),
                seen: &known.history,
            };
            let separator = if number == 0 { "\n" } else { ",\n" };
            Ok(separator.to_owned() + &serde_json::to_string(&text)?)
        });
        let mut length = 0_usize;
        std::iter::once(begin).chain(paths).chain(std::iter::once(Ok("\n]}".to_owned()))).map(move |part| {
            length = length.saturating_add(part.as_ref().map_or(0, String::len));
            if length > LONGEST_TEXT_BYTES { Err(TextError::TooLong { length }) } else { part }
        })
    }

    /// The whole text.
    ///
    /// # Errors
    /// As [`Self::text_parts`].
    pub fn to_text(&self) -> Result<String, TextError> {
        self.text_parts().collect()
    }

    /// Reads the text again.
    ///
    /// # Errors
    /// What is wrong with the text. A text is taken whole or not at all.
    pub fn from_text(text: &[u8]) -> Result<Self, TextError> {
        if text.len() > LONGEST_TEXT_BYTES {
            return Err(TextError::TooLong { length: text.len() });
        }
        let AnyVersion { version } = serde_json::from_slice(text)?;
        let remembered = match version {
            VERSION => Self::from(serde_json::from_slice::<Text>(text)?),
            VERSION_BEFORE => Self::from(serde_json::from_slice::<TextBefore>(text)?),
            found => return Err(TextError::UnknownVersion { found }),
        };
        remembered.check()?;
        Ok(remembered)
    }

    fn check(&self) -> Result<(), TextError> {
        let count = self.paths.len();
        if count > MOST_PATHS {
            return Err(TextError::TooManyPaths { count });
        }
        let is_time = |at: f64| at.is_finite() && at >= 0.0;
        for (name, RememberedPath { history, left_at, .. }) in &self.paths {
            let path = || format!("{}/{}", name.target, name.path);
            let count = history.len();
            if count > HISTORY_CAPACITY {
                return Err(TextError::TooManyObservations { path: path(), count });
            }
            let is_possible =
                |seen: &Observation| (0.0..=LONGEST_AGE_SECONDS).contains(&seen.age) && is_time(seen.at);
            if let Some(seen) = history.iter().find(|seen| !is_possible(seen)) {
                return Err(TextError::Impossible { path: path(), age: seen.age, at: seen.at });
            }
            if let Some(at) = left_at.filter(|at| !is_time(*at)) {
                return Err(TextError::ImpossibleLeave { path: path(), at });
            }
        }
        Ok(())
    }
}

impl From<Text> for Remembered {
    fn from(text: Text) -> Self {
        let path = |PathText { target, path, against, left_at, servers, mut seen }: PathText| {
            seen.set_servers(servers);
            (PathName { target, path }, RememberedPath { history: Arc::new(seen), against, left_at })
        };
        Self { paths: text.paths.into_iter().map(path).collect() }
    }
}

impl From<TextBefore> for Remembered {
    fn from(TextBefore { paths, mut against, mut servers, .. }: TextBefore) -> Self {
        let path = |(key, mut seen): (String, History)| {
            seen.set_servers(servers.remove(&key).unwrap_or_default());
            let against = against.remove(&key);
            let (target, path) = key.split_once('/').unwrap_or((&key, ""));
            let name = PathName::new(target, path);
            (name, RememberedPath { history: Arc::new(seen), against, left_at: None })
        };
        Self { paths: paths.into_iter().map(path).collect() }
    }
}

#[cfg(test)]
mod tests;
