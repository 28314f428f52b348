//! One round over the sources. What was read is published; a source that hangs, or breaks the connection, fails
//! alone: its connection is closed, and the rest of the round goes on over one fresh connection.
//!
//! At most one connection of the server view is open at a time. A question that hangs stays on the server until
//! it is answered there, for it cannot be taken back without KILL; its session is a ghost on the roster.

mod following;
mod listing;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use tokio::time::{Instant, error::Elapsed, timeout};

use super::applications::Heard;
use super::troubles::Part;
use super::uptime::Uptime;
use super::watch::{Control, DEADLINE, Memory, open, recognise, tell_of_sight};
use super::{
    Applications, Collector, CollectorRun, Flavor, GlobalStatus, GlobalVariables, ServerView, ghosts,
    innodb_trx, privileges,
};
use crate::domain::applications::Errors;
use crate::domain::conduct::patience::Trouble;
use crate::domain::conduct::sight::Sight;
use crate::domain::life::words::{Field, version_numbers};
use crate::domain::mismatch::OpenTransaction;
use crate::machine::calendar::unix_now;
use crate::session::Connector;
use crate::session::ghost::Ghost;

/// What a round came to.
pub(super) struct Outcome {
    /// The connection, where it is still good.
    pub(super) kept: Option<Control>,
    /// What was read.
    pub(super) view: ServerView,
    /// Whether the server answered anything at all.
    pub(super) up: bool,
}

/// The server cannot be reached.
struct Unreachable;

/// An answer to one part, with the seconds it took.
type Answer<T> = (Result<mysql_async::Result<T>, Elapsed>, f64);

struct Round<'a> {
    connector: &'a Connector,
    applications: &'a Applications,
    memory: &'a mut Memory,
    /// How often rounds are made.
    every: Duration,
    control: Option<Control>,
    /// How many connections may still be opened.
    openings: u8,
    /// The server answered something.
    answered: bool,
    /// Flavor and version of the newest connection.
    greeted: Option<(Flavor, Option<String>)>,
    collectors: BTreeMap<Collector, CollectorRun>,
}

/// Makes a round. `None` when the server cannot be reached, or leaves everything unanswered.
pub(super) async fn make(
    kept: Option<Control>,
    every: Duration,
    connector: &Connector,
    applications: &Applications,
    memory: &mut Memory,
) -> Option<Outcome> {
    let kept = match kept {
        Some(control) => lives_still(control, memory).await,
        None => None,
    };
    let openings = if kept.is_some() { 1 } else { 2 };
    let mut round = Round {
        connector,
        applications,
        memory,
        every,
        control: kept,
        openings,
        answered: false,
        greeted: None,
        collectors: BTreeMap::new(),
    };
    round.read().await.ok().flatten()
}

/// Asks a connection that was idle since the last round whether it lives, so that no source is blamed for a
/// connection that died in the pause.
async fn lives_still(mut control: Control, memory: &mut Memory) -> Option<Control> {
    let (answer, _) = timed(control.session.conn.ping()).await;
    let words = match answer {
        Ok(Ok(())) => {
            memory.deadly_pauses = 0;
            return Some(control);
        }
        Ok(Err(error)) => format!("the server view's connection broke between two rounds: {error}"),
        Err(Elapsed { .. }) => format!(
            "the server view's connection did not answer within {} s after its pause: it is closed",
            DEADLINE.as_secs()
        ),
    };
    memory.deadly_pauses = memory.deadly_pauses.saturating_add(1);
    tracing::warn!(event = "server_view_lost", collector = "ping", "{words}; the server view logs in again");
    None
}

