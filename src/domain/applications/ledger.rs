//! Which of the sessions that ended were closed by their clients, aborted, or met `wait_timeout`.
//!
//! The server counts what it aborted, and reads that counter out before it lists its sessions. So a session that
//! is missing from list `k` raised the counter between readings `k - 1` and `k + 1`, if at all, and is judged
//! once the latter is there. Whoever ended in rounds that follow each other without a pause is judged together:
//!
//! - nothing was counted: all were closed by their clients;
//! - as many were counted as ended, unseen sessions among them: none said COM_QUIT;
//! - anything between decides nothing by itself.
//!
//! Where the server counts errors by user (MySQL, see `events_errors_summary`), those who said no COM_QUIT are
//! told apart by it, as soon as it was read. Where it does not, a session that may have met the global
//! `wait_timeout` stays undecided. A KILL at that very age would look the same.

use std::collections::{BTreeMap, VecDeque};

pub use super::counted::{Counters, Ending, ErrorCounts, Errors, Rise};
use super::groups::{Gone, Group, OTHER};

/// A session that is listed no more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) group: u16,
    pub(super) gone: Gone,
    /// It was seen killed.
    pub(super) killed: bool,
    /// For how long it can have slept at most, in seconds.
    pub(super) slept_at_most: f64,
}

/// One round's ends and counters.
#[derive(Debug, Default)]
struct Step {
    number: u64,
    ends: Vec<Ended>,
    /// Ended ones that are known to have been aborted.
    known: u64,
    births: u64,
    aborted: Option<Rise>,
    connections: Option<u64>,
}

/// Sessions that were judged by the counter, and wait for the errors by user.
#[derive(Debug)]
struct Batch {
    first_round: u64,
    last_round: u64,
    ends: Vec<Ended>,
    none_quit: bool,
    /// Sessions that came and went unseen meanwhile; `None` where nothing is known of them.
    unseen: Option<u64>,
    /// How many of them the server aborted.
    aborted: Option<Rise>,
}

/// Keeps the sessions that ended until it is known how.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    round: u64,
    steps: VecDeque<Step>,
    /// Ends just before the first step that may have been counted in it.
    before: u64,
    /// Connections and births of the round before the first step: who came then and went unseen after the counters
    /// were read is counted in it.
    prior: Option<(Option<u64>, u64)>,
    batches: Vec<Batch>,
    /// What each user had come to when it was last read.
    errors: Option<BTreeMap<String, ErrorCounts>>,
    /// The round that was in: who ended until then may have been counted before, and who was still on its list may
    /// have ended before it was read.
    baseline: u64,
    /// What has been added since, not yet given to a session; and the round it was read in.
    credits: BTreeMap<String, ErrorCounts>,
    /// What was left of the reading before: it may belong to sessions that were still listed then.
    older: BTreeMap<String, ErrorCounts>,
    read_in: Option<u64>,
    wait_timeout: Option<f64>,
}

/// Rounds in a row that are judged together, at most.
const LONGEST_RUN: usize = 5;
/// For how many rounds the errors by user are waited for, at most.
const PATIENCE: u64 = 240;
/// Network errors that one session counts as at most: a KILL was measured as two, a dropped socket as one, and
/// `wait_timeout` and COM_QUIT as none, on MySQL 9.7.
const MOST_ERRORS: u64 = 2;
/// Sessions that wait to be judged, at most.
const MOST_WAITING: usize = 100_000;

/// What was decided: an ending for a session.
pub(super) type Verdicts = Vec<(Ended, Ending)>;

impl Ledger {
    /// Everything that is not decided never will be: the server is another one, or was restarted.
    pub(super) fn give_up(&mut self, verdicts: &mut Verdicts) {
        let steps = self.steps.drain(..).flat_map(|step| step.ends);
        let batches = self.batches.drain(..).flat_map(|batch| batch.ends);
        verdicts.extend(steps.chain(batches).map(|ended| (ended, Ending::Undecided)));
        *self = Self { round: self.round, ..Self::default() };
    }

