//! The web side: its pages, methods and addresses, and clients of every sort.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::exporter::{Exporter, Launch, Page};
use crate::lab::{MariaDb, MariaDbOptions, Namespace, Peer, Scene, http, wait_for};

/// An exporter without a server: the pages need none.
fn alone() -> Launch<'static> {
    Launch::at(&Peer::refusing().to_string())
}

#[test]
fn the_other_pages() {
    let exporter = alone().start();
    // Until then it is not ready.
    exporter.wait_for_events("connect_failed", 1, Duration::from_secs(20));
    for (path, body) in [("/-/healthy", "Healthy.\n"), ("/-/ready", "Ready.\n")] {
        let response = exporter.get(path);
        assert_eq!((response.status, response.body.as_str()), (200, body));
        assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    let landing = exporter.get("/");
    assert_eq!(landing.status, 200);
    assert_eq!(landing.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(landing.header("refresh"), Some("10"));
    assert_eq!(exporter.get("/?refresh=off").header("refresh"), None);
    let policy = landing.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert_eq!(landing.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(landing.header("cache-control"), Some("no-store"));
    for link in ["/metrics", "/-/healthy", "/-/ready"] {
        assert!(landing.body.contains(&format!("<a href=\"{link}\">")), "{}", landing.body);
    }
    assert!(landing.body.contains(env!("CARGO_PKG_VERSION")));
    let metrics = exporter.get("/metrics?collect[]=all");
    assert_eq!(metrics.status, 200, "a query changes nothing");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for path in ["/nothing", "/metrics/", "/-/", "/probe/", "/%2e%2e/etc/passwd"] {
        let response = exporter.get(path);
        assert_eq!(response.status, 404, "{path}");
        assert_eq!(response.body, "nothing here; the metrics are at /metrics\n");
    }
    let one = exporter.get("/probe?target=default");
    assert_eq!(one.status, 200);
    assert_eq!(one.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(one.body.contains("mysql_canary_up{target=\"default\"}") && !one.body.contains("build_info"));
    for (path, status, words) in [
        ("/probe", 400, "say which target: /probe?target=NAME; there are: default\n"),
        ("/probe?target=", 400, "say which target: /probe?target=NAME; there are: default\n"),
        ("/probe?target=127.0.0.1:3306", 404, "no target of that name is configured; there are: default\n"),
        ("/-/reload", 405, "use POST or PUT\n"),
        ("/?target=no&path=default", 404, "no target of that name is configured; there are: default\n"),
        ("/?target=default&path=no", 404, "no path of that name leads to this target; there are: default\n"),
        ("/api/v1/status?target=no", 404, "no target of that name is configured; there are: default\n"),
    ] {
        let response = exporter.get(path);
        assert_eq!((response.status, response.body.as_str()), (status, words), "{path}");
    }
    assert_eq!(exporter.events("panic").len(), 0);
}

#[test]
fn other_methods() {
    let exporter = alone().start();
    let ask = |method, path| http::request(exporter.web(), method, path, &[]).expect("the exporter answers");
    for path in ["/metrics", "/", "/-/healthy", "/-/ready"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
            let response = ask(method, path);
            assert_eq!(response.status, 405, "{method} {path}");
            assert_eq!(response.header("allow"), Some("GET, HEAD"), "{method} {path}");
        }
        let (head, get) = (ask("HEAD", path), ask("GET", path));
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        let length: usize =
            head.header("content-length").and_then(|text| text.parse().ok()).expect("it tells a length");
        assert!(length > 0, "{path}");
    }
    assert_eq!(ask("POST", "/nothing").status, 404);
}

#[test]
fn another_path_and_two_addresses() {
    let exporter =
        alone().args(&["--web.telemetry-path=/canary/metrics", "--web.listen-address=127.0.0.1:0"]).start();
    let addresses = two_addresses(&exporter);
    assert_eq!(BTreeSet::from_iter(&addresses).len(), 2, "{addresses:?}");
    for address in addresses {
        let get = |path| http::get(address, path).expect("the exporter answers");
        let page = get("/canary/metrics");
        assert_eq!(page.status, 200);
        assert_eq!(Page::parse(&page.body).one("up", &[]), 0.0);
        let gone = get("/metrics");
        assert_eq!(
            (gone.status, gone.body.as_str()),
            (404, "nothing here; the metrics are at /canary/metrics\n")
        );
        assert!(get("/").body.contains("<a href=\"/canary/metrics\">"));
    }
}

/// Where an exporter with two addresses listens.
#[track_caller]
fn two_addresses(exporter: &Exporter<'_>) -> Vec<SocketAddr> {
    exporter
        .wait_for_events("listening", 2, Duration::from_secs(10))
        .iter()
        .filter_map(|event| event["address"].as_str()?.parse().ok())
        .collect()
}

#[test]
fn a_port_alone_is_every_address_of_both_sorts() {
    let namespace = Namespace::new("host");
    let has_ipv6 = Path::new("/proc/sys/net/ipv6").exists();
    if has_ipv6 {
        namespace.set("ipv6/bindv6only", 1);
    }
    let exporter = alone().inside(&namespace).args(&["--web.listen-address=:0"]).start();
    let everywhere = two_addresses(&exporter)[1];
    assert!(everywhere.ip().is_unspecified(), "{everywhere}");
    assert_eq!(everywhere.is_ipv6(), has_ipv6, "{everywhere}");
    let over_ipv4 = SocketAddr::from((Ipv4Addr::LOCALHOST, everywhere.port()));
    let response = namespace.enter(|| http::get(over_ipv4, "/-/healthy"));
    assert_eq!(response.expect("the exporter answers over IPv4").status, 200);
}

#[test]
fn many_scrapes_at_once_and_many_on_one_connection() {
    let server = MariaDb::start(MariaDbOptions::default());
    let exporter = Launch::on(&server).ages("1s,2s").start();
    exporter.wait_for_metrics("a server view", Duration::from_secs(20), |page| page.sum("up", &[]) == 1.0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut lives = 0.0;
                for _ in 0..25 {
                    let page = exporter.metrics();
                    assert_eq!(page.one("exporter_config_last_reload_successful", &[]), 1.0);
                    let now = page.one("lives_total", &[("kind", "idle")]);
                    assert!(now >= lives, "a counter fell from {lives} to {now}");
                    lives = now;
                }
            });
        }
    });
    check_kept_alive(&exporter);
}

