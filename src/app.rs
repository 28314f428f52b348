//! The exporter put together: one target, its path, the server view, the web side; from the settings
//! to the last COM_QUIT.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::settings::{PathSettings, Settings, TargetSettings};
use crate::domain::conduct::admission::Places;
use crate::domain::conduct::health::Loop;
use crate::domain::conduct::suspension::Headroom;
use crate::domain::layers::catalogue::landmarks;
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::History;
use crate::exposition::{PathState, StateCollector, TargetState};
use crate::fleet::diagnosis::{self, Diagnosis};
use crate::fleet::state_file::{Keeper, Observed, StateFile, StateFileError};
use crate::machine::calendar::unix_now;
use crate::machine::descriptors::TooFewDescriptors;
use crate::metrics::Metrics;
use crate::prober::canary::Network;
use crate::prober::standstill::Standstills;
use crate::prober::witness::WitnessDesk;
use crate::prober::{self, Epoch, Memory, PathReport, Prober, Wires};
use crate::server::{self, Applications, Reading};
use crate::session::roster::Rules;
use crate::session::{Connector, Roster};
use crate::supervision::stop::{self, Stop};
use crate::supervision::{Ended, Health, Pulse, Supervisor};
use crate::web::{self, Clients, Site};

/// Connections of a path that are no canaries: the server view and the witness.
const OTHER_CONNECTIONS: usize = 2;
/// How long one round of a loop that waits for nobody may take, before it is told to be stuck.
const LONGEST_ROUND: Duration = Duration::from_secs(30);
/// How much longer than two connects a round that asks the server may take: each question has a deadline.
const LONGEST_QUESTIONS: Duration = Duration::from_secs(120);
/// How long the loops may take to end, once the word to stop was said.
const WINDING_DOWN: Duration = Duration::from_millis(1700);
/// How long the state file's last write may take after that.
const LAST_WRITE: Duration = Duration::from_millis(200);
/// How long the start waits for the state file before it goes on without: then the pages say nothing of what was known.
const LONG_OPENING: Duration = Duration::from_secs(2);
/// What ends last: it has no session, and is of use until then.
const LAST: [Loop; 3] = [Loop::State, Loop::Log, Loop::Signals];

/// Why the exporter could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket could not be opened.
    #[error("--web.listen-address: cannot listen on {address}: {source}: {}", advice(source.kind()))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Too few files may be open.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The state file cannot be kept.
    #[error(transparent)]
    State(#[from] StateFileError),
    /// The metrics could not be registered.
    #[error("cannot register the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The runtime, its signals or a thread could not be had.
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
}

/// Why the exporter does not run.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A loop ended although nobody had said stop; the log says which and why.
    #[error("the loop {} ended by itself", .0.label())]
    LoopEnded(Loop),
}

/// What to do where a socket cannot be opened.
fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => "end the process that holds it, or choose another address",
        io::ErrorKind::PermissionDenied => {
            "choose a port above 1023, or give the process CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrNotAvailable => {
            "choose an address that this machine has, or write :PORT for all of them"
        }
        _ => "choose another address",
    }
}

/// Opens every listening socket, so that a bad address is told before anything runs.
///
/// # Errors
/// The first that cannot be opened.
pub fn listen(addresses: &[SocketAddr]) -> Result<Vec<std::net::TcpListener>, StartError> {
    addresses
        .iter()
        .map(|&address| web::listen(address).map_err(|source| StartError::Listen { address, source }))
        .collect()
}

/// Runs the exporter until told to stop, or until one of its loops ends by itself, and lets every session say
/// COM_QUIT. `places` is how many clients its pages may have at once. `supervisor` may own loops already, such as the
/// one that hears signals.
///
/// # Errors
/// When it cannot start, and when a loop ended that must not.
pub async fn run(
    settings: Settings,
    listeners: Vec<std::net::TcpListener>,
    places: Places,
    mut told_to_stop: Stop,
    mut supervisor: Supervisor,
) -> Result<(), ExportError> {
    let (say_stop, stop) = stop::channel();
    let start = start(settings, listeners, places, &stop, &mut supervisor);
    let last_writes = tokio::select! {
        started = start => started?,
        // A file system that does not answer keeps the start from its end.
        () = told_to_stop.told() => return Ok(()),
    };
    let ended = tokio::select! {
        ended = supervisor.ended() => Some(ended),
        () = told_to_stop.told() => None,
    };
    if let Some(Ended { name, panicked }) = ended {
        tracing::error!(
            event = "loop_ended",
            loop = name.label(),
            panicked,
            "the loop {} ended, though nobody said stop: the exporter ends",
            name.label()
        );
    }
    say_stop.say();
    let deadline = Instant::now() + WINDING_DOWN;
    // What has not ended by then is dropped with the supervisor.
    let _ = timeout_at(deadline, supervisor.all_ended_but(&LAST)).await;
    if let Some(keeper) = last_writes {
        keeper.finish(supervisor.all_ended_but(&[Loop::Log, Loop::Signals]), LAST_WRITE).await;
    }
    ended.map_or(Ok(()), |ended| Err(ExportError::LoopEnded(ended.name)))
}

