//! Alertmanager: takes alerts from Prometheus and notifies a webhook of each, and of its end.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

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
    /// listens when this returns. Every alert is a notification of its own, and waits for no other.
    pub(crate) fn start(inside: Option<&Firewall>, webhook: SocketAddr) -> Self {
        let text = json!({
            "route": {
                "receiver": "webhook", "group_by": ["..."],
                "group_wait": "100ms", "group_interval": "500ms", "repeat_interval": "1h",
            },
            "receivers": [{ "name": "webhook", "webhook_configs": [webhook_config(webhook)] }],
        });
        Self::configured(inside, &text.to_string())
    }

    /// Starts it with a configuration that people have, whose receivers get a webhook each: `tickets` and `pager`.
    pub(crate) fn with_receivers(text: &str, receivers: &[(&str, SocketAddr)]) -> Self {
        let mut text = text.to_owned();
        for (name, webhook) in receivers {
            let head = format!("  - name: {name}\n");
            assert!(text.contains(&head), "there is no receiver {name}");
            let config = format!("{head}    webhook_configs: [{}]\n", webhook_config(*webhook));
            text = text.replace(&head, &config);
        }
        Self::configured(None, &text)
    }

    fn configured(inside: Option<&Firewall>, text: &str) -> Self {
        let dir = PrivateDir::new();
        let config = dir.path().join("alertmanager.yml");
        fs::write(&config, text).expect("the private directory is writable");
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

fn webhook_config(webhook: SocketAddr) -> Value {
    json!({ "url": format!("http://{webhook}/"), "send_resolved": true })
}
