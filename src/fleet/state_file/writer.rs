//! The thread that writes the state file: it keeps the newest state only, writes at most every few seconds and
//! at the end, and nobody waits for it. A file system that stands still costs what is newer than its last write.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::domain::conduct::health::Loop;
use crate::supervision::{Mode, Pulse, is_due};

/// The pause after a write. What a kill may cost is what was observed within it.
const PAUSE: Duration = Duration::from_secs(2);
/// The pause after a write that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(15);

/// What is newest and not written yet.
#[derive(Debug)]
struct Shared<T> {
    desk: Mutex<Desk<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Desk<T> {
    newest: Option<T>,
    closing: bool,
}

/// Hands what is to be kept to the thread.
#[derive(Debug)]
pub struct Keeper<T>(Arc<Shared<T>>);

impl<T> Clone for Keeper<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Whether a write succeeded. A failure is kept to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Whole,
    Failed,
}

/// Starts the thread, which hands the newest state to `write`. Gives the hand to it, and a receiver whose
/// sender is dropped when the thread ends.
pub(super) fn start<T: Send + 'static>(
    pulse: Pulse,
    write: impl FnMut(&T) -> Written + Send + 'static,
) -> io::Result<(Keeper<T>, oneshot::Receiver<()>)> {
    let shared =
        Arc::new(Shared { desk: Mutex::new(Desk { newest: None, closing: false }), changed: Condvar::new() });
    let (say_ended, ended) = oneshot::channel();
    let keeper = Keeper(Arc::clone(&shared));
    thread::Builder::new().name("state".to_owned()).spawn(move || {
        // Dropped however the thread ends.
        let _say_ended = say_ended;
        shared.work(&pulse, write);
    })?;
    Ok((keeper, ended))
}

impl<T> Keeper<T> {
    /// Keeps this in the place of whatever was not written yet.
    pub fn keep(&self, newest: T) {
        self.0.lock().newest = Some(newest);
        self.0.changed.notify_all();
    }

    /// Lets the thread write what it has and end, and waits for so long at most.
    pub async fn finish(&self, ended: impl Future<Output = ()>, patience: Duration) {
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

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Desk<T>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, pulse: &Pulse, mut write: impl FnMut(&T) -> Written) {
        loop {
            let (newest, closing) = self.next(pulse);
            assert!(!is_due(Loop::State, Mode::Panic), "a failpoint in the state file's thread");
            if is_due(Loop::State, Mode::Return) {
                return;
            }
            let mut pause = PAUSE;
            if let Some(newest) = newest {
                let written = pulse.round_at_once(|| {
                    while is_due(Loop::State, Mode::Hang) {
                        thread::park();
                    }
                    write(&newest)
                });
                if written == Some(Written::Failed) {
                    pulse.count_failure();
                }
                if written != Some(Written::Whole) {
                    pause = PAUSE_AFTER_FAILURE;
                    // Unless there is something newer by now.
                    self.lock().newest.get_or_insert(newest);
                }
            }
            if closing {
                return;
            }
            self.rest(pulse, pause);
        }
    }

    /// Waits for something to write, or for the end.
    fn next(&self, pulse: &Pulse) -> (Option<T>, bool) {
        let mut desk = self.lock();
        while desk.newest.is_none() && !desk.closing {
            pulse.beat();
            desk = self.pause(desk, pulse.heartbeat());
        }
        pulse.beat();
        (desk.newest.take(), desk.closing)
    }

    /// Lets so much time pass, unless the end comes.
    fn rest(&self, pulse: &Pulse, pause: Duration) {
        let mut left = pause;
        while !left.is_zero() && !self.lock().closing {
            pulse.beat();
            let step = left.min(pulse.heartbeat());
            let desk = self.lock();
            drop(self.changed.wait_timeout_while(desk, step, |desk| !desk.closing));
            left = left.saturating_sub(step);
        }
    }

    fn pause<'a>(&self, desk: MutexGuard<'a, Desk<T>>, pause: Duration) -> MutexGuard<'a, Desk<T>> {
        self.changed.wait_timeout(desk, pause).unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn pulse() -> Pulse {
        Pulse::unwatched(Loop::State)
    }

    #[tokio::test]
    async fn the_newest_is_written_at_the_end_and_what_it_replaced_is_not() {
        let (written, seen) = mpsc::channel();
        let write = move |state: &u32| {
            written.send(*state).expect("the test listens");
            Written::Whole
        };
        let (keeper, ended) = start(pulse(), write).expect("a thread");
        keeper.keep(1);
        assert_eq!(seen.recv_timeout(Duration::from_secs(20)), Ok(1), "at once");
        for state in 2..100 {
            keeper.keep(state);
        }
        keeper.finish(async { drop(ended.await) }, Duration::from_secs(20)).await;
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [99]);
    }

    #[tokio::test]
    async fn a_write_that_panics_or_never_ends_holds_nobody_up() {
        let (written, seen) = mpsc::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        let write = move |state: &u32| {
            written.send(*state).expect("the test listens");
            assert_ne!(*state, 1, "on purpose");
            // The file system stands still until the test is over.
            let _ = wait.recv();
            Written::Whole
        };
        let (keeper, ended) = start(pulse(), write).expect("a thread");
        keeper.keep(1);
        assert_eq!(seen.recv_timeout(Duration::from_secs(20)), Ok(1));
        keeper.keep(2);
        let begun = tokio::time::Instant::now();
        keeper.finish(async { drop(ended.await) }, Duration::from_millis(300)).await;
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert_eq!(seen.recv_timeout(Duration::from_secs(20)), Ok(2), "after the panic it goes on");
        keeper.keep(3);
        drop(go_on);
    }
}
