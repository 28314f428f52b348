//! One real canary: log in, hold, watch, probe once, retire; or die, and hear the witness.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::clock::ClockGap;
use super::life::{Assignment, Born, Death, Leash, Orders, Outcome, Unborn, World};
use super::witness::{Testimony, WitnessDesk};
use crate::domain::culprit::Row;
use crate::domain::ending::Ending;
use crate::domain::void::VoidReason;
use crate::server::birth::Birth;
use crate::server::witness::Statement;
use crate::session::packet::Unsolicited;
use crate::session::tap::{Closed, Sight};
use crate::session::{Connector, NoSession, Session};

/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long a canary waits for the FIN after the server spoke.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a late answer may take once a fresh connection was answered.
const LATE_ANSWER: Duration = Duration::from_millis(500);
/// Uptime is in whole seconds, and read over a network: a shift of the server's start beyond this, in
/// seconds, is a restart.
const UPTIME_SLACK: f64 = 2.0;

/// The real network: one path to one server.
#[derive(Debug, Clone)]
pub struct Network(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: Arc<Connector>,
    desk: WitnessDesk,
    probe_timeout: Duration,
}

impl Network {
    /// A path by its connector. `probe_timeout` is how long an answer to the probe may take.
    pub fn new(connector: Arc<Connector>, probe_timeout: Duration) -> Self {
        let desk = WitnessDesk::open(Arc::clone(&connector));
        Self(Arc::new(Inner { connector, desk, probe_timeout }))
    }
}

impl World for Network {
    fn live(&self, assignment: Assignment) -> impl Future<Output = Outcome> + Send + 'static {
        let inner = Arc::clone(&self.0);
        async move { inner.live(assignment).await }
    }
}

/// A canary at rest: born, and not yet ended.
struct Resting {
    session: Session,
    birth: Birth,
    proxy_seen: bool,
    /// From when its idle age counts.
    since: Instant,
    born_at: Instant,
    gap: ClockGap,
}

/// How the hold ended.
enum Hold {
    /// The far side closed or spoke.
    Stirred(Sight),
    /// The age is reached.
    Due,
    /// The loop wants it back.
    Called(Leash),
}

/// What the wire showed, as far as the canary itself can tell.
struct End {
    ending: Ending,
    at: Instant,
    exact: bool,
    error_code: Option<u16>,
    stall: Option<f64>,
}

impl Inner {
    async fn live(&self, mut assignment: Assignment) -> Outcome {
        let delay = Duration::from_secs_f64(assignment.delay.max(0.0));
        tokio::select! {
            () = sleep(delay) => {}
            _ = assignment.orders.wait_for(|orders| orders.leash != Leash::Hold) => return Outcome::Unborn(Unborn::Stopped),
        }
        let resting = match self.be_born(&assignment).await {
            Ok(resting) => resting,
            Err(unborn) => return Outcome::Unborn(unborn),
        };
        // The loop may be gone already; then the leash says so.
        let _ = assignment.born.send(Born { id: assignment.id, at: resting.since });
        match hold(&resting, &mut assignment).await {
            Hold::Called(leash) => {
                resting.session.quit(FAREWELL).await;
                match leash {
                    Leash::Stop => Outcome::Void(VoidReason::Shutdown),
                    Leash::Hold | Leash::Recall => Outcome::Recalled,
                }
            }
            Hold::Stirred(sight) => {
                let end = read_audible(&resting, sight).await;
                let testimony = self.desk.testify(resting.session.thread_id(), true).await;
                resting.die(end, testimony)
            }
            Hold::Due => self.probe(resting).await,
        }
    }

    /// Logs in and asks what must be known before the silence.
    async fn be_born(&self, assignment: &Assignment) -> Result<Resting, Unborn> {
        let mut session = self.connector.connect(None).await.map_err(|error| match error {
            NoSession::HeldBack(rest) => Unborn::HeldBack(rest.as_secs_f64()),
            NoSession::Failed(error) => Unborn::Failed(error.stage),
        })?;
        let questions = async {
            let birth = Birth::read(&mut session.conn).await?;
            let proxy_seen = birth.shows_proxy(session.greeting.thread_id);
            let bound = birth.wait_timeout.and_then(|own| self.ghost_bound(own, assignment.longest));
            if let (Some(seconds), false) = (bound, proxy_seen) {
                Birth::bound_wait_timeout(&mut session.conn, seconds).await?;
            }
            let wait_timeout = bound.map_or(birth.wait_timeout, |seconds| Some(seconds as f64));
            Ok::<_, mysql_async::Error>((Birth { wait_timeout, ..birth }, proxy_seen))
        };
        let Ok(Ok((birth, proxy_seen))) = timeout(self.probe_timeout, questions).await else {
            return Err(Unborn::Broken);
        };
        if let Some(id) = birth.backend_id {
            session.learn_thread_id(id);
        }
        let born_at = Instant::now();
        let since = session.tap.rest().await;
        Ok(Resting { session, birth, proxy_seen, since, born_at, gap: ClockGap::now() })
    }

