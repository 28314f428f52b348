//! What `check` found, as it is printed: the same for people and as JSON (docs/check.schema.json).

use std::collections::BTreeMap;

use serde::Serialize;

use super::judge::{Outcome, contradicts_itself, upper};
use crate::domain::layers::in_words;
use crate::status::{Layer, PathDocument, TargetDocument, Trouble};

/// The version of the shape, as that of the status document.
pub const SCHEMA_VERSION: &str = "1.0";

/// What a check found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: &'static str,
    /// The exporter's own version.
    pub exporter_version: &'static str,
    /// What it came to.
    pub outcome: Outcome,
    /// The process's exit code.
    pub exit_code: u8,
    /// Whether nothing more was to be learnt within the age that was asked for.
    pub sure: bool,
    /// The same in a line.
    pub summary: String,
    /// Up to which idle age was looked; zero for what can be told at once.
    pub max_age_seconds: f64,
    /// How long it took.
    pub took_seconds: f64,
    /// The connections it was made on.
    pub connections: Connections,
    /// What was not looked at, and why.
    pub not_tested: Vec<String>,
    /// All that is known, as the status document has it. Absent where nothing ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetDocument>,
}

/// The connections of a check.
#[derive(Debug, Clone, Serialize)]
pub struct Connections {
    /// How many there might be at once.
    pub allowed: usize,
    /// How many there were at once, as far as was seen.
    pub held: usize,
    /// Who allowed no more. Absent where nobody had to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounded_by: Option<String>,
}

/// One line for each path, or what kept it from being measured.
pub(super) fn summary(target: &TargetDocument, outcome: Outcome, sure: bool, max_age: f64) -> String {
    let lines = target.paths.iter().map(|path| of_path(path, sure, max_age));
    let lines: Vec<String> = lines.collect();
    let interrupted = if outcome == Outcome::Interrupted { "interrupted; " } else { "" };
    format!("{}: {interrupted}{}", target.target, lines.join("; "))
}

fn of_path(path: &PathDocument, sure: bool, max_age: f64) -> String {
    let found = upper(path).is_some();
    let doubt = if found && !sure { " (not sure yet)" } else { "" };
    let verdict = path.verdict.as_ref().filter(|_| found).map(|verdict| verdict.short.trim_end_matches('.'));
    if let Some(short) = verdict {
        return format!("{short}{doubt}");
    }
    if let Some(Trouble { words, .. }) = path.trouble.as_ref().filter(|_| path.reach_seconds.is_none()) {
        return format!("path {} could not be measured: {words}", path.path);
    }
    let lives = match path.reach_seconds.map(in_words) {
        Some(_) if path.ladder_survived && max_age > 0.0 => format!(
            "connections on path {} live to {} idle, the age that was asked for",
            path.path,
            in_words(max_age)
        ),
        Some(reach) if max_age > 0.0 => {
            format!("connections on path {} live to {reach} idle, as far as was measured", path.path)
        }
        _ if path.layers.iter().any(|layer| layer.layer == "server") => {
            format!("path {} was not measured", path.path)
        }
        _ => format!("path {} was not measured: no session was to be had in time", path.path),
    };
    let ill = match (contradicts_itself(path), path.verdict.as_ref().is_some_and(|verdict| !verdict.sound)) {
        (true, _) => ", and settings contradict each other",
        (false, true) => ", and something else ends them",
        (false, false) if max_age == 0.0 => ", and no settings contradict each other",
        (false, false) => "",
    };
    format!("{lives}{ill}")
}

/// What of the server was seen at any time: a limit may end the session that looks, too.
#[derive(Debug, Default)]
pub(super) struct Seen {
    server: bool,
    sessions: bool,
    only_own: bool,
    /// The server's timeouts on each path, the most that were seen together.
    timeouts: BTreeMap<String, Vec<Layer>>,
}

impl Seen {
    /// Takes note of what is seen now.
    pub(super) fn note(&mut self, target: &TargetDocument) {
        self.server |= target.server.is_some();
        self.sessions |= target.sessions.is_some();
        self.only_own |= target.server.as_ref().and_then(|server| server.sight) == Some("own_only");
        for path in &target.paths {
            let now: Vec<Layer> = path.layers.iter().filter(|layer| is_servers(layer)).cloned().collect();
            let known = self.timeouts.entry(path.path.clone()).or_default();
            if now.len() >= known.len() {
                *known = now;
            }
        }
    }

    /// Puts back which of the server's timeouts were seen, where the session that looks was lost meanwhile.
    pub(super) fn complete(&self, target: &mut TargetDocument) {
        for path in &mut target.paths {
            let Some(known) = self.timeouts.get(&path.path) else { continue };
            let now = path.layers.iter().filter(|layer| is_servers(layer)).count();
            if now < known.len() {
                let place = path.layers.iter().position(|layer| is_servers(layer) || layer.layer == "kernel");
                let place = place.unwrap_or(path.layers.len());
                path.layers.retain(|layer| !is_servers(layer));
                path.layers.splice(place..place, known.iter().cloned());
            }
        }
    }
}

fn is_servers(layer: &Layer) -> bool {
    layer.layer == "server" && layer.source == "read"
}

/// What was not looked at, and why.
pub(super) fn not_tested(target: &TargetDocument, seen: &Seen, max_age: f64) -> Vec<String> {
    let mut words = Vec::new();
    if !seen.server {
        if target.paths.iter().all(|path| path.trouble.is_some()) {
            return words;
        }
        words.push("the server's own settings and sessions: it could not be asked".to_owned());
    } else if !seen.sessions && seen.only_own {
        words.push(
            "the applications' sessions: the account does not hold the privilege PROCESS (GRANT PROCESS ON *.* TO it)"
                .to_owned(),
        );
    } else if !seen.sessions {
        words.push("the applications' sessions: the server did not show them".to_owned());
    }
    for path in &target.paths {
        if upper(path).is_some() {
            for (what, known) in [
                ("TCP keepalive", path.remedies.tcp_keepalive),
                ("an application's ping", path.remedies.app_ping),
            ] {
                if known.is_none() {
                    words.push(format!(
                        "whether {what} helps on path {}: it was not known in time",
                        path.path
                    ));
                }
            }
        } else if max_age > 0.0 && path.ladder_survived {
            words.push(format!(
                "ages beyond {} on path {}: give a longer --max-age",
                in_words(max_age),
                path.path
            ));
        } else if max_age > 0.0 {
            words.push(format!(
                "all ages up to {} on path {}: the search did not come to its end",
                in_words(max_age),
                path.path
            ));
        } else {
            words.push(format!(
                "how long connections on path {} live: --max-age=0s waits for nothing",
                path.path
            ));
        }
    }
    words
}
