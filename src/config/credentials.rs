//! Credentials from files and the environment; never from the command line, never in a URL.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::naming::told;
use super::secret::Secret;
use super::source::{advice, read_regular, read_regular_text, read_text};

/// The environment variable a password may stand in.
pub const PASSWORD_VARIABLE: &str = "MYSQL_CANARY_PASSWORD";

/// Why credentials could not be read. No message repeats what a file holds.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The password file cannot be read.
    #[error("cannot read {}: {source}: {}", told(file), advice(source))]
    PasswordFile {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The option file cannot be read.
    #[error("cannot read {}: {source}: {}", told(file), advice(source))]
    OptionFile {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The option file lacks the group.
    #[error("{} has no group [{group}]: add a line [{group}] there, or name another group", told(file))]
    NoGroup {
        /// The file.
        file: PathBuf,
        /// The group asked for.
        group: String,
    },
    /// A line of the option file makes no sense.
    #[error(
        "line {line} of {} is neither a [group], an option=value nor a # comment: correct it, or put # before it",
        told(file)
    )]
    BadLine {
        /// The file.
        file: PathBuf,
        /// The line, from one.
        line: usize,
    },
    /// The variable holds bytes that are no text.
    #[error(
        "the variable {PASSWORD_VARIABLE} is not valid UTF-8: put the password into --mysql.password-file"
    )]
    Environment,
}

/// Reads a file of certificates or of a key, whole and bounded, and wiped when dropped; what is no regular file is not
/// waited for.
///
/// # Errors
/// What the system says, or that it is no regular file, or too long.
pub fn read_certificates(file: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    read_regular(file).map(|(bytes, _)| bytes)
}

/// A file that holds the password, and may hold another one later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordFile {
    /// `--mysql.password-file`.
    Password(PathBuf),
    /// `--mysql.defaults-file`, and its group.
    Options(PathBuf, String),
}

impl PasswordFile {
    /// Reads the password that the file holds now. One that holds none is not believed: it may be being
    /// written.
    ///
    /// # Errors
    /// When the file is no regular one or cannot be read, or holds no password.
    pub fn read_anew(&self) -> Result<Secret, CredentialsError> {
        let (Self::Password(file) | Self::Options(file, _)) = self;
        let unreadable = |source| match self {
            Self::Password(_) => CredentialsError::PasswordFile { file: file.clone(), source },
            Self::Options(..) => CredentialsError::OptionFile { file: file.clone(), source },
        };
        // What a pipe held was read at the start, and to open it again may never end.
        let (text, _) = read_regular_text(file).map_err(unreadable)?;
        let password = match self {
            Self::Password(_) => Some(first_line(&text)),
            Self::Options(file, group) => options_of(&text, file, group)?.password,
        };
        password
            .filter(|password| !password.reveal().is_empty())
            .ok_or_else(|| unreadable(std::io::Error::other("it holds no password")))
    }
}

/// What an option file says of the login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// `user`.
    pub user: Option<String>,
    /// `password`.
    pub password: Option<Secret>,
}

/// Reads the first line of a password file, whole: only the line's end is cut off.
///
/// # Errors
/// When the file cannot be read.
pub fn read_password_file(file: &Path) -> Result<Secret, CredentialsError> {
    let text =
        read_text(file).map_err(|source| CredentialsError::PasswordFile { file: file.to_owned(), source })?;
    Ok(first_line(&text))
}

/// The password in the text of a password file.
pub(super) fn first_line(text: &str) -> Secret {
    let line = text.split('\n').next().unwrap_or_default();
    Secret::new(line.strip_suffix('\r').unwrap_or(line))
}

