//! The flags that say which server is watched and how: those of the exporter and of `check`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::{ArgAction, Args};

use crate::config::address::Address;
use crate::config::credentials::{self, CredentialsError, FileOptions, PASSWORD_VARIABLE, PasswordFile};
use crate::config::error::SettingsError;
use crate::config::file::{self, Configured};
use crate::config::naming::told;
use crate::config::secret::Secret;
use crate::config::settings::{PathSettings, TargetSettings};
use crate::config::source;
use crate::config::values::{
    parse_budget, parse_interval, parse_positive, parse_precision, parse_target_name, parse_user,
};
use crate::domain::layers::pool::{Pool, check_distinct};
use crate::domain::limit::ladder::Ladder;
use crate::session::{Account, TlsMode};

/// The name of the path where flags name the server.
const DIRECT: &str = "default";

/// Which server is watched, and how.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// A file that names several servers and several ways to each, instead of the flags --target, --mysql, --canary, --pool and --server
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// The name of the server on the pages and in the log: the label `target` [default: the address]
    #[arg(long = "target.name", value_name = "NAME", value_parser = parse_target_name)]
    target_name: Option<String>,

    /// The MySQL or MariaDB server, as the applications reach it
    #[arg(long = "mysql.address", value_name = "HOST:PORT", default_value = "127.0.0.1:3306")]
    // Parsed later: clap would repeat a bad value, and a URL may carry a password.
    address: String,

    /// The user to log in as; or `user` in --mysql.defaults-file
    #[arg(long = "mysql.username", value_name = "USER")]
    username: Option<String>,

    /// A file whose first line is the password. Without it: the variable MYSQL_CANARY_PASSWORD, then --mysql.defaults-file
    #[arg(long = "mysql.password-file", value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// A MySQL option file (my.cnf) with user and password
    #[arg(long = "mysql.defaults-file", value_name = "FILE")]
    defaults_file: Option<PathBuf>,

    /// The group of the option file to read
    #[arg(
        long = "mysql.defaults-group",
        value_name = "GROUP",
        default_value = "client",
        requires = "defaults_file"
    )]
    defaults_group: String,

    /// Whether and how sessions are encrypted
    #[arg(long = "mysql.tls-mode", value_enum, value_name = "MODE", default_value = "preferred")]
    tls_mode: TlsMode,

    /// A PEM file of the authorities to trust with verify-ca and verify-identity [default: the well-known ones]
    #[arg(long = "mysql.tls-ca", value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// Let the password go to a server that nobody verified: encrypted with the key it sends, or under TLS with any certificate
    #[arg(long = "mysql.get-server-public-key", value_name = "BOOL", action = clap::ArgAction::Set, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    get_server_public_key: bool,

    /// The most connections to open, the server view's and the witness's included
    #[arg(long = "canary.max-connections", value_name = "COUNT", default_value = "12", value_parser = parse_budget)]
    max_connections: usize,

    /// How long connects and answers may take
    #[arg(long = "canary.probe-timeout", value_name = "DURATION", default_value = "10s", value_parser = parse_positive)]
    probe_timeout: Duration,

    /// How sharp the idle limit is wanted
    #[arg(long = "canary.precision", value_name = "PERCENT", default_value = "1%", value_parser = parse_precision)]
    precision: f64,

    /// Whether to KILL sessions of our own whose client is dead, where they are proved to be ours
    #[arg(
        long = "canary.kill-ghosts",
        value_name = "BOOL",
        default_value_t = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = ArgAction::Set
    )]
    kill_ghosts: bool,

    /// A declared connection pool, such as name=api,user=api,framework=sqlalchemy,recycle=1800s,read_timeout=30s; may be given several times
    #[arg(long = "pool", value_name = "KEY=VALUE,…", value_parser = Pool::parse)]
    pools: Vec<Pool>,

    /// How often the server view is read
    #[arg(long = "server.interval", value_name = "DURATION", default_value = "15s", value_parser = parse_interval)]
    server_interval: Duration,

    /// Users whose sessions are no application's, such as monitoring and consoles, separated by commas; may be given several times
    #[arg(long = "server.exclude-users", value_name = "USERS", value_delimiter = ',', value_parser = parse_user)]
    excluded_users: Vec<String>,

    /// The flags about a target that were given, with which a file cannot stand.
    #[arg(skip)]
    pub(super) about_a_target: Vec<String>,

    /// What pipes held: they can be read once, and settings are read again at each reload.
    #[arg(skip)]
    piped: Arc<Piped>,
}

