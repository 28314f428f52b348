//! Who is here: every client's phase, and whose place a newcomer takes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::domain::conduct::admission::{Phase, Place, Places, pushed_out, put_off};

/// How often it is told that clients are pushed out.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How many give up their descriptors at once when there are none, and the share of all that they may be: where few
/// are here, a newcomer must have the time to say what it wants.
const PUSHED_OUT_AT_ONCE: usize = 8;
const SHARE_PUSHED_OUT: usize = 4;

/// The clients of all listening sockets.
#[derive(Debug)]
pub struct Clients {
    begun: Instant,
    places: Places,
    /// As many as there are places: those that were sent away have theirs until their sockets are closed.
    sockets: Arc<Semaphore>,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    next_id: u64,
    clients: BTreeMap<u64, Client>,
    /// How many are in each phase.
    counts: BTreeMap<Phase, usize>,
    pushed_out: u64,
    told: Option<Instant>,
    /// How many had no whole answer, for their time was over, and when that was told.
    cut: u64,
    told_cut: Option<Instant>,
}

#[derive(Debug)]
struct Client {
    origin: Origin,
    phase: Phase,
    since: Instant,
    /// Since when we wait for it, not it for us.
    waited_for: Option<Instant>,
    task: Option<AbortHandle>,
}

/// Where a client comes from: its IPv4 address, or its network of 64 bits, which one machine may have whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin(u128);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => Self(address.to_bits() >> 64 << 64),
        }
    }
}

