//! Every session of the applications from its first sighting to its end, and the sleeps that it survived.
//!
//! One round is [`Follower::begin`], [`Follower::see`] for each row as it streams by, [`Follower::end`]. A round
//! that is begun and never ended is a lost one: what was seen in it holds, what was not seen says nothing.

use std::collections::BTreeMap;

use super::groups::{Group, Groups};
use super::ledger::{Counters, Ended, Ending, Ledger, Rise, Taken};
pub use super::reports::{CountsFrom, Listing, Round, Sleeper, Survival};
use super::row::{
    Doing, Origin, Row, Whose, hash, idle_range, is_replication, is_server_thread, without_port,
};
use super::session::{Session, Sighting, ended, least_of};

/// Sessions that are followed, at most.
pub const MOST_SESSIONS: usize = 120_000;
/// A shorter sleep is no survival, in seconds: a clock that is set by less is not noticed.
pub const SHORTEST_SURVIVAL: f64 = 4.0;
/// By how much two clocks may seem to run apart, in seconds and as a share.
const DRIFT: (f64, f64) = (0.05, 0.001);
/// By how much a server's start may seem to move, in seconds, and as a share of the time between.
const START_MOVES: (f64, f64) = (2.0, 0.001);

/// Follows sessions through the rounds.
#[derive(Debug, Default)]
pub struct Follower {
    /// A tree, not a table: it gives its memory back, and its nodes are never less than five elevenths full.
    sessions: BTreeMap<u64, Session>,
    groups: Groups,
    ledger: Ledger,
    round: u32,
    asked: f64,
    own_host: Option<String>,
    counts_from: CountsFrom,
    identity: Option<String>,
    /// The server's start, at least and at most, and when it was read.
    start: Option<(f64, f64, f64)>,
    /// The last complete list of this server, when it was asked for.
    complete: Option<f64>,
    /// Since when the server's clock is known to run steadily, if it was ever set.
    steady_since: Option<f64>,
    /// Nobody knows whether it is the same run of the server: its uptime was not read.
    unsure: bool,
    /// The server was restarted or its clock was set since the round before: nobody knows which.
    started_over: bool,
    births: u64,
    /// Sessions that are logging in, by this list and by the last complete one: they were connected before it, and
    /// are seen to begin after it.
    logging_in: (u64, u64),
    /// What was counted with lists that were not complete.
    carried: Option<(Option<Rise>, Option<u64>)>,
    seen: Round,
    undecided: Vec<Ended>,
    last_user: (String, u32),
}

impl Follower {
    /// Nobody is followed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a round.
    pub fn begin(&mut self, listing: Listing<'_>) {
        self.round = self.round.wrapping_add(1);
        self.asked = listing.asked;
        self.counts_from = listing.counts_from;
        self.logging_in.0 = 0;
        if self.own_host.as_deref() != listing.own_host && listing.own_host.is_some() {
            self.own_host = listing.own_host.map(str::to_owned);
        }
        let is_another = self.identity.as_deref().zip(listing.identity).is_some_and(|(was, is)| was != is);
        if listing.identity.is_some() {
            self.identity = listing.identity.map(str::to_owned);
        }
        self.unsure = listing.uptime.is_none();
        let moved = self.take_start(listing.uptime);
        if is_another {
            self.lose_everyone();
        } else if moved {
            self.started_over = true;
            self.steady_since = Some(listing.asked);
        }
    }

    /// Whether the server's start lies elsewhere than before.
    fn take_start(&mut self, uptime: Option<(f64, f64, f64)>) -> bool {
        let Some((seconds, asked, answered)) = uptime.filter(|(seconds, ..)| seconds.is_finite()) else {
            return false;
        };
        let start = (asked - seconds, answered - seconds, answered);
        let moved = self.start.is_some_and(|(from, to, at)| {
            let slack = START_MOVES.0 + START_MOVES.1 * (answered - at).max(0.0);
            start.0 > to + slack || start.1 < from - slack
        });
        self.start = Some(start);
        moved
    }

    /// When the server began at the earliest, in seconds on the caller's clock: nobody has slept for longer.
    fn began(&self) -> f64 {
        self.start.map_or(f64::NEG_INFINITY, |(from, ..)| from - START_MOVES.0)
    }

    /// Another server answers: of the sessions of the one before nothing will be heard.
    fn lose_everyone(&mut self) {
        self.seen.out_of_sight += self.sessions.len() as u64;
        self.sessions.clear();
        for group in &mut self.groups.list {
            group.living = 0;
        }
        let mut verdicts = Vec::new();
        self.ledger.give_up(&mut verdicts);
        self.undecided.extend(verdicts.into_iter().map(|(ended, _)| ended));
        self.complete = None;
        self.started_over = false;
        self.steady_since = None;
        (self.births, self.logging_in.1, self.carried) = (0, 0, None);
    }

