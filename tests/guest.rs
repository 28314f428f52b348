//! The exporter is a guest: how often it logs in, what it asks, what it lets out, and what it blames on its
//! host.

use std::fs;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::exporter::{Exporter, Launch};
use crate::lab::place::PrivateDir;
use crate::lab::{Answers, MariaDb, MariaDbOptions, Peer, Scene, Served, wait_for, wire};
use crate::malice::{good_answers, side_by_side};

/// What a canary asks at its birth, the witness after a death and the server view in each round: by a piece
/// of the question that a server may refuse, whether canaries ask it, and what it is called in the log.
const QUESTIONS: [(&str, Option<&str>); 10] = [
    ("select connection_id()", Some("CONNECTION_ID()")),
    ("@@session.wait_timeout", Some("@@session.wait_timeout")),
    ("@@global.wait_timeout", Some("@@global.wait_timeout")),
    ("like 'uptime'", Some("SHOW GLOBAL STATUS LIKE 'Uptime'")),
    ("show global status where", None),
    ("show global variables", Some("SHOW GLOBAL VARIABLES")),
    ("set session wait_timeout", Some("SET SESSION wait_timeout")),
    ("processlist", None),
    ("user_privileges", None),
    // Everything.
    ("", Some("CONNECTION_ID()")),
];

/// A good server's answers to one session, but for the questions with this piece.
fn answers_but(id: u32, refused: &str) -> Answers {
    let text = id.to_string();
    let id_alone: &[&[&str]] = &[&[&text]];
    good_answers(id.into())
        .rows("select @@session.wait_timeout", &["own"], &[&["28800"]])
        .rows("select @@global.wait_timeout", &["global"], &[&["28800"]])
        .rows("select connection_id() + 0 ", &["id"], id_alone)
        .error(refused, 1227, "Access denied; you need (at least one of) a privilege for this operation")
}

/// A server that refuses the questions with this piece, and hangs up on every session at the cue.
fn refusing(refused: &'static str) -> Peer {
    Peer::start(move |mut scene: Scene| {
        if scene.log_in("9.7.0", scene.number).is_ok() {
            let _ = scene.serve(&answers_but(scene.number, refused), None);
        }
    })
}

#[test]
fn no_refused_question_keeps_canaries_or_their_witness_away() {
    side_by_side(QUESTIONS, |(refused, told)| {
        let peer = refusing(refused);
        let exporter = Launch::at(&peer.addr().to_string()).ages("60s,120s").start();
        exporter.wait_for_metrics("two canaries and a server view", Duration::from_secs(30), |page| {
            page.sum("connections", &[]) >= 2.0 && page.sum("up", &[]) == 1.0
        });
        let said = exporter.events("question_refused");
        let of_it = said.iter().filter(|event| {
            event["msg"]
                .as_str()
                .is_some_and(|msg| told.is_some_and(|told| msg.contains(&format!("{told:?}"))))
        });
        assert_eq!(of_it.count(), usize::from(told.is_some()), "{refused:?} once, not for each: {said:?}");
        peer.cue();
        let deaths = exporter.wait_for_events("death", 2, Duration::from_secs(30));
        assert!(deaths.iter().all(|death| death["ending"] == "fin"), "{refused:?}: {deaths:?}");
        let page = exporter.metrics();
        assert_eq!(page.sum("voided_total", &[]), 0.0, "{refused:?}: the witness was heard");
        assert_eq!(page.sum("connect_failures_total", &[]), 0.0, "{refused:?}: {}", exporter.log());
    });
}