impl Clients {
    /// Room for so many.
    #[must_use]
    pub fn new(places: Places) -> Self {
        Self {
            begun: Instant::now(),
            places,
            sockets: Arc::new(Semaphore::new(places.all())),
            inside: Mutex::default(),
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Each change is whole before anything can panic.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one in.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Arc<Visit> {
        let now = Instant::now();
        let origin = Origin::from(address);
        let mut inside = self.inside();
        self.make_room(&mut inside, Phase::Asking, origin, now);
        let id = inside.next_id;
        inside.next_id += 1;
        inside
            .clients
            .insert(id, Client { origin, phase: Phase::Asking, since: now, waited_for: None, task: None });
        inside.count_move(None, Some(Phase::Asking));
        drop(inside);
        let stay = Mutex::new(Stay::new(Phase::Asking, now));
        Arc::new(Visit { clients: Arc::clone(self), id, origin, stay, socket: OnceLock::new() })
    }

    /// Learns the task of a client, so that it can be ended; ends it where the client had to go meanwhile.
    pub(super) fn attended_by(&self, id: u64, task: AbortHandle) {
        match self.inside().clients.get_mut(&id) {
            Some(client) => client.task = Some(task),
            None => task.abort(),
        }
    }

    /// Sends away a few of those that are waited for longest, for their descriptors are needed: others only where
    /// nobody is waited for. Says whether there were any.
    pub(super) fn push_out_some(&self) -> bool {
        let mut inside = self.inside();
        let mut all: Vec<_> = inside
            .clients
            .iter()
            .map(|(&id, client)| (client.waited_for.is_none(), client.waited_for.unwrap_or(client.since), id))
            .collect();
        all.sort_unstable();
        all.truncate((all.len() / SHARE_PUSHED_OUT).clamp(1, PUSHED_OUT_AT_ONCE));
        all.iter().fold(false, |any, &(.., id)| inside.remove(id) || any)
    }

    /// A client begins another phase, in which it is waited for since that moment.
    fn enter(&self, id: u64, phase: Phase, now: Instant, waited_for: Option<Instant>) {
        let mut inside = self.inside();
        // One that had to go is about to end.
        let Some(client) = inside.clients.get_mut(&id) else { return };
        let origin = client.origin;
        if client.phase != phase {
            self.make_room(&mut inside, phase, origin, now);
        }
        if let Some(client) = inside.clients.get_mut(&id) {
            let before = std::mem::replace(&mut client.phase, phase);
            (client.since, client.waited_for) = (now, waited_for);
            inside.count_move(Some(before), Some(phase));
        }
    }

    /// A client is waited for from now on.
    fn wait_from(&self, id: u64, now: Instant) {
        if let Some(client) = self.inside().clients.get_mut(&id) {
            client.waited_for = Some(now);
        }
    }

    fn make_room(&self, inside: &mut Inside, phase: Phase, newcomer: Origin, now: Instant) {
        // Most often there is room, and nobody needs to be looked at.
        if inside.counts.get(&phase).is_none_or(|&count| count < self.places.of_one_address(phase)) {
            return;
        }
        let (ids, places): (Vec<u64>, Vec<Place<Origin>>) = inside
            .clients
            .iter()
            .filter(|(_, client)| client.phase == phase)
            .map(|(&id, client)| {
                let seconds = |at: Instant| at.duration_since(self.begun).as_secs_f64();
                let (since, waited_for) = (seconds(client.since), client.waited_for.map(seconds));
                (id, Place { address: client.origin, since, waited_for })
            })
            .unzip();
        let gone = pushed_out(self.places, phase, &places, newcomer);
        if gone.is_empty() {
            return;
        }
        for index in gone {
            if inside.remove(ids[index]) {
                inside.pushed_out += 1;
            }
        }
        if inside.told.is_none_or(|told| now.duration_since(told) >= TELL_EVERY) {
            inside.told = Some(now);
            tracing::warn!(
                event = "web_crowded",
                pushed_out = inside.pushed_out,
                "too many web clients at once: those that wait longest give up their places"
            );
        }
    }
}

impl Inside {
    fn count_move(&mut self, from: Option<Phase>, to: Option<Phase>) {
        if let Some(count) = from.and_then(|phase| self.counts.get_mut(&phase)) {
            *count = count.saturating_sub(1);
        }
        if let Some(phase) = to {
            *self.counts.entry(phase).or_default() += 1;
        }
    }

    /// Takes one out; its task ends, where it has not ended by itself.
    fn remove(&mut self, id: u64) -> bool {
        let Some(client) = self.clients.remove(&id) else { return false };
        self.count_move(Some(client.phase), None);
        if let Some(task) = client.task {
            task.abort();
        }
        true
    }
}

/// A client's stay, from its coming until this is dropped.
#[derive(Debug)]
pub(super) struct Visit {
    clients: Arc<Clients>,
    id: u64,
    origin: Origin,
    stay: Mutex<Stay>,
    /// Given back when the last hand on this is gone, the socket's own among them.
    socket: OnceLock<OwnedSemaphorePermit>,
}

#[derive(Debug, Clone, Copy)]
struct Stay {
    phase: Phase,
    since: Instant,
    /// Since when it takes nothing of what is written to it.
    stalled: Option<Instant>,
    /// Whether it took anything of its answer.
    wrote: bool,
    /// Whether its request is waited for.
    waited_for: bool,
    /// When the process stops.
    latest: Option<Instant>,
    /// Until when its answers are paid for.
    paid: Option<Instant>,
}

impl Stay {
    const fn new(phase: Phase, since: Instant) -> Self {
        Self { phase, since, stalled: None, wrote: false, waited_for: false, latest: None, paid: None }
    }
}

impl Visit {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Where it comes from.
    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Waits until there is a descriptor for its socket that nobody else counts on: those that had to go for it may
    /// take a moment to close theirs.
    pub(super) async fn count_socket(&self) {
        // The semaphore is never closed.
        if let Ok(permit) = Arc::clone(&self.clients.sockets).acquire_owned().await {
            let _ = self.socket.set(permit);
        }
    }

    fn stay(&self) -> MutexGuard<'_, Stay> {
        self.stay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a phase.
    pub(super) fn enter(&self, phase: Phase) {
        let now = Instant::now();
        let mut stay = self.stay();
        let (stalled, latest, paid) = (stay.stalled, stay.latest, stay.paid);
        *stay = Stay { stalled, latest, paid, ..Stay::new(phase, now) };
        drop(stay);
        let waited_for = stalled.or((phase == Phase::Kept).then_some(now));
        let phase = if stalled.is_some() { Phase::Stalled } else { phase };
        self.clients.enter(self.id, phase, now, waited_for);
    }

    /// Its answer begins: when it may.
    pub(super) fn answer(&self) -> Instant {
        self.enter(Phase::Answering);
        let mut stay = self.stay();
        let now = stay.since;
        let ahead = stay.paid.map_or(0.0, |paid| paid.duration_since(now).as_secs_f64());
        let (wait, paid) = put_off(ahead, 0.0);
        stay.paid = Some(now + Duration::from_secs_f64(paid));
        drop(stay);
        if wait > 0.0 {
            // It is in no hurry to be answered: others come first.
            self.clients.wait_from(self.id, now);
        }
        now + Duration::from_secs_f64(wait)
    }

    /// Bytes came: after an answer, they are the next request's.
    pub(super) fn heard(&self) {
        if self.stay().phase == Phase::Kept {
            self.enter(Phase::Asking);
        }
    }

    /// All that was to be written is out: where that was its answer, it is done.
    pub(super) fn flushed(&self) {
        let stay = *self.stay();
        if stay.phase == Phase::Answering && stay.wrote && stay.stalled.is_none() {
            self.enter(Phase::Kept);
        }
    }

    /// There is nothing to read: a request that is not there yet is waited for from the first time on.
    pub(super) fn listens(&self) {
        let mut stay = self.stay();
        if stay.phase == Phase::Asking && !stay.waited_for {
            stay.waited_for = true;
            drop(stay);
            self.clients.wait_from(self.id, Instant::now());
        }
    }

    /// It took something of what is written to it.
    pub(super) fn took(&self) {
        let mut stay = self.stay();
        stay.wrote = true;
        if stay.stalled.take().is_some() {
            let phase = stay.phase;
            drop(stay);
            self.clients.enter(self.id, phase, Instant::now(), None);
        }
    }

    /// It takes nothing more for now.
    pub(super) fn stalls(&self) {
        let mut stay = self.stay();
        if stay.stalled.is_none() {
            let now = Instant::now();
            stay.stalled = Some(now);
            drop(stay);
            self.clients.enter(self.id, Phase::Stalled, now, Some(now));
        }
    }

    /// The process stops: it may stay that long and no longer.
    pub(super) fn hurry(&self, time: Duration) {
        self.stay().latest.get_or_insert_with(|| Instant::now() + time);
    }

    /// Until when it may stay as things are.
    pub(super) fn deadline(&self) -> Instant {
        let stay = *self.stay();
        // The older of both is the clock's beginning.
        let begun = stay.stalled.map_or(stay.since, |stalled| stalled.min(stay.since));
        let seconds = |at: Instant| at.duration_since(begun).as_secs_f64();
        let deadline = stay.phase.deadline(seconds(stay.since), stay.stalled.map(seconds));
        let deadline = begun + Duration::from_secs_f64(deadline);
        stay.latest.map_or(deadline, |latest| latest.min(deadline))
    }

    /// Its time is over. Where that costs it the rest of its answer it is told, once a minute.
    pub(super) fn is_overdue(&self) {
        let stay = *self.stay();
        if stay.phase != Phase::Answering || stay.latest.is_some() {
            return;
        }
        let now = Instant::now();
        let mut inside = self.clients.inside();
        inside.cut += 1;
        if inside.told_cut.is_some_and(|told| now.duration_since(told) < TELL_EVERY) {
            return;
        }
        inside.told_cut = Some(now);
        let why = match stay.stalled {
            Some(_) => "it took nothing of it for too long",
            None => "a page of many targets is long: scrape them one by one, at /probe?target=NAME",
        };
        let seconds = now.duration_since(stay.since).as_secs();
        tracing::warn!(
            event = "answer_cut",
            cut = inside.cut,
            "a web client had no whole answer within {seconds} s and was cut off: {why}"
        );
    }

    /// Whether it is between two requests.
    pub(super) fn is_kept(&self) -> bool {
        self.stay().phase == Phase::Kept
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // The task is at its end, or this runs in its course: to abort it changes nothing.
        self.clients.inside().remove(self.id);
    }
}

#[cfg(test)]
mod tests;
