//! One path's share of its target's roster: its budget, and what is known of that way.

use std::collections::BTreeMap;

use prometheus::IntCounter;
use tokio::sync::Notify;

use crate::domain::conduct::proof::GhostKill;
use crate::session::identities::Identities;

/// What one path may do, and where it counts what became of its ghosts.
#[derive(Debug)]
pub struct Rules {
    /// The path's configured name.
    pub path: String,
    /// How many sessions of this path the server may hold at most.
    pub budget: usize,
    /// Whether this path reads the server view, and so keeps a place for it.
    pub reads_the_view: bool,
    /// Whether a ghost may be killed where it is proved to be one.
    pub kill_ghosts: bool,
    /// Counts ghosts by what became of them, each once.
    pub kills: BTreeMap<GhostKill, IntCounter>,
}

/// One path's share.
#[derive(Debug)]
pub(in crate::session) struct Share {
    /// Unlike that of any other path of the target, removed ones included.
    pub(in crate::session) number: u64,
    pub(in crate::session) rules: Rules,
    /// The witness or the server view lacks a place.
    pub(in crate::session) crowded: Notify,
    /// The servers that answered on this way.
    pub(in crate::session) identities: Identities,
}
