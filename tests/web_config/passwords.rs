//! Users and their passwords: who gets in, how long that takes, and what those who guess cost the others.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Pages, TLS, hash};
use crate::lab::turns::turn;
use crate::lab::{Curl, http};

/// Base64, for what curl does not do.
fn basic(user: &str, password: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("{user}:{password}");
    let mut encoded = String::from("Basic ");
    for chunk in text.as_bytes().chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            encoded.push(if place <= chunk.len() { letter.into() } else { '=' });
        }
    }
    encoded
}

#[test]
fn who_gets_in() {
    let users = format!(
        "basic_auth_users:\n  carol: {}\n  dave: {}\n  erna: {}\n",
        hash("carol123", 4),
        hash("dave123", 10),
        hash("pass:word with # $ & ü", 4).replace("$2y$", "$2b$")
    );
    for tls in [TLS, ""] {
        let pages = Pages::start(&format!("{tls}{users}"));
        let curl = if tls.is_empty() { Curl::http(pages.address()) } else { pages.https() };
        for path in [
            "/metrics",
            "/",
            "/-/healthy",
            "/-/ready",
            "/probe?target=default",
            "/?target=default",
            "/api/v1/status",
            "/nothing",
            "/-/reload",
        ] {
            let seen = curl.get(path);
            assert!(seen.status == 401 && seen.text.ends_with("Unauthorized\n"), "{path}: {seen}");
            assert_eq!(seen.header("www-authenticate"), Some("Basic"), "{path}");
        }
        let reload = curl.clone().with(&["--request", "POST"]);
        assert_eq!(reload.get("/-/reload").status, 401);
        for credentials in ["dave:dave123", "carol:carol123", "erna:pass:word with # $ & ü", "dave:dave123"]
        {
            assert_eq!(curl.clone().logged_in(credentials).get("/metrics").status, 200, "{credentials}");
        }
        assert_eq!(curl.clone().logged_in("dave:dave123").get("/nothing").status, 404);
        for credentials in [
            "dave:bad",
            "dave:",
            "dave:dave1234",
            "Dave:dave123",
            ":",
            "nonexistent:nonexistent",
            "carol:dave123",
        ] {
            assert_eq!(curl.clone().logged_in(credentials).get("/metrics").status, 401, "{credentials}");
        }
        // A password that is changed is good at once, and the old one no more.
        pages.authority.write("web.yml", &format!("{tls}basic_auth_users: {{dave: {}}}\n", hash("new", 4)));
        assert_eq!(curl.clone().logged_in("dave:dave123").get("/metrics").status, 401);
        assert_eq!(curl.clone().logged_in("dave:new").get("/metrics").status, 200);
        assert_eq!(curl.clone().logged_in("carol:carol123").get("/metrics").status, 401);
    }
}

/// How long one request takes, with its status.
fn timed(pages: &Pages, authorization: &str) -> (u16, Duration) {
    let begun = Instant::now();
    let headers = [("Authorization", authorization)];
    let answer = http::request(pages.address(), "GET", "/-/healthy", &headers).expect("it answers");
    (answer.status, begun.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn a_user_that_there_is_not_takes_as_long_as_one_that_there_is() {
    let pages = Pages::start(&format!("basic_auth_users: {{dave: {}}}\n", hash("dave123", 9)));
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..15 {
        for (times, user) in [(&mut known, "dave".to_owned()), (&mut unknown, format!("nobody{number}"))] {
            let (status, time) = timed(&pages, &basic(&user, &format!("wrong{number}")));
            assert_eq!(status, 401);
            times.push(time);
            // Each check is followed by a rest.
            std::thread::sleep(time);
        }
    }
    let (known, unknown) = (median(known), median(unknown));
    assert!(known < unknown * 2 && unknown < known * 2, "{known:?} and {unknown:?}");
    let once = timed(&pages, &basic("dave", "dave123"));
    let again = median((0..15).map(|_| timed(&pages, &basic("dave", "dave123")).1).collect());
    assert!(once.0 == 200 && again < once.1 / 2, "it is remembered: {once:?}, then {again:?}");
}

/// One who guesses, as often as it is let, ten times a second.
async fn guess(address: std::net::SocketAddr, number: usize, until: tokio::time::Instant) -> [usize; 2] {
    let (mut refused, mut put_off) = (0, 0);
    let mut client = TcpStream::connect(address).await.expect("it listens");
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for round in 0.. {
        ticks.tick().await;
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: exporter\r\nAuthorization: {}\r\n\r\n",
            basic("dave", &format!("guess-{number}-{round}"))
        );
        let mut answer = [0; 1024];
        let asked = async {
            client.write_all(request.as_bytes()).await?;
            client.read(&mut answer).await
        };
        match tokio::time::timeout_at(until, asked).await {
            Err(_) => break,
            Ok(length) => match length.ok().and_then(|length| answer[..length].get(9..12)) {
                Some(b"401") => refused += 1,
                Some(b"503") => put_off += 1,
                // Cut off: it comes again.
                _ => client = TcpStream::connect(address).await.expect("it listens"),
            },
        }
    }
    [refused, put_off]
}

#[test]
fn a_thousand_wrong_passwords_a_second_do_not_slow_a_scrape() {
    let _turn = turn();
    let pages = Pages::start(&format!("basic_auth_users: {{dave: {}}}\n", hash("dave123", 10)));
    let good = basic("dave", "dave123");
    // What the machine's other work adds comes and goes: it does not spoil three tries one after the other.
    let slowed: Vec<_> = (0..3).map_while(|_| slowed_by_guesses(&pages, &good)).collect();
    assert!(slowed.len() < 3, "before and beside the guesses: {slowed:?}");
    // Who guessed is not remembered, and nobody is locked out.
    assert_eq!(timed(&pages, &good).0, 200);
}

/// How long a scrape takes before and beside a thousand guesses a second, where it takes longer beside them than it may.
#[track_caller]
fn slowed_by_guesses(pages: &Pages, good: &str) -> Option<(Duration, Duration)> {
    const GUESSERS: usize = 100;
    let scrape = || {
        let begun = Instant::now();
        let answer = http::request(pages.address(), "GET", "/metrics", &[("Authorization", good)]);
        assert_eq!(answer.expect("it answers").status, 200);
        let time = begun.elapsed();
        std::thread::sleep(Duration::from_millis(50));
        time
    };
    scrape();
    let before = median((0..40).map(|_| scrape()).collect());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let (address, time) = (pages.address(), Duration::from_secs(6));
    let guessing = runtime.spawn(async move {
        let until = tokio::time::Instant::now() + time;
        let guessers: Vec<_> =
            (0..GUESSERS).map(|number| tokio::spawn(guess(address, number, until))).collect();
        let mut sum = [0; 2];
        for guesser in guessers {
            let counted = guesser.await.expect("no panic");
            sum = [sum[0] + counted[0], sum[1] + counted[1]];
        }
        sum
    });
    std::thread::sleep(Duration::from_millis(500));
    let during = median((0..40).map(|_| scrape()).collect());
    let [refused, put_off] = runtime.block_on(guessing).expect("no panic");
    println!(
        "a scrape takes {before:?}, and {during:?} beside {} guesses in {time:?}: {refused} refused, {put_off} put off",
        refused + put_off
    );
    assert!(refused > 0 && put_off > refused, "{refused}, {put_off}");
    assert!(refused + put_off > 2000, "{refused}, {put_off}");
    // Ten tests at once on two processors: that much is the machine's.
    (during >= before * 2 + Duration::from_millis(40)).then_some((before, during))
}