/// A canary needs a login and a ping: a question that is never answered costs two sessions, and then rests.
#[test]
fn no_question_that_hangs_or_breaks_the_connection_keeps_canaries_away() {
    let hang = |piece: &'static str| (piece, Some(Vec::new()));
    // The last one is answered with what breaks the connection.
    let cases = [
        hang("connection_id() + 0, @@session.wait_timeout"),
        hang("like 'uptime'"),
        hang("in ('server_uuid'"),
        hang("set session wait_timeout"),
        hang("user, host, @@global"),
        ("like 'uptime'", None),
    ];
    side_by_side(cases, |(piece, answer)| {
        let peer = Peer::start(move |mut scene: Scene| {
            if scene.log_in("9.7.0", scene.number).is_ok() {
                let answers = good_answers(scene.number.into());
                let nonsense = wire::packet(9, b"\x01");
                scene.serve(&answers.bytes(piece, answer.clone().unwrap_or(nonsense)), None);
            }
        });
        let args = ["--canary.probe-timeout=1s"];
        let exporter = Launch::at(&peer.addr().to_string()).ages("2s,60s").args(&args).start();
        exporter.wait_for_metrics(piece, Duration::from_secs(50), |page| {
            page.sum("lives_total", &[]) >= 1.0 && page.sum("connections", &[]) >= 1.0
        });
        assert!(
            (1..=3).contains(&exporter.events("question_unanswered").len()),
            "{piece}: {}",
            exporter.log()
        );
        assert!(peer.accepted() < 24, "{piece}: {} logins", peer.accepted());
    });
}

/// Ten places in all: the applications keep two, and get more when they come for them.
#[test]
fn a_small_server_is_not_filled_with_canaries() {
    let server = MariaDb::start(MariaDbOptions::with_args(&["--max-connections=10"]));
    let exporter = Launch::on(&server).interval("1s").start();
    let ours = || server.processlist().iter().filter(|row| row.user == "canary").count();
    let begun = Instant::now();
    // One that has said goodbye may be listed for a moment more: what is held is there at three looks in a row.
    let (mut most, mut last) = (0, [0; 2]);
    while begun.elapsed() < Duration::from_secs(8) {
        let now = ours();
        most = most.max(now.min(last[0]).min(last[1]));
        last = [now, last[0]];
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!((4..=8).contains(&most), "{most} sessions:\n{}", exporter.log());
    // They come one by one, faster than the server view looks: each finds a place, for canaries give theirs back.
    std::thread::scope(|scope| {
        let comers: Vec<_> = (0..5)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(2500));
                scope.spawn(|| server.try_sql("SELECT SLEEP(14)"))
            })
            .collect();
        for comer in comers {
            let answer = comer.join().expect("nothing panics there");
            assert!(answer.is_ok(), "{answer:?}:\n{}", exporter.log());
        }
    });
    assert_eq!(exporter.metrics().sum("connect_failures_total", &[]), 0.0, "{}", exporter.log());
}

/// A server that ends every session sooner than the next round: the view's own is not left to that.
#[test]
fn a_short_wait_timeout_makes_no_aborted_client_of_each_round() {
    let server = MariaDb::start(MariaDbOptions::with_args(&["--wait-timeout=1"]));
    let exporter =
        Launch::on(&server).ages("600s").interval("3s").args(&["--canary.max-connections=4"]).start();
    exporter.wait_for_events("server_view_without_pauses", 1, Duration::from_secs(30));
    let lost = exporter.events("server_view_lost").len();
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!(exporter.events("server_view_lost").len(), lost, "{}", exporter.log());
    assert_eq!(exporter.metrics().one("up", &[]), 1.0);
}

/// An account that may ask nothing any more may still log in and ping.
#[test]
fn an_account_that_may_ask_one_question_an_hour_gets_canaries() {
    let server = MariaDb::start(MariaDbOptions::default());
    server.sql("ALTER USER 'canary'@'%' WITH MAX_QUERIES_PER_HOUR 1");
    let exporter = Launch::on(&server).ages("2s,60s").start();
    let page = exporter.wait_for_metrics("survivals", Duration::from_secs(30), |page| {
        page.sum("connections", &[]) >= 1.0 && page.sum("lives_total", &[]) >= 1.0
    });
    assert_eq!(page.sum("connect_failures_total", &[]), 0.0, "{}", exporter.log());
    assert!(!exporter.events("question_refused").is_empty());
}

