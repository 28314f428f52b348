//! Which metrics a page shows: those of the process, of every target, or of one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry};

use super::text::{Page, push_sample};
use crate::fleet::published::Shown;
use crate::machine::calendar::unix_now;
use crate::machine::logging;
use crate::metrics::family::{Description, Readable, Stamp};
use crate::metrics::named;

/// All there is to show: of the process, and of each target, so that what is gone goes whole.
#[derive(Debug, Default)]
pub struct Exposition {
    process: Registry,
    targets: RwLock<BTreeMap<String, Arc<Target>>>,
}

/// One target, and what was written of its events.
#[derive(Debug)]
struct Target {
    shown: Shown,
    /// By the names of the families.
    written: Mutex<BTreeMap<&'static str, (Stamp, Arc<str>)>>,
}

impl Target {
    fn new(shown: Shown) -> Self {
        Self { shown, written: Mutex::default() }
    }

    fn write(&self, page: &mut Page) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        for family in self.shown.events.families() {
            let description = family.description();
            // Before the reading: what is counted meanwhile is written again the next time.
            let stamp = family.stamp();
            let kept = written.get(description.name).filter(|(of, _)| Some(*of) == stamp);
            let samples = kept.map_or_else(|| write_family(family), |(_, samples)| Arc::clone(samples));
            page.add(&description, Arc::clone(&samples));
            if let Some(stamp) = stamp {
                written.insert(description.name, (stamp, samples));
            }
        }
        drop(written);
        let state = self.shown.state.lock().unwrap_or_else(PoisonError::into_inner);
        super::draw(&state, unix_now(), |drawing| drawing.write(page));
    }
}

fn write_family(family: &dyn Readable) -> Arc<str> {
    let Description { name, labels, .. } = family.description();
    let mut text = String::new();
    family.read_each(&mut |values, value| push_sample(&mut text, name, labels, values, value));
    text.into()
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
        page.add_gathered(&self.process.gather());
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

#[cfg(test)]
mod tests {
    use tokio::sync::watch;
    use tokio::time::Duration;

    use super::*;
    use crate::domain::culprit::Culprit;
    use crate::domain::life::ending::Ending;
    use crate::domain::life::kind::Kind;
    use crate::domain::limit::ladder::Ladder;
    use crate::fleet::published::TargetState;
    use crate::metrics::Metrics;
    use crate::prober::Epoch;
    use crate::server::Reading;

    fn shown(name: &str, events: &Metrics) -> Shown {
        let state = TargetState {
            target: name.to_owned(),
            server: watch::channel(Reading::default()).1,
            stale_after: Duration::from_secs(35),
            epoch: Epoch::new(1.8e9),
            thresholds: Vec::new(),
            pools: Vec::new(),
            paths: Vec::new(),
        };
        Shown { name: name.to_owned(), events: events.clone(), state: Arc::new(Mutex::new(state)) }
    }

    /// The number of the one sample whose line begins so.
    fn sample(page: &str, begin: &str) -> Option<f64> {
        let lines: Vec<&str> = page.lines().filter(|line| line.starts_with(begin)).collect();
        assert!(lines.len() < 2, "{begin}: {lines:?}");
        lines.first().map(|line| line.rsplit(' ').next().expect("a number").parse().expect("a number"))
    }

    #[tokio::test]
    async fn what_happened_before_a_page_is_on_it_whatever_was_kept_of_the_last_one() {
        let metrics = Metrics::new(&Ladder::parse("25s,60s").expect("a ladder")).expect("good names");
        let path = metrics.path("shop", "direct", &Kind::ALL);
        let exposition = Exposition::default();
        exposition.show(vec![
            shown("shop", &metrics),
            shown("till", &Metrics::new(&Ladder::default()).expect("good")),
        ]);
        let deaths = r#"mysql_canary_deaths_total{culprit="server_kill",ending="fin",kind="idle","#;
        let ages = r#"mysql_canary_death_age_seconds_bucket{culprit="server_kill",kind="idle",path="direct",target="shop",le="60"}"#;
        for count in 0..5 {
            let (all, one) = (exposition.page(), exposition.page_of("shop").expect("it is there"));
            for page in [&all, &one] {
                assert_eq!(sample(page, deaths), Some(f64::from(count)));
                assert_eq!(sample(page, ages), Some(f64::from(count)));
                assert_eq!(page.matches("# TYPE mysql_canary_up gauge").count(), 1, "once, whoever has it");
            }
            assert_eq!(exposition.page(), all, "nothing happened between");
            path.died(Kind::Idle, Ending::Fin, Culprit::ServerKill, 40.0);
        }
        metrics.set_ladder(&Ladder::parse("30s,90s").expect("a ladder")).expect("good ages");
        assert_eq!(sample(&exposition.page(), ages), None, "those of the other ladder are gone");
        path.died(Kind::Idle, Ending::Fin, Culprit::ServerKill, 40.0);
        let ages = ages.replace("\"60\"", "\"90\"");
        assert_eq!(sample(&exposition.page(), &ages), Some(1.0));
        metrics.forget_path("direct");
        let page = exposition.page();
        assert!(!page.contains("direct"), "{page}");
        assert!(page.contains(r#"mysql_canary_up{target="shop"} 0"#), "{page}");
    }
}
