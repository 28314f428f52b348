//! A server whose answers made the driver panic: what comes ahead of its question reaches it no more.

use super::{Duration, Exporter, Launch, wait_until_ready};
use crate::lab::{Answers, Peer, Scene, Served, wire};
use crate::malice::good_answers;

/// The head of a result set without columns, on which the driver panics, sent ahead behind another answer's end.
fn ahead(answer: Vec<u8>) -> Vec<u8> {
    [answer, wire::packet(1, &[0xfc, 0, 0])].concat()
}

/// What a witness asks first, answered well, with the answer to the next question sent ahead.
fn evil(id: u32) -> Answers {
    let uptime = wire::result_set(
        &["Variable_name", "Value"].map(str::to_owned),
        &[vec![Some("Uptime".to_owned()), Some("5000".to_owned())]],
    );
    good_answers(id.into()).bytes("show global status like 'uptime'", ahead(uptime))
}

/// Serves until the cue, and then ends the session. From the connection `evil_from` on, up to `evil_to`, questions
/// that begin with the server's uptime are answered so.
fn serve(mut scene: Scene, is_evil: impl Fn(u32) -> bool) {
    if scene.log_in("9.7.0", scene.number).is_err() {
        return;
    }
    let answers = if is_evil(scene.number) { evil(scene.number) } else { good_answers(scene.number.into()) };
    if scene.serve(&answers, None) == Served::Cued {
        drop(scene);
    }
}

fn launch(peer: &Peer) -> Exporter<'static> {
    let exporter = Launch::at(&peer.addr().to_string())
        .ages("60s,120s")
        .args(&["--canary.probe-timeout=2s", "--mysql.tls-mode=disabled"])
        .start();
    exporter.wait_for_metrics("two canaries and a server view", Duration::from_secs(20), |page| {
        page.sum("connections", &[]) >= 2.0 && page.sum("up", &[]) == 1.0
    });
    exporter
}

/// Waits until two ends are told of, as deaths or void, though sessions met nonsense; and the driver has not panicked.
#[track_caller]
fn wait_for_ends(exporter: &Exporter<'_>) {
    exporter.wait_for_metrics("two ends", Duration::from_secs(60), |page| {
        page.sum("voided_total", &[]) + page.sum("deaths_total", &[]) >= 2.0
    });
    assert!(!exporter.events("nonsense").is_empty(), "{}", exporter.log());
    assert!(!exporter.log().contains("panicked"), "{}", exporter.log());
    assert!(exporter.events("loop_ended").is_empty(), "{}", exporter.log());
}

#[test]
fn two_sessions_of_nonsense_end_neither_the_witness_nor_the_server_view() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static EVIL_FROM: AtomicU32 = AtomicU32::new(u32::MAX);
    static EVIL_TO: AtomicU32 = AtomicU32::new(u32::MAX);
    let peer = Peer::start(|scene: Scene| {
        let span = EVIL_FROM.load(Ordering::Relaxed)..EVIL_TO.load(Ordering::Relaxed);
        serve(scene, |number| span.contains(&number));
    });
    let exporter = launch(&peer);
    wait_until_ready(&exporter);
    EVIL_FROM.store(peer.accepted() + 1, Ordering::Relaxed);
    EVIL_TO.store(peer.accepted() + 3, Ordering::Relaxed);
    peer.cue();
    wait_for_ends(&exporter);
    // Those that come after are judged.
    let before = exporter.events("death").len();
    for round in 1..=2 {
        exporter.wait_for_metrics("new canaries", Duration::from_secs(60), |page| {
            page.sum("connections", &[]) >= 2.0 && page.sum("up", &[]) == 1.0
        });
        peer.cue();
        exporter.wait_for_events("death", before + 2 * round, Duration::from_secs(60));
    }
    wait_until_ready(&exporter);
    assert!(exporter.events("loop_ended").is_empty(), "{}", exporter.log());
}

#[test]
fn a_server_that_answers_every_witness_with_nonsense_makes_every_end_void() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static EVIL_FROM: AtomicU32 = AtomicU32::new(u32::MAX);
    let peer = Peer::start(|scene: Scene| {
        serve(scene, |number| number >= EVIL_FROM.load(Ordering::Relaxed));
    });
    let exporter = launch(&peer);
    EVIL_FROM.store(peer.accepted() + 1, Ordering::Relaxed);
    peer.cue();
    wait_for_ends(&exporter);
    let page = exporter.metrics();
    assert_eq!(page.sum("deaths_total", &[]), 0.0, "{}", exporter.log());
    assert!(page.sum("voided_total", &[("reason", "outage")]) >= 2.0, "{}", exporter.log());
}
