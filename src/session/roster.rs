//! The roster: which of the server's sessions are ours, which of those the server still lists although their
//! client is dead (ghosts), and whether the budget has room for one more. Shared by all that open sessions to one
//! target, over whatever path, and by the server view: a session of one path is no application's on another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntCounter;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

use super::ghost::{Ghost, Parting, Purpose};
use super::identities::Identities;
use crate::domain::conduct::proof::{Claim, GhostKill, ServerMark};

mod membership;
mod process;
mod share;

pub use membership::Membership;
pub use process::Rosters;
pub use share::Rules;
pub(super) use share::Share;

/// How long a session that said COM_QUIT may still be listed.
const LEAVING: Duration = Duration::from_secs(5);
/// How long it may take a server to forget a session whose end it has confirmed.
const CLEARING: Duration = Duration::from_millis(300);
/// How long a server keeps a login that broke off: its `connect_timeout`.
const HALF_OPEN: Duration = Duration::from_secs(10);
/// Logins that are remembered, at most.
const MOST_LOGINS: usize = 1024;

/// One target's own sessions, and one path's share of them.
#[derive(Debug, Clone)]
pub struct Roster {
    inner: Arc<Inner>,
    share: Arc<Share>,
}

/// The sessions of one target, before any path has a share of them.
#[derive(Debug, Clone)]
pub struct TargetRoster(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Counts sessions that ended without COM_QUIT and that the server has given up.
    aborted: IntCounter,
    /// Zero of the clock that server marks are told in.
    begun: Instant,
    state: Mutex<State>,
    /// It and the rosters of all other targets.
    process: Rosters,
}

#[derive(Debug, Default)]
struct State {
    /// Places taken, by whose share and what for: of sessions that live, and of those that still connect.
    seats: BTreeMap<(u64, Purpose), usize>,
    /// The number of each path's share, those of removed paths included.
    shares: BTreeMap<String, u64>,
    /// How many sessions of all paths together the server may hold at most, once that is said.
    bound: Option<usize>,
    /// How many go by each id: behind a proxy, one's greeting may tell another's true one.
    living: BTreeMap<u64, usize>,
    /// By numbers of our own: two servers behind one address use the same ids.
    ghosts: BTreeMap<u64, Ghost>,
    last_ghost: u64,
    /// Those whose end the server has confirmed, of which share, and when.
    leaving: BTreeMap<u64, (u64, Instant)>,
    /// When logins broke off, and of which share.
    half_open: Vec<(u64, Instant)>,
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

    fn seated(&self, share: &Share, purpose: Purpose) -> usize {
        self.seats.get(&(share.number, purpose)).copied().unwrap_or(0)
    }

    fn holds(&self, thread_id: u64) -> bool {
        let viewed = self.viewed.as_ref();
        self.living.contains_key(&thread_id)
            || self.ghosts.values().any(|ghost| ghost.thread_id == thread_id && ghost.may_live_on(viewed))
            || self.is_leaving(thread_id, LEAVING)
    }

    fn is_leaving(&self, thread_id: u64, within: Duration) -> bool {
        self.leaving.get(&thread_id).is_some_and(|(_, since)| since.elapsed() < within)
    }

    /// How many sessions of these shares the server may hold now.
    fn held_by(&mut self, is_one: impl Fn(u64) -> bool) -> usize {
        let now = Instant::now();
        let before = self.ghosts.len();
        self.ghosts.retain(|_, ghost| !ghost.is_over(now));
        self.doubtful += (before - self.ghosts.len()) as u64;
        self.half_open.retain(|(_, since)| since.elapsed() < HALF_OPEN);
        let leaving =
            self.leaving.values().filter(|(of, since)| is_one(*of) && since.elapsed() < CLEARING).count();
        let ghosts = self.ghosts.values().filter(|ghost| is_one(ghost.share.number) && ghost.counts(now));
        let seats = self.seats.iter().filter(|((of, _), _)| is_one(*of)).map(|(_, count)| count);
        let half_open = self.half_open.iter().filter(|(of, _)| is_one(*of)).count();
        seats.sum::<usize>() + leaving + ghosts.count() + half_open
    }

    /// How many more sessions this share has room for, by its own budget and by the bound of all paths together: what
    /// a removed path left behind counts there.
    fn room(&mut self, share: &Share) -> usize {
        let own = share.rules.budget.saturating_sub(self.held_by(|of| of == share.number));
        let Some(bound) = self.bound else { return own };
        own.min(bound.saturating_sub(self.held_by(|_| true)))
    }

    /// How many places must stay free for the witness and, where the share reads it, for the server view: one each,
    /// where it has none. `but` needs none.
    fn kept_for_others(&self, share: &Share, but: Option<Purpose>) -> usize {
        let view = share.rules.reads_the_view.then_some(Purpose::ServerView);
        let others = [Some(Purpose::Witness), view].into_iter().flatten();
        others.filter(|&other| Some(other) != but && self.seated(share, other) == 0).count()
    }
}

impl TargetRoster {
    /// An empty roster, one of those of this process. `aborted` counts sessions that ended without COM_QUIT and that
    /// the server has given up.
    pub fn new(aborted: IntCounter, process: &Rosters) -> Self {
        let (state, process) = (Mutex::default(), process.clone());
        let inner = Arc::new(Inner { aborted, begun: Instant::now(), state, process });
        inner.process.add(&inner);
        Self(inner)
    }

