//! What a target publishes: read by the pages, written by the fleet when its paths change.

use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio::time::Duration;

use super::diagnosis::Diagnosis;
use crate::domain::layers::Device;
use crate::domain::layers::pool::Pool;
use crate::metrics::Metrics;
use crate::prober::{Epoch, PathReport, Present};
use crate::server::Reading;
use crate::session::LastTrouble;
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
    /// The declared pools.
    pub pools: Vec<Pool>,
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
    /// The devices that are declared to be on it.
    pub devices: Vec<Device>,
    /// Whether its loop moves.
    pub pulse: Pulse,
    /// What its loop says.
    pub report: watch::Receiver<PathReport>,
    /// What goes on on it now.
    pub present: watch::Receiver<Present>,
    /// The trouble that connecting has.
    pub trouble: LastTrouble,
    /// What is concluded from it.
    pub diagnosis: watch::Receiver<Diagnosis>,
}
