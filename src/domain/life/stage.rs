//! Stages of a connect: where one that failed got to.

/// The stage a connect attempt failed at: the label `stage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The host name has no address.
    Dns,
    /// The TCP connection was not made.
    Tcp,
    /// The TLS handshake failed, or TLS was demanded and not offered.
    Tls,
    /// The server's first packet did not come or is none.
    Greeting,
    /// The login was refused, or broke off.
    Auth,
    /// The server has no room for us: 1040, 1129, 1203, 1226.
    Limit,
    /// The server answered the login with what no MySQL server says.
    Nonsense,
    /// This machine has no descriptor, memory or port left: the server was not asked.
    Local,
}

impl Stage {
    /// Every stage, in the order a connect passes them.
    pub const ALL: [Self; 8] = [
        Self::Dns,
        Self::Tcp,
        Self::Greeting,
        Self::Tls,
        Self::Auth,
        Self::Limit,
        Self::Nonsense,
        Self::Local,
    ];

    /// The value of the label `stage`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Greeting => "greeting",
            Self::Auth => "auth",
            Self::Limit => "limit",
            Self::Nonsense => "nonsense",
            Self::Local => "local",
        }
    }
}