    /// Takes one row, heard at this time, in seconds on the caller's clock.
    pub fn see(&mut self, row: Row<'_>, whose: Whose, heard: f64) {
        if is_server_thread(&row) {
            self.logging_in.0 += u64::from(row.user == "unauthenticated user");
            return;
        }
        if whose == Whose::Ours {
            self.forget(row.id);
            return;
        }
        // A replica's end moves the server's counters too, and it is nobody's.
        let left_out = whose == Whose::LeftOut || is_replication(&row);
        let (user, host) = (self.hash_of(row.user), hash(row.host) as u32);
        match self.sight(&row, user, host, left_out, heard) {
            Sighting::Again => return,
            Sighting::Another => self.replaced(row.id),
            Sighting::First => {}
        }
        self.bear(row, user, host, left_out, heard);
    }

    /// What stands for a user: most rows have that of the row before.
    fn hash_of(&mut self, user: &str) -> u32 {
        if self.last_user.0 != user {
            self.last_user.0.clear();
            self.last_user.0.push_str(user);
            self.last_user.1 = hash(user) as u32;
        }
        self.last_user.1
    }

    /// Forgets sessions that turn out to be ours, or a sibling exporter's: they did not end.
    pub fn forget(&mut self, id: u64) {
        if let Some(session) = self.sessions.remove(&id) {
            self.leave(session.group);
        }
    }

    fn leave(&mut self, group: u16) {
        let group = &mut self.groups.list[usize::from(group)];
        group.living = group.living.saturating_sub(1);
    }

