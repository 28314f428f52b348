//! The targets that are shown, and the document as text.

use std::sync::{PoisonError, RwLock};

use super::document::{Document, SCHEMA_VERSION, TargetDocument};
use super::{rounded, target};
use crate::fleet::published::{Published, Shown};
use crate::machine::calendar::unix_now;

/// The targets that are shown now, in the order of their names.
#[derive(Debug, Default)]
pub struct Book(RwLock<Vec<(String, Published)>>);

impl Book {
    /// These targets are shown from now on, and no others.
    pub fn show(&self, targets: &[Shown]) {
        let mut targets: Vec<(String, Published)> =
            targets.iter().map(|shown| (shown.name.clone(), shown.state.clone())).collect();
        targets.sort_by(|a, b| a.0.cmp(&b.0));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = targets;
    }

    /// The names of the targets.
    pub fn names(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().map(|(name, _)| name.clone()).collect()
    }

    /// The names of a target's paths, in the order of the configuration. `None` where there is no target of this name.
    pub fn paths_of(&self, target: &str) -> Option<Vec<String>> {
        let targets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (_, state) = targets.iter().find(|(name, _)| name == target)?;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        Some(state.paths.iter().map(|path| path.path.clone()).collect())
    }

    /// The document of every target.
    pub fn document(&self) -> Document {
        self.of(|_| true)
    }

    /// The document of one target alone. `None` where there is none of this name.
    pub fn document_of(&self, target: &str) -> Option<Document> {
        let document = self.of(|name| name == target);
        (!document.targets.is_empty()).then_some(document)
    }

    fn of(&self, is_wanted: impl Fn(&str) -> bool) -> Document {
        let now = unix_now();
        // Cheap clones: nobody who changes the targets waits for the drawing.
        let targets = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let draw = |(_, state): &(String, Published)| -> TargetDocument {
            target::draw(&state.lock().unwrap_or_else(PoisonError::into_inner), now)
        };
        Document {
            schema_version: SCHEMA_VERSION,
            exporter_version: env!("CARGO_PKG_VERSION"),
            generated_at: rounded(now),
            targets: targets.iter().filter(|(name, _)| is_wanted(name)).map(draw).collect(),
        }
    }
}

impl Document {
    /// The document as JSON, with a line's end at its end.
    pub fn json(&self) -> String {
        // Its names are texts and its numbers are finite: nothing of it is refused.
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
