//! The demonstration: a private MariaDB, three ways to it that each end idle connections in another way, two applications
//! that suffer from it, and the exporter that finds out. When it ends, nothing of it is left.

mod application;
mod mariadb;
mod place;
mod relay;
mod stage;
mod tally;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::app::{self, ExportError, Exporter, StartError};
use crate::config::flags::LowArgs;
use crate::config::settings::Settings;
use crate::domain::conduct::admission::Places;
use crate::fleet::reload::{self, Reread};
use crate::machine::logging::{self, LogFormat, LogLevel};
use crate::machine::signals::TerminalSignals;
use crate::supervision::Supervisor;
use crate::supervision::stop;
use mariadb::{MariaDb, MariaDbError};
use stage::{Stage, WAIT_TIMEOUT_SECONDS};
use tally::Tally;

/// The exporter's own port; where it is taken, any other.
const PORT: u16 = 10052;
/// How often it is seen whether the server still runs.
const LOOK: Duration = Duration::from_secs(1);
/// So many times in a row they must be seen to be found.
const LOOKS: u32 = 3;
/// How long it waits for limits as sharp as can be, once all are found.
const PATIENCE: Duration = Duration::from_secs(80);
/// How long the last lines may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why the demonstration could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The private server is missing, did not start, or ended.
    #[error(transparent)]
    MariaDb(#[from] MariaDbError),
    /// The runtime or its signals could not be had.
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    /// The demonstration's own flags are not the exporter's any more.
    #[error("the demonstration's flags are refused: {0}")]
    Flags(String),
    /// The exporter could not start.
    #[error(transparent)]
    Exporter(#[from] ExportError),
    /// A relay could not be started.
    #[error("cannot start a relay on 127.0.0.1: {0}")]
    Relay(io::Error),
    /// A relay or an application ended before it was told to.
    #[error("a relay or an application ended by itself")]
    StageEnded,
    /// The exporter ended before it was told to.
    #[error("the exporter ended by itself")]
    ExporterEnded,
}

/// Runs until Ctrl-C, SIGTERM or the end of the terminal, and cleans up.
///
/// # Errors
/// The first thing that hinders it; what had been started by then is gone again.
pub fn run() -> Result<(), DemoError> {
    let log = logging::start(LogLevel::Debug, LogFormat::Story).map_err(DemoError::Runtime)?;
    let outcome = run_until_told();
    log.finish(LAST_WORDS);
    outcome
}

fn run_until_told() -> Result<(), DemoError> {
    let runtime = Runtime::new().map_err(DemoError::Runtime)?;
    // MariaDB must be started by this thread, which lives as long as the process: see `mariadb::bound`.
    runtime.block_on(async {
        let mut signals = TerminalSignals::new().map_err(DemoError::Runtime)?;
        tracing::info!("Starting a private MariaDB with wait_timeout = {WAIT_TIMEOUT_SECONDS} s");
        // Dropped half-way, what the start has made so far goes with it.
        let mut server = tokio::select! {
            server = MariaDb::start(WAIT_TIMEOUT_SECONDS) => server?,
            () = signals.any() => return Ok(()),
        };
        show(&mut server, &mut signals).await?;
        drop(server);
        tracing::info!("MariaDB is stopped, and its directory is removed");
        Ok(())
    })
}

/// Runs the exporter and the applications on the server until a signal comes.
async fn show(server: &mut MariaDb, signals: &mut TerminalSignals) -> Result<(), DemoError> {
    let mut stage = Stage::start(server).await.map_err(DemoError::Relay)?;
    let configuration = stage.configuration(&server.password_file());
    let flags = vec![format!("--config.file={}", server.put("canary.yml", &configuration)?.display())];
    let settings = settings(&flags)?;
    let listener = listen()?;
    let web = listener.local_addr().map_err(DemoError::Runtime)?;
    tracing::info!("{}", stage.introduction());
    tracing::info!("The exporter runs on it as: mysql-canary-exporter {}", flags.join(" "));
    tracing::info!("Open http://{web}/ and http://{web}/metrics");
    tracing::info!("To play with the server (KILL a canary): {}", server.client_command());
    tracing::info!("Ctrl-C ends it all, and removes what it made. The story takes about a minute and a half");

    let (say_stop, stop) = stop::channel();
    let mut exporter = tokio::spawn(app::run(exporter(settings, listener), stop, Supervisor::default()));
    stage.begin(server);
    let begun = Instant::now();
    let mut enough = 0;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = signals.any() => break,
            () = stage.ended() => return Err(DemoError::StageEnded),
            ended = &mut exporter => {
                ended.map_err(|_| DemoError::ExporterEnded)??;
                return Err(DemoError::ExporterEnded);
            }
            _ = looks.tick() => {}
        }
        server.check()?;
        let took = begun.elapsed();
        let is_enough = |tally: &Tally| tally.is_complete() && (tally.is_sharp() || took >= PATIENCE);
        if enough == LOOKS {
            continue;
        }
        // The words follow the numbers a moment later.
        enough = if Tally::read(web).await.as_ref().is_some_and(is_enough) { enough + 1 } else { 0 };
        if enough == LOOKS {
            let took = took.as_secs();
            tracing::info!(
                event = "summary",
                "All three limits are found, after {took} s. Who ends idle connections here, and what to change:"
            );
            tracing::info!("It goes on until Ctrl-C: see http://{web}/");
        }
    }
    tracing::info!("Stopping: every session says COM_QUIT");
    let tally = Tally::read(web).await;
    say_stop.say();
    exporter.await.map_err(|_| DemoError::ExporterEnded)??;
    match tally {
        Some(tally) if enough == LOOKS => tracing::info!("{tally}"),
        Some(tally) => tracing::info!(event = "summary", "{tally}"),
        None => {}
    }
    Ok(())
}

/// The exporter on this socket; a reload changes nothing, for nothing else is wanted.
fn exporter(settings: Settings, listener: TcpListener) -> Exporter {
    let again = settings.clone();
    Exporter {
        settings,
        reread: Reread::by(move || Ok(again.clone())),
        reloads: reload::channel(),
        listeners: vec![listener],
        places: Places::default(),
        web_config: None,
    }
}

fn settings(flags: &[String]) -> Result<Settings, DemoError> {
    let words = ["mysql-canary-exporter"].into_iter().chain(flags.iter().map(String::as_str));
    LowArgs::try_read_from(words)
        .map_err(|error| DemoError::Flags(error.to_string()))?
        .export
        .settings()
        .map_err(|error| DemoError::Flags(error.to_string()))
}

/// The exporter's own port of the loopback address, or any free one.
fn listen() -> Result<TcpListener, ExportError> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listeners = match app::listen(&[at(PORT)]) {
        Err(StartError::Listen { source, .. }) if source.kind() == io::ErrorKind::AddrInUse => {
            tracing::info!("Port {PORT} is taken: the exporter listens on another");
            app::listen(&[at(0)])
        }
        outcome => outcome,
    }?;
    Ok(listeners.into_iter().next().expect("one address gives one listener"))
}