    /// Another session has this id now. After a restart the old one has ended, nobody knows how. Else ids do not
    /// come back on one server: another one answered unnoticed.
    fn replaced(&mut self, id: u64) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.leave(session.group);
        if self.started_over {
            self.undecided.push(ended(&session, self.asked));
        } else {
            self.seen.out_of_sight += 1;
        }
    }

    fn bear(&mut self, row: Row<'_>, user: u32, host: u32, left_out: bool, heard: f64) {
        if self.sessions.len() >= MOST_SESSIONS {
            self.seen.unfollowed += 1;
            return;
        }
        let group = self.place(&row, left_out);
        let (doing, idle) = (Doing::of(row.command), idle_range(row.time));
        let idle = idle.filter(|_| doing == Doing::Sleep);
        let counts_statement = self.counts_from == CountsFrom::Statement;
        let since = self.complete.unwrap_or(f64::NEG_INFINITY).max(self.began());
        let is_new = |least: f64| heard - least >= since;
        // What a session may have set itself proves nothing against a list that did not hold it, or the server's start.
        let idle = idle.filter(|&(least, _)| !counts_statement || is_new(least));
        let slept = if idle.is_some() { row.time.unwrap_or(f64::NAN) } else { f64::NAN };
        let least = idle.map_or(0.0, |(least, _)| least);
        let born_before = heard - least;
        // Who claims to have slept since before the list that did not hold it was not seen to begin.
        let born_after =
            self.complete.filter(|&complete| born_before >= complete).unwrap_or(f64::NEG_INFINITY);
        let rested = if counts_statement { 0.0 } else { least as f32 };
        let members = &mut self.groups.list[usize::from(group)];
        members.living += 1;
        if born_after.is_finite() {
            members.bear(heard);
            self.births += 1;
            self.seen.births += u64::from(!left_out);
        }
        self.sessions.insert(
            row.id,
            Session {
                born_after,
                born_before,
                asked: self.asked,
                heard_after: (heard - self.asked) as f32,
                slept,
                rested,
                survived: 0.0,
                survived_at: 0.0,
                user,
                host,
                round: self.round,
                group,
                doing,
                portless: !without_port(row.host).1,
            },
        );
    }

    fn place(&mut self, row: &Row<'_>, left_out: bool) -> u16 {
        let origin = Origin::of(row.host, self.own_host.as_deref());
        let host = hash(without_port(row.host).0);
        self.groups.place(row.user, host, origin, left_out, self.asked)
    }

    /// Sees a session again, where it is one.
    fn sight(&mut self, row: &Row<'_>, user: u32, host: u32, left_out: bool, heard: f64) -> Sighting {
        let began = self.began();
        let Some(session) = self.sessions.get_mut(&row.id) else { return Sighting::First };
        let doubtful = session.portless && (self.started_over || self.unsure) && session.round != self.round;
        // COM_CHANGE_USER keeps the client's port.
        if session.host != host || (session.portless && session.user != user) || doubtful {
            return Sighting::Another;
        }
        let members = &mut self.groups.list[usize::from(session.group)];
        let changed_user = session.user != user || members.left_out != left_out;
        let doing = Doing::of(row.command);
        let drift = DRIFT.0 + DRIFT.1 * (heard - session.asked).max(0.0);
        let counts_statement = self.counts_from == CountsFrom::Statement;
        let is_denied = |idle: &(f64, f64)| heard - idle.0 < began || session.denies(*idle, heard, drift);
        let idle = idle_range(row.time)
            .filter(|idle| doing == Doing::Sleep && !(counts_statement && is_denied(idle)));
        let before = session.idle();
        let woke = before.and_then(|(least, most)| {
            // What a clock that was set may have added is no sleep.
            let least = self.steady_since.map_or(least, |since| least.min((session.asked - since).max(0.0)));
            match (doing, idle) {
                (Doing::Work, _) => Some((least, most + (heard - session.asked).max(0.0))),
                (Doing::Sleep, Some((now_least, now_most))) if !self.started_over => {
                    let began_later =
                        self.asked - now_most > session.heard() - least_of(session.slept) + drift;
                    let began_since = heard - now_least + drift >= session.asked;
                    (began_later && began_since)
                        .then_some((least, most + (heard - now_least - session.asked).max(0.0)))
                }
                _ => None,
            }
        });
        if let Some((least, most)) = woke {
            members.wake(heard);
            members.lend(session.asked - session.born_before, heard);
            if least >= SHORTEST_SURVIVAL && !members.left_out {
                members.survive(least, heard);
                if least >= f64::from(session.survived) {
                    (session.survived, session.survived_at) = (least as f32, heard as f32);
                }
                let group = usize::from(session.group);
                self.seen.survivals.push(Survival { group, at_least: least, at_most: most });
            }
        } else if doing == Doing::Work {
            members.wake(heard);
        }
        session.rested = match idle {
            Some((least, _)) if !counts_statement => least as f32,
            Some((least, _)) if woke.is_none() => session.rested_until((self.asked, heard), least) as f32,
            Some(_) | None => 0.0,
        };
        session.slept = if idle.is_some() { row.time.unwrap_or(f64::NAN) } else { f64::NAN };
        // A KILL QUERY looks like a KILL, until the session is seen to live on.
        session.doing = doing;
        session.heard_after = (heard - self.asked) as f32;
        (session.asked, session.round) = (self.asked, self.round);
        if changed_user {
            members.living = members.living.saturating_sub(1);
            let group = self.place(row, left_out);
            self.groups.list[usize::from(group)].living += 1;
            if let Some(session) = self.sessions.get_mut(&row.id) {
                (session.group, session.user) = (group, user);
            }
        }
        Sighting::Again
    }

    /// Ends a round: the last row was heard at `answered`, in seconds on the caller's clock. In a list that is not
    /// complete, who is missing may still be there: nobody has ended, and what was counted waits for the next one.
    pub fn end(&mut self, answered: f64, complete: bool, counters: Counters) -> Round {
        let counters = self.carry(counters);
        if !complete {
            self.carried = Some((counters.aborted, counters.connections));
            return std::mem::take(&mut self.seen);
        }
        let mut ends = self.take_ended(answered);
        let gap = self.complete.map_or(f64::INFINITY, |complete| answered - complete);
        self.complete = Some(self.asked);
        let mut verdicts: Vec<(Ended, Ending)> = Vec::new();
        if std::mem::take(&mut self.started_over) {
            self.ledger.give_up(&mut verdicts);
            verdicts.extend(ends.drain(..).map(|ended| (ended, Ending::Undecided)));
            (self.births, self.logging_in.1) = (0, 0);
        }
        let births = std::mem::take(&mut self.births).saturating_sub(self.logging_in.1);
        self.logging_in.1 = self.logging_in.0;
        self.ledger.take(Taken { ends, births, gap, counters }, &mut verdicts, &self.groups.list);
        verdicts
            .extend(std::mem::take(&mut self.undecided).into_iter().map(|ended| (ended, Ending::Undecided)));
        let mut round = std::mem::take(&mut self.seen);
        for (ended, ending) in verdicts {
            let group = &mut self.groups.list[usize::from(ended.group)];
            if group.left_out {
                continue;
            }
            match ending {
                Ending::Closed => Group::remember(&mut group.closed, ended.gone),
                Ending::Aborted => Group::remember(&mut group.aborted, ended.gone),
                Ending::IdleTimeout | Ending::Undecided => {}
            }
            *round.endings.entry((group.user.clone(), ending)).or_default() += 1;
        }
        round
    }

    /// Adds what was counted with the lists before that were not complete.
    fn carry(&mut self, mut counters: Counters) -> Counters {
        if let Some((aborted, connections)) = self.carried.take() {
            counters.aborted = counters
                .aborted
                .zip(aborted)
                .map(|(now, before)| Rise { least: now.least + before.least, most: now.most + before.most });
            counters.connections = counters.connections.zip(connections).map(|(now, before)| now + before);
        }
        if self.seen.unfollowed > 0 {
            counters.connections = None;
        }
        counters
    }

    /// Takes out who is missing from a complete list.
    fn take_ended(&mut self, answered: f64) -> Vec<Ended> {
        let (round, groups) = (self.round, &mut self.groups.list);
        let gone: Vec<u64> =
            self.sessions.iter().filter(|(_, session)| session.round != round).map(|(&id, _)| id).collect();
        let gone = gone.into_iter().filter_map(|id| self.sessions.remove(&id));
        gone.map(|session| {
            let group = &mut groups[usize::from(session.group)];
            group.living = group.living.saturating_sub(1);
            group.end(answered);
            ended(&session, answered)
        })
        .collect()
    }
}

mod reading;
#[cfg(test)]
mod tests;
