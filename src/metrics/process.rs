//! What is counted once for the whole process.

use prometheus::{Gauge, IntCounter, Registry};

use super::{FAILED_ROUNDS, named};
use crate::domain::conduct::health::Loop;

/// The process's own metrics.
#[derive(Debug, Clone)]
pub struct ProcessMetrics {
    /// What became of the newest attempt to read the configuration.
    pub config_last_reload: ConfigReload,
}

/// What became of the newest attempt to read the configuration.
#[derive(Debug, Clone)]
pub struct ConfigReload {
    successful: Gauge,
    success_timestamp: Gauge,
}

impl ConfigReload {
    /// The same of `--web.config.file`: registered where there is one.
    ///
    /// # Errors
    /// When one of the names is in the registry already.
    pub fn of_the_web(registry: &Registry) -> prometheus::Result<Self> {
        let successful = "1 if the newest attempt to read --web.config.file succeeded; what was read before stays. Absent without the flag.";
        let timestamp = "When --web.config.file was last read with success, in seconds since the Unix epoch. Absent without the flag.";
        Ok(Self {
            successful: gauge(registry, "exporter_web_config_last_reload_successful", successful)?,
            success_timestamp: gauge(
                registry,
                "exporter_web_config_last_reload_success_timestamp_seconds",
                timestamp,
            )?,
        })
    }

    /// It was read, at this time in seconds since the Unix epoch.
    pub fn succeeded(&self, unix_now: f64) {
        self.successful.set(1.0);
        self.success_timestamp.set(unix_now.round());
    }

    /// It could not be read: what was read before stays.
    pub fn failed(&self) {
        self.successful.set(0.0);
    }
}

impl ProcessMetrics {
    /// Registers them into the registry it is given.
    ///
    /// # Errors
    /// When one of the names is in the registry already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let build = named("exporter_build_info", "Always 1; the labels say which build this is.");
        let build = Gauge::with_opts(
            build
                .const_label("version", env!("CARGO_PKG_VERSION"))
                .const_label("revision", option_env!("MYSQL_CANARY_REVISION").unwrap_or("unknown")),
        )?;
        build.set(1.0);
        registry.register(Box::new(build))?;
        let successful = "1 if the newest attempt to read the configuration succeeded.";
        let timestamp = "When the configuration was last read, in seconds since the Unix epoch.";
        Ok(Self {
            config_last_reload: ConfigReload {
                successful: gauge(registry, "exporter_config_last_reload_successful", successful)?,
                success_timestamp: gauge(
                    registry,
                    "exporter_config_last_reload_success_timestamp_seconds",
                    timestamp,
                )?,
            },
        })
    }
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<Gauge> {
    let gauge = Gauge::with_opts(named(name, help))?;
    registry.register(Box::new(gauge.clone())).map(|()| gauge)
}

/// Counts the failed rounds of the loop that writes the state file, which is nobody's of the targets.
///
/// # Errors
/// When the name is in the registry already.
pub fn failed_rounds_of_the_process(registry: &Registry) -> prometheus::Result<IntCounter> {
    let rounds = named("failed_rounds_total", FAILED_ROUNDS);
    let rounds =
        IntCounter::with_opts(rounds.const_label("target", "").const_label("loop", Loop::State.label()))?;
    registry.register(Box::new(rounds.clone()))?;
    Ok(rounds)
}
