//! The command line: raw flags first, then settings that are known to be good.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::address::Address;
use crate::config::credentials::{self, CredentialsError, FileOptions, PASSWORD_VARIABLE, PasswordFile};
use crate::config::error::SettingsError;
use crate::config::file::web::Followed;
use crate::config::file::{self, Configured};
use crate::config::secret::Secret;
use crate::config::settings::{PathSettings, Settings, TargetSettings};
use crate::config::source;
use crate::config::values::{
    parse_budget, parse_interval, parse_listen_address, parse_positive, parse_precision, parse_target_name,
    parse_telemetry_path, parse_user,
};
use crate::domain::layers::pool::{Pool, check_distinct};
use crate::domain::limit::ladder::Ladder;
use crate::machine::logging::{LogFormat, LogLevel};
use crate::session::{Account, TlsMode};

/// The name of the path where flags name the server.
const DIRECT: &str = "default";

/// The raw command line.
#[derive(Debug, Parser)]
#[command(name = "mysql-canary-exporter", version = long_version(), about, max_term_width = 100, args_conflicts_with_subcommands = true)]
pub struct LowArgs {
    /// What to do instead of exporting.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The exporter's flags.
    #[command(flatten)]
    pub export: ExportArgs,
}

/// What else the program does.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Start a private MariaDB and three ways to it, tell apart what ends idle connections on each, clean up on Ctrl-C
    Demo,
    /// Print the bcrypt hash of the password that standard input holds, for basic_auth_users in --web.config.file
    HashPassword(HashArgs),
}

/// How a password is hashed.
#[derive(Debug, Clone, Args)]
pub struct HashArgs {
    /// How much a check costs: each one more doubles its time
    #[arg(long, value_name = "COST", default_value = "12", value_parser = clap::value_parser!(u32).range(4..=16))]
    pub cost: u32,
}

/// The flags of the exporter.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// A file that names several servers and several ways to each, instead of the flags --target, --mysql, --canary, --pool and --server
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// Say what would run, and end: with code 0, or with 2 and what is wrong
    #[arg(long = "config.check")]
    pub config_check: bool,

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

    /// Idle ages to probe at, in rising order, such as 30s,5m,1h [default: 25s to 30000s in 18 rungs]
    #[arg(long = "canary.ages", value_name = "AGES", value_parser = Ladder::parse)]
    ages: Option<Ladder>,

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

    /// Where to keep observations across restarts [default: nowhere]
    #[arg(long = "state.file", value_name = "FILE")]
    state_file: Option<PathBuf>,

    /// How often the server view is read
    #[arg(long = "server.interval", value_name = "DURATION", default_value = "15s", value_parser = parse_interval)]
    server_interval: Duration,

    /// Users whose sessions are no application's, such as monitoring and consoles, separated by commas; may be given several times
    #[arg(long = "server.exclude-users", value_name = "USERS", value_delimiter = ',', value_parser = parse_user)]
    excluded_users: Vec<String>,

    /// Where to listen for scrapes; may be given several times
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":10052", value_parser = parse_listen_address)]
    listen_addresses: Vec<SocketAddr>,

    /// Listen on the sockets that systemd hands over (socket activation), instead of --web.listen-address
    #[arg(long = "web.systemd-socket")]
    systemd_socket: bool,

    /// The path of the metrics page
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = parse_telemetry_path)]
    telemetry_path: String,

    /// A file with TLS, users and headers of the pages, in the format of Prometheus' exporter-toolkit; read anew when it changes [default: plain HTTP for everybody]
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config_file: Option<PathBuf>,

    /// The least severe log lines to write
    #[arg(long = "log.level", value_enum, value_name = "LEVEL", default_value = "info")]
    log_level: LogLevel,

    /// How log lines are written
    #[arg(long = "log.format", value_enum, value_name = "FORMAT", default_value = "logfmt")]
    log_format: LogFormat,

    /// The flags about a target that were given, with which a file cannot stand.
    #[arg(skip)]
    about_a_target: Vec<String>,

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

/// The beginnings of the flags that a configuration file stands for.
const ABOUT_A_TARGET: [&str; 5] = ["target.", "mysql.", "canary.", "pool", "server."];

impl LowArgs {
    /// Reads the command line; ends the process where it is wrong, or asks for help.
    pub fn read() -> Self {
        Self::try_read_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// The same from these words, of which the first is the program's.
    ///
    /// # Errors
    /// Where they are wrong, or ask for help.
    pub fn try_read_from<I, T>(words: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(words)?;
        let mut args = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        for flag in command.get_arguments() {
            let given = matches.value_source(flag.get_id().as_str()) == Some(ValueSource::CommandLine);
            if let Some(name) = flag.get_long().filter(|_| given)
                && ABOUT_A_TARGET.iter().any(|begin| name.starts_with(begin))
            {
                args.export.about_a_target.push(format!("--{name}"));
            }
        }
        Ok(args)
    }
}

impl ExportArgs {
    /// The configuration file, where there is one.
    pub fn config_file(&self) -> Option<&Path> {
        self.config_file.as_deref()
    }

    /// Reads the web configuration, where there is one.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with what to do.
    pub fn web_config(&self) -> Result<Option<Followed>, SettingsError> {
        Ok(self.web_config_file.as_deref().map(Followed::begin).transpose()?)
    }

    /// Reads the files that flags name, and checks what must fit together; anew each time, so that it can be called at
    /// each reload. It waits for the file system, and for nothing else.
    ///
    /// # Errors
    /// The first thing that is wrong, with what to do.
    pub fn settings(&self) -> Result<Settings, SettingsError> {
        let Configured { targets, mut warnings } = match &self.config_file {
            Some(_) if !self.about_a_target.is_empty() => {
                return Err(SettingsError::FlagsBesideFile(self.about_a_target.clone()));
            }
            Some(file) => file::read(file)?,
            None => self.one_target()?,
        };
        let ignored = |password: &std::ffi::OsString| self.config_file.is_some() && !password.is_empty();
        if std::env::var_os(PASSWORD_VARIABLE).as_ref().is_some_and(ignored) {
            warnings.push(format!(
                "the variable {PASSWORD_VARIABLE} is not used with --config.file: write password_env: {PASSWORD_VARIABLE} there where it is meant"
            ));
        }
        Ok(Settings {
            targets,
            state_file: self.state_file.clone(),
            listen_addresses: (!self.systemd_socket).then(|| self.listen_addresses.clone()),
            telemetry_path: self.telemetry_path.clone(),
            log_level: self.log_level,
            log_format: self.log_format,
            warnings,
        })
    }

    /// The target that flags name.
    fn one_target(&self) -> Result<Configured, SettingsError> {
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
                file.display()
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
            ladder: self.ages.clone().unwrap_or_default(),
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

fn long_version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"))
}
