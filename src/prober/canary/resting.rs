//! A canary at rest, and how its life ends: called home, answered, or dead.

use tokio::time::Instant;

use super::FAREWELL;
use crate::domain::culprit::Row;
use crate::domain::culprit::judgement::{self, Clocks, Kills, Origin, judge};
use crate::domain::culprit::restart::{Glimpse, has_restarted};
use crate::domain::life::void::VoidCause;
use crate::prober::clock::ClockGap;
use crate::prober::hold::End;
use crate::prober::life::{Directive, Outcome, Voided};
use crate::prober::witness::Testimony;
use crate::server::birth::Birth;
use crate::server::witness::Statement;
use crate::session::{Held, Identities};

/// A canary at rest: born, and not yet ended.
pub(super) struct Resting {
    pub(super) session: Held,
    pub(super) birth: Birth,
    pub(super) proxy_seen: bool,
    /// Whether its `wait_timeout` was set by us.
    pub(super) own_timer: bool,
    /// From when its idle age counts.
    pub(super) since: Instant,
    pub(super) born_at: Instant,
    pub(super) gap: ClockGap,
    /// After how many moves of the path's address it connected.
    pub(super) moves: u64,
}

impl Resting {
    /// The loop wants it back.
    pub(super) async fn go_home(self, directive: Directive) -> Outcome {
        let outcome = self.called_back(directive);
        self.session.quit(FAREWELL).await;
        outcome
    }

    /// The loop wants it back in the middle of its statement, in which it can say nothing: the connection is
    /// closed. The session is a ghost until the server notices.
    pub(super) fn abandon(self, directive: Directive) -> Outcome {
        let outcome = self.called_back(directive);
        drop(self.session);
        outcome
    }

    fn called_back(&self, directive: Directive) -> Outcome {
        match directive {
            Directive::Stop => self.voided(VoidCause::Stopped, Instant::now()),
            Directive::Leave => self.voided(VoidCause::PathGone, Instant::now()),
            Directive::Hold | Directive::Recall => Outcome::Recalled,
        }
    }

    /// The probe, sent at this moment, was answered.
    pub(super) async fn retire(self, sent: Instant) -> Outcome {
        let jumped = self.gap.has_jumped().then(|| self.voided(VoidCause::Suspended, sent));
        let age = self.idle_for(sent);
        self.session.quit(FAREWELL).await;
        let server = self.birth.identity;
        jumped.unwrap_or(Outcome::Survived { age, server })
    }

    /// The canary is dead, and this is what the witness said.
    pub(super) fn die(
        self,
        end: End,
        testimony: Option<Testimony>,
        identities: &Identities,
        kills_rose: Option<Kills>,
        stood_still: f64,
    ) -> Outcome {
        let thread_id = self.session.thread_id();
        // Dropped unspoken, the membership leaves a ghost on the roster.
        let membership = self.session.bury();
        let (born_at, gap, since) = (self.born_at, self.gap, self.since);
        let age = end.at.saturating_duration_since(since).as_secs_f64();
        let said = testimony.as_ref().map(|Testimony { at, statement, failed_before }| {
            identities.answered(statement.identity.as_deref(), *at);
            let between = at.saturating_duration_since(born_at).as_secs_f64();
            let (then, now) = glimpses(&self.birth, statement, self.proxy_seen);
            judgement::Testimony {
                identity: statement.identity.as_deref(),
                uptime: statement.uptime,
                since_birth: between,
                has_started_over: has_restarted(&then, &now, between),
                are_balanced: identities.are_balanced(*at),
                is_listed: statement.listed.as_ref().map(|listed| listed.contains(&thread_id)),
                failed_before: *failed_before,
                kills_rose,
            }
        });
        let origin = Origin {
            thread_id,
            identity: self.birth.identity.as_deref(),
            wait_timeout: self.birth.wait_timeout,
            own_timer: self.own_timer,
            uptime: self.birth.uptime,
            proxy_seen: self.proxy_seen,
        };
        let seen = judgement::End {
            ending: end.ending,
            age,
            exact: end.exact,
            error_code: end.error_code,
            stall: end.stall,
        };
        let clocks = Clocks { was_suspended: gap.has_jumped(), stood_still };
        let death = match judge(&seen, &origin, said.as_ref(), clocks) {
            Ok(death) => death,
            Err(cause) => {
                return Outcome::Void(Voided { cause, age: Some(age), thread_id: Some(thread_id) });
            }
        };
        match death.row {
            _ if death.restarted => membership.leave(),
            Row::Gone => membership.abort(),
            Row::Present | Row::Unknown => drop(membership),
        }
        Outcome::Died(death)
    }

    /// The idle age at a moment, in seconds.
    fn idle_for(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.since).as_secs_f64()
    }

    /// It says nothing, as it stood at this moment.
    pub(super) fn voided(&self, cause: VoidCause, at: Instant) -> Outcome {
        let thread_id = Some(self.session.thread_id());
        Outcome::Void(Voided { cause, age: Some(self.idle_for(at)), thread_id })
    }
}

/// What the server said of itself at the birth and to the witness.
fn glimpses(birth: &Birth, statement: &Statement, proxy_seen: bool) -> (Glimpse, Glimpse) {
    // Behind a proxy each of the two may have met another server's count of sessions.
    let thread_id = |id: Option<u64>| id.filter(|_| !proxy_seen);
    (
        Glimpse {
            uptime: birth.uptime,
            identity: birth.identity.clone(),
            thread_id: thread_id(birth.backend_id),
        },
        Glimpse {
            uptime: statement.uptime,
            identity: statement.identity.clone(),
            thread_id: thread_id(statement.thread_id),
        },
    )
}
