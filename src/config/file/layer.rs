//! What one level of the file says, and what it comes to over the level above it.

use std::time::Duration;

use super::auth::Auth;
use super::declared;
use super::keys::{self, Keys};
use super::section::{Entry, Fault, Located, Section};
use super::tls::TlsKeys;
use crate::config::values::{parse_count, parse_interval, parse_positive, parse_precision, parse_user};
use crate::domain::layers::Device;
use crate::domain::layers::pool::{Pool, check_name};
use crate::domain::life::duration;
use crate::domain::limit::ladder::{Ladder, LadderError};

/// What global, a target or a path says. Which keys may stand at which of them is said in `keys`.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    pub(super) auth: Option<Auth>,
    pub(super) server: ServerKeys,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) tls: TlsKeys,
    pub(super) devices: Option<Vec<Device>>,
    pub(super) pools: Option<Vec<Located<Pool>>>,
    pub(super) ages: Option<Ladder>,
    /// Of each path.
    pub(super) max_connections: Option<Located<usize>>,
    /// Of all paths together.
    pub(super) max_connections_per_target: Option<Located<usize>>,
    pub(super) precision: Option<f64>,
    pub(super) probe_timeout: Option<Duration>,
    pub(super) kill_ghosts: Option<bool>,
}

/// What is said of the server view.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerKeys {
    pub(super) path: Option<Located<String>>,
    pub(super) interval: Option<Duration>,
    pub(super) excluded_users: Option<Vec<String>>,
}

impl Layer {
    /// Reads what stands in a section.
    pub(super) fn read(section: &Section<'_>, canary_keys: &'static Keys) -> Result<Self, Fault> {
        let mut layer = Self {
            connect_timeout: time(section, "connect_timeout", "10s")?,
            devices: section.get("devices").map(|list| declared::devices(&list)).transpose()?,
            pools: section.get("pools").map(|list| declared::pools(&list)).transpose()?,
            ..Self::default()
        };
        if let Some(auth) = section.get("auth") {
            layer.auth = Some(Auth::read(&auth.section(&keys::AUTH)?)?);
        }
        if let Some(server) = section.get("server") {
            layer.server = ServerKeys::read(&server.section(&keys::SERVER)?)?;
        }
        if let Some(tls) = section.get("tls_config") {
            layer.tls = TlsKeys::read(&tls.section(&keys::TLS)?)?;
        }
        if let Some(canary) = section.get("canary") {
            layer.read_canary(&canary.section(canary_keys)?)?;
        }
        Ok(layer)
    }

    fn read_canary(&mut self, canary: &Section<'_>) -> Result<(), Fault> {
        let count = |key| -> Result<_, Fault> {
            canary.get(key).map(|entry| entry.parse("a whole number, such as 12", parse_count)).transpose()
        };
        self.ages = canary.get("ages").map(|ages| ladder(&ages)).transpose()?;
        self.max_connections = count("max_connections")?;
        self.max_connections_per_target = count("max_connections_per_target")?;
        self.precision = canary
            .get("precision")
            .map(|entry| Ok(entry.parse("a share from 0.1% to 50%, such as 1%", parse_precision)?.value))
            .transpose()?;
        self.probe_timeout = time(canary, "probe_timeout", "10s")?;
        self.kill_ghosts = canary.get("kill_ghosts").map(|entry| entry.bool()).transpose()?;
        Ok(())
    }

    /// What holds where `above` says the rest.
    pub(super) fn over(self, above: &Self) -> Self {
        let above = above.clone();
        Self {
            auth: self.auth.or(above.auth),
            server: ServerKeys {
                path: self.server.path.or(above.server.path),
                interval: self.server.interval.or(above.server.interval),
                excluded_users: self.server.excluded_users.or(above.server.excluded_users),
            },
            connect_timeout: self.connect_timeout.or(above.connect_timeout),
            tls: self.tls.over(above.tls),
            devices: self.devices.or(above.devices),
            pools: self.pools.or(above.pools),
            ages: self.ages.or(above.ages),
            max_connections: self.max_connections.or(above.max_connections),
            max_connections_per_target: self.max_connections_per_target.or(above.max_connections_per_target),
            precision: self.precision.or(above.precision),
            probe_timeout: self.probe_timeout.or(above.probe_timeout),
            kill_ghosts: self.kill_ghosts.or(above.kill_ghosts),
        }
    }
}

impl ServerKeys {
    fn read(server: &Section<'_>) -> Result<Self, Fault> {
        let name = |text: &str| check_name(text).map_err(|error| error.to_string());
        Ok(Self {
            path: server
                .get("path")
                .map(|path| path.parse("the name of the path that reads the server view", name))
                .transpose()?,
            interval: server
                .get("interval")
                .map(|entry| Ok(entry.parse("a duration, such as 15s", parse_interval)?.value))
                .transpose()?,
            excluded_users: server.get("exclude_users").map(|users| excluded(&users)).transpose()?,
        })
    }
}

fn time(section: &Section<'_>, key: &str, example: &str) -> Result<Option<Duration>, Fault> {
    let example = format!("a duration, such as {example}");
    section.get(key).map(|entry| Ok(entry.parse(&example, parse_positive)?.value)).transpose()
}

fn excluded(users: &Entry<'_>) -> Result<Vec<String>, Fault> {
    let words = users.words("MySQL users, such as [mysqld_exporter, backup]")?;
    words.into_iter().map(|user| parse_user(user.value).map_err(|what| user.fault(what))).collect()
}

/// Ages as a list, or as the text that the flag takes.
fn ladder(ages: &Entry<'_>) -> Result<Ladder, Fault> {
    let words = ages.words("idle ages in rising order, such as [30s, 5m, 1h]")?;
    let mut seconds = Vec::with_capacity(words.len());
    for age in &words {
        seconds.push(duration::parse_seconds(age.value).map_err(|error| age.fault(error.to_string()))?);
    }
    Ladder::try_from(seconds).map_err(|error| {
        let place = match &error {
            LadderError::NotADuration { position, .. }
            | LadderError::TooShort { position }
            | LadderError::TooLong { position }
            | LadderError::Unsorted { position, .. }
            | LadderError::Duplicate { position, .. } => words.get(position - 1),
            LadderError::Empty | LadderError::TooMany(_) => None,
        };
        let what = error.to_string().replace("leave the flag out", "leave the key out");
        place.map_or_else(|| ages.fault(what.clone()), |age| age.fault(what.clone()))
    })
}
