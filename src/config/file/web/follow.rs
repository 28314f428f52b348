//! The web configuration as its files change.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ring::digest::{Context, SHA256};
use tokio::time::Instant;

use super::{WebConfig, read};
use crate::config::file::FileError;
use crate::config::naming::told;

/// How old a change must be before a file that looks the same is believed to be: clocks of file systems are coarse.
const SETTLED: Duration = Duration::from_secs(2);
/// How long files that take protection away must stand as they are before they are believed: they may be half written.
pub const BELIEVED_AFTER: Duration = Duration::from_secs(3);

/// The configuration as it was last good, and its files as they were last read.
#[derive(Debug)]
pub struct Followed {
    file: PathBuf,
    config: Arc<WebConfig>,
    state: State,
    /// What was wrong at the last reading.
    wrong: Option<String>,
    /// Since when the files stand as they do, where they take protection away and are not believed yet.
    waiting: Option<Instant>,
}

/// The files of one reading.
pub(super) struct State {
    seen: Vec<(PathBuf, Option<Stamp>)>,
    /// Whether one was changed so shortly before it was read that it may have changed again unseen.
    fresh: bool,
    /// A digest of all that stood in them.
    contents: Context,
}

/// What a look at the files brought.
#[derive(Debug)]
pub enum News {
    /// They are as they were.
    None,
    /// They were read anew, and are followed from now on.
    Changed,
    /// They take protection away: what was believed stays until they have stood unchanged for [`BELIEVED_AFTER`].
    Waits,
    /// They cannot be followed, for this reason: what was good stays.
    Wrong(String),
}

/// Tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

impl Stamp {
    fn of(file: &Path) -> Option<Self> {
        std::fs::metadata(file).ok().map(|found| Self::from(&found))
    }

    fn is_fresh(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (seconds, nanoseconds) = self.changed;
        let changed =
            Duration::new(seconds.try_into().unwrap_or_default(), nanoseconds.try_into().unwrap_or_default());
        // A clock that was set back makes everything fresh, and nothing wrong.
        changed + SETTLED >= now
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("seen", &self.seen).field("fresh", &self.fresh).finish_non_exhaustive()
    }
}

impl Default for State {
    fn default() -> Self {
        Self { seen: Vec::new(), fresh: false, contents: Context::new(&SHA256) }
    }
}

impl State {
    /// Remembers a file as it is before it is read.
    pub(super) fn see(&mut self, file: &Path) {
        let stamp = Stamp::of(file);
        self.fresh |= stamp.is_some_and(|stamp| stamp.is_fresh());
        self.seen.push((file.to_owned(), stamp));
    }

    /// Remembers what was read of it.
    pub(super) fn hold(&mut self, bytes: &[u8]) {
        self.contents.update(&bytes.len().to_le_bytes());
        self.contents.update(bytes);
    }

    /// Whether nothing can have changed since.
    fn stands(&self) -> bool {
        !self.fresh && self.seen.iter().all(|(file, stamp)| Stamp::of(file) == *stamp)
    }

    fn same_contents(&self, other: &Self) -> bool {
        let digest = |state: &Self| state.contents.clone().finish();
        digest(self).as_ref() == digest(other).as_ref()
    }
}

impl Followed {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn begin(file: &Path) -> Result<Self, FileError> {
        let (state, config) = read(file);
        Ok(Self { file: file.to_owned(), config: Arc::new(config?), state, wrong: None, waiting: None })
    }

    /// What is followed now.
    pub fn config(&self) -> &Arc<WebConfig> {
        &self.config
    }

    /// Whether the newest reading was good.
    pub fn is_good(&self) -> bool {
        self.wrong.is_none()
    }

    /// Looks whether one of the files has changed, and reads them anew where one may have. It waits for the file system.
    pub fn look(&mut self, now: Instant) -> News {
        if self.waiting.is_none() && self.state.stands() {
            return News::None;
        }
        let (state, config) = read(&self.file);
        let same = state.same_contents(&self.state);
        let untouched = same && state.seen == self.state.seen;
        self.state = state;
        let waited = self.waiting.take().filter(|_| untouched);
        let config = match config {
            Ok(config) if config.tls.is_some() == self.config.tls.is_some() => Ok(config),
            Ok(config) => Err(format!(
                "{}: tls_server_config: TLS cannot be switched {} while the exporter runs: restart it",
                told(&self.file),
                if config.tls.is_some() { "on" } else { "off" }
            )),
            Err(error) => Err(error.to_string()),
        };
        match config {
            Ok(config) if config.lowers(&self.config) => {
                let since = waited.unwrap_or(now);
                if now.duration_since(since) < BELIEVED_AFTER {
                    self.waiting = Some(since);
                    return if waited.is_some() { News::None } else { News::Waits };
                }
                self.wrong = None;
                self.config = Arc::new(config);
                News::Changed
            }
            Ok(_) if same && self.wrong.is_none() => News::None,
            Ok(config) => {
                self.wrong = None;
                self.config = Arc::new(config);
                News::Changed
            }
            Err(wrong) if same && self.wrong.as_ref() == Some(&wrong) => News::None,
            Err(wrong) => {
                self.wrong = Some(wrong.clone());
                News::Wrong(wrong)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_users_away_is_believed_once_it_has_stood() {
        const USERS: &str =
            "basic_auth_users:\n  dave: $2y$04$hH7ZNWP7zXpD9hKyLyGGdOxxz1Wm4iDrCRiP4CeK1vdpaFfNpAAWu\n";
        let file = std::env::temp_dir().join(format!("mysql-canary-follow-{}.yml", std::process::id()));
        let write = |text: &str| std::fs::write(&file, text).expect("the directory is ours");
        write(USERS);
        let mut followed = Followed::begin(&file).expect("it is good");
        let begun = Instant::now();
        for (seconds, text, news, users) in [
            (0.0, Some(""), "Waits", 1),
            (2.9, None, "None", 1),
            // Written on: it stands anew.
            (2.95, Some("basic_auth_users:\n"), "Waits", 1),
            (5.9, None, "None", 1),
            // What is bad meanwhile proves nothing.
            (5.92, Some("basic_auth_users: ["), "Wrong", 1),
            (60.0, None, "None", 1),
            (60.0, Some("basic_auth_users:\n"), "Waits", 1),
            (62.0, Some(USERS), "Changed", 1),
            (63.0, Some(""), "Waits", 1),
            (65.9, None, "None", 1),
            (66.0, None, "Changed", 0),
            (66.0, None, "None", 0),
            (66.1, Some(USERS), "Changed", 1),
        ] {
            if let Some(text) = text {
                write(text);
            }
            let seen = format!("{:?}", followed.look(begun + Duration::from_secs_f64(seconds)));
            assert!(seen.starts_with(news), "{seconds}: {seen}");
            assert_eq!(followed.config().users.len(), users, "{seconds}");
        }
        // What is left is in the system's temporary directory.
        let _ = std::fs::remove_file(&file);
    }
}
