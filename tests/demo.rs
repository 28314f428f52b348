//! `demo`: canaries live and die before one's eyes, and nothing is left when it ends, however it ends.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::exporter::Page;
use crate::lab::place::PrivateDir;
use crate::lab::process::{Daemon, bound_command};
use crate::lab::{http, wait_for};

/// How long a private MariaDB may take to come up beside many others.
const START: Duration = Duration::from_secs(90);

/// A demonstration with a temporary directory of its own.
struct Demo {
    daemon: Option<Daemon>,
    temp: PrivateDir,
    log: PrivateDir,
}

impl Demo {
    fn start() -> Self {
        let (temp, log) = (PrivateDir::new(), PrivateDir::new());
        let mut command = bound_command(&[], env!("CARGO_BIN_EXE_mysql-canary-exporter"));
        command.arg("demo").env("TMPDIR", temp.path());
        let daemon = Daemon::start(command, &log.path().join("log"));
        Self { daemon: Some(daemon), temp, log }
    }

    fn output(&self) -> String {
        fs::read_to_string(self.log.path().join("log")).expect("the log is readable")
    }

    #[track_caller]
    fn wait_for(&mut self, sign: &str) {
        let daemon = self.daemon.as_mut().expect("runs");
        daemon.wait_for_output(sign).unwrap_or_else(|output| panic!("no {sign:?}: {output}"));
    }

    /// Where its exporter listens.
    fn web(&self) -> SocketAddr {
        let output = self.output();
        let (_, rest) = output.split_once("Open http://").expect("it says what to open");
        rest.split_once('/').and_then(|(address, _)| address.parse().ok()).expect("an address")
    }

    /// Processes that name its temporary directory.
    fn children(&self) -> Vec<String> {
        // With the slash: the names of other tests' directories begin like this one's.
        let temp = format!("{}/", self.temp.path().to_str().expect("UTF-8"));
        let commands = fs::read_dir("/proc").expect("readable").filter_map(|entry| {
            let words = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
            Some(String::from_utf8_lossy(&words).replace('\0', " "))
        });
        commands.filter(|command| command.contains(&temp)).collect()
    }

    #[track_caller]
    fn wait_until_nothing_is_left(&self) {
        wait_for("the end of all that the demonstration made", Duration::from_secs(15), || {
            let files = fs::read_dir(self.temp.path()).expect("readable").count();
            (files == 0 && self.children().is_empty()).then_some(())
        });
    }
}

/// Holds the port a demonstration would take. `None` when somebody who is no test holds it: taken either way.
fn take_default_port() -> Option<TcpListener> {
    // A demonstration beside this one may hold it, and let go before ours asks for it.
    let begun = Instant::now();
    loop {
        match TcpListener::bind("127.0.0.1:10052") {
            Ok(listener) => return Some(listener),
            Err(_) if begun.elapsed() < START => sleep(Duration::from_millis(50)),
            Err(_) => return None,
        }
    }
}

#[test]
fn three_culprits_are_told_apart_and_the_port_may_be_taken() {
    /// How long the story may take on a busy machine; a quiet one needs less than half of it.
    const STORY: Duration = Duration::from_secs(180);
    let _taken = take_default_port();
    let mut demo = Demo::start();
    demo.wait_for("  lived  idle ");
    demo.wait_for("  DIED   idle ");
    demo.wait_for("shop      FAILS  ");
    demo.wait_for("MISMATCH  pool shop may lend a connection");
    wait_for("the whole story", STORY, || demo.output().contains("All three limits are found").then_some(()));
    let web = demo.web();
    assert_ne!(web.port(), 10052, "{}", demo.output());
    let page = Page::parse(&http::get(web, "/metrics").expect("the exporter answers").body);
    let culprits = [
        ("direct", "server_idle_timeout", 15.0),
        ("nat", "network_idle_timeout", 7.0),
        ("balancer", "proxy_idle_timeout", 4.0),
    ];
    for (path, culprit, limit) in culprits {
        let path = ("path", path);
        assert_eq!(page.one("idle_limit_info", &[path, ("culprit", culprit)]), 1.0, "{}", demo.output());
        let [lower, upper] = ["lower", "upper"]
            .map(|side| page.one(&format!("idle_limit_{side}_seconds"), &[path, ("kind", "idle")]));
        assert!(lower <= limit + 0.3 && upper >= limit - 0.3, "({lower}, {upper}]:\n{}", demo.output());
    }
    assert_eq!(http::get(web, "/").expect("the exporter answers").status, 200);

    let daemon = demo.daemon.take().expect("runs");
    daemon.signal(Signal::INT);
    assert_eq!(daemon.terminate().code(), Some(0), "{}", demo.output());
    let output = demo.output();
    assert!(output.contains(" canaries lived and "), "{output}");
    for words in [
        "The server does it, by its wait_timeout of 15 s.",
        "A firewall, NAT or load balancer on the network does it, by an idle timer.",
        "A proxy does it, by an idle timer",
    ] {
        assert!(output.contains(words), "{output}");
    }
    assert!(output.trim_end().ends_with("MariaDB is stopped, and its directory is removed"), "{output}");
    demo.wait_until_nothing_is_left();
}

#[test]
fn a_killed_demonstration_leaves_nothing() {
    let mut demo = Demo::start();
    demo.wait_for("Ctrl-C ends it all");
    assert!(demo.children().len() >= 2, "MariaDB and the directory's guard: {:?}", demo.children());
    // Dropped, it is killed.
    drop(demo.daemon.take());
    demo.wait_until_nothing_is_left();
}

#[test]
fn stopped_while_it_starts_it_leaves_nothing() {
    let mut demo = Demo::start();
    wait_for("the private directory", START, || {
        fs::read_dir(demo.temp.path()).expect("readable").next().map(drop)
    });
    let status = demo.daemon.take().expect("runs").terminate();
    assert_eq!(status.code(), Some(0), "{}", demo.output());
    demo.wait_until_nothing_is_left();
}

#[test]
fn without_its_server_it_says_so_and_ends() {
    let mut demo = Demo::start();
    demo.wait_for("Ctrl-C ends it all");
    let pid_file = fs::read_dir(demo.temp.path())
        .expect("readable")
        .map(|entry| entry.expect("readable").path().join("pid"))
        .find(|file| file.exists())
        .expect("MariaDB wrote its process id");
    kill(&pid_file);
    demo.wait_for("error: MariaDB ended; it said last:");
    wait_for("the end of the demonstration", Duration::from_secs(10), || {
        demo.daemon.as_mut().is_some_and(Daemon::has_ended).then_some(())
    });
    demo.wait_until_nothing_is_left();
}

fn kill(pid_file: &Path) {
    let pid = fs::read_to_string(pid_file).expect("readable").trim().parse().expect("a number");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    rustix::process::kill_process(pid, Signal::KILL).expect("it runs");
}
