//! A driver that panics on what a server answers.

use super::{Duration, Exporter, Launch, unready, wait_for, wait_until_ready};
use crate::lab::{Answers, Peer, Scene, Served, wire};
use crate::malice::good_answers;

/// The head of a result set without columns, on which the driver panics. The guard in front of it sees this where
/// it is an answer, and not where it is sent ahead, behind another answer's end.
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
/// that begin with the server's uptime make the driver panic.
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

fn voided(exporter: &Exporter<'_>) -> f64 {
    exporter.metrics().sum("voided_total", &[])
}

#[test]
fn a_panic_of_the_driver_ends_neither_the_witness_nor_the_server_view() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static EVIL_FROM: AtomicU32 = AtomicU32::new(u32::MAX);
    static EVIL_TO: AtomicU32 = AtomicU32::new(u32::MAX);
    let peer = Peer::start(|scene: Scene| {
        let span = EVIL_FROM.load(Ordering::Relaxed)..EVIL_TO.load(Ordering::Relaxed);
        serve(scene, |number| span.contains(&number));
    });
    let exporter = launch(&peer);
    wait_until_ready(&exporter);
    // Two sessions that begin from now on make the driver panic, whoever's they are.
    EVIL_FROM.store(peer.accepted() + 1, Ordering::Relaxed);
    EVIL_TO.store(peer.accepted() + 3, Ordering::Relaxed);
    peer.cue();
    let deaths = exporter.wait_for_events("death", 2, Duration::from_secs(30));
    assert!(exporter.log().contains("panicked"), "the server was hostile: {}", exporter.log());
    assert_eq!(voided(&exporter), 0.0, "{}", exporter.log());
    assert!(exporter.metrics().sum("failed_rounds_total", &[]) >= 1.0);
    // Those that come after are judged as well.
    for round in 1..=2 {
        exporter.wait_for_metrics("new canaries", Duration::from_secs(40), |page| {
            page.sum("connections", &[]) >= 2.0 && page.sum("up", &[]) == 1.0
        });
        peer.cue();
        exporter.wait_for_events("death", deaths.len() + 2 * round, Duration::from_secs(30));
    }
    wait_until_ready(&exporter);
    assert_eq!(voided(&exporter), 0.0, "{}", exporter.log());
    assert!(exporter.events("loop_ended").is_empty(), "{}", exporter.log());
}

#[test]
fn a_server_that_makes_every_witness_panic_voids_no_death() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static EVIL_FROM: AtomicU32 = AtomicU32::new(u32::MAX);
    let peer = Peer::start(|scene: Scene| {
        serve(scene, |number| number >= EVIL_FROM.load(Ordering::Relaxed));
    });
    let exporter = launch(&peer);
    EVIL_FROM.store(peer.accepted() + 1, Ordering::Relaxed);
    peer.cue();
    exporter.wait_for_events("death", 2, Duration::from_secs(40));
    assert_eq!(voided(&exporter), 0.0, "{}", exporter.log());
    assert!(exporter.metrics().sum("failed_rounds_total", &[("loop", "witness")]) >= 3.0);
    let reason = wait_for("the word that it is blind", Duration::from_secs(10), || unready(&exporter));
    assert!(reason.contains("loop witness"), "{reason}");
}