/// What was read from pipes.
#[derive(Debug, Default)]
struct Piped {
    password: OnceLock<Secret>,
    options: OnceLock<FileOptions>,
}

impl TargetArgs {
    /// The configuration file, where there is one.
    pub fn config_file(&self) -> Option<&Path> {
        self.config_file.as_deref()
    }

    /// The targets that the flags or the file name; `ladder` holds where no file says another.
    ///
    /// # Errors
    /// The first thing that is wrong, with what to do.
    pub(super) fn configured(&self, ladder: Ladder) -> Result<Configured, SettingsError> {
        let mut configured = match &self.config_file {
            Some(_) if !self.about_a_target.is_empty() => {
                return Err(SettingsError::FlagsBesideFile(self.about_a_target.clone()));
            }
            Some(file) => file::read(file)?,
            None => self.one_target(ladder)?,
        };
        let ignored = |password: &OsString| self.config_file.is_some() && !password.is_empty();
        if std::env::var_os(PASSWORD_VARIABLE).as_ref().is_some_and(ignored) {
            configured.warnings.push(format!(
                "the variable {PASSWORD_VARIABLE} is not used with --config.file: write password_env: {PASSWORD_VARIABLE} there where it is meant"
            ));
        }
        Ok(configured)
    }

    /// The target that flags name.
    fn one_target(&self, ladder: Ladder) -> Result<Configured, SettingsError> {
        let address: Address = self.address.parse()?;
        let mut warnings = Vec::new();
        let options = match &self.defaults_file {
            Some(file) => {
                once(file, &self.piped.options, || credentials::read_option_file(file, &self.defaults_group))?
            }
            None => FileOptions::default(),
        };
        let username = self.username.clone().or(options.user).ok_or(SettingsError::NoUser)?;
        let (password, password_file) = match (&self.password_file, credentials::password_from_environment())
        {
            (Some(file), _) => {
                let password = once(file, &self.piped.password, || credentials::read_password_file(file))?;
                (Some(password), Some(PasswordFile::Password(file.clone())))
            }
            (None, environment) => match (environment?, options.password, &self.defaults_file) {
                (None, Some(password), Some(file)) => {
                    (Some(password), Some(PasswordFile::Options(file.clone(), self.defaults_group.clone())))
                }
                (environment, _, _) => (environment, None),
            },
        };
        if let Some(PasswordFile::Password(file) | PasswordFile::Options(file, _)) = &password_file
            && let Some(mode) = std::fs::metadata(file).ok().and_then(|found| source::open_to_all(&found))
        {
            warnings.push(format!(
                "everybody may read {}, which holds a password (mode {mode:04o}): take the right from others, chmod o-rwx",
                told(file)
            ));
        }
        check_distinct(&self.pools)?;
        if let Some(file) = &self.tls_ca {
            let (pem, _) = source::read_regular(file)
                .map_err(|source| SettingsError::TlsCa { file: file.clone(), source })?;
            if !pem.windows(BEGIN_CERTIFICATE.len()).any(|window| window == BEGIN_CERTIFICATE) {
                return Err(SettingsError::NoCertificate(file.clone()));
            }
        }
        let name = self.target_name.clone().unwrap_or_else(|| address.to_string());
        let path = PathSettings {
            name: DIRECT.to_owned(),
            address,
            account: Account {
                username,
                password,
                password_file,
                tls_mode: self.tls_mode,
                tls_ca: self.tls_ca.clone(),
                tls_identity: None,
                tls_server_name: None,
                get_server_public_key: self.get_server_public_key,
            },
            max_connections: self.max_connections,
            connect_timeout: self.probe_timeout,
            probe_timeout: self.probe_timeout,
            precision: self.precision,
            kill_ghosts: self.kill_ghosts,
            devices: Vec::new(),
        };
        let target = TargetSettings {
            name,
            view_path: path.name.clone(),
            paths: vec![path],
            server_interval: self.server_interval,
            excluded_users: self.excluded_users.iter().cloned().collect(),
            pools: self.pools.clone(),
            ladder,
        };
        Ok(Configured { targets: vec![target], warnings })
    }
}

/// Reads a file; one that can be read once only, such as a pipe, once.
fn once<T: Clone>(
    file: &Path,
    kept: &OnceLock<T>,
    read: impl FnOnce() -> Result<T, CredentialsError>,
) -> Result<T, CredentialsError> {
    if let Some(kept) = kept.get() {
        return Ok(kept.clone());
    }
    let lasts = std::fs::metadata(file).is_ok_and(|found| found.is_file());
    let value = read()?;
    if !lasts {
        kept.get_or_init(|| value.clone());
    }
    Ok(value)
}

const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
