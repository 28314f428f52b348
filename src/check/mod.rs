//! `check`: the ladder walked once on one server, for a person who waits: what can be told at once, then the verdict.
//!
//! | file | what it holds |
//! |---|---|
//! | `plan` | the ladder that is walked |
//! | `walk` | a fleet of one target, and how it is looked at |
//! | `judge` | when the answer is sure, and what it comes to |
//! | `report` | what was found, as JSON |
//! | `text` | the same for people |
//! | `progress` | what is shown while it runs |
//! | `paper` | widths, colours, and names that may not move a cursor |

mod judge;
mod paper;
mod plan;
mod progress;
mod report;
mod text;
mod walk;

use std::io::{self, Write as _};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::app;
use crate::config::flags::{CheckArgs, CheckFormat};
use crate::config::settings::{FEWEST_CONNECTIONS, TargetSettings};
use crate::machine::signals::{SAME_WORD, TerminalSignals};
use crate::status::{PathDocument, TargetDocument};
use progress::Progress;
use walk::Walk;

pub use judge::Outcome;
pub use report::{Connections, Report, SCHEMA_VERSION};

/// How often is looked.
const LOOK: Duration = Duration::from_millis(150);
/// What can be told at once is told by then at the latest.
const AT_ONCE: Duration = Duration::from_millis(1700);
/// How long a server that cannot be reached is tried again: it may be on its way up ...
const PATIENCE: Duration = Duration::from_secs(5);
/// ... and for longer where it answered before.
const PATIENCE_AFTER_ALL: Duration = Duration::from_secs(15);
/// How much longer than the age that was asked for a search may take: so many times, and so many seconds.
const LONGEST: (f64, f64) = (3.0, 30.0);
/// How often it is begun anew with fewer connections.
const MOST_ANEW: u32 = 4;
/// How long what is sure must stay so: a verdict is drawn a moment after what it rests on was seen.
const SETTLING: Duration = Duration::from_millis(600);
/// How long the server may take to forget the sessions that said COM_QUIT.
const FORGETTING: Duration = Duration::from_millis(300);

/// Why a walk was over.
enum End {
    /// Nothing more is to be learnt.
    Sure,
    /// The time is over.
    Late,
    /// No session is to be had.
    Trouble,
    /// So many sessions were there when another was refused.
    NoRoom(usize),
    /// Somebody said so.
    Interrupted,
    /// A loop ended by itself.
    Broken(&'static str),
}

/// Runs a check and prints what it found. Gives the process's exit code.
///
/// # Errors
/// What keeps it from beginning, with what to do.
pub fn run(args: &CheckArgs) -> Result<u8, String> {
    let (target, warnings) = args.settings().map_err(|error| error.to_string())?;
    for warning in warnings.iter().filter(|_| !args.quiet) {
        let _ = writeln!(io::stderr(), "warning: {}", paper::clean(warning));
    }
    app::make_room(std::slice::from_ref(&target)).map_err(|error| error.to_string())?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let code = runtime.block_on(async {
        let stop = hear_signals().map_err(|error| format!("cannot hear signals: {error}"))?;
        Check::new(args, target, stop).run().await
    });
    // A look-up of a name cannot be broken off: it is left behind, not waited for.
    runtime.shutdown_background();
    code
}

/// Hears the signals that end it: the first is told, the second ends the process at once.
fn hear_signals() -> io::Result<watch::Receiver<bool>> {
    let mut signals = TerminalSignals::new()?;
    let (tell, told) = watch::channel(false);
    tokio::spawn(async move {
        let mut first: Option<Instant> = None;
        loop {
            signals.any().await;
            match first {
                None => {
                    first = Some(Instant::now());
                    tell.send_replace(true);
                }
                Some(at) if at.elapsed() < SAME_WORD => {}
                Some(_) => std::process::exit(i32::from(Outcome::Interrupted.exit_code())),
            }
        }
    });
    Ok(told)
}

struct Check {
    target: TargetSettings,
    max_age: f64,
    format: CheckFormat,
    progress: Progress,
    stop: watch::Receiver<bool>,
    begun: Instant,
    has_told_at_once: bool,
    /// What was allowed before a server without room said otherwise.
    allowed: usize,
    held: usize,
    bounded_by: Option<String>,
    seen: report::Seen,
}

impl Check {
    fn new(args: &CheckArgs, target: TargetSettings, stop: watch::Receiver<bool>) -> Self {
        Self {
            allowed: target.most_connections(),
            target,
            max_age: args.max_age.as_secs_f64(),
            format: args.format,
            progress: Progress::new(args.quiet),
            stop,
            begun: Instant::now(),
            has_told_at_once: false,
            held: 0,
            bounded_by: None,
            seen: report::Seen::default(),
        }
    }

