//! What the demonstration is made of: one server, three ways to it that each end idle connections in another way, and
//! two applications.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::application::{Application, Applications};
use super::mariadb::MariaDb;
use super::relay::{Manner, Relay};

/// The server's `wait_timeout`, in seconds.
pub(super) const WAIT_TIMEOUT_SECONDS: u32 = 15;
/// After how long one relay forgets what is idle.
const FORGETS: Duration = Duration::from_secs(7);
/// After how long the other one closes what is idle.
const CLOSES: Duration = Duration::from_secs(4);
/// At what age the pool of the shop replaces a connection, as it is declared to the exporter.
const RECYCLE: Duration = Duration::from_secs(60);

/// The ways to the server.
pub(super) const PATHS: [&str; 3] = ["direct", "nat", "balancer"];

const SHOP: Application = Application {
    name: "shop",
    path: "balancer",
    silence: Duration::from_secs(9),
    meanwhile: "its pool held a connection that was idle",
};
const REPORT: Application = Application {
    name: "report",
    path: "direct",
    silence: Duration::from_secs(25),
    meanwhile: "it computed with its session checked out",
};

/// All that runs beside the server and the exporter. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Stage {
    server: SocketAddr,
    nat: Relay,
    balancer: Relay,
    applications: Applications,
}

impl Stage {
    /// Starts the relays.
    ///
    /// # Errors
    /// What the system says where it gives no port.
    pub(super) async fn start(server: &MariaDb) -> io::Result<Self> {
        let server = server.address();
        let nat = Relay::start(server, Manner::Forgets, FORGETS).await?;
        let balancer = Relay::start(server, Manner::Closes, CLOSES).await?;
        Ok(Self { server, nat, balancer, applications: Applications::default() })
    }

    /// Starts the applications.
    pub(super) fn begin(&mut self, server: &MariaDb) {
        for (application, address) in [(SHOP, self.balancer.address()), (REPORT, self.server)] {
            self.applications.start(application, address, server.password().clone());
        }
    }

    /// Returns when a part of it ended, which none does by itself.
    pub(super) async fn ended(&mut self) {
        tokio::select! {
            () = self.nat.ended() => {}
            () = self.balancer.ended() => {}
            () = self.applications.ended() => {}
        }
    }

    /// The exporter's configuration: it is told what a person knows, and nothing of what the relays do.
    pub(super) fn configuration(&self, password_file: &Path) -> String {
        let mut paths = String::new();
        for (name, address) in PATHS.iter().zip([self.server, self.nat.address(), self.balancer.address()]) {
            // Writing to a String cannot fail.
            let _ = writeln!(paths, "      - {{name: {name}, address: \"{address}\"}}");
        }
        format!(
            "targets:\n\
             \x20 - name: demo\n\
             \x20   auth: {{username: canary, password_file: '{}'}}\n\
             \x20   server: {{path: direct, interval: 1s}}\n\
             \x20   tls_config: {{mode: disabled}}\n\
             \x20   paths:\n{paths}\
             \x20   canary: {{ages: [2s, 5s, 9s, 12s, 18s], max_connections: 8, probe_timeout: 2s}}\n\
             \x20   pools: [{{name: shop, user: shop, framework: sqlalchemy, recycle: {}s, path: balancer}}]\n",
            password_file.display(),
            RECYCLE.as_secs()
        )
    }

    /// What there is to see, in lines.
    pub(super) fn introduction(&self) -> String {
        format!(
            "One MariaDB, three ways to it:\n\
             \x20 direct    {server}, the server itself: wait_timeout = {WAIT_TIMEOUT_SECONDS} s\n\
             \x20 nat       {nat}, a relay that forgets what is silent for {} s, as a firewall or a NAT does\n\
             \x20 balancer  {balancer}, a relay that closes what is silent for {} s, as a load balancer does\n\
             and two applications on it:\n\
             \x20 shop      takes the balancer; its pool replaces connections after {} s, and nobody buys for {} s\n\
             \x20 report    holds one session while it computes for {} s\n\
             Of the relays the exporter knows an address each. It finds out the rest.",
            FORGETS.as_secs(),
            CLOSES.as_secs(),
            RECYCLE.as_secs(),
            SHOP.silence.as_secs(),
            REPORT.silence.as_secs(),
            server = self.server,
            nat = self.nat.address(),
            balancer = self.balancer.address(),
        )
    }
}
