//! The tap: an in-process relay on loopback that owns the real socket under a driver's session.
//!
//! The driver neither lends its socket nor keeps the server's goodbye. So it connects to the tap, and
//! the tap to the server: it always reads, stamps FIN, RST and unsolicited bytes as they come, and is
//! the one place that sets or withholds TCP keepalive.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::disclosure::{Disclosure, Watch};
use super::driver::{self, NotLetIn};
use super::guard::{Guard, Nonsense};
use super::packet::{self, Unsolicited};

/// How much of what a server says unasked is kept to be read; the rest is counted out and dropped.
const KEPT_BYTES: usize = 1024;

/// How long the tap waits for the server's FIN after the driver closed its side.
const LINGER: Duration = Duration::from_secs(1);

/// How the real connection closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// FIN.
    Fin,
    /// RST.
    Reset,
    /// The kernel gave up: keepalive or retransmission went unanswered.
    TimedOut,
}

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
    tls: bool,
    last_byte: Instant,
    heard: Vec<u8>,
    sight: Sight,
    guard: Guard,
    nonsense: Option<Nonsense>,
    watch: Watch,
    spoiled: Option<Spoiled>,
}

/// Why the tap gave up a login by itself.
#[derive(Debug, Clone)]
pub(crate) enum Spoiled {
    /// The driver was about to give the password away.
    Disclosure(Disclosure),
    /// The driver could not be let in: what the system said.
    System(Arc<io::Error>),
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the server did when the driver had said its last words and closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parted {
    /// It closed too.
    Closed,
    /// It answered with RST: it is not there any more, or still has bytes that it did not read.
    Reset,
    /// Nothing that shows that it heard them.
    Unheard,
}

/// The tap under one session. Dropping it closes both sockets at once.
#[derive(Debug)]
pub struct Tap {
    shared: Arc<Shared>,
    address: SocketAddr,
    takes_attributes: bool,
    relay: JoinHandle<Parted>,
}

impl Tap {
    /// Puts a tap on a connected socket. `first` is what was already read from it (the greeting), and
    /// is handed to the driver before all else. `watch` sees what the driver says until it is logged in.
    /// `takes_attributes` is whether the server takes connection attributes.
    ///
    /// # Errors
    /// When no loopback socket can be had.
    pub(crate) async fn open(
        server: TcpStream,
        first: Vec<u8>,
        tls: bool,
        takes_attributes: bool,
        watch: Watch,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = State {
            idle: false,
            tls,
            last_byte: Instant::now(),
            heard: Vec::new(),
            sight: Sight::default(),
            guard: Guard::new(tls),
            nonsense: None,
            watch,
            spoiled: None,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() });
        let announce = tls && takes_attributes;
        let relay = tokio::spawn(relay(listener, server, first, announce, Arc::clone(&shared)));
        Ok(Self { shared, address, takes_attributes, relay })
    }

    /// Where the driver finds the tap.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the server takes connection attributes.
    pub(crate) fn takes_attributes(&self) -> bool {
        self.takes_attributes
    }

