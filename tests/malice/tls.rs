//! The same under TLS, whose words are seen as well; and the ends that only TLS has.

use serde_json::Value;

use super::answers::{good_but, is_told};
use super::logins::stage;
use super::{
    CHALLENGE, converse, dies_at, evil_on_cue, fails_at, greeting, random_bytes, send, side_by_side,
};
use crate::lab::{Peer, Scene, TlsEnd, wire};

#[test]
fn logins_of_garbage_under_tls() {
    let native = || wire::greeting("9.7.0", 7);
    let sha2 = || greeting(b"caching_sha2_password\0", CHALLENGE, 21);
    let cases = [
        (native(), wire::packet(0, &[]), "the server answered the login with an empty packet"),
        (
            native(),
            vec![0xff, 0xff, 0xff, 0],
            "the server answered the login with a packet of 16777215 bytes",
        ),
        (
            native(),
            wire::packet(0, b"\xfecaching_sha2_password\0"),
            "the server answered the login with an empty challenge for the login",
        ),
        (native(), wire::packet(0, b"\xfemysql_clear_password\0abcdefghijklmnopqrst\0"), "the login failed"),
        (sha2(), wire::packet(0, &random_bytes(900)), "a packet of 900 bytes that has no place there"),
        (sha2(), wire::packet(0, &[1, 9]), "a packet of 2 bytes that has no place there"),
    ];
    side_by_side(cases, |(greeting, answer, words)| {
        let evil = converse(greeting, vec![answer]);
        fails_at(&Peer::start_tls(move |scene: Scene| evil(&scene)), stage(words), words);
    });
}

#[test]
fn answers_of_garbage_under_tls() {
    let nonsense =
        |what: &str| format!("the server sent {what}, as no MySQL server does: the connection is given up");
    let columns = wire::packet(1, &[&[0xfe], &(1_u64 << 40).to_le_bytes()[..]].concat());
    let cases = [
        ("connection_id()", wire::packet(1, &[]), nonsense("an empty packet")),
        (
            "show global variables where",
            wire::packet(1, &[0xfc, 0, 0]),
            nonsense("a result set of 0 columns"),
        ),
        ("id, user, command, time", columns, nonsense("a result set of 1099511627776 columns")),
        ("like 'uptime'", wire::packet(1, b"\xfb/etc/passwd"), nonsense("a request for a file of ours")),
    ];
    side_by_side(cases, |(piece, bytes, words)| {
        is_told(&Peer::start_tls(good_but(piece, bytes)), piece, &words);
    });
}

#[test]
fn endings_under_tls() {
    type Evil = Box<dyn Fn(&Scene) + Send + Sync>;
    let end = |end: TlsEnd| -> Evil { Box::new(move |scene: &Scene| scene.end_tls(end)) };
    let say = |bytes: Vec<u8>| -> Evil { Box::new(move |scene: &Scene| send(scene, &bytes)) };
    let cases = [
        ("goodbye", Value::from(4031), say(wire::goodbye())),
        ("goodbye", Value::from(4031), Box::new(in_three_records)),
        ("goodbye", Value::Null, say(random_bytes(3_000))),
        ("goodbye", Value::Null, end(TlsEnd::Garbage)),
        ("fin", Value::Null, end(TlsEnd::Alert)),
        ("fin", Value::Null, end(TlsEnd::AlertAndFin)),
        ("fin", Value::Null, end(TlsEnd::Fin)),
        ("reset", Value::Null, end(TlsEnd::AlertAndReset)),
    ];
    side_by_side(cases, |(ending, code, evil)| {
        let (_exporter, deaths) = dies_at(&Peer::start_tls(evil_on_cue(evil)));
        for death in deaths {
            assert_eq!((&death["ending"], &death["error_code"]), (&ending.into(), &code), "{death}");
        }
    });
}

/// A goodbye that does not come at once.
fn in_three_records(scene: &Scene) {
    let goodbye = wire::goodbye();
    for part in goodbye.chunks(goodbye.len().div_ceil(3)) {
        send(scene, part);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
