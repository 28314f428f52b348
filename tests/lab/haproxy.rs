//! HAProxy as a TCP proxy: it closes with FIN what was idle too long, both sides at once.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::place::PrivateDir;
use super::process::{Daemon, bound_command, on_free_port};
use super::wait_for;

/// A running HAProxy. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct HaProxy {
    _daemon: Daemon,
    dir: PrivateDir,
    address: SocketAddr,
}

impl HaProxy {
    /// Starts a proxy for `backend` that forgets connections idle for `idle`.
    pub(crate) fn start(backend: SocketAddr, idle: Duration) -> Self {
        let dir = PrivateDir::new();
        let (config, control) = (dir.path().join("haproxy.cfg"), dir.path().join("s"));
        let (port, daemon) = on_free_port(|port| {
            let text = format!(
                "global\n  maxconn 500\n  stats socket {control} level admin\n\
                 defaults\n  mode tcp\n  timeout connect 5s\n\
                 \x20 timeout client {idle}ms\n  timeout server {idle}ms\n\
                 listen mysql\n  bind 127.0.0.1:{port}\n  server mysql {backend}\n",
                control = control.display(),
                idle = idle.as_millis(),
            );
            fs::write(&config, text).expect("the private directory is writable");
            let mut command = bound_command(&[], "haproxy");
            command.arg("-db").arg("-f").arg(&config);
            let mut daemon = Daemon::start(command, &dir.path().join("haproxy.log"));
            // It prints nothing when it is ready; its control socket answers then.
            wait_for("HAProxy to listen", Duration::from_secs(30), || {
                if daemon.has_ended() {
                    return Some(Err(daemon.output()));
                }
                UnixStream::connect(&control).is_ok().then_some(Ok(()))
            })
            .map(|()| daemon)
        });
        Self { _daemon: daemon, dir, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) }
    }

    /// Closes every session at once, as a drain or a reload does.
    pub(crate) fn shut_sessions(&self) {
        let mut control = UnixStream::connect(self.dir.path().join("s")).expect("it runs");
        control.write_all(b"shutdown sessions server mysql/mysql\n").expect("it listens");
        let mut answer = String::new();
        control.read_to_string(&mut answer).expect("it answers");
        assert_eq!(answer.trim(), "", "it does as it is told");
    }

    /// Where clients reach the server through it.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.address
    }
}
