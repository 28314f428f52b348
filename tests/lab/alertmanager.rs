//! Alertmanager: takes alerts from Prometheus and notifies a webhook of each, and of its end.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::json;

use super::Firewall;
use super::place::PrivateDir;
use super::process::{Daemon, bound_command, on_free_port};

/// A running Alertmanager. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Alertmanager {
    daemon: Daemon,
    _dir: PrivateDir,
    web: SocketAddr,
}

impl Alertmanager {
    /// Starts it in front of a webhook, in the client namespace of a firewall where one is named; it
    /// listens when this returns.
    pub(crate) fn start(inside: Option<&Firewall>, webhook: SocketAddr) -> Self {
        let dir = PrivateDir::new();
        let config = dir.path().join("alertmanager.yml");
        let text = json!({
            // Every alert is a notification of its own, and waits for no other.
            "route": {
                "receiver": "webhook", "group_by": ["..."],
                "group_wait": "100ms", "group_interval": "500ms", "repeat_interval": "1h",
            },
            "receivers": [{
                "name": "webhook",
                "webhook_configs": [{ "url": format!("http://{webhook}/"), "send_resolved": true }],
            }],
        });
        fs::write(&config, text.to_string()).expect("the private directory is writable");
        let around = inside.map(Firewall::client_around);
        let around = around.as_ref().map_or(&[][..], |words| &words[..]);
        let (port, daemon) = on_free_port(|port| {
            let mut command = bound_command(around, "prometheus-alertmanager");
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.path={}", dir.path().join("data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                // Alone: it neither listens for others nor looks for an address of its own.
                .arg("--cluster.listen-address=")
                .env("GOMAXPROCS", "1");
            let mut daemon = Daemon::start(command, &dir.path().join("log"));
            daemon.wait_for_output("msg=\"Listening on\"").map(|()| daemon)
        });
        Self { daemon, _dir: dir, web: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) }
    }

    /// Where Prometheus sends alerts to.
    pub(crate) fn web(&self) -> SocketAddr {
        self.web
    }

    /// All it has logged.
    pub(crate) fn log(&self) -> String {
        self.daemon.output()
    }
}
