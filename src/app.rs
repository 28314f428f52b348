//! The exporter put together: a fleet and a web side, from the settings to the last COM_QUIT.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use crate::config::file::web::Followed;
use crate::config::settings::{Settings, TargetSettings};
use crate::domain::conduct::admission::Places;
use crate::domain::conduct::health::Loop;
use crate::exposition::{Exposition, LogLines};
use crate::fleet::reload::{ReloadHandle, Reloads, Reread};
use crate::fleet::state_file::{Keeper, StateFile, StateFileError};
use crate::fleet::{self, Fleet, Ground};
use crate::machine::calendar::unix_now;
use crate::machine::descriptors::{self, TooFewDescriptors, Wanted};
use crate::machine::service;
use crate::metrics::{ConfigReload, ProcessMetrics, failed_rounds_of_the_process};
use crate::prober::Epoch;
use crate::prober::standstill::Standstills;
use crate::session::roster::Rosters;
use crate::session::{LoginPace, most_attempts};
use crate::status::Book;
use crate::supervision::stop::{self, Stop};
use crate::supervision::{Ended, Health, Pulse, Supervisor};
use crate::web::{self, Access, Clients, Site};

/// How long one round of the state file's loop may take, before it is told to be stuck.
const LONGEST_ROUND: Duration = Duration::from_secs(30);
/// How long the loops may take to end, once the word to stop was said.
const WINDING_DOWN: Duration = Duration::from_millis(1700);
/// How long the state file's last write may take after that.
const LAST_WRITE: Duration = Duration::from_millis(200);
/// How long the start waits for the state file before it goes on without: then the pages say nothing of what was known.
const LONG_OPENING: Duration = Duration::from_secs(2);
/// What ends last: it has no session, and is of use until then.
const LAST: [Loop; 4] = [Loop::State, Loop::Log, Loop::Signals, Loop::Ticks];

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
    /// The service manager handed over no socket that can be used.
    #[error("--web.systemd-socket: {0}: start the exporter by its .socket unit, or leave the flag out")]
    Inherited(io::Error),
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

/// Takes the listening sockets that the service manager hands over.
///
/// # Errors
/// When there is none, or one that cannot be used.
pub fn inherit() -> Result<Vec<std::net::TcpListener>, StartError> {
    web::inherited().map_err(StartError::Inherited)
}

/// What the exporter is run with.
#[derive(Debug)]
pub struct Exporter {
    /// The settings to begin with.
    pub settings: Settings,
    /// How they are read anew.
    pub reread: Reread,
    /// Where the pages ask for a reload, and where those are heard.
    pub reloads: (ReloadHandle, Reloads),
    /// The sockets of the pages.
    pub listeners: Vec<std::net::TcpListener>,
    /// How many clients the pages may have at once.
    pub places: Places,
    /// Who may ask for the pages, and how; everybody, in plain HTTP, where there is none.
    pub web_config: Option<Followed>,
}