    async fn run(mut self) -> Result<u8, String> {
        let mut anew = 0;
        loop {
            self.target.ladder = plan::ladder(self.max_age, self.canaries());
            let mut walk = Walk::start(&self.target).map_err(|error| error.to_string())?;
            let end = self.follow(&mut walk, anew < MOST_ANEW).await;
            let known = walk.look();
            walk.end().await;
            match end {
                End::NoRoom(room) => {
                    anew += 1;
                    for path in &mut self.target.paths {
                        path.max_connections = room.min(path.max_connections - 1).max(FEWEST_CONNECTIONS);
                    }
                    sleep(FORGETTING).await;
                }
                end => return self.tell(known, &end),
            }
        }
    }

    /// How many canaries the path with the fewest may have.
    fn canaries(&self) -> usize {
        let fewest = self.target.paths.iter().map(|path| path.max_connections).min();
        fewest.unwrap_or(FEWEST_CONNECTIONS).saturating_sub(FEWEST_CONNECTIONS - 1)
    }

    /// Looks on until there is nothing more to learn.
    async fn follow(&mut self, walk: &mut Walk, may_begin_anew: bool) -> End {
        let begun = Instant::now();
        let longest = self.max_age * LONGEST.0 + LONGEST.1;
        let mut stop = self.stop.clone();
        let (mut was_alive, mut troubled, mut sure_since): (bool, Option<Instant>, Option<Instant>) =
            (false, None, None);
        loop {
            tokio::select! {
                biased;
                Ok(_) = stop.wait_for(|told| *told) => return End::Interrupted,
                broken = walk.broken() => return End::Broken(broken.label()),
                () = sleep(LOOK) => {}
            }
            let Some(target) = walk.look() else { continue };
            let elapsed = begun.elapsed().as_secs_f64();
            let alive = target.paths.iter().flat_map(|path| &path.canaries);
            let alive = alive.filter(|canary| canary.idle_seconds.is_some()).count();
            let sessions = alive + usize::from(target.server.is_some());
            self.held = self.held.max(sessions);
            self.seen.note(&target);
            was_alive |= alive > 0;

            let (refusals, words) = walk.refusals();
            let fewest = self.target.paths.iter().any(|path| path.max_connections > FEWEST_CONNECTIONS);
            if refusals > 0 && sessions > 0 && fewest && may_begin_anew {
                self.bounded_by = words;
                return End::NoRoom(sessions);
            }
            let is_low = target.paths.iter().any(|path| path.suspended.contains(&"low_headroom"));
            if is_low && self.bounded_by.is_none() {
                self.bounded_by =
                    Some("less than a fifth of the server's max_connections is free".to_owned());
            }

            let trouble = target.paths.iter().filter_map(|path| path.trouble.as_ref()).next();
            let trouble = trouble.filter(|_| alive == 0);
            if trouble.is_none() {
                troubled = None;
            }
            if let Some(trouble) = trouble {
                let since = *troubled.get_or_insert_with(Instant::now);
                let patience = if was_alive { PATIENCE_AFTER_ALL } else { PATIENCE };
                let is_final = !was_alive && judge::is_final(trouble.stage);
                let at_once = self.max_age == 0.0 && begun.elapsed() >= AT_ONCE;
                if is_final || at_once || since.elapsed() >= patience {
                    return End::Trouble;
                }
            }

            let is_late = begun.elapsed() >= AT_ONCE;
            let is_answered = target.server.is_some() || sessions > 0;
            if !self.has_told_at_once && trouble.is_none() && (is_ready(&target) || is_late && is_answered) {
                self.has_told_at_once = true;
                self.tell_at_once(&target);
            }
            if self.max_age == 0.0 {
                match (self.has_told_at_once, is_late) {
                    (true, _) => return End::Sure,
                    (false, true) => return End::Late,
                    (false, false) => continue,
                }
            }
            self.progress.show(&target, elapsed, longest.min(due(&target, self.canaries())));
            let far = target.paths.iter().map(|path| judge::progress(path, elapsed, self.canaries()));
            let far: Vec<judge::Progress> = far.collect();
            let is_over = far.iter().all(|far| *far != judge::Progress::Open);
            if is_over && far.contains(&judge::Progress::Late) || elapsed > longest {
                return End::Late;
            }
            if !is_over {
                sure_since = None;
            } else if sure_since.get_or_insert_with(Instant::now).elapsed() >= SETTLING {
                return End::Sure;
            }
        }
    }

