//! The state file: what was observed on every path, kept across restarts and reloads. Read once at the start; what
//! is there is kept in memory, shared with a thread that writes it (`writer`), whole and put in place by a rename
//! (`place`), so that a kill at any moment leaves the old text or the new one.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::config::address::Address;
use crate::config::naming::told;
use crate::domain::life::observation::History;
use crate::domain::life::remembered::text::{LONGEST_TEXT_BYTES, TextError};
use crate::domain::life::remembered::{PathName, Remembered, TakenUp};
use crate::machine::calendar::unix_now;
use crate::supervision::Pulse;

mod holder;
mod place;
mod writer;

pub use holder::Holder;
use writer::{Bell, Written};

/// How long whoever has just taken the lock may need to say who it is.
const TO_SAY_WHO: Duration = Duration::from_millis(50);

/// One state file, owned by one exporter.
#[derive(Debug)]
pub struct StateFile {
    /// The file itself, behind whatever links lead to it.
    file: PathBuf,
    table: Arc<Table>,
    /// The newest write failed, and was told.
    failing: bool,
    /// Held as long as this exporter runs: two must not share one file.
    _lock: fs::File,
}

/// Keeps what was observed, and gives it to a path that comes back. Nobody waits for the file system here.
#[derive(Debug, Clone)]
pub struct Keeper {
    table: Arc<Table>,
    bell: Bell,
}

/// What is remembered now, of all paths.
#[derive(Debug)]
struct Table {
    /// For the log.
    file: PathBuf,
    remembered: Mutex<Remembered>,
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
    #[error(
        "--state.file: cannot write {}: {source}: choose a file in a directory that the exporter's user may write",
        told(file)
    )]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another exporter keeps it.
    #[error(
        "--state.file: another exporter keeps {}{}: give each exporter a file of its own, or end that one first",
        told(file),
        holder.as_ref().map(|holder| format!(" ({holder})")).unwrap_or_default()
    )]
    InUse {
        /// The file.
        file: PathBuf,
        /// Which one. `None` where the lock file does not say.
        holder: Option<Holder>,
    },
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
            Err(fs::TryLockError::WouldBlock) => {
                std::thread::sleep(TO_SAY_WHO);
                let holder = Holder::read(&lock);
                return Err(StateFileError::InUse { file: file.to_owned(), holder });
            }
            Err(fs::TryLockError::Error(source)) => return Err(unwritable(source)),
        }
        // Where that cannot be said, the lock holds all the same.
        let _ = Holder::ourselves(unix_now()).write(&lock);
        place::sweep(&resolved);
        let mut remembered = match place::read(&resolved, LONGEST_TEXT_BYTES).map_err(unwritable)? {
            Some(text) => Remembered::from_text(&text).unwrap_or_else(|error| set_aside(&resolved, &error)),
            None => Remembered::default(),
        };
        remembered.forget_departed(unix_now());
        let table = Table { file: resolved.clone(), remembered: Mutex::new(remembered) };
        Ok(Self { file: resolved, table: Arc::new(table), failing: false, _lock: lock })
    }

    /// What was observed before, in the calendar's time, on a path that leads `against` an address. Where it led to
    /// another address then, that is told, and nothing is taken up; a file that does not say where is taken as it is.
    pub fn history(&self, target: &str, path: &str, against: &Address) -> History {
        self.table.take_up(target, path, against)
    }

    /// Hands the file to a thread of its own, which writes what it is given, the newest of each path. The receiver's
    /// sender is dropped when the thread ends.
    ///
    /// # Errors
    /// When there can be no thread for it.
    pub fn write_apart(mut self, pulse: Pulse) -> io::Result<(Keeper, oneshot::Receiver<()>)> {
        let table = Arc::clone(&self.table);
        let (bell, ended) = writer::start(pulse, move || self.save())?;
        Ok((Keeper { table, bell }, ended))
    }

    /// A write that fails is told once, until one succeeds.
    fn save(&mut self) -> Written {
        match place::put(&self.file, self.table.now().text_parts()) {
            Ok(length) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(event = "state_written", file = %told(&self.file), "the state file is written again");
                }
                Written::Whole { length }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(event = "state_not_written", file = %told(&self.file), error = %error, "the state file could not be written");
                }
                Written::Failed
            }
        }
    }
}

impl Keeper {
    /// Keeps this of a path in the place of what was kept of it before. Only of one that [`Self::history`] was asked
    /// for with this address, and that did not leave for longer than a day: what a path says that was changed
    /// meanwhile, or is forgotten, is not kept.
    pub fn keep(&self, target: &str, path: &str, against: &Address, observed: Observed) {
        let Observed { mut history, shift } = observed;
        history.move_by(shift);
        if self.table.lock().keep(&PathName::new(target, path), &against.to_string(), history) {
            self.bell.ring();
        }
    }

    /// What was observed before on a path, as [`StateFile::history`]: of one that was there at the start, or left and
    /// comes back within a day.
    pub fn history(&self, target: &str, path: &str, against: &Address) -> History {
        let history = self.table.take_up(target, path, against);
        self.bell.ring();
        history
    }

    /// These are the paths that are there now, each a target's and a path's name. Every other one has left: what was
    /// observed of it is kept for a day.
    pub fn retain(&self, paths: &[(&str, &str)]) {
        let there: BTreeSet<PathName> =
            paths.iter().map(|(target, path)| PathName::new(target, path)).collect();
        self.table.lock().retain(&there, unix_now());
        self.bell.ring();
    }

    /// Lets the thread write what it has and end, and waits for so long at most.
    pub async fn finish(&self, ended: impl Future<Output = ()>, patience: Duration) {
        self.bell.finish(ended, patience).await;
    }
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be written now. The histories are shared, not copied.
    fn now(&self) -> Remembered {
        let mut remembered = self.lock();
        remembered.forget_departed(unix_now());
        remembered.clone()
    }

    fn take_up(&self, target: &str, path: &str, against: &Address) -> History {
        let name = PathName::new(target, path);
        let TakenUp { history, dropped } = self.lock().take_up(&name, &against.to_string(), unix_now());
        if let Some(before) = dropped {
            tracing::warn!(
                event = "state_of_another_server",
                file = %told(&self.file),
                target_name = target,
                path,
                measured_against = before,
                "the state file holds what was measured against another address than {against}: it is dropped, \
                 and the search starts afresh"
            );
        }
        History::clone(&history)
    }
}

fn set_aside(file: &Path, error: &TextError) -> Remembered {
    let aside = place::beside(file, ".damaged");
    let moved = fs::rename(file, &aside);
    tracing::warn!(
        event = "state_damaged",
        file = %told(file),
        error = %error,
        set_aside = moved.is_ok(),
        "the state file cannot be read, the search starts afresh; what it held is in {}",
        told(&aside)
    );
    Remembered::default()
}

#[cfg(test)]
mod tests;
