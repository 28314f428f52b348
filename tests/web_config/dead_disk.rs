//! Files that cannot be read any more, for their file system does not answer: pages and loops go on with what was read.

use std::fs;
use std::time::{Duration, Instant};

use super::{Pages, TLS};
use crate::exporter::{Exporter, Launch, Page};
use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::dead_disk::DeadDisk;
use crate::lab::{Curl, MariaDb, MariaDbOptions, wait_for};

/// How long a page may take whose files cannot be read: half a second is waited, and ten tests run at once.
const LONGEST_PAGE: Duration = Duration::from_secs(4);

/// The page under TLS, and how long it took.
#[track_caller]
fn scrape(curl: &Curl) -> (Page, Duration) {
    let begun = Instant::now();
    let seen = curl.get("/metrics");
    assert_eq!(seen.status, 200, "{seen}");
    (Page::parse(seen.text.split_once("\r\n\r\n").expect("a head").1), begun.elapsed())
}

fn threads(exporter: &Exporter<'_>) -> usize {
    fs::read_dir(format!("/proc/{}/task", exporter.pid())).expect("it runs").count()
}

#[test]
fn a_file_system_that_does_not_answer_stops_neither_pages_nor_loops() {
    let server = MariaDb::start(MariaDbOptions { tls: true, ..MariaDbOptions::default() });
    let authority = Pages::authority();
    let text = |file: &std::path::Path| fs::read_to_string(file).expect("it is there");
    authority.write("mysql-ca.pem", &text(server.tls_ca().expect("it speaks TLS")));
    authority.write("password", DEFAULT_PASSWORD);
    authority.write("web.yml", TLS);
    // A login every second.
    authority.write(
        "canary.yml",
        &format!(
            "targets:\n  - name: orders\n    auth: {{username: canary, password_file: password}}\n    canary: {{ages: [1s, 60s]}}\n    \
             tls_config: {{mode: verify-ca, ca_file: mysql-ca.pem}}\n    paths: [{{name: direct, address: \"{}\"}}]\n",
            server.addr()
        ),
    );
    let disk = DeadDisk::over(authority.dir());
    let mut launch = Launch::from_file(&authority.file("canary.yml"))
        .args(&[&format!("--web.config.file={}", authority.file("web.yml").display())]);
    for (name, value) in disk.environment() {
        launch = launch.env(name, &value);
    }
    let mut exporter = launch.start();
    let curl = Curl::https(exporter.web(), &authority.file("ca.pem"));
    let lives = |page: &Page| page.sum("lives_total", &[]);
    wait_for("a life", Duration::from_secs(30), || (lives(&scrape(&curl).0) >= 1.0).then_some(()));

    let (before, held) = (lives(&scrape(&curl).0), threads(&exporter));
    disk.die();
    let until = Instant::now() + Duration::from_secs(12);
    let (mut longest, mut most) = (Duration::ZERO, 0);
    while Instant::now() < until {
        longest = longest.max(scrape(&curl).1);
        most = most.max(threads(&exporter));
        std::thread::sleep(Duration::from_millis(100));
    }
    let page = scrape(&curl).0;
    println!(
        "{} lives on a dead file system, pages in {longest:?} at most, {held} threads and then {most}",
        lives(&page) - before
    );
    assert!(lives(&page) >= before + 3.0, "canaries are born and live: {}", exporter.log());
    assert_eq!(page.sum("connect_failures_total", &[]), 0.0, "{}", exporter.log());
    assert!(longest < LONGEST_PAGE, "{longest:?}");
    // One reads the web configuration, one the authorities; the others are the runtime's own.
    assert!(most <= held + 8, "from {held} threads to {most}");
    assert_eq!(curl.get("/-/ready").status, 200, "no loop is stuck: {}", exporter.log());
    assert_eq!(page.one("exporter_web_config_last_reload_successful", &[]), 0.0);
    assert_eq!(exporter.events("tls_files_unreadable").len(), 1, "it is told once: {}", exporter.log());
    let told = exporter.events("web_config_not_read").len();
    assert!((1..=4).contains(&told), "it is told {told} times: {}", exporter.log());

    authority.write("web.yml", &format!("{TLS}http_server_config: {{headers: {{X-Frame-Options: deny}}}}\n"));
    disk.come_back();
    wait_for("the file that was written meanwhile", Duration::from_secs(20), || {
        (curl.get("/-/healthy").header("x-frame-options") == Some("deny")).then_some(())
    });
    disk.die();
    assert_eq!(curl.get("/-/healthy").status, 200);
    let (status, took) = exporter.terminate();
    assert!(status.success() && took < Duration::from_secs(10), "{status}, {took:?}");
}

/// A pipe without a writer is no file: it is refused without waiting for it.
#[test]
fn a_pipe_in_the_place_of_a_file_changes_nothing() {
    let pages = Pages::start(TLS);
    let pipe = |name: &str| {
        let file = pages.authority.file(name);
        fs::remove_file(&file).expect("it is there");
        let made = std::process::Command::new("mkfifo").arg(&file).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo can be run");
    };
    for name in ["server.pem", "web.yml"] {
        pipe(name);
        for _ in 0..3 {
            let (page, took) = scrape(&pages.https());
            assert!(took < LONGEST_PAGE, "{name}: {took:?}");
            assert_eq!(page.one("exporter_web_config_last_reload_successful", &[]), 0.0, "{name}");
        }
        let told = pages.exporter.events("web_config_not_read");
        let message = told.last().and_then(|event| event["msg"].as_str()).unwrap_or_default();
        assert!(message.contains("it is a pipe, not a file"), "{name}: {message}");
    }
}
