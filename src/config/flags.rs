//! The command line: raw flags first, then settings that are known to be good.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::config::address::{Address, AddressError};
use crate::config::credentials::{self, CredentialsError, PasswordFile};
use crate::config::settings::{FEWEST_CONNECTIONS, PathSettings, Settings, TargetSettings};
use crate::domain::layers::pool::{Pool, PoolError, check_distinct};
use crate::domain::life::duration::{self, DurationError};
use crate::domain::limit::ladder::{LONGEST_AGE_SECONDS, Ladder};
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
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Command {
    /// Start a private MariaDB with a short wait_timeout, watch canaries live and die on it, clean up on Ctrl-C
    Demo,
}

/// The flags of the exporter.
#[derive(Debug, Args)]
pub struct ExportArgs {
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

    /// The path of the metrics page
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = parse_telemetry_path)]
    telemetry_path: String,

    /// The least severe log lines to write
    #[arg(long = "log.level", value_enum, value_name = "LEVEL", default_value = "info")]
    log_level: LogLevel,

    /// How log lines are written
    #[arg(long = "log.format", value_enum, value_name = "FORMAT", default_value = "logfmt")]
    log_format: LogFormat,
}

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
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// Two pools have one name.
    #[error("--pool: {0}")]
    Pools(#[from] PoolError),
    /// The authorities' file is bad.
    #[error("--mysql.tls-ca: cannot read {}: {source}: name a file that the exporter's user may read", file.display())]
    TlsCa {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The authorities' file holds none.
    #[error("--mysql.tls-ca: {} holds no PEM certificate: name a file with -----BEGIN CERTIFICATE----- lines", .0.display())]
    NoCertificate(PathBuf),
}

impl ExportArgs {
    /// Reads the files that flags name, and checks what must fit together.
    ///
    /// # Errors
    /// The first thing that is wrong, with what to do.
    pub fn into_settings(self) -> Result<Settings, SettingsError> {
        let address: Address = self.address.parse()?;
        let options = match &self.defaults_file {
            Some(file) => credentials::read_option_file(file, &self.defaults_group)?,
            None => credentials::FileOptions::default(),
        };
        let username = self.username.or(options.user).ok_or(SettingsError::NoUser)?;
        let (password, password_file) = match (self.password_file, credentials::password_from_environment()) {
            (Some(file), _) => {
                (Some(credentials::read_password_file(&file)?), Some(PasswordFile::Password(file)))
            }
            (None, environment) => match (environment?, options.password, self.defaults_file) {
                (None, Some(password), Some(file)) => {
                    (Some(password), Some(PasswordFile::Options(file, self.defaults_group)))
                }
                (environment, _, _) => (environment, None),
            },
        };
        check_distinct(&self.pools)?;
        if let Some(file) = &self.tls_ca {
            let pem =
                std::fs::read(file).map_err(|source| SettingsError::TlsCa { file: file.clone(), source })?;
            if !pem.windows(BEGIN_CERTIFICATE.len()).any(|window| window == BEGIN_CERTIFICATE) {
                return Err(SettingsError::NoCertificate(file.clone()));
            }
        }
        let target = "default".to_owned();
        let path = PathSettings {
            name: DIRECT.to_owned(),
            address,
            account: Account {
                username,
                password,
                password_file,
                tls_mode: self.tls_mode,
                tls_ca: self.tls_ca,
                get_server_public_key: self.get_server_public_key,
            },
            max_connections: self.max_connections,
            probe_timeout: self.probe_timeout,
            precision: self.precision,
            kill_ghosts: self.kill_ghosts,
            devices: Vec::new(),
        };
        let target = TargetSettings {
            name: target,
            view_path: path.name.clone(),
            paths: vec![path],
            server_interval: self.server_interval,
            excluded_users: self.excluded_users.into_iter().collect(),
            pools: self.pools,
            ladder: self.ages.unwrap_or_default(),
        };
        Ok(Settings {
            targets: vec![target],
            state_file: self.state_file,
            listen_addresses: self.listen_addresses,
            telemetry_path: self.telemetry_path,
            log_level: self.log_level,
            log_format: self.log_format,
        })
    }
}

const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

fn long_version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"))
}

fn parse_budget(text: &str) -> Result<usize, String> {
    let count: usize = text.parse().map_err(|_| "write a whole number, such as 12".to_owned())?;
    if count < FEWEST_CONNECTIONS {
        return Err(format!(
            "one rung needs {FEWEST_CONNECTIONS} connections (the canary, its witness, the server view): give {FEWEST_CONNECTIONS} or more"
        ));
    }
    Ok(count)
}

fn parse_positive(text: &str) -> Result<Duration, String> {
    let seconds = duration::parse_seconds(text).map_err(|error: DurationError| error.to_string())?;
    if seconds <= 0.0 {
        return Err("must be longer than nothing, write for example 10s".to_owned());
    }
    if seconds > LONGEST_AGE_SECONDS {
        return Err("must be a year (1y) at most".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_positive(text)?;
    if interval < Duration::from_secs(1) {
        return Err("must be 1s or more: each round asks the server several questions".to_owned());
    }
    Ok(interval)
}

fn parse_user(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("an empty name: write MySQL users, such as mysqld_exporter,backup".to_owned()),
        user => Ok(user.to_owned()),
    }
}

fn parse_precision(text: &str) -> Result<f64, String> {
    let wrong = || "write a share from 0.1% to 50%, such as 1%".to_owned();
    let percent: f64 =
        text.strip_suffix('%').and_then(|number| number.trim().parse().ok()).ok_or_else(wrong)?;
    if (0.1..=50.0).contains(&percent) { Ok(percent / 100.0) } else { Err(wrong()) }
}

fn parse_listen_address(text: &str) -> Result<SocketAddr, String> {
    let whole = match text.strip_prefix(':') {
        Some(port) => format!("[::]:{port}"),
        None => text.to_owned(),
    };
    whole
        .parse()
        .map_err(|_| "write :PORT, IP:PORT or [IPv6]:PORT, such as :10052 or 127.0.0.1:10052".to_owned())
}

fn parse_telemetry_path(text: &str) -> Result<String, String> {
    match text {
        "/" | "/-/healthy" | "/-/ready" => {
            Err("that page is another one: write for example /metrics".to_owned())
        }
        _ if !text.starts_with('/') => {
            Err("a path begins with a slash: write for example /metrics".to_owned())
        }
        _ => match text.chars().find(|&c| !c.is_ascii_alphanumeric() && !"/-_.~".contains(c)) {
            Some(stranger) => Err(format!(
                "{stranger:?} cannot stand in it: write letters, digits and /-_.~ only, for example /metrics"
            )),
            None => Ok(text.to_owned()),
        },
    }
}