/// Prometheus asks again and again on one connection.
#[track_caller]
fn check_kept_alive(exporter: &Exporter<'_>) {
    let mut stream = TcpStream::connect(exporter.web()).expect("the exporter listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
    for _ in 0..3 {
        write!(stream, "GET /-/healthy HTTP/1.1\r\nHost: exporter\r\n\r\n").expect("the exporter reads");
        let mut answer = Vec::new();
        while !answer.ends_with(b"Healthy.\n") {
            let mut buffer = [0; 512];
            let length = stream.read(&mut buffer).expect("the exporter answers in time");
            assert!(length > 0, "the connection was closed: {:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..length]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

#[test]
fn clients_that_speak_nonsense_do_no_harm() {
    let exporter = alone().start();
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET", b"\0\0\0\0", &[b'A'; 100_000], b"GET / HTTP/9.9\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(exporter.web()).expect("the exporter listens");
        // It may have closed already.
        let _ = stream.write_all(bytes);
    }
    let silent: Vec<TcpStream> =
        (0..600).map(|_| TcpStream::connect(exporter.web()).expect("the exporter listens")).collect();
    let begun = Instant::now();
    assert_eq!(exporter.get("/metrics").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "silent clients hold nobody up");
    drop(silent);
    assert!(!exporter.log().contains("panicked"), "{}", exporter.log());
}

/// At the limit of its descriptors: those who wait give theirs up, one is kept in reserve, and it does not spin.
#[test]
fn without_descriptors_pages_are_still_there() {
    let exporter = alone().start();
    exporter.wait_for_events("listening", 1, Duration::from_secs(10));
    std::thread::sleep(Duration::from_millis(500));
    let pid = i32::try_from(exporter.pid()).ok().and_then(Pid::from_raw);
    for free in [8, 2] {
        let limit = exporter.open_files() as u64 + free;
        let before = prlimit(pid, Resource::Nofile, Rlimit { current: Some(limit), maximum: Some(20_000) });
        let before = before.expect("a limit can be lowered");
        let crowd: Vec<TcpStream> = (0..50)
            .map(|_| TcpStream::connect(exporter.web()).expect("the kernel's queue has room"))
            .collect();
        let (begun, used) = (Instant::now(), processor_seconds(&exporter));
        for path in ["/-/healthy", "/metrics"].repeat(10) {
            // With a handful of places and fifty who want them, one may be cut off; not for long.
            let answered = || http::get(exporter.web(), path).ok().filter(|answer| answer.status == 200);
            wait_for(path, Duration::from_secs(10), answered);
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}, {free} free", begun.elapsed());
        std::thread::sleep(Duration::from_secs(1));
        let used = processor_seconds(&exporter) - used;
        assert!(used < 0.7 * begun.elapsed().as_secs_f64(), "{used} s of {:?}: it spins", begun.elapsed());
        drop(crowd);
        prlimit(pid, Resource::Nofile, before).expect("a limit can be raised again");
    }
    assert_eq!(exporter.events("accept_failed").len(), 1, "it is told once a minute");
}

/// Seconds of processor time it has used.
fn processor_seconds(exporter: &Exporter<'_>) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", exporter.pid())).expect("it runs");
    let fields: Vec<&str> =
        stat.rsplit_once(") ").map(|(_, fields)| fields.split(' ').collect()).expect("fields");
    [11, 12].map(|field: usize| fields[field].parse::<f64>().expect("ticks")).iter().sum::<f64>() / 100.0
}

/// A peer that never greets: its exporter's pages are there all the same.
#[test]
fn pages_are_there_before_the_first_connect_ends() {
    let peer = Peer::start(Scene::stay_silent);
    let exporter = Launch::at(&peer.addr().to_string()).start();
    let page = exporter.metrics();
    assert_eq!(page.one("up", &[]), 0.0);
    assert_eq!(page.sum("connect_failures_total", &[]), 0.0);
    assert_eq!(exporter.get("/-/healthy").status, 200);
    assert_eq!(exporter.get("/-/ready").status, 503, "nothing is known of the path yet");
}
