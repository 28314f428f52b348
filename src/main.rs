//! The binary: flags in, exporter out. Everything else is in the library.

use std::io::{self, Write as _};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use mysql_canary_exporter::app::{ExportError, Exporter, StartError};
use mysql_canary_exporter::config::check;
use mysql_canary_exporter::config::file::web::Followed;
use mysql_canary_exporter::config::flags::{Command, ExportArgs, HashArgs, LowArgs};
use mysql_canary_exporter::config::hashing::{self, HashError};
use mysql_canary_exporter::config::naming::told;
use mysql_canary_exporter::config::settings::Settings;
use mysql_canary_exporter::domain::conduct::admission::Places;
use mysql_canary_exporter::domain::conduct::health::Loop;
use mysql_canary_exporter::fleet::reload::{self, Reread};
use mysql_canary_exporter::machine::logging::LogWriter;
use mysql_canary_exporter::machine::signals::Signals;
use mysql_canary_exporter::machine::terminal::Unechoed;
use mysql_canary_exporter::machine::{logging, signals};
use mysql_canary_exporter::supervision::Supervisor;
use mysql_canary_exporter::supervision::stop;
use mysql_canary_exporter::{app, demo};
use tokio::runtime::Builder;
use zeroize::Zeroizing;

/// The exit code of an exporter that could not go on.
const FAILED: u8 = 1;
/// The exit code of bad input, as clap's own.
const BAD_INPUT: u8 = 2;
/// How long the last log lines may take.
const LAST_WORDS: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let args = LowArgs::read();
    let outcome = match args.command {
        Some(Command::Check(check)) => match mysql_canary_exporter::check::run(&check) {
            Ok(code) => return ExitCode::from(code),
            Err(message) => Err(message),
        },
        Some(Command::Demo) => demo::run().map_err(|error| error.to_string()),
        Some(Command::HashPassword(args)) => return hash_password(&args),
        None => match args.export.settings().and_then(|settings| Ok((settings, args.export.web_config()?))) {
            Ok((settings, web)) if args.export.config_check => {
                return tell(&args.export, &settings, web.as_ref());
            }
            Ok((settings, web)) => return export(args.export, settings, web),
            Err(error) => Err(error.to_string()),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            report(&message);
            ExitCode::from(BAD_INPUT)
        }
    }
}

/// Says what would run.
fn tell(args: &ExportArgs, settings: &Settings, web: Option<&Followed>) -> ExitCode {
    let of_web = web.map(|web| web.config().warnings.clone()).unwrap_or_default();
    for warning in check::warnings(settings).into_iter().chain(of_web) {
        let _ = writeln!(io::stderr(), "warning: {warning}");
    }
    let source = args.config_file().map_or_else(|| "flags".to_owned(), |file| told(file).to_string());
    let mut summary = check::summary(settings, &source);
    if let Some(web) = web {
        summary.push_str(&check::web_summary(web.config()));
    }
    match io::stdout().write_all(summary.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}

fn export(args: ExportArgs, settings: Settings, web: Option<Followed>) -> ExitCode {
    let mut log = match logging::start(settings.log_level, settings.log_format) {
        Ok(log) => log,
        Err(error) => {
            report(&format!("cannot start the log's thread: {error}"));
            return ExitCode::from(BAD_INPUT);
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| run(args, settings, web, &mut log)));
    log.finish(LAST_WORDS);
    match outcome {
        Ok(Ok(())) if signals::told_twice() => ExitCode::from(FAILED),
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(ExportError::Start(error))) => {
            report(&error.to_string());
            ExitCode::from(BAD_INPUT)
        }
        // Both were told in the log.
        Ok(Err(ExportError::LoopEnded(_))) | Err(_) => ExitCode::from(FAILED),
    }
}