    /// Takes one round: who ended in it, how many began, what was counted. `complete` is whether the list was.
    pub(super) fn take(
        &mut self,
        mut ends: Vec<Ended>,
        births: u64,
        counters: Counters,
        verdicts: &mut Verdicts,
        groups: &[Group],
    ) {
        self.round += 1;
        self.wait_timeout = counters.wait_timeout;
        let waiting: usize = self.batches.iter().map(|batch| batch.ends.len()).sum();
        if waiting + ends.len() > MOST_WAITING {
            self.give_up(verdicts);
        }
        let all = ends.len();
        ends.retain(|&ended| {
            if ended.killed {
                verdicts.push((ended, Ending::Aborted));
            }
            !ended.killed
        });
        let known = (all - ends.len()) as u64;
        self.steps.push_back(Step {
            number: self.round,
            ends,
            known,
            births,
            aborted: counters.aborted,
            connections: counters.connections,
        });
        self.settle_closed(verdicts);
        self.settle_run();
        self.learn(counters.errors);
        self.resolve(verdicts, groups);
    }

    /// Those of the round before were all closed by their clients where nothing was counted around it.
    fn settle_closed(&mut self, verdicts: &mut Verdicts) {
        let count = self.steps.len();
        if count < 2 {
            return;
        }
        let known = self.steps[count - 2].known + self.steps[count - 1].known;
        let (before, now) = (self.steps[count - 2].aborted, self.steps[count - 1].aborted);
        if let (Some(before), Some(now)) = (before, now)
            && before.most + now.most <= known
        {
            let ends = std::mem::take(&mut self.steps[count - 2].ends);
            verdicts.extend(ends.into_iter().map(|ended| (ended, Ending::Closed)));
        }
    }

    /// Judges the rounds before this one together, once a pause has come or they are too many.
    fn settle_run(&mut self) {
        let count = self.steps.len();
        let Some(previous) = count.checked_sub(2) else { return };
        let paused = self.steps[previous].ends.is_empty();
        if !paused && count <= LONGEST_RUN {
            return;
        }
        // The newest round's ends may have been counted already, if those just before have not paused.
        let after = if paused { 0 } else { self.steps[previous + 1].ends.len() as u64 };
        let read_until = if paused { previous } else { previous + 1 };
        let unseen = self.unseen(read_until);
        let known: u64 = self.steps.iter().take(read_until + 1).map(|step| step.known).sum();
        let aborted = self.steps.iter().take(read_until + 1).try_fold(Rise::default(), |sum, step| {
            step.aborted.map(|rise| Rise { least: sum.least + rise.least, most: sum.most + rise.most })
        });
        let aborted = aborted.map(|rise| Rise {
            least: rise.least.saturating_sub(known),
            most: rise.most.saturating_sub(known),
        });
        let with_ends = || self.steps.range(..=previous).filter(|step| !step.ends.is_empty());
        let first_round = with_ends().next().map_or(0, |step| step.number);
        let last_round = with_ends().next_back().map_or(0, |step| step.number);
        let carried = self.steps[previous].ends.len() as u64;
        self.prior = Some((self.steps[previous].connections, self.steps[previous].births));
        let ends: Vec<Ended> = self.steps.drain(..=previous).flat_map(|step| step.ends).collect();
        let around = self.before + after;
        self.before = carried;
        if ends.is_empty() {
            return;
        }
        let none_quit = aborted
            .zip(unseen)
            .is_some_and(|(rise, unseen)| rise.least >= ends.len() as u64 + around + unseen);
        let unseen = unseen.map(|unseen| unseen + around);
        self.batches.push(Batch { first_round, last_round, ends, none_quit, unseen, aborted });
    }

    /// How many came and went without being listed, from the round before the first step until the counters of this
    /// one were read. Who was seen to begin in it may not have been counted yet.
    fn unseen(&self, read_until: usize) -> Option<u64> {
        let (connections, births) = self.prior?;
        let connections = self
            .steps
            .iter()
            .take(read_until + 1)
            .try_fold(connections?, |sum, step| Some(sum + step.connections?))?;
        let births = births + self.steps.iter().take(read_until).map(|step| step.births).sum::<u64>();
        Some(connections.saturating_sub(births))
    }

