//! What was heard with one list, and by how much the server's counters rose since the one before.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::domain::applications::{Errors, Rise};
use crate::server::GlobalStatus;
use crate::session::Roster;

/// What was heard with one list.
#[derive(Debug)]
pub struct Heard<'a> {
    /// The status counters, and between when they were read.
    pub status: Option<(&'a GlobalStatus, Instant, Instant)>,
    /// How many of our own sessions had surely been aborted, and how many perhaps, before the counters were read.
    pub aborted: (u64, u64),
    /// `@@global.wait_timeout`, in seconds.
    pub wait_timeout: Option<f64>,
    /// Errors by user, read after the list.
    pub errors: Errors,
    /// Whether the list shows everybody.
    pub complete: bool,
}

/// The counters of one round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    aborted: Option<f64>,
    connections: Option<f64>,
    /// The server's uptime, and for how long it had been up when its counters were last put back, in seconds.
    uptime: Option<f64>,
    flushed_at: Option<f64>,
    pub(super) answered_at: Instant,
    /// Of our own: how many were surely aborted, and perhaps, before the counters were read; and how many at most
    /// once the list was read.
    ours: (u64, u64),
    ours_at_most: u64,
}

impl Heard<'_> {
    /// The counters, with our own part of them; `own` are our own sessions on the list.
    pub(super) fn counted(&self, roster: &Roster, own: &BTreeSet<u64>) -> Option<Counted> {
        let (status, _, answered_at) = self.status?;
        let (surely, perhaps) = roster.aborted();
        Some(Counted {
            aborted: status.aborted_clients,
            connections: status.connections,
            uptime: status.uptime,
            flushed_at: status.uptime.zip(status.since_flush).map(|(up, since)| up - since),
            answered_at,
            ours: self.aborted,
            ours_at_most: surely + perhaps + roster.missing(own),
        })
    }
}

impl Counted {
    /// By how much `Aborted_clients` rose by others' sessions.
    pub(super) fn aborted_since(&self, before: &Self) -> Option<Rise> {
        if !self.is_run_of(before) || self.flushed_at != before.flushed_at {
            return None;
        }
        let rose = self.aborted.zip(before.aborted).and_then(|(now, before)| rise(now, before))?;
        // Who was counted here may have been counted by the server sooner, and the other way round.
        let ours_at_most = self.ours_at_most.saturating_sub(before.ours.0 + before.ours.1);
        let ours_at_least = self.ours.0.saturating_sub(before.ours_at_most);
        Some(Rise { least: rose.saturating_sub(ours_at_most), most: rose.saturating_sub(ours_at_least) })
    }
}

impl Counted {
    /// By how much `Connections` rose.
    pub(super) fn connected_since(&self, before: &Self) -> Option<u64> {
        if !self.is_run_of(before) {
            return None;
        }
        self.connections.zip(before.connections).and_then(|(now, before)| rise(now, before))
    }

    /// Whether the server was not started anew since: only its uptime says so.
    fn is_run_of(&self, before: &Self) -> bool {
        /// By how much two clocks may seem to run apart, as a share and in seconds.
        const APART: (f64, f64) = (0.001, 2.0);
        let passed = self.answered_at.saturating_duration_since(before.answered_at).as_secs_f64();
        let up = |(now, before): (f64, f64)| now - before + APART.1 >= passed * (1.0 - APART.0);
        self.uptime.zip(before.uptime).is_some_and(up)
    }
}

/// By how much a counter rose; `None` where it fell.
fn rise(now: f64, before: f64) -> Option<u64> {
    (now >= before).then_some((now - before) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(aborted: f64, ours: (u64, u64), ours_at_most: u64) -> Counted {
        let (uptime, flushed_at) = (Some(1000.0), Some(0.0));
        let answered_at = Instant::now();
        let aborted = Some(aborted);
        Counted { aborted, connections: None, uptime, flushed_at, answered_at, ours, ours_at_most }
    }

    #[test]
    fn our_own_aborted_sessions_are_taken_out_as_far_as_they_are_known() {
        let before = counted(10.0, (3, 0), 3);
        for (what, now, expected) in [
            ("none of ours", counted(12.0, (3, 0), 3), (2, 2)),
            ("one of ours, counted before and after", counted(12.0, (4, 0), 4), (1, 1)),
            (
                "one that is missing from the list, and may have been counted",
                counted(12.0, (3, 0), 4),
                (1, 2),
            ),
            ("one that nobody will ever know of", counted(12.0, (3, 1), 4), (1, 2)),
            ("counted here only after the counters were read", counted(11.0, (3, 0), 5), (0, 1)),
        ] {
            let rise = now.aborted_since(&before).expect("it rose");
            assert_eq!((rise.least, rise.most), expected, "{what}");
        }
        // It was missing then already: the server may have counted it in the interval before.
        let rise = counted(12.0, (4, 0), 4).aborted_since(&counted(10.0, (3, 0), 4)).expect("it rose");
        assert_eq!((rise.least, rise.most), (1, 2));
        assert_eq!(counted(1.0, (3, 0), 3).aborted_since(&before), None, "the server started over");
        let grown = counted(12.0, (3, 0), 3);
        for (what, before) in [
            ("FLUSH STATUS, and as many again", Counted { flushed_at: Some(5.0), ..before }),
            ("a restart, and as many again", Counted { uptime: Some(1003.0), ..before }),
            ("no uptime then", Counted { uptime: None, ..before }),
        ] {
            assert_eq!(grown.aborted_since(&before), None, "{what}");
        }
        assert_eq!(Counted { uptime: None, ..grown }.aborted_since(&before), None, "no uptime now");
    }
}
