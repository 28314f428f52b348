//! Visits in virtual time: what each sort of client gets, and when it is gone.

use std::net::{IpAddr, Ipv4Addr};

use prometheus::{IntCounter, Opts};
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::domain::conduct::admission::Places;
use crate::exposition::Exposition;
use crate::fleet::reload;
use crate::supervision::stop::{self, StopSender};
use crate::web::Clients;

const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n";
const HEALTH: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: exporter\r\n\r\n";

/// A client of a site.
struct Client {
    io: DuplexStream,
    task: JoinHandle<()>,
    begun: Instant,
    _stop: StopSender,
}

/// A site whose metrics page is about 400 kB.
fn site() -> Arc<Site> {
    let exposition = Arc::new(Exposition::default());
    for number in 0..400 {
        let counter = IntCounter::with_opts(Opts::new(format!("c{number}_total"), "x".repeat(1000)));
        exposition
            .process()
            .register(Box::new(counter.expect("a good name")))
            .expect("the first of its name");
    }
    let clients = Clients::new(Places::default());
    Arc::new(Site::new(
        exposition,
        Arc::default(),
        Arc::default(),
        "/metrics".to_owned(),
        clients,
        reload::channel().0,
        None,
    ))
}

impl Client {
    fn of(site: &Arc<Site>, address: u32) -> Self {
        // As much as a socket takes that nobody reads.
        let (io, served) = duplex(16 * 1024);
        let (say_stop, stop) = stop::channel();
        let visit = site.clients.admit(IpAddr::V4(Ipv4Addr::from_bits(address)));
        let id = visit.id();
        let served = Watched::new(served, Arc::clone(&visit), |_| ());
        let task = tokio::spawn(attend(served, visit, Arc::clone(site), stop));
        site.clients.attended_by(id, task.abort_handle());
        Self { io, task, begun: Instant::now(), _stop: say_stop }
    }

    fn new() -> Self {
        Self::of(&site(), 1)
    }

    /// One answer, read whole.
    async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.expect("a length").parse().expect("a number") {
                    return text.into_owned();
                }
            }
            let length = self.io.read_buf(&mut answer).await.expect("readable");
            assert!(length > 0, "closed after {} bytes", answer.len());
        }
    }

    async fn ask(&mut self, request: &[u8]) -> String {
        self.io.write_all(request).await.expect("it is heard");
        self.answer().await
    }

    /// Waits until the exporter has let go of it; the seconds since it came.
    async fn seconds_until_gone(&mut self) -> f64 {
        let _ = (&mut self.task).await;
        self.begun.elapsed().as_secs_f64()
    }
}

