//! MySQL Router with classic routing, from the tree MySQL 9.7 lives in.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::mysql97::inside_tree;
use super::place::{PrivateDir, installed};
use super::process::{Daemon, bound_command, on_free_port};

/// A running MySQL Router. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct MySqlRouter {
    _daemon: Daemon,
    _dir: PrivateDir,
    address: SocketAddr,
}

impl MySqlRouter {
    /// Starts a router for `backend`.
    pub(crate) fn start(backend: SocketAddr) -> Self {
        let tree = installed("mysql");
        let dir = PrivateDir::inside(&tree.join("srv"));
        let config = dir.path().join("router.conf");
        let (port, daemon) = on_free_port(|port| {
            // Without a logging folder it logs where the lab reads.
            let text = format!(
                "[DEFAULT]\nlogging_folder=\n[logger]\nlevel=INFO\n\
                 [routing:classic]\nprotocol=classic\nrouting_strategy=first-available\n\
                 bind_address=127.0.0.1\nbind_port={port}\ndestinations={backend}\n"
            );
            fs::write(&config, text).expect("the private directory is writable");
            Self::run(&tree, &config)
        });
        Self { _daemon: daemon, _dir: dir, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) }
    }

    /// Where clients reach the server through it.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.address
    }

    fn run(tree: &Path, config: &Path) -> Result<Daemon, String> {
        let root = tree.to_str().expect("the path of the repository is UTF-8");
        let mut command = bound_command(&["chroot", "--userspec=mysql", root], "mysqlrouter");
        command.arg("--config").arg(inside_tree(tree, config));
        let mut daemon = Daemon::start(command, &config.with_extension("log"));
        daemon.wait_for_output("Start accepting connections for routing").map(|()| daemon)
    }
}
