//! A running database server, MariaDB or MySQL, and what a test may ask of it or do to it.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::account::Account;
use super::authority::Authority;
use super::place::PrivateDir;
use super::process::{Daemon, on_free_port, run, spawn};

/// The name of the Unix socket inside the server's directory: short, because a socket's whole path may not
/// pass 107 bytes.
pub(super) const SOCKET: &str = "s";

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// MariaDB from the system's packages.
    MariaDb,
    /// MySQL 9.7 from its own tree.
    MySql,
}

/// One row of the process list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// The thread id, the one of the greeting.
    pub(crate) id: u64,
    /// The account's name.
    pub(crate) user: String,
    /// Where it comes from, `address:port`.
    pub(crate) host: String,
    /// `Sleep`, `Query`, …
    pub(crate) command: String,
    /// Seconds in that command.
    pub(crate) time: i64,
}

/// A running server. Dropping it kills it and removes its data.
#[derive(Debug)]
pub(crate) struct Server {
    // Before the directory: fields are dropped in this order, and the daemon must be dead when its data goes.
    daemon: Option<Daemon>,
    dir: PrivateDir,
    flavor: Flavor,
    command: Vec<String>,
    address: SocketAddr,
    tls_ca: Option<PathBuf>,
}

/// What a flavor hands over to have its server started.
pub(super) struct Launch {
    pub(super) flavor: Flavor,
    pub(super) dir: PrivateDir,
    /// The whole command line, but for the port.
    pub(super) command: Vec<String>,
    pub(super) address: Option<IpAddr>,
    pub(super) port: Option<u16>,
    pub(super) tls_ca: Option<PathBuf>,
    pub(super) accounts: Vec<Account>,
}

impl Server {
    /// Starts the server, on another port when the chosen one was taken meanwhile, and makes its accounts.
    pub(super) fn launch(launch: Launch) -> Self {
        let ip = launch.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut server = Self {
            daemon: None,
            dir: launch.dir,
            flavor: launch.flavor,
            command: launch.command,
            address: SocketAddr::new(ip, launch.port.unwrap_or(0)),
            tls_ca: launch.tls_ca,
        };
        if launch.port.is_some() {
            server.restart();
        } else {
            let (port, daemon) = on_free_port(|port| server.run(port));
            server.address.set_port(port);
            server.daemon = Some(daemon);
        }
        let accounts: String =
            launch.accounts.iter().map(|account| account.statements(server.flavor)).collect();
        server.sql(&format!("CREATE DATABASE app;\n{accounts}"));
        server
    }

