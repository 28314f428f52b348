//! The roster: which of the server's sessions are ours, and which of those the server still lists
//! although their client is dead (ghosts). Shared by all that open sessions and by the server view.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntCounter;
use tokio::time::{Duration, Instant};

/// How long a session that said COM_QUIT may still be listed.
const LEAVING: Duration = Duration::from_secs(5);

/// One path's own sessions, by the server's thread ids.
#[derive(Debug, Clone)]
pub struct Roster {
    state: Arc<Mutex<State>>,
    /// Sessions that ended without COM_QUIT and that the server has given up.
    aborted: IntCounter,
}

/// A session whose client is dead and whose server may not know.
#[derive(Debug, Clone, Copy)]
pub struct Ghost {
    /// When its client last said something.
    pub since: Instant,
    /// Whether the thread id is surely its own: no proxy stands between.
    pub certain: bool,
}

#[derive(Debug, Default)]
struct State {
    /// How many go by each id: behind a proxy, one's greeting may tell another's true one.
    living: BTreeMap<u64, usize>,
    ghosts: BTreeMap<u64, Ghost>,
    /// Those that said COM_QUIT, and when.
    leaving: BTreeMap<u64, Instant>,
}

impl State {
    fn enter(&mut self, thread_id: u64) {
        *self.living.entry(thread_id).or_default() += 1;
    }

    fn exit(&mut self, thread_id: u64) {
        if let Some(count) = self.living.get_mut(&thread_id) {
            *count -= 1;
            if *count == 0 {
                self.living.remove(&thread_id);
            }
        }
    }
}

impl Roster {
    /// An empty roster that counts the server's aborted sessions of ours.
    pub fn counting(aborted: IntCounter) -> Self {
        Self { state: Arc::default(), aborted }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session of ours is born.
    pub fn join(&self, thread_id: u64) -> Membership {
        let mut state = self.lock();
        state.enter(thread_id);
        // Thread ids start over when the server does.
        state.ghosts.remove(&thread_id);
        Membership {
            roster: self.clone(),
            thread_id,
            certain: false,
            since: Instant::now(),
            end: End::Unknown,
        }
    }

    /// Whether a session is ours: alive, dead, or about to leave the server's list.
    pub fn is_ours(&self, thread_id: u64) -> bool {
        let state = self.lock();
        let leaves = |since: &Instant| since.elapsed() < LEAVING;
        state.living.contains_key(&thread_id)
            || state.ghosts.contains_key(&thread_id)
            || state.leaving.get(&thread_id).is_some_and(leaves)
    }

    /// Compares ghosts, as they were before the server was asked, with the sessions it then listed.
    /// Those it lists no more it has aborted. Gives how many ghosts are left.
    pub fn settle(&self, ghosts: &BTreeMap<u64, Ghost>, listed: &BTreeSet<u64>) -> usize {
        let mut state = self.lock();
        for id in ghosts.keys().filter(|id| !listed.contains(id)) {
            // Behind a proxy the client's end is not the server's abort.
            if state.ghosts.remove(id).is_some_and(|ghost| ghost.certain) {
                self.aborted.inc();
            }
        }
        state.ghosts.len()
    }

    /// The server started over: it lists nobody, and its counters are new.
    pub fn forget_ghosts(&self) {
        self.lock().ghosts.clear();
    }

    /// The ghosts, by thread id.
    pub fn ghosts(&self) -> BTreeMap<u64, Ghost> {
        self.lock().ghosts.clone()
    }
}

/// One session's place on the roster. Dropped without a word, the session is a ghost: it ended without
/// COM_QUIT, and the server may not know yet.
#[derive(Debug)]
pub struct Membership {
    roster: Roster,
    thread_id: u64,
    certain: bool,
    since: Instant,
    end: End,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Unknown,
    Quit,
    Aborted,
}

impl Membership {
    /// The server's thread id.
    pub fn thread_id(&self) -> u64 {
        self.thread_id
    }

    /// The server calls the session by this id, whatever its greeting did. Behind a proxy that is so
    /// only for now, and not `certain`.
    pub fn rename(&mut self, thread_id: u64, certain: bool) {
        self.certain = certain;
        if thread_id != self.thread_id {
            let mut state = self.roster.lock();
            state.exit(self.thread_id);
            state.enter(thread_id);
            drop(state);
            self.thread_id = thread_id;
        }
    }

    /// The session is idle from this moment on.
    pub fn rests_since(&mut self, since: Instant) {
        self.since = since;
    }

    /// The session ended with COM_QUIT, or together with its server.
    pub fn leave(mut self) {
        self.end = End::Quit;
    }

    /// The session is dead and the server knows: it counted it in `Aborted_clients`.
    pub fn abort(mut self) {
        self.end = End::Aborted;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = self.roster.lock();
        state.exit(self.thread_id);
        match self.end {
            End::Quit => {
                state.leaving.retain(|_, since| since.elapsed() < LEAVING);
                state.leaving.insert(self.thread_id, Instant::now());
            }
            End::Aborted => self.roster.aborted.inc(),
            End::Unknown => {
                state.ghosts.insert(self.thread_id, Ghost { since: self.since, certain: self.certain });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sessions_that_go_by_one_id_for_a_while_are_both_ours() {
        let roster = Roster::counting(IntCounter::new("aborted", "for the test").expect("a good name"));
        let mut canary = roster.join(3);
        canary.rename(7, false);
        let mut view = roster.join(7);
        view.rename(9, false);
        assert!(roster.is_ours(7) && roster.is_ours(9) && !roster.is_ours(3));
        canary.leave();
        assert_eq!(roster.lock().living, BTreeMap::from([(9, 1)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_ghost_is_aborted_once_when_the_server_lists_it_no_more() {
        let aborted = IntCounter::new("aborted", "for the test").expect("a good name");
        let roster = Roster::counting(aborted.clone());
        let (mut first, second) = (roster.join(7), roster.join(8));
        first.rename(7, true);
        drop(first);
        assert!(roster.is_ours(7) && roster.is_ours(8));
        assert_eq!(roster.settle(&roster.ghosts(), &BTreeSet::from([7, 8])), 1);
        assert_eq!(aborted.get(), 0);
        assert_eq!(roster.settle(&roster.ghosts(), &BTreeSet::from([8])), 0);
        assert_eq!(aborted.get(), 1);
        second.abort();
        assert_eq!(aborted.get(), 2);
        roster.join(9).leave();
        assert!(roster.is_ours(9), "the server may still list it");
        tokio::time::advance(LEAVING).await;
        assert!(!roster.is_ours(9) && roster.ghosts().is_empty());
    }
}
