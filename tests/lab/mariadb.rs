//! MariaDB from the system's packages.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;
use super::place::{PrivateDir, installed};
use super::process::{bound_command, run};
use super::server::{Flavor, Launch, SOCKET, Server};

/// How MariaDB gives threads to connections; the two ways close an idle session differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ThreadHandling {
    /// The default: a thread for each. An idle session ends with RST.
    #[default]
    OneThreadPerConnection,
    /// A pool. An idle session ends with FIN.
    PoolOfThreads,
}

/// How to start a MariaDB.
#[derive(Debug, Clone)]
pub(crate) struct MariaDbOptions {
    /// How it gives threads to connections.
    pub(crate) thread_handling: ThreadHandling,
    /// More arguments; they win over the lab's own.
    pub(crate) args: Vec<String>,
    /// The accounts to make.
    pub(crate) accounts: Vec<Account>,
    /// The network namespace to run in, and the address clients reach it at there.
    pub(crate) netns: Option<(String, IpAddr)>,
    /// A fixed port, where nobody else can take it.
    pub(crate) port: Option<u16>,
    /// Speak TLS with a certificate for `localhost` and 127.0.0.1, signed by [`Server::tls_ca`].
    pub(crate) tls: bool,
    /// With a certificate whose time is over.
    pub(crate) expired: bool,
}

impl Default for MariaDbOptions {
    fn default() -> Self {
        Self {
            thread_handling: ThreadHandling::default(),
            args: Vec::new(),
            accounts: vec![Account::canary(), Account::app()],
            netns: None,
            port: None,
            tls: false,
            expired: false,
        }
    }
}

impl MariaDbOptions {
    /// The defaults with some more arguments.
    pub(crate) fn with_args(args: &[&str]) -> Self {
        Self { args: args.iter().map(ToString::to_string).collect(), ..Self::default() }
    }
}

/// Starts MariaDB servers.
#[derive(Debug)]
pub(crate) struct MariaDb;

impl MariaDb {
    /// Starts a server with data of its own; ready when this returns.
    pub(crate) fn start(options: MariaDbOptions) -> Server {
        let dir = PrivateDir::new();
        let data = dir.path().join("data");
        run(Command::new("cp").args(["-a", "--sparse=always"]).arg(installed("mariadb-template")).arg(&data));

        let namespace = options.netns.as_ref().map(|(name, _)| name.as_str());
        let around: Vec<&str> = namespace.iter().flat_map(|name| ["ip", "netns", "exec", name]).collect();
        let mut command = words(&bound_command(&around, "mariadbd"));
        command.extend([
            "--no-defaults".to_owned(),
            "--user=root".to_owned(),
            format!("--datadir={}", data.display()),
            format!("--socket={}", dir.path().join(SOCKET).display()),
            format!("--pid-file={}", dir.path().join("pid").display()),
            // A MariaDB that starts deletes the temporary tables of all others in its tmpdir, which may
            // crash them.
            format!("--tmpdir={}", dir.path().display()),
            format!("--bind-address={}", if namespace.is_some() { "*" } else { "127.0.0.1" }),
        ]);
        command.extend(SMALL.iter().map(ToString::to_string));
        if options.thread_handling == ThreadHandling::PoolOfThreads {
            command
                .extend(["--thread-handling=pool-of-threads".to_owned(), "--thread-pool-size=2".to_owned()]);
        }
        let tls_ca =
            options.tls.then(|| make_certificates(dir.path(), if options.expired { -1 } else { 30 }));
        if tls_ca.is_none() {
            // From 11.4 on it makes a certificate by itself.
            command.push("--skip-ssl".to_owned());
        } else {
            command.extend(["ca", "cert", "key"].map(|file| {
                format!("--ssl-{file}={}", dir.path().join(file).with_extension("pem").display())
            }));
        }
        command.extend(options.args);
        Server::launch(Launch {
            flavor: Flavor::MariaDb,
            dir,
            command,
            address: options.netns.map(|(_, address)| address),
            port: options.port,
            tls_ca,
            accounts: options.accounts,
        })
    }
}

/// Little memory, small files, no names to resolve, nothing that must survive a power cut.
const SMALL: [&str; 7] = [
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=4M",
    "--innodb-flush-log-at-trx-commit=2",
    "--aria-pagecache-buffer-size=8M",
    "--key-buffer-size=1M",
];

/// Makes an authority and a server certificate signed by it; returns the authority's certificate.
pub(super) fn make_certificates(dir: &Path, days: i32) -> PathBuf {
    const SCRIPT: &str = "
        set -e
        key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
        openssl req -x509 $key -keyout ca-key.pem -out ca.pem -days 30 -subj '/CN=canary lab authority'
        openssl req $key -keyout key.pem -out request.pem -subj '/CN=localhost'
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\n' > extensions
        openssl x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -set_serial 2 -days \"$0\" \\
            -extfile extensions -out cert.pem";
    run(Command::new("sh").args(["-c", SCRIPT, &days.to_string()]).current_dir(dir));
    dir.join("ca.pem")
}

/// The words of a command line.
pub(super) fn words(command: &Command) -> Vec<String> {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_str().expect("command lines of the lab are UTF-8").to_owned())
        .collect()
}
