//! The command line: raw flags first, then settings that are known to be good.

mod check;
mod target;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::error::SettingsError;
use crate::config::file::Configured;
use crate::config::file::web::Followed;
use crate::config::settings::Settings;
use crate::config::values::{parse_listen_address, parse_telemetry_path};
use crate::domain::limit::ladder::Ladder;
use crate::machine::logging::{LogFormat, LogLevel};

pub use check::{CheckArgs, CheckFormat};
pub use target::TargetArgs;

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
    /// Walk the ladder once on one server, and print the verdict. Ends with code 0: sound up to --max-age, 1: a limit or a contradiction was found, 2: it could not be measured, 130: interrupted
    Check(Box<CheckArgs>),
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
    /// Say what would run, and end: with code 0, or with 2 and what is wrong
    #[arg(long = "config.check")]
    pub config_check: bool,

    /// Which server, and how.
    #[command(flatten)]
    target: TargetArgs,

    /// Idle ages to probe at, in rising order, such as 30s,5m,1h [default: 25s to 30000s in 18 rungs]
    #[arg(long = "canary.ages", value_name = "AGES", value_parser = Ladder::parse)]
    ages: Option<Ladder>,

    /// Where to keep observations across restarts [default: nowhere]
    #[arg(long = "state.file", value_name = "FILE")]
    state_file: Option<PathBuf>,

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
        let mut command = Self::words();
        let matches = command.try_get_matches_from_mut(words)?;
        let mut args = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        match (&mut args.command, matches.subcommand()) {
            (Some(Command::Check(check)), Some((name, matches))) => {
                let of_check = command.find_subcommand(name);
                check.target.about_a_target =
                    of_check.map(|command| about_a_target(command, matches)).unwrap_or_default();
            }
            _ => args.export.target.about_a_target = about_a_target(&command, &matches),
        }
        Ok(args)
    }

    /// Every flag of every command, with its own defaults.
    pub fn words() -> clap::Command {
        Self::command().mut_subcommand("check", |mut check| {
            for (flag, value) in check::DEFAULTS {
                check = check.mut_arg(flag, |flag| flag.default_value(value));
            }
            check
        })
    }
}

/// The flags about a target that were given.
fn about_a_target(command: &clap::Command, matches: &ArgMatches) -> Vec<String> {
    let given = command
        .get_arguments()
        .filter(|flag| matches.value_source(flag.get_id().as_str()) == Some(ValueSource::CommandLine));
    given
        .filter_map(|flag| flag.get_long())
        .filter(|name| ABOUT_A_TARGET.iter().any(|begin| name.starts_with(begin)))
        .map(|name| format!("--{name}"))
        .collect()
}

impl ExportArgs {
    /// The configuration file, where there is one.
    pub fn config_file(&self) -> Option<&Path> {
        self.target.config_file()
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
        let Configured { targets, warnings } =
            self.target.configured(self.ages.clone().unwrap_or_default())?;
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
}

fn long_version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"))
}