/// The server's `Uptime`, 1,000 s at first, goes on or not, seen by the witness of canaries that a peer hung up on.
/// `then` makes what it says from what it would have said, and from the seconds since the peer changed its mind.
fn ends_after(then: fn(u64, u64) -> u64) -> Vec<Value> {
    let changed = Arc::new(OnceLock::new());
    let begun = Instant::now();
    let stage = Arc::clone(&changed);
    let peer = Peer::start(move |mut scene: Scene| {
        let up = 1_000 + begun.elapsed().as_secs();
        let said = stage.get().map_or(up, |changed: &Instant| then(up, changed.elapsed().as_secs()));
        let answers = good_answers(scene.number.into()).rows(
            "like 'uptime'",
            &["Variable_name", "Value"],
            &[&["Uptime", &said.to_string()]],
        );
        if scene.log_in("9.7.0", scene.number).is_ok() && scene.serve(&answers, None) == Served::Cued {
            // Many that end at one instant would be another story.
            let _ = scene.serve(&answers, Some(Duration::from_millis(2_500) * scene.number));
        }
    });
    let exporter = Launch::at(&peer.addr().to_string()).ages("60s,120s").start();
    exporter.wait_for_metrics("two canaries", Duration::from_secs(20), |page| {
        page.sum("connections", &[]) >= 2.0 && page.sum("up", &[]) == 1.0
    });
    // Longer than Uptime's own slack.
    std::thread::sleep(Duration::from_secs(5));
    changed.set(Instant::now()).expect("once");
    peer.cue();
    // Where the server counted more time than this machine, either of the two may have stood still: void. One
    // that is not decided waits for company; after the first, others are recalled before they are hung up on.
    wait_for("an end", Duration::from_secs(90), || {
        let ends = [exporter.events("death"), exporter.events("void")].concat();
        (!ends.is_empty()).then_some(ends)
    })
}

#[test]
fn a_server_clock_that_is_set_is_no_restart() {
    type Then = fn(u64, u64) -> u64;
    let cases: [(&str, Then, bool); 3] = [
        ("set back", |up, _| up - 6, false),
        ("set forward", |up, _| up + 100, false),
        ("restarted", |_, since| since, true),
    ];
    side_by_side(cases, |(what, then, restarted)| {
        for death in ends_after(then) {
            assert_eq!(death["culprit"] == "server_restart", restarted, "{what}: {death}");
        }
    });
}

/// How many connections a peer accepted from an exporter with the shortest ages, within this time.
fn accepted(scene: impl Fn(Scene) + Send + Sync + 'static, within: Duration) -> (u32, String) {
    let peer = Peer::start(scene);
    let exporter = Launch::at(&peer.addr().to_string())
        .ages("1s")
        .args(&["--canary.max-connections=100", "--canary.precision=0.1%"])
        .start();
    std::thread::sleep(within);
    (peer.accepted(), exporter.log())
}

#[test]
fn no_server_makes_it_hammer() {
    let within = Duration::from_secs(20);
    type Play = fn(Scene);
    let cases: [(&str, Play, u32); 4] = [
        // Rests of 4 and 8 s.
        ("accepts the login and closes", |scene| drop(scene.log_in("9.7.0", scene.number)), 5),
        (
            "accepts the login and refuses init_connect",
            |scene| {
                if scene.log_in("9.7.0", scene.number).is_ok() && wire::read_packet(&*scene.stream).is_ok() {
                    scene.send(&wire::error(
                        1,
                        1184,
                        "Aborted connection to db: (init_connect command failed)",
                    ));
                }
            },
            5,
        ),
        // Rests of 15 s.
        (
            "refuses every login",
            |scene| {
                scene.send(&wire::greeting("9.7.0", scene.number));
                if wire::read_packet(&*scene.stream).is_ok() {
                    scene.send(&wire::error(2, 1045, "Access denied"));
                }
            },
            3,
        ),
        // 60 at once and five a second.
        (
            "ends every session after a moment",
            |mut scene| {
                if scene.log_in("9.7.0", scene.number).is_ok() {
                    scene.serve(&good_answers(scene.number.into()), Some(Duration::from_millis(30)));
                }
            },
            161,
        ),
    ];
    side_by_side(cases, |(what, play, most)| {
        let (count, log) = accepted(play, within);
        assert!((1..=most).contains(&count), "{what}: {count} logins in {within:?}\n{log}");
    });
}