/// Reads the password from the environment, where it is set and not empty.
///
/// # Errors
/// When it is no text.
pub fn password_from_environment() -> Result<Option<Secret>, CredentialsError> {
    match std::env::var(PASSWORD_VARIABLE) {
        Ok(password) if password.is_empty() => Ok(None),
        Ok(password) => Ok(Some(Secret::new(password))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(CredentialsError::Environment),
    }
}

/// Reads `user` and `password` of one group of a MySQL option file.
///
/// # Errors
/// When the file cannot be read, a line makes no sense, or the group is not there.
pub fn read_option_file(file: &Path, group: &str) -> Result<FileOptions, CredentialsError> {
    let text =
        read_text(file).map_err(|source| CredentialsError::OptionFile { file: file.to_owned(), source })?;
    options_of(&text, file, group)
}

/// The same, from the text of that file.
pub(super) fn options_of(text: &str, file: &Path, group: &str) -> Result<FileOptions, CredentialsError> {
    match parse_option_file(text, group) {
        Ok(Some(options)) => Ok(options),
        Ok(None) => Err(CredentialsError::NoGroup { file: file.to_owned(), group: group.to_owned() }),
        Err(line) => Err(CredentialsError::BadLine { file: file.to_owned(), line }),
    }
}

/// `None` where the group is not there; the error is the number of a line that makes no sense.
fn parse_option_file(text: &str, group: &str) -> Result<Option<FileOptions>, usize> {
    let mut found = None;
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';', '!']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            inside = name.split_once(']').ok_or(index + 1)?.0.trim() == group;
            if inside {
                found.get_or_insert_with(FileOptions::default);
            }
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (cut_comment(line), None),
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(index + 1);
        }
        if let (true, Some(options)) = (inside, found.as_mut()) {
            match (name, value) {
                ("user", Some(value)) => options.user = Some(unquote(value)),
                ("password", Some(value)) => options.password = Some(Secret::new(unquote(value))),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// MySQL's rules for option values: a `#` outside quotes begins a comment, quotes around the whole value
/// fall away, and a few escapes are read. Source: `find_end_comment` and `search_default_file_with_ext` of
/// MySQL's `my_default.cc`.
fn unquote(value: &str) -> String {
    let value = cut_comment(value);
    let inner =
        ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value);
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('b') => text.push('\u{8}'),
            Some('t') => text.push('\t'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('s') => text.push(' '),
            Some(c @ ('\\' | '"' | '\'')) => text.push(c),
            Some(c) => text.extend(['\\', c]),
            None => text.push('\\'),
        }
    }
    text
}

/// Cuts off a comment; a quote after a backslash does not end what is quoted.
fn cut_comment(value: &str) -> &str {
    let mut open: Option<char> = None;
    let mut escaped = false;
    for (index, c) in value.char_indices() {
        match (c, open) {
            ('"' | '\'', None) => open = Some(c),
            ('"' | '\'', Some(quote)) if c == quote && !escaped => open = None,
            ('#', None) => return value[..index].trim_end(),
            _ => {}
        }
        escaped = open.is_some() && c == '\\' && !escaped;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> String {
        let options = parse_option_file(text, "client").expect("readable").expect("has the group");
        options.password.expect("has a password").reveal().to_owned()
    }

    #[test]
    fn every_character_that_ever_broke_a_password() {
        let hard = r#"a?b&c%d@e#f;g$h'i" j"#;
        assert_eq!(password(&format!("[client]\npassword=\"{}\"\n", hard.replace('"', "\\\""))), hard);
        assert_eq!(password("[client]\npassword=a;c$d%e\n"), "a;c$d%e");
        assert_eq!(password("[client]\npassword = secret # not this\n"), "secret");
        assert_eq!(password("[client]\npassword=back\\\\slash\n"), "back\\slash");
    }

    /// What `my_print_defaults` of MariaDB 10.11 makes of the same lines.
    #[test]
    fn values_are_read_as_mysql_reads_them() {
        for (written, read) in [
            ("a#b", "a"),
            ("'it''s'", "it''s"),
            (r#""x # y" # comment"#, "x # y"),
            (r#"'a"b\'c\\d\se\x'"#, r#"a"b'c\d e\x"#),
            ("\"unterminated", "\"unterminated"),
            (r"a\#b;c # d", r"a\"),
            ("  x'y'#z", "x'y'"),
            (r#""a" b""#, r#"a" b"#),
        ] {
            assert_eq!(password(&format!("[client] # ours\npassword={written}\n")), read, "{written}");
        }
    }

    #[test]
    fn groups_are_kept_apart() {
        let text =
            "# comment\n[mysqld]\nskip-networking\nuser=mysql\n[client.db1]\nuser=one\n[client]\nuser=two\n";
        assert_eq!(
            parse_option_file(text, "client").expect("good").expect("group").user.as_deref(),
            Some("two")
        );
        assert_eq!(
            parse_option_file(text, "client.db1").expect("good").expect("group").user.as_deref(),
            Some("one")
        );
        assert_eq!(parse_option_file(text, "nobody"), Ok(None));
        assert_eq!(parse_option_file("[client\n", "client"), Err(1));
        assert_eq!(parse_option_file("[client]\nwhat is this\n", "client"), Err(2));
    }
}
