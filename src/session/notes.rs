//! What is noted of the far side of a session: when it last spoke, what it said unasked, how it closed.

use tokio::time::Instant;

use super::guard::{Guard, Manner, Nonsense};
use super::packet::{self, ErrPacket, Unsolicited};
use super::wire::Closed;

/// How much of what a server says unasked is kept to be read; the rest is counted out and dropped.
const KEPT_BYTES: usize = 1024;

/// What was seen of the far side. All `None` while the connection is well.
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

/// Whose the bytes of a server are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Theirs who asked.
    Answer,
    /// Nobody's: the session is idle.
    Unsolicited,
    /// Nobody's: no server says so.
    Nonsense,
}

/// The notes on one session.
#[derive(Debug)]
pub(super) struct Notes {
    /// No command is under way: what comes now was not asked for.
    idle: bool,
    last_byte: Instant,
    /// There while something is asked.
    guard: Option<Box<Guard>>,
    manner: Manner,
    /// What was seen, once anything was. Thousands of sessions may rest, of which nothing was seen.
    seen: Option<Box<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    heard: Vec<u8>,
    sight: Sight,
    nonsense: Option<Nonsense>,
}

impl Notes {
    /// On a session that is not idle yet.
    pub(super) fn new() -> Self {
        Self {
            idle: false,
            last_byte: Instant::now(),
            guard: Some(Box::new(Guard::new())),
            manner: Manner::default(),
            seen: None,
        }
    }

    /// The session is idle from now on. Gives the moment of the last byte.
    pub(super) fn rest(&mut self) -> Instant {
        self.idle = true;
        if let Some(guard) = self.guard.take() {
            self.manner = guard.manner();
        }
        self.last_byte
    }

    /// A command is about to be sent.
    pub(super) fn wake(&mut self) {
        self.idle = false;
    }

    /// What was seen so far.
    pub(super) fn sight(&self) -> Sight {
        let Some(seen) = &self.seen else { return Sight::default() };
        let mut sight = seen.sight.clone();
        if sight.spoke_at.is_some() {
            sight.words = Some(packet::read_unsolicited(&seen.heard));
        }
        sight
    }

    /// Whether the far side closed, or spoke unasked.
    pub(super) fn has_stirred(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.sight.closed.is_some() || seen.sight.spoke_at.is_some())
    }

    /// Whether the far side closed.
    pub(super) fn has_closed(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.sight.closed.is_some())
    }

    /// What the server answered that no server says.
    pub(super) fn nonsense(&self) -> Option<Nonsense> {
        self.seen.as_ref()?.nonsense.clone()
    }

    /// How the last command was answered, once it was.
    pub(super) fn answer(&mut self) -> Option<Result<(), ErrPacket>> {
        self.guard().answer()
    }

    /// Our own side said this.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        self.last_byte = Instant::now();
        self.guard().said(bytes);
    }

    /// The server said this.
    pub(super) fn hear(&mut self, bytes: &[u8], now: Instant) -> Heard {
        if !self.idle {
            self.last_byte = now;
            if let Err(nonsense) = self.guard().heard(bytes) {
                self.refuse(nonsense);
                return Heard::Nonsense;
            }
            let unasked = self.guard().unasked();
            if unasked > 0 {
                self.keep(&bytes[bytes.len() - unasked..], now);
            }
            return Heard::Answer;
        }
        self.keep(bytes, now);
        Heard::Unsolicited
    }

    /// Keeps what nobody asked for.
    fn keep(&mut self, bytes: &[u8], now: Instant) {
        let heard = &mut self.seen().heard;
        let room = KEPT_BYTES.saturating_sub(heard.len());
        heard.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.spoke(now);
    }

    /// Bytes came that are no record of the TLS session.
    pub(super) fn hear_garbled(&mut self, now: Instant) {
        match self.idle {
            true => self.spoke(now),
            false => self.refuse(Nonsense::NoRecord),
        }
    }

    /// The connection closed.
    pub(super) fn see_close(&mut self, closed: Closed, at: Instant) {
        let idle = self.idle;
        let sight = &mut self.seen().sight;
        sight.while_idle |= idle;
        sight.closed.get_or_insert((closed, at));
    }

    fn spoke(&mut self, now: Instant) {
        let sight = &mut self.seen().sight;
        if sight.spoke_at.is_none() {
            sight.spoke_at = Some(now);
            sight.while_idle = true;
        }
    }

    fn seen(&mut self) -> &mut Seen {
        self.seen.get_or_insert_default()
    }

    fn guard(&mut self) -> &mut Guard {
        let manner = self.manner;
        self.guard.get_or_insert_with(|| Box::new(Guard::take_up(manner)))
    }

    /// The server answered what no server answers.
    fn refuse(&mut self, nonsense: Nonsense) {
        // What breaks a login is told by the connector.
        if self.guard().is_logged_in() {
            tracing::warn!(
                event = "nonsense",
                "the server sent {nonsense}, as no MySQL server does: the connection is given up"
            );
        }
        self.seen().nonsense = Some(nonsense);
    }
}
