//! The exporter under test: started as its users start it, scraped as Prometheus scrapes it, its event
//! log read line by line.

mod page;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::place::PrivateDir;
use crate::lab::process::{Daemon, bound_command};
use crate::lab::{Firewall, Namespace, Resolver, Server, http, wait_for};

pub(crate) use page::Page;

const KEY_FROM_ANYBODY: &str = "--mysql.get-server-public-key";

/// Its address would be another one in each run.
const NAME: &str = "--target.name=default";

/// How an exporter is to be started.
#[derive(Debug, Clone)]
pub(crate) struct Launch<'a> {
    /// None where a file says which.
    address: Option<String>,
    args: Vec<String>,
    password: String,
    inside: Option<&'a Namespace>,
    around: Vec<String>,
}

/// A running exporter. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Exporter<'a> {
    daemon: Option<Daemon>,
    web: SocketAddr,
    inside: Option<&'a Namespace>,
    dir: PrivateDir,
}

impl<'a> Launch<'a> {
    /// On a server, as the user `canary`.
    pub(crate) fn on(server: &Server) -> Self {
        Self::at(&server.addr().to_string())
    }

    /// On an address, as the user `canary`.
    pub(crate) fn at(address: &str) -> Self {
        Self {
            address: Some(address.to_owned()),
            args: Vec::new(),
            password: DEFAULT_PASSWORD.to_owned(),
            inside: None,
            around: Vec::new(),
        }
        // The lab's servers forget passwords, and few of them speak TLS.
        .args(&[
            "--mysql.username=canary",
            "--server.interval=1s",
            "--log.level=debug",
            KEY_FROM_ANYBODY,
            NAME,
        ])
    }

    /// As a configuration file says.
    pub(crate) fn from_file(file: &Path) -> Self {
        Self {
            address: None,
            args: Vec::new(),
            password: DEFAULT_PASSWORD.to_owned(),
            inside: None,
            around: Vec::new(),
        }
        .args(&[&format!("--config.file={}", file.display()), "--log.level=debug"])
    }

    /// With the flag's default: the password itself goes to no server that nobody verified.
    pub(crate) fn verifying(mut self) -> Self {
        self.args.retain(|arg| arg != KEY_FROM_ANYBODY);
        self
    }

    /// With the flag's default: the address is the target's name.
    pub(crate) fn nameless(mut self) -> Self {
        self.args.retain(|arg| arg != NAME);
        self
    }

    /// Started by these words, which must `exec` it.
    pub(crate) fn under(mut self, around: &[&str]) -> Self {
        self.around.extend(around.iter().map(|&word| word.to_owned()));
        self
    }

    /// In the client's namespace of a firewall, on the server behind it.
    pub(crate) fn behind(firewall: &'a Firewall) -> Self {
        Self::at(&firewall.addr().to_string()).inside(firewall.client())
    }

    /// In a namespace.
    pub(crate) fn inside(self, namespace: &'a Namespace) -> Self {
        let around = namespace.around().map(str::to_owned).to_vec();
        Self { inside: Some(namespace), around, ..self }
    }

    /// In a namespace whose names this name server resolves.
    pub(crate) fn resolving(mut self, resolver: &Resolver) -> Self {
        self.around.extend(resolver.around());
        self
    }

    /// From the same place to another address.
    pub(crate) fn to(self, address: &str) -> Self {
        Self { address: Some(address.to_owned()), ..self }
    }

    /// With these idle ages.
    pub(crate) fn ages(self, ages: &str) -> Self {
        self.args(&[&format!("--canary.ages={ages}")])
    }

    /// With more arguments.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// With a server view that is read this often.
    pub(crate) fn interval(mut self, every: &str) -> Self {
        self.args.retain(|arg| !arg.starts_with("--server.interval"));
        self.args(&[&format!("--server.interval={every}")])
    }

