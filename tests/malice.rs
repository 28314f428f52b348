//! Servers that send what no server sends: the exporter does not panic, does not swell, says what it met, and
//! goes on.

use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::exporter::{Exporter, Launch};
use crate::lab::{Answers, Peer, Scene, Served, wait_for, wire};

/// How much more memory than a quiet exporter one may ever have had, in KiB.
const SWELLING: u64 = 64 * 1024;
/// What a quiet exporter needs at most, in KiB: about 20 MiB where this was written.
const QUIET: u64 = 48 * 1024;

/// What a good server of the flavor MySQL answers to session `id`, which began just now.
fn good_answers(id: u32) -> Answers {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    let (id, uptime) = (id.to_string(), (1_000 + STARTED.elapsed().as_secs()).to_string());
    let (id, uptime) = (id.as_str(), uptime.as_str());
    Answers::new()
        .rows("connection_id()", &["id"], &[&[id]])
        .rows(
            "connection_id() + 0, @@session.wait_timeout",
            &["id", "own", "global"],
            &[&[id, "28800", "28800"]],
        )
        .rows("like 'uptime'", &["Variable_name", "Value"], &[&["Uptime", uptime]])
        .rows(
            "show global status where",
            &["Variable_name", "Value"],
            &[&["Uptime", uptime], &["Threads_connected", "5"], &["Aborted_clients", "0"]],
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
fn evil_on_cue(evil: impl Fn(&Scene) + Send + Sync + 'static) -> Peer {
    Peer::start(move |mut scene: Scene| {
        if scene.log_in("9.7.0", scene.number).is_ok()
            && scene.serve(&good_answers(scene.number), None) == Served::Cued
        {
            evil(&scene);
            scene.stay_silent();
        }
    })
}

/// A server that does nothing but `evil`, from the first byte on.
fn evil_at_login(evil: impl Fn(&Scene) + Send + Sync + 'static) -> Peer {
    Peer::start(move |scene: Scene| evil(&scene))
}

/// A server that is good but for these bytes in answer to queries with `piece`.
fn evil_answer(piece: &'static str, bytes: Vec<u8>) -> Peer {
    Peer::start(move |mut scene: Scene| {
        if scene.log_in("9.7.0", scene.number).is_ok() {
            let answers = good_answers(scene.number).bytes(piece, bytes.clone());
            scene.serve(&answers, None);
        }
    })
}

/// Sends bytes; the exporter may hang up before their end.
fn send(scene: &Scene, bytes: &[u8]) {
    scene.send(bytes);
}

fn launch(peer: &Peer) -> Launch<'static> {
    Launch::at(&peer.addr().to_string()).ages("60s,120s").args(&["--canary.probe-timeout=2s"])
}

/// The most memory a process ever had, in KiB.
fn peak_memory(exporter: &Exporter<'_>) -> u64 {
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
    let peer = evil_on_cue(evil);
    let exporter = launch(&peer).start();
    exporter.wait_for_metrics("two canaries and a server view", Duration::from_secs(20), |page| {
        page.sum("connections", &[]) >= 2.0 && page.sum("up", &[]) == 1.0
    });
    assert!(peak_memory(&exporter) < QUIET, "a quiet exporter has {} KiB", peak_memory(&exporter));
    std::thread::sleep(Duration::from_secs(3));
    peer.cue();
    let deaths = exporter.wait_for_events("death", 2, Duration::from_secs(20));
    for death in &deaths {
        assert_eq!(death["ending"], "goodbye", "the server spoke: {death}");
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
fn side_by_side<T: Send>(cases: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| check(case));
        }
    });
}

