//! Files' names as messages tell them. Somebody may have written what a file holds, a key even, where its name belongs.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The longest name that is repeated, in bytes.
const LONGEST_TOLD: usize = 255;
/// The longest name that the system takes, in bytes: of all of it, and of what stands between two slashes.
const LONGEST: (usize, usize) = (4096, 255);
/// How what stands in a PEM file begins.
const PEM: &[u8] = b"-----BEGIN";

/// A file's name, as every message and every line of the log writes it: nothing that may be what a file holds.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a>(&'a Path);

/// The file's name for a message.
pub fn told(file: &Path) -> Told<'_> {
    Told(file)
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.as_os_str().as_bytes();
        match looks_like_contents(bytes) || bytes.len() > LONGEST_TOLD {
            true => f.write_str("the file that is named there"),
            false => self.0.display().fmt(f),
        }
    }
}

/// Takes a file's name as a configuration has it.
///
/// # Errors
/// Where no file can have this name, in words that do not repeat it.
pub(super) fn file_name(text: &str) -> Result<String, String> {
    let (of_all, of_part) = LONGEST;
    let too_long = text.len() > of_all || text.split('/').any(|part| part.len() > of_part);
    match looks_like_contents(text.as_bytes()) || too_long {
        true => Err("a file's name is wanted here, not what the file holds".to_owned()),
        false => Ok(text.to_owned()),
    }
}

fn looks_like_contents(bytes: &[u8]) -> bool {
    bytes.iter().any(u8::is_ascii_control) || bytes.windows(PEM.len()).any(|window| window == PEM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_holds_is_not_repeated() {
        let long = "x".repeat(256);
        for contents in [
            "-----BEGIN PRIVATE KEY-----",
            "kl/-----BEGIN PRIVATE KEY----- MC4CAQ -----END PRIVATE KEY-----",
            "MC4CAQ\n",
            "MC4CAQ\r",
            "MC4CAQ\u{0}",
            &long,
        ] {
            assert_eq!(told(Path::new(contents)).to_string(), "the file that is named there", "{contents}");
            let refused = file_name(contents).expect_err("it is no name");
            assert!(!refused.contains("MC4CAQ") && !refused.contains("BEGIN"), "{refused}");
        }
        for name in ["ca.pem", "/etc/a b/ü.pem", "-----END", ""] {
            assert_eq!(told(Path::new(name)).to_string(), name);
            assert_eq!(file_name(name).as_deref(), Ok(name));
        }
        // A file may stand that deep; it is not repeated all the same.
        let deep = "folder/".repeat(50);
        assert_eq!(file_name(&deep).as_deref(), Ok(&*deep));
        assert_eq!(told(Path::new(&deep)).to_string(), "the file that is named there");
    }
}