/// A rogue that asks for the password itself hears neither it nor a question for a key.
#[test]
fn no_server_talks_the_password_out_of_it() {
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (switch, direct) = (Arc::clone(&heard), Arc::clone(&heard));
    let ask = |heard: &Arc<std::sync::Mutex<Vec<u8>>>, scene: &Scene, sequence: u8| {
        scene.send(&wire::packet(sequence, &[1, 4]));
        let said = scene.read_some();
        heard.lock().expect("no panic").extend(said);
    };
    let peers = [
        Peer::start(move |scene: Scene| {
            scene.send(&wire::greeting("9.7.0", scene.number));
            let Ok((sequence, _)) = wire::read_packet(&*scene.stream) else { return };
            let plugin = b"\xfecaching_sha2_password\0abcdefghijklmnopqrst\0";
            scene.send(&wire::packet(sequence.wrapping_add(1), plugin));
            let Ok((sequence, scramble)) = wire::read_packet(&*scene.stream) else { return };
            assert_eq!(scramble.len(), 32);
            ask(&switch, &scene, sequence.wrapping_add(1));
        }),
        Peer::start(move |scene: Scene| {
            scene.send(&crate::malice::greeting(b"caching_sha2_password\0", crate::malice::CHALLENGE, 21));
            let Ok((sequence, _)) = wire::read_packet(&*scene.stream) else { return };
            ask(&direct, &scene, sequence.wrapping_add(1));
        }),
    ];
    for peer in peers {
        let exporter = Launch::at(&peer.addr().to_string()).verifying().start();
        let failure = exporter.wait_for_events("connect_failed", 1, Duration::from_secs(20)).remove(0);
        assert_eq!(failure["stage"], "auth");
        let message = failure["msg"].as_str().expect("a failure has a message");
        for way in ["--mysql.tls-mode=verify-identity", "--mysql.get-server-public-key", "log in once"] {
            assert!(message.contains(way), "{message}");
        }
    }
    assert_eq!(*heard.lock().expect("no panic"), b"", "it hung up instead");
}

#[test]
fn a_password_that_was_changed_is_taken_up_from_its_file() {
    let dir = PrivateDir::new();
    let (word, options) = (dir.path().join("password"), dir.path().join("my.cnf"));
    let write = |password: &str| {
        fs::write(&word, format!("{password}\n")).expect("the directory is ours");
        fs::write(&options, format!("[client]\nuser=canary\npassword={password}\n"))
            .expect("the directory is ours");
    };
    write("canary-secret");
    let server = MariaDb::start(MariaDbOptions::default());
    // An empty variable is none.
    let start = |arg: String| Launch::on(&server).user("canary", "").ages("2s,60s").args(&[&arg]).start();
    let exporters = [
        start(format!("--mysql.password-file={}", word.display())),
        start(format!("--mysql.defaults-file={}", options.display())),
    ];
    for exporter in &exporters {
        exporter.wait_for_metrics("canaries", Duration::from_secs(20), |page| {
            page.sum("lives_total", &[]) >= 1.0
        });
    }
    fs::remove_file(&word).expect("it is there");
    fs::remove_file(&options).expect("it is there");
    server.sql("ALTER USER 'canary'@'%' IDENTIFIED BY 'another'");
    for exporter in &exporters {
        // Its file is not there while it is read anew before the second try.
        exporter.wait_for_events("password_unreadable", 1, Duration::from_secs(40));
    }
    write("another");
    for exporter in &exporters {
        exporter.wait_for_events("password_changed", 1, Duration::from_secs(60));
        exporter.wait_for_metrics("canaries again", Duration::from_secs(20), |page| {
            page.sum("suspended", &[]) == 0.0 && page.sum("connections", &[]) >= 1.0
        });
        let log = exporter.log();
        assert!(!log.contains("another\"") && !log.contains("canary-secret"), "{log}");
    }
}

