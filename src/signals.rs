//! What signals do. SIGTERM, SIGINT and SIGQUIT: the word to stop, and a second one of them ends the process at
//! once. SIGHUP, SIGUSR1 and SIGUSR2: nothing but a line, for their default would end the process without a
//! COM_QUIT. SIGPIPE is ignored from the start, by Rust's runtime: a broken pipe is an error of the write.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::logging;
use crate::stop::StopSender;

/// The exit code of a process that did not wait for its sessions to say COM_QUIT.
const ENDED_AT_ONCE: i32 = 1;
/// Within this time a second signal is the first one's echo: a terminal and a wrapper both hand on a Ctrl-C.
const SAME_WORD: Duration = Duration::from_millis(200);
/// How long the last log lines may take then.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The signals of this process, heard from the moment this exists.
#[derive(Debug)]
pub struct Signals {
    ending: [(Signal, &'static str); 3],
    ignored: [(Signal, &'static str); 3],
}

impl Signals {
    /// Begins to hear them.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn new() -> io::Result<Self> {
        let of = |kind, name| Ok::<_, io::Error>((signal(kind)?, name));
        Ok(Self {
            ending: [
                of(SignalKind::terminate(), "SIGTERM")?,
                of(SignalKind::interrupt(), "SIGINT")?,
                of(SignalKind::quit(), "SIGQUIT")?,
            ],
            ignored: [
                of(SignalKind::hangup(), "SIGHUP")?,
                of(SignalKind::user_defined1(), "SIGUSR1")?,
                of(SignalKind::user_defined2(), "SIGUSR2")?,
            ],
        })
    }

    /// Says `stop` at the first signal that asks for it, and ends the process at the second.
    pub async fn obey(mut self, stop: Arc<StopSender>) {
        let mut told: Option<Instant> = None;
        loop {
            match self.next().await {
                (name, false) => tracing::warn!(
                    event = "signal_ignored",
                    signal = name,
                    "{name} is ignored: there is nothing to reload yet; SIGTERM ends the exporter"
                ),
                (name, true) if told.is_none() => {
                    told = Some(Instant::now());
                    tracing::info!(
                        event = "stopping",
                        signal = name,
                        "Stopping: every session says COM_QUIT"
                    );
                    stop.say();
                }
                (_, true) if told.is_some_and(|at| at.elapsed() < SAME_WORD) => {}
                (name, true) => {
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

    /// The next signal: its name, and whether it asks for the end.
    async fn next(&mut self) -> (&'static str, bool) {
        poll_fn(|context| {
            let Self { ending, ignored } = self;
            let all =
                ending.iter_mut().map(|one| (one, true)).chain(ignored.iter_mut().map(|one| (one, false)));
            for ((signal, name), ends) in all {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready((*name, ends));
                }
            }
            Poll::Pending
        })
        .await
    }
}