/// The hand to the state file's thread.
type LastWrites = Option<Keeper<Observed>>;

/// Starts every loop.
async fn start(
    settings: Settings,
    listeners: Vec<std::net::TcpListener>,
    places: Places,
    stop: &Stop,
    supervisor: &mut Supervisor,
) -> Result<LastWrites, StartError> {
    let now = unix_now();
    let epoch = Epoch::new(now);
    let Settings { targets, state_file, telemetry_path, .. } = settings;
    let target = targets.into_iter().next().expect("there is a target");
    let path = target.paths.first().cloned().expect("there is a path");
    let registry = Registry::new();
    let metrics = Metrics::register(&registry, &target.ladder)?;
    // Without a process filesystem there are no process metrics, and that is all.
    let _ = registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()));
    let path_metrics = metrics.path(&target.name, &path.name, &Kind::ALL);
    metrics.config_last_reload.successful.set(1.0);
    metrics.config_last_reload.success_timestamp.set(now.round());

    let health = Arc::new(Health::default());
    let watch_loop =
        |name, longest_round| health.watch(name, longest_round, metrics.failed_rounds(&target.name, name));
    let asking = path.probe_timeout.saturating_mul(2).saturating_add(LONGEST_QUESTIONS);
    let tried = path_metrics.clone();
    health.expect_a_try(format!("{}/{}", target.name, path.name), move || tried.was_tried());
    let mut opening = state_file
        .map(|file| (spawn_blocking(move || StateFile::open(&file)), watch_loop(Loop::State, LONGEST_ROUND)));
    let mut remembered = None;
    if let Some((opening, pulse)) = &mut opening {
        match timeout(LONG_OPENING, opening).await {
            Ok(opened) => {
                remembered = Some(remember(&target, &path, opened, epoch, pulse.clone(), supervisor)?)
            }
            // The pages answer meanwhile, and the word to stop is heard.
            Err(_) => tracing::warn!(
                event = "state_not_opened",
                "the file system of --state.file does not answer: no canary is sent until it does"
            ),
        }
    }

    let connector = Arc::new(Connector::new(
        path.address.clone(),
        path.account.clone(),
        path.probe_timeout,
        Roster::new(Rules {
            budget: path.max_connections,
            kill_ghosts: path.kill_ghosts,
            aborted: path_metrics.self_aborted_clients(),
            kills: path_metrics.ghost_kills(),
        }),
        path_metrics.clone(),
    ));
    let applications = Applications::new(
        &target.name,
        &path.account.username,
        target.excluded_users.clone(),
        metrics.application_survival_ages(),
    );
    let (publish_reading, reading) = watch::channel(Reading::default());
    let (publish_report, report) = watch::channel(
        remembered.as_ref().map(|(memory, _)| PathReport::new(&memory.history, None)).unwrap_or_default(),
    );
    let (publish_diagnosis, diagnosis) = watch::channel(Diagnosis::default());
    let (publish_headroom, headroom) = watch::channel(Headroom::default());
    let pulse = watch_loop(Loop::Prober, LONGEST_ROUND);
    registry.register(Box::new(StateCollector::new(vec![TargetState {
        target: target.name.clone(),
        server: reading.clone(),
        stale_after: target.server_interval * 2 + Duration::from_secs(5),
        epoch,
        thresholds: target.ladder.ages().to_vec(),
        paths: vec![PathState {
            path: path.name.clone(),
            pulse: pulse.clone(),
            report: report.clone(),
            diagnosis,
        }],
    }])?))?;

    let site = Arc::new(Site {
        registry,
        health: Arc::clone(&health),
        telemetry_path: telemetry_path.clone(),
        gathering: web::Gathering::default(),
        clients: Arc::new(Clients::new(places)),
    });
    for listener in listeners {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(event = "listening", address = %address, "Listening on {address}");
        }
        let (site, stop) = (Arc::clone(&site), stop.clone());
        supervisor.spawn(Loop::Web, async move {
            if let Err(error) = web::serve(listener, site, stop).await {
                tracing::error!(event = "web_failed", error = %error, "the web side ended");
            }
        });
    }
    let (memory, last_writes) = match (remembered, opening) {
        (Some(remembered), _) => remembered,
        (None, Some((opening, pulse))) => {
            let late = remember(&target, &path, opening.await, epoch, pulse, supervisor)?;
            publish_report.send_replace(PathReport::new(&late.0.history, None));
            late
        }
        (None, None) => (Memory::default(), None),
    };

    let sources = diagnosis::Sources {
        target: target.name.clone(),
        path: path.name.clone(),
        report,
        reading: reading.clone(),
        applications: applications.clone(),
        connector: Arc::clone(&connector),
        pools: target.pools.clone(),
        ladder_end: target.ladder.longest(),
    };
    let diagnosing = watch_loop(Loop::Diagnosis, LONGEST_ROUND);
    supervisor.spawn(Loop::Diagnosis, diagnosis::keep(sources, publish_diagnosis, stop.clone(), diagnosing));
    let reckoning = watch_loop(Loop::Headroom, LONGEST_ROUND);
    supervisor.spawn(Loop::Headroom, watch_headroom(reading, publish_headroom, stop.clone(), reckoning));
    let reading_loop = server::watch(
        Arc::clone(&connector),
        applications,
        target.server_interval,
        publish_reading,
        stop.clone(),
        watch_loop(Loop::ServerView, asking),
    );
    supervisor.spawn(Loop::ServerView, reading_loop);
    let witness = watch_loop(Loop::Witness, asking);
    let (desk, attend) = WitnessDesk::open(Arc::clone(&connector), stop.clone(), witness);
    supervisor.spawn(Loop::Witness, attend);
    let (standstills, ticks) = Standstills::watch();
    supervisor.spawn(Loop::Ticks, ticks);
    let lives = watch_loop(Loop::Canary, Duration::MAX);
    let prober = Prober::new(
        Network::new(connector, desk, standstills, path.probe_timeout),
        prober::Settings {
            target: target.name,
            path: path.name,
            ladder: target.ladder,
            precision: path.precision,
            canaries: path.max_connections.saturating_sub(OTHER_CONNECTIONS),
            landmarks: landmarks(),
        },
        path_metrics,
        publish_report,
        memory,
        epoch,
    );
    let stop = stop.clone();
    supervisor.spawn(Loop::Prober, async move {
        prober.run(Wires { headroom, stop, pulse, lives }).await;
    });
    Ok(last_writes)
}