    /// The `wait_timeout` to set, in whole seconds, so that a ghost of this canary dies by itself a
    /// little past its probe. `None` where the session's own is not above its age: then it is what is
    /// being measured.
    fn ghost_bound(&self, own: f64, longest: f64) -> Option<u64> {
        if own <= longest {
            return None;
        }
        let bound = (longest + 2.0 * self.probe_timeout.as_secs_f64() + 5.0).ceil();
        (bound < own).then_some(bound as u64)
    }

    /// Sends COM_PING and tells what came of it.
    async fn probe(&self, mut resting: Resting) -> Outcome {
        let thread_id = resting.session.thread_id();
        let sent = Instant::now();
        resting.session.tap.wake();
        let answer = {
            let ping = resting.session.conn.ping();
            tokio::pin!(ping);
            match timeout(self.probe_timeout, &mut ping).await {
                Ok(answer) => Answer::InTime(answer),
                Err(_) => {
                    let stall = sent.elapsed();
                    // An answer that comes while the witness is heard is a stuck server's, not a dead path's.
                    let testimony = self.desk.testify(thread_id, false);
                    tokio::pin!(testimony);
                    let heard = tokio::select! {
                        late = &mut ping => Err(late.is_ok()),
                        testimony = &mut testimony => Ok(testimony),
                    };
                    match heard {
                        Err(true) => Answer::Late,
                        Err(false) => Answer::Never(stall, testimony.await),
                        Ok(None) => Answer::Never(stall, None),
                        Ok(Some(words)) => match timeout(LATE_ANSWER, ping).await {
                            Ok(Ok(())) => Answer::Late,
                            Ok(Err(_)) | Err(_) => Answer::Never(stall, Some(words)),
                        },
                    }
                }
            }
        };
        match answer {
            Answer::InTime(Ok(())) => resting.retire(sent).await,
            Answer::InTime(Err(error)) => {
                // The driver may see the close a moment before the tap's note of it is readable here.
                let closed = timeout(Duration::from_millis(200), resting.session.tap.close()).await;
                let sight = closed.unwrap_or_else(|_| resting.session.tap.sight());
                let end = read_answer(&sight, &error, sent);
                let testimony = self.desk.testify(thread_id, !end.ending.is_found_by_probe()).await;
                resting.die(end, testimony)
            }
            Answer::Late => {
                resting.session.quit(FAREWELL).await;
                Outcome::Void(VoidReason::Outage)
            }
            Answer::Never(stall, testimony) => {
                let stall = Some(stall.as_secs_f64());
                let end = End { ending: Ending::Silence, at: sent, exact: false, error_code: None, stall };
                resting.die(end, testimony)
            }
        }
    }
}

/// What came of a probe.
enum Answer {
    /// The driver answered before the deadline.
    InTime(mysql_async::Result<()>),
    /// The server answered after it.
    Late,
    /// No answer, after this long; and what the witness said.
    Never(Duration, Option<Testimony>),
}

/// Holds a canary until something happens to it.
async fn hold(resting: &Resting, assignment: &mut Assignment) -> Hold {
    loop {
        let Orders { age, leash } = *assignment.orders.borrow_and_update();
        if leash != Leash::Hold {
            return Hold::Called(leash);
        }
        let due = resting.since + Duration::from_secs_f64(age.max(0.0));
        tokio::select! {
            biased;
            sight = resting.session.tap.stir() => return Hold::Stirred(sight),
            changed = assignment.orders.changed() => if changed.is_err() {
                return Hold::Called(Leash::Stop);
            },
            () = sleep_until(due) => return Hold::Due,
        }
    }
}

/// Reads an ending that came while nothing was being sent.
async fn read_audible(resting: &Resting, stirred: Sight) -> End {
    let tap = &resting.session.tap;
    // After words comes the FIN; a server that never closes has spoken all the same.
    let sight = match timeout(LAST_WORDS, tap.close()).await {
        Ok(sight) => sight,
        Err(_) => tap.sight(),
    };
    let closed = sight.closed.map(|(closed, at)| (read_close(closed), at));
    match (stirred.spoke_at.or(sight.spoke_at), sight.words, closed) {
        (Some(at), words, _) => {
            let error_code = match words {
                Some(Unsolicited::Err(err)) => Some(err.code),
                Some(Unsolicited::TlsRecord | Unsolicited::TlsAlert | Unsolicited::Unintelligible) | None => {
                    None
                }
            };
            End { ending: Ending::Goodbye, at, exact: true, error_code, stall: None }
        }
        (None, _, Some((ending, at))) => {
            End { ending, at, exact: ending != Ending::Silence, error_code: None, stall: None }
        }
        // Not reached: a stir is one of the two.
        (None, _, None) => {
            End { ending: Ending::Silence, at: Instant::now(), exact: false, error_code: None, stall: None }
        }
    }
}

