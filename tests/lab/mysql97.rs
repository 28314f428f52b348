//! MySQL 9.7 from its own tree, entered by chroot.

use std::path::Path;
use std::process::Command;

use super::account::Account;
use super::mariadb::words;
use super::place::{PrivateDir, installed};
use super::process::{bound_command, run};
use super::server::{Flavor, Launch, SOCKET, Server};

/// How to start a MySQL 9.7. It speaks TLS and `caching_sha2_password` by its own defaults.
#[derive(Debug, Clone)]
pub(crate) struct MySql97Options {
    /// More arguments; they win over the lab's own.
    pub(crate) args: Vec<String>,
    /// The accounts to make.
    pub(crate) accounts: Vec<Account>,
    /// The network namespace on whose loopback it is reached; this one's if `None`.
    pub(crate) netns: Option<String>,
}

impl Default for MySql97Options {
    fn default() -> Self {
        Self { args: Vec::new(), accounts: vec![Account::canary(), Account::app()], netns: None }
    }
}

impl MySql97Options {
    /// The defaults with some more arguments.
    pub(crate) fn with_args(args: &[&str]) -> Self {
        Self { args: args.iter().map(ToString::to_string).collect(), ..Self::default() }
    }
}

/// Starts MySQL 9.7 servers.
#[derive(Debug)]
pub(crate) struct MySql97;

impl MySql97 {
    /// Starts a server with data of its own; ready when this returns.
    pub(crate) fn start(options: MySql97Options) -> Server {
        let tree = installed("mysql");
        let dir = PrivateDir::inside(&tree.join("srv"));
        run(Command::new("cp")
            .args(["-a", "--sparse=always"])
            .arg(tree.join("srv/template"))
            .arg(dir.path().join("data")));
        // The server makes its socket, logs and process id here.
        run(Command::new("chown").arg(format!("--reference={}", tree.join("srv").display())).arg(dir.path()));

        let inside = inside_tree(&tree, dir.path());
        let tree = tree.to_str().expect("the path of the repository is UTF-8").to_owned();
        let mut around: Vec<&str> =
            options.netns.iter().flat_map(|name| ["ip", "netns", "exec", name.as_str()]).collect();
        around.extend(["chroot", "--userspec=mysql", &tree]);
        let mut command = words(&bound_command(&around, "mysqld"));
        command.extend([
            "--no-defaults".to_owned(),
            format!("--datadir={inside}/data"),
            format!("--socket={inside}/{SOCKET}"),
            format!("--pid-file={inside}/pid"),
        ]);
        command.extend(SMALL.iter().map(ToString::to_string));
        command.extend(options.args);
        let tls_ca = Some(dir.path().join("data/ca.pem"));
        Server::launch(Launch {
            flavor: Flavor::MySql,
            dir,
            command,
            address: None,
            port: None,
            tls_ca,
            accounts: options.accounts,
        })
    }
}

/// Little memory, small files, no names to resolve, nothing that must survive a power cut.
/// `performance_schema` stays on.
const SMALL: [&str; 9] = [
    "--bind-address=127.0.0.1",
    "--mysqlx=OFF",
    "--secure-file-priv=",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-buffer-pool-size=32M",
    "--innodb-redo-log-capacity=8M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=O_DIRECT_NO_FSYNC",
];

/// How a path is spelled by who lives in the tree.
pub(super) fn inside_tree(tree: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(tree).expect("the path lies in the tree");
    format!("/{}", inside.display())
}