    fn tell_at_once(&self, target: &TargetDocument) {
        if self.format == CheckFormat::Text {
            let text = text::at_once(target, paper::width());
            self.progress.aside(|| print(&text));
        }
    }

    /// Prints the verdict. Gives the exit code.
    fn tell(self, mut known: Option<TargetDocument>, end: &End) -> Result<u8, String> {
        if let Some(target) = &mut known {
            self.seen.complete(target);
        }
        let at_once = self.max_age == 0.0;
        let found = known.as_ref().map(|target| judge::outcome(target, at_once));
        let outcome = match (end, found) {
            (End::Broken(name), _) => {
                return Err(format!("the loop {name} ended by itself: this is a fault of ours"));
            }
            (End::Interrupted, _) => Outcome::Interrupted,
            (End::Trouble, Some(Outcome::Found)) => Outcome::Found,
            (End::Trouble, _) | (_, None) => Outcome::NotMeasured,
            (_, Some(outcome)) => outcome,
        };
        let sure = matches!(end, End::Sure);
        let name = self.target.name.clone();
        let summary = known.as_ref().map(|target| report::summary(target, outcome, sure, self.max_age));
        let report = Report {
            schema_version: SCHEMA_VERSION,
            exporter_version: env!("CARGO_PKG_VERSION"),
            outcome,
            exit_code: outcome.exit_code(),
            sure,
            summary: summary.unwrap_or_else(|| format!("{name}: nothing is known")),
            max_age_seconds: self.max_age,
            took_seconds: (self.begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            connections: Connections { allowed: self.allowed, held: self.held, bounded_by: self.bounded_by },
            not_tested: known
                .as_ref()
                .map(|target| report::not_tested(target, &self.seen, self.max_age))
                .unwrap_or_default(),
            target: known,
        };
        self.progress.end();
        match self.format {
            CheckFormat::Text => print(&text::verdict(&report, paper::width())),
            CheckFormat::Json => {
                // Its names are texts and its numbers are finite: nothing of it is refused.
                let json = serde_json::to_string_pretty(&report).unwrap_or_default();
                print(&format!("{json}\n"));
            }
        }
        Ok(outcome.exit_code())
    }
}

/// Whether all is known that can be known without waiting.
fn is_ready(target: &TargetDocument) -> bool {
    let knows = |path: &PathDocument| {
        let is_known = |name: &str| path.layers.iter().any(|layer| layer.setting == name);
        path.verdict.is_some() && is_known("session_wait_timeout") && is_known("wait_timeout")
    };
    target.server.is_some() && target.paths.iter().all(knows)
}

/// When the answer is due at the latest, in seconds from the beginning, by what is known.
fn due(target: &TargetDocument, canaries: usize) -> f64 {
    let sound = judge::latest_sound(&target.rungs_seconds, canaries);
    let of = |path| judge::upper(path).map_or(sound, |upper| judge::latest(upper, canaries));
    target.paths.iter().map(of).fold(0.0, f64::max)
}

/// Prints on standard output, in colours where they are wanted. A reader that is gone hears nothing more.
fn print(text: &str) {
    let mut out = paper::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