/// The limit on open files of a running exporter, soft and hard.
fn open_files_limit(exporter: &Exporter<'_>) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{}/limits", exporter.pid())).expect("it runs");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("Linux tells it");
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    (words[3].to_owned(), words[4].to_owned())
}

fn set_open_files_limit(exporter: &Exporter<'_>, soft: usize) {
    let set = Command::new("prlimit")
        .args([format!("--pid={}", exporter.pid()), format!("--nofile={soft}:")])
        .status()
        .expect("prlimit can be run");
    assert!(set.success());
}

#[test]
fn the_soft_limit_on_open_files_is_raised() {
    let address = Peer::refusing().to_string();
    let exporter = Launch::at(&address).under(&["prlimit", "--nofile=100:2000"]).start();
    assert_eq!(open_files_limit(&exporter), ("2000".to_owned(), "2000".to_owned()));
}

#[test]
fn running_out_of_descriptors_is_not_blamed_on_the_server() {
    let server = MariaDb::start(MariaDbOptions::default());
    for address in [server.addr().to_string(), format!("localhost:{}", server.port())] {
        let exporter = Launch::at(&address).ages("1s,60s").start();
        exporter
            .wait_for_metrics("lives", Duration::from_secs(20), |page| page.sum("lives_total", &[]) >= 1.0);
        let refused = server.status("Aborted_connects");
        // From none at all to some more than are open: the lack is met at each step of a connect.
        let open = exporter.open_files();
        for room in 0..6 {
            set_open_files_limit(&exporter, (open + room).saturating_sub(3));
            std::thread::sleep(Duration::from_millis(1_500));
        }
        set_open_files_limit(&exporter, 5);
        let failures = exporter.wait_for_events("connect_failed", 1, Duration::from_secs(30));
        set_open_files_limit(&exporter, 1_000);
        let page = exporter.wait_for_metrics("canaries again", Duration::from_secs(40), |page| {
            page.sum("suspended", &[]) == 0.0 && page.sum("up", &[]) == 1.0
        });
        for failure in failures {
            assert_eq!(failure["stage"], "local", "{failure}");
            assert!(failure["msg"].as_str().is_some_and(|msg| msg.contains("LimitNOFILE=")), "{failure}");
        }
        let all = page.sum("connect_failures_total", &[]);
        assert!(all >= 1.0);
        assert_eq!(page.sum("connect_failures_total", &[("stage", "local")]), all, "{}", exporter.log());
        assert!(server.status("Aborted_connects") - refused <= 6, "the server was hardly troubled");
    }
}

/// A witness that this machine has no descriptor for says nothing of the way: the death counts once it can speak.
#[test]
fn a_death_is_not_void_because_the_witness_had_no_descriptor() {
    let peer = refusing("no such question");
    let exporter = Launch::at(&peer.addr().to_string()).ages("60s,120s").start();
    exporter.wait_for_metrics("two canaries and a server view", Duration::from_secs(30), |page| {
        page.sum("connections", &[]) >= 2.0 && page.sum("up", &[]) == 1.0
    });
    set_open_files_limit(&exporter, 5);
    peer.cue();
    let failures = exporter.wait_for_events("connect_failed", 1, Duration::from_secs(20));
    std::thread::sleep(Duration::from_secs(1));
    set_open_files_limit(&exporter, 1_000);
    assert!(failures.iter().all(|failure| failure["stage"] == "local"), "{failures:?}");
    exporter.wait_for_events("death", 2, Duration::from_secs(30));
    assert_eq!(exporter.metrics().sum("voided_total", &[]), 0.0, "{}", exporter.log());
}
