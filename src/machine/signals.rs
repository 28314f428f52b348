//! What signals do. No signal that can be caught ends the process without a COM_QUIT, as most do by default.
//! SIGTERM, SIGINT and SIGQUIT, SIGRTMIN+3, which containers are stopped with that expect systemd in them, and SIGXCPU,
//! which foretells a SIGKILL: the word to stop, and a second one of them ends the process at once. SIGHUP: a reload. All
//! others: nothing but a line. SIGXFSZ (a limit on the size of files): nothing at all, for the log itself may have met it. SIGPIPE is
//! ignored from the start, by Rust's runtime. Of both the write that failed tells.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use rustix::process::Signal as Known;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::machine::logging;
use crate::supervision::stop::StopSender;

/// The exit code of a process that did not wait for its sessions to say COM_QUIT.
const ENDED_AT_ONCE: i32 = 1;
/// Within this time a second signal is the first one's echo: a terminal and a wrapper both hand on a Ctrl-C.
pub const SAME_WORD: Duration = Duration::from_millis(200);
/// How long the last log lines may take then.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The signals of this process, heard from the moment this exists.
#[derive(Debug)]
pub struct Signals {
    heard: Vec<(Signal, String, Meaning)>,
}

/// What a signal is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The word to stop.
    Stop,
    /// The configuration is to be read anew.
    Reload,
    /// None, and that is told.
    Ignored,
    /// None: what it was sent for is told where it happened.
    Silent,
}

/// Every signal that would end a process and can be caught, but for the faults of the process itself (SIGTRAP and SIGSYS
/// among them), and the real-time signals, which follow.
const HEARD: [(Known, &str, Meaning); 14] = [
    (Known::TERM, "SIGTERM", Meaning::Stop),
    (Known::INT, "SIGINT", Meaning::Stop),
    (Known::QUIT, "SIGQUIT", Meaning::Stop),
    (Known::XCPU, "SIGXCPU", Meaning::Stop),
    (Known::HUP, "SIGHUP", Meaning::Reload),
    (Known::USR1, "SIGUSR1", Meaning::Ignored),
    (Known::USR2, "SIGUSR2", Meaning::Ignored),
    (Known::ALARM, "SIGALRM", Meaning::Ignored),
    (Known::VTALARM, "SIGVTALRM", Meaning::Ignored),
    (Known::PROF, "SIGPROF", Meaning::Ignored),
    (Known::IO, "SIGIO", Meaning::Ignored),
    (Known::POWER, "SIGPWR", Meaning::Ignored),
    (Known::STKFLT, "SIGSTKFLT", Meaning::Ignored),
    (Known::XFSZ, "SIGXFSZ", Meaning::Silent),
];

/// The real-time signals as the C library counts them: SIGRTMIN and SIGRTMAX.
const REAL_TIME: (i32, i32) = (34, 64);

/// Whether the word to stop came a second time.
static TOLD_TWICE: AtomicBool = AtomicBool::new(false);

/// Whether the word to stop came a second time: the process ends with code 1, whether or not its sessions had all said
/// COM_QUIT by then.
pub fn told_twice() -> bool {
    TOLD_TWICE.load(Ordering::Relaxed)
}

/// What ends a command that somebody runs at a terminal: Ctrl-C, SIGTERM, and the terminal's own end.
#[derive(Debug)]
pub struct TerminalSignals([Signal; 3]);

impl TerminalSignals {
    /// Begins to hear them.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn new() -> io::Result<Self> {
        let of = |kind| signal(kind);
        Ok(Self([of(SignalKind::interrupt())?, of(SignalKind::terminate())?, of(SignalKind::hangup())?]))
    }

    /// Waits for the next of them.
    pub async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

impl Signals {
    /// Begins to hear them.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn new() -> io::Result<Self> {
        let hear = |(known, name, meaning): (Known, &str, _)| {
            Ok((signal(SignalKind::from_raw(known.as_raw()))?, name.to_owned(), meaning))
        };
        let mut heard = HEARD.into_iter().map(hear).collect::<io::Result<Vec<_>>>()?;
        // A C library may keep some for itself.
        heard.extend((REAL_TIME.0..=REAL_TIME.1).filter_map(|number| {
            let place = number - REAL_TIME.0;
            let meaning = if place == 3 { Meaning::Stop } else { Meaning::Ignored };
            Some((signal(SignalKind::from_raw(number)).ok()?, format!("SIGRTMIN+{place}"), meaning))
        }));
        Ok(Self { heard })
    }

    /// Says `stop` at the first signal that asks for it, and ends the process at the second. `reload` asks for a
    /// reload, and waits for nothing.
    pub async fn obey(mut self, stop: Arc<StopSender>, reload: impl Fn()) {
        let mut told: Option<Instant> = None;
        loop {
            match self.next().await {
                (_, Meaning::Silent) => {}
                (_, Meaning::Reload) => reload(),
                (name, Meaning::Ignored) => tracing::warn!(
                    event = "signal_ignored",
                    signal = name,
                    "{name} is ignored: SIGTERM ends the exporter, SIGHUP lets it read its configuration anew"
                ),
                (name, Meaning::Stop) if told.is_none() => {
                    told = Some(Instant::now());
                    tracing::info!(
                        event = "stopping",
                        signal = name,
                        "Stopping: every session says COM_QUIT"
                    );
                    stop.say();
                }
                (_, Meaning::Stop) if told.is_some_and(|at| at.elapsed() < SAME_WORD) => {}
                (name, Meaning::Stop) => {
                    TOLD_TWICE.store(true, Ordering::Relaxed);
                    tracing::warn!(
                        event = "ended_at_once",
                        signal = name,
                        "{name} came again: the exporter ends at once, without a COM_QUIT"
                    );
                    logging::flush(LAST_WORDS);
                    std::process::exit(ENDED_AT_ONCE);
                }
            }
        }
    }

    /// The next signal: its name, and what it means.
    async fn next(&mut self) -> (String, Meaning) {
        poll_fn(|context| {
            for (signal, name, meaning) in &mut self.heard {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready((name.clone(), *meaning));
                }
            }
            Poll::Pending
        })
        .await
    }
}
