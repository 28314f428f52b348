//! Which metrics a page shows: those of the process, of every target, or of one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry};

use super::StateCollector;
use super::text::{Page, Written};
use crate::fleet::published::Shown;
use crate::machine::logging;
use crate::metrics::named;

/// All there is to show: of the process, and of each target, so that what is gone goes whole.
#[derive(Debug, Default)]
pub struct Exposition {
    process: Registry,
    targets: RwLock<BTreeMap<String, Arc<Target>>>,
}

/// One target, and what was written of its metrics that seldom change.
#[derive(Debug)]
struct Target {
    shown: Shown,
    /// With how often they had changed.
    seldom: Mutex<Option<(u64, Written)>>,
}

impl Target {
    fn new(shown: Shown) -> Self {
        if let Ok(state) = StateCollector::new(Arc::clone(&shown.state)) {
            // No event counts by a name of these.
            let _ = shown.events.register(Box::new(state));
        }
        Self { shown, seldom: Mutex::default() }
    }

    fn write(&self, page: &mut Page) {
        page.add(&self.shown.events.gather());
        let mut kept = self.seldom.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked before the gathering: what changes meanwhile is written the next time.
        let changes = self.shown.seldom.changes();
        match &*kept {
            Some((of, written)) if *of == changes => page.add_written(written),
            _ => {
                let written = Written::of(&self.shown.seldom.gather());
                page.add_written(&written);
                *kept = Some((changes, written));
            }
        }
    }
}

impl Exposition {
    /// The process's own registry.
    pub fn process(&self) -> &Registry {
        &self.process
    }

    /// These targets are shown from now on, and no others.
    pub fn show(&self, targets: Vec<Shown>) {
        let before = self.targets.read().unwrap_or_else(PoisonError::into_inner).clone();
        let targets = targets.into_iter().map(|shown| {
            let known = before.get(&shown.name).filter(|known| Arc::ptr_eq(&known.shown.state, &shown.state));
            (shown.name.clone(), known.map_or_else(|| Arc::new(Target::new(shown)), Arc::clone))
        });
        let targets = targets.collect();
        *self.targets.write().unwrap_or_else(PoisonError::into_inner) = targets;
    }

    /// The names of the targets, in order.
    pub fn names(&self) -> Vec<String> {
        self.targets.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Whether there is a target of this name.
    pub fn has(&self, target: &str) -> bool {
        self.targets.read().unwrap_or_else(PoisonError::into_inner).contains_key(target)
    }

    /// The page of everything, each family once and in the order of the names.
    pub fn page(&self) -> String {
        // Cheap clones: nobody who changes the targets waits for the drawing.
        let targets: Vec<Arc<Target>> =
            self.targets.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let mut page = Page::default();
        page.add(&self.process.gather());
        targets.iter().for_each(|target| target.write(&mut page));
        page.finish()
    }

    /// The page of one target. `None` where there is none of this name.
    pub fn page_of(&self, target: &str) -> Option<String> {
        let target = self.targets.read().unwrap_or_else(PoisonError::into_inner).get(target).cloned()?;
        let mut page = Page::default();
        target.write(&mut page);
        Some(page.finish())
    }
}

/// Counts the log lines that were dropped, read where they are counted.
#[derive(Debug)]
pub struct LogLines(IntCounter);

impl LogLines {
    /// The collector.
    ///
    /// # Errors
    /// Never for this name; the crate checks it all the same.
    pub fn new() -> prometheus::Result<Self> {
        let help = "Log lines that were dropped because their reader was too slow, or gone.";
        IntCounter::with_opts(named("log_lines_dropped_total", help)).map(Self)
    }
}

impl Collector for LogLines {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.inc_by(logging::lines_dropped().saturating_sub(self.0.get()));
        self.0.collect()
    }
}