    /// Takes the errors by user where they were read.
    fn learn(&mut self, errors: Errors) {
        let now = match errors {
            Errors::NotRead => return,
            Errors::Unavailable => {
                (self.errors, self.read_in) = (None, None);
                self.credits.clear();
                self.older.clear();
                return;
            }
            Errors::Read(now) => now,
        };
        let fell = |before: &BTreeMap<String, ErrorCounts>| {
            before.iter().any(|(user, before)| {
                let now = now.get(user).copied().unwrap_or_default();
                now.idle_timeouts < before.idle_timeouts || now.network < before.network
            })
        };
        match self.errors.take().filter(|before| !fell(before)) {
            Some(before) => {
                if self.read_in.is_none() {
                    self.older = std::mem::take(&mut self.credits);
                }
                for (user, counts) in &now {
                    let before = before.get(user).copied().unwrap_or_default();
                    let credit = self.credits.entry(user.clone()).or_default();
                    credit.idle_timeouts += counts.idle_timeouts - before.idle_timeouts;
                    credit.network += counts.network - before.network;
                }
                self.read_in = Some(self.round);
            }
            // The first reading, or somebody emptied the table.
            None => {
                (self.read_in, self.baseline) = (None, self.round);
                self.credits.clear();
                self.older.clear();
            }
        }
        self.errors = Some(now);
    }

    fn resolve(&mut self, verdicts: &mut Verdicts, groups: &[Group]) {
        let tells = self.errors.is_some();
        let oldest_open = self.steps.iter().find(|step| !step.ends.is_empty()).map(|step| step.number);
        // What was read so far is given out once all that it may tell of are there to take it.
        let covered = self.read_in.filter(|&read| {
            oldest_open.is_none_or(|open| open > read)
                && self.batches.iter().all(|batch| batch.first_round > read || batch.last_round <= read)
        });
        let (round, mut ready, mut plain) = (self.round, Vec::new(), Vec::new());
        for batch in std::mem::take(&mut self.batches) {
            if !tells || batch.first_round <= self.baseline + 1 || round > batch.last_round + PATIENCE {
                plain.push(batch);
            } else if covered.is_some_and(|read| batch.last_round <= read) {
                ready.push(batch);
            } else {
                self.batches.push(batch);
            }
        }
        for batch in plain {
            self.judge_plainly(batch, verdicts);
        }
        if covered.is_some() {
            self.read_in = None;
            self.credits = by_name(std::mem::take(&mut self.credits), groups);
            let mut all = by_name(std::mem::take(&mut self.older), groups);
            for (user, credit) in &self.credits {
                add(all.entry(user.clone()).or_default(), *credit);
            }
            judge_by_errors(ready, &mut all, verdicts, groups);
            // What is left of this reading may belong to sessions that were listed when it was read.
            self.credits.retain(|user, credit| {
                let left = all.get(user).copied().unwrap_or_default();
                credit.idle_timeouts = credit.idle_timeouts.min(left.idle_timeouts);
                credit.network = credit.network.min(left.network);
                *credit != ErrorCounts::default()
            });
        }
    }

    fn judge_plainly(&self, batch: Batch, verdicts: &mut Verdicts) {
        let nothing_counted = batch.aborted.is_some_and(|rise| rise.most == 0);
        for ended in batch.ends {
            let ending = match (batch.none_quit, nothing_counted) {
                (true, _) if !may_have_met(self.wait_timeout, &ended) => Ending::Aborted,
                (_, true) => Ending::Closed,
                (_, _) => Ending::Undecided,
            };
            verdicts.push((ended, ending));
        }
    }
}

/// Whether a session may have met this `wait_timeout`, in seconds. It may where nothing is known.
fn may_have_met(wait_timeout: Option<f64>, ended: &Ended) -> bool {
    /// A server ends a session this much early at most, for it counts by its own clock, as a share and in seconds.
    const EARLY: (f64, f64) = (0.01, 1.0);
    wait_timeout.is_none_or(|timeout| ended.slept_at_most >= timeout * (1.0 - EARLY.0) - EARLY.1)
}