#[track_caller]
fn assert_between(seconds: f64, least: f64, most: f64) {
    assert!((least..=most).contains(&seconds), "gone after {seconds} s, not between {least} and {most}");
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_ask_is_gone_after_three_seconds() {
    assert_between(Client::new().seconds_until_gone().await, 3.0, 3.1);
    // The head comes byte by byte, and for ever.
    let mut client = Client::new();
    client.io.write_all(b"GET /metrics HTTP/1.1\r\nX: ").await.expect("it is heard");
    while client.io.write_all(b"y").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    assert_between(client.seconds_until_gone().await, 3.0, 4.0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_between_scrapes_a_minute_apart_and_not_for_ever() {
    let mut client = Client::new();
    for _ in 0..5 {
        assert!(client.ask(GET).await.starts_with("HTTP/1.1 200 OK\r\n"));
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert!(client.ask(HEALTH).await.ends_with("Healthy.\n"));
    assert_eq!(client.io.read(&mut [0]).await.expect("a gentle end"), 0);
    assert_between(client.seconds_until_gone().await, 5.0 * 60.0 + 120.0, 5.0 * 60.0 + 120.1);
}

/// A kept connection has no longer time for its next head than a new one.
#[tokio::test(start_paused = true)]
async fn the_second_head_may_not_be_slow_either() {
    let mut client = Client::new();
    client.ask(HEALTH).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    client.io.write_all(b"GET ").await.expect("it is heard");
    assert_between(client.seconds_until_gone().await, 13.0, 13.1);
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_read_is_gone_after_five_seconds() {
    let mut client = Client::new();
    client.io.write_all(GET).await.expect("it is heard");
    assert_between(client.seconds_until_gone().await, 5.0, 5.1);
    // Pipelined, of pages small and large.
    for (request, latest) in [(GET, 5.1), (HEALTH, 15.0)] {
        let mut client = Client::new();
        let requests = request.repeat(10_000);
        let sent = tokio::time::timeout(Duration::from_secs(60), client.io.write_all(&requests)).await;
        assert!(sent.is_ok_and(|sent| sent.is_err()), "it is not listened to for ever");
        assert_between(client.seconds_until_gone().await, 5.0, latest);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_by_the_byte_is_gone_after_half_a_minute() {
    let mut client = Client::new();
    client.io.write_all(GET).await.expect("it is heard");
    while client.io.read(&mut [0; 64]).await.is_ok_and(|length| length > 0) && !client.task.is_finished() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_between(client.seconds_until_gone().await, 30.0, 31.0);
}

#[tokio::test(start_paused = true)]
async fn a_body_without_end_is_answered_and_not_waited_for() {
    for head in [
        "POST /metrics HTTP/1.1\r\nContent-Length: 9999999999",
        "GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked",
        "POST /nothing HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5",
    ] {
        let mut client = Client::new();
        let answer = client.ask(format!("{head}\r\nHost: exporter\r\n\r\n").as_bytes()).await;
        assert!(answer.contains("\r\nconnection: close\r\n"), "{head}: {answer}");
        while client.io.write_all(&[b'x'; 100]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_between(client.seconds_until_gone().await, 0.0, 1.5);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_ends_its_side_gets_its_answer_and_no_more_time() {
    for (request, end) in [(HEALTH, "Healthy.\n"), (GET, "_total 0\n")] {
        let mut client = Client::new();
        client.io.write_all(request).await.expect("it is heard");
        client.io.shutdown().await.expect("half closed");
        let mut answer = String::new();
        client.io.read_to_string(&mut answer).await.expect("all of it");
        assert!(answer.ends_with(end), "{} bytes", answer.len());
        assert_between(client.seconds_until_gone().await, 0.0, 0.1);
    }
    let mut client = Client::new();
    client.io.shutdown().await.expect("half closed");
    assert_between(client.seconds_until_gone().await, 0.0, 0.1);
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_answered_and_ended() {
    let huge = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'A'; 100_000]].concat();
    let many = [b"GET / HTTP/1.1\r\n".as_slice(), &b"X: y\r\n".repeat(1000), b"\r\n"].concat();
    let rows: [(&str, &[u8], &str); 5] = [
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "HTTP/1.1 400 "),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""),
        ("a large head", &huge, "HTTP/1.1 431 "),
        ("many headers", &many, "HTTP/1.1 431 "),
        ("HTTP 9.9", b"GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 400 "),
    ];
    for (what, bytes, expected) in rows {
        let Client { io, task, _stop, .. } = Client::new();
        let (mut read, mut write) = tokio::io::split(io);
        let writing = async {
            let _ = write.write_all(bytes).await;
        };
        let reading = async {
            let mut answer = Vec::new();
            let _ = read.read_to_end(&mut answer).await;
            String::from_utf8_lossy(&answer).into_owned()
        };
        let ((), answer) = tokio::join!(writing, reading);
        assert!(answer.starts_with(expected), "{what}: {answer}");
        let gone = tokio::time::timeout(Duration::from_secs(2), task).await;
        assert!(gone.is_ok(), "{what}: it was kept");
    }
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_always_gets_in() {
    let site = site();
    let mut crowd = Vec::new();
    // Of one address and of many; silent ones, those that do not read, and those that are kept.
    for number in 0..4000_u32 {
        let mut client = Client::of(&site, if number.is_multiple_of(2) { 1 } else { number });
        match number % 8 {
            0 => client.io.write_all(GET).await.expect("it is heard"),
            1 => client.io.write_all(HEALTH).await.expect("it is heard"),
            _ => {}
        }
        crowd.push(client);
        if number.is_multiple_of(100) {
            for address in [1, 9999] {
                let mut newcomer = Client::of(&site, address);
                let begun = Instant::now();
                assert!(newcomer.ask(HEALTH).await.ends_with("Healthy.\n"), "the {number}th");
                assert!(newcomer.ask(GET).await.starts_with("HTTP/1.1 200 OK\r\n"), "the {number}th");
                assert!(begun.elapsed() < Duration::from_millis(250), "{:?}", begun.elapsed());
            }
        }
    }
    tokio::task::yield_now().await;
    let most = Places::default().all();
    let here = crowd.iter().filter(|client| !client.task.is_finished()).count();
    assert!(here <= most, "{here} of {most}");
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert!(crowd.iter().all(|client| client.task.is_finished()), "nobody stays for ever");
}

#[tokio::test(start_paused = true)]
async fn at_the_stop_nobody_holds_the_process_up() {
    for request in [&b""[..], b"GET /met", GET, HEALTH] {
        let mut client = Client::new();
        client.io.write_all(request).await.expect("it is heard");
        tokio::time::sleep(Duration::from_millis(100)).await;
        client._stop.say();
        let begun = Instant::now();
        (&mut client.task).await.expect("no panic");
        assert!(begun.elapsed() <= FAREWELL + Duration::from_millis(1), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn without_descriptors_one_goes_then_the_reserve_then_it_rests_and_never_spins() {
    let full = io::Error::from(Errno::MFILE);
    let mut trouble = Trouble::default();
    assert!(trouble.reserve.is_some());
    assert_eq!(trouble.rest(&full, || true), Some(SHORT_REST), "one was sent away");
    assert!(trouble.reserve.is_some());
    assert_eq!(trouble.rest(&full, || false), Some(SHORT_REST), "the reserve was given up");
    assert!(trouble.reserve.is_none());
    assert_eq!(trouble.rest(&full, || false), Some(LONG_REST));
    trouble.is_over();
    assert!(trouble.reserve.is_some(), "there is a reserve again");
    let gone = io::Error::from(Errno::CONNABORTED);
    assert_eq!(trouble.rest(&gone, || panic!("it is its own affair")), Some(SHORT_REST));
    assert_eq!(trouble.rest(&io::Error::from(Errno::BADF), || true), None, "it would never work again");
}

#[tokio::test]
async fn serving_returns_only_when_told_and_leaves_no_task_behind() {
    let site = site();
    let listener = crate::web::listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
    let address = listener.local_addr().expect("it has one");
    let (say_stop, stop) = stop::channel();
    let mut serving = tokio::spawn(serve(listener, Arc::clone(&site), stop));
    let mut kept = TcpStream::connect(address).await.expect("it listens");
    kept.write_all(HEALTH).await.expect("it is heard");
    kept.readable().await.expect("it answers");
    let silent = TcpStream::connect(address).await.expect("it listens");
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut serving).await.is_err(), "it serves");
    say_stop.say();
    let ended = tokio::time::timeout(Duration::from_secs(5), serving).await.expect("it ends");
    ended.expect("no panic").expect("no failure");
    assert_eq!(Arc::strong_count(&site), 1, "every task has ended");
    drop((kept, silent));
}
