//! A log that nobody reads: a pipe that is full, and one whose reader is gone.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::time::Instant;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, kill_process};

use super::{Duration, MariaDb, MariaDbOptions, Signal, wait_for, wait_until_gone};
use crate::exporter::Page;
use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::place::free_port;
use crate::lab::process::{bound_command, spawn};
use crate::lab::{Server, http};

/// How long a page may take on a machine that runs many tests.
const QUICK: Duration = Duration::from_secs(2);

/// An exporter whose log is this pipe. Dropping it kills it.
struct Unread {
    child: Child,
    web: SocketAddr,
}

impl Unread {
    fn start(server: &Server, log: std::io::PipeWriter) -> Self {
        let web = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = bound_command(&[], env!("CARGO_BIN_EXE_mysql-canary-exporter"));
        command
            .arg(format!("--mysql.address={}", server.addr()))
            .arg(format!("--web.listen-address={web}"))
            .args(["--mysql.username=canary", "--canary.ages=60s,120s", "--server.interval=1s"])
            .env("MYSQL_CANARY_PASSWORD", DEFAULT_PASSWORD)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let exporter = Self { child: spawn(command).expect("it starts"), web };
        wait_for("held canaries", Duration::from_secs(20), || {
            let page = http::get(web, "/metrics").ok()?.body;
            (Page::parse(&page).sum("connections", &[]) >= 2.0).then_some(())
        });
        exporter
    }

    fn dropped(&self) -> f64 {
        let begun = Instant::now();
        let page = http::get(self.web, "/metrics").expect("it answers").body;
        assert!(begun.elapsed() < QUICK, "a page took {:?}", begun.elapsed());
        Page::parse(&page).sum("log_lines_dropped_total", &[])
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("small")).expect("above zero");
        kill_process(pid, signal).expect("it runs");
    }

    /// Makes it log until lines are dropped.
    fn chatter(&self) {
        wait_for("lines that are dropped", Duration::from_secs(60), || {
            for _ in 0..200 {
                self.signal(Signal::HUP);
                std::thread::sleep(Duration::from_micros(500));
            }
            (self.dropped() > 0.0).then_some(())
        });
    }

    fn terminate(mut self) {
        let begun = Instant::now();
        self.signal(Signal::TERM);
        let status = wait_for("the end", Duration::from_secs(10), || self.child.try_wait().expect("a child"));
        assert_eq!(status.code(), Some(0));
        assert!(begun.elapsed() < Duration::from_millis(2600), "it took {:?}", begun.elapsed());
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fills a pipe to the brim. Gives how much went in.
fn fill(pipe: &mut std::io::PipeWriter) -> usize {
    let flags = fcntl_getfl(pipe.as_fd()).expect("a pipe has flags");
    fcntl_setfl(pipe.as_fd(), flags | OFlags::NONBLOCK).expect("they can be set");
    let mut filled = 0;
    for block in [4096, 1] {
        while let Ok(count) = pipe.write(&vec![b'\n'; block]) {
            filled += count;
        }
    }
    fcntl_setfl(pipe.as_fd(), flags).expect("they can be set");
    filled
}

#[test]
fn a_log_that_nobody_reads_holds_up_neither_scrapes_nor_the_end() {
    let server = MariaDb::start(MariaDbOptions::default());
    let before = server.status("Aborted_clients");
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    let filled = fill(&mut writer);
    let exporter = Unread::start(&server, writer);
    exporter.chatter();
    // Somebody reads again: what waited comes whole, and how much is missing.
    let lost = wait_for("the word that lines were dropped", Duration::from_secs(20), || {
        let mut bytes = vec![0; 1 << 20];
        let count = reader.read(&mut bytes).expect("it is open");
        let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
        text.lines().find(|line| line.contains("event=log_lines_dropped")).map(str::to_owned)
    });
    assert!(filled >= 4096 && lost.contains("level=WARN"), "{lost}");
    exporter.terminate();
    wait_until_gone(&server);
    assert_eq!(server.status("Aborted_clients"), before);
}

#[test]
fn a_log_whose_reader_is_gone_or_stays_full_ends_nobody() {
    let server = MariaDb::start(MariaDbOptions::default());
    let before = server.status("Aborted_clients");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let gone = Unread::start(&server, writer);
    let (_reader, mut writer) = std::io::pipe().expect("a pipe");
    fill(&mut writer);
    let full = Unread::start(&server, writer);
    gone.chatter();
    gone.terminate();
    full.terminate();
    wait_until_gone(&server);
    assert_eq!(server.status("Aborted_clients"), before);
}
