//! Who holds the state file: the words in its lock file, written by the one that holds the lock and read by the
//! next that wants it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// No such text is longer, in bytes.
const LONGEST_BYTES: u64 = 512;
/// The longest host name that is repeated, in characters, as POSIX has it.
const LONGEST_HOST: usize = 255;

/// An exporter that keeps a state file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id, as its own machine or container counts.
    pub pid: u32,
    /// The host or container that it runs on.
    host: String,
    /// Since when, in whole seconds since the Unix epoch.
    since: u64,
}

impl Holder {
    /// This process, from `now` on, in seconds since the Unix epoch.
    pub(super) fn ourselves(now: f64) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { pid: std::process::id(), host, since: now as u64 }
    }

    /// Writes it in the place of what the lock file says. Only for who holds the lock.
    pub(super) fn write(&self, lock: &File) -> io::Result<()> {
        let mut file = lock;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(&serde_json::to_vec(self)?)
    }

    /// Reads who holds the lock. `None` where the file does not say.
    pub(super) fn read(lock: &File) -> Option<Self> {
        let mut text = Vec::new();
        let mut file = lock;
        file.rewind().ok()?;
        file.take(LONGEST_BYTES).read_to_end(&mut text).ok()?;
        let holder: Self = serde_json::from_slice(&text).ok()?;
        let plain = |of: char| of.is_ascii_alphanumeric() || matches!(of, '.' | '-' | '_');
        let is_host = holder.host.len() <= LONGEST_HOST && holder.host.chars().all(plain);
        is_host.then_some(holder)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if !self.host.is_empty() {
            write!(f, " on {}", self.host)?;
        }
        // Later than any calendar says is nobody's start.
        if let Some(since) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.since.min(1 << 36)))
        {
            write!(f, ", since {}", humantime::format_rfc3339_seconds(since))?;
        }
        Ok(())
    }
}