/// Tells by the errors by user which sessions met `wait_timeout`, and which were aborted.
fn judge_by_errors(
    batches: Vec<Batch>,
    credits: &mut BTreeMap<String, ErrorCounts>,
    verdicts: &mut Verdicts,
    groups: &[Group],
) {
    let mut by_user: BTreeMap<&str, Vec<(Ended, usize)>> = BTreeMap::new();
    let place = |ended: &Ended| groups.get(usize::from(ended.group));
    let batches_known: Vec<(bool, Option<u64>, Option<Rise>)> =
        batches.iter().map(|batch| (batch.none_quit, batch.unseen, batch.aborted)).collect();
    let mut known_aborted = vec![0_u64; batches.len()];
    for (number, batch) in batches.into_iter().enumerate() {
        for ended in batch.ends {
            let user = place(&ended).map_or(OTHER, |group| group.user.as_str());
            by_user.entry(user).or_default().push((ended, number));
        }
    }
    let mut left: Vec<(Ended, usize)> = Vec::new();
    for (user, ends) in by_user {
        let mut credit = credits.remove(user).unwrap_or_default();
        let count = ends.len() as u64;
        let timed_out = credit.idle_timeouts.min(count);
        credit.idle_timeouts -= timed_out;
        let all_none_quit = ends.iter().all(|&(_, batch)| batches_known[batch].0);
        let unseen = ends
            .iter()
            .map(|&(_, batch)| batches_known[batch].1)
            .try_fold(0, |sum, n| Some(u64::max(sum, n?)));
        // Which of one user's sessions it was does not matter to the counts: the longest asleep go first.
        let mut ends = ends;
        ends.sort_by(|(a, _), (b, _)| slept(b).total_cmp(&slept(a)));
        let rest = ends.split_off(timed_out as usize);
        for (ended, batch) in ends {
            known_aborted[batch] += 1;
            verdicts.push((ended, Ending::IdleTimeout));
        }
        let remaining = rest.len() as u64;
        let all_dropped = remaining > 0
            && unseen.is_some_and(|unseen| {
                credit.network.saturating_sub(timed_out) > MOST_ERRORS * (remaining + unseen - 1)
            });
        if all_none_quit || all_dropped {
            credit.network = credit.network.saturating_sub(MOST_ERRORS * remaining);
            for (ended, batch) in rest {
                known_aborted[batch] += 1;
                verdicts.push((ended, Ending::Aborted));
            }
        } else if timed_out == 0 && credit.network == 0 {
            left.extend(rest);
        } else {
            // Some were aborted and some were not; which ones, nobody said.
            verdicts.extend(rest.into_iter().map(|(ended, _)| (ended, Ending::Undecided)));
        }
        credits.insert(user.to_owned(), credit);
    }
    for (ended, batch) in left {
        // The server aborted no more than were named: this one said COM_QUIT.
        let explained = batches_known[batch].2.is_some_and(|rise| rise.most <= known_aborted[batch]);
        verdicts.push((ended, if explained { Ending::Closed } else { Ending::Undecided }));
    }
}

fn slept(ended: &Ended) -> f64 {
    ended.gone.idle.map_or(0.0, |(at_least, _)| at_least)
}

/// What was counted, by the names that users have here: those without one of their own are [`OTHER`].
fn by_name(counts: BTreeMap<String, ErrorCounts>, groups: &[Group]) -> BTreeMap<String, ErrorCounts> {
    let mut named: BTreeMap<String, ErrorCounts> = BTreeMap::new();
    for (user, counts) in counts {
        let has_name = groups.iter().any(|group| group.user == user);
        add(named.entry(if has_name { user } else { OTHER.to_owned() }).or_default(), counts);
    }
    named
}

fn add(sum: &mut ErrorCounts, more: ErrorCounts) {
    sum.idle_timeouts += more.idle_timeouts;
    sum.network += more.network;
}

#[cfg(test)]
mod tests;
