//! The published state as series: what describes the present, drawn at each scrape from what the loops last
//! published, so that what is gone vanishes; and the pages that are made of it and of what events counted.
//!
//! | file | what it holds |
//! |---|---|
//! | `families` | every such metric's name, help and labels |
//! | `server`, `path` | how they are filled |
//! | `pages` | which metrics a page shows: those of the process, of all targets, or of one |
//! | `text` | how they are written |

use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use crate::domain::life::words::Field;
use crate::fleet::published::{Published, TargetState};
use crate::machine::calendar::unix_now;
use families::Families;

mod families;
mod pages;
mod path;
mod server;
mod text;

pub use pages::{Exposition, LogLines};

/// The names, helps and labels of every metric that is drawn here.
///
/// # Errors
/// Never for the names of this room; the crate checks them all the same.
pub fn descriptions() -> prometheus::Result<Vec<Desc>> {
    let families = Families::new()?;
    let lines = LogLines::new()?;
    Ok(families.each().into_iter().flat_map(|family| family.desc()).chain(lines.desc()).cloned().collect())
}

/// Draws one target's present at each scrape.
#[derive(Debug)]
pub struct StateCollector {
    state: Published,
    /// Made once, and empty but while somebody draws.
    families: Families,
    /// Held by the one who draws.
    drawing: Mutex<()>,
}

impl StateCollector {
    /// A collector of this target's state.
    ///
    /// # Errors
    /// Never for the names of this file; the crate checks them all the same.
    pub fn new(state: Published) -> prometheus::Result<Self> {
        Ok(Self { state, families: Families::new()?, drawing: Mutex::new(()) })
    }
}

impl Collector for StateCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.families.each().into_iter().flat_map(|family| family.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _drawing = self.drawing.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a drawing that came to no end, too.
        self.families.clear();
        self.families.draw(&self.state.lock().unwrap_or_else(PoisonError::into_inner), unix_now());
        let drawn = self.families.each().into_iter().flat_map(|family| family.collect());
        let drawn = drawn.filter(|family| !family.get_metric().is_empty()).collect();
        self.families.clear();
        drawn
    }
}

impl Families {
    fn clear(&self) {
        self.each().into_iter().for_each(|family| family.clear());
    }

    /// Draws a target's state at a moment when the calendar says `unix_now`, in seconds since the Unix epoch.
    fn draw(&self, state: &TargetState, unix_now: f64) {
        let target = state.target.as_str();
        let reading = state.server.borrow().clone();
        let view = reading.view.filter(|view| view.taken_at.elapsed() <= state.stale_after);
        self.up.with_label_values(&[target]).set(f64::from(u8::from(reading.up && view.is_some())));
        for field in Field::ALL {
            self.words_cut
                .with_label_values(&[target, field.label()])
                .inc_by(reading.words_cut.of(field) as f64);
        }
        let viewed = view.is_some();
        if let Some(view) = view {
            self.draw_server(target, &view, state);
        }
        for path in &state.paths {
            self.path_info.with_label_values(&[target, &path.path, &path.address]).set(1.0);
            let behind = state.epoch.behind(unix_now);
            let last_event = self.prober_last_event.with_label_values(&[target, &path.path]);
            last_event.set(unix_now - path.pulse.silent());
            self.draw_path(target, &path.path, &path.report.borrow(), &path.diagnosis.borrow(), behind);
            if viewed {
                self.draw_seen(target, &path.path, &path.diagnosis.borrow());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;
    use tokio::time::Duration;

    use super::*;
    use crate::domain::conduct::health::Loop;
    use crate::domain::life::kind::Kind;
    use crate::domain::life::observation::{Fate, History, Observation};
    use crate::fleet::diagnosis::Diagnosis;
    use crate::fleet::published::PathState;
    use crate::prober::{Epoch, PathReport, Present};
    use crate::server::Reading;
    use crate::session::LastTrouble;
    use crate::supervision::Pulse;

    const START: f64 = 1.8e9;

    fn evidence(families: &Families) -> f64 {
        let labels = ["default", "default", "idle"];
        families.limit_evidence.with_label_values(&labels).get()
    }

    #[tokio::test(start_paused = true)]
    async fn evidence_is_as_old_as_it_is_whatever_the_calendar_was_set_to() {
        let mut history = History::default();
        history.push(Observation { at: START, kind: Kind::Idle, age: 25.0, fate: Fate::Lived, server: None });
        let (_reading, server) = watch::channel(Reading::default());
        let (_report, report) = watch::channel(PathReport::new(&history, None));
        let (_diagnosis, diagnosis) = watch::channel(Diagnosis::default());
        let name = || "default".to_owned();
        let state = TargetState {
            target: name(),
            server,
            stale_after: Duration::from_secs(35),
            epoch: Epoch::new(START),
            thresholds: Vec::new(),
            pools: Vec::new(),
            paths: vec![PathState {
                path: name(),
                address: name(),
                devices: Vec::new(),
                pulse: Pulse::unwatched(Loop::Prober),
                report,
                present: watch::channel(Present::default()).1,
                trouble: LastTrouble::default(),
                diagnosis,
            }],
        };
        tokio::time::advance(Duration::from_secs(60)).await;
        for step in [0.0, 3600.0, -3600.0] {
            let families = Families::new().expect("the names are good");
            let unix_now = START + 60.0 + step;
            families.draw(&state, unix_now);
            assert_eq!(unix_now - evidence(&families), 60.0, "a step of {step} s");
        }
    }
}
