//! The judgement of one end: whether it is a death that counts, and what is known of it, or why it is void.
//!
//! What the wire showed, what the session knew of itself at birth, what the witness said just after and what
//! the clocks say of this machine go in; who did it is a later question ([`crate::domain::culprit::conclude`]).

use crate::domain::culprit::Row;
use crate::domain::life::ending::Ending;
use crate::domain::life::tolerance::{STOOD_STILL, UPTIME_AHEAD, WAIT_TIMEOUT_EARLY_SECONDS};
use crate::domain::life::void::VoidCause;

/// What the wire showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct End {
    /// What it was.
    pub ending: Ending,
    /// Idle age at it, in seconds.
    pub age: f64,
    /// Whether it came while nothing was being sent, so that the age is that of the death itself.
    pub exact: bool,
    /// The server's error code, where it could be read.
    pub error_code: Option<u16>,
    /// From sending to knowing, in seconds, where something was sent.
    pub stall: Option<f64>,
}

/// What was known of the session from its birth on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Origin<'a> {
    /// The server's thread id.
    pub thread_id: u64,
    /// Which server it was on, by its own name for itself.
    pub identity: Option<&'a str>,
    /// The session's own `wait_timeout` as it was at the end, in seconds.
    pub wait_timeout: Option<f64>,
    /// Whether we had set that `wait_timeout` ourselves.
    pub own_timer: bool,
    /// `Uptime` of its server at birth, in seconds.
    pub uptime: Option<f64>,
    /// Whether a proxy that speaks MySQL was seen.
    pub proxy_seen: bool,
}

/// What a fresh connection on the same path said just after.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Testimony<'a> {
    /// Which server it reached.
    pub identity: Option<&'a str>,
    /// Its `Uptime`, in seconds.
    pub uptime: Option<f64>,
    /// How much time passed here from the birth to this, in seconds.
    pub since_birth: f64,
    /// Its `Uptime` fell back since the birth: another process serves now.
    pub has_started_over: bool,
    /// Several servers answer in turn on this path, so that another one need not be a replaced one.
    pub are_balanced: bool,
    /// Whether it still lists the session. `None` where it would not say.
    pub is_listed: Option<bool>,
    /// Fresh connections failed before this one succeeded.
    pub failed_before: bool,
    /// By how much its count of KILLs rose over the ending. `None` where it was not read.
    pub kills_rose: Option<Kills>,
}

/// The server's count of KILLs, read before and after an ending.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kills {
    /// By how much it rose.
    pub rose: u32,
    /// How long before the ending it was read, in seconds.
    pub read_before: f64,
    /// How likely it is, from 0 to 1, that it rose in that time because others' sessions were killed.
    pub others: f64,
}

/// What the clocks say of this machine during the life.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Clocks {
    /// It was suspended.
    pub was_suspended: bool,
    /// For how long at most this process stood still around the ending and its judgement, in seconds.
    pub stood_still: f64,
}

/// One death, with its witness's words, before the loop adds what it knows of the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Death {
    /// What the wire showed.
    pub ending: Ending,
    /// Idle age at the ending, in seconds.
    pub age: f64,
    /// Whether the ending came while nothing was being sent.
    pub exact: bool,
    /// The server's error code, where it could be read.
    pub error_code: Option<u16>,
    /// From sending to knowing, in seconds, where something was sent.
    pub stall: Option<f64>,
    /// The session's own `wait_timeout` as it was at the end, in seconds.
    pub wait_timeout: Option<f64>,
    /// What the processlist said.
    pub row: Row,
    /// Whether the server was restarted or replaced during this life.
    pub restarted: bool,
    /// Whether a proxy that speaks MySQL was seen at birth.
    pub proxy_seen: bool,
    /// The server's thread id.
    pub thread_id: u64,
    /// The server's uptime at the witness, in seconds.
    pub uptime: Option<f64>,
    /// Which server it was on, by the server's own name for itself.
    pub identity: Option<String>,
    /// By how much the server's count of KILLs rose with it: it can acquit, and convicts only together with
    /// other evidence, for it counts everybody's.
    pub kills: Option<Kills>,
}

impl Death {
    /// Whether the server's count of KILLs rose with it. `None` where that was not read.
    pub fn killed(&self) -> Option<bool> {
        self.kills.map(|kills| kills.rose > 0)
    }
}

/// Judges one end.
///
/// # Errors
/// Why it counts as no death.
pub fn judge(
    end: &End,
    origin: &Origin<'_>,
    testimony: Option<&Testimony<'_>>,
    clocks: Clocks,
) -> Result<Death, VoidCause> {
    // What this process missed it cannot tell, and its witness's connect may have timed out meanwhile.
    if clocks.stood_still > STOOD_STILL.either(end.age) {
        return Err(VoidCause::ProcessStoodStill);
    }
    let testimony = testimony.ok_or(VoidCause::NoWitness)?;
    let is_another = testimony.are_balanced && testimony.identity != origin.identity;
    let was_replaced = origin.identity.zip(testimony.identity).is_some_and(|(then, now)| then != now);
    let restarted = !is_another && (was_replaced || testimony.has_started_over);
    if testimony.failed_before && !restarted {
        return Err(VoidCause::WayWasOut);
    }
    if clocks.was_suspended {
        return Err(VoidCause::Suspended);
    }
    if !is_another && !restarted && has_counted_more(origin.uptime, testimony) {
        return Err(VoidCause::ClockStoodStill);
    }
    let reached_own = |own: f64| origin.own_timer && end.age >= own - WAIT_TIMEOUT_EARLY_SECONDS;
    if !restarted && origin.wait_timeout.is_some_and(reached_own) {
        return Err(VoidCause::OwnTimer);
    }
    let row = match testimony.is_listed {
        _ if origin.proxy_seen || is_another => Row::Unknown,
        None => Row::Unknown,
        Some(true) => Row::Present,
        Some(false) => Row::Gone,
    };
    Ok(Death {
        ending: end.ending,
        age: end.age,
        exact: end.exact,
        error_code: end.error_code,
        stall: end.stall,
        wait_timeout: origin.wait_timeout,
        row,
        restarted,
        proxy_seen: origin.proxy_seen,
        thread_id: origin.thread_id,
        uptime: testimony.uptime,
        identity: origin.identity.map(str::to_owned),
        // Another server's count says nothing of this one's.
        kills: testimony.kills_rose.filter(|_| !is_another && !restarted),
    })
}

/// Whether the server counted more time during the life than this machine's clocks, which then stood still
/// while the session was idle: a frozen virtual machine.
fn has_counted_more(uptime_at_birth: Option<f64>, testimony: &Testimony<'_>) -> bool {
    uptime_at_birth.zip(testimony.uptime).is_some_and(|(then, now)| {
        now - then - testimony.since_birth > UPTIME_AHEAD.both(testimony.since_birth)
    })
}

#[cfg(test)]
mod tests;
