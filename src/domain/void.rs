//! Voids: outcomes that say nothing about idle connections and are not counted as deaths.

/// Why an outcome does not count: the label `reason` of the voided lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VoidReason {
    /// A fresh connection failed too, or the answer came late: the server or the whole path was out.
    Outage,
    /// The machine was suspended while the canary was held, or the process did not run when it ended.
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

/// A time in which this process did not run, in seconds of any one clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Absence {
    /// When it was last seen to run.
    pub since: f64,
    /// When it ran again.
    pub until: f64,
}

/// For how long after an absence what is found may be of the absence, in seconds: probes that were due are sent, and
/// answered with RST, and pings are sent at their next beat.
const AFTERMATH: f64 = 5.0;

/// Whether an ending at that moment, on the clock of the absence, was found only because the process ran again: when
/// it came, and whether a probe in time would have been answered, is not known.
#[must_use]
pub fn was_out_of_sight(at: f64, absence: Absence) -> bool {
    (absence.since..=absence.until + AFTERMATH).contains(&at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_in_an_absence_or_just_after_it_was_not_seen() {
        let absence = Absence { since: 100.0, until: 220.0 };
        for (at, expected) in
            [(99.9, false), (100.0, true), (160.0, true), (220.0, true), (224.0, true), (226.0, false)]
        {
            assert_eq!(was_out_of_sight(at, absence), expected, "{at}");
        }
    }
}
