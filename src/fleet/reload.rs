//! Reloads: who asks for one, and how the settings are read anew. All or nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::config::settings::Settings;

/// How long reading the configuration may take: on a dead network file system it may never end.
const LONGEST_READING: Duration = Duration::from_secs(10);
/// So many may wait for an answer, those among them that went away meanwhile.
const MOST_WAITING: usize = 4096;

/// Reads the settings anew. Gives what is wrong, in words.
#[derive(Clone)]
pub struct Reread {
    read: Arc<dyn Fn() -> Result<Settings, String> + Send + Sync>,
    /// One reads at a time: a reading that never ends holds one thread, not one for each reload.
    turn: Arc<Semaphore>,
}

/// Where a reload is asked for.
#[derive(Debug, Clone)]
pub struct ReloadHandle(mpsc::Sender<Request>);

/// The reloads that were asked for.
#[derive(Debug)]
pub struct Reloads(mpsc::Receiver<Request>);

/// One asks for a reload.
#[derive(Debug)]
struct Request(Option<oneshot::Sender<Result<(), String>>>);

/// All that asked before a reload began, and are told how it went.
#[derive(Debug)]
#[must_use = "those who asked wait for the answer"]
pub struct Asked(Vec<Request>);

/// Both ends.
pub fn channel() -> (ReloadHandle, Reloads) {
    let (sender, receiver) = mpsc::channel(MOST_WAITING);
    (ReloadHandle(sender), Reloads(receiver))
}

impl fmt::Debug for Reread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reread")
    }
}

impl Reread {
    /// Reads by this function, which may block.
    pub fn by(read: impl Fn() -> Result<Settings, String> + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read), turn: Arc::new(Semaphore::new(1)) }
    }

    /// Reads them, apart from the loops.
    ///
    /// # Errors
    /// What is wrong with the configuration, or that it cannot be read within ten seconds.
    pub async fn read(&self) -> Result<Settings, String> {
        let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() else {
            return Err("the configuration is still being read for an earlier reload: its file system does not answer, \
                        or the machine is too busy"
                .to_owned());
        };
        let read = Arc::clone(&self.read);
        let reading = spawn_blocking(move || {
            let settings = read();
            drop(turn);
            settings
        });
        match timeout(LONGEST_READING, reading).await {
            Ok(Ok(settings)) => settings,
            Ok(Err(_)) => Err("reading the configuration failed by a fault of the exporter's own".to_owned()),
            Err(_) => Err(format!(
                "the configuration could not be read within {} s: its file system does not answer, it is very long, or \
                 the machine is too busy",
                LONGEST_READING.as_secs()
            )),
        }
    }
}

impl ReloadHandle {
    /// Asks for a reload, and waits for its end.
    ///
    /// # Errors
    /// Why everything stayed as it was.
    pub async fn ask(&self) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let stopping = "the exporter is being stopped";
        match self.0.try_send(Request(Some(answer))) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err("too many reloads wait already".to_owned()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(stopping.to_owned()),
        }
        answered.await.unwrap_or_else(|_| Err(stopping.to_owned()))
    }

    /// Asks for a reload whose end only the log tells. Where many wait already, one of theirs will do.
    pub fn ask_and_go(&self) {
        let _ = self.0.try_send(Request(None));
    }
}

impl Reloads {
    /// Waits until a reload is asked for. Those who ask together are answered together.
    pub async fn asked(&mut self) -> Asked {
        let Some(first) = self.0.recv().await else { return std::future::pending().await };
        let mut all = vec![first];
        while let Ok(another) = self.0.try_recv() {
            all.push(another);
        }
        Asked(all)
    }
}

impl Asked {
    /// Tells all of them how it went.
    pub fn answer(self, outcome: &Result<(), String>) {
        for Request(answer) in self.0 {
            if let Some(answer) = answer {
                // Who went away meanwhile needs no answer.
                let _ = answer.send(outcome.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_reading_that_hangs_holds_one_thread_however_many_reloads_are_asked_for() {
        let (answers, hanging) = std::sync::mpsc::channel::<()>();
        let hanging = Mutex::new(hanging);
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let reread = Reread::by(move || {
            count.fetch_add(1, Ordering::SeqCst);
            // Until the other end is gone.
            let _ = hanging.lock().map(|hanging| hanging.recv());
            Err("read to its end".to_owned())
        });
        let first = tokio::spawn({
            let reread = reread.clone();
            async move { reread.read().await.err() }
        });
        while begun.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Whoever waits for it has given up, and it hangs all the same.
        first.abort();
        for _ in 0..100 {
            let error = reread.read().await.expect_err("nothing is read");
            assert!(error.contains("an earlier reload"), "{error}");
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        drop(answers);
        // What hung goes on, and so do reloads.
        loop {
            match reread.read().await.err() {
                Some(error) if error.contains("an earlier reload") => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                other => break assert_eq!(other.as_deref(), Some("read to its end")),
            }
        }
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn hundreds_who_ask_while_a_reload_runs_are_answered_by_the_next_one() {
        let (handle, mut reloads) = channel();
        let askers: Vec<_> = (0..500)
            .map(|_| {
                let handle = handle.clone();
                tokio::spawn(async move { handle.ask().await })
            })
            .collect();
        while reloads.0.len() < 500 {
            tokio::task::yield_now().await;
        }
        reloads.asked().await.answer(&Ok(()));
        for asker in askers {
            assert_eq!(asker.await.expect("no panic"), Ok(()));
        }
    }
}
