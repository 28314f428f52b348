//! One real canary: log in, hold, watch, probe once, retire; or die, and hear the witness.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::clock::ClockGap;
use super::hold::{self, End, Hold};
use super::kills::KillCount;
use super::life::{Assignment, Directive, Notice, Outcome, Unborn, World};
use super::standstill::Standstills;
use super::witness::{Testimony, WitnessHandle};
use crate::domain::conduct::health::Loop;
use crate::domain::life::ending::Ending;
use crate::domain::life::kind::Kind;
use crate::domain::life::void::VoidCause;
use crate::server::birth::Birth;
use crate::server::introduction;
use crate::session::{Connector, NoSession, Purpose, Unanswered};
use crate::supervision::{Mode, is_due};
use resting::Resting;

mod resting;

/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long a late answer may take once a fresh connection was answered, or what was asked is sent again.
const LATE_ANSWER: Duration = Duration::from_millis(500);
/// How many TCP keepalive probes a keepalive canary's socket sends in its life, at least.
const KEEPALIVES: f64 = 5.0;
/// The shortest and the longest pause between two of them, in seconds: the kernel counts whole seconds.
const KEEPALIVE_PAUSE: (f64, f64) = (1.0, 60.0);

/// Whether this is the server's word: that all is well, or an error.
const fn is_an_answer(late: &Result<(), Unanswered>) -> bool {
    matches!(late, Ok(()) | Err(Unanswered::Refused(_)))
}

/// The real network: one path to one server.
#[derive(Debug, Clone)]
pub struct Network(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: Arc<Connector>,
    witness: WitnessHandle,
    probe_timeout: Duration,
    kills: KillCount,
    standstills: Standstills,
}

impl Network {
    /// A path by its connector, its witness, and the watch on this process. `probe_timeout` is how long an
    /// answer to the probe may take.
    pub fn new(
        connector: Arc<Connector>,
        witness: WitnessHandle,
        standstills: Standstills,
        probe_timeout: Duration,
    ) -> Self {
        let kills = KillCount::default();
        Self(Arc::new(Inner { connector, witness, probe_timeout, kills, standstills }))
    }
}

impl World for Network {
    fn live(&self, assignment: Assignment) -> impl Future<Output = Outcome> + Send + 'static {
        Arc::clone(&self.0).live(assignment)
    }

    fn room(&self) -> usize {
        self.0.connector.roster().room()
    }

    fn haunting(&self) -> usize {
        self.0.connector.roster().haunting()
    }

    fn moves(&self) -> u64 {
        self.0.connector.moves()
    }

    fn crowded(&self) -> impl Future<Output = ()> + Send {
        self.0.connector.roster().crowded()
    }
}

