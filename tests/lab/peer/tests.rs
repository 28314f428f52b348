//! The scripted peer passes for a server with PyMySQL, and misbehaves where it should.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::lab::{Answers, Peer, Python, Scene, Served, wait_for, wire};
use crate::parts::observe;

#[test]
fn a_scripted_peer_passes_for_a_server_until_its_cue() {
    let peer = Peer::start(|mut scene: Scene| {
        let answers = Answers::new().rows("answer", &["answer", "nothing"], &[&["42", "NULL"]]).error(
            "forbidden",
            1142,
            "no",
        );
        scene.log_in("8.0.99-scripted", 7).expect("the client logs in");
        match scene.serve(&answers, None) {
            Served::Cued => {}
            other => return assert!(matches!(other, Served::Quit | Served::HungUp)),
        }
        match scene.number {
            1 => drop(scene.send(&wire::goodbye())),
            2 => scene.reset(),
            3 => drop(scene.send(&wire::goodbye()[..9])),
            _ => scene.stay_silent(),
        }
    });
    let mut watchers: Vec<Python> = (0..4)
        .map(|_| {
            let mut watcher = observe(&[], peer.addr(), &["watch", "30"]);
            assert_eq!(watcher.event("connected")["version"], "8.0.99-scripted");
            watcher
        })
        .collect();
    let rows = observe(&[], peer.addr(), &["query", "SELECT the answer"]).event("rows");
    assert_eq!(rows["rows"][0], serde_json::json!(["42", null]));
    assert_eq!(peer.accepted(), 5);
    peer.cue();
    let ends: Vec<(Value, Value)> = watchers
        .iter_mut()
        .take(3)
        .map(|watcher| watcher.event("ended"))
        .map(|end| (end["how"].clone(), end["received"].clone()))
        .collect();
    assert_eq!(ends[0].0, "fin");
    assert_eq!(&ends[0].1.as_str().expect("hexadecimal")[6..14], "00ffbf0f");
    assert_eq!(ends[1], ("reset".into(), "".into()));
    assert_eq!(ends[2], ("fin".into(), "91000000ffbf0f2348".into()));
    assert_eq!(watchers[3].event_within("ended", Duration::from_secs(1)), None);
    assert!(peer.open() <= 1);
}

#[test]
fn a_scripted_peer_misbehaves_before_the_login_too() {
    assert!(TcpStream::connect(Peer::refusing()).is_err());
    let peer = Peer::start(|mut scene: Scene| match scene.number {
        1 => drop(scene.send(&wire::error_before_login(1040, "Too many connections"))),
        2 => drop(scene.send_slowly(&wire::greeting("8.0.99", 1), Duration::from_millis(20))),
        3 => {
            scene.wait_for_cue();
            assert_eq!(scene.read_some(), b"anything");
            scene.send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
        _ => {
            scene.log_in("8.0.99", 1).expect("the client logs in");
            let answers = Answers::new().bytes("garbage", b"\x03\0\0\x01\xfe\xfe\xfe".to_vec());
            assert_eq!(scene.serve(&answers, Some(Duration::from_secs(1))), Served::Idle);
        }
    });
    assert_eq!(observe(&[], peer.addr(), &["query", "SELECT 1"]).event("refused")["code"], 1040);
    let mut slow = TcpStream::connect(peer.addr()).expect("the peer listens");
    let mut greeting = Vec::new();
    slow.read_to_end(&mut greeting).expect("the whole greeting comes");
    assert_eq!(greeting, wire::greeting("8.0.99", 1));
    let mut third = TcpStream::connect(peer.addr()).expect("the peer listens");
    third.write_all(b"anything").expect("the peer listens");
    wait_for("the third connection", Duration::from_secs(5), || (peer.accepted() == 3).then_some(()));
    peer.cue();
    let mut answer = String::new();
    third.read_to_string(&mut answer).expect("the peer answers and closes");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let ended = observe(&[], peer.addr(), &["watch", "5"]).event("ended");
    assert_eq!(ended["how"], "fin");
}
