//! What the service manager is told, where it listens: that the exporter is ready, and that it stops.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// How long a word to the service manager may take.
const LONGEST_WORD: Duration = Duration::from_millis(100);

/// All loops run, and the pages are there.
pub fn tell_ready() {
    drop(tell(NotifyState::Ready));
}

/// The word to stop was said.
pub async fn tell_stopping() {
    // The process may end at once after this.
    let _ = timeout(LONGEST_WORD, tell(NotifyState::Stopping)).await;
}

/// Apart from the loops: a service manager that does not read holds up nobody.
fn tell(state: NotifyState<'static>) -> JoinHandle<()> {
    spawn_blocking(move || {
        if let Err(error) = sd_notify::notify(&[state]) {
            tracing::warn!(event = "service_manager", error = %error, "the service manager cannot be told");
        }
    })
}
