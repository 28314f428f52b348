//! One target: its roster, its server view, and the paths that lead to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::Instrument;

use super::diagnosis::Sibling;
use super::path::{LONGEST_ROUND, RunningPath, Shared, full_name};
use super::published::{Published, Shown, TargetState};
use super::{Ground, headroom};
use crate::config::settings::TargetSettings;
use crate::domain::conduct::health::Loop;
use crate::domain::conduct::suspension::Headroom;
use crate::domain::life::observation::History;
use crate::metrics::Metrics;
use crate::server::{self, Applications, Reading};
use crate::session::roster::TargetRoster;
use crate::supervision::stop::{self, StopSender};
use crate::supervision::{Part, Supervisor};

/// One target as it runs.
#[derive(Debug)]
pub(super) struct Target {
    settings: TargetSettings,
    metrics: Metrics,
    roster: TargetRoster,
    published: Published,
    applications: Applications,
    reading: Arc<watch::Sender<Reading>>,
    headroom: watch::Receiver<Headroom>,
    siblings: watch::Sender<Vec<Sibling>>,
    paths: BTreeMap<String, RunningPath>,
    /// The loop that tells the paths how much room the server has.
    headroom_part: (Part, StopSender),
    /// The loop of the server view.
    view_part: Option<(Part, StopSender)>,
}

/// What a reload changes in a target that stays.
#[derive(Debug)]
pub(super) struct Change {
    /// Paths that end, and those that begin anew.
    leaving: BTreeSet<String>,
    /// Whether the server view begins anew.
    view: bool,
}

impl Target {
    /// Starts a target's loops, and shows it on the pages.
    ///
    /// # Errors
    /// Never for the names of the metrics; the crate checks them all the same.
    pub(super) fn start(
        settings: TargetSettings,
        ground: &Ground,
        supervisor: &mut Supervisor,
    ) -> prometheus::Result<Self> {
        let metrics = Metrics::new(&settings.ladder)?;
        let (reading, readings) = watch::channel(Reading::default());
        let published: Published = Arc::new(Mutex::new(TargetState {
            target: settings.name.clone(),
            server: readings.clone(),
            stale_after: stale_after(&settings),
            epoch: ground.epoch,
            thresholds: settings.ladder.ages().to_vec(),
            pools: settings.pools.clone(),
            paths: Vec::new(),
        }));
        let (publish_headroom, headroom) = watch::channel(Headroom::default());
        let (say_stop, stop) = stop::channel();
        let part = supervisor.new_part();
        let pulse = ground.health.watch(
            Loop::Headroom,
            &settings.name,
            LONGEST_ROUND,
            metrics.failed_rounds(&settings.name, Loop::Headroom),
        );
        let reckon = headroom::keep(readings, publish_headroom, stop, pulse);
        let span = tracing::error_span!("target", target_name = settings.name);
        supervisor.spawn_in(part, Loop::Headroom, reckon.instrument(span));
        let roster = TargetRoster::new(metrics.self_aborted_clients(&settings.name), &ground.rosters);
        let applications = applications(&settings, &metrics);
        let mut target = Self {
            metrics,
            roster,
            published,
            applications,
            reading: Arc::new(reading),
            headroom,
            siblings: watch::channel(Vec::new()).0,
            paths: BTreeMap::new(),
            headroom_part: (part, say_stop),
            view_part: None,
            settings,
        };
        target.start_missing(BTreeMap::new(), ground, supervisor);
        Ok(target)
    }

    /// Starts whatever of it does not run. `observed` is what earlier loops of these paths saw.
    fn start_missing(
        &mut self,
        mut observed: BTreeMap<String, History>,
        ground: &Ground,
        supervisor: &mut Supervisor,
    ) {
        self.roster.set_bound(self.settings.most_connections());
        for path in &self.settings.paths {
            if !self.paths.contains_key(&path.name) {
                let seen = observed.remove(&path.name);
                let running = RunningPath::start(&self.shared(ground), path, seen, supervisor);
                self.paths.insert(path.name.clone(), running);
            }
        }
        if self.view_part.is_none()
            && let Some(path) = self.paths.get(&self.settings.view_path)
        {
            let name = &self.settings.name;
            let (say_stop, stop) = stop::channel();
            let part = supervisor.new_part();
            let pulse = ground.health.watch(
                Loop::ServerView,
                name,
                Shared::longest_asking(path.settings()),
                self.metrics.failed_rounds(name, Loop::ServerView),
            );
            let view = server::watch(
                Arc::clone(path.connector()),
                self.applications.clone(),
                self.settings.server_interval,
                Arc::clone(&self.reading),
                stop,
                pulse,
            );
            let span = tracing::error_span!("path", target_name = name, path = self.settings.view_path);
            supervisor.spawn_in(part, Loop::ServerView, view.instrument(span));
            self.view_part = Some((part, say_stop));
        }
        self.publish();
    }

    fn shared<'a>(&'a self, ground: &'a Ground) -> Shared<'a> {
        Shared {
            target: &self.settings,
            ground,
            metrics: &self.metrics,
            roster: &self.roster,
            applications: &self.applications,
            reading: self.reading.subscribe(),
            headroom: self.headroom.clone(),
            siblings: self.siblings.subscribe(),
        }
    }

