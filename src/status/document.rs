//! The document's shape. What is not known is absent: never zero, never null. Times are seconds since the Unix epoch,
//! ages and timeouts are seconds. Words of closed sets are those of the metrics' labels.
//!
//! Names come from the configuration and from servers: who shows them escapes them.

mod path;

use serde::Serialize;

pub use path::{
    Canary, Death, DeathsOfAge, Device, Foretold, HeldPastRecycle, Killer, Layer, LeftBehind, Limit,
    LivesOfAge, Mismatch, PathDocument, Remedies, RiskOfUser, ServerLimit, Trouble, Verdict,
};

/// The version of the shape: the second number grows with what is added, the first with what is taken away or changed.
/// Readers pass over what they do not know, and refuse another first number.
pub const SCHEMA_VERSION: &str = "1.0";

/// Everything, of one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Document {
    /// [`SCHEMA_VERSION`].
    pub schema_version: &'static str,
    /// The exporter's own version.
    pub exporter_version: &'static str,
    /// When the document was made.
    pub generated_at: f64,
    /// Each target, in the order of their names.
    pub targets: Vec<TargetDocument>,
}

/// One target.
#[derive(Debug, Clone, Serialize)]
pub struct TargetDocument {
    /// Its configured name.
    pub target: String,
    /// The worst of its paths: `unreachable`, `ill`, `measuring`, `sound`.
    pub standing: &'static str,
    /// What the server says of itself. Absent while it cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// The applications' sessions by user, at most 50 and `_other`. Absent where they cannot be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Vec<UserSessions>>,
    /// The declared pools.
    pub pools: Vec<Pool>,
    /// The ladder: the idle ages that canaries are probed at.
    pub rungs_seconds: Vec<f64>,
    /// Each path, in the order of the configuration.
    pub paths: Vec<PathDocument>,
}

/// What a server says of itself.
#[derive(Debug, Clone, Serialize)]
pub struct Server {
    /// `mysql` or `mariadb`.
    pub flavor: &'static str,
    /// The numbers of its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Since when it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<f64>,
    /// How old this view of it is.
    pub view_age_seconds: f64,
    /// `Threads_connected`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads_connected: Option<f64>,
    /// `max_connections`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<f64>,
    /// Whose sessions the account sees: `everyone`, `own_only`, `unknown`, `incomplete`. Absent where that was not
    /// asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sight: Option<&'static str>,
}

/// The sessions of one user.
#[derive(Debug, Clone, Serialize)]
pub struct UserSessions {
    /// The MySQL user, or `_other`.
    pub user: String,
    /// How many there are.
    pub sessions: usize,
    /// How many of them sleep. Absent where the server does not say for how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asleep: Option<usize>,
    /// For how long the longest has slept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_idle_seconds: Option<f64>,
    /// How many have slept at least so long, for each rung that one of them reaches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<IdleAtLeast>,
}

/// How many sessions have slept at least so long.
#[derive(Debug, Clone, Serialize)]
pub struct IdleAtLeast {
    /// So long.
    pub at_least_seconds: f64,
    /// So many.
    pub sessions: usize,
}

/// A declared pool.
#[derive(Debug, Clone, Serialize)]
pub struct Pool {
    /// Its name.
    pub pool: String,
    /// The MySQL user of its sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `sqlalchemy`, `hikaricp`, `go` or `other`.
    pub framework: &'static str,
    /// What it does with a connection that rests, in a sentence.
    pub words: String,
}
