//! Answers to the login that no server gives.

use std::time::Duration;

use super::{CHALLENGE, converse, fails, greeting, random_bytes, side_by_side};
use crate::lab::{Scene, wire};

#[test]
fn logins_of_garbage() {
    let sha2 = || greeting(b"caching_sha2_password\0", CHALLENGE, 21);
    let native = || wire::greeting("9.7.0", 7);
    let switch = |text: &[u8]| wire::packet(0, &[&[0xfe], text].concat());
    let (full, ask) =
        (wire::packet(0, &[1, 4]), "the server answered the login with something else than its RSA key");
    let key = |pem: &str| wire::packet(0, &[&[1], pem.as_bytes()].concat());
    let tiny_key =
        "-----BEGIN PUBLIC KEY-----\nMBswDQYJKoZIhvcNAQEBBQADCgAwBwICBnUCAQM=\n-----END PUBLIC KEY-----\n";
    let cases = [
        (native(), vec![wire::packet(0, &[])], "the server answered the login with an empty packet"),
        (sha2(), vec![wire::packet(0, &[])], "the server answered the login with an empty packet"),
        (
            sha2(),
            vec![full.clone(), wire::packet(0, &[])],
            "the server answered the login with an empty packet",
        ),
        (sha2(), vec![full.clone(), key("")], ask),
        (sha2(), vec![full.clone(), key("no key at all")], ask),
        (sha2(), vec![full.clone(), wire::packet(0, &random_bytes(900))], ask),
        (
            sha2(),
            vec![full.clone(), key("-----BEGIN PUBLIC KEY-----\n====\n-----END PUBLIC KEY-----\n")],
            ask,
        ),
        (sha2(), vec![full, key(tiny_key)], ask),
        (sha2(), vec![wire::packet(0, &[1])], "the server answered the login with a packet of 1 bytes"),
        (sha2(), vec![wire::packet(0, &[1, 9])], "the server answered the login with a packet of 2 bytes"),
        (
            sha2(),
            vec![[wire::packet(0, &[1, 3]), wire::packet(3, &[1, 3])].concat()],
            "the server answered the login with something else than OK to a login that it took",
        ),
        (
            native(),
            vec![[wire::ok(0), wire::ok(3)].concat()],
            "the server answered the login with more than was asked for",
        ),
        (
            native(),
            vec![vec![0xff, 0xff, 0xff, 0]],
            "the server answered the login with a packet of 16777215 bytes",
        ),
        (
            native(),
            vec![wire::packet(0, &random_bytes(20_000))],
            "a packet of 20000 bytes that has no place there",
        ),
        (
            native(),
            vec![switch(b"caching_sha2_password\0")],
            "the server answered the login with an empty challenge for the login",
        ),
        (native(), vec![switch(b"no_such_plugin\0abcdefghijklmnopqrst\0")], "no_such_plugin"),
        (native(), vec![switch(&random_bytes(600))], "the login failed"),
        (native(), vec![switch(b"mysql_clear_password\0abcdefghijklmnopqrst\0")], "the login failed"),
        (native(), vec![switch(b"mysql_old_password\0abcdefgh\0")], "the login failed"),
        (native(), vec![wire::packet(0, &[0xfe])], "the login failed"),
        (
            native(),
            vec![wire::packet(0, &[0xff])],
            "the server answered the login with an error without a code",
        ),
        (native(), Vec::new(), "the connection broke during the login"),
        (
            native(),
            vec![wire::packet(0, &[&b"\xff\x15\x04#28000"[..], &[b'x'; 100_000]].concat())],
            "the server said \"xxxxx",
        ),
    ];
    side_by_side(cases, |(greeting, answers, words)| fails(converse(greeting, answers), stage(words), words));
}

/// What no server says has a stage of its own.
pub(super) fn stage(words: &str) -> &'static str {
    let nonsense =
        words.starts_with("the server answered the login") || words.ends_with("has no place there");
    if nonsense { "nonsense" } else { "auth" }
}

#[test]
fn a_login_of_one_byte_a_second() {
    let words = "no answer to the login within 2 s";
    let evil = |scene: &Scene| {
        scene.send(&wire::greeting("9.7.0", 7));
        if let Ok((sequence, _)) = wire::read_packet(&*scene.stream) {
            scene.send_slowly(&wire::ok(sequence.wrapping_add(1)), Duration::from_secs(1));
        }
    };
    fails(evil, "auth", words);
}
