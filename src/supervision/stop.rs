//! The word to stop, said once and heard by every loop.

use tokio::sync::watch;

/// Says it.
#[derive(Debug)]
pub struct StopSender(watch::Sender<bool>);

/// Hears it.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A pair of both ends.
pub fn channel() -> (StopSender, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopSender(sender), Stop(receiver))
}

impl StopSender {
    /// Tells every loop to stop.
    pub fn say(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits for the word. A sender that is gone has said it.
    pub async fn told(&mut self) {
        // The guard inside must not live across an await of the caller's.
        let _ = self.0.wait_for(|stop| *stop).await.map(|_| ());
    }
}
