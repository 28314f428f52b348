//! What is shown while a check runs, on standard error: a bar for each canary on a terminal, a line every few seconds
//! elsewhere, or nothing.

use std::io::{IsTerminal, Write as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::judge::upper;
use super::paper::{clean, is_dumb};
use crate::domain::layers::in_words;
use crate::status::{Canary, TargetDocument};

/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The most bars that are shown: a terminal has few lines.
const MOST_BARS: usize = 12;
/// Redraws a second.
const REDRAWS: u8 = 10;

/// Who shows it.
pub(super) enum Progress {
    /// Nobody.
    Quiet,
    /// A line every few seconds.
    Lines {
        /// When the last one was written.
        written: Option<Instant>,
    },
    /// Bars.
    Bars {
        /// All of them.
        all: MultiProgress,
        /// What is known so far.
        head: ProgressBar,
        /// One for each canary that is shown.
        bars: Vec<ProgressBar>,
    },
}

impl Progress {
    /// For whoever reads standard error.
    pub(super) fn new(quiet: bool) -> Self {
        if quiet {
            Self::Quiet
        } else if is_dumb() || !std::io::stderr().is_terminal() {
            Self::Lines { written: None }
        } else {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS));
            let head = all.add(ProgressBar::new_spinner());
            head.set_style(style("{wide_msg}"));
            Self::Bars { all, head, bars: Vec::new() }
        }
    }

    /// Shows what is known after so many seconds of a search that ends after `longest` seconds at the latest.
    pub(super) fn show(&mut self, target: &TargetDocument, elapsed: f64, longest: f64) {
        match self {
            Self::Quiet => {}
            Self::Lines { written } => {
                if written.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
                    *written = Some(Instant::now());
                    // A reader that is gone hears nothing more.
                    let _ = writeln!(std::io::stderr(), "{}", line(target, elapsed, longest));
                }
            }
            Self::Bars { all, head, bars } => {
                head.set_message(line(target, elapsed, longest));
                let mut canaries: Vec<&Canary> =
                    target.paths.iter().flat_map(|path| &path.canaries).collect();
                canaries
                    .sort_by(|a, b| b.idle_seconds.unwrap_or(0.0).total_cmp(&a.idle_seconds.unwrap_or(0.0)));
                let shown = canaries.len().min(MOST_BARS);
                for bar in bars.drain(shown.min(bars.len())..) {
                    bar.finish_and_clear();
                    all.remove(&bar);
                }
                while bars.len() < shown {
                    let bar = all.add(ProgressBar::new(1000));
                    bar.set_style(style("  {prefix:<9} [{bar:20}] {wide_msg}").progress_chars("=> "));
                    bars.push(bar);
                }
                for (bar, canary) in bars.iter().zip(canaries) {
                    let idle = canary.idle_seconds.unwrap_or(0.0);
                    let share = (idle / canary.aim_seconds.max(0.001)).clamp(0.0, 1.0);
                    bar.set_prefix(canary.kind);
                    bar.set_position((share * 1000.0) as u64);
                    bar.set_message(state(canary, idle));
                }
            }
        }
    }

    /// Takes what is drawn away, so that what follows begins on a line of its own.
    pub(super) fn end(self) {
        if let Self::Bars { all, head, bars } = self {
            bars.iter().for_each(ProgressBar::finish_and_clear);
            head.finish_and_clear();
            // A terminal that is gone needs no clearing.
            let _ = all.clear();
        }
    }

    /// Writes to standard output while bars are drawn.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        match self {
            Self::Bars { all, .. } => all.suspend(write),
            Self::Quiet | Self::Lines { .. } => write(),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates of this file are good.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn state(canary: &Canary, idle: f64) -> String {
    match canary.phase {
        "connecting" => "logs in".to_owned(),
        "dying" => format!("{idle:.0} s, the server is asked about it"),
        "leaving" => "says goodbye".to_owned(),
        _ if idle >= canary.aim_seconds => format!("{idle:.0} s, waits for the answer to its ping"),
        _ => format!("{idle:.0} s of {}", in_words(canary.aim_seconds)),
    }
}

/// What is known so far, and when the answer is due.
fn line(target: &TargetDocument, elapsed: f64, longest: f64) -> String {
    let canaries: Vec<&Canary> = target.paths.iter().flat_map(|path| &path.canaries).collect();
    let held = canaries.iter().filter(|canary| canary.idle_seconds.is_some()).count();
    let known = target.paths.iter().map(|path| {
        let reach = path
            .reach_seconds
            .map_or_else(|| "nothing survived yet".to_owned(), |s| format!("alive at {}", in_words(s)));
        let upper =
            upper(path).map_or_else(|| "nothing died".to_owned(), |s| format!("dead at {}", in_words(s)));
        let trouble = path.trouble.as_ref().map(|of| format!(", {}", clean(&of.words))).unwrap_or_default();
        match target.paths.len() {
            1 => format!("{reach}, {upper}{trouble}"),
            _ => format!("{}: {reach}, {upper}{trouble}", clean(&path.path)),
        }
    });
    let known: Vec<String> = known.collect();
    let left = (longest - elapsed).max(0.0);
    let s = if held == 1 { "y" } else { "ies" };
    format!("{elapsed:.0} s: {held} canar{s}; {}; done in about {left:.0} s", known.join("; "))
}
