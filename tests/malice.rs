//! Servers that send what no server sends: the exporter does not panic, does not swell, says what it met, and
//! goes on.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::exporter::{Exporter, Launch};
use crate::lab::{Answers, Peer, Scene, Served, UPTIME, wait_for, wire};

mod answers;
mod greetings;
mod logins;
mod tls;

/// How much more memory than a quiet exporter one may ever have had, in KiB.
const SWELLING: u64 = 64 * 1024;
/// What a quiet exporter needs at most, in KiB: about 20 MiB where this was written.
const QUIET: u64 = 48 * 1024;

/// What a good server of the flavor MySQL answers to session `id`, which began just now.
pub(crate) fn good_answers(id: u64) -> Answers {
    let id = &*id.to_string();
    Answers::new()
        .rows("connection_id()", &["id"], &[&[id]])
        .rows(
            "connection_id() + 0, @@session.wait_timeout",
            &["id", "own", "global"],
            &[&[id, "28800", "28800"]],
        )
        .rows("like 'uptime'", &["Variable_name", "Value"], &[&["Uptime", UPTIME]])
        .rows(
            "show global status where",
            &["Variable_name", "Value"],
            &[&["Uptime", UPTIME], &["Threads_connected", "5"], &["Aborted_clients", "0"]],
        )
        .rows(
            "show global variables where",
            &["Variable_name", "Value"],
            &[&["server_uuid", "11111111-2222-3333-4444-555555555555"], &["max_connections", "151"]],
        )
        .rows("user_privileges", &["count"], &[&["1"]])
        .rows("processlist where id = connection_id() + 0", &["count"], &[&["1"]])
        .rows("id, user, command, time", &["ID", "USER", "COMMAND", "TIME"], &[&["999", "app", "Sleep", "7"]])
        .rows("processlist where id in", &["ID"], &[])
}

/// A server that is good to all until the cue, and then does `evil` to every session there is, without having
/// been asked anything.
fn evil_on_cue(evil: impl Fn(&Scene) + Send + Sync + 'static) -> impl Fn(Scene) + Send + Sync + 'static {
    move |mut scene: Scene| {
        if scene.log_in("9.7.0", scene.number).is_ok()
            && scene.serve(&good_answers(scene.number.into()), None) == Served::Cued
        {
            evil(&scene);
            scene.stay_silent();
        }
    }
}

/// A server that does nothing but `evil`, from the first byte on.
fn evil_at_login(evil: impl Fn(&Scene) + Send + Sync + 'static) -> Peer {
    Peer::start(move |scene: Scene| evil(&scene))
}

/// Sends bytes; the exporter may hang up before their end.
fn send(scene: &Scene, bytes: &[u8]) {
    scene.send(bytes);
}

fn launch(peer: &Peer) -> Launch<'static> {
    Launch::at(&peer.addr().to_string()).ages("60s,120s").args(&["--canary.probe-timeout=2s"])
}

/// The most memory a process ever had, in KiB.
pub(crate) fn peak_memory(exporter: &Exporter<'_>) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", exporter.pid())).expect("the exporter runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse().expect("it is a number")
}

/// It has not panicked and not swollen, and it answers.
#[track_caller]
fn check_well(exporter: &Exporter<'_>) {
    let log = exporter.log();
    for word in ["panicked", "life_lost", "memory allocation"] {
        assert!(!log.contains(word), "{word} in\n{log}");
    }
    let peak = peak_memory(exporter);
    assert!(peak < QUIET + SWELLING, "it once had {peak} KiB");
    assert_eq!(exporter.get("/-/healthy").status, 200);
    assert!(exporter.metrics().text().len() < 200_000, "the page does not swell either");
    assert!(log.lines().all(|line| line.len() < 5_000), "no line of the log is endless");
}

/// Canaries are held; then every one of them meets `evil`, and its death is told.
#[track_caller]
fn dies_of(evil: impl Fn(&Scene) + Send + Sync + 'static) -> (Exporter<'static>, Vec<Value>) {
    let (exporter, deaths) = dies_at(&Peer::start(evil_on_cue(evil)));
    for death in &deaths {
        assert_eq!(death["ending"], "goodbye", "the server spoke: {death}");
    }
    (exporter, deaths)
}

/// The same, whatever the ending.
#[track_caller]
fn dies_at(peer: &Peer) -> (Exporter<'static>, Vec<Value>) {
    let exporter = launch(peer).start();
    exporter.wait_for_metrics("two canaries and a server view", Duration::from_secs(20), |page| {
        page.sum("connections", &[]) >= 2.0 && page.sum("up", &[]) == 1.0
    });
    assert!(peak_memory(&exporter) < QUIET, "a quiet exporter has {} KiB", peak_memory(&exporter));
    std::thread::sleep(Duration::from_secs(3));
    peer.cue();
    let deaths = exporter.wait_for_events("death", 2, Duration::from_secs(20));
    for death in &deaths {
        let age = death["age_seconds"].as_f64().expect("a death has an age");
        assert!(age < 20.0, "{death}");
    }
    // New ones take the places of the dead.
    exporter.wait_for_metrics("new canaries", Duration::from_secs(20), |page| {
        page.sum("connections", &[]) >= 2.0 && page.sum("up", &[]) == 1.0
    });
    check_well(&exporter);
    (exporter, deaths)
}