impl Inner {
    /// One life. Thousands may rest in it, so that what takes room and is not needed then is kept apart.
    #[expect(clippy::manual_async_fn, reason = "what is handed to an async function is kept twice")]
    fn live(self: Arc<Self>, mut assignment: Assignment) -> impl Future<Output = Outcome> + Send + 'static {
        async move {
            let delay = Duration::from_secs_f64(assignment.delay.max(0.0));
            tokio::select! {
                () = sleep(delay) => {}
                () = assignment.orders.unleashed() => return Outcome::Unborn(Unborn::Stopped),
            }
            let mut resting = match Box::pin(self.be_born(&assignment)).await {
                Ok(resting) => resting,
                Err(unborn) => return Outcome::Unborn(unborn),
            };
            self.kills.note(resting.born_at, resting.birth.identity.as_deref(), resting.birth.kills);
            assert!(!is_due(Loop::Canary, Mode::Round), "a failpoint in a canary's life");
            let (server, moves) = (resting.birth.identity.clone(), resting.moves);
            // The loop may be gone already; then the directive says so.
            let _ =
                assignment.notices.send(Notice::Born { id: assignment.id, at: resting.since, server, moves });
            let (session, since) = (&mut resting.session, resting.since);
            let held = match assignment.kind {
                Kind::Idle | Kind::Keepalive => hold::in_silence(session, since, &mut assignment).await,
                // Of these there is one each; the room of what they do is not kept for all the others.
                Kind::Active => {
                    Box::pin(hold::pinging(session, since, &mut assignment, self.probe_timeout)).await
                }
                Kind::Busy => {
                    Box::pin(hold::in_statement(session, since, &mut assignment, self.probe_timeout)).await
                }
            };
            let _ = assignment.notices.send(Notice::Stirred { id: assignment.id });
            match held {
                // What comes after the hours is kept apart from them: it needs more room.
                Hold::Called(directive) => Box::pin(resting.go_home(directive)).await,
                Hold::CalledBusy(directive) => resting.abandon(directive),
                Hold::Disturbed => Box::pin(resting.go_home(Directive::Recall)).await,
                Hold::Answered => Box::pin(resting.retire(Instant::now())).await,
                Hold::Due => Box::pin(self.probe(resting)).await,
                Hold::Ended(end) if end.ending == Ending::Silence => {
                    Box::pin(self.wait_on(resting, end)).await
                }
                Hold::Ended(end) => Box::pin(self.hear_witness(resting, end)).await,
            }
        }
    }

    /// Logs in and asks what must be known before the silence.
    async fn be_born(&self, assignment: &Assignment) -> Result<Resting, Unborn> {
        let keepalive = (assignment.kind == Kind::Keepalive).then(|| {
            let pause =
                (assignment.orders.orders().age / KEEPALIVES).clamp(KEEPALIVE_PAUSE.0, KEEPALIVE_PAUSE.1);
            // One that is sent out early does not know yet which limit it is to outlive.
            let pause = if assignment.early { KEEPALIVE_PAUSE.0 } else { pause };
            Duration::from_secs_f64(pause.floor())
        });
        let mut session =
            self.connector.connect(Purpose::Canary, keepalive).await.map_err(|error| match error {
                NoSession::HeldBack { rest, failed_at } => {
                    Unborn::HeldBack { seconds: rest.as_secs_f64(), failed_at }
                }
                NoSession::Failed(error) => Unborn::Failed(error.stage),
            })?;
        let mut refused = Vec::new();
        let questions = async {
            let asked_at = Instant::now();
            let birth = Birth::read(&mut session, &mut refused).await?;
            let uptime = birth.uptime.map(|uptime| (uptime, asked_at, Instant::now()));
            let proxy_seen = birth.shows_proxy(session.greeting.thread_id);
            let bound = birth.wait_timeout.and_then(|own| self.ghost_bound(own, assignment.longest));
            let mut bound = bound.filter(|_| !proxy_seen);
            if let Some(seconds) = bound
                && !Birth::bound_wait_timeout(&mut session, seconds, &mut refused).await?
            {
                bound = None;
            }
            let wait_timeout = bound.map_or(birth.wait_timeout, |seconds| Some(seconds as f64));
            // An id that only the greeting told is not certain.
            session.learn_thread_id(birth.backend_id, proxy_seen || birth.backend_id.is_none());
            if let Some(seconds) = wait_timeout {
                session.ends_by_itself_after(seconds);
            }
            introduction::introduce(&mut session, self.connector.roster(), uptime).await?;
            if !refused.is_empty() || session.has_skipped() {
                // Some refusals are the session's last words; and a session that was asked nothing has proved nothing.
                session.conn.ping().await?;
            }
            Ok::<_, mysql_async::Error>((birth, wait_timeout, proxy_seen))
        };
        let answers = timeout(self.probe_timeout, questions).await;
        for (fact, error) in refused {
            self.connector.tell_refusal(fact.name(), &error);
        }
        let (birth, wait_timeout, proxy_seen) = match answers {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => {
                let stage = self.connector.distrust(&session, Some(&error));
                if !error.is_fatal() {
                    session.quit(FAREWELL).await;
                }
                return Err(Unborn::Failed(stage));
            }
            Err(_) => return Err(Unborn::Failed(self.connector.distrust(&session, None))),
        };
        self.connector.trust();
        self.connector.identities().answered(birth.identity.as_deref(), session.began_at());
        self.connector.learn_timeouts(birth.wait_timeout, birth.global_wait_timeout);
        let (born_at, moves) = (Instant::now(), session.moves());
        let (mut session, since) = session.let_go().await;
        if assignment.kind == Kind::Busy {
            session.is_busy_until(since + Duration::from_secs_f64(assignment.orders.orders().age));
        }
        let own_timer = wait_timeout != birth.wait_timeout;
        let birth = Birth { wait_timeout, ..birth };
        Ok(Resting { session, birth, proxy_seen, own_timer, since, born_at, gap: ClockGap::now(), moves })
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
        let sent = Instant::now();
        match timeout(self.probe_timeout, resting.session.ping()).await {
            Ok(Ok(_)) => resting.retire(sent).await,
            Ok(Err(error)) => {
                let end = hold::read_answer(&mut resting.session, &error, sent).await;
                self.hear_witness(resting, end).await
            }
            Err(_) => self.wait_on(resting, End::silence(sent, sent.elapsed())).await,
        }
    }

    /// The canary's question was not answered in time. An answer that comes after all is a stuck server's, or that of a way
    /// that was out for a moment, and not a dead session's.
    async fn wait_on(&self, mut resting: Resting, end: End) -> Outcome {
        let asked = Instant::now();
        let (answer, testimony) = {
            let testimony = self.witness.testify(resting.session.thread_id(), false);
            let answer = resting.session.hear_answer();
            tokio::pin!(testimony, answer);
            let first = tokio::select! {
                late = &mut answer => Err(late),
                testimony = &mut testimony => Ok(testimony),
            };
            match first {
                Err(late) if is_an_answer(&late) => (Some(late), None),
                Err(late) => (Some(late), testimony.await),
                Ok(None) => (None, None),
                Ok(Some(words)) => {
                    // What was sent is sent again after twice the time at the latest.
                    let waited =
                        Duration::from_secs_f64(end.stall.unwrap_or_default()).min(self.probe_timeout);
                    let sent_again = (asked + waited).max(Instant::now()) + LATE_ANSWER;
                    (timeout_at(sent_again, answer).await.ok(), Some(words))
                }
            }
        };
        match answer {
            Some(late) if is_an_answer(&late) => {
                let voided = resting.voided(VoidCause::AnsweredLate, end.at);
                resting.session.quit(FAREWELL).await;
                voided
            }
            // Something closed it at last.
            Some(Err(error)) if end.stall.is_some() => {
                let late = hold::read_answer(&mut resting.session, &error, end.at).await;
                self.judge(resting, late, testimony)
            }
            Some(_) | None => self.judge(resting, end, testimony),
        }
    }

    /// The canary's end was heard, or its question was answered by something else.
    async fn hear_witness(&self, resting: Resting, end: End) -> Outcome {
        let audible = !end.ending.is_found_by_probe();
        let testimony = self.witness.testify(resting.session.thread_id(), audible).await;
        self.judge(resting, end, testimony)
    }

    /// The canary is dead, and this is what the witness said.
    fn judge(&self, resting: Resting, end: End, mut testimony: Option<Testimony>) -> Outcome {
        if end.ending == Ending::Silence
            && let Some(testimony) = &mut testimony
        {
            // The witness came through, and others before it did not. Where the kernel gave up, it had asked before.
            let asked = match end.stall {
                Some(_) => Some(end.at),
                None => {
                    end.at.checked_sub(Duration::from_secs_f64(KEEPALIVE_PAUSE.1).max(2 * self.probe_timeout))
                }
            };
            testimony.failed_before |= asked.is_some_and(|at| self.connector.was_out_of_reach_since(at));
        }
        let birth = (resting.born_at, resting.birth.kills);
        let identity = resting.birth.identity.as_deref();
        let kills = testimony.as_ref().and_then(|told| Some((told.at, told.statement.kills?)));
        let kills_rose = kills.and_then(|now| self.kills.rose(end.at, identity, birth, now));
        if let Some(Testimony { at, statement, .. }) = &testimony {
            self.kills.note(*at, statement.identity.as_deref(), statement.kills);
        }
        let stood_still = self.standstills.stood_still_since(end.at);
        resting.die(end, testimony, self.connector.identities(), kills_rose, stood_still)
    }
}
