//! What a target publishes: read by the pages, written by the fleet when its paths change.

use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio::time::Duration;

use super::diagnosis::Diagnosis;
use crate::metrics::Metrics;
use crate::prober::{Epoch, PathReport};
use crate::server::Reading;
use crate::supervision::Pulse;

/// One target's state, shared with who changes which paths there are.
pub type Published = Arc<Mutex<TargetState>>;

/// All there is to show of a target.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its configured name.
    pub name: String,
    /// What events counted.
    pub events: Metrics,
    /// What describes the present.
    pub state: Published,
}

/// One target's published state.
#[derive(Debug)]
pub struct TargetState {
    /// The target's configured name.
    pub target: String,
    /// The server view.
    pub server: watch::Receiver<Reading>,
    /// After how long a server view is stale.
    pub stale_after: Duration,
    /// What ties the times that paths report to the calendar.
    pub epoch: Epoch,
    /// Thresholds of `_idle_sessions`, in seconds.
    pub thresholds: Vec<f64>,
    /// Each path's state.
    pub paths: Vec<PathState>,
}

/// One path's published state.
#[derive(Debug)]
pub struct PathState {
    /// The path's configured name.
    pub path: String,
    /// Where it leads.
    pub address: String,
    /// Whether its loop moves.
    pub pulse: Pulse,
    /// What its loop says.
    pub report: watch::Receiver<PathReport>,
    /// What is concluded from it.
    pub diagnosis: watch::Receiver<Diagnosis>,
}