    /// Where clients reach it.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The port of [`Server::addr`].
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its Unix socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join(SOCKET)
    }

    /// Its process id; panics when it was stopped.
    pub(crate) fn pid(&self) -> u32 {
        self.running().pid()
    }

    /// The certificate clients may verify it with, where it speaks TLS.
    pub(crate) fn tls_ca(&self) -> Option<&Path> {
        self.tls_ca.as_deref()
    }

    /// MySQL alone: starts it again with this certificate, and with its authority's word on those of clients. At its start
    /// MySQL takes one that has expired, too.
    pub(crate) fn present(&mut self, authority: &Authority, name: &str) {
        let data = self.dir.path().join("data");
        for (from, to) in [
            ("ca.pem".to_owned(), "ca.pem"),
            (format!("{name}.pem"), "server-cert.pem"),
            (format!("{name}-key.pem"), "server-key.pem"),
        ] {
            fs::copy(authority.file(&from), data.join(to)).expect("the directory is ours");
            // Read by the server's own user.
            run(Command::new("chown").arg(format!("--reference={}", data.display())).arg(data.join(to)));
        }
        self.restart();
    }

    /// All it has logged since its last start.
    pub(crate) fn log(&self) -> String {
        self.running().output()
    }

    /// Runs statements as root over the Unix socket; the rows of all of them, text as the server gives it,
    /// NULL as `NULL`.
    #[track_caller]
    pub(crate) fn sql(&self, statements: &str) -> Vec<Vec<String>> {
        self.try_sql(statements).unwrap_or_else(|error| panic!("{statements:?} failed: {error}"))
    }

    /// As [`Server::sql`], with the client's error message.
    pub(crate) fn try_sql(&self, statements: &str) -> Result<Vec<Vec<String>>, String> {
        let mut client = Command::new("mariadb");
        client
            .args([
                "--no-defaults",
                "--user=root",
                "--batch",
                "--skip-column-names",
                "--default-character-set=utf8mb4",
            ])
            // Relative to its directory: the whole path may be too long for a socket.
            .args(["--protocol=socket", "--socket", SOCKET])
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut client = spawn(client).expect("the mariadb client starts");
        // A client that refuses early closes its input; what it says then matters, not this error.
        let _ = client.stdin.take().expect("its input is piped").write_all(statements.as_bytes());
        let output = client.wait_with_output().expect("the client ends");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().map(|line| line.split('\t').map(unescape).collect()).collect())
    }

    /// A global status variable that is a number.
    #[track_caller]
    pub(crate) fn status(&self, name: &str) -> i64 {
        let rows = self.sql(&format!("SHOW GLOBAL STATUS WHERE Variable_name = '{name}'"));
        let value = rows.first().unwrap_or_else(|| panic!("the server has no status variable {name}"));
        value[1].parse().unwrap_or_else(|_| panic!("{name} is {:?}, not a number", value[1]))
    }

    /// All sessions of clients but this question's own.
    pub(crate) fn processlist(&self) -> Vec<Session> {
        let table = match self.flavor {
            Flavor::MariaDb => "information_schema.PROCESSLIST",
            Flavor::MySql => "performance_schema.processlist",
        };
        let rows = self.sql(&format!(
            "SELECT ID, USER, HOST, COMMAND, TIME FROM {table} \
             WHERE ID <> CONNECTION_ID() AND USER NOT IN ('system user', 'event_scheduler') ORDER BY ID"
        ));
        rows.into_iter()
            .map(|row| Session {
                id: row[0].parse().expect("an id is a number"),
                user: row[1].clone(),
                host: row[2].clone(),
                command: row[3].clone(),
                time: row[4].parse().unwrap_or(0),
            })
            .collect()
    }

    /// Ends one session as an administrator would.
    #[track_caller]
    pub(crate) fn kill(&self, id: u64) {
        self.sql(&format!("KILL {id}"));
    }

    /// Shuts the server down gracefully and waits until it is gone; its data stays.
    pub(crate) fn stop(&mut self) {
        self.daemon.take().expect("the server runs").terminate();
    }

    /// Starts it again on the same port with the same data; stops it first if it runs.
    pub(crate) fn restart(&mut self) {
        if self.daemon.is_some() {
            self.stop();
        }
        let daemon =
            self.run(self.port()).unwrap_or_else(|log| panic!("{:?} did not start: {log}", self.command));
        self.daemon = Some(daemon);
    }

    /// Freezes the process: connections stay, nothing answers.
    pub(crate) fn sigstop(&self) {
        self.running().signal(Signal::STOP);
    }

    /// Lets a frozen process go on.
    pub(crate) fn sigcont(&self) {
        self.running().signal(Signal::CONT);
    }

    fn running(&self) -> &Daemon {
        self.daemon.as_ref().expect("the server runs")
    }

    fn run(&self, port: u16) -> Result<Daemon, String> {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).arg(format!("--port={port}"));
        let mut daemon = Daemon::start(command, &self.dir.path().join("server.log"));
        daemon.wait_for_output("ready for connections").map(|()| daemon)
    }
}

/// Undoes what the client's batch mode does to a value.
fn unescape(value: &str) -> String {
    let mut text = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('0') => '\0',
                Some(other) => other,
                None => '\\',
            },
            plain => plain,
        });
    }
    text
}
