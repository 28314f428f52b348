//! How a text gets to its place in the file system: whole or not at all, by nobody's link but the one that was
//! given.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// How many links may lead to a file, as the kernel has it.
const MOST_LINKS: usize = 40;
/// For the owner only: the file names hosts.
const MODE: u32 = 0o600;
/// The ending of a file that is not in its place yet; between it and the name stand hexadecimal digits.
const NEW: &str = ".new";
const DIGITS: usize = 16;

/// The file that a name leads to, through symbolic links: that one is replaced, and the links stay.
pub(super) fn behind_links(name: &Path) -> io::Result<PathBuf> {
    let mut file = name.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::symlink_metadata(&file) {
            Ok(found) if found.is_symlink() => {
                let next = fs::read_link(&file)?;
                // Relative to where the link stands; an absolute one replaces it all.
                file = directory(&file).join(next);
            }
            Ok(found) if found.is_file() => return Ok(file),
            Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(file),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "its symbolic links lead nowhere"))
}

/// A file's name with an ending of its own, in the same directory.
pub(super) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Opens the file that is locked while an exporter runs: it is never emptied, and no link is followed.
pub(super) fn open_lock(file: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .custom_flags(no_follow())
        .open(beside(file, ".lock"))
}

/// Reads a file; one byte more than `longest` at most. `None` where there is none.
pub(super) fn read(file: &Path, longest: usize) -> io::Result<Option<Vec<u8>>> {
    let opened = match OpenOptions::new().read(true).custom_flags(no_follow()).open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = Vec::new();
    opened.take(longest as u64 + 1).read_to_end(&mut text)?;
    Ok(Some(text))
}

/// Puts a text in the place of a file: a reader, and a kill or a power cut at any moment, finds the old text
/// or the new one.
pub(super) fn put(file: &Path, text: &[u8]) -> io::Result<()> {
    let new = beside(file, &format!(".{:0DIGITS$x}{NEW}", fastrand::u64(..)));
    let placed = write_new(&new, text).and_then(|()| fs::rename(&new, file));
    if placed.is_err() {
        // What is left half-written helps nobody; that it cannot be removed is no news after this error.
        let _ = fs::remove_file(&new);
    }
    placed?;
    // Else a power cut may bring the old name back.
    File::open(directory(file))?.sync_all()
}

fn write_new(new: &Path, text: &[u8]) -> io::Result<()> {
    // Fails where the name is taken, be it by a link.
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(MODE).custom_flags(no_follow()).open(new)?;
    file.write_all(text)?;
    // Before the rename: else a power cut may leave the new name on an empty file.
    file.sync_all()
}

/// Removes what exporters that were killed in the middle of [`put`] have left. Only for who holds the lock.
pub(super) fn sweep(file: &Path) {
    let (Some(name), Ok(entries)) = (file.file_name(), fs::read_dir(directory(file))) else { return };
    let is_left = |entry: &OsString| {
        let ending = entry.to_str().zip(name.to_str()).and_then(|(entry, name)| entry.strip_prefix(name));
        let digits = ending.and_then(|ending| ending.strip_prefix('.')?.strip_suffix(NEW));
        digits.is_some_and(|digits| {
            digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    for entry in entries.flatten().filter(|entry| is_left(&entry.file_name())) {
        // Left for the next start where it cannot be removed.
        let _ = fs::remove_file(entry.path());
    }
}

/// The directory that a file stands in.
fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// No link is followed, and what is no file (a pipe without a reader) is not waited for.
fn no_follow() -> i32 {
    // The bits are the same in both types.
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A private directory, gone at the end.
    struct Dir(PathBuf);

    impl Dir {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("mysql-canary-place-{:x}", fastrand::u64(..)));
            fs::create_dir(&path).expect("a fresh directory");
            Self(path)
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).expect("readable").flatten();
            let mut names: Vec<String> =
                entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let dir = Dir::new();
        fs::create_dir(dir.file("real")).expect("writable");
        let target = dir.file("real/state.json");
        symlink("real/state.json", dir.file("one")).expect("writable");
        symlink(dir.file("one"), dir.file("two")).expect("writable");
        for text in ["first", "second"] {
            // The first time it leads to nothing yet.
            let found = behind_links(&dir.file("two")).expect("it leads there");
            assert_eq!(found, target);
            put(&found, text.as_bytes()).expect("writable");
            assert_eq!(fs::read_to_string(dir.file("two")).expect("readable"), text);
        }
        assert!(fs::symlink_metadata(dir.file("two")).expect("there").is_symlink());
        let mode = fs::metadata(&target).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, MODE);
        assert_eq!(dir.names(), ["one", "real", "two"]);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = Dir::new();
        symlink("b", dir.file("a")).expect("writable");
        symlink("a", dir.file("b")).expect("writable");
        let words = |name: &str| behind_links(&dir.file(name)).expect_err("refused").to_string();
        assert_eq!(words("a"), "its symbolic links lead nowhere");
        assert_eq!(words("."), "it is no regular file");
        assert_eq!(
            behind_links(Path::new("/dev/null")).expect_err("refused").to_string(),
            "it is no regular file"
        );
    }

    #[test]
    fn a_lock_is_never_emptied_and_no_link_is_followed() {
        let dir = Dir::new();
        let file = dir.file("state.json");
        fs::write(dir.file("state.json.lock"), "somebody's").expect("writable");
        drop(open_lock(&file).expect("it opens"));
        assert_eq!(fs::read_to_string(dir.file("state.json.lock")).expect("readable"), "somebody's");
        fs::remove_file(dir.file("state.json.lock")).expect("writable");
        fs::write(dir.file("precious"), "precious").expect("writable");
        symlink("precious", dir.file("state.json.lock")).expect("writable");
        assert!(open_lock(&file).is_err(), "a link in the lock's place");
        assert_eq!(fs::read_to_string(dir.file("precious")).expect("readable"), "precious");
    }

    #[test]
    fn only_what_was_left_half_written_is_swept() {
        let dir = Dir::new();
        let file = dir.file("state.json");
        let kept = ["state.json", "state.json.damaged", "state.json.1.new", "other.0123456789abcdef.new"];
        for name in kept.iter().chain(&["state.json.0123456789abcdef.new"]) {
            fs::write(dir.file(name), "").expect("writable");
        }
        sweep(&file);
        let mut kept = kept.map(str::to_owned).to_vec();
        kept.sort();
        assert_eq!(dir.names(), kept);
    }

    #[test]
    fn no_more_is_read_than_may_be_there() {
        let dir = Dir::new();
        let file = dir.file("state.json");
        assert_eq!(read(&file, 4).expect("readable"), None);
        fs::write(&file, "0123456789").expect("writable");
        assert_eq!(read(&file, 4).expect("readable").expect("there").len(), 5);
        assert!(put(&dir.file("nowhere/state.json"), b"").is_err());
        assert_eq!(dir.names(), ["state.json"]);
    }
}
