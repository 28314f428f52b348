//! The rosters of all targets of this process: two targets may be two names of one server, and the sessions of one
//! are no application's on the other.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Inner, TargetRoster};
use crate::domain::conduct::proof::ServerMark;

/// The rosters of all targets.
#[derive(Debug, Clone, Default)]
pub struct Rosters(Arc<Mutex<Vec<Weak<Inner>>>>);

impl Rosters {
    pub(super) fn add(&self, inner: &Arc<Inner>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // As `Health::watch`: looked through when it is full, not for each one of many.
        if all.len() == all.capacity() {
            all.retain(|known| known.strong_count() > 0);
            let room = all.len().max(16);
            all.reserve(room);
        }
        all.push(Arc::downgrade(inner));
    }

    /// Those of other targets whose server views surely read the server that this one's reads, in the same run.
    pub(super) fn of_the_same_server(&self, inner: &Arc<Inner>) -> Vec<TargetRoster> {
        let Some(viewed) = inner.viewed() else { return Vec::new() };
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let others = all.iter().filter_map(Weak::upgrade).filter(|other| !Arc::ptr_eq(other, inner));
        let reads_the_same = |other: &Arc<Inner>| {
            // Each tells times from a moment of its own.
            let later = other.begun.saturating_duration_since(inner.begun).as_secs_f64()
                - inner.begun.saturating_duration_since(other.begun).as_secs_f64();
            let shifted = |mark: ServerMark| ServerMark {
                started: mark.started + later,
                read_at: mark.read_at + later,
                ..mark
            };
            other.viewed().map(shifted).is_some_and(|other| viewed.is_same_run(&other))
        };
        others.filter(reads_the_same).map(TargetRoster).collect()
    }
}

impl Inner {
    fn viewed(&self) -> Option<ServerMark> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).viewed.clone()
    }
}
