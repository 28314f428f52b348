//! The four kinds of canary: what each does while it is held, and so what its death rules out.

use serde::{Deserialize, Serialize};

/// What a canary does between its login and its probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Not one byte, and no TCP keepalive: any idle timer on the way can end it.
    Idle,
    /// As idle, with TCP keepalive: its death means a timer that counts bytes or requests, not packets.
    Keepalive,
    /// Sits in a sleeping statement: the path is silent, the session is not idle, so `wait_timeout` is ruled out.
    Busy,
    /// Pings every few seconds: its death is a lifetime limit, not an idle one.
    Active,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Idle, Self::Keepalive, Self::Busy, Self::Active];

    /// The value of the label `kind`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Keepalive => "keepalive",
            Self::Busy => "busy",
            Self::Active => "active",
        }
    }
}
