//! Suspensions: why no canary is launched for now.

/// The share of `max_connections` that must stay free for canaries to be launched.
const HEADROOM: f64 = 0.2;
/// The share below which canaries that live give their places back.
const ACUTE: f64 = 0.1;

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

/// What the server's own counts leave to canaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Headroom {
    /// The server was not asked yet: one canary feels its way.
    #[default]
    Unasked,
    /// The server does not say: the budget alone counts.
    Unknown,
    /// So many more sessions of ours leave a fifth of the places free.
    Spare(usize),
    /// Less than a fifth is free. So many canaries must go, for the applications are about to be refused.
    Low(usize),
}

impl Headroom {
    /// By `Threads_connected`, our own sessions included, and `max_connections`.
    pub fn of(threads_connected: Option<f64>, max_connections: Option<f64>) -> Self {
        let Some((threads, most)) = threads_connected.zip(max_connections).filter(|(_, most)| *most > 0.0)
        else {
            return Self::Unknown;
        };
        let spare = (most * (1.0 - HEADROOM) - threads).floor();
        if spare >= 0.0 {
            return Self::Spare(spare as usize);
        }
        let acute = most - threads < ACUTE * most || most - threads < 1.0;
        Self::Low(if acute { -spare as usize } else { 0 })
    }

    /// Whether less than a fifth is free.
    pub const fn is_low(self) -> bool {
        matches!(self, Self::Low(_))
    }

    /// How many canaries may still be launched by it, `launched` since it was read; `usize::MAX` where it
    /// bounds nothing.
    pub const fn launches(self, launched: usize) -> usize {
        match self {
            Self::Unasked => 1_usize.saturating_sub(launched),
            Self::Unknown => usize::MAX,
            Self::Spare(spare) => spare.saturating_sub(launched),
            Self::Low(_) => 0,
        }
    }

    /// How many canaries must go home.
    pub const fn recalls(self) -> usize {
        match self {
            Self::Low(excess) => excess,
            Self::Unasked | Self::Unknown | Self::Spare(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_stays_free_and_a_full_server_gets_its_places_back() {
        use Headroom::{Low, Spare, Unknown};
        for (threads, most, expected) in [
            (Some(2.0), Some(151.0), Spare(118)),
            (Some(80.0), Some(100.0), Spare(0)),
            (Some(81.0), Some(100.0), Low(0)),
            (Some(90.0), Some(100.0), Low(0)),
            (Some(91.0), Some(100.0), Low(11)),
            // MySQL lets one more in, for its administrator.
            (Some(101.0), Some(100.0), Low(21)),
            (Some(1.0), Some(10.0), Spare(7)),
            (Some(9.0), Some(10.0), Low(0)),
            (Some(10.0), Some(10.0), Low(2)),
            (Some(1.0), Some(1.0), Low(1)),
            (Some(10.0), Some(0.0), Unknown),
            (Some(10.0), Some(f64::NAN), Unknown),
            (None, Some(100.0), Unknown),
            (Some(10.0), None, Unknown),
        ] {
            assert_eq!(Headroom::of(threads, most), expected, "{threads:?} of {most:?}");
        }
        assert_eq!([0, 1, 2].map(|launched| Headroom::Unasked.launches(launched)), [1, 0, 0]);
        assert_eq!([0, 2, 9].map(|launched| Spare(7).launches(launched)), [7, 5, 0]);
        assert_eq!(Low(0).launches(0), 0);
        assert_eq!(Unknown.launches(99), usize::MAX);
    }
}