fn run(
    args: ExportArgs,
    settings: Settings,
    web_config: Option<Followed>,
    log: &mut LogWriter,
) -> Result<(), ExportError> {
    let left = app::make_room(&settings.targets).map_err(StartError::from)?;
    let listeners = match &settings.listen_addresses {
        Some(addresses) => app::listen(addresses)?,
        None => app::inherit()?,
    };
    try_threads(web_config.is_some()).map_err(StartError::Runtime)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    let outcome = runtime.block_on(async {
        tracing::info!(
            event = "starting",
            version = env!("CARGO_PKG_VERSION"),
            "Starting mysql-canary-exporter"
        );
        app::tell_warnings(&settings.warnings);
        let (say_stop, stop) = stop::channel();
        // Held here too: that the loop of the signals is gone must not pass for the word to stop.
        let say_stop = Arc::new(say_stop);
        let signals = Signals::new().map_err(StartError::Runtime)?;
        let mut supervisor = Supervisor::default();
        let (handle, reloads) = reload::channel();
        let ask = handle.clone();
        supervisor.spawn(Loop::Signals, signals.obey(Arc::clone(&say_stop), move || ask.ask_and_go()));
        supervisor.spawn(Loop::Log, log.ended());
        let reread = Reread::by(move || args.settings().map_err(|error| error.to_string()));
        let places = Places::within(left);
        let exporter =
            Exporter { settings, reread, reloads: (handle, reloads), listeners, places, web_config };
        app::run(exporter, stop, supervisor).await
    });
    // A look-up of a name cannot be broken off: it is left behind, not waited for.
    runtime.shutdown_background();
    outcome
}

/// How many threads run the loops: one can be busy with a page while the other keeps the time of the canaries. More would
/// wait, each with memory of its own, on a machine of many processors.
fn workers() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(2)
}

/// Starts as many threads at once as the runtime will have, two more for the state file and look-ups of names, three for
/// the files, handshakes and passwords of a web configuration, and ends them: where the system refuses one, the runtime
/// would panic in its middle and never end.
fn try_threads(with_web_config: bool) -> io::Result<()> {
    let count = workers() + if with_web_config { 5 } else { 2 };
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    let mut threads = Vec::new();
    let mut outcome = Ok(());
    for _ in 0..count {
        let gate = Arc::clone(&gate);
        match thread::Builder::new().spawn(move || drop(gate.lock())) {
            Ok(started) => threads.push(started),
            Err(error) => {
                let advice = "raise the limit on threads (TasksMax= of its service, ulimit -u, the pids of its cgroup)";
                outcome = Err(io::Error::new(
                    error.kind(),
                    format!("no room for {count} threads: {error}: {advice}"),
                ));
                break;
            }
        }
    }
    drop(closed);
    for started in threads {
        // It has nothing to panic about.
        let _ = started.join();
    }
    outcome
}

/// Prints the hash of the password on standard input.
fn hash_password(args: &HashArgs) -> ExitCode {
    let terminal = Unechoed::begin();
    if terminal.is_terminal() {
        let _ = write!(io::stderr(), "Password: ");
    }
    let hash = match terminal.is_terminal() {
        // A terminal's input has no end, but lines.
        true => {
            let mut line = Zeroizing::new(String::new());
            match io::stdin().read_line(&mut line) {
                Ok(_) => hashing::hash_line(line.as_bytes(), args.cost),
                Err(error) => Err(HashError::Unreadable(error)),
            }
        }
        false => hashing::hash_line(io::stdin().lock(), args.cost),
    };
    if terminal.is_terminal() {
        let _ = writeln!(io::stderr());
    }
    drop(terminal);
    match hash {
        Ok(hash) => match writeln!(io::stdout(), "{hash}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(FAILED),
        },
        Err(error) => {
            report(&error.to_string());
            ExitCode::from(BAD_INPUT)
        }
    }
}

/// Usage errors go to the terminal, not into the log.
fn report(message: &str) {
    // A terminal that is gone hears nothing more.
    let _ = writeln!(io::stderr(), "error: {message}");
}
