//! The roster: which of the server's sessions are ours, which of those the server still lists although their
//! client is dead (ghosts), and whether the budget has room for one more. Shared by all that open sessions and
//! by the server view.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntCounter;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

use super::ghost::{Ghost, Parting, Purpose};
use crate::domain::conduct::proof::{Claim, GhostKill, ServerMark};

mod membership;

pub use membership::Membership;

/// How long a session that said COM_QUIT may still be listed.
const LEAVING: Duration = Duration::from_secs(5);
/// How long it may take a server to forget a session whose end it has confirmed.
const CLEARING: Duration = Duration::from_millis(300);
/// How long a server keeps a login that broke off: its `connect_timeout`.
const HALF_OPEN: Duration = Duration::from_secs(10);
/// Logins that are remembered, at most.
const MOST_LOGINS: usize = 1024;

/// One path's own sessions.
#[derive(Debug, Clone)]
pub struct Roster {
    inner: Arc<Inner>,
}

/// What a roster is kept by.
#[derive(Debug)]
pub struct Rules {
    /// How many sessions of ours the server may hold at most.
    pub budget: usize,
    /// Whether a ghost may be killed where it is proved to be one.
    pub kill_ghosts: bool,
    /// Counts sessions that ended without COM_QUIT and that the server has given up.
    pub aborted: IntCounter,
    /// Counts ghosts by what became of them, each once.
    pub kills: BTreeMap<GhostKill, IntCounter>,
}

#[derive(Debug)]
struct Inner {
    rules: Rules,
    /// Zero of the clock that server marks are told in.
    begun: Instant,
    state: Mutex<State>,
    /// The witness or the server view lacks a place.
    crowded: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Places taken, by what for: of sessions that live, and of those that still connect.
    seats: BTreeMap<Purpose, usize>,
    /// How many go by each id: behind a proxy, one's greeting may tell another's true one.
    living: BTreeMap<u64, usize>,
    /// By numbers of our own: two servers behind one address use the same ids.
    ghosts: BTreeMap<u64, Ghost>,
    last_ghost: u64,
    /// Those whose end the server has confirmed, and when.
    leaving: BTreeMap<u64, Instant>,
    /// When logins broke off.
    half_open: Vec<Instant>,
    /// Sessions that nobody counted as aborted, and that the server may have.
    doubtful: u64,
    /// When sessions were asked for, and when they had logged in, oldest first.
    logins: VecDeque<(Instant, Instant)>,
    /// The server that the server view reads.
    viewed: Option<ServerMark>,
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

    fn seated(&self, purpose: Purpose) -> usize {
        self.seats.get(&purpose).copied().unwrap_or(0)
    }

    fn is_leaving(&self, thread_id: u64, within: Duration) -> bool {
        self.leaving.get(&thread_id).is_some_and(|since| since.elapsed() < within)
    }

    /// How many sessions of ours the server may hold now.
    fn held(&mut self) -> usize {
        let now = Instant::now();
        let before = self.ghosts.len();
        self.ghosts.retain(|_, ghost| !ghost.is_over(now));
        self.doubtful += (before - self.ghosts.len()) as u64;
        self.half_open.retain(|since| since.elapsed() < HALF_OPEN);
        let leaving = self.leaving.values().filter(|since| since.elapsed() < CLEARING).count();
        let ghosts = self.ghosts.values().filter(|ghost| ghost.counts(now)).count();
        self.seats.values().sum::<usize>() + leaving + ghosts + self.half_open.len()
    }

    /// How many places must stay free for these: one each, where it has none.
    fn kept_for(&self, purposes: &[Purpose]) -> usize {
        purposes.iter().filter(|purpose| self.seated(**purpose) == 0).count()
    }
}

