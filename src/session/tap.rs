//! The tap: it owns the real socket under a driver's session, by a relay in this process.
//!
//! The driver neither lends its socket nor keeps the server's goodbye. So it connects to the tap, and
//! the tap to the server: it always reads, stamps FIN, RST and unsolicited bytes as they come, and is
//! the one place that sets or withholds TCP keepalive. TLS ends here too: the driver's side is in clear.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::disclosure::Watch;
use super::door::{Door, Way};
use super::error::Failure;
use super::guard::{Guard, Nonsense};
use super::packet::{self, Unsolicited};
use super::relay::{self, Parted};
use super::tls::Tls;
use super::wire::Closed;

/// How much of what a server says unasked is kept to be read; the rest is counted out and dropped.
const KEPT_BYTES: usize = 1024;

/// What the tap saw of the far side. All `None` while the connection is well.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// The first byte that came while the session was idle.
    pub spoke_at: Option<Instant>,
    /// What those bytes were, as far as they have come.
    pub words: Option<Unsolicited>,
    /// How and when the connection closed.
    pub closed: Option<(Closed, Instant)>,
    /// Whether it closed (or spoke) while the session was idle, before anything of ours was sent.
    pub while_idle: bool,
}

#[derive(Debug)]
struct State {
    /// No command is under way: what comes now was not asked for.
    idle: bool,
    phase: Phase,
    last_byte: Instant,
    heard: Vec<u8>,
    sight: Sight,
    guard: Guard,
    nonsense: Option<Nonsense>,
    watch: Watch,
    failure: Option<Failure>,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The TLS handshake is under way, or still to come.
    Handshake,
    /// The login is.
    Login,
    /// The driver says commands.
    LoggedIn,
}

/// What the tap and its relay both know.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tap under one session. Dropping it closes both sockets at once.
#[derive(Debug)]
pub struct Tap {
    shared: Arc<Shared>,
    way: Way,
    tls: bool,
    relay: JoinHandle<Parted>,
}

impl Tap {
    /// Puts a tap on a connected socket. `first` is what was already read from it (the greeting), and
    /// is handed to the driver before all else. With `tls`, the login goes under TLS. `watch` sees what the driver says
    /// until it is logged in.
    ///
    /// # Errors
    /// When no socket can be had for the driver.
    pub(super) async fn open(
        server: TcpStream,
        first: Vec<u8>,
        tls: Option<Tls>,
        watch: Watch,
    ) -> io::Result<Self> {
        let under_tls = tls.is_some();
        let (door, way) = Door::open(under_tls && watch == Watch::Off).await?;
        let state = State {
            idle: false,
            phase: if under_tls { Phase::Handshake } else { Phase::Login },
            last_byte: Instant::now(),
            heard: Vec::new(),
            sight: Sight::default(),
            guard: Guard::new(),
            nonsense: None,
            watch,
            failure: None,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() });
        let relay = tokio::spawn(relay::run(door, server, first, tls, Arc::clone(&shared)));
        Ok(Self { shared, way, tls: under_tls, relay })
    }

    /// How the driver finds the tap.
    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    /// The session is idle from now on: whatever the server sends was not asked for. Gives the moment
    /// of the last byte, from which its idle age counts.
    pub fn rest(&self) -> Instant {
        let mut state = self.shared.lock();
        state.idle = true;
        state.last_byte
    }

    /// A command is about to be sent: what the server says from now on is its answer.
    pub fn wake(&self) {
        self.shared.lock().idle = false;
    }

    /// What was seen so far.
    pub fn sight(&self) -> Sight {
        let state = self.shared.lock();
        let mut sight = state.sight.clone();
        if sight.spoke_at.is_some() {
            sight.words = Some(packet::read_unsolicited(&state.heard));
        }
        sight
    }

    /// What the server answered that no server says, where the tap gave up the connection for it.
    pub(crate) fn nonsense(&self) -> Option<Nonsense> {
        self.shared.lock().nonsense.clone()
    }

    /// Why the tap gave up the login by itself, where it did.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.shared.lock().failure.take()
    }

    /// Whether the TLS handshake is not over.
    pub(super) fn shakes_hands(&self) -> bool {
        self.shared.lock().phase == Phase::Handshake
    }

    /// The driver is logged in: from now on it says commands.
    pub(super) fn logged_in(&self) {
        let mut state = self.shared.lock();
        state.watch = Watch::Off;
        state.phase = Phase::LoggedIn;
    }

    /// Waits until the far side closes, or speaks unasked.
    pub async fn stir(&self) -> Sight {
        self.wait_for(|sight| sight.closed.is_some() || sight.spoke_at.is_some()).await
    }

    /// Waits until the far side closes.
    pub async fn close(&self) -> Sight {
        self.wait_for(|sight| sight.closed.is_some()).await
    }

    async fn wait_for(&self, wanted: impl Fn(&Sight) -> bool) -> Sight {
        loop {
            let changed = self.shared.changed.notified();
            let sight = self.sight();
            if wanted(&sight) {
                return sight;
            }
            changed.await;
        }
    }

    /// Waits until the relay has handed on the driver's last words and closed both sockets.
    pub(crate) async fn finish(mut self) -> Parted {
        // The relay ends by itself after LINGER.
        (&mut self.relay).await.unwrap_or(Parted::Unheard)
    }

    /// Whether the session is encrypted.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