fn read_close(closed: Closed) -> Ending {
    match closed {
        Closed::Fin => Ending::Fin,
        Closed::Reset => Ending::Reset,
        Closed::TimedOut => Ending::Silence,
    }
}

/// Reads the ending of a session whose probe failed.
fn read_answer(sight: &Sight, error: &mysql_async::Error, sent: Instant) -> End {
    let stall = |at: Instant| Some(at.saturating_duration_since(sent).as_secs_f64());
    if let mysql_async::Error::Server(error) = error {
        let stall = stall(Instant::now());
        return End { ending: Ending::Goodbye, at: sent, exact: false, error_code: Some(error.code), stall };
    }
    match (sight.while_idle, sight.closed) {
        // It closed in the instant before the probe was sent.
        (true, Some((closed, at))) => {
            let ending = read_close(closed);
            End { ending, at: at.min(sent), exact: ending != Ending::Silence, error_code: None, stall: None }
        }
        (_, Some((Closed::Reset, at))) => {
            End { ending: Ending::ResetOnUse, at: sent, exact: false, error_code: None, stall: stall(at) }
        }
        (_, Some((closed, at))) => {
            End { ending: read_close(closed), at: sent, exact: false, error_code: None, stall: stall(at) }
        }
        // The server answered with something that is no answer.
        (_, None) => End {
            ending: Ending::Goodbye,
            at: sent,
            exact: false,
            error_code: None,
            stall: stall(Instant::now()),
        },
    }
}

impl Resting {
    /// The probe, sent at this moment, was answered.
    async fn retire(self, sent: Instant) -> Outcome {
        let jumped = self.gap.has_jumped();
        let age = (sent - self.since).as_secs_f64();
        self.session.quit(FAREWELL).await;
        if jumped { Outcome::Void(VoidReason::ClockJump) } else { Outcome::Survived { age } }
    }

    /// The canary is dead, and this is what the witness said.
    fn die(self, end: End, testimony: Option<Testimony>) -> Outcome {
        let thread_id = self.session.thread_id();
        // Dropped unspoken, the membership leaves a ghost on the roster.
        let membership = self.session.bury();
        let Some(Testimony { at, statement }) = testimony else {
            return Outcome::Void(VoidReason::Outage);
        };
        if self.gap.has_jumped() {
            return Outcome::Void(VoidReason::ClockJump);
        }
        let row = match &statement.listed {
            _ if self.proxy_seen => Row::Unknown,
            None => Row::Unknown,
            Some(listed) if listed.contains(&thread_id) => Row::Present,
            Some(_) => Row::Gone,
        };
        let restarted = has_restarted(&self.birth, &statement, at - self.born_at);
        match row {
            _ if restarted => membership.leave(),
            Row::Gone => membership.abort(),
            Row::Present | Row::Unknown => drop(membership),
        }
        Outcome::Died(Death {
            ending: end.ending,
            age: end.at.saturating_duration_since(self.since).as_secs_f64(),
            exact: end.exact,
            error_code: end.error_code,
            stall: end.stall,
            wait_timeout: self.birth.wait_timeout,
            row,
            restarted,
            proxy_seen: self.proxy_seen,
            thread_id,
            uptime: statement.uptime,
        })
    }
}

/// Whether the server was restarted or replaced between a birth and its witness, this long after.
fn has_restarted(birth: &Birth, statement: &Statement, between: Duration) -> bool {
    let replaced =
        birth.identity.as_ref().zip(statement.identity.as_ref()).is_some_and(|(then, now)| then != now);
    let shifted = birth
        .uptime
        .zip(statement.uptime)
        .is_some_and(|(then, now)| then + between.as_secs_f64() - now > UPTIME_SLACK);
    replaced || shifted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_shows_in_uptime_or_identity() {
        let birth = |uptime, identity: &str| Birth {
            connection_id: None,
            backend_id: None,
            wait_timeout: None,
            global_wait_timeout: None,
            uptime: Some(uptime),
            identity: Some(identity.to_owned()),
        };
        let statement = |uptime, identity: &str| Statement {
            uptime: Some(uptime),
            identity: Some(identity.to_owned()),
            listed: None,
        };
        let minute = Duration::from_secs(60);
        assert!(!has_restarted(&birth(100.0, "a"), &statement(160.0, "a"), minute));
        assert!(!has_restarted(&birth(100.0, "a"), &statement(159.0, "a"), minute), "whole seconds");
        assert!(has_restarted(&birth(100.0, "a"), &statement(5.0, "a"), minute));
        assert!(has_restarted(&birth(1.0, "a"), &statement(30.0, "a"), minute), "young servers restart too");
        assert!(has_restarted(&birth(100.0, "a"), &statement(900.0, "b"), minute), "failover");
    }
}
