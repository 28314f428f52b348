//! The log lines of one world, read back: what is said of a death is what people read.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What one line said of a canary's end.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Line {
    pub(crate) event: String,
    pub(crate) thread_id: u64,
    pub(crate) kind: String,
    pub(crate) culprit: String,
    pub(crate) rule: String,
    pub(crate) age: f64,
}

/// Keeps the lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<Line>>>);

impl Lines {
    pub(crate) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.0.lock().expect("no writer panics holding it"))
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("mysql_canary_exporter")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        if line.event == "death" || line.event == "void" {
            self.0.lock().expect("no writer panics holding it").push(line);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        let place = match field.name() {
            "event" => &mut self.event,
            "kind" => &mut self.kind,
            "culprit" => &mut self.culprit,
            "rule" | "cause" => &mut self.rule,
            _ => return,
        };
        value.clone_into(place);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "thread_id" {
            self.thread_id = value;
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "age_seconds" {
            self.age = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
