//! The published state as series: what describes the present, drawn at each scrape from what the loops last
//! published, so that what is gone vanishes; and the pages that are made of it and of what events counted.
//!
//! | file | what it holds |
//! |---|---|
//! | `families` | every such metric's name, help and labels |
//! | `drawing` | the samples of a moment |
//! | `server`, `path` | how they are drawn |
//! | `pages` | which metrics a page shows: those of the process, of all targets, or of one |
//! | `text` | how they are written |

use crate::domain::life::words::Field;
use crate::fleet::published::TargetState;
use crate::metrics::family::Description;
use crate::metrics::labels::{PathLabels, TargetLabels};
use drawing::Drawing;
use families::{AddressLabels, FieldLabels, PATH_INFO, PROBER_LAST_EVENT, UP, WORDS_CUT};

mod drawing;
mod families;
mod pages;
mod path;
mod server;
mod text;

pub use pages::{Exposition, LogLines};

/// What every metric is that is drawn here.
pub fn descriptions() -> Vec<Description> {
    families::descriptions()
}

/// Draws a target's state at a moment when the calendar says `unix_now`, in seconds since the Unix epoch, for somebody
/// to look at: it borrows from the state.
fn draw<T>(state: &TargetState, unix_now: f64, look: impl FnOnce(&Drawing<'_>) -> T) -> T {
    let target = state.target.as_str();
    let reading = state.server.borrow().clone();
    let known: Vec<_> =
        state.paths.iter().map(|path| (path, path.report.borrow(), path.diagnosis.borrow())).collect();
    let view = reading.view.as_ref().filter(|view| view.taken_at.elapsed() <= state.stale_after);
    let mut drawing = Drawing::default();
    drawing.set_flag(&UP, TargetLabels { target }, reading.up && view.is_some());
    for field in Field::ALL {
        drawing.add(&WORDS_CUT, FieldLabels { field, target }, reading.words_cut.of(field) as f64);
    }
    if let Some(view) = view {
        drawing.draw_server(target, view, state);
    }
    let behind = state.epoch.behind(unix_now);
    for (of, report, diagnosis) in &known {
        let (path, address) = (of.path.as_str(), of.address.as_str());
        drawing.set(&PATH_INFO, AddressLabels { address, path, target }, 1.0);
        drawing.set(&PROBER_LAST_EVENT, PathLabels { path, target }, unix_now - of.pulse.silent());
        drawing.draw_path(target, path, report, diagnosis, behind);
        if view.is_some() {
            drawing.draw_seen(target, path, diagnosis);
        }
    }
    look(&drawing)
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;
    use tokio::time::Duration;

    use super::families::LIMIT_EVIDENCE;
    use super::*;
    use crate::domain::conduct::health::Loop;
    use crate::domain::life::kind::Kind;
    use crate::domain::life::observation::{Fate, History, Observation};
    use crate::fleet::diagnosis::Diagnosis;
    use crate::fleet::published::PathState;
    use crate::metrics::labels::KindLabels;
    use crate::prober::{Epoch, PathReport, Present};
    use crate::server::Reading;
    use crate::session::LastTrouble;
    use crate::supervision::Pulse;

    const START: f64 = 1.8e9;

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
            let unix_now = START + 60.0 + step;
            let labels = KindLabels { kind: Kind::Idle, path: "default", target: "default" };
            let evidence = draw(&state, unix_now, |drawing| drawing.get(&LIMIT_EVIDENCE, labels));
            assert_eq!(unix_now - evidence.expect("it is drawn"), 60.0, "a step of {step} s");
        }
    }
}
