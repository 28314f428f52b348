//! Voids: outcomes that say nothing about idle connections and are not counted as deaths.

/// Why an outcome does not count: the label `reason` of the voided lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VoidReason {
    /// A fresh connection failed too, or the answer came late: the server or the whole path was out.
    Outage,
    /// The machine was suspended while the canary was held.
    ClockJump,
    /// The exporter was told to stop.
    Shutdown,
    /// The configuration changed and the path is gone.
    Reload,
}

impl VoidReason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Outage, Self::ClockJump, Self::Shutdown, Self::Reload];

    /// The value of the label `reason`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::ClockJump => "clock_jump",
            Self::Shutdown => "shutdown",
            Self::Reload => "reload",
        }
    }
}
