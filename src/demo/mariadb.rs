//! A private MariaDB: installed data of its own, a port of its own, killed when dropped.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::place::Place;
use crate::config::secret::Secret;

/// How long MariaDB may take to come up, on a slow disk too.
const START_LIMIT: Duration = Duration::from_secs(90);
/// How often its progress is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Where daemons are installed that an ordinary user's PATH leaves out.
const MORE_DIRECTORIES: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/libexec"];
/// What MariaDB writes when it listens.
const READY: &str = "ready for connections";
/// What MariaDB writes when somebody took its port.
const PORT_TAKEN: &str = "Address already in use";
/// The account of the exporter, as the README asks for it, and those of the applications; MariaDB runs it as it starts.
const ACCOUNT: &str = include_str!("account.sql");
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

/// Why there is no private MariaDB, or none any more.
#[derive(Debug, thiserror::Error)]
pub enum MariaDbError {
    /// One of its programs is not installed.
    #[error(
        "{0} is not installed, neither on PATH nor in /usr/sbin: run `script/install-test-parts mariadb` as root, \
         or install your distribution's MariaDB server (Debian, Ubuntu: apt-get install mariadb-server)"
    )]
    Missing(&'static str),
    /// Its directory could not be made or written.
    #[error("cannot prepare a directory for MariaDB in {}: {source}", directory.display())]
    Directory {
        /// Where.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A program could not be run at all.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// `mariadb-install-db` failed.
    #[error("mariadb-install-db failed; it said last:\n{0}")]
    Install(String),
    /// The server ended while it started, or after.
    #[error("MariaDB ended; it said last:\n{0}")]
    Ended(String),
    /// The server did not come up in time.
    #[error("MariaDB did not come up within {} s; it said last:\n{words}", START_LIMIT.as_secs())]
    Slow {
        /// Its last words.
        words: String,
    },
}

/// A running private MariaDB. Dropping it kills it and removes its directory.
#[derive(Debug)]
pub(super) struct MariaDb {
    // Fields are dropped in this order: first the process, then its directory.
    server: Bound,
    address: SocketAddr,
    password: Secret,
    place: Place,
}

impl MariaDb {
    /// Makes the data and starts the server; it listens when this returns.
    pub(super) async fn start(wait_timeout_seconds: u32) -> Result<Self, MariaDbError> {
        let install = find("mariadb-install-db")?;
        let program = find("mariadbd")?;
        let place = Place::new()
            .map_err(|source| MariaDbError::Directory { directory: std::env::temp_dir(), source })?;
        let written = |outcome: io::Result<()>| {
            outcome.map_err(|source| MariaDbError::Directory { directory: place.path().to_owned(), source })
        };
        let password =
            Secret::new(std::iter::repeat_with(fastrand::alphanumeric).take(24).collect::<String>());
        written(fs::write(place.path().join(PASSWORD), password.reveal()))?;
        let account = ACCOUNT.replace("{password}", password.reveal());
        written(fs::write(place.path().join("account.sql"), account))?;
        install_data(&install, &place).await?;
        // Somebody may take the port between our looking and the server's binding.
        for _ in 0..4 {
            match launch(&program, &place, wait_timeout_seconds).await {
                Err(MariaDbError::Ended(words)) if words.contains(PORT_TAKEN) => {}
                outcome => return outcome.map(|(server, address)| Self { server, address, password, place }),
            }
        }
        let (server, address) = launch(&program, &place, wait_timeout_seconds).await?;
        Ok(Self { server, address, password, place })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The password of all its users.
    pub(super) fn password(&self) -> &Secret {
        &self.password
    }

    /// The file with the password of the user `canary`.
    pub(super) fn password_file(&self) -> PathBuf {
        self.place.path().join(PASSWORD)
    }

    /// Puts a file beside its data, which goes with it.
    pub(super) fn put(&self, name: &str, text: &str) -> Result<PathBuf, MariaDbError> {
        let file = self.place.path().join(name);
        fs::write(&file, text)
            .map_err(|source| MariaDbError::Directory { directory: self.place.path().to_owned(), source })?;
        Ok(file)
    }

    /// The command that opens a session as its administrator.
    pub(super) fn client_command(&self) -> String {
        format!("mariadb --no-defaults --socket={}", self.place.path().join(SOCKET).display())
    }

    /// Whether it still runs.
    pub(super) fn check(&mut self) -> Result<(), MariaDbError> {
        if self.server.has_ended() {
            return Err(MariaDbError::Ended(last_words(&self.place.path().join(LOG))));
        }
        Ok(())
    }
}

/// Names in the private directory.
const DATA: &str = "data";
const LOG: &str = "log";
const PASSWORD: &str = "password";
const SOCKET: &str = "data/socket";

async fn install_data(program: &Path, place: &Place) -> Result<(), MariaDbError> {
    let log = place.path().join("install-log");
    let mut command = bound(program);
    command
        .arg("--no-defaults")
        .arg(format!("--datadir={}", place.path().join(DATA).display()))
        // The administrator comes in by the Unix socket alone; nobody comes in without a name.
        .args(["--auth-root-authentication-method=socket", "--skip-test-db", "--innodb-log-file-size=4M"]);
    if place.is_roots() {
        command.arg("--user=root");
    }
    let mut installer = Bound::start(command, &log)?;
    let begun = Instant::now();
    loop {
        if let Ok(Some(status)) = installer.0.try_wait() {
            return if status.success() { Ok(()) } else { Err(MariaDbError::Install(last_words(&log))) };
        }
        if begun.elapsed() > START_LIMIT {
            return Err(MariaDbError::Slow { words: last_words(&log) });
        }
        sleep(POLL).await;
    }
}

async fn launch(
    program: &Path,
    place: &Place,
    wait_timeout_seconds: u32,
) -> Result<(Bound, SocketAddr), MariaDbError> {
    let address = free_address()
        .map_err(|source| MariaDbError::Run { program: program.display().to_string(), source })?;
    let log = place.path().join(LOG);
    let mut command = bound(program);
    command
        .arg("--no-defaults")
        .arg(format!("--datadir={}", place.path().join(DATA).display()))
        // Relative to its data: a path of any depth fits.
        .arg("--socket=socket")
        // A MariaDB that starts removes every #sql file in its temporary directory, others' too.
        .arg("--tmpdir=.")
        .arg(format!("--pid-file={}", place.path().join("pid").display()))
        .arg(format!("--bind-address={}", address.ip()))
        .arg(format!("--port={}", address.port()))
        .arg(format!("--wait-timeout={wait_timeout_seconds}"))
        .arg(format!("--init-file={}", place.path().join("account.sql").display()))
        .args(SMALL);
    if place.is_roots() {
        command.arg("--user=root");
    }
    let mut server = Bound::start(command, &log)?;
    let begun = Instant::now();
    loop {
        // Its end is looked at first: what it wrote last is then complete.
        let ended = server.has_ended();
        if ended {
            return Err(MariaDbError::Ended(last_words(&log)));
        }
        if fs::read(&log).is_ok_and(|text| String::from_utf8_lossy(&text).contains(READY)) {
            return Ok((server, address));
        }
        if begun.elapsed() > START_LIMIT {
            return Err(MariaDbError::Slow { words: last_words(&log) });
        }
        sleep(POLL).await;
    }
}

/// A process that ends with its owner, and whatever it started with it.
#[derive(Debug)]
struct Bound(Child);

impl Bound {
    /// Starts a command with its output in a file.
    fn start(mut command: Command, log: &Path) -> Result<Self, MariaDbError> {
        let mut spawn = || {
            let file = File::create(log)?;
            command
                // Ctrl-C of the terminal reaches a whole process group; the exporter's goodbyes come first.
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(file.try_clone()?)
                .stderr(file)
                .spawn()
        };
        let spawned = spawn();
        let program = || command.get_program().to_string_lossy().into_owned();
        spawned.map(Self).map_err(|source| MariaDbError::Run { program: program(), source })
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Killed, not asked: its data is about to be removed, and there is nothing to save. The group,
        // because the installer is a script with a server below it.
        let group = format!("kill -KILL -{}", self.0.id());
        if !self.has_ended() {
            let _ = Command::new("sh").args(["-c", &group]).stdin(Stdio::null()).status();
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// A command that the kernel kills when this process dies, where `setpriv` can ask it to. The death
/// signal follows the thread that spawns, so the main thread must.
fn bound(program: &Path) -> Command {
    match find("setpriv") {
        Ok(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL"]).arg(program);
            command
        }
        Err(_) => Command::new(program),
    }
}

/// Finds a program on PATH or where daemons are installed.
fn find(program: &'static str) -> Result<PathBuf, MariaDbError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(MORE_DIRECTORIES.iter().map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
        .ok_or(MariaDbError::Missing(program))
}

/// A port of the loopback address that nobody listens on.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The last lines of a log.
fn last_words(log: &Path) -> String {
    /// So many lines.
    const LINES: usize = 8;
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_or_named() {
        assert!(find("sh").is_ok_and(|file| file.is_absolute()));
        let error = find("no-such-program").expect_err("is not installed").to_string();
        assert!(error.starts_with("no-such-program is not installed"), "{error}");
        assert!(error.contains("script/install-test-parts mariadb"), "{error}");
    }
}