/// Runs the exporter until told to stop, or until one of its loops ends by itself, and lets every session say
/// COM_QUIT. `supervisor` may own loops already, such as the one that hears signals.
///
/// # Errors
/// When it cannot start, and when a loop ended that must not.
pub async fn run(
    exporter: Exporter,
    mut told_to_stop: Stop,
    mut supervisor: Supervisor,
) -> Result<(), ExportError> {
    let (say_stop, stop) = stop::channel();
    let Exporter { settings, reread, reloads: (handle, mut reloads), listeners, places, web_config } =
        exporter;
    let side = WebSide { listeners, places, handle, web_config };
    let start = start(settings, side, &stop, &mut supervisor);
    let mut running = tokio::select! {
        started = start => started?,
        // A file system that does not answer keeps the start from its end.
        () = told_to_stop.told() => return Ok(()),
    };
    service::tell_ready();
    let ended = loop {
        let asked = tokio::select! {
            ended = supervisor.ended() => break Some(ended),
            () = told_to_stop.told() => break None,
            asked = reloads.asked() => asked,
        };
        let outcome = tokio::select! {
            outcome = running.reload(&reread, &mut supervisor) => outcome,
            () = told_to_stop.told() => break None,
        };
        asked.answer(&outcome);
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
    running.fleet.stop();
    service::tell_stopping().await;
    supervisor.wind_down(&LAST, WINDING_DOWN).await;
    if let Some(keeper) = running.keeper {
        keeper.finish(supervisor.all_ended_but(&LAST[1..]), LAST_WRITE).await;
    }
    ended.map_or(Ok(()), |ended| Err(ExportError::LoopEnded(ended.name)))
}

/// The exporter as it runs.
struct Running {
    fleet: Fleet,
    exposition: Arc<Exposition>,
    book: Arc<Book>,
    config_last_reload: ConfigReload,
    keeper: Option<Keeper>,
}

impl Running {
    /// Reads the settings anew and runs what they say: all of it, or nothing.
    async fn reload(&mut self, reread: &Reread, supervisor: &mut Supervisor) -> Result<(), String> {
        let outcome = match reread.read().await {
            Ok(Settings { targets, warnings, .. }) => {
                let outcome = self.change_to(targets, supervisor).await;
                if outcome.is_ok() {
                    tell_warnings(&warnings);
                }
                outcome
            }
            Err(error) => Err(error),
        };
        match &outcome {
            Ok(()) => {
                self.config_last_reload.succeeded(unix_now());
                tracing::info!(event = "config_reloaded", "the configuration was read anew, and is followed");
            }
            Err(error) => {
                self.config_last_reload.failed();
                tracing::error!(
                    event = "config_not_reloaded",
                    "the configuration cannot be followed, and everything stays as it was: {error}"
                );
            }
        }
        outcome
    }

    async fn change_to(
        &mut self,
        targets: Vec<TargetSettings>,
        supervisor: &mut Supervisor,
    ) -> Result<(), String> {
        make_room(&targets).map_err(|error| error.to_string())?;
        let changed = self.fleet.change_to(targets, supervisor).await;
        show(&self.fleet, &self.exposition, &self.book);
        changed.map_err(|error| error.to_string())
    }
}

/// Tells what is no error and should be mended all the same.
pub fn tell_warnings(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!(event = "configuration", "{warning}");
    }
}

/// Makes room for the descriptors that these targets need, and gives how many are left for the clients of the pages.
///
/// # Errors
/// When there cannot be so many.
pub fn make_room(targets: &[TargetSettings]) -> Result<u64, TooFewDescriptors> {
    let paths = || targets.iter().flat_map(|target| &target.paths);
    // A connect may take so long, and its first questions after it.
    let opening = paths().map(|path| path.connect_timeout).max().unwrap_or_default().saturating_mul(2);
    descriptors::make_room(Wanted {
        sessions: targets.iter().map(TargetSettings::most_connections).sum(),
        attempts: most_attempts(paths().count(), opening),
        driven: targets.len() + paths().count(),
    })
}

/// What the pages take.
struct WebSide {
    listeners: Vec<std::net::TcpListener>,
    places: Places,
    handle: ReloadHandle,
    web_config: Option<Followed>,
}

