//! The tap: an in-process relay that owns the real socket under a driver's session.
//!
//! The driver neither lends its socket nor keeps the server's goodbye. So it connects to the tap, and
//! the tap to the server: it always reads, stamps FIN, RST and unsolicited bytes as they come, and is
//! the one place that sets or withholds TCP keepalive. TLS ends here too: the driver's side is in clear.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::comer::NotLetIn;
use super::disclosure::Watch;
use super::door::{Door, Duplex, Way};
use super::error::{Failure, Stage};
use super::guard::{Guard, Nonsense};
use super::packet::{self, HEADER, Unsolicited};
use super::sequence::Sequence;
use super::tls::Tls;
use super::wire::{Came, Closed, LINGER, Wire};

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
        let relay = tokio::spawn(relay(door, server, first, tls, Arc::clone(&shared)));
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

/// Lets the driver in, ends TLS where there is one, and carries bytes both ways until both sides are closed.
async fn relay(
    door: Door,
    server: TcpStream,
    first: Vec<u8>,
    tls: Option<Tls>,
    shared: Arc<Shared>,
) -> Parted {
    let mut driver = match door.accept().await {
        Ok(driver) => driver,
        Err(NotLetIn { error, _comer }) => {
            shared.give_up(Failure::by_system(Stage::Local, "the tap's own socket failed", &error));
            return Parted::Unheard;
        }
    };
    drop(door);
    if driver.write_all(&first).await.is_err() {
        return Parted::Unheard;
    }
    let Some(tls) = tls else {
        return Relay { wire: Wire::Plain(server), driver, shifts: None, shared }.run().await;
    };
    let Ok(mut login) = read_packet(&mut driver).await else { return Parted::Unheard };
    match tls.begin(server, &mut login).await {
        Err(failure) => {
            shared.give_up(failure);
            Parted::Unheard
        }
        Ok(stream) => {
            shared.lock().phase = Phase::Login;
            let shifts = Some((Sequence::up(), Sequence::down()));
            let mut relay = Relay { wire: Wire::Tls(Box::new(stream)), driver, shifts, shared };
            match relay.hand_on(&mut login).await {
                true => relay.run().await,
                false => Parted::Unheard,
            }
        }
    }
}

/// Reads the driver's login packet, its first word.
async fn read_packet(driver: &mut Box<dyn Duplex>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER];
    driver.read_exact(&mut bytes).await?;
    let length = packet::payload_length([bytes[0], bytes[1], bytes[2], bytes[3]]);
    bytes.resize(HEADER + length, 0);
    driver.read_exact(&mut bytes[HEADER..]).await?;
    Ok(bytes)
}

/// Both ends of a session, and what changes on the way.
struct Relay {
    wire: Wire,
    driver: Box<dyn Duplex>,
    /// Until the login is over, under TLS: of the driver's packets, and of the server's.
    shifts: Option<(Sequence, Sequence)>,
    shared: Arc<Shared>,
}

impl Relay {
    async fn run(mut self) -> Parted {
        let (mut from_server, mut from_driver) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
        loop {
            tokio::select! {
                biased;
                came = self.wire.read(&mut from_server) => {
                    if let Err(parted) = self.take(came, &mut from_server).await {
                        return parted;
                    }
                }
                read = self.driver.read(&mut from_driver) => match read {
                    Ok(length) if length > 0 => {
                        if !self.hand_on(&mut from_driver[..length]).await {
                            return Parted::Unheard;
                        }
                    }
                    // The driver has said COM_QUIT and closed: hand it on and wait for the server's FIN.
                    _ => {
                        self.wire.finish().await;
                        return timeout(LINGER, drain(&mut self.wire)).await.unwrap_or(Parted::Unheard);
                    }
                },
            }
        }
    }

    /// Takes what came from the server: the driver's answers are handed to it. An error where the session is over.
    async fn take(&mut self, came: Came, bytes: &mut [u8]) -> Result<(), Parted> {
        let now = Instant::now();
        let closed = match came {
            Came::Bytes(length) => {
                let bytes = &mut bytes[..length];
                match self.shared.hear(bytes) {
                    Heard::Answer => {
                        self.shift(bytes, |(_, down)| down);
                        return self.driver.write_all(bytes).await.map_err(|_| Parted::Unheard);
                    }
                    Heard::Unsolicited => return Ok(()),
                    Heard::Nonsense => return Err(Parted::Unheard),
                }
            }
            Came::Garbled => {
                self.shared.hear_garbled(now);
                return Err(Parted::Unheard);
            }
            Came::TlsEnd => self.wire.close().await,
            Came::Closed(closed) => closed,
        };
        self.shared.see_close(closed, now);
        Err(if closed == Closed::Fin { Parted::Closed } else { Parted::Reset })
    }

    /// Hands the driver's words on to the server. Whether that went well.
    async fn hand_on(&mut self, bytes: &mut [u8]) -> bool {
        if let Err(failure) = self.shared.say(bytes) {
            self.shared.give_up(failure);
            return false;
        }
        self.shift(bytes, |(up, _)| up);
        let written = self.wire.write(bytes).await;
        if let Err(error) = &written {
            self.shared.see_close(Closed::by(error), Instant::now());
        }
        written.is_ok()
    }

    /// Shifts sequence ids until the login is over.
    fn shift(&mut self, bytes: &mut [u8], one: impl FnOnce(&mut (Sequence, Sequence)) -> &mut Sequence) {
        if self.shared.lock().phase == Phase::LoggedIn {
            self.shifts = None;
        }
        if let Some(shifts) = &mut self.shifts {
            one(shifts).shift(bytes);
        }
    }
}

/// Reads what the server still says until it closes.
async fn drain(wire: &mut Wire) -> Parted {
    let mut bytes = vec![0; 4096];
    loop {
        match wire.read(&mut bytes).await {
            Came::Bytes(_) => {}
            Came::TlsEnd | Came::Closed(Closed::Fin) => return Parted::Closed,
            Came::Closed(Closed::Reset) => return Parted::Reset,
            Came::Closed(Closed::TimedOut) | Came::Garbled => return Parted::Unheard,
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
    /// The tap gives up the login.
    fn give_up(&self, failure: Failure) {
        self.lock().failure = Some(failure);
    }

    /// Takes note of bytes from the driver. An error where they may not be handed on.
    fn say(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut state = self.lock();
        state.watch.say(bytes)?;
        state.last_byte = Instant::now();
        state.guard.said(bytes);
        Ok(())
    }

    /// Takes note of bytes from the server.
    fn hear(&self, bytes: &[u8]) -> Heard {
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
    fn hear_garbled(&self, now: Instant) {
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

    fn see_close(&self, closed: Closed, at: Instant) {
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