/// A connect to a peer that does `evil` fails at this stage, and again, with these words.
#[track_caller]
fn fails(evil: impl Fn(&Scene) + Send + Sync + 'static, stage: &str, words: &str) {
    let peer = evil_at_login(evil);
    let exporter = launch(&peer).start();
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
fn greeting(plugin: &[u8], challenge: &[u8], told: u8) -> Vec<u8> {
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

const CHALLENGE: &[u8; 21] = b"abcdefghijklmnopqrst\0";

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
        (sha2(), vec![wire::packet(0, &[1])], "the login failed"),
        (sha2(), vec![wire::packet(0, &[1, 9])], "the login failed"),
        (
            native(),
            vec![vec![0xff, 0xff, 0xff, 0]],
            "the server answered the login with a packet of 16777215 bytes",
        ),
        (native(), vec![wire::packet(0, &random_bytes(20_000))], "the login failed"),
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
        (native(), vec![wire::packet(0, &[0xff])], "the login failed"),
        (native(), Vec::new(), "the connection broke during the login"),
        (
            native(),
            vec![wire::packet(0, &[&b"\xff\x15\x04#28000"[..], &[b'x'; 100_000]].concat())],
            "the server said \"xxxxx",
        ),
    ];
    side_by_side(cases, |(greeting, answers, words)| fails(converse(greeting, answers), "auth", words));
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

/// One kind of question is answered with `bytes`: the exporter tells it, and goes on.
#[track_caller]
fn answers_with(piece: &'static str, bytes: Vec<u8>, words: &str) {
    let peer = evil_answer(piece, bytes);
    let exporter = launch(&peer).start();
    wait_for(&format!("{words:?} in the log after an answer to {piece:?}"), Duration::from_secs(20), || {
        exporter.log().contains(words).then_some(())
    });
    check_well(&exporter);
    let accepted = peer.accepted();
    wait_for("another try", Duration::from_secs(20), || (peer.accepted() > accepted).then_some(()));
}

#[test]
fn answers_of_garbage() {
    let head = |columns: u64| wire::packet(1, &[&[0xfe], &columns.to_le_bytes()[..]].concat());
    let nonsense =
        |what: &str| format!("the server sent {what}, as no MySQL server does: the connection is given up");
    let empty = || (wire::packet(1, &[]), nonsense("an empty packet"));
    let without_columns = || (wire::packet(1, &[0xfc, 0, 0]), nonsense("a result set of 0 columns"));
    let with_columns =
        |columns: u64| (head(columns), nonsense(&format!("a result set of {columns} columns")));
    let cases = [
        ("connection_id()", empty()),
        ("connection_id()", without_columns()),
        ("show global status where", empty()),
        ("show global variables where", without_columns()),
        ("id, user, command, time", with_columns(1 << 24)),
        ("id, user, command, time", with_columns(1 << 40)),
        ("id, user, command, time", with_columns(u64::MAX)),
        ("like 'uptime'", (wire::packet(1, b"\xfb/etc/passwd"), nonsense("a request for a file of ours"))),
        ("like 'uptime'", (vec![0xff, 0xff, 0xff, 1], nonsense("a packet of 16777215 bytes"))),
    ];
    side_by_side(cases, |(piece, (bytes, words))| answers_with(piece, bytes, &words));
}

#[test]
fn an_answer_without_end() {
    let columns = ["ID", "USER", "COMMAND", "TIME"].map(str::to_owned);
    let row = ["999", &"u".repeat(200), "Sleep", "1"].map(|value| Some(value.to_owned()));
    let mut answer = wire::result_set(&columns, &vec![row.to_vec(); 60_000]);
    assert!(answer.len() > 12 << 20);
    // Its end never comes.
    answer.truncate(answer.len() - 9);
    let peer = evil_answer("id, user, command, time", answer);
    let exporter = launch(&peer).start();
    let words = "the server sent an answer of more than 8 MiB";
    wait_for("the end of an answer without end", Duration::from_secs(20), || {
        exporter.log().contains(words).then_some(())
    });
    check_well(&exporter);
}

#[test]
fn names_that_are_no_names() {
    let long = "x".repeat(60_000);
    let odd = "a\"b\\c\nd\u{7f}{}=,é";
    let columns = ["ID", "USER", "COMMAND", "TIME"].map(str::to_owned);
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    for (id, user, command, time) in [
        ("901", odd, "Sleep", "-5"),
        ("x", "app", odd, "nan"),
        ("902", "app", "Sleep", "99999999999999999999999"),
    ] {
        rows.push([id, user, command, time].iter().map(|value| Some((*value).to_owned())).collect());
    }
    rows.push(vec![None; 4]);
    rows.push(vec![Some("903".to_owned()), Some(long), Some("Sleep".to_owned()), Some("1".to_owned())]);
    let list = wire::result_set(&columns, &rows);
    let peer = evil_answer("id, user, command, time", list);
    let exporter = launch(&peer).start();
    let response = wait_for("sessions on the page", Duration::from_secs(20), || {
        let response = exporter.get("/metrics");
        response.body.contains("mysql_canary_sessions{").then_some(response)
    });
    assert!(response.body.contains(r#"user="a\"b\\c\nd"#), "label values are escaped:\n{}", response.body);
    assert_eq!(response.body.lines().filter(|line| line.starts_with("mysql_canary_up")).count(), 1);
    let log = exporter.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(peak_memory(&exporter) < QUIET + SWELLING);
}

#[test]
fn numbers_that_are_no_numbers() {
    let peer = Peer::start(|mut scene: Scene| {
        if scene.log_in("9.7.0", scene.number).is_err() {
            return;
        }
        let odd = [&["NULL"][..], &["-1"], &["many"]][scene.number as usize % 3];
        let answers = good_answers(scene.number)
            .rows("connection_id()", &["id"], &[odd])
            .rows("user_privileges", &["count"], &[odd])
            .rows("processlist where id = connection_id() + 0", &["count"], &[odd])
            .rows("processlist where id in", &["ID"], &[odd, &["18446744073709551616"]])
            .rows("like 'uptime'", &["Variable_name", "Value"], &[&["Uptime", odd[0]]]);
        if scene.serve(&answers, None) == Served::Cued {
            send(&scene, &wire::goodbye());
        }
    });
    let exporter = launch(&peer).start();
    for _ in 0..2 {
        let deaths = exporter.events("death").len();
        exporter.wait_for_metrics("canaries and a server view", Duration::from_secs(20), |page| {
            page.sum("connections", &[]) >= 3.0 && page.sum("up", &[]) == 1.0
        });
        peer.cue();
        exporter.wait_for_events("death", deaths + 2, Duration::from_secs(20));
    }
    check_well(&exporter);
}
