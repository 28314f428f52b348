//! How each kind is held until it is probed, and what the wire showed when it was not to be.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::life::{Assignment, Directive, Orders};
use crate::domain::life::ending::Ending;
use crate::server::statement;
use crate::session::packet::Unsolicited;
use crate::session::{Closed, Held, Sight, Unanswered};

/// How long a canary waits for the FIN after the server spoke.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long the tap's note of a close may come after the driver's error.
const NOTE: Duration = Duration::from_millis(200);
/// A sleeping statement that ends this much early, in seconds, was cut short by somebody.
const CUT_SHORT: f64 = 0.25;
/// How many times an active canary pings in its life, at least.
const PINGS: f64 = 8.0;
/// The longest pause between two pings, in seconds.
const LONGEST_PAUSE: f64 = 30.0;

/// How a hold ended.
pub(super) enum Hold {
    /// The age is reached.
    Due,
    /// The loop wants it back; nothing is under way.
    Called(Directive),
    /// The loop wants it back in the middle of its statement.
    CalledBusy(Directive),
    /// The far side ended it.
    Ended(End),
    /// What a busy canary waited for has come: it lived.
    Answered,
    /// Somebody ended the statement, not the session: no life and no death.
    Disturbed,
}

/// What the wire showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct End {
    pub(super) ending: Ending,
    /// When, as well as it is known.
    pub(super) at: Instant,
    /// Whether that is the moment of the ending itself.
    pub(super) exact: bool,
    pub(super) error_code: Option<u16>,
    /// From sending to knowing, in seconds.
    pub(super) stall: Option<f64>,
}

/// Holds an idle or a keepalive canary: not one byte.
pub(super) async fn in_silence(session: &mut Held, since: Instant, assignment: &mut Assignment) -> Hold {
    loop {
        let Orders { age, directive } = assignment.orders.heed();
        if directive != Directive::Hold {
            return Hold::Called(directive);
        }
        tokio::select! {
            biased;
            sight = session.stir() => {
                // Of those that die together, each has its moment noted before one is asked after.
                yield_now().await;
                return Hold::Ended(Box::pin(read_audible(session, sight)).await);
            }
            changed = assignment.orders.changed() => if changed.is_err() {
                return Hold::Called(Directive::Stop);
            },
            () = sleep_until(due(since, age)) => return Hold::Due,
        }
    }
}

/// Holds an active canary: a ping every few seconds.
pub(super) async fn pinging(
    session: &mut Held,
    since: Instant,
    assignment: &mut Assignment,
    probe_timeout: Duration,
) -> Hold {
    let mut last = since;
    loop {
        let Orders { age, directive } = assignment.orders.heed();
        if directive != Directive::Hold {
            return Hold::Called(directive);
        }
        let next = due(last, ping_pause(age, since.elapsed().as_secs_f64(), assignment.early));
        let end = due(since, age);
        tokio::select! {
            biased;
            sight = session.stir() => return Hold::Ended(read_audible(session, sight).await),
            changed = assignment.orders.changed() => if changed.is_err() {
                return Hold::Called(Directive::Stop);
            },
            () = sleep_until(next.min(end)) => {
                if next >= end {
                    return Hold::Due;
                }
                let sent = Instant::now();
                match timeout(probe_timeout, session.ping()).await {
                    Ok(Ok(at)) => last = at,
                    Ok(Err(error)) => return Hold::Ended(read_answer(session, &error, sent).await),
                    Err(_) => return Hold::Ended(End::silence(sent, sent.elapsed())),
                }
            }
        }
    }
}

/// Holds a busy canary: one statement that sleeps on the server.
pub(super) async fn in_statement(
    session: &mut Held,
    since: Instant,
    assignment: &mut Assignment,
    probe_timeout: Duration,
) -> Hold {
    let Orders { age, .. } = assignment.orders.heed();
    let deadline = due(since, age) + probe_timeout;
    let words = statement::sleep(age);
    let answer = {
        let statement = timeout_at(deadline, session.run(&words));
        tokio::pin!(statement);
        loop {
            tokio::select! {
                biased;
                answer = &mut statement => break answer,
                changed = assignment.orders.changed() => {
                    let directive = assignment.orders.orders().directive;
                    if changed.is_err() || directive != Directive::Hold {
                        return Hold::CalledBusy(directive);
                    }
                }
            }
        }
    };
    match answer {
        Ok(Ok(())) if since.elapsed().as_secs_f64() + CUT_SHORT < age => Hold::Disturbed,
        Ok(Ok(())) => Hold::Answered,
        Ok(Err(Unanswered::Refused(error))) if !ends_session(error.code) => Hold::Disturbed,
        Ok(Err(error)) => {
            let end = read_answer(session, &error, since).await;
            // The statement was sent long before: a close in its midst is as exact as one while idle.
            let exact = matches!(end.ending, Ending::Fin | Ending::Reset | Ending::ResetOnUse);
            let ending = if end.ending == Ending::ResetOnUse { Ending::Reset } else { end.ending };
            let closed = session.sight().closed.map_or_else(Instant::now, |(_, at)| at);
            Hold::Ended(End { ending, exact, at: closed, stall: None, ..end })
        }
        Err(_) => Hold::Ended(End::silence(due(since, age), probe_timeout)),
    }
}

