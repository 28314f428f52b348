//! Several targets and paths in one process, from one configuration file.
//!
//! | rows | what they show |
//! |---|---|
//! | `paths` | three paths to one server and one to another: each has its own culprit, layer and limit |
//! | `reloads` | a hundred reloads while canaries die; targets that come, change, go and come again |
//! | `ghosts` | what a reload leaves on the server, behind a firewall that has forgotten it |
//! | `stuck` | a reload while a server does not answer |
//! | `refused` | bad files, other methods, SIGHUP; what a reload ends is counted, what is gone vanishes |
//! | `probe` | the page of one target, and two scrapers at once |
//! | `neighbours` | two targets that are two names of one server |
//! | `passwords` | a password that is changed on the server and in its file |
//!
//! [`file`] writes the configuration, [`counters`] watches that no counter goes back, [`lives`] that no session is lost.

mod counters;
pub(crate) mod file;
mod ghosts;
mod lives;
mod neighbours;
mod passwords;
mod paths;
mod probe;
mod refused;
mod reloads;
mod stuck;

use std::collections::BTreeSet;
use std::fs;

use crate::exporter::Exporter;
use crate::lab::{Account, MariaDb, MariaDbOptions, Server};

/// A MariaDB whose exporter may see everybody's sessions.
fn mariadb(args: &[&str]) -> Server {
    MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary().with_process_privilege(), Account::app()],
        ..MariaDbOptions::with_args(args)
    })
}

/// The ids of the exporter's sessions that the server lists now.
fn listed(server: &Server) -> BTreeSet<u64> {
    server.processlist().iter().filter(|row| row.user == "canary").map(|row| row.id).collect()
}

/// Asks for a reload. Panics where it is refused.
#[track_caller]
fn reload(exporter: &Exporter<'_>) {
    let answer = exporter.ask("POST", "/-/reload");
    assert_eq!((answer.status, answer.body.as_str()), (200, "Reloaded.\n"), "{}", exporter.log());
}

/// The ids of the sessions that the exporter itself has on the server, over no proxy.
fn straight(exporter: &Exporter<'_>, server: &Server) -> BTreeSet<u64> {
    let ports = own_ports(exporter.pid(), server.port());
    let is_own = |host: &str| {
        host.rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .is_some_and(|port| ports.contains(&port))
    };
    let rows = server.processlist();
    rows.iter().filter(|row| row.user == "canary" && is_own(&row.host)).map(|row| row.id).collect()
}

/// The local ports of a process's sockets that lead to a port of 127.0.0.1.
fn own_ports(pid: u32, to: u16) -> BTreeSet<u16> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    let held: BTreeSet<String> = files
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok()?.into_os_string().into_string().ok())
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("it runs");
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let (local, remote, inode) = (words.get(1)?, words.get(2)?, words.get(9)?);
            (port(remote)? == to && held.contains(*inode)).then(|| port(local))?
        })
        .collect()
}
