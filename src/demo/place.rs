//! The demonstration's own directory, removed however the demonstration ends.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A private directory, and the guard that removes it when this process is killed.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    guard: Option<Child>,
}

/// Waits for the end of its input, which comes when the demonstration is gone; servers that were killed
/// in that moment may still write for a little.
const GUARD: &str = "read -r _; for _ in 1 2 3; do sleep 1; rm -rf -- \"$0\"; done";

impl Place {
    /// Makes a new directory in the system's temporary directory, readable by nobody else.
    pub(super) fn new() -> io::Result<Self> {
        /// How many names are tried: a killed demonstration with our process id may have left one.
        const NAMES: u32 = 100;
        let parent = std::env::temp_dir();
        let name = format!("mysql-canary-demo-{}", std::process::id());
        let mut taken = io::Error::from(io::ErrorKind::AlreadyExists);
        for number in 0..NAMES {
            let path = parent.join(if number == 0 { name.clone() } else { format!("{name}-{number}") });
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { guard: guard(&path), path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
                Err(error) => return Err(error),
            }
        }
        Err(taken)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it belongs to root, and so whether this process does.
    pub(super) fn is_roots(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|metadata| metadata.uid() == 0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        /// A process killed a moment ago may have written once more.
        const ATTEMPTS: u32 = 20;
        for _ in 0..ATTEMPTS {
            match fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Ok(()) | Err(_) => break,
            }
        }
        if let Some(guard) = &mut self.guard {
            // One that ended already is no matter.
            let _ = guard.kill();
            let _ = guard.wait();
        }
    }
}

/// Starts the guard of a directory. Without a shell there is none, and a demonstration that is killed
/// leaves its directory behind.
fn guard(path: &Path) -> Option<Child> {
    Command::new("sh")
        .args(["-c", GUARD])
        .arg(path)
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_private_and_goes_when_dropped() {
        let place = Place::new().expect("the temporary directory is writable");
        let path = place.path().to_owned();
        assert_eq!(fs::metadata(&path).expect("is there").mode() & 0o777, 0o700);
        fs::write(path.join("file"), "text").expect("writable");
        drop(place);
        assert!(!path.exists());
    }
}
