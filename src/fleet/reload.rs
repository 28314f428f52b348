//! Reloads: who asks for one, and how the settings are read anew. All or nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::config::settings::Settings;

/// How long reading the configuration may take: on a dead network file system it may never end.
const LONGEST_READING: Duration = Duration::from_secs(10);
/// So many may wait for an answer.
const MOST_WAITING: usize = 64;

/// Reads the settings anew. Gives what is wrong, in words.
#[derive(Clone)]
pub struct Reread(Arc<dyn Fn() -> Result<Settings, String> + Send + Sync>);

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
        Self(Arc::new(read))
    }

    /// Reads them, apart from the loops.
    ///
    /// # Errors
    /// What is wrong with the configuration, or that it cannot be read within ten seconds.
    pub async fn read(&self) -> Result<Settings, String> {
        let read = Arc::clone(&self.0);
        match timeout(LONGEST_READING, spawn_blocking(move || read())).await {
            Ok(Ok(settings)) => settings,
            Ok(Err(_)) => Err("reading the configuration failed by a fault of the exporter's own".to_owned()),
            Err(_) => Err(format!(
                "the configuration could not be read within {} s: its file system does not answer",
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
