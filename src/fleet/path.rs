//! One path: a connector, the witness, the prober's loop, and the diagnosis of what they find.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::Instrument;

use super::Ground;
use super::diagnosis::{self, Declared, Diagnosis};
use super::published::PathState;
use super::state_file::Observed;
use crate::config::settings::{PathSettings, TargetSettings};
use crate::domain::conduct::health::Loop;
use crate::domain::conduct::suspension::Headroom;
use crate::domain::layers::catalogue::common_timeouts;
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::History;
use crate::machine::calendar::unix_now;
use crate::metrics::Metrics;
use crate::prober::canary::Network;
use crate::prober::witness::WitnessHandle;
use crate::prober::{self, Memory, PathReport, Present, Prober, Publish, Wires};
use crate::server::{Applications, Reading};
use crate::session::Connector;
use crate::session::roster::{Rules, TargetRoster};
use crate::supervision::stop::{self, StopSender};
use crate::supervision::{Part, Pulse, Supervisor};

/// How long one round of a loop that waits for nobody may take, before it is told to be stuck.
pub(super) const LONGEST_ROUND: Duration = Duration::from_secs(30);
/// How much longer than two connects a round that asks the server may take: each question has a deadline.
const LONGEST_QUESTIONS: Duration = Duration::from_secs(120);

/// One path as it runs.
#[derive(Debug)]
pub(super) struct RunningPath {
    settings: PathSettings,
    reads_the_view: bool,
    part: Part,
    say_stop: StopSender,
    connector: Arc<Connector>,
    report: watch::Receiver<PathReport>,
    present: watch::Receiver<Present>,
    pulse: Pulse,
    diagnosis: watch::Receiver<Diagnosis>,
    declare: watch::Sender<Declared>,
    /// What was observed, once the loop has ended.
    observed: Arc<Mutex<Option<History>>>,
}

/// What the paths of one target share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) target: &'a TargetSettings,
    pub(super) ground: &'a Ground,
    pub(super) metrics: &'a Metrics,
    pub(super) roster: &'a TargetRoster,
    pub(super) applications: &'a Applications,
    pub(super) reading: watch::Receiver<Reading>,
    pub(super) headroom: watch::Receiver<Headroom>,
    pub(super) siblings: watch::Receiver<Vec<diagnosis::Sibling>>,
}

impl Shared<'_> {
    fn reads_the_view(&self, path: &str) -> bool {
        self.target.view_path == path
    }

    /// How long a round of a loop that asks the server over this path may take.
    pub(super) fn longest_asking(path: &PathSettings) -> Duration {
        path.connect_timeout.saturating_mul(2).saturating_add(LONGEST_QUESTIONS)
    }

    fn declared(&self, path: &PathSettings) -> Declared {
        Declared {
            pools: self.target.pools.clone(),
            devices: path.devices.clone(),
            applications: self.applications.clone(),
        }
    }

    fn watch_loop(&self, name: Loop, path: &str, longest_round: Duration) -> Pulse {
        let target = &self.target.name;
        let of = full_name(target, path);
        self.ground.health.watch(name, &of, longest_round, self.metrics.failed_rounds(target, name))
    }
}

/// How a path is called where its target is not said.
pub fn full_name(target: &str, path: &str) -> String {
    format!("{target}/{path}")
}

