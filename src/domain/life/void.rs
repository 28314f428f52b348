//! Voids: outcomes that say nothing about idle connections and are not counted as deaths.

/// Why an outcome does not count: the label `reason` of the voided lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VoidReason {
    /// A fresh connection failed too, or the answer came late: the server or the whole path was out.
    Outage,
    /// The machine was suspended while the canary was held, or the process did not run when it ended.
    ClockJump,
    /// The exporter itself stood still, or the timer that struck was its own.
    Stalled,
    /// The exporter was told to stop.
    Shutdown,
    /// The configuration changed and the path is gone.
    Reload,
}

impl VoidReason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Outage, Self::ClockJump, Self::Stalled, Self::Shutdown, Self::Reload];

    /// The value of the label `reason`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::ClockJump => "clock_jump",
            Self::Stalled => "stalled",
            Self::Shutdown => "shutdown",
            Self::Reload => "reload",
        }
    }
}

/// Why exactly one outcome does not count: finer than the label, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VoidCause {
    /// No fresh connection could be made to ask what the server saw.
    NoWitness,
    /// Fresh connections failed for a while before one succeeded, and nobody restarted the server.
    WayWasOut,
    /// The server answered the probe after its deadline.
    AnsweredLate,
    /// The machine was suspended during the life.
    Suspended,
    /// The server counted more time than this machine's clocks during the life.
    ClockStoodStill,
    /// This process stood still when the ending was to be seen.
    ProcessStoodStill,
    /// The session lived until the `wait_timeout` that we had set ourselves.
    OwnTimer,
    /// The exporter was told to stop.
    Stopped,
    /// The path is not configured any more.
    PathGone,
}

impl VoidCause {
    /// Every cause.
    pub const ALL: [Self; 9] = [
        Self::NoWitness,
        Self::WayWasOut,
        Self::AnsweredLate,
        Self::Suspended,
        Self::ClockStoodStill,
        Self::ProcessStoodStill,
        Self::OwnTimer,
        Self::Stopped,
        Self::PathGone,
    ];

    /// The label that it is counted by.
    pub const fn reason(self) -> VoidReason {
        match self {
            Self::NoWitness | Self::WayWasOut | Self::AnsweredLate => VoidReason::Outage,
            Self::Suspended | Self::ClockStoodStill => VoidReason::ClockJump,
            Self::ProcessStoodStill | Self::OwnTimer => VoidReason::Stalled,
            Self::Stopped => VoidReason::Shutdown,
            Self::PathGone => VoidReason::Reload,
        }
    }

    /// The cause in words, for the log.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoWitness => "no fresh connection could be made to ask what the server saw",
            Self::WayWasOut => "fresh connections failed for a while, and the server was not restarted",
            Self::AnsweredLate => "the server answered the probe after its deadline",
            Self::Suspended => "this machine was suspended during the life",
            Self::ClockStoodStill => "the server counted more time than this machine's clocks did",
            Self::ProcessStoodStill => "this process stood still when the ending was to be seen",
            Self::OwnTimer => "the session reached the wait_timeout that this exporter had set itself",
            Self::Stopped => "the exporter was told to stop",
            Self::PathGone => "the path is not configured any more",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_a_cause_and_every_cause_its_words() {
        for reason in VoidReason::ALL {
            assert!(VoidCause::ALL.iter().any(|cause| cause.reason() == reason), "{reason:?}");
        }
        let words: BTreeSet<_> = VoidCause::ALL.iter().map(|cause| cause.words()).collect();
        assert_eq!(words.len(), VoidCause::ALL.len());
    }
}