    /// With this in its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.around.extend(["env".to_owned(), format!("{name}={value}")]);
        self
    }

    /// As another user.
    pub(crate) fn user(mut self, name: &str, password: &str) -> Self {
        self.args.retain(|arg| !arg.starts_with("--mysql.username"));
        self.password = password.to_owned();
        self.args(&[&format!("--mysql.username={name}")])
    }

    /// Starts it; it listens when this returns.
    pub(crate) fn start(self) -> Exporter<'a> {
        let dir = PrivateDir::new();
        let around: Vec<&str> = self.around.iter().map(String::as_str).collect();
        // Measurements are made with a release build.
        let binary = std::env::var("MYSQL_CANARY_BINARY")
            .unwrap_or_else(|_| env!("CARGO_BIN_EXE_mysql-canary-exporter").to_owned());
        let mut command = bound_command(&around, &binary);
        let has_address = self.address.is_some();
        command
            .args(self.address.map(|address| format!("--mysql.address={address}")))
            .args(["--web.listen-address=127.0.0.1:0", "--log.format=json"])
            .args(&self.args);
        // A file says itself where the password is.
        if has_address {
            command.env("MYSQL_CANARY_PASSWORD", &self.password);
        }
        let mut daemon = Daemon::start(command, &dir.path().join("log"));
        if let Err(output) = daemon.wait_for_output("\"event\":\"listening\"") {
            panic!("the exporter did not start: {output}");
        }
        let log = daemon.output();
        let web = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find_map(|line| line["address"].as_str().filter(|_| line["event"] == "listening")?.parse().ok())
            .expect("the exporter says where it listens");
        Exporter { daemon: Some(daemon), web, inside: self.inside, dir }
    }
}

impl Exporter<'_> {
    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("it runs until it is stopped")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.daemon().pid()
    }

    /// Where it listens.
    pub(crate) fn web(&self) -> SocketAddr {
        self.web
    }

    /// `GET path`, from where Prometheus would ask.
    pub(crate) fn get(&self, path: &str) -> http::Response {
        self.ask("GET", path)
    }

    /// Any request without a body, from where Prometheus would ask.
    pub(crate) fn ask(&self, method: &str, path: &str) -> http::Response {
        let ask = || http::request(self.web, method, path, &[]);
        let answer = match self.inside {
            Some(namespace) => namespace.enter(ask),
            None => ask(),
        };
        answer.expect("the exporter answers")
    }

    /// The metrics now.
    pub(crate) fn metrics(&self) -> Page {
        let response = self.get("/metrics");
        assert_eq!(response.status, 200);
        Page::parse(&response.body)
    }

    /// Waits until the metrics satisfy `wanted`.
    #[track_caller]
    pub(crate) fn wait_for_metrics(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Page) -> bool,
    ) -> Page {
        let begun = Instant::now();
        loop {
            let page = self.metrics();
            if wanted(&page) {
                return page;
            }
            assert!(
                begun.elapsed() < limit,
                "waited {limit:?} in vain for {what}; the exporter logged\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// All it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).expect("the log is readable")
    }

    /// The events of one kind that it has logged.
    pub(crate) fn events(&self, event: &str) -> Vec<Value> {
        let log = self.log();
        log.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["event"] == event)
            .collect()
    }

    /// Waits for so many events of one kind.
    #[track_caller]
    pub(crate) fn wait_for_events(&self, event: &str, count: usize, limit: Duration) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let events = self.events(event);
            if events.len() >= count {
                return events;
            }
            assert!(
                begun.elapsed() < limit,
                "waited {limit:?} in vain for {count} events {event}; the exporter logged\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.daemon().signal(signal);
    }

    /// Ends it with SIGTERM. Gives how it ended, and how long that took.
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let status = self.daemon.take().expect("it runs until it is stopped").terminate();
        (status, begun.elapsed())
    }

    /// Waits until it ends by itself. Gives how it ended.
    #[track_caller]
    pub(crate) fn wait_for_end(&mut self, limit: Duration) -> ExitStatus {
        self.daemon.as_mut().expect("it runs until it is stopped").wait_for_end(limit)
    }

    /// Its resident memory, in kB.
    pub(crate) fn resident_kb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is told");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// How many file descriptors it holds.
    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("the process runs").count()
    }
}

/// The ages in events, in seconds.
pub(crate) fn ages(events: &[Value]) -> Vec<f64> {
    events.iter().filter_map(|event| event["age_seconds"].as_f64()).collect()
}

/// Waits until the server lists no session of the user `canary`.
#[track_caller]
pub(crate) fn wait_until_gone(server: &Server) {
    wait_for("the end of every canary session on the server", Duration::from_secs(10), || {
        server.processlist().iter().all(|session| session.user != "canary").then_some(())
    });
}
