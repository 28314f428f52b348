//! One followed session, and what is known of it once it is missing from a list.

use super::groups::Gone;
use super::ledger::Ended;
use super::reports::Sleeper;
use super::row::{Doing, idle_range};

/// One followed session. At 20,000 of them every byte counts.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// The last list without it, when that was asked for; minus infinity where there was none.
    pub(super) born_after: f64,
    /// It was there at this time.
    pub(super) born_before: f64,
    /// When it was last seen: the list was asked for then, and its row was heard so much later.
    pub(super) asked: f64,
    pub(super) heard_after: f32,
    /// `TIME` at that sighting, where it slept and the time made sense; else not a number.
    pub(super) slept: f64,
    /// For how long it had surely slept then, in seconds: `TIME` may count what came before the sleep, too.
    pub(super) rested: f32,
    /// The longest sleep it is known to have survived, in seconds, and when that was seen.
    pub(super) survived: f32,
    pub(super) survived_at: f32,
    pub(super) user: u32,
    pub(super) host: u32,
    pub(super) round: u32,
    pub(super) group: u16,
    /// What it did when last seen.
    pub(super) doing: Doing,
    /// The host has no port: nothing tells one session from the next of the same id.
    pub(super) portless: bool,
}

/// What a row is to the follower.
pub(super) enum Sighting {
    /// A session that is followed.
    Again,
    /// Another one of the same id.
    Another,
    /// One that is not followed yet.
    First,
}

impl Session {
    /// When its row was last heard, in seconds on the caller's clock.
    pub(super) fn heard(&self) -> f64 {
        self.asked + f64::from(self.heard_after)
    }

    /// For how long it had slept when it was last seen, in seconds, at least and at most. `None` while it works, or
    /// where the server gives no sense.
    pub(super) fn idle(&self) -> Option<(f64, f64)> {
        idle_range(Some(self.slept)).map(|(least, most)| (least.min(f64::from(self.rested)), most))
    }

    /// What those who judge are shown of it.
    pub(super) fn sleeper(&self) -> Sleeper {
        Sleeper {
            group: usize::from(self.group),
            idle: self.idle(),
            age: (self.asked - self.born_before).max(0.0),
            born_seen: self.born_after.is_finite(),
            survived: f64::from(self.survived),
            survived_at: f64::from(self.survived_at),
        }
    }

    /// Whether a `TIME` of this range cannot be, at a row heard at this time: it would have slept since before it
    /// began, or have slept for longer since it was last seen than passed.
    pub(super) fn denies(&self, (least, _): (f64, f64), heard: f64, drift: f64) -> bool {
        let before = idle_range(Some(self.slept)).map_or(f64::INFINITY, |(_, most)| most);
        least > heard - self.born_after + drift || least > before + (heard - self.asked) + drift
    }

    /// For how long it has surely slept, where `TIME` counts from the statement before: as long as it was seen to sleep.
    /// A list that is asked for, and whose row is heard, then tells of `least` seconds at least: a statement that began
    /// before the list before, which had ended by then, is the same one. All in seconds.
    pub(super) fn rested_until(&self, (asked, heard): (f64, f64), least: f64) -> f64 {
        let is_same = self.doing == Doing::Sleep && least > heard - self.asked;
        let seen = if is_same { f64::from(self.rested) + (asked - self.heard()) } else { 0.0 };
        seen.clamp(0.0, least)
    }
}

/// The memory that so many sessions take in a tree at most, in bytes.
pub(super) fn bytes_of(sessions: usize) -> usize {
    /// Entries that a node of the standard library's tree has at least, and room for.
    const ENTRIES: (usize, usize) = (5, 11);
    /// A node's own fields and the places of its children.
    const NODE: usize = 16 + 12 * size_of::<usize>();
    sessions.div_ceil(ENTRIES.0) * (ENTRIES.1 * size_of::<(u64, Session)>() + NODE)
}

pub(super) fn least_of(slept: f64) -> f64 {
    idle_range(Some(slept)).map_or(0.0, |(least, _)| least)
}

/// What is known of a session that is missing from a list answered at this time.
pub(super) fn ended(session: &Session, answered: f64) -> Ended {
    let since = (answered - session.asked).max(0.0);
    let age = session
        .born_after
        .is_finite()
        .then(|| ((session.asked - session.born_before).max(0.0), (answered - session.born_after).max(0.0)));
    let idle = idle_range(Some(session.slept)).map(|(least, most)| (least, most + since));
    let slept_at_most = match (session.doing, idle) {
        (_, Some((_, most))) => most,
        (Doing::Work, None) => since,
        (Doing::Sleep | Doing::Killed | Doing::Unknown, None) => f64::INFINITY,
    };
    Ended { group: session.group, gone: Gone { age, idle, at: session.heard() }, round: 0, slept_at_most }
}
