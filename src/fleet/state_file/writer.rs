//! The thread that writes the state file: it writes what is newest then, rests after each write and writes once
//! more at the end, and nobody waits for it. A file system that stands still costs what is newer than its last
//! write.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::domain::conduct::health::Loop;
use crate::supervision::{Mode, Pulse, is_due};

/// The shortest pause after a write. What a kill may cost is what was observed within it.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A long state is written so much seldomer that no more than this many bytes are written in a second.
const BYTES_PER_SECOND: usize = 512 << 10;
/// The pause after a write that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(15);

/// Tells the thread that there is something to write.
#[derive(Debug, Clone)]
pub(super) struct Bell(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Debug)]
struct Told {
    /// There is something newer than what was written.
    rung: bool,
    closing: bool,
}

/// Whether a write succeeded. After a failure it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// So many bytes.
    Whole {
        length: usize,
    },
    Failed,
}

/// Starts the thread, which calls `write` after the bell was rung. Gives the bell, and a receiver whose sender is
/// dropped when the thread ends.
pub(super) fn start(
    pulse: Pulse,
    write: impl FnMut() -> Written + Send + 'static,
) -> io::Result<(Bell, oneshot::Receiver<()>)> {
    let told = Mutex::new(Told { rung: false, closing: false });
    let shared = Arc::new(Shared { told, changed: Condvar::new() });
    let (say_ended, ended) = oneshot::channel();
    let bell = Bell(Arc::clone(&shared));
    thread::Builder::new().name("state".to_owned()).spawn(move || {
        // Dropped however the thread ends.
        let _say_ended = say_ended;
        shared.work(&pulse, write);
    })?;
    Ok((bell, ended))
}

impl Bell {
    /// There is something newer to write.
    pub(super) fn ring(&self) {
        self.0.lock().rung = true;
        self.0.changed.notify_all();
    }

    /// Lets the thread write what there is and end, and waits for so long at most.
    pub(super) async fn finish(&self, ended: impl Future<Output = ()>, patience: Duration) {
        self.0.lock().closing = true;
        self.0.changed.notify_all();
        if timeout(patience, ended).await.is_err() {
            tracing::warn!(
                event = "state_not_written",
                "the state file's file system does not answer: what was observed last is not written"
            );
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, pulse: &Pulse, mut write: impl FnMut() -> Written) {
        loop {
            let (rung, closing) = self.next(pulse);
            assert!(!is_due(Loop::State, Mode::Panic), "a failpoint in the state file's thread");
            if is_due(Loop::State, Mode::Return) {
                return;
            }
            let mut pause = PAUSE;
            if rung {
                let written = pulse.round_at_once(|| {
                    while is_due(Loop::State, Mode::Hang) {
                        thread::park();
                    }
                    write()
                });
                if written == Some(Written::Failed) {
                    pulse.count_failure();
                }
                pause = match written {
                    Some(Written::Whole { length }) => pause_after(length),
                    Some(Written::Failed) | None => {
                        self.lock().rung = true;
                        PAUSE_AFTER_FAILURE
                    }
                };
            }
            if closing {
                return;
            }
            self.rest(pulse, pause);
        }
    }

    /// Waits for something to write, or for the end.
    fn next(&self, pulse: &Pulse) -> (bool, bool) {
        let mut told = self.lock();
        while !told.rung && !told.closing {
            pulse.beat();
            told = self.pause(told, pulse.heartbeat());
        }
        pulse.beat();
        (std::mem::take(&mut told.rung), told.closing)
    }

    /// Lets so much time pass, unless the end comes.
    fn rest(&self, pulse: &Pulse, pause: Duration) {
        let mut left = pause;
        while !left.is_zero() && !self.lock().closing {
            pulse.beat();
            let step = left.min(pulse.heartbeat());
            let told = self.lock();
            drop(self.changed.wait_timeout_while(told, step, |told| !told.closing));
            left = left.saturating_sub(step);
        }
    }

    fn pause<'a>(&self, told: MutexGuard<'a, Told>, pause: Duration) -> MutexGuard<'a, Told> {
        self.changed.wait_timeout(told, pause).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The pause after a write of so many bytes.
fn pause_after(length: usize) -> Duration {
    Duration::from_secs((length / BYTES_PER_SECOND) as u64).clamp(PAUSE, LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    fn pulse() -> Pulse {
        Pulse::unwatched(Loop::State)
    }

    #[test]
    fn what_is_long_is_written_seldom() {
        for (length, seconds) in [(0, 2), (500_000, 2), (5 << 20, 10), (80 << 20, 60), (usize::MAX, 60)] {
            assert_eq!(pause_after(length), Duration::from_secs(seconds), "{length}");
        }
    }

    #[tokio::test]
    async fn the_newest_is_written_at_the_end_and_what_it_replaced_is_not() {
        let (written, seen) = mpsc::channel();
        let newest = Arc::new(AtomicU32::new(1));
        let state = Arc::clone(&newest);
        let write = move || {
            written.send(state.load(Ordering::SeqCst)).expect("the test listens");
            Written::Whole { length: 1 }
        };
        let (bell, ended) = start(pulse(), write).expect("a thread");
        bell.ring();
        assert_eq!(seen.recv_timeout(Duration::from_secs(20)), Ok(1), "at once");
        for state in 2..100 {
            newest.store(state, Ordering::SeqCst);
            bell.ring();
        }
        bell.finish(async { drop(ended.await) }, Duration::from_secs(20)).await;
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [99]);
    }

    #[tokio::test]
    async fn a_write_that_panics_or_never_ends_holds_nobody_up() {
        let (written, seen) = mpsc::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        let mut count = 0;
        let write = move || {
            count += 1;
            written.send(count).expect("the test listens");
            assert_ne!(count, 1, "on purpose");
            // The file system stands still until the test is over.
            let _ = wait.recv();
            Written::Whole { length: 1 }
        };
        let (bell, ended) = start(pulse(), write).expect("a thread");
        bell.ring();
        assert_eq!(seen.recv_timeout(Duration::from_secs(20)), Ok(1));
        let begun = tokio::time::Instant::now();
        bell.finish(async { drop(ended.await) }, Duration::from_millis(300)).await;
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert_eq!(seen.recv_timeout(Duration::from_secs(20)), Ok(2), "after the panic it is tried again");
        bell.ring();
        drop(go_on);
    }
}
