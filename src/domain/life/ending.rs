//! Endings: what the wire showed when a canary died. A fact; who did it is a culprit's business.

use serde::{Deserialize, Serialize};

/// What the client's socket showed at the end of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The server spoke first: an ERR packet nobody asked for.
    Goodbye,
    /// The other side closed its half of the connection.
    Fin,
    /// A RST came while nothing was being sent.
    Reset,
    /// A RST came in answer to our own packet.
    ResetOnUse,
    /// Nothing came back at all before the probe's deadline.
    Silence,
}

impl Ending {
    /// Every ending, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Goodbye, Self::Fin, Self::Reset, Self::ResetOnUse, Self::Silence];

    /// The value of the label `ending`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::Fin => "fin",
            Self::Reset => "reset",
            Self::ResetOnUse => "reset_on_use",
            Self::Silence => "silence",
        }
    }

    /// Whether this ending is known only because the canary was probed: the death happened at some
    /// age between the last survivor's and the probe's.
    pub const fn is_found_by_probe(self) -> bool {
        matches!(self, Self::ResetOnUse | Self::Silence)
    }
}