/// Whose the bytes of a server are.
pub(super) enum Heard {
    /// The driver's, who asked.
    Answer,
    /// Nobody's: the session is idle.
    Unsolicited,
    /// Nobody's: the driver would take them badly.
    Nonsense,
}

impl Shared {
    /// The tap gives up the login.
    pub(super) fn give_up(&self, failure: Failure) {
        self.lock().failure = Some(failure);
    }

    /// The TLS handshake is over.
    pub(super) fn is_secured(&self) {
        self.lock().phase = Phase::Login;
    }

    /// Whether the driver says commands.
    pub(super) fn is_logged_in(&self) -> bool {
        self.lock().phase == Phase::LoggedIn
    }

    /// Takes note of bytes from the driver. An error where they may not be handed on.
    pub(super) fn say(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut state = self.lock();
        state.watch.say(bytes)?;
        state.last_byte = Instant::now();
        state.guard.said(bytes);
        Ok(())
    }

    /// Takes note of bytes from the server.
    pub(super) fn hear(&self, bytes: &[u8]) -> Heard {
        let now = Instant::now();
        let mut state = self.lock();
        if !state.idle {
            state.last_byte = now;
            let Err(nonsense) = state.guard.heard(bytes) else { return Heard::Answer };
            state.refuse(nonsense);
            return Heard::Nonsense;
        }
        let room = KEPT_BYTES.saturating_sub(state.heard.len());
        state.heard.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.spoke(state, now);
        Heard::Unsolicited
    }

    /// Takes note of bytes that are no record of the TLS session.
    pub(super) fn hear_garbled(&self, now: Instant) {
        let mut state = self.lock();
        if state.idle {
            self.spoke(state, now);
        } else {
            state.refuse(Nonsense::NoRecord);
        }
    }

    /// The server spoke unasked.
    fn spoke(&self, mut state: MutexGuard<'_, State>, now: Instant) {
        if state.sight.spoke_at.is_none() {
            state.sight.spoke_at = Some(now);
            state.sight.while_idle = true;
            drop(state);
            self.changed.notify_waiters();
        }
    }

    pub(super) fn see_close(&self, closed: Closed, at: Instant) {
        let mut state = self.lock();
        state.sight.while_idle |= state.idle;
        state.sight.closed.get_or_insert((closed, at));
        drop(state);
        self.changed.notify_waiters();
    }
}

impl State {
    /// The server answered what no server answers.
    fn refuse(&mut self, nonsense: Nonsense) {
        // What breaks a login is told by the connector.
        if self.guard.is_logged_in() {
            tracing::warn!(
                event = "nonsense",
                "the server sent {nonsense}, as no MySQL server does: the connection is given up"
            );
        }
        self.nonsense = Some(nonsense);
    }
}

#[cfg(test)]
mod tests;
