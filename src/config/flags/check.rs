//! The flags of `check`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::TargetArgs;
use crate::config::error::SettingsError;
use crate::config::file::Configured;
use crate::config::settings::TargetSettings;
use crate::config::values::parse_max_age;
use crate::domain::limit::ladder::Ladder;

/// How the outcome is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    Text,
    /// One JSON document, as docs/check.schema.json describes it.
    Json,
}

/// What is to be checked, and how it is told.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Which of the targets in --config.file to check, where it names several
    #[arg(value_name = "TARGET")]
    pub wanted: Option<String>,

    /// Up to which idle age to look; 0s tells at once what can be told without waiting
    #[arg(long = "max-age", value_name = "DURATION", default_value = "10m", value_parser = parse_max_age)]
    pub max_age: Duration,

    /// How to write the verdict on standard output
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub format: CheckFormat,

    /// Say nothing while it runs
    #[arg(long, short)]
    pub quiet: bool,

    /// Which server, and how.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// The defaults of `check` that are not the exporter's, by the name of the flag: somebody waits for the answer.
pub(super) const DEFAULTS: [(&str, &str); 3] =
    [("max_connections", "24"), ("probe_timeout", "1s"), ("server_interval", "1s")];

impl CheckArgs {
    /// The one target to check, whose ladder is for the check to choose; and what should be mended all the same.
    ///
    /// # Errors
    /// The first thing that is wrong, with what to do.
    pub fn settings(&self) -> Result<(TargetSettings, Vec<String>), SettingsError> {
        let Configured { targets, warnings } = self.target.configured(Ladder::default())?;
        let names = || targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", ");
        let target = match (&self.wanted, targets.as_slice()) {
            (Some(_), _) if self.target.config_file().is_none() => {
                return Err(SettingsError::TargetWithoutFile);
            }
            (Some(wanted), all) => all
                .iter()
                .find(|target| target.name == *wanted)
                .ok_or_else(|| SettingsError::NoSuchTarget { wanted: wanted.clone(), names: names() })?,
            (None, [only]) => only,
            (None, _) => return Err(SettingsError::WhichTarget(names())),
        };
        let mut target = target.clone();
        if self.target.config_file().is_none() {
            for path in &mut target.paths {
                // An answer on a session that is open is one round trip; a login is several.
                path.connect_timeout = 2 * path.probe_timeout;
            }
        }
        Ok((target, warnings))
    }
}
