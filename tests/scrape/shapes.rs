//! Requests in every bad shape, one connection each: what is answered, that nothing behind it is taken for another request
//! where two readers could differ, and that the connection ends.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;

use crate::exporter::Launch;
use crate::lab::{Peer, http};

/// What follows on the same connection, and must not be answered where the first request was ambiguous.
const SMUGGLED: &str = "GET /-/ready HTTP/1.1\r\nHost: exporter\r\n\r\n";

#[test]
fn every_shape() {
    let exporter = Launch::at(&Peer::refusing().to_string()).start();
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "A".repeat(1 << 20));
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(5000));
    let pipelined = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n".repeat(5);
    // A request, the status of its answer, and how many answers there are when its client has said all.
    let rows: Vec<(&str, String, &str, usize)> = vec![
        ("five at once", pipelined, "200", 5),
        (
            "absolute form",
            "GET http://exporter/-/healthy HTTP/1.1\r\nHost: exporter\r\n\r\n".to_owned(),
            "200",
            1,
        ),
        (
            "absolute form of another host",
            "GET http://other.example/nothing HTTP/1.1\r\nHost: exporter\r\n\r\n".to_owned(),
            "404",
            1,
        ),
        ("CONNECT", "CONNECT db:3306 HTTP/1.1\r\nHost: db:3306\r\n\r\n".to_owned(), "404", 1),
        ("asterisk form", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "404", 1),
        ("garbage for a target", "GET \u{1}\u{2} HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "400", 1),
        ("no slash", "GET metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "4", 1),
        ("two spaces", "GET  /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "400", 1),
        ("a path that climbs", "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "404", 1),
        (
            "a path that climbs, in disguise",
            "GET /%2e%2e/%2fetc HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            "404",
            1,
        ),
        (
            "a query without end",
            format!("GET /probe?target={} HTTP/1.1\r\nHost: x\r\n\r\n", "%41".repeat(4000)),
            "404",
            1,
        ),
        ("1 MB of headers", huge, "431", 1),
        ("a target of 100 kB", long, "4", 1),
        ("5,000 headers", many, "431", 1),
        ("another version", "GET / HTTP/3.0\r\n\r\n".to_owned(), "400", 1),
        ("no version", "GET /\r\n\r\n".to_owned(), "400", 1),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "", 0),
        ("another protocol", "SSH-2.0-OpenSSH_9.9\r\n".to_owned(), "400", 1),
        ("a name with a space", format!("GET / HTTP/1.1\r\nHost : x\r\n\r\n{SMUGGLED}"), "400", 1),
        ("a folded line", format!("GET / HTTP/1.1\r\nHost: x\r\nX: y\r\n z\r\n\r\n{SMUGGLED}"), "400", 1),
        ("a NUL", format!("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n{SMUGGLED}"), "400", 1),
        (
            "two lengths",
            format!("GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n{SMUGGLED}"),
            "400",
            1,
        ),
        ("a length of nonsense", format!("GET / HTTP/1.1\r\nContent-Length: +5\r\n\r\n{SMUGGLED}"), "400", 1),
        ("a negative length", format!("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n{SMUGGLED}"), "400", 1),
        (
            "a length and chunks",
            format!(
                "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}"
            ),
            "4",
            1,
        ),
        (
            "chunks and a length",
            format!(
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{SMUGGLED}"
            ),
            "4",
            1,
        ),
        (
            "chunks that are not last",
            format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{SMUGGLED}"),
            "400",
            1,
        ),
        (
            "chunks in disguise",
            format!("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{SMUGGLED}"),
            "400",
            1,
        ),
        (
            "a body that holds a request",
            format!("POST /-/healthy HTTP/1.1\r\nContent-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len()),
            "405",
            1,
        ),
        (
            "an upgrade",
            "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n".to_owned(),
            "200",
            1,
        ),
    ];
    let before = memory(exporter.pid());
    for (what, request, status, answers) in rows {
        let begun = Instant::now();
        let mut client = TcpStream::connect(exporter.web()).expect("it listens");
        client.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout can be set");
        // It may have heard enough.
        let _ = client.write_all(request.as_bytes());
        let _ = client.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        // Cut off, where much was left unread.
        let _ = client.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(answer.matches("HTTP/1.1 ").count(), answers, "{what}: {answer}");
        assert!(answers == 0 || answer.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answer}");
        assert!(!answer.contains("eady."), "{what}: what was smuggled is answered: {answer}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}: {:?}", begun.elapsed());
    }
    let after = memory(exporter.pid());
    assert!(after < before + 8_000, "from {before} kB to {after} kB");
    assert_eq!(exporter.get("/-/healthy").status, 200);
    assert!(exporter.open_files() < 60, "{} descriptors", exporter.open_files());
    assert!(!exporter.log().contains("panicked"), "{}", exporter.log());
}

/// Resident memory, in kB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is told");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn the_metrics_compressed_for_who_asks_for_it() {
    let exporter = Launch::at(&Peer::refusing().to_string()).start();
    let ask = |path: &str, accepted: &str| {
        let mut client = TcpStream::connect(exporter.web()).expect("it listens");
        write!(client, "GET {path} HTTP/1.0\r\nAccept-Encoding: {accepted}\r\n\r\n").expect("it is heard");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("all of it");
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        (String::from_utf8_lossy(&answer[..end]).to_lowercase(), answer[end + 4..].to_vec())
    };
    for path in ["/metrics", "/probe?target=default"] {
        let plain = http::get(exporter.web(), path).expect("it answers");
        assert_eq!(plain.header("content-encoding"), None);
        assert_eq!(plain.header("vary"), Some("Accept-Encoding"));
        // As Prometheus asks.
        let (head, body) = ask(path, "gzip");
        assert!(head.contains("content-encoding: gzip") && head.contains("vary: accept-encoding"), "{head}");
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        let mut page = String::new();
        GzDecoder::new(&*body).read_to_string(&mut page).expect("it is gzip");
        assert!(page.contains("mysql_canary_up{target=\"default\"} 0"), "{page}");
        assert!(body.len() * 4 < page.len(), "{} of {}", body.len(), page.len());
        for refused in ["identity", "gzip;q=0", "zstd, br"] {
            assert!(!ask(path, refused).0.contains("content-encoding"), "{refused}");
        }
    }
    assert!(!ask("/-/healthy", "gzip").0.contains("content-encoding"), "small pages go as they are");
}
