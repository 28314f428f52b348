//! Suspensions: why no canary is launched for now.

/// The share of `max_connections` that must stay free for canaries to be launched.
const HEADROOM: f64 = 0.2;

/// Why launches are suspended: the label `reason` of `_suspended`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suspension {
    /// The last connect failed; the next is not due yet.
    ConnectFailing,
    /// The server refused a connection for want of room: 1040, 1129, 1203, 1226.
    ConnectionLimit,
    /// Less than a fifth of the server's `max_connections` is free.
    LowHeadroom,
    /// Sessions of the dead, which the server may still hold, take the places of all canaries.
    Ghosts,
}

impl Suspension {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::ConnectFailing, Self::ConnectionLimit, Self::LowHeadroom, Self::Ghosts];

    /// The value of the label `reason`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ConnectFailing => "connect_failing",
            Self::ConnectionLimit => "connection_limit",
            Self::LowHeadroom => "low_headroom",
            Self::Ghosts => "ghosts",
        }
    }
}

/// Whether a server with these counts has too little room for a canary.
pub fn is_headroom_low(threads_connected: f64, max_connections: f64) -> bool {
    max_connections > 0.0 && max_connections - threads_connected < HEADROOM * max_connections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_must_stay_free() {
        assert!(!is_headroom_low(80.0, 100.0));
        assert!(is_headroom_low(81.0, 100.0));
        assert!(!is_headroom_low(10.0, 0.0), "a server that does not say its limit suspends nothing");
    }
}