fn random_bytes(length: usize) -> Vec<u8> {
    // A generator of its own, so that a failure comes again: Knuth's MMIX.
    let mut state = 20_260_101_u64;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .collect()
}

#[test]
fn the_goodbye_of_wait_timeout_at_an_age_that_is_not_its_own() {
    let (_exporter, deaths) = dies_of(|scene| send(scene, &wire::goodbye()));
    for death in deaths {
        assert_eq!(
            (&death["culprit"], &death["error_code"]),
            (&"server_idle_timeout".into(), &4031.into()),
            "{death}"
        );
    }
}

#[test]
fn error_1927_is_a_kill() {
    let (_exporter, deaths) = dies_of(|scene| send(scene, &wire::error(0, 1927, "Connection was killed")));
    for death in deaths {
        assert_eq!(
            (&death["culprit"], &death["error_code"]),
            (&"server_kill".into(), &1927.into()),
            "{death}"
        );
    }
}

#[test]
fn half_a_goodbye() {
    let (_exporter, deaths) = dies_of(|scene| send(scene, &wire::goodbye()[..40]));
    for death in deaths {
        assert_eq!(death["error_code"], Value::Null, "half an error has no code: {death}");
    }
}

#[test]
fn random_bytes_out_of_turn() {
    let (_exporter, deaths) = dies_of(|scene| send(scene, &random_bytes(3_000)));
    for death in deaths {
        assert_eq!(death["error_code"], Value::Null, "{death}");
    }
}

#[test]
fn sixteen_megabytes_out_of_turn() {
    let (_exporter, deaths) = dies_of(|scene| {
        send(scene, &[&[0xff, 0xff, 0xff, 0][..], &random_bytes(0xff_ffff)].concat());
    });
    assert!(deaths.len() >= 2);
}

/// Runs every case in a thread of its own: most of their time they wait.
pub(crate) fn side_by_side<T: Send>(cases: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| check(case));
        }
    });
}

/// A connect to a peer that does `evil` fails at this stage, and again, with these words.
#[track_caller]
fn fails(evil: impl Fn(&Scene) + Send + Sync + 'static, stage: &str, words: &str) {
    fails_at(&evil_at_login(evil), stage, words);
}

/// The same at any peer.
#[track_caller]
fn fails_at(peer: &Peer, stage: &str, words: &str) {
    let exporter = launch(peer).start();
    let failure = exporter.wait_for_events("connect_failed", 1, Duration::from_secs(15)).remove(0);
    let message = failure["msg"].as_str().expect("a failure has a message");
    assert!(message.contains(words), "{message:?} does not say {words:?}");
    assert_eq!(failure["stage"], stage, "{failure}");
    if stage == "greeting" {
        exporter.wait_for_events("connect_failed", 2, Duration::from_secs(15));
    }
    check_well(&exporter);
    wait_for("the exporter's end of the connections", Duration::from_secs(10), || {
        (peer.open() <= 1).then_some(())
    });
}

/// A greeting that names this plugin, with a challenge that says it has this many bytes.
pub(crate) fn greeting(plugin: &[u8], challenge: &[u8], told: u8) -> Vec<u8> {
    let usual = wire::greeting("9.7.0", 7);
    let mut payload = usual[4..].to_vec();
    let first = 1 + "9.7.0".len() + 1 + 4;
    payload[first..first + 8].copy_from_slice(&challenge[..8]);
    payload[first + 8 + 8] = told;
    payload.truncate(first + 8 + 8 + 1 + 10);
    payload.extend_from_slice(&challenge[8..]);
    payload.extend_from_slice(plugin);
    wire::packet(0, &payload)
}

pub(crate) const CHALLENGE: &[u8; 21] = b"abcdefghijklmnopqrst\0";

/// Greets with `greeting`, reads the login, sends `answers` one by one, each after what the client says.
fn converse(greeting: Vec<u8>, answers: Vec<Vec<u8>>) -> impl Fn(&Scene) + Send + Sync + 'static {
    move |scene: &Scene| {
        scene.send(&greeting);
        for answer in &answers {
            let Ok((sequence, _)) = wire::read_packet(&*scene.stream) else { return };
            let mut answer = answer.clone();
            if let Some(theirs) = answer.get_mut(3) {
                *theirs = sequence.wrapping_add(1);
            }
            scene.send(&answer);
        }
        // What the client says last is read, so that it is not answered with RST.
        let _ = wire::read_packet(&*scene.stream);
    }
}
