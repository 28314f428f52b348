//! The word to stop, said once and heard by every loop.

use tokio::sync::watch;

/// What was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Nothing yet.
    GoOn,
    /// The process ends.
    Stop,
    /// What runs here is no longer in the configuration, or not so; the process goes on.
    Leave,
}

/// Says it.
#[derive(Debug)]
pub struct StopSender(watch::Sender<Word>);

/// Hears it.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Word>);

/// A pair of both ends.
pub fn channel() -> (StopSender, Stop) {
    let (sender, receiver) = watch::channel(Word::GoOn);
    (StopSender(sender), Stop(receiver))
}

impl StopSender {
    /// Tells every loop to stop, for the process ends.
    pub fn say(&self) {
        self.0.send_replace(Word::Stop);
    }

    /// Tells every loop to stop, for a reload left no place for it.
    pub fn say_leave(&self) {
        self.0.send_replace(Word::Leave);
    }
}

impl Stop {
    /// Waits for the word. A sender that is gone has said it.
    pub async fn told(&mut self) {
        // The guard inside must not live across an await of the caller's.
        let _ = self.0.wait_for(|word| *word != Word::GoOn).await.map(|_| ());
    }

    /// Whether it was said because of a reload.
    pub fn is_reload(&self) -> bool {
        *self.0.borrow() == Word::Leave
    }
}
