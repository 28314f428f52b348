//! The tap: it owns the real socket under a driver's session, by a relay in this process.
//!
//! The driver neither lends its socket nor keeps the server's goodbye. So it connects to the tap, and
//! the tap to the server: it always reads, and stamps FIN and RST as they come. TLS ends here too: the driver's side
//! is in clear. Once nothing but a few words of our own is to be said, the driver is let go.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disclosure::Watch;
use super::door::{Door, Way};
use super::error::Failure;
use super::guard::Nonsense;
use super::notes::Notes;
use super::relay::{self, End, Parted};
use super::tls::Tls;
use super::wire::Wire;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

#[derive(Debug)]
struct State {
    phase: Phase,
    notes: Notes,
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
    released: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tap under one session. Dropping it closes both sockets at once.
#[derive(Debug)]
pub(super) struct Tap {
    shared: Arc<Shared>,
    way: Way,
    tls: bool,
    relay: JoinHandle<End>,
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
        let phase = if under_tls { Phase::Handshake } else { Phase::Login };
        let state = Mutex::new(State { phase, notes: Notes::new(), watch, failure: None });
        let shared = Arc::new(Shared { state, released: Notify::new() });
        let relay = tokio::spawn(relay::run(door, server, first, tls, Arc::clone(&shared)));
        Ok(Self { shared, way, tls: under_tls, relay })
    }

    /// How the driver finds the tap.
    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    /// A command is about to be sent: what the server says from now on is its answer.
    pub(super) fn wake(&self) {
        self.shared.lock().notes.wake();
    }

    /// What the server answered that no server says, where the tap gave up the connection for it.
    pub(crate) fn nonsense(&self) -> Option<Nonsense> {
        self.shared.lock().notes.nonsense()
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

    /// Lets the driver go, which is told of an end that the server does not hear of. Gives the wire, where it has not
    /// ended, and what was noted of it.
    pub(super) async fn let_go(mut self) -> (Option<Wire>, Notes) {
        self.shared.released.notify_one();
        let wire = match (&mut self.relay).await {
            Ok(End::LetGo(wire)) => Some(wire),
            Ok(End::Parted(_)) | Err(_) => None,
        };
        (wire, std::mem::replace(&mut self.shared.lock().notes, Notes::new()))
    }

    /// Waits until the relay has handed on the driver's last words and closed both sockets.
    pub(crate) async fn finish(mut self) -> Parted {
        // The relay ends by itself after LINGER.
        match (&mut self.relay).await {
            Ok(End::Parted(parted)) => parted,
            Ok(End::LetGo(_)) | Err(_) => Parted::Unheard,
        }
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
        state.notes.say(bytes);
        Ok(())
    }

    /// Takes note of what came from the server.
    pub(super) fn note<T>(&self, note: impl FnOnce(&mut Notes) -> T) -> T {
        note(&mut self.lock().notes)
    }

    /// Waits until the driver is to be let go.
    pub(super) async fn released(&self) {
        self.released.notified().await;
    }
}

#[cfg(test)]
mod tests;