/// Server errors after which there is no session: shutdown, killed, idle too long.
fn ends_session(code: u16) -> bool {
    matches!(code, 1053 | 1927 | 4031)
}

/// The pause before the next ping of an active canary, in seconds. One that was sent out early does not know yet which
/// limit it is to outlive: idle canaries of its own age find any that is much shorter than it has lived.
fn ping_pause(aim: f64, lived: f64, early: bool) -> f64 {
    /// The shortest pause of an early one, in seconds.
    const SHORTEST: f64 = 0.4;
    let age = if early { lived.max(PINGS * SHORTEST).min(aim) } else { aim };
    (age / PINGS).min(LONGEST_PAUSE)
}

fn due(since: Instant, seconds: f64) -> Instant {
    since + Duration::from_secs_f64(seconds.max(0.0))
}

impl End {
    /// No answer to what was sent at this moment, for so long.
    pub(super) fn silence(sent: Instant, waited: Duration) -> Self {
        let stall = Some(waited.as_secs_f64());
        Self { ending: Ending::Silence, at: sent, exact: false, error_code: None, stall }
    }
}

/// Reads an ending that came while nothing was being sent.
async fn read_audible(session: &mut Held, stirred: Sight) -> End {
    // After words comes the FIN; a server that never closes has spoken all the same.
    let sight = match timeout(LAST_WORDS, session.close()).await {
        Ok(sight) => sight,
        Err(_) => session.sight(),
    };
    let error_code = match sight.words {
        Some(Unsolicited::Err(ref err)) => Some(err.code),
        Some(Unsolicited::Unintelligible) | None => None,
    };
    match (stirred.spoke_at.or(sight.spoke_at), sight.closed) {
        (Some(at), _) => End { ending: Ending::Goodbye, at, exact: true, error_code, stall: None },
        (None, Some((closed, at))) => {
            let ending = read_close(closed);
            End { ending, at, exact: ending != Ending::Silence, error_code, stall: None }
        }
        // Not reached: a stir is one of the two.
        (None, None) => End::silence(Instant::now(), Duration::ZERO),
    }
}

fn read_close(closed: Closed) -> Ending {
    match closed {
        Closed::Fin => Ending::Fin,
        Closed::Reset => Ending::Reset,
        Closed::TimedOut => Ending::Silence,
    }
}

/// Reads the ending of a session on which something failed that was sent at this moment.
pub(super) async fn read_answer(session: &mut Held, error: &Unanswered, sent: Instant) -> End {
    // After a last word comes the close.
    let sight = match timeout(NOTE, session.close()).await {
        Ok(sight) => sight,
        Err(_) => session.sight(),
    };
    let stall = |at: Instant| Some(at.saturating_duration_since(sent).as_secs_f64());
    let found = |ending, at| End { ending, at: sent, exact: false, error_code: None, stall: stall(at) };
    if let Unanswered::Refused(error) = error {
        return End { error_code: Some(error.code), ..found(Ending::Goodbye, Instant::now()) };
    }
    match (sight.while_idle, sight.closed) {
        // It closed in the instant before the probe was sent.
        (true, Some((closed, at))) => {
            let ending = read_close(closed);
            let exact = ending != Ending::Silence;
            End { ending, at: at.min(sent), exact, error_code: None, stall: None }
        }
        (_, Some((Closed::Reset, at))) => found(Ending::ResetOnUse, at),
        (_, Some((closed, at))) => found(read_close(closed), at),
        // The server answered with something that is no answer.
        (_, None) => found(Ending::Goodbye, Instant::now()),
    }
}
