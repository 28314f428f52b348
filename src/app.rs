//! The exporter put together: one target, its path, the server view, the web side; from the settings
//! to the last COM_QUIT.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tokio::sync::watch;

use crate::calendar::unix_now;
use crate::cli::Settings;
use crate::config::address::Address;
use crate::diagnosis::{self, Diagnosis};
use crate::domain::catalogue::landmarks;
use crate::domain::kind::Kind;
use crate::domain::observation::History;
use crate::domain::suspension::is_headroom_low;
use crate::http::{self, Site};
use crate::metrics::{Metrics, PathState, StateCollector, TargetState};
use crate::prober::canary::Network;
use crate::prober::{self, Epoch, Memory, PathReport, Prober, Wires};
use crate::server::{self, Reading};
use crate::session::{Connector, Roster};
use crate::state_file::{StateFile, StateFileError};
use crate::stop::{Stop, StopSender};

/// Connections of a path that are no canaries: the server view and the witness.
const OTHER_CONNECTIONS: usize = 2;

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
    /// The state file cannot be kept.
    #[error(transparent)]
    State(#[from] StateFileError),
    /// The metrics could not be registered.
    #[error("cannot register the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The runtime or its signals could not be had.
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
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
        .map(|&address| http::listen(address).map_err(|source| StartError::Listen { address, source }))
        .collect()
}

/// Runs the exporter until told to stop, and lets every session say COM_QUIT.
///
/// # Errors
/// When it cannot start; once it runs, nothing ends it but the word to stop.
pub async fn run(
    settings: Settings,
    listeners: Vec<std::net::TcpListener>,
    stop: Stop,
) -> Result<(), StartError> {
    // A second call finds the first one's provider, which is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let now = unix_now();
    let epoch = Epoch::new(now);
    let mut memory = match &settings.state_file {
        Some(file) => remember(file, &settings.target, &settings.path, &settings.address, epoch)?,
        None => Memory::default(),
    };
    memory.history.end_at(now);
    let registry = Registry::new();
    let metrics = Metrics::register(&registry, &settings.ladder)?;
    // Without a process filesystem there are no process metrics, and that is all.
    let _ = registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()));
    let path_metrics = metrics.path(&settings.target, &settings.path, &Kind::ALL);
    metrics.config_last_reload.successful.set(1.0);
    metrics.config_last_reload.success_timestamp.set(now.round());

    let connector = Arc::new(Connector::new(
        settings.address.clone(),
        settings.account.clone(),
        settings.probe_timeout,
        Roster::counting(path_metrics.self_aborted_clients()),
        path_metrics.clone(),
    ));
    let (publish_reading, reading) = watch::channel(Reading::default());
    let (publish_report, report) = watch::channel(PathReport::new(&memory.history, None));
    let (publish_diagnosis, diagnosis) = watch::channel(Diagnosis::default());
    let (publish_headroom, low_headroom) = watch::channel(false);
    registry.register(Box::new(StateCollector::new(vec![TargetState {
        target: settings.target.clone(),
        server: reading.clone(),
        stale_after: settings.server_interval * 2 + Duration::from_secs(5),
        epoch,
        thresholds: settings.ladder.ages().to_vec(),
        paths: vec![PathState { path: settings.path.clone(), report: report.clone(), diagnosis }],
    }])?))?;

    let site = Arc::new(Site { registry, telemetry_path: settings.telemetry_path.clone() });
    for listener in listeners {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(event = "listening", address = %address, "Listening on {address}");
        }
        let (site, stop) = (Arc::clone(&site), stop.clone());
        tokio::spawn(async move {
            if let Err(error) = http::serve(listener, site, stop).await {
                tracing::error!(event = "web_failed", error = %error, "the web side ended");
            }
        });
    }
    let sources = diagnosis::Sources {
        target: settings.target.clone(),
        path: settings.path.clone(),
        report,
        reading: reading.clone(),
        connector: Arc::clone(&connector),
        pools: settings.pools.clone(),
        ladder_end: settings.ladder.longest(),
    };
    tokio::spawn(diagnosis::keep(sources, publish_diagnosis, stop.clone()));
    tokio::spawn(watch_headroom(reading, publish_headroom));
    let server_view = tokio::spawn(server::watch(
        Arc::clone(&connector),
        settings.server_interval,
        publish_reading,
        stop.clone(),
    ));
    let prober = Prober::new(
        Network::new(connector, settings.probe_timeout, stop.clone()),
        prober::Settings {
            target: settings.target,
            path: settings.path,
            ladder: settings.ladder,
            precision: settings.precision,
            canaries: settings.max_connections.saturating_sub(OTHER_CONNECTIONS),
            landmarks: landmarks(),
        },
        path_metrics,
        publish_report,
        memory,
        epoch,
    );
    prober.run(Wires { low_headroom, stop }).await;
    // A panic there was told by the runtime; the sessions it held are closed either way.
    let _ = server_view.await;
    Ok(())
}

/// What the path's loop remembers, and where it keeps it: in the calendar's time, to which `epoch` ties the
/// loop's.
fn remember(
    file: &Path,
    target: &str,
    path: &str,
    address: &Address,
    epoch: Epoch,
) -> Result<Memory, StateFileError> {
    let mut state = StateFile::open(file)?;
    state.keep_only(&[(target, path)]);
    let history = state.history(target, path, address);
    let (target, path) = (target.to_owned(), path.to_owned());
    let keep = Box::new(move |history: &History| {
        state.save(&target, &path, history, epoch.behind(unix_now()));
    });
    Ok(Memory { history, keep: Some(keep) })
}

/// Says `stop` at the first SIGINT or SIGTERM.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn stop_on_signals(stop: StopSender) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!(event = "stopping", "Stopping: every session says COM_QUIT");
        stop.say();
    });
    Ok(())
}

/// Tells the prober when the server has too little room.
async fn watch_headroom(mut reading: watch::Receiver<Reading>, publish: watch::Sender<bool>) {
    loop {
        let low = {
            let reading = reading.borrow_and_update();
            let threads = reading.view.as_ref().and_then(|view| view.status.as_ref()?.threads_connected);
            let limit = reading.view.as_ref().and_then(|view| view.variables.as_ref()?.max_connections);
            threads.zip(limit).is_some_and(|(threads, limit)| is_headroom_low(threads, limit))
        };
        publish.send_if_modified(|known| std::mem::replace(known, low) != low);
        if reading.changed().await.is_err() {
            return;
        }
    }
}
