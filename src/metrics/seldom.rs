//! Metrics that seldom change, and are many: who draws them may keep what was drawn until they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::Registry;
use prometheus::proto::MetricFamily;

/// Metrics that seldom change, and how often they did.
#[derive(Debug, Clone, Default)]
pub struct Seldom {
    pub(super) registry: Registry,
    changes: Arc<AtomicU64>,
}

impl Seldom {
    pub(super) fn within(registry: &Registry) -> Self {
        Self { registry: registry.clone(), changes: Arc::default() }
    }

    /// They have changed: said after each change.
    pub(super) fn change(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// How often they changed. What is gathered after this was asked is as new, or newer.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What they are now.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}
