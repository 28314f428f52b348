//! Tells the paths of a target, with each reading of the server view, how much room the server has.

use tokio::sync::watch;

use crate::domain::conduct::suspension::Headroom;
use crate::server::Reading;
use crate::supervision::Pulse;
use crate::supervision::stop::Stop;

/// Keeps telling until told to stop.
pub(super) async fn keep(
    mut reading: watch::Receiver<Reading>,
    publish: watch::Sender<Headroom>,
    mut stop: Stop,
    pulse: Pulse,
) {
    loop {
        let round = pulse.round_at_once(|| {
            let reading = reading.borrow_and_update();
            if !reading.has_begun {
                return;
            }
            let status = reading.view.as_ref().and_then(|view| view.status.as_ref());
            let variables = reading.view.as_ref().and_then(|view| view.variables.as_ref());
            let threads = status.and_then(|status| status.threads_connected);
            let most = variables.and_then(|variables| variables.max_connections);
            publish.send_replace(Headroom::of(threads, most));
        });
        let news = async {
            if round.is_none() {
                tokio::time::sleep(pulse.rest()).await;
            } else if reading.changed().await.is_err() {
                // That the server view is gone is told by who owns it.
                std::future::pending().await
            }
        };
        tokio::select! {
            () = stop.told() => return,
            () = pulse.wait(news) => {}
        }
    }
}
