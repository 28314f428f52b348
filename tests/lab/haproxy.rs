//! HAProxy as a TCP proxy: it closes with FIN what was idle too long, both sides at once. Several backends get
//! connections by chance, as behind a balancer.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::namespace::Namespace;
use super::place::PrivateDir;
use super::process::{Daemon, bound_command, on_free_port};
use super::wait_for;

/// Longer than any test: no timer at all.
const NEVER: Duration = Duration::from_secs(86_400);

/// A running HAProxy. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct HaProxy {
    daemon: Option<Daemon>,
    dir: PrivateDir,
    address: SocketAddr,
}

impl HaProxy {
    /// Starts a proxy for `backend` that forgets connections idle for `idle`.
    pub(crate) fn start(backend: SocketAddr, idle: Duration) -> Self {
        Self::on_loopback(&[backend], idle)
    }

    /// Starts one that gives connections to several by chance and forgets none.
    pub(crate) fn balancing(backends: &[SocketAddr]) -> Self {
        Self::on_loopback(backends, NEVER)
    }

    /// Starts one in a namespace, where nobody else can take its address.
    pub(crate) fn inside(
        namespace: &Namespace,
        address: SocketAddr,
        backend: SocketAddr,
        idle: Duration,
    ) -> Self {
        let dir = PrivateDir::new();
        configure(dir.path(), address, &[backend], idle);
        let daemon = run(&namespace.around(), dir.path())
            .unwrap_or_else(|output| panic!("HAProxy did not start: {output}"));
        Self { daemon: Some(daemon), dir, address }
    }

    fn on_loopback(backends: &[SocketAddr], idle: Duration) -> Self {
        let dir = PrivateDir::new();
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (port, daemon) = on_free_port(|port| {
            configure(dir.path(), at(port), backends, idle);
            run(&[], dir.path())
        });
        Self { daemon: Some(daemon), dir, address: at(port) }
    }

    /// Closes every session to its first backend at once, as a drain or a reload does.
    pub(crate) fn shut_sessions(&self) {
        let mut control = UnixStream::connect(control(self.dir.path())).expect("it runs");
        control.write_all(b"shutdown sessions server mysql/mysql0\n").expect("it listens");
        let mut answer = String::new();
        control.read_to_string(&mut answer).expect("it answers");
        assert_eq!(answer.trim(), "", "it does as it is told");
    }

    /// Ends it with all its connections, and starts it again at the same address; only on loopback.
    pub(crate) fn restart(&mut self) {
        self.daemon.take().expect("it runs").terminate();
        let daemon = run(&[], self.dir.path()).unwrap_or_else(|output| panic!("no restart: {output}"));
        self.daemon = Some(daemon);
    }

    /// Sets another timer, by a restart with this server alone.
    pub(crate) fn set_idle(&mut self, backend: SocketAddr, idle: Duration) {
        configure(self.dir.path(), self.address, &[backend], idle);
        self.restart();
    }

    /// Where clients reach the server through it.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.address
    }
}

fn control(dir: &Path) -> std::path::PathBuf {
    dir.join("s")
}

fn configure(dir: &Path, address: SocketAddr, backends: &[SocketAddr], idle: Duration) {
    let mut text = format!(
        "global\n  maxconn 500\n  stats socket {control} level admin\n\
         defaults\n  mode tcp\n  timeout connect 5s\n\
         \x20 timeout client {idle}ms\n  timeout server {idle}ms\n\
         listen mysql\n  bind {address}\n  balance random(1)\n",
        control = control(dir).display(),
        idle = idle.as_millis(),
    );
    for (number, backend) in backends.iter().enumerate() {
        writeln!(text, "  server mysql{number} {backend}").expect("text takes text");
    }
    fs::write(dir.join("haproxy.cfg"), text).expect("the private directory is writable");
}

/// Runs it; an error carries all it printed when it ended instead.
fn run(around: &[&str], dir: &Path) -> Result<Daemon, String> {
    let mut command = bound_command(around, "haproxy");
    command.arg("-db").arg("-f").arg(dir.join("haproxy.cfg"));
    let mut daemon = Daemon::start(command, &dir.join("haproxy.log"));
    // It prints nothing when it is ready; its control socket answers then.
    wait_for("HAProxy to listen", Duration::from_secs(30), || {
        if daemon.has_ended() {
            return Some(Err(daemon.output()));
        }
        UnixStream::connect(control(dir)).is_ok().then_some(Ok(()))
    })
    .map(|()| daemon)
}