    /// The session is idle from now on: whatever the server sends was not asked for. Gives the moment
    /// of the last byte, from which its idle age counts.
    ///
    /// Under TLS, bytes that are still on their way (session tickets) are let through first.
    pub async fn rest(&self) -> Instant {
        /// Tickets come within a round trip of the login.
        const DRAIN: Duration = Duration::from_millis(150);
        if self.shared.lock().tls {
            tokio::time::sleep(DRAIN).await;
        }
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
            sight.words = Some(packet::read_unsolicited(&state.heard, state.tls));
        }
        sight
    }

    /// What the server answered that no server says, where the tap gave up the connection for it.
    pub(crate) fn nonsense(&self) -> Option<Nonsense> {
        self.shared.lock().nonsense.clone()
    }

    /// Why the tap gave up the login by itself, where it did.
    pub(crate) fn spoiled(&self) -> Option<Spoiled> {
        self.shared.lock().spoiled.clone()
    }

    /// The driver is logged in: from now on it says commands.
    pub(crate) fn logged_in(&self) {
        self.shared.lock().watch = Watch::Off;
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
        self.shared.lock().tls
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

/// Carries bytes both ways until both sides are closed. `announce` is whether the driver's first words are to announce
/// attributes.
async fn relay(
    listener: TcpListener,
    mut server: TcpStream,
    first: Vec<u8>,
    mut announce: bool,
    shared: Arc<Shared>,
) -> Parted {
    let mut driver = match driver::accept(&listener).await {
        Ok(driver) => driver,
        Err(NotLetIn { error, _comer }) => {
            shared.lock().spoiled = Some(Spoiled::System(Arc::new(error)));
            return Parted::Unheard;
        }
    };
    drop(listener);
    // Small packets in strict turns: waiting to fill a segment would only delay them.
    let _ = driver.set_nodelay(true);
    if driver.write_all(&first).await.is_err() {
        return Parted::Unheard;
    }
    let (mut from_server, mut from_driver) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        tokio::select! {
            biased;
            read = server.read(&mut from_server) => match read {
                Ok(length) if length > 0 => {
                    // An acknowledgement sent late would be the path's last packet, and its idle timer
                    // would start later than our own clock.
                    let _ = SockRef::from(&server).set_tcp_quickack(true);
                    let passed = match shared.hear(&from_server[..length]) {
                        Heard::Answer => driver.write_all(&from_server[..length]).await.is_ok(),
                        Heard::Unsolicited => true,
                        Heard::Nonsense => false,
                    };
                    if !passed {
                        return Parted::Unheard;
                    }
                }
                closed => {
                    let reset = closed.is_err();
                    shared.see_close(closed.err());
                    return if reset { Parted::Reset } else { Parted::Closed };
                }
            },
            read = driver.read(&mut from_driver) => match read {
                Ok(length) if length > 0 => {
                    if std::mem::take(&mut announce) {
                        packet::announce_attributes(&mut from_driver[..length]);
                    }
                    if !shared.say(&from_driver[..length]) {
                        return Parted::Unheard;
                    }
                    if let Err(error) = server.write_all(&from_driver[..length]).await {
                        shared.see_close(Some(error));
                        return Parted::Unheard;
                    }
                }
                // The driver has said COM_QUIT and closed: hand it on and wait for the server's FIN.
                _ => {
                    let _ = server.shutdown().await;
                    return tokio::time::timeout(LINGER, drain(&mut server)).await.unwrap_or(Parted::Unheard);
                }
            },
        }
    }
}

/// Reads what the server still says until it closes.
async fn drain(server: &mut TcpStream) -> Parted {
    let mut bytes = vec![0; 4096];
    loop {
        match server.read(&mut bytes).await {
            Ok(0) => return Parted::Closed,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Parted::Reset,
            Err(_) => return Parted::Unheard,
        }
    }
}

/// Whose the bytes of a server are.
enum Heard {
    /// The driver's, who asked.
    Answer,
    /// Nobody's: the session is idle.
    Unsolicited,
    /// Nobody's: the driver would take them badly.
    Nonsense,
}

impl Shared {
    /// Takes note of bytes from the driver. Whether they may be handed on.
    fn say(&self, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        if let Err(disclosure) = state.watch.say(bytes) {
            state.spoiled = Some(Spoiled::Disclosure(disclosure));
            return false;
        }
        state.last_byte = Instant::now();
        state.guard.said(bytes);
        true
    }

    /// Takes note of bytes from the server.
    fn hear(&self, bytes: &[u8]) -> Heard {
        let now = Instant::now();
        let mut state = self.lock();
        if !state.idle {
            state.last_byte = now;
            let Err(nonsense) = state.guard.heard(bytes) else { return Heard::Answer };
            // What breaks a login is told by the connector.
            if state.guard.is_logged_in() {
                tracing::warn!(
                    event = "nonsense",
                    "the server sent {nonsense}, as no MySQL server does: the connection is given up"
                );
            }
            state.nonsense = Some(nonsense);
            return Heard::Nonsense;
        }
        let room = KEPT_BYTES.saturating_sub(state.heard.len());
        state.heard.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if state.sight.spoke_at.is_none() && is_speech(&state) {
            state.sight.spoke_at = Some(now);
            state.sight.while_idle = true;
            drop(state);
            self.changed.notify_waiters();
        }
        Heard::Unsolicited
    }

    fn see_close(&self, error: Option<io::Error>) {
        let now = Instant::now();
        let closed = match error {
            None => Closed::Fin,
            Some(error) => match error.kind() {
                io::ErrorKind::TimedOut
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable => Closed::TimedOut,
                _ => Closed::Reset,
            },
        };
        let mut state = self.lock();
        state.sight.while_idle |= state.idle;
        state.sight.closed.get_or_insert((closed, now));
        drop(state);
        self.changed.notify_waiters();
    }
}

/// A TLS alert announces the FIN that follows it; only other bytes are the server speaking.
fn is_speech(state: &State) -> bool {
    !(state.tls && packet::read_unsolicited(&state.heard, true) == Unsolicited::TlsAlert)
}