    /// Whether a session is this target's: alive, dead, or about to leave the server's list.
    pub fn holds(&self, thread_id: u64) -> bool {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).holds(thread_id)
    }

    /// Bounds the sessions of all paths together, in what is claimed from now on.
    pub fn set_bound(&self, bound: usize) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).bound = Some(bound);
    }

    /// Gives one path its share.
    pub fn share(&self, rules: Rules) -> Roster {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.shares.len() as u64;
        // A path that begins anew keeps its number: what its sessions left behind takes places still.
        let number = *state.shares.entry(rules.path.clone()).or_insert(next);
        drop(state);
        let share = Share { number, rules, crowded: Notify::new(), identities: Identities::default() };
        Roster { inner: Arc::clone(&self.0), share: Arc::new(share) }
    }
}

impl Roster {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The servers that answered on this path, as far as new sessions asked them.
    pub fn identities(&self) -> &Identities {
        &self.share.identities
    }

    /// Asks for a place on the server, to be taken before connecting. `None` where the path's budget has no room:
    /// canaries leave one to the witness and one to the server view.
    pub fn claim(&self, purpose: Purpose) -> Option<Place> {
        let mut state = self.lock();
        let kept = match purpose {
            Purpose::Canary => state.kept_for_others(&self.share, None),
            // Whoever of the two comes first: without the server view no ghost is ended.
            Purpose::Witness | Purpose::ServerView => 0,
        };
        let room = state.room(&self.share);
        if purpose != Purpose::Canary && room < 1 + state.kept_for_others(&self.share, Some(purpose)) {
            // Either this one has no place now, or the other will have none.
            self.share.crowded.notify_one();
        }
        (room > kept).then(|| {
            *state.seats.entry((self.share.number, purpose)).or_default() += 1;
            Place { roster: self.clone(), purpose, seated: true, claimed: Instant::now() }
        })
    }

    /// How many more canaries the budget has room for.
    pub fn room(&self) -> usize {
        let mut state = self.lock();
        let kept = state.kept_for_others(&self.share, None);
        state.room(&self.share).saturating_sub(kept)
    }

    /// How many ghosts of this path the server may hold.
    pub fn haunting(&self) -> usize {
        let now = Instant::now();
        let is_ours = |ghost: &&Ghost| ghost.share.number == self.share.number;
        self.lock().ghosts.values().filter(is_ours).filter(|ghost| ghost.counts(now)).count()
    }

    /// Whether a ghost goes by this thread id.
    pub fn haunts(&self, thread_id: u64) -> bool {
        let now = Instant::now();
        self.lock().ghosts.values().any(|ghost| ghost.thread_id == thread_id && !ghost.is_over(now))
    }

    /// Waits until the witness or the server view lacks a place.
    pub async fn crowded(&self) {
        self.share.crowded.notified().await;
    }

    /// Whether a session is ours: alive, dead, or about to leave the server's list.
    pub fn is_ours(&self, thread_id: u64) -> bool {
        self.lock().holds(thread_id)
    }

    /// The rosters of other targets of this process whose server views read the same run of the same server: two
    /// names of one server. Their sessions are nobody else's either.
    pub fn of_the_same_server(&self) -> Vec<TargetRoster> {
        self.inner.process.of_the_same_server(&self.inner)
    }

    /// Compares ghosts, as they were before the server was asked, with the sessions it then listed.
    /// Those of this server that it lists no more are gone. Gives how many it does list, by path.
    pub fn settle(&self, ghosts: &BTreeMap<u64, Ghost>, listed: &BTreeSet<u64>) -> BTreeMap<String, usize> {
        let mut state = self.lock();
        let viewed = state.viewed.clone();
        let mut haunting = BTreeMap::new();
        for (number, before) in ghosts.iter().filter(|(_, ghost)| ghost.may_live_on(viewed.as_ref())) {
            let Some(ghost) = state.ghosts.get_mut(number) else { continue };
            if listed.contains(&before.thread_id) {
                ghost.listed = true;
                *haunting.entry(before.share.rules.path.clone()).or_default() += 1;
                continue;
            }
            // One that said COM_QUIT and was not seen since was heard. Behind a proxy the client's end is not
            // the server's abort.
            let aborted = ghost.certain && (ghost.listed || ghost.parting == Parting::Silent);
            state.ghosts.remove(number);
            if aborted {
                self.inner.aborted.inc();
            } else {
                state.doubtful += 1;
            }
        }
        haunting
    }

    /// How many sessions the server has aborted so far: surely, and beyond that perhaps.
    pub fn aborted(&self) -> (u64, u64) {
        let state = self.lock();
        (self.inner.aborted.get(), state.doubtful)
    }

    /// How many sessions are not among these that the server lists, although nothing is known of their end: it may
    /// have aborted them.
    pub fn missing(&self, listed: &BTreeSet<u64>) -> u64 {
        let mut state = self.lock();
        state.half_open.retain(|(_, since)| since.elapsed() < HALF_OPEN);
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
        if let Some(counter) = ghost.share.rules.kills.get(&outcome) {
            counter.inc();
        }
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
        self.roster.lock().half_open.push((self.roster.share.number, Instant::now()));
    }

    fn vacate(&mut self, state: &mut State) {
        if std::mem::take(&mut self.seated)
            && let Some(count) = state.seats.get_mut(&(self.roster.share.number, self.purpose))
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
