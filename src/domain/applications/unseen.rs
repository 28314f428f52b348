//! Who else may be meant by what the server counted: sessions that came and went between two lists, which no round
//! saw, and sessions that were seen to end and of which nobody could say how.

use std::collections::{BTreeMap, VecDeque};

use super::ledger::Ended;

/// Rounds that are remembered, at most: more than the errors by user are waited for.
const MOST_ROUNDS: usize = 512;

/// One round.
#[derive(Debug)]
pub(super) struct Tally {
    round: u64,
    connections: Option<u64>,
    births: u64,
    gap: f64,
    /// Ends that nothing explains yet, by group.
    ends: BTreeMap<u16, u64>,
}

/// The newest rounds.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    rounds: VecDeque<Tally>,
}

impl Tally {
    /// A round: how many connected and began until it, for how long a session may have lived between its list and the
    /// one before in seconds, and who ended.
    pub(super) fn new(round: u64, connections: Option<u64>, births: u64, gap: f64, ends: &[Ended]) -> Self {
        let mut by_group = BTreeMap::new();
        for ended in ends {
            *by_group.entry(ended.group).or_default() += 1;
        }
        Self { round, connections, births, gap, ends: by_group }
    }
}

impl Unseen {
    /// Takes the newest round.
    pub(super) fn take(&mut self, tally: Tally) {
        if self.rounds.len() == MOST_ROUNDS {
            self.rounds.pop_front();
        }
        self.rounds.push_back(tally);
    }

    fn round(&mut self, number: u64) -> Option<&mut Tally> {
        let first = self.rounds.front()?.round;
        self.rounds.get_mut(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// These ends are explained: by round, and group.
    pub(super) fn settle(&mut self, ends: impl Iterator<Item = (u64, u16)>) {
        for (round, group) in ends {
            if let Some(count) = self.round(round).and_then(|tally| tally.ends.get_mut(&group)) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// These ends are not, after all.
    pub(super) fn doubt(&mut self, ends: impl IntoIterator<Item = (u64, u16)>) {
        for (round, group) in ends {
            if let Some(tally) = self.round(round) {
                *tally.ends.entry(group).or_default() += 1;
            }
        }
    }

    /// Nothing before and in this round will be asked after again.
    pub(super) fn forget_until(&mut self, round: u64) {
        while self.rounds.front().is_some_and(|tally| tally.round <= round) {
            self.rounds.pop_front();
        }
    }

    fn within(&self, after: u64, until: u64) -> impl Iterator<Item = &Tally> {
        self.rounds.iter().filter(move |tally| tally.round > after && tally.round <= until)
    }

    /// How many sessions came and went unseen after one round and until another at most; `None` where nothing is known
    /// of them. Who was seen to begin in the last of them may not have been counted yet.
    pub(super) fn count(&self, after: u64, until: u64) -> Option<u64> {
        if self.within(after, until).count() as u64 != until.saturating_sub(after) {
            return None;
        }
        let connections =
            self.within(after, until).try_fold(0, |sum, tally| Some(sum + tally.connections?))?;
        let births: u64 = self.within(after, until.saturating_sub(1)).map(|tally| tally.births).sum();
        Some(u64::saturating_sub(connections, births))
    }

    /// For how long one of those may have lived, in seconds.
    pub(super) fn longest_life(&self, after: u64, until: u64) -> f64 {
        if self.within(after, until).count() as u64 != until.saturating_sub(after) {
            return f64::INFINITY;
        }
        self.within(after, until).map(|tally| tally.gap).fold(0.0, f64::max)
    }

    /// The ends that nothing explains, after one round and until another, by group.
    pub(super) fn unexplained(&self, after: u64, until: u64) -> impl Iterator<Item = (u16, u64)> {
        self.within(after, until).flat_map(|tally| tally.ends.iter().map(|(&group, &count)| (group, count)))
    }
}
