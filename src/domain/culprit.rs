//! Culprits: who ended a canary, and the layers they sit in. How one is inferred: [`conclude`].

pub mod companions;
mod conclude;
mod evidence;
pub mod judgement;
pub mod lost_state;
mod possible;
pub mod remedy;
pub mod restart;
pub mod twins;

use serde::{Deserialize, Serialize};

pub use conclude::{Conclusion, conclude};
pub use evidence::{Evidence, Row, Twins};
pub use possible::possible_culprits;

/// Who ended a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Culprit {
    /// The server's own idle timer, the session's `wait_timeout`.
    ServerIdleTimeout,
    /// KILL, by a person or by a tool that kills idle sessions.
    ServerKill,
    /// The server was restarted or replaced.
    ServerRestart,
    /// A proxy's idle timer, which counts bytes.
    ProxyIdleTimeout,
    /// A firewall, NAT or packet load balancer, which counts packets.
    // The name it had before the first release stands in older state files.
    #[serde(alias = "path_idle_timeout")]
    NetworkIdleTimeout,
    /// A firewall or NAT that forgot its flows: all of them at one moment, or one here and there.
    NetworkStateLoss,
    /// Many closed at one instant, whatever their age, by neither KILL nor a restart of the server: a proxy's
    /// reload or drain, the server's offline_mode.
    MassDisconnect,
    /// A maximum lifetime that no traffic extends.
    LifetimeLimit,
    /// The evidence does not decide.
    Unknown,
}

impl Culprit {
    /// Every culprit, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::ServerIdleTimeout,
        Self::ServerKill,
        Self::ServerRestart,
        Self::ProxyIdleTimeout,
        Self::NetworkIdleTimeout,
        Self::NetworkStateLoss,
        Self::MassDisconnect,
        Self::LifetimeLimit,
        Self::Unknown,
    ];

    /// The value of the label `culprit`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ServerIdleTimeout => "server_idle_timeout",
            Self::ServerKill => "server_kill",
            Self::ServerRestart => "server_restart",
            Self::ProxyIdleTimeout => "proxy_idle_timeout",
            Self::NetworkIdleTimeout => "network_idle_timeout",
            Self::NetworkStateLoss => "network_state_loss",
            Self::MassDisconnect => "mass_disconnect",
            Self::LifetimeLimit => "lifetime_limit",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a death by this culprit says something about idle ages by itself. KILL of one session, a
    /// restart, lost state and a disconnect of many strike at any age, so they bound nothing.
    pub const fn bounds_idle_age(self) -> bool {
        match self {
            Self::ServerIdleTimeout
            | Self::ProxyIdleTimeout
            | Self::NetworkIdleTimeout
            | Self::LifetimeLimit
            | Self::Unknown => true,
            Self::ServerKill | Self::ServerRestart | Self::NetworkStateLoss | Self::MassDisconnect => false,
        }
    }

    /// The layer this culprit sits in. A lifetime limit and a disconnect of many may be a proxy's or the
    /// server's own.
    pub const fn layer(self) -> Layer {
        match self {
            Self::ServerIdleTimeout | Self::ServerKill | Self::ServerRestart => Layer::Server,
            Self::ProxyIdleTimeout => Layer::Proxy,
            Self::NetworkIdleTimeout | Self::NetworkStateLoss => Layer::Network,
            Self::MassDisconnect | Self::LifetimeLimit | Self::Unknown => Layer::Unknown,
        }
    }
}

/// A place between an application and its rows that keeps a clock of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The application's connection pool and driver.
    Pool,
    /// The kernel of the machine that the client runs on.
    Kernel,
    /// Firewalls, NAT, security groups, packet load balancers.
    Network,
    /// Proxies and meshes that end the TCP connection and open another.
    Proxy,
    /// The MySQL or MariaDB server.
    Server,
    /// Not decided.
    Unknown,
}

impl Layer {
    /// Every layer, from the application to the server.
    pub const ALL: [Self; 6] =
        [Self::Pool, Self::Kernel, Self::Network, Self::Proxy, Self::Server, Self::Unknown];

    /// The value of the label `layer`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Kernel => "kernel",
            Self::Network => "network",
            Self::Proxy => "proxy",
            Self::Server => "server",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests;
