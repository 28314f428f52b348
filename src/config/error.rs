//! Why no settings come of the flags and the files they name.

use std::path::PathBuf;

use crate::config::address::AddressError;
use crate::config::credentials::CredentialsError;
use crate::config::file::FileError;
use crate::config::naming::told;
use crate::domain::layers::pool::PoolError;

/// Flags that are good each by itself and wrong together, or files that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The server's address cannot be one.
    #[error("--mysql.address: {0}")]
    Address(#[from] AddressError),
    /// No user anywhere.
    #[error("no user to log in as: give --mysql.username, or --mysql.defaults-file with a line `user=…`")]
    NoUser,
    /// A file with credentials is bad.
    #[error("{}{source}", flag_of(source))]
    Credentials {
        /// What is wrong with it.
        #[from]
        source: CredentialsError,
    },
    /// Two pools have one name.
    #[error("--pool: {0}")]
    Pools(#[from] PoolError),
    /// The authorities' file is bad.
    #[error(
        "--mysql.tls-ca: cannot read {}: {source}: name a file that the exporter's user may read",
        told(file)
    )]
    TlsCa {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The authorities' file holds none.
    #[error("--mysql.tls-ca: {} holds no PEM certificate: name a file with -----BEGIN CERTIFICATE----- lines", told(.0))]
    NoCertificate(PathBuf),
    /// The configuration file is bad.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file names the targets, and flags name one too.
    #[error("--config.file says which servers are watched and how: drop {}, or drop --config.file", .0.join(" and "))]
    FlagsBesideFile(Vec<String>),
    /// A target is named, and no file that names some.
    #[error("a target's name chooses one of --config.file: give that file, or --mysql.address alone")]
    TargetWithoutFile,
    /// No target is named, and the file names several.
    #[error("--config.file names several targets: say which one to check, of {0}")]
    WhichTarget(String),
    /// The file names no such target.
    #[error("--config.file names no target {wanted:?}: it names {names}")]
    NoSuchTarget {
        /// What was asked for.
        wanted: String,
        /// What there is.
        names: String,
    },
}

/// The flag that an error about credentials is of.
fn flag_of(error: &CredentialsError) -> &'static str {
    match error {
        CredentialsError::PasswordFile { .. } => "--mysql.password-file: ",
        CredentialsError::OptionFile { .. } | CredentialsError::BadLine { .. } => "--mysql.defaults-file: ",
        CredentialsError::NoGroup { .. } => "--mysql.defaults-group: ",
        CredentialsError::Environment => "",
    }
}