    /// Shows the pages and the paths themselves which paths there are, in the order of the configuration.
    fn publish(&self) {
        let paths = self.settings.paths.iter().filter_map(|path| self.paths.get(&path.name));
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.paths = paths.clone().map(RunningPath::published).collect();
        published.stale_after = stale_after(&self.settings);
        published.thresholds = self.settings.ladder.ages().to_vec();
        published.pools.clone_from(&self.settings.pools);
        drop(published);
        self.siblings.send_replace(paths.map(RunningPath::sibling).collect());
    }

    /// The settings that it runs with.
    pub(super) fn settings(&self) -> &TargetSettings {
        &self.settings
    }

    /// Tells all its loops to end, for the process ends.
    pub(super) fn stop(&self) {
        self.paths.values().for_each(RunningPath::stop);
        self.headroom_part.1.say();
        if let Some((_, say_stop)) = &self.view_part {
            say_stop.say();
        }
    }

    /// Tells all its loops to end, for a reload; gives the parts to wait for.
    pub(super) fn leave(&self) -> BTreeSet<Part> {
        self.headroom_part.1.say_leave();
        let mut parts: BTreeSet<Part> = self.paths.values().map(RunningPath::leave).collect();
        parts.insert(self.headroom_part.0);
        if let Some((part, say_stop)) = &self.view_part {
            say_stop.say_leave();
            parts.insert(*part);
        }
        parts
    }

    /// All there is to show of it.
    pub(super) fn shown(&self) -> Shown {
        Shown {
            name: self.settings.name.clone(),
            events: self.metrics.clone(),
            state: Arc::clone(&self.published),
        }
    }

    /// Forgets it. Its loops have ended.
    pub(super) fn withdraw(&self, ground: &Ground) {
        for path in self.paths.keys() {
            ground.health.forget_path(&full_name(&self.settings.name, path));
        }
    }

    /// First half of a change: tells to end what cannot stay as it is, and gives what to wait for.
    pub(super) fn begin_change(&self, wanted: &TargetSettings) -> (Change, BTreeSet<Part>) {
        let stays = |path: &RunningPath| {
            let of_that_name = wanted.paths.iter().find(|wanted| wanted.name == path.settings().name);
            self.settings.ladder == wanted.ladder
                && of_that_name.is_some_and(|path_wanted| path.stays_with(path_wanted, wanted))
        };
        let leaving: BTreeSet<String> =
            self.paths.iter().filter(|(_, path)| !stays(path)).map(|(name, _)| name.clone()).collect();
        let mut parts: BTreeSet<Part> =
            leaving.iter().filter_map(|name| self.paths.get(name)).map(RunningPath::leave).collect();
        let view = leaving.contains(&self.settings.view_path)
            || self.settings.view_path != wanted.view_path
            || self.settings.server_interval != wanted.server_interval
            || self.settings.excluded_users != wanted.excluded_users;
        if let Some((part, say_stop)) = self.view_part.as_ref().filter(|_| view) {
            say_stop.say_leave();
            parts.insert(*part);
        }
        (Change { leaving, view }, parts)
    }

    /// Second half, once those have ended: what is wanted begins.
    ///
    /// # Errors
    /// Never for the names of the metrics; the crate checks them all the same.
    pub(super) fn end_change(
        &mut self,
        wanted: TargetSettings,
        change: &Change,
        ground: &Ground,
        supervisor: &mut Supervisor,
    ) -> prometheus::Result<()> {
        let mut observed = BTreeMap::new();
        for name in &change.leaving {
            let Some(path) = self.paths.remove(name) else { continue };
            match wanted.paths.iter().find(|wanted| wanted.name == *name) {
                Some(wanted) => observed.extend(path.observed_for(wanted).map(|seen| (name.clone(), seen))),
                None => {
                    self.metrics.forget_path(name);
                    ground.health.forget_path(&full_name(&self.settings.name, name));
                }
            }
        }
        let before = std::mem::replace(&mut self.settings, wanted);
        let account =
            |settings: &TargetSettings| settings.paths.first().map(|path| path.account.username.clone());
        let ladder_anew = before.ladder != self.settings.ladder;
        if ladder_anew {
            // The buckets of idle ages are the ladder's.
            self.metrics.set_ladder(&self.settings.ladder)?;
        }
        let applications_anew = ladder_anew
            || before.excluded_users != self.settings.excluded_users
            || account(&before) != account(&self.settings);
        if applications_anew {
            self.applications = applications(&self.settings, &self.metrics);
        }
        if change.view {
            self.view_part = None;
        }
        let declared_anew = before.pools != self.settings.pools || applications_anew;
        let mut paths = std::mem::take(&mut self.paths);
        for wanted in &self.settings.paths {
            if let Some(path) = paths.get_mut(&wanted.name) {
                path.take_over(&self.shared(ground), wanted, declared_anew);
            }
        }
        self.paths = paths;
        self.start_missing(observed, ground, supervisor);
        Ok(())
    }
}

/// After how long a server view is stale.
fn stale_after(settings: &TargetSettings) -> Duration {
    settings.server_interval * 2 + Duration::from_secs(5)
}

fn applications(settings: &TargetSettings, metrics: &Metrics) -> Applications {
    let username = settings.paths.first().map(|path| path.account.username.clone()).unwrap_or_default();
    let (metrics, name) = (metrics.clone(), settings.name.clone());
    let ages = move || metrics.application_survival_age(&name);
    Applications::new(&username, settings.excluded_users.clone(), ages)
}
