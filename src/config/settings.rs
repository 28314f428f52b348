//! What the exporter runs with, whether flags or a file said it. What stands here is good.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::address::Address;
use crate::domain::layers::Device;
use crate::domain::layers::pool::Pool;
use crate::domain::limit::ladder::Ladder;
use crate::machine::logging::{LogFormat, LogLevel};
use crate::session::Account;

/// The fewest connections the path that reads the server view can be probed with: one canary, its witness, the
/// server view. Any other path needs one less.
pub const FEWEST_CONNECTIONS: usize = 3;

/// The fewest connections of any other path: a canary and its witness.
pub const FEWEST_OF_ANOTHER_PATH: usize = FEWEST_CONNECTIONS - 1;

/// Everything that the exporter runs with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The targets, no two of one name.
    pub targets: Vec<TargetSettings>,
    /// Where observations are kept across restarts.
    pub state_file: Option<PathBuf>,
    /// Where to listen; nowhere of its own where the service manager hands over the sockets.
    pub listen_addresses: Option<Vec<SocketAddr>>,
    /// The path of the metrics page.
    pub telemetry_path: String,
    /// The least severe log lines.
    pub log_level: LogLevel,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// What is no error and should be mended all the same, such as a password file that everybody may read: for the
    /// log, at the start and after each reload.
    pub warnings: Vec<String>,
}

/// One server, and the ways to it.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetSettings {
    /// Its name: the label `target`.
    pub name: String,
    /// The ways to it, no two of one name; at least one.
    pub paths: Vec<PathSettings>,
    /// The name of the path that reads the server view; one of [`Self::paths`].
    pub view_path: String,
    /// How often the server view is read.
    pub server_interval: Duration,
    /// Users whose sessions are no application's.
    pub excluded_users: BTreeSet<String>,
    /// The declared pools, no two of one name.
    pub pools: Vec<Pool>,
    /// The idle ages that its canaries are probed at.
    pub ladder: Ladder,
}

/// One way to a server.
#[derive(Debug, Clone, PartialEq)]
pub struct PathSettings {
    /// Its name: the label `path`.
    pub name: String,
    /// Where it leads.
    pub address: Address,
    /// Who logs in, and how.
    pub account: Account,
    /// The most connections. Those of a target's paths together are the most that the server sees of us.
    pub max_connections: usize,
    /// How long a connect and its login may take.
    pub connect_timeout: Duration,
    /// How long an answer to a canary's probe may take.
    pub probe_timeout: Duration,
    /// How sharp the limit is wanted, as a share.
    pub precision: f64,
    /// Whether ghosts may be killed.
    pub kill_ghosts: bool,
    /// What is known to stand on this path.
    pub devices: Vec<Device>,
}

impl TargetSettings {
    /// The most connections that its server sees of us.
    pub fn most_connections(&self) -> usize {
        self.paths.iter().map(|path| path.max_connections).sum()
    }
}
