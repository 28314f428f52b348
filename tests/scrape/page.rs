//! The status page on a real server: from its first canary to a limit, and while the server is stopped.

use std::time::{Duration, Instant};

use crate::exporter::Launch;
use crate::lab::{MariaDb, MariaDbOptions, http, wait_for};

/// How long a page may take in a debug build on a busy machine; `make bench-fleet` measures it.
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
fn the_status_page_tells_a_limit_and_a_server_that_is_gone() {
    let mut server = MariaDb::start(MariaDbOptions::with_args(&["--wait-timeout=5"]));
    let exporter = Launch::on(&server).ages("2s,4s,8s").start();
    let page = |what: &str, words: &[&str]| {
        wait_for(what, Duration::from_secs(60), || {
            let begun = Instant::now();
            let page = exporter.get("/");
            assert_eq!(page.status, 200);
            assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
            words.iter().all(|word| page.body.contains(word)).then_some(page.body)
        })
    };
    page("canaries in the picture", &["canaries now: ", "<title>canary (idle, held), idle for "]);
    let ill =
        page("who does it", &["<title>ill: ", "died: server_idle_timeout", "Newest deaths", "wait_timeout"]);
    let compressed =
        http::request(exporter.web(), "GET", "/", &[("Accept-Encoding", "gzip")]).expect("an answer");
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    let length: usize =
        compressed.header("content-length").and_then(|text| text.parse().ok()).expect("a length");
    assert!(length < ill.len() / 2, "{length} of {}", ill.len());
    server.stop();
    page("a server that is gone", &["Connecting fails", "The server cannot be asked now."]);
    let name = ill.split("<title>ill: ").nth(1).and_then(|rest| rest.split(" –").next()).expect("a title");
    let alone = exporter.get(&format!("/?target={name}&path=default"));
    assert_eq!(alone.status, 200);
    assert!(alone.body.contains("died: server_idle_timeout"), "what was measured stays");
}