impl Round<'_> {
    async fn read(&mut self) -> Result<Option<Outcome>, Unreachable> {
        let aborted = self.connector.roster().aborted();
        let status = self.read_status().await?;
        let answered_at = Instant::now();
        let uptime = status.as_ref().and_then(|status| status.uptime);
        let started_at = uptime.map(|uptime| unix_now() - uptime);
        let taken = self.collectors.get(&Collector::GlobalStatus).and_then(|run| run.seconds).unwrap_or(0.0);
        let asked_at = answered_at.checked_sub(Duration::from_secs_f64(taken)).unwrap_or(answered_at);
        let uptime = uptime.zip(self.control.as_ref()).map(|(seconds, control)| Uptime {
            seconds,
            asked_at,
            answered_at,
            opened_at: control.opened_at,
            thread_id: control.session.thread_id(),
        });
        let variables = self.read_variables().await?;
        if let Some(control) = &mut self.control {
            recognise(control, variables.as_ref(), uptime, self.connector, self.memory);
        }
        self.read_privileges().await?;
        let dead = self.connector.roster().ghosts();
        let ids = dead.values().map(|ghost| ghost.thread_id);
        let (mut processlist, listed) = self.read_processlist(ids, uptime).await?;
        let connected = status.as_ref().and_then(|status| status.threads_connected);
        let seen = self
            .control
            .as_ref()
            .map(|control| control.sight(processlist.as_ref(), connected, self.connector.username()));
        // An account may be shown no list at all; why, its privileges say.
        if let Some(seen) = seen.filter(|seen| processlist.is_some() || *seen != Sight::Everyone) {
            tell_of_sight(seen, self.connector, self.memory);
        }
        let sight = seen.filter(|_| processlist.is_some());
        self.memory.last_sight = sight.or(self.memory.last_sight);
        let mut followed = None;
        if let (Some(listed_at), Some(sight)) = (listed, sight) {
            // Counters of another session may be another server's.
            let same = uptime.zip(self.control.as_ref()).is_some_and(|(u, c)| u.opened_at == c.opened_at);
            let status = status.as_ref().filter(|_| same).map(|status| (status, asked_at, answered_at));
            let timeouts = variables.as_ref().map(|variables| &variables.timeouts);
            let wait_timeout = timeouts.and_then(|timeouts| timeouts.get("wait_timeout").copied());
            let heard = Heard {
                status,
                aborted,
                wait_timeout,
                errors: Errors::Unavailable,
                complete: sight == Sight::Everyone,
            };
            followed = self.follow(heard, listed_at).await?;
        }
        let open_transactions = match sight {
            Some(Sight::Everyone) if innodb_trx::is_worth_asking(variables.as_ref()) => {
                self.read_transactions().await?
            }
            _ => None,
        };
        let mut left = None;
        if let Some(list) = &mut processlist {
            // Some were found to be another exporter's once the list had streamed by.
            list.users.retain(|user, _| !self.applications.leaves_out(user));
        }
        if let Some(list) = &processlist {
            // A ghost that an incomplete list lacks may be there all the same.
            if sight != Some(Sight::Incomplete) {
                left = Some(self.connector.roster().settle(&dead, &list.listed));
            }
            // Counted first, so that a ghost is seen for one round.
            self.end_ghosts(&dead).await;
        }
        if let Some(control) = &mut self.control {
            control.rounds = control.rounds.wrapping_add(1);
        }
        for cut in [status.as_ref().map(|status| status.cut), processlist.as_ref().map(|list| list.cut)] {
            self.memory.words_cut.add(cut.unwrap_or_default());
        }
        let Some((flavor, version)) = self.greeted.take() else { return Ok(None) };
        let view = ServerView {
            taken_at: Instant::now(),
            flavor,
            version,
            started_at,
            status,
            variables,
            processlist,
            followed,
            sight,
            open_transactions,
            ghosts: left,
            collectors: std::mem::take(&mut self.collectors),
        };
        Ok(Some(Outcome { kept: self.control.take(), view, up: self.answered }))
    }

    async fn read_status(&mut self) -> Result<Option<GlobalStatus>, Unreachable> {
        let Some(control) = self.ready(Part::Status).await? else { return Ok(None) };
        let answer = timed(GlobalStatus::read(&mut control.session.conn)).await;
        Ok(self.settle(Part::Status, answer))
    }

    async fn read_variables(&mut self) -> Result<Option<GlobalVariables>, Unreachable> {
        let Some(control) = self.ready(Part::Variables).await? else { return Ok(None) };
        let answer = timed(GlobalVariables::read(&mut control.session.conn)).await;
        Ok(self.settle(Part::Variables, answer))
    }

    async fn read_privileges(&mut self) -> Result<(), Unreachable> {
        if self.control.as_ref().is_some_and(|control| !control.is_to_ask_for_privileges()) {
            return Ok(());
        }
        let Some(control) = self.ready(Part::Privileges).await? else { return Ok(()) };
        let answer = timed(privileges::read(&mut control.session.conn)).await;
        if let (Some(privileges), Some(control)) =
            (self.settle(Part::Privileges, answer), self.control.as_mut())
        {
            control.learn_privileges(privileges);
        }
        Ok(())
    }

    /// Where it is refused, nothing is known of them, and nothing else is lost.
    async fn read_transactions(&mut self) -> Result<Option<Vec<OpenTransaction>>, Unreachable> {
        let Some(control) = self.ready(Part::Transactions).await? else { return Ok(None) };
        let flavor = Flavor::of(&control.session);
        let answer = timed(innodb_trx::read(&mut control.session.conn, flavor)).await;
        Ok(self.settle(Part::Transactions, answer))
    }

    async fn end_ghosts(&mut self, dead: &BTreeMap<u64, Ghost>) {
        // Without Uptime the session does not know whose run it is on; that may be known later.
        let may_know = self.memory.troubles.may_ask(Part::Status);
        let Some(control) = self.control.as_mut().filter(|control| control.introduced || may_know) else {
            return;
        };
        let Some(source) = control.source else { return };
        if ghosts::end(&mut control.session, source, self.connector, dead).await.is_none() {
            self.control = None;
        }
    }

    /// The connection to ask a part over, opened where there is none. `None` where the part is not to be asked.
    async fn ready(&mut self, part: Part) -> Result<Option<&mut Control>, Unreachable> {
        if self.memory.troubles.may_ask(part) {
            if self.control.is_none() && self.openings > 0 {
                self.openings -= 1;
                let control = open(self.every, self.connector).await.ok_or(Unreachable)?;
                if self.greeting_of(&control).1.is_none() {
                    self.memory.words_cut.count(Field::Version);
                }
                self.control = Some(control);
            }
            if let Some(control) = &self.control {
                self.greeted = Some(self.greeting_of(control));
            }
        }
        let may_ask = self.memory.troubles.may_ask(part) && self.control.is_some();
        if let Some(collector) = part.collector().filter(|_| !may_ask) {
            self.collectors.insert(collector, CollectorRun { succeeded: false, seconds: None });
        }
        Ok(self.control.as_mut().filter(|_| may_ask))
    }

    fn greeting_of(&self, control: &Control) -> (Flavor, Option<String>) {
        let version = &control.session.greeting.version;
        (Flavor::of_version(version), version_numbers(version).map(str::to_owned))
    }

    /// What an answer means for its part and for the connection.
    fn settle<T>(&mut self, part: Part, (answer, seconds): Answer<T>) -> Option<T> {
        let succeeded = matches!(answer, Ok(Ok(_)));
        if let Some(collector) = part.collector() {
            self.collectors.insert(collector, CollectorRun { succeeded, seconds: Some(seconds) });
        }
        match answer {
            Ok(Ok(answer)) => {
                self.answered = true;
                self.memory.troubles.answered(part);
                if part != Part::Processlist {
                    self.memory.troubles.read(part);
                }
                Some(answer)
            }
            Ok(Err(error)) if !error.is_fatal() => {
                self.answered = true;
                self.fail(part, &error);
                None
            }
            Ok(Err(error)) => {
                self.lose(part, Trouble::Broke, &format!("the server view's connection broke: {error}"));
                None
            }
            Err(Elapsed { .. }) => {
                let words = format!(
                    "the server did not answer within {} s: the connection is closed, the question may stay on the server",
                    DEADLINE.as_secs()
                );
                self.lose(part, Trouble::Hung, &words);
                None
            }
        }
    }

    /// A part failed, and the connection is good. Told once, until it changes.
    fn fail(&mut self, part: Part, error: &dyn Display) {
        if let Some(run) = part.collector().and_then(|collector| self.collectors.get_mut(&collector)) {
            run.succeeded = false;
        }
        let words = error.to_string();
        if self.memory.troubles.refused(part, &words) {
            let collector = part.label();
            tracing::warn!(
                event = "collector_failed",
                collector,
                error = words,
                "a query of the server view failed"
            );
        }
    }

    /// A part cost the connection.
    fn lose(&mut self, part: Part, how: Trouble, words: &str) {
        // Without a word: there is none that a session may say in the middle of an answer.
        let Some(control) = self.control.take() else { return };
        let rest = self.memory.troubles.lost(part, how, control.session.thread_id());
        let again = match rest {
            0.0 => "it is asked again at once".to_owned(),
            rest => format!("it is not asked again for {rest} s"),
        };
        tracing::warn!(
            event = "server_view_lost",
            collector = part.label(),
            rest_seconds = rest,
            "{words}; {again}"
        );
    }
}

/// Waits for an answer until the deadline.
async fn timed<T>(question: impl Future<Output = mysql_async::Result<T>>) -> Answer<T> {
    let begun = Instant::now();
    let answer = timeout(DEADLINE, question).await;
    (answer, begun.elapsed().as_secs_f64())
}
