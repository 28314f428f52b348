//! The text form of declarations: `key=value` pairs separated by commas, and names fit for labels.

/// Why a text is no list of keys and values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// There is nothing.
    #[error("nothing declared: write key=value, separated by commas")]
    Empty,
    /// A part has no equals sign.
    #[error("{part:?} is not key=value: write for example name=api,recycle=1800s")]
    NoValue {
        /// The part.
        part: String,
    },
    /// A key stands twice.
    #[error("{key} is given twice: write it once")]
    Duplicate {
        /// The key, as it was written the second time.
        key: String,
    },
}

/// A name that cannot be the value of a label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("name {name:?} cannot be a label: write 1 to 64 letters, digits, '.', '_' or '-'")]
pub struct NameError {
    name: String,
}

/// The longest name of a pool or device, in characters.
const LONGEST_NAME: usize = 64;

/// Cuts a declaration into its keys and values, without the space around them.
///
/// # Errors
/// When there is nothing, or a part has no equals sign.
pub fn split_pairs(text: &str) -> Result<Vec<(&str, &str)>, PairError> {
    if text.trim().is_empty() {
        return Err(PairError::Empty);
    }
    text.split(',')
        .map(|part| {
            let part = part.trim();
            part.split_once('=')
                .map(|(key, value)| (key.trim(), value.trim()))
                .ok_or_else(|| PairError::NoValue { part: part.to_owned() })
        })
        .collect()
}

/// Takes a name only if it is fit for a label.
///
/// # Errors
/// When it is empty, too long, or holds other characters than letters, digits, `.`, `_` and `-`.
pub fn check_name(name: &str) -> Result<String, NameError> {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(fit) {
        return Err(NameError { name: name.to_owned() });
    }
    Ok(name.to_owned())
}
