//! The binary: flags in, exporter out. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use mysql_canary_exporter::cli::{Command, LowArgs, Settings};
use mysql_canary_exporter::{app, demo, descriptors, logging, stop};

/// The exit code of bad input, as clap's own.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let args = LowArgs::parse();
    let outcome = match args.command {
        Some(Command::Demo) => demo::run().map_err(|error| error.to_string()),
        None => match args.export.into_settings() {
            Ok(settings) => export(settings).map_err(|error| error.to_string()),
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

fn export(settings: Settings) -> Result<(), app::StartError> {
    logging::start(settings.log_level, settings.log_format);
    descriptors::make_room(settings.max_connections)?;
    let listeners = app::listen(&settings.listen_addresses)?;
    let runtime = tokio::runtime::Runtime::new().map_err(app::StartError::Runtime)?;
    let outcome = runtime.block_on(async {
        tracing::info!(
            event = "starting",
            version = env!("CARGO_PKG_VERSION"),
            address = %settings.address,
            "Starting mysql-canary-exporter"
        );
        let (say_stop, stop) = stop::channel();
        app::stop_on_signals(say_stop).map_err(app::StartError::Runtime)?;
        app::run(settings, listeners, stop).await
    });
    // A look-up of a name cannot be broken off: it is left behind, not waited for.
    runtime.shutdown_background();
    outcome
}

#[expect(clippy::print_stderr, reason = "usage errors go to the terminal, not into the log")]
fn report(message: &str) {
    eprintln!("error: {message}");
}
