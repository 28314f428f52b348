//! Greetings that no server sends.

use std::time::Duration;

use super::{
    CHALLENGE, check_well, converse, evil_at_login, fails, greeting, launch, random_bytes, send, side_by_side,
};
use crate::lab::{Scene, wire};

#[test]
fn greetings_of_garbage() {
    const NO_GREETING: &str = "the first bytes are no MySQL greeting";
    let good = wire::greeting("9.7.0", 7);
    let overlong = greeting(b"caching_sha2_password\0", CHALLENGE, 0x81);
    let half_version = wire::packet(0, b"\x0a9.7.0 without an end");
    let cases = [
        (random_bytes(500), NO_GREETING),
        (vec![0; 64], NO_GREETING),
        (wire::packet(0, &[]), NO_GREETING),
        (vec![0xff, 0xff, 0xff, 0], NO_GREETING),
        (wire::packet(0, &random_bytes(4_000)), NO_GREETING),
        (wire::packet(0, b"\x0a"), NO_GREETING),
        (wire::packet(9, &good[4..]), NO_GREETING),
        (wire::packet(0, &good[4..40]), NO_GREETING),
        (half_version, NO_GREETING),
        (overlong, NO_GREETING),
        (good[..30].to_vec(), "the connection closed before a whole greeting came"),
        (good[..3].to_vec(), "the connection closed before a whole greeting came"),
        (Vec::new(), "the connection closed before a whole greeting came"),
        (wire::packet(0, b"\xff"), NO_GREETING),
        (wire::packet(0, &[&b"\xff\x15\x04"[..], &[b'x'; 4_000]].concat()), "the server said \"xxxxx"),
    ];
    side_by_side(cases, |(bytes, words)| fails(move |scene| send(scene, &bytes), "greeting", words));
}

#[test]
fn a_greeting_of_one_byte_a_second() {
    let words = "no whole greeting came within 2 s";
    let evil = |scene: &Scene| {
        scene.send_slowly(&wire::greeting("9.7.0", 7), Duration::from_secs(1));
    };
    fails(evil, "greeting", words);
}

#[test]
fn plugins_of_nonsense_in_the_greeting() {
    for plugin in [&b"nonsense\0"[..], b"\0", b"", b"\xff\xfe\xfd\0", &[b'p'; 3_000]] {
        let ok = wire::packet(0, &[0, 0, 0, 2, 0, 0, 0]);
        // Whatever it names, the client offers its own: the login goes on, and the first question hangs up.
        let evil = converse(greeting(plugin, CHALLENGE, 21), vec![ok]);
        let peer = evil_at_login(evil);
        let exporter = launch(&peer).start();
        exporter.wait_for_metrics("a login", Duration::from_secs(15), |page| {
            page.sum("connect_duration_seconds_count", &[]) >= 1.0
        });
        check_well(&exporter);
    }
}