/// What the path's loop remembers, and where it keeps it: in the calendar's time, to which `epoch` ties the
/// loop's.
fn remember(
    target: &TargetSettings,
    path: &PathSettings,
    opened: Result<Result<StateFile, StateFileError>, JoinError>,
    epoch: Epoch,
    pulse: Pulse,
    supervisor: &mut Supervisor,
) -> Result<(Memory, LastWrites), StartError> {
    let mut state = opened.map_err(|error| StartError::Runtime(io::Error::other(error)))??;
    let address = &path.address;
    let (target, path) = (&target.name, &path.name);
    state.keep_only(&[(target, path)]);
    let mut history = state.history(target, path, address);
    history.end_at(unix_now());
    let (keeper, ended) = state.write_apart(target, path, pulse).map_err(StartError::Runtime)?;
    supervisor.spawn(Loop::State, async { drop(ended.await) });
    let desk = keeper.clone();
    let keep = Box::new(move |history: &History| {
        desk.keep(Observed { history: history.clone(), shift: epoch.behind(unix_now()) });
    });
    Ok((Memory { history, keep: Some(keep) }, Some(keeper)))
}

/// Tells the prober, with each reading, how much room the server has.
async fn watch_headroom(
    mut reading: watch::Receiver<Reading>,
    publish: watch::Sender<Headroom>,
    mut stop: Stop,
    pulse: Pulse,
) {
    loop {
        let round = pulse.round_at_once(|| {
            let reading = reading.borrow_and_update();
            if !reading.has_begun {
                return;
            }
            let status = reading.view.as_ref().and_then(|view| view.status.as_ref());
            let variables = reading.view.as_ref().and_then(|view| view.variables.as_ref());
            let threads = status.and_then(|status| status.threads_connected);
            let most = variables.and_then(|variables| variables.max_connections);
            publish.send_replace(Headroom::of(threads, most));
        });
        let news = async {
            if round.is_none() {
                tokio::time::sleep(pulse.rest()).await;
            } else if reading.changed().await.is_err() {
                // That the server view is gone is told by who owns it.
                std::future::pending().await
            }
        };
        tokio::select! {
            () = stop.told() => return,
            () = pulse.wait(news) => {}
        }
    }
}