/// Starts every loop.
async fn start(
    settings: Settings,
    WebSide { listeners, places, handle, web_config }: WebSide,
    stop: &Stop,
    supervisor: &mut Supervisor,
) -> Result<Running, StartError> {
    let now = unix_now();
    let epoch = Epoch::new(now);
    let exposition = Arc::new(Exposition::default());
    let process = ProcessMetrics::register(exposition.process())?;
    let failed_rounds = failed_rounds_of_the_process(exposition.process())?;
    exposition.process().register(Box::new(LogLines::new()?))?;
    // Without a process filesystem there are no process metrics, and that is all.
    let _ = exposition.process().register(Box::new(ProcessCollector::for_self()));
    process.config_last_reload.succeeded(now);
    let access = web_config.map(|followed| open(followed, exposition.process())).transpose()?;

    let health = Arc::new(Health::default());
    let pulse =
        settings.state_file.as_ref().map(|_| health.watch(Loop::State, "", LONGEST_ROUND, failed_rounds));
    let mut opening = settings.state_file.clone().map(|file| spawn_blocking(move || StateFile::open(&file)));
    let mut opened = None;
    if let Some(opening) = &mut opening {
        match timeout(LONG_OPENING, opening).await {
            Ok(done) => opened = Some(done),
            // The pages answer meanwhile, and the word to stop is heard.
            Err(_) => tracing::warn!(
                event = "state_not_opened",
                "the file system of --state.file does not answer: no canary is sent until it does"
            ),
        }
    }
    let (standstills, ticks) = Standstills::watch();
    supervisor.spawn(Loop::Ticks, ticks);
    let ground = |keeper| Ground {
        health: Arc::clone(&health),
        standstills,
        rosters: Rosters::default(),
        logins: LoginPace::default(),
        epoch,
        hurried: false,
        keeper,
    };
    let book = Arc::new(Book::default());
    let site = Arc::new(Site::new(
        Arc::clone(&exposition),
        Arc::clone(&book),
        Arc::clone(&health),
        settings.telemetry_path.clone(),
        Clients::new(places),
        handle,
        access,
    ));
    let (fleet, keeper) = match (opening, opened, pulse) {
        (Some(opening), None, Some(pulse)) => {
            for target in &settings.targets {
                for path in &target.paths {
                    health.expect_a_try(fleet::full_name(&target.name, &path.name), || false);
                }
            }
            serve(listeners, &site, stop, supervisor);
            let keeper = keep(opening.await, pulse, supervisor)?;
            let fleet = Fleet::start(settings.targets, ground(Some(keeper.clone())), supervisor)?;
            show(&fleet, &exposition, &book);
            (fleet, Some(keeper))
        }
        (_, opened, pulse) => {
            let keeper = match (opened, pulse) {
                (Some(opened), Some(pulse)) => Some(keep(opened, pulse, supervisor)?),
                _ => None,
            };
            let fleet = Fleet::start(settings.targets, ground(keeper.clone()), supervisor)?;
            show(&fleet, &exposition, &book);
            serve(listeners, &site, stop, supervisor);
            (fleet, keeper)
        }
    };
    Ok(Running { fleet, exposition, book, config_last_reload: process.config_last_reload, keeper })
}

/// Shows on the pages which targets there are.
fn show(fleet: &Fleet, exposition: &Exposition, book: &Book) {
    let shown = fleet.shown();
    book.show(&shown);
    exposition.show(shown);
}

/// Follows the web configuration from now on.
fn open(followed: Followed, registry: &Registry) -> Result<Access, StartError> {
    let config = Arc::clone(followed.config());
    tell_warnings(&config.warnings);
    let clients = config.tls.as_ref().map(|tls| tls.clients.label());
    tracing::info!(
        event = "web_config",
        tls = config.tls.is_some(),
        client_auth_type = clients.unwrap_or_default(),
        users = config.users.len(),
        "the pages are served {}, to {}",
        if config.tls.is_some() { "under TLS" } else { "in plain HTTP" },
        if config.users.is_empty() { "everybody" } else { "users with their passwords" }
    );
    let random = || StartError::Runtime(io::Error::other("the system gives no random numbers"));
    Access::new(followed, ConfigReload::of_the_web(registry)?).ok_or_else(random)
}

/// Starts the loops of the pages.
fn serve(listeners: Vec<std::net::TcpListener>, site: &Arc<Site>, stop: &Stop, supervisor: &mut Supervisor) {
    for listener in listeners {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(event = "listening", address = %address, "Listening on {address}");
        }
        let (site, stop) = (Arc::clone(site), stop.clone());
        supervisor.spawn(Loop::Web, async move {
            if let Err(error) = web::serve(listener, site, stop).await {
                tracing::error!(event = "web_failed", error = %error, "the web side ended");
            }
        });
    }
}

/// Hands the state file to its thread.
fn keep(
    opened: Result<Result<StateFile, StateFileError>, JoinError>,
    pulse: Pulse,
    supervisor: &mut Supervisor,
) -> Result<Keeper, StartError> {
    let state = opened.map_err(|error| StartError::Runtime(io::Error::other(error)))??;
    let (keeper, ended) = state.write_apart(pulse).map_err(StartError::Runtime)?;
    supervisor.spawn(Loop::State, async { drop(ended.await) });
    Ok(keeper)
}
