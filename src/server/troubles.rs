//! Troubles: which parts of the server view could not be read, and until when each of them rests.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::Collector;
use crate::domain::conduct::patience::{self, Trouble};

/// A part of a round, in the order they are asked: one that hangs cannot starve those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Status,
    Variables,
    Privileges,
    Processlist,
    Transactions,
    Errors,
    Attributes,
}

impl Part {
    pub(super) const fn collector(self) -> Option<Collector> {
        match self {
            Self::Status => Some(Collector::GlobalStatus),
            Self::Variables => Some(Collector::GlobalVariables),
            Self::Privileges | Self::Transactions | Self::Errors | Self::Attributes => None,
            Self::Processlist => Some(Collector::Processlist),
        }
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Status => Collector::GlobalStatus.label(),
            Self::Variables => Collector::GlobalVariables.label(),
            Self::Privileges => "privileges",
            Self::Processlist => Collector::Processlist.label(),
            Self::Transactions => "innodb_trx",
            Self::Errors => "events_errors_summary_by_user_by_error",
            Self::Attributes => "session_connect_attrs",
        }
    }
}

/// One part that cost a connection.
#[derive(Debug)]
struct Lost {
    how: Trouble,
    /// How many times in a row.
    times: u32,
    since: Instant,
    /// The thread id of the session that asked.
    thread_id: u64,
    /// Whether the server lists that session still; `None` where that is not known.
    left_behind: Option<bool>,
}

/// Every part that could not be read.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    lost: BTreeMap<Part, Lost>,
    /// What was last told of a part that the server refused.
    refused: BTreeMap<Part, String>,
}

impl Troubles {
    /// Whether a part may be asked now. Two that hang on the server are enough.
    pub(super) fn may_ask(&self, part: Part) -> bool {
        let hanging = self.lost.values().filter(|lost| lost.is_hanging()).count();
        self.lost.get(&part).map_or(hanging < 2, |lost| {
            patience::may_ask(lost.since.elapsed().as_secs_f64(), lost.how, lost.times, lost.left_behind)
        })
    }

    /// A part was answered, well or not.
    pub(super) fn answered(&mut self, part: Part) {
        self.lost.remove(&part);
    }

    /// A part was read, and its answer is good.
    pub(super) fn read(&mut self, part: Part) {
        self.refused.remove(&part);
    }

    /// A part was refused: whether that is news.
    pub(super) fn refused(&mut self, part: Part, words: &str) -> bool {
        self.lost.remove(&part);
        self.refused.insert(part, words.to_owned()).is_none_or(|told| told != words)
    }

    /// A part cost the connection of this session. Gives for how long it rests, in seconds.
    pub(super) fn lost(&mut self, part: Part, how: Trouble, thread_id: u64) -> f64 {
        let before = self.lost.get(&part).filter(|lost| lost.how == how).map_or(0, |lost| lost.times);
        let times = before.saturating_add(1);
        self.lost.insert(part, Lost { how, times, since: Instant::now(), thread_id, left_behind: None });
        patience::rest(how, times)
    }

    /// The sessions that were left behind with a question.
    pub(super) fn left_behind(&self) -> BTreeSet<u64> {
        self.lost.values().filter(|lost| lost.is_hanging()).map(|lost| lost.thread_id).collect()
    }

    /// The server lists these of them; `None` where it would not say.
    pub(super) fn listed(&mut self, listed: Option<&BTreeSet<u64>>) {
        for lost in self.lost.values_mut() {
            // One that is gone does not come back.
            if lost.left_behind != Some(false) {
                lost.left_behind = listed.map(|listed| listed.contains(&lost.thread_id));
            }
        }
    }

    /// Another server answers, or the same one anew: nothing of ours is left on it.
    pub(super) fn forget_left_behind(&mut self) {
        self.lost.values_mut().for_each(|lost| lost.left_behind = Some(false));
    }
}

impl Lost {
    fn is_hanging(&self) -> bool {
        self.how == Trouble::Hung && self.left_behind != Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Duration, advance};

    #[tokio::test(start_paused = true)]
    async fn a_part_that_hangs_rests_alone_and_ever_longer() {
        let mut troubles = Troubles::default();
        assert_eq!(troubles.lost(Part::Processlist, Trouble::Hung, 7), 30.0);
        assert!(!troubles.may_ask(Part::Processlist) && troubles.may_ask(Part::Status));
        advance(Duration::from_secs(30)).await;
        assert!(troubles.may_ask(Part::Processlist));
        assert_eq!(troubles.lost(Part::Processlist, Trouble::Hung, 8), 60.0);
        troubles.answered(Part::Processlist);
        assert!(troubles.may_ask(Part::Processlist));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_is_not_asked_while_the_server_lists_who_asked_it_before() {
        let mut troubles = Troubles::default();
        troubles.lost(Part::Status, Trouble::Hung, 7);
        assert_eq!(troubles.left_behind(), BTreeSet::from([7]));
        troubles.listed(Some(&BTreeSet::from([7])));
        advance(Duration::from_secs(3600)).await;
        assert!(!troubles.may_ask(Part::Status));
        troubles.listed(Some(&BTreeSet::new()));
        assert!(troubles.may_ask(Part::Status) && troubles.left_behind().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn with_two_that_hang_nothing_else_is_asked() {
        let mut troubles = Troubles::default();
        troubles.lost(Part::Status, Trouble::Hung, 7);
        troubles.lost(Part::Variables, Trouble::Hung, 8);
        assert!(!troubles.may_ask(Part::Processlist));
        troubles.forget_left_behind();
        assert!(troubles.may_ask(Part::Processlist));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_breaks_once_costs_no_rest() {
        let mut troubles = Troubles::default();
        assert_eq!(troubles.lost(Part::Status, Trouble::Broke, 7), 0.0);
        assert!(troubles.may_ask(Part::Status));
        assert_eq!(troubles.lost(Part::Status, Trouble::Broke, 8), 30.0);
        assert!(!troubles.may_ask(Part::Status));
    }
}
