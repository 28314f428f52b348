//! The state file: what was observed, kept across restarts. Written whole and put in place by a rename,
//! so that a kill at any moment leaves the old text or the new one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::config::address::Address;
use crate::domain::observation::{History, Observation};
use crate::domain::remembered::{Remembered, RememberedError};

/// One state file, owned by one exporter.
#[derive(Debug)]
pub struct StateFile {
    file: PathBuf,
    remembered: Remembered,
    /// The newest write failed, and was told.
    failing: bool,
    /// Held as long as this exporter runs: two must not share one file.
    _lock: fs::File,
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
        let lock = fs::File::create(beside(file, "lock")).map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(StateFileError::InUse(file.to_owned())),
            Err(fs::TryLockError::Error(source)) => return Err(unwritable(source)),
        }
        let remembered = match fs::read(file) {
            Ok(text) => Remembered::from_text(&text).unwrap_or_else(|error| set_aside(file, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Remembered::default(),
            Err(source) => return Err(unwritable(source)),
        };
        Ok(Self { file: file.to_owned(), remembered, failing: false, _lock: lock })
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

    /// Keeps what was observed on a path, each time moved by `shift` seconds: from a scale of the loop's own
    /// to the calendar. A write that fails is told once, until one succeeds.
    pub fn save(&mut self, target: &str, path: &str, history: &History, shift: f64) {
        self.remembered.paths.insert(key(target, path), shifted(history, shift));
        match self.write() {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::warn!(event = "state_not_written", file = %self.file.display(), error = %error, "the state file could not be written");
            }
            Err(_) => {}
        }
    }

    fn write(&self) -> io::Result<()> {
        let text = self.remembered.to_text().map_err(io::Error::other)?;
        let new = beside(&self.file, "new");
        let mut file = fs::File::create(&new)?;
        file.write_all(text.as_bytes())?;
        // Before the rename: else a power cut may leave the new name on an empty file.
        file.sync_data()?;
        fs::rename(&new, &self.file)
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

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn set_aside(file: &Path, error: &RememberedError) -> Remembered {
    let aside = beside(file, "damaged");
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
    use crate::domain::kind::Kind;
    use crate::domain::observation::Fate;

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
