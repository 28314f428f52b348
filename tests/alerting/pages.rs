//! Real pages of real exporters, served as many.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::exporter::Launch;
use crate::lab::{Account, HaProxy, MariaDb, MariaDbOptions};
use crate::many_sessions::{log_in, start_server};

/// How the rule's series begins that says whether anybody is at risk.
const RULE: &str = "mysql_canary_layer_mismatch{path=\"default\",pool=\"\",rule=\"sessions_at_risk\"";

/// A page without contradictions: the server itself ends idle sessions, and every twin was sent.
pub(super) fn well() -> String {
    let server = MariaDb::start(MariaDbOptions::with_args(&["--wait-timeout=3"]));
    let exporter = Launch::on(&server).start();
    let page = exporter.wait_for_metrics("a limit and its twins", Duration::from_secs(60), |page| {
        page.values("remedy", &[]).len() == 2
            && page.sum("idle_limit_info", &[("culprit", "server_idle_timeout")]) == 1.0
    });
    page.text().to_owned()
}

/// A page with all that can be wrong: a proxy's limit, two pools that contradict it, users with sessions past it, who
/// are at risk so loudly.
pub(super) fn ill(users: &[&str], severity: &str) -> String {
    let accounts = users.iter().map(|name| Account::new(name).with_password("")).collect();
    let server = start_server(accounts);
    let proxy = HaProxy::start(server.addr(), Duration::from_secs(3));
    let exporter = Launch::at(&proxy.addr().to_string())
        .args(&["--pool=name=api,user=api,recycle=1h", "--pool=name=jobs,user=jobs,framework=sqlalchemy"])
        .start();
    let sessions: Vec<_> =
        users.iter().map(|name| log_in(server.addr(), name).expect("a login succeeds")).collect();
    let page = exporter.wait_for_metrics("sessions at risk", Duration::from_secs(60), |page| {
        page.values("remedy", &[]).len() == 2
            && page.sum("layer_mismatch", &[("rule", "path_shorter_than_server")]) == 1.0
            && page.sum("layer_mismatch", &[("rule", "pool_never_recycles")]) == 1.0
            && page.values("sessions_at_risk", &[]).len() == users.len()
    });
    drop(sessions);
    at_risk(page.text(), severity)
}

/// The page as it were on a silent path: a proxy that closes both sides leaves nobody at risk.
fn at_risk(page: &str, severity: &str) -> String {
    let mut all = String::new();
    for line in page.lines() {
        let labels =
            line.strip_prefix("mysql_canary_sessions_at_risk{").and_then(|rest| rest.strip_suffix("} 0"));
        match labels {
            Some(labels) => {
                let info = format!("{labels},severity=\"{severity}\",tense=\"has_failed\"");
                writeln!(all, "mysql_canary_sessions_at_risk{{{labels}}} 1").expect("a string grows");
                writeln!(all, "mysql_canary_sessions_at_risk_info{{{info}}} 1").expect("a string grows");
            }
            None if line.starts_with(RULE) && line.ends_with(" 0") => {
                writeln!(all, "{} 1", line.trim_end_matches(" 0")).expect("a string grows");
            }
            None => writeln!(all, "{line}").expect("a string grows"),
        }
    }
    all
}

/// Serves the pages at `/0`, `/1`, …, until the process ends. Those below `down` are answered with an error.
pub(super) fn serve(pages: Arc<Vec<String>>, down: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (pages, down) = (Arc::clone(&pages), Arc::clone(&down));
            // A scraper that goes away takes its answer with it.
            thread::spawn(move || answer(&stream, &pages, &down).ok());
        }
    });
    address
}

/// Answers requests on one connection for as long as they come.
fn answer(mut stream: &TcpStream, pages: &[String], down: &AtomicUsize) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    while let Some(request) = lines.next().transpose()? {
        while lines.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
        let number = request.split(['/', ' ']).nth(2).and_then(|number| number.parse().ok()).unwrap_or(0);
        let body = &pages[number];
        let status = if number < down.load(Ordering::Relaxed) { "503 Down" } else { "200 OK" };
        let head = "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8";
        stream.write_all(
            format!("HTTP/1.1 {status}{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes(),
        )?;
    }
    Ok(())
}
