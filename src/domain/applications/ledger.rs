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
//! `wait_timeout` stays undecided. A KILL at that very age would look the same; and a session that met a shorter
//! timeout of its own looks aborted.

use std::collections::{BTreeMap, VecDeque};

use super::by_user::{Window, add, by_name, judge_by_errors, may_have_met};
pub use super::counted::{Counters, Ending, ErrorCounts, Errors, Rise};
use super::groups::{Gone, Group};
use super::unseen::{Tally, Unseen};

/// A session that is listed no more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) group: u16,
    pub(super) gone: Gone,
    /// The ledger's round that it is missing from.
    pub(super) round: u64,
    /// For how long it can have slept at most, in seconds.
    pub(super) slept_at_most: f64,
}

/// One round's ends and counters.
#[derive(Debug, Default)]
struct Step {
    number: u64,
    ends: Vec<Ended>,
    births: u64,
    aborted: Option<Rise>,
    connections: Option<u64>,
}

/// Sessions that were judged by the counter, and wait for the errors by user.
#[derive(Debug)]
pub(super) struct Batch {
    first_round: u64,
    last_round: u64,
    pub(super) ends: Vec<Ended>,
    /// As many were aborted as ended, unseen ones among them.
    pub(super) none_quit: bool,
    /// How many the server aborted meanwhile.
    pub(super) aborted: Option<Rise>,
}

/// One round as the ledger takes it.
#[derive(Debug)]
pub(super) struct Taken {
    /// Who is listed no more.
    pub(super) ends: Vec<Ended>,
    /// How many began.
    pub(super) births: u64,
    /// For how long a session may have lived between this list and the one before, in seconds.
    pub(super) gap: f64,
    /// What was counted.
    pub(super) counters: Counters,
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
    last_read: u64,
    /// After which rounds `credits` and `older` begin.
    since: (u64, u64),
    /// Of users with counts that may have been left over from `older`, where those begin.
    earlier: BTreeMap<String, u64>,
    /// Who else may have been counted.
    others: Unseen,
    wait_timeout: Option<f64>,
}

/// Rounds in a row that are judged together, at most.
const LONGEST_RUN: usize = 5;
/// For how many rounds the errors by user are waited for, at most.
const PATIENCE: u64 = 240;
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

    /// Takes one round with a complete list.
    pub(super) fn take(&mut self, taken: Taken, verdicts: &mut Verdicts, groups: &[Group]) {
        let Taken { mut ends, births, gap, counters } = taken;
        self.round += 1;
        ends.iter_mut().for_each(|ended| ended.round = self.round);
        self.wait_timeout = counters.wait_timeout;
        let waiting: usize = self.batches.iter().map(|batch| batch.ends.len()).sum();
        if waiting + ends.len() > MOST_WAITING {
            self.give_up(verdicts);
        }
        let (aborted, connections) = (counters.aborted, counters.connections);
        self.others.take(Tally::new(self.round, connections, births, gap, &ends));
        self.steps.push_back(Step { number: self.round, ends, births, aborted, connections });
        self.settle_closed(verdicts);
        self.settle_run();
        // Those who came and went around a reading are known a round later.
        self.resolve(verdicts, groups);
        self.learn(counters.errors);
    }

    /// Those of the round before were all closed by their clients where nothing was counted around it.
    fn settle_closed(&mut self, verdicts: &mut Verdicts) {
        let Some(previous) = self.steps.len().checked_sub(2) else { return };
        let (before, now) = (self.steps[previous].aborted, self.steps[previous + 1].aborted);
        if let (Some(before), Some(now)) = (before, now)
            && before.most + now.most == 0
        {
            let ends = std::mem::take(&mut self.steps[previous].ends);
            self.others.settle(ends.iter().map(|ended| (self.steps[previous].number, ended.group)));
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
        let aborted = self.steps.iter().take(read_until + 1).try_fold(Rise::default(), |sum, step| {
            step.aborted.map(|rise| Rise { least: sum.least + rise.least, most: sum.most + rise.most })
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
        self.batches.push(Batch { first_round, last_round, ends, none_quit, aborted });
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
                    self.since = (self.since.1, self.last_read);
                }
                for (user, counts) in &now {
                    let before = before.get(user).copied().unwrap_or_default();
                    let credit = self.credits.entry(user.clone()).or_default();
                    credit.idle_timeouts += counts.idle_timeouts - before.idle_timeouts;
                    credit.network += counts.network - before.network;
                }
                (self.read_in, self.last_read) = (Some(self.round), self.round);
            }
            // The first reading, or somebody emptied the table.
            None => {
                (self.read_in, self.baseline) = (None, self.round);
                (self.since, self.last_read) = ((self.round, self.round), self.round);
                self.earlier.clear();
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
        let (round, mut ready, mut plain) = (self.round, Vec::<Batch>::new(), Vec::new());
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
        let Some(read) = covered else { return };
        self.read_in = None;
        self.credits = by_name(std::mem::take(&mut self.credits), groups);
        let judged = ready.iter().flat_map(|batch| &batch.ends).map(|ended| (ended.round, ended.group));
        self.others.settle(judged);
        let older = by_name(std::mem::take(&mut self.older), groups);
        let window = Window {
            others: &self.others,
            after: self.since.0,
            earlier: &self.earlier,
            read,
            wait_timeout: self.wait_timeout,
            groups,
        };
        let mut all = older.clone();
        for (user, credit) in &self.credits {
            add(all.entry(user.clone()).or_default(), *credit);
        }
        let undecided = judge_by_errors(ready, &mut all, &window, verdicts);
        // What is left of this reading may belong to sessions that were listed when it was read; and it may be what
        // was left of the one before.
        let mut earlier = BTreeMap::new();
        self.credits.retain(|user, credit| {
            let left = all.get(user).copied().unwrap_or_default();
            credit.idle_timeouts = credit.idle_timeouts.min(left.idle_timeouts);
            credit.network = credit.network.min(left.network);
            let is_left = *credit != ErrorCounts::default();
            if is_left && older.get(user).is_some_and(|older| *older != ErrorCounts::default()) {
                earlier.insert(user.clone(), window.after(user));
            }
            is_left
        });
        let first = earlier.values().copied().fold(self.since.1.min(read), u64::min);
        self.earlier = earlier;
        self.others.doubt(undecided);
        self.others.forget_until(first);
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

#[cfg(test)]
mod tests;
