//! The server view says nothing that it does not know: sources that hang, lists that are not whole, words that
//! a server made up, and accounts that do not see everyone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::exporter::{Exporter, Launch, Page};
use crate::lab::{Answers, Peer, Scene};
use crate::malice::good_answers;

mod hangs;
mod sight;
mod words;

/// A server that is good but for what `spoil` makes of its answers.
fn peer(spoil: impl Fn(Answers) -> Answers + Send + Sync + 'static) -> Peer {
    Peer::start(move |mut scene: Scene| {
        if scene.log_in("9.7.0", scene.number).is_ok() {
            let answers = spoil(good_answers(scene.number.into()));
            scene.serve(&answers, None);
        }
    })
}

fn launch(peer: &Peer) -> Launch<'static> {
    Launch::at(&peer.addr().to_string()).ages("60s,120s").args(&["--canary.max-connections=4"])
}

/// Whether a source was read in the newest round.
fn was_read(page: &Page, collector: &str) -> bool {
    page.values("collector_success", &[("collector", collector)]) == [1.0]
}
