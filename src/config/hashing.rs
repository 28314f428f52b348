//! `hash-password`: the bcrypt hash of a password, for `basic_auth_users` of the web configuration.

use std::io::{self, Read};

use bcrypt::Version;
use zeroize::Zeroizing;

/// How much of a long password bcrypt looks at, in bytes.
const LONGEST: usize = 72;

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Standard input cannot be read.
    #[error("cannot read the password from standard input: {0}")]
    Unreadable(io::Error),
    /// Nothing came.
    #[error("standard input holds no password: write one line with it")]
    Empty,
    /// More than bcrypt looks at.
    #[error("the password is longer than {LONGEST} bytes, and bcrypt looks at no more: choose a shorter one")]
    TooLong,
    /// Something that nobody can type, such as a second line.
    #[error(
        "the password holds a control character, or a second line follows: write one line with the password alone"
    )]
    Control,
    /// The system gives no random numbers.
    #[error("cannot make the hash: {0}")]
    Failed(String),
}

/// The hash of the one line that comes from there. It blocks for as long as the cost demands: at 12 a fraction of a
/// second, twice as long for each one more.
///
/// # Errors
/// What is wrong with the line.
pub fn hash_line(input: impl Read, cost: u32) -> Result<String, HashError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 3));
    input.take(LONGEST as u64 + 3).read_to_end(&mut bytes).map_err(HashError::Unreadable)?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(HashError::Empty);
    }
    if line.iter().any(u8::is_ascii_control) {
        return Err(HashError::Control);
    }
    if line.len() > LONGEST {
        return Err(HashError::TooLong);
    }
    let hash = bcrypt::hash_with_result(line, cost).map_err(|error| HashError::Failed(error.to_string()))?;
    Ok(hash.format_for_version(Version::TwoY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_hashed_whole() {
        for line in ["dave123\n", "dave123\r\n", "dave123", " with spaces: and # $ \n", "ü\n"] {
            let hash = hash_line(line.as_bytes(), 4).expect("a good line");
            assert!(hash.starts_with("$2y$04$") && hash.len() == 60, "{hash}");
            assert_eq!(
                bcrypt::verify(line.trim_end_matches(['\r', '\n']), &hash).ok(),
                Some(true),
                "{line:?}"
            );
        }
        let longest = "x".repeat(LONGEST);
        let hash = hash_line(longest.as_bytes(), 4).expect("it is looked at whole");
        assert_eq!(bcrypt::verify(&longest[1..], &hash).ok(), Some(false));
    }

    #[test]
    fn what_is_no_password_is_refused() {
        let refused = |input: &[u8]| hash_line(input, 4).expect_err("it is none").to_string();
        for (input, words) in [
            (&b""[..], "no password"),
            (b"\n", "no password"),
            (b"two\nlines\n", "control character"),
            (b"nul\0\n", "control character"),
            (b"\x03\n", "control character"),
            (&[b'x'; 73], "longer than 72 bytes"),
            (&[b'x'; 5000], "longer than 72 bytes"),
        ] {
            assert!(refused(input).contains(words), "{}", refused(input));
        }
    }
}
