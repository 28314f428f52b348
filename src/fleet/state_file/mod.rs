//! The state file: what was observed, kept across restarts. Read once at the start; a thread writes it
//! (`writer`), whole and put in place by a rename (`place`), so that a kill at any moment leaves the old
//! text or the new one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;

use crate::config::address::Address;
use crate::domain::life::observation::{History, Observation};
use crate::domain::life::remembered::{LONGEST_TEXT_BYTES, Remembered, RememberedError};
use crate::supervision::Pulse;

mod place;
mod writer;

pub use writer::Keeper;
use writer::Written;

/// One state file, owned by one exporter.
#[derive(Debug)]
pub struct StateFile {
    /// The file itself, behind whatever links lead to it.
    file: PathBuf,
    remembered: Remembered,
    /// The newest write failed, and was told.
    failing: bool,
    /// Held as long as this exporter runs: two must not share one file.
    _lock: fs::File,
}

/// What is to be kept of a path.
#[derive(Debug)]
pub struct Observed {
    /// What was observed.
    pub history: History,
    /// By how many seconds its times must be moved: from a scale of the loop's own to the calendar.
    pub shift: f64,
}

/// Why there can be no state file.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// Nothing can be written there.
    #[error("--state.file: cannot write {}: {source}: choose a file in a directory that the exporter's user may write", file.display())]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another exporter keeps it.
    #[error("--state.file: another exporter keeps {}: give each exporter a file of its own", .0.display())]
    InUse(PathBuf),
}

impl StateFile {
    /// Takes up what the file holds. A file that is not there yet is empty; a damaged one is told, set
    /// aside as `<file>.damaged`, and never fatal.
    ///
    /// # Errors
    /// When nothing can be written where the file is to stand, or another exporter keeps it.
    pub fn open(file: &Path) -> Result<Self, StateFileError> {
        let unwritable = |source| StateFileError::Unwritable { file: file.to_owned(), source };
        let resolved = place::behind_links(file).map_err(unwritable)?;
        let lock = place::open_lock(&resolved).map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(StateFileError::InUse(file.to_owned())),
            Err(fs::TryLockError::Error(source)) => return Err(unwritable(source)),
        }
        place::sweep(&resolved);
        let remembered = match place::read(&resolved, LONGEST_TEXT_BYTES).map_err(unwritable)? {
            Some(text) => Remembered::from_text(&text).unwrap_or_else(|error| set_aside(&resolved, &error)),
            None => Remembered::default(),
        };
        Ok(Self { file: resolved, remembered, failing: false, _lock: lock })
    }

    /// What was observed before on a path that leads `against` an address. Where it led to another address
    /// then, that is told, and nothing is taken up; a file that does not say where is taken as it is.
    pub fn history(&mut self, target: &str, path: &str, against: &Address) -> History {
        let key = key(target, path);
        let (now, before) = (against.to_string(), self.remembered.against.get(&key));
        if let Some(before) = before.filter(|before| !before.eq_ignore_ascii_case(&now)) {
            tracing::warn!(
                event = "state_of_another_server",
                file = %self.file.display(),
                target_name = target,
                path,
                measured_against = before,
                "the state file holds what was measured against another address than {now}: it is dropped, \
                 and the search starts afresh"
            );
            self.remembered.paths.remove(&key);
        }
        let history = self.remembered.paths.get(&key).cloned().unwrap_or_default();
        self.remembered.against.insert(key, now);
        history
    }

    /// Forgets every path but these, each a target's and a path's name.
    pub fn keep_only(&mut self, paths: &[(&str, &str)]) {
        let keys: Vec<String> = paths.iter().map(|(target, path)| key(target, path)).collect();
        self.remembered.paths.retain(|known, _| keys.contains(known));
        self.remembered.against.retain(|known, _| keys.contains(known));
    }

    /// Hands the file to a thread of its own, which writes what it is given of one path, the newest only.
    /// The receiver's sender is dropped when the thread ends.
    ///
    /// # Errors
    /// When there can be no thread for it.
    pub fn write_apart(
        mut self,
        target: &str,
        path: &str,
        pulse: Pulse,
    ) -> io::Result<(Keeper<Observed>, oneshot::Receiver<()>)> {
        let key = key(target, path);
        writer::start(pulse, move |seen: &Observed| self.save(&key, seen))
    }

    /// A write that fails is told once, until one succeeds.
    fn save(&mut self, key: &str, Observed { history, shift }: &Observed) -> Written {
        self.remembered.paths.insert(key.to_owned(), shifted(history, *shift));
        let text = self.remembered.to_text().map_err(io::Error::other);
        match text.and_then(|text| place::put(&self.file, text.as_bytes())) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(event = "state_written", file = %self.file.display(), "the state file is written again");
                }
                Written::Whole
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(event = "state_not_written", file = %self.file.display(), error = %error, "the state file could not be written");
                }
                Written::Failed
            }
        }
    }
}

/// The observations with their times moved; none is moved past the Unix epoch, for nothing was seen there.
fn shifted(history: &History, seconds: f64) -> History {
    let mut moved = History::default();
    moved.set_servers(history.servers().to_vec());
    for seen in history.iter() {
        moved.push(Observation { at: (seen.at + seconds).max(0.0), ..*seen });
    }
    moved
}

fn key(target: &str, path: &str) -> String {
    format!("{target}/{path}")
}

fn set_aside(file: &Path, error: &RememberedError) -> Remembered {
    let aside = place::beside(file, ".damaged");
    let moved = fs::rename(file, &aside);
    tracing::warn!(
        event = "state_damaged",
        file = %file.display(),
        error = %error,
        set_aside = moved.is_ok(),
        "the state file cannot be read, the search starts afresh; what it held is in {}",
        aside.display()
    );
    Remembered::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::life::kind::Kind;
    use crate::domain::life::observation::Fate;

    #[test]
    fn times_are_moved_to_the_calendar_and_never_past_its_beginning() {
        let mut history = History::default();
        for at in [1.0, 1.8e9, 1.8e9 + 5.0] {
            history.push(Observation { at, kind: Kind::Idle, age: 25.0, fate: Fate::Lived, server: None });
        }
        assert_eq!(shifted(&history, 0.0), history);
        let times: Vec<f64> = shifted(&history, -3600.0).iter().map(|seen| seen.at).collect();
        assert_eq!(times, [0.0, 1.8e9 - 3600.0, 1.8e9 - 3595.0]);
    }
}