impl RunningPath {
    /// Starts a path's loops. `observed` is what an earlier loop of this path saw, where there was one.
    pub(super) fn start(
        shared: &Shared<'_>,
        settings: &PathSettings,
        observed: Option<History>,
        supervisor: &mut Supervisor,
    ) -> Self {
        let (target, ground) = (shared.target, shared.ground);
        let (name, path) = (target.name.as_str(), settings.name.as_str());
        let span = tracing::error_span!("path", target_name = name, path);
        let _within = span.clone().entered();
        let reads_the_view = shared.reads_the_view(path);
        let path_metrics = shared.metrics.path(name, path, &Kind::ALL);
        let tried = path_metrics.clone();
        ground.health.expect_a_try(full_name(name, path), move || tried.was_tried());
        let history = observed.unwrap_or_else(|| {
            let mut kept = ground
                .keeper
                .as_ref()
                .map(|keeper| keeper.history(name, path, &settings.address))
                .unwrap_or_default();
            kept.end_at(unix_now());
            kept.move_by(-ground.epoch.behind(unix_now()));
            kept
        });
        let keep = ground.keeper.clone().map(|keeper| {
            let (epoch, target, path) = (ground.epoch, name.to_owned(), path.to_owned());
            let address = settings.address.clone();
            Box::new(move |history: &History| {
                let observed = Observed { history: history.clone(), shift: epoch.behind(unix_now()) };
                keeper.keep(&target, &path, &address, observed);
            }) as prober::Keeper
        });
        let connector = Arc::new(Connector::new(
            settings.address.clone(),
            settings.account.clone(),
            settings.connect_timeout,
            shared.roster.share(Rules {
                path: path.to_owned(),
                budget: settings.max_connections,
                reads_the_view,
                kill_ghosts: settings.kill_ghosts,
                kills: path_metrics.ghost_kills(),
            }),
            path_metrics.clone(),
            ground.logins.clone(),
        ));
        let (publish_report, report) = watch::channel(PathReport::new(&history, None));
        let (publish_present, present) = watch::channel(Present::new(&history));
        let (say_stop, stop) = stop::channel();
        let part = supervisor.new_part();
        let asking = Shared::longest_asking(settings);
        let witness = shared.watch_loop(Loop::Witness, path, asking);
        let (handle, attend) = WitnessHandle::open(Arc::clone(&connector), stop.clone(), witness);
        supervisor.spawn_in(part, Loop::Witness, attend.instrument(span.clone()));
        let pulse = shared.watch_loop(Loop::Prober, path, LONGEST_ROUND);
        let lives = shared.watch_loop(Loop::Canary, path, Duration::MAX);
        let others = if reads_the_view { 2 } else { 1 };
        let prober = Prober::new(
            Network::new(Arc::clone(&connector), handle, ground.standstills.clone(), settings.probe_timeout),
            prober::Settings {
                target: name.to_owned(),
                path: path.to_owned(),
                ladder: target.ladder.clone(),
                precision: settings.precision,
                canaries: settings.max_connections.saturating_sub(others),
                common_timeouts: common_timeouts(),
                hurried: ground.hurried,
            },
            path_metrics,
            Publish { report: publish_report, present: publish_present },
            Memory { history, keep },
            ground.epoch,
        );
        let observed: Arc<Mutex<Option<History>>> = Arc::default();
        let wires =
            Wires { headroom: shared.headroom.clone(), stop: stop.clone(), pulse: pulse.clone(), lives };
        let leave = Arc::clone(&observed);
        let run = async move {
            let history = prober.run(wires).await;
            *leave.lock().unwrap_or_else(PoisonError::into_inner) = Some(history);
        };
        supervisor.spawn_in(part, Loop::Prober, run.instrument(span.clone()));
        let (declare, declared) = watch::channel(shared.declared(settings));
        let sources = diagnosis::Sources {
            target: name.to_owned(),
            path: path.to_owned(),
            report: report.clone(),
            reading: shared.reading.clone(),
            connector: Arc::clone(&connector),
            declared,
            siblings: shared.siblings.clone(),
            ladder_end: target.ladder.longest(),
        };
        let (publish, diagnosis) = watch::channel(Diagnosis::default());
        let diagnosing = shared.watch_loop(Loop::Diagnosis, path, LONGEST_ROUND);
        let keep = diagnosis::keep(sources, publish, stop, diagnosing);
        supervisor.spawn_in(part, Loop::Diagnosis, keep.instrument(span));
        Self {
            settings: settings.clone(),
            reads_the_view,
            part,
            say_stop,
            connector,
            report,
            present,
            pulse,
            diagnosis,
            declare,
            observed,
        }
    }

    /// Whether these settings change nothing that its canaries rest on: they live on.
    pub(super) fn stays_with(&self, wanted: &PathSettings, target: &TargetSettings) -> bool {
        let now = PathSettings {
            devices: wanted.devices.clone(),
            account: self.settings.account.with_password_of(&wanted.account),
            ..self.settings.clone()
        };
        now == *wanted && self.reads_the_view == (target.view_path == wanted.name)
    }

    /// Takes over what may change while its canaries live on: the password, and what is declared.
    pub(super) fn take_over(&mut self, shared: &Shared<'_>, wanted: &PathSettings, declared_anew: bool) {
        if wanted.account != self.settings.account {
            self.connector.set_password(wanted.account.password.clone());
        }
        if declared_anew || wanted.devices != self.settings.devices {
            self.declare.send_replace(shared.declared(wanted));
        }
        self.settings = wanted.clone();
    }

    /// Tells its loops to end, for the process ends.
    pub(super) fn stop(&self) {
        self.say_stop.say();
    }

    /// Tells its loops to end, for a reload; gives the part to wait for.
    pub(super) fn leave(&self) -> Part {
        self.say_stop.say_leave();
        self.part
    }

    /// What was observed, where its loop has ended and the path leads where it did.
    pub(super) fn observed_for(&self, wanted: &PathSettings) -> Option<History> {
        let same = wanted.address == self.settings.address;
        self.observed.lock().unwrap_or_else(PoisonError::into_inner).take().filter(|_| same)
    }

    /// Opens the path's sessions.
    pub(super) fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    /// The settings that it runs with.
    pub(super) fn settings(&self) -> &PathSettings {
        &self.settings
    }

    /// What it publishes, for the pages.
    pub(super) fn published(&self) -> PathState {
        PathState {
            path: self.settings.name.clone(),
            address: self.settings.address.to_string(),
            devices: self.settings.devices.clone(),
            pulse: self.pulse.clone(),
            report: self.report.clone(),
            present: self.present.clone(),
            trouble: self.connector.trouble().clone(),
            diagnosis: self.diagnosis.clone(),
        }
    }

    /// What the other paths of its target see of it.
    pub(super) fn sibling(&self) -> diagnosis::Sibling {
        diagnosis::Sibling { path: self.settings.name.clone(), report: self.report.clone() }
    }
}
