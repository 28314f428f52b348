//! Who logs in: never a password in the file, but a file that holds it, a variable, or MySQL's own option file.

use std::env::{self, VarError};

use super::Files;
use super::section::{Fault, Located, Section};
use crate::config::credentials::{CredentialsError, PasswordFile, first_line, options_of};
use crate::config::naming::{file_name, told};
use crate::config::secret::Secret;
use crate::config::source::{advice, open_to_all, read_regular_text};

/// Where the account of a target stands.
#[derive(Debug, Clone)]
pub(super) enum Auth {
    /// A user, and a file whose first line is the password.
    File { username: String, file: Located<String> },
    /// A user, and the name of a variable.
    Variable { username: String, variable: Located<String> },
    /// A MySQL option file, and its group.
    Options { file: Located<String>, group: Option<Located<String>> },
}

/// Who logs in, with what.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: Option<Secret>,
    pub(super) password_file: Option<PasswordFile>,
}

/// The group of an option file that is read where none is named.
const CLIENT: &str = "client";

impl Auth {
    /// Reads the section; its files are read by [`Self::log_in`].
    pub(super) fn read(auth: &Section<'_>) -> Result<Self, Fault> {
        let text = |key: &str, example: &str| -> Result<Option<Located<String>>, Fault> {
            let entry = auth.get(key);
            entry
                .map(|entry| {
                    entry.parse(example, |text| match text.is_empty() {
                        true => Err(format!("nothing stands here: write {example}")),
                        false if key.ends_with("_file") => file_name(text),
                        false => Ok(text.to_owned()),
                    })
                })
                .transpose()
        };
        let username = text("username", "the MySQL user")?;
        let password_file = text("password_file", "a file whose first line is the password")?;
        let password_env = text("password_env", "the name of a variable that holds the password")?;
        let defaults_file = text("defaults_file", "a MySQL option file (my.cnf) with user and password")?;
        let group = text("defaults_group", "a group of the option file, such as client.orders")?;
        let exclude = |other: &str, one: &str| format!("{other} beside {one}: keep one of them");
        match (username, password_file, password_env, defaults_file) {
            (None, None, None, Some(file)) => Ok(Self::Options { file, group }),
            (username, password_file, password_env, Some(_)) => {
                let (key, odd) = [
                    ("username", username),
                    ("password_file", password_file),
                    ("password_env", password_env),
                ]
                .into_iter()
                .find_map(|(key, odd)| odd.map(|odd| (key, odd)))
                .expect("one of them stands there");
                let what = "which holds user and password";
                Err(odd.fault(exclude(key, &format!("defaults_file, {what}"))))
            }
            (_, _, _, None) if group.is_some() => {
                let group = group.expect("it is there");
                Err(group.fault("there is no defaults_file for this group: write defaults_file, or leave the group out"))
            }
            (_, Some(_), Some(variable), None) => Err(variable.fault(exclude("password_env", "password_file"))),
            (Some(username), Some(file), None, None) => Ok(Self::File { username: username.value, file }),
            (Some(username), None, Some(variable), None) => {
                Ok(Self::Variable { username: username.value, variable })
            }
            (Some(username), None, None, None) => Err(username.fault(
                "no password for this user: write password_file or password_env beside it (an account without a password: defaults_file, with a line user=…)",
            )),
            (None, Some(password), None, None) | (None, None, Some(password), None) => {
                Err(password.fault("username is missing: write the MySQL user beside it"))
            }
            (None, None, None, None) => Err(auth.fault(
                "nobody can log in: write username and password_file, username and password_env, or defaults_file",
            )),
        }
    }

    /// Reads what the section names. Names of files and variables of the password are not repeated: somebody may have
    /// written the password itself.
    pub(super) fn log_in(&self, files: &mut Files) -> Result<Login, Fault> {
        match self {
            Self::File { username, file } => {
                let name = files.place(&file.value);
                let (text, found) = read_regular_text(&name).map_err(|error| {
                    file.fault(format!(
                        "cannot read the file that is named here: {error}: {}",
                        advice(&error)
                    ))
                })?;
                let password = first_line(&text);
                if password.reveal().is_empty() {
                    return Err(file.fault(
                        "the first line of the file that is named here is empty: write the password there",
                    ));
                }
                if let Some(mode) = open_to_all(&found) {
                    files.warn(format!("{}: everybody may read the file with the password (mode {mode:04o}): take the right from others, chmod o-rwx", file.path));
                }
                Ok(Login {
                    username: username.clone(),
                    password: Some(password),
                    password_file: Some(PasswordFile::Password(name)),
                })
            }
            Self::Variable { username, variable } => {
                let wrong = |what: &str| variable.fault(format!("the variable that is named here {what}"));
                // Others would panic.
                if variable.value.contains(['=', '\0']) {
                    return Err(wrong("cannot be one: write its name alone, such as CANARY_PASSWORD"));
                }
                let password = match env::var(&variable.value) {
                    Ok(password) if password.is_empty() => {
                        return Err(wrong("is empty: put the password into it"));
                    }
                    Ok(password) => Secret::new(password),
                    Err(VarError::NotPresent) => return Err(wrong("is not set: put the password into it")),
                    Err(VarError::NotUnicode(_)) => {
                        return Err(wrong(
                            "is not valid UTF-8: put the password into a file, and write password_file",
                        ));
                    }
                };
                Ok(Login { username: username.clone(), password: Some(password), password_file: None })
            }
            Self::Options { file, group } => {
                let name = files.place(&file.value);
                let (text, found) = read_regular_text(&name).map_err(|error| {
                    file.fault(format!("cannot read {}: {error}: {}", told(&name), advice(&error)))
                })?;
                let wanted = group.as_ref().map_or(CLIENT, |group| group.value.as_str());
                let options = options_of(&text, &name, wanted).map_err(|error| match (&error, group) {
                    (CredentialsError::NoGroup { .. }, Some(group)) => group.fault(error.to_string()),
                    _ => file.fault(error.to_string()),
                })?;
                let username = options.user.ok_or_else(|| {
                    file.fault(format!(
                        "the group [{wanted}] of {} names no user: add a line user=… there",
                        told(&name)
                    ))
                })?;
                let holds_password = options.password.is_some();
                if let (true, Some(mode)) = (holds_password, open_to_all(&found)) {
                    files.warn(format!("{}: everybody may read {}, which holds a password (mode {mode:04o}): take the right from others, chmod o-rwx", file.path, told(&name)));
                }
                Ok(Login {
                    username,
                    password: options.password,
                    password_file: holds_password.then(|| PasswordFile::Options(name, wanted.to_owned())),
                })
            }
        }
    }
}