impl Roster {
    /// An empty roster.
    pub fn new(rules: Rules) -> Self {
        let state = Mutex::default();
        Self { inner: Arc::new(Inner { rules, begun: Instant::now(), state, crowded: Notify::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a place on the server, to be taken before connecting. `None` where the budget has no room:
    /// canaries leave one to the witness and one to the server view.
    pub fn claim(&self, purpose: Purpose) -> Option<Place> {
        let mut state = self.lock();
        let kept = match purpose {
            Purpose::Canary => state.kept_for(&[Purpose::Witness, Purpose::ServerView]),
            // Whoever of the two comes first: without the server view no ghost is ended.
            Purpose::Witness | Purpose::ServerView => 0,
        };
        let budget = self.inner.rules.budget;
        let wanted = state.held() + 1;
        let others = [Purpose::Witness, Purpose::ServerView].map(|other| (other != purpose).then_some(other));
        let others: Vec<Purpose> = others.into_iter().flatten().collect();
        if purpose != Purpose::Canary && wanted + state.kept_for(&others) > budget {
            // Either this one has no place now, or the other will have none.
            self.inner.crowded.notify_one();
        }
        (wanted + kept <= budget).then(|| {
            *state.seats.entry(purpose).or_default() += 1;
            Place { roster: self.clone(), purpose, seated: true, claimed: Instant::now() }
        })
    }

    /// How many more canaries the budget has room for.
    pub fn room(&self) -> usize {
        let mut state = self.lock();
        let kept = state.kept_for(&[Purpose::Witness, Purpose::ServerView]);
        self.inner.rules.budget.saturating_sub(state.held() + kept)
    }

    /// How many ghosts the server may hold.
    pub fn haunting(&self) -> usize {
        let now = Instant::now();
        self.lock().ghosts.values().filter(|ghost| ghost.counts(now)).count()
    }

    /// Whether a ghost goes by this thread id.
    pub fn haunts(&self, thread_id: u64) -> bool {
        let now = Instant::now();
        self.lock().ghosts.values().any(|ghost| ghost.thread_id == thread_id && !ghost.is_over(now))
    }

    /// Waits until the witness or the server view lacks a place.
    pub async fn crowded(&self) {
        self.inner.crowded.notified().await;
    }

    /// Whether a session is ours: alive, dead, or about to leave the server's list.
    pub fn is_ours(&self, thread_id: u64) -> bool {
        let state = self.lock();
        let viewed = state.viewed.as_ref();
        state.living.contains_key(&thread_id)
            || state.ghosts.values().any(|ghost| ghost.thread_id == thread_id && ghost.may_live_on(viewed))
            || state.is_leaving(thread_id, LEAVING)
    }

    /// Compares ghosts, as they were before the server was asked, with the sessions it then listed.
    /// Those of this server that it lists no more are gone. Gives how many it does list.
    pub fn settle(&self, ghosts: &BTreeMap<u64, Ghost>, listed: &BTreeSet<u64>) -> usize {
        let mut state = self.lock();
        let viewed = state.viewed.clone();
        let mut haunting = 0;
        for (number, before) in ghosts.iter().filter(|(_, ghost)| ghost.may_live_on(viewed.as_ref())) {
            let Some(ghost) = state.ghosts.get_mut(number) else { continue };
            if listed.contains(&before.thread_id) {
                ghost.listed = true;
                haunting += 1;
                continue;
            }
            // One that said COM_QUIT and was not seen since was heard. Behind a proxy the client's end is not
            // the server's abort.
            let aborted = ghost.certain && (ghost.listed || ghost.parting == Parting::Silent);
            state.ghosts.remove(number);
            if aborted {
                self.inner.rules.aborted.inc();
            } else {
                state.doubtful += 1;
            }
        }
        haunting
    }

    /// How many sessions the server has aborted so far: surely, and beyond that perhaps.
    pub fn aborted(&self) -> (u64, u64) {
        let state = self.lock();
        (self.inner.rules.aborted.get(), state.doubtful)
    }

    /// How many sessions are not among these that the server lists, although nothing is known of their end: it may
    /// have aborted them.
    pub fn missing(&self, listed: &BTreeSet<u64>) -> u64 {
        let mut state = self.lock();
        state.half_open.retain(|since| since.elapsed() < HALF_OPEN);
        let viewed = state.viewed.as_ref();
        let ghosts =
            state.ghosts.values().filter(|ghost| ghost.may_live_on(viewed)).map(|ghost| ghost.thread_id);
        let missing = state.living.keys().copied().chain(ghosts).filter(|id| !listed.contains(id)).count();
        (missing + state.half_open.len()) as u64
    }

    /// How many sessions were asked for after the one moment and had logged in before the other. Those that had are
    /// forgotten with that.
    pub fn logins(&self, after: Instant, before: Instant) -> u64 {
        let mut state = self.lock();
        let known = state.logins.iter().take_while(|(_, logged_in)| *logged_in <= before).count();
        state.logins.drain(..known).filter(|(asked, _)| *asked >= after).count() as u64
    }

    /// The server that the server view reads started over, or is another one: what it held is gone. Ghosts of
    /// other servers stay.
    pub fn forget_ghosts(&self) {
        let mut state = self.lock();
        let viewed = state.viewed.clone();
        state.ghosts.retain(|_, ghost| {
            let elsewhere = ghost.server.as_ref().zip(viewed.as_ref());
            elsewhere.is_some_and(|(its, viewed)| !viewed.is_later_run_of(its))
        });
    }

    /// The ghosts, by numbers of our own.
    pub fn ghosts(&self) -> BTreeMap<u64, Ghost> {
        self.lock().ghosts.clone()
    }

    /// What is known of a ghost that nothing was tried with yet.
    pub fn claim_of(&self, number: u64) -> Option<Claim> {
        let state = self.lock();
        let ghost = state.ghosts.get(&number).filter(|ghost| ghost.judged.is_none())?;
        let id = ghost.thread_id;
        Some(ghost.claim(state.living.contains_key(&id) || state.is_leaving(id, LEAVING)))
    }

    /// What became of a ghost, once and for all: it is counted, and nothing is tried again.
    pub fn judge(&self, number: u64, outcome: GhostKill) {
        let mut state = self.lock();
        let Some(ghost) = state.ghosts.get_mut(&number).filter(|ghost| ghost.judged.is_none()) else {
            return;
        };
        ghost.judged = Some(outcome);
        if let Some(counter) = self.inner.rules.kills.get(&outcome) {
            counter.inc();
        }
    }

    /// Whether ghosts may be killed at all.
    pub fn may_kill(&self) -> bool {
        self.inner.rules.kill_ghosts
    }

    /// A moment in seconds, on the clock that server marks are told in.
    pub fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.inner.begun).as_secs_f64()
    }
}

/// A place in the budget, for a session that is not there yet. Dropped, it is free again.
#[derive(Debug)]
pub struct Place {
    roster: Roster,
    purpose: Purpose,
    seated: bool,
    claimed: Instant,
}

impl Place {
    /// The session is born, and takes the place over.
    pub fn join(self, thread_id: u64) -> Membership {
        let mut state = self.roster.lock();
        state.enter(thread_id);
        if state.logins.len() == MOST_LOGINS {
            state.logins.pop_front();
        }
        state.logins.push_back((self.claimed, Instant::now()));
        drop(state);
        Membership::new(self, thread_id)
    }

    /// The login broke off, and the server may not know yet.
    pub fn broke_off(self) {
        self.roster.lock().half_open.push(Instant::now());
    }

    fn vacate(&mut self, state: &mut State) {
        if std::mem::take(&mut self.seated)
            && let Some(count) = state.seats.get_mut(&self.purpose)
        {
            *count = count.saturating_sub(1);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.seated {
            let roster = self.roster.clone();
            self.vacate(&mut roster.lock());
        }
    }
}

#[cfg(test)]
mod tests;
