//! The guard: what a server answers, followed as a grammar before the driver believes it.
//!
//! No server sends what is refused here, and the driver (mysql_async 0.37.1) takes it badly: it panics on an
//! empty packet, an empty nonce or a bad RSA key where it wanted a good one, on a result set without columns,
//! asks for the memory of as many columns as are announced, which may end the process, and takes what was sent ahead for
//! the answer to its next question.
//!
//! What streams by is looked at and not kept, but for the beginnings of the packets that say what follows.

use super::packet::{self, ERR_CODE, ERR_STATE, ErrPacket, HEADER};
use row::Row;

mod key;
mod row;

/// The longest packet the driver takes from a server, in bytes: nothing we ask for comes near it.
pub(crate) const LONGEST_PACKET: usize = 1 << 20;
/// The longest answer to one question, in bytes: the processlist of a server with 100,000 sessions of clients
/// with long host names.
const LONGEST_ANSWER: usize = 32 << 20;
/// The most rows an answer may have. Each costs the driver some 200 bytes besides its own.
const MOST_ROWS: u32 = 250_000;
/// The most columns an answer may have: nothing we ask for comes near it.
const MOST_COLUMNS: u64 = 256;
/// How much of a packet is kept to be looked at; more than any login packet or RSA key has.
const KEPT_BYTES: usize = 2048;
/// `CLIENT_DEPRECATE_EOF`, in the fourth byte of the capability bits: the end of rows is an OK, and that of columns is
/// not told.
const CLIENT_DEPRECATE_EOF: u8 = 1;
/// `SERVER_MORE_RESULTS_EXISTS`, in the first byte of the status.
const MORE_RESULTS: u8 = 8;

/// What no server says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Nonsense {
    /// A packet without payload.
    #[error("an empty packet")]
    EmptyPacket,
    /// A packet that cannot be an answer to anything we ask.
    #[error("a packet of {0} bytes")]
    LongPacket(usize),
    /// An answer without end.
    #[error("an answer of more than {} MiB", LONGEST_ANSWER >> 20)]
    LongAnswer,
    /// Rows without end.
    #[error("an answer of more than {MOST_ROWS} rows")]
    ManyRows,
    /// A challenge that is empty.
    #[error("an empty challenge for the login")]
    EmptyChallenge,
    /// An ERR that is too short for its code and its SQL state: the driver takes it for an answer of another kind.
    #[error("an error without a code")]
    ShortError,
    /// An ERR without its SQL state to a command of the driver, which takes it for an answer of another kind; for a pong,
    /// for one. In the login, where the server may not know yet that there is to be one, it gets one on its way.
    #[error("an error without an SQL state")]
    StatelessError,
    /// No RSA key of 1024 to 8192 bits where one must be.
    #[error("something else than its RSA key")]
    NoKey,
    /// Neither OK nor ERR after it said that the scramble is right.
    #[error("something else than OK to a login that it took")]
    NoVerdict,
    /// A result set of no or too many columns.
    #[error("a result set of {0} columns")]
    Columns(u64),
    /// Something else after the columns than their end.
    #[error("something else than the end of its columns")]
    NoEnd,
    /// A row that has not as many cells as there are columns.
    #[error("a row that does not fit its columns")]
    Row,
    /// Another result set, of one question.
    #[error("a second answer to one question")]
    MoreResults,
    /// A request for a file of this machine.
    #[error("a request for a file of ours")]
    LocalFile,
    /// Bytes that are no record of the TLS session.
    #[error("bytes that are no part of the TLS session")]
    NoRecord,
    /// A ping answered by neither OK nor ERR.
    #[error("something else than OK to a ping")]
    NoPong,
    /// A packet that answers nothing.
    #[error("more than was asked for")]
    Unasked,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// Nothing: it is the driver's turn. Only an ERR ends a session without having been asked.
    Nothing,
    /// Nothing at all: an ERR ended the session.
    End,
    /// Whatever comes: COM_QUIT was said, and nobody reads any more.
    Anything,
    /// A word in the login.
    Login,
    /// The server's RSA key.
    Key,
    /// OK or ERR, after the server took the scramble.
    Verdict,
    /// OK or ERR to COM_PING.
    Pong,
    /// The first packet of an answer.
    Answer,
    /// So many definitions of columns of `all`.
    Columns { left: u64, all: u64 },
    /// The end of `all` columns.
    ColumnsEnd { all: u64 },
    /// Rows of `all` columns, or their end.
    Rows { all: u64 },
}

/// How a session's answers are made.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    deprecates_eof: bool,
}

/// Follows both sides of one session.
#[derive(Debug)]
pub(crate) struct Guard {
    awaited: Awaited,
    /// Whether a command was asked, so that the login is over.
    logged_in: bool,
    /// Whether there is no driver any more, and ERR is read as [`packet::parse_err`] does.
    held: bool,
    deprecates_eof: bool,
    /// How many bytes and rows this answer has so far.
    answer: usize,
    rows: u32,
    header: [u8; HEADER],
    /// How much of the header has come.
    head: usize,
    /// The beginning of the payload.
    payload: Vec<u8>,
    /// How long the payload is, in bytes, and how much of it is still to come.
    length: usize,
    missing: usize,
    row: Row,
    /// The ERR that answered.
    refusal: Option<ErrPacket>,
    /// Once something begins to come where all is answered: how much of what was heard last that was.
    unasked: Option<usize>,
}

impl Guard {
    pub(crate) fn new() -> Self {
        Self {
            awaited: Awaited::Nothing,
            logged_in: false,
            held: false,
            deprecates_eof: false,
            answer: 0,
            rows: 0,
            header: [0; HEADER],
            head: 0,
            payload: Vec::new(),
            length: 0,
            missing: 0,
            row: Row::default(),
            refusal: None,
            unasked: None,
        }
    }

    /// The driver said this; it says one packet at a time, and then waits for the answer.
    pub(crate) fn said(&mut self, bytes: &[u8]) {
        self.answer = 0;
        self.rows = 0;
        self.refusal = None;
        self.unasked = None;
        // A command starts counting packets afresh.
        self.logged_in |= matches!(bytes, [_, _, _, 0, _, ..]);
        self.awaited = match bytes {
            [_, _, _, 0, 0x01, ..] => Awaited::Anything,
            [_, _, _, 0, 0x0e, ..] => Awaited::Pong,
            [_, _, _, 0, ..] => Awaited::Answer,
            [1, 0, 0, _, 0x02] => Awaited::Key,
            [_, _, _, 1, _, _, _, bits, ..] => {
                self.deprecates_eof = bits & CLIENT_DEPRECATE_EOF != 0;
                Awaited::Login
            }
            _ => Awaited::Login,
        };
    }

    /// One for the commands of a session that was logged in under this one's eyes.
    pub(crate) fn take_up(manner: Manner) -> Self {
        Self { logged_in: true, held: true, deprecates_eof: manner.deprecates_eof, ..Self::new() }
    }

    /// All that the next command needs to know.
    pub(crate) fn manner(&self) -> Manner {
        Manner { deprecates_eof: self.deprecates_eof }
    }

    /// Whether a command was asked, so that the login is over.
    pub(crate) fn is_logged_in(&self) -> bool {
        self.logged_in
    }

    /// How what was asked was answered, once it was: by ERR, or otherwise.
    pub(crate) fn answer(&mut self) -> Option<Result<(), ErrPacket>> {
        matches!(self.awaited, Awaited::Nothing | Awaited::End)
            .then(|| self.refusal.take().map_or(Ok(()), Err))
    }

    /// How many of the bytes that were heard last, counted from their end, came after the answer: a server's last words
    /// may come in one piece with it.
    pub(crate) fn unasked(&self) -> usize {
        self.unasked.unwrap_or_default()
    }

    /// The server said this.
    pub(crate) fn heard(&mut self, mut bytes: &[u8]) -> Result<(), Nonsense> {
        self.answer = self.answer.saturating_add(bytes.len());
        if self.answer > LONGEST_ANSWER {
            return Err(Nonsense::LongAnswer);
        }
        self.unasked = self.unasked.map(|_| bytes.len());
        while !bytes.is_empty() {
            if self.unasked.is_none() && self.head == 0 && self.awaited == Awaited::Nothing {
                self.unasked = Some(bytes.len());
            }
            bytes = self.take(bytes)?;
        }
        Ok(())
    }

    /// Takes a header, or what belongs to one payload, and gives the rest.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Nonsense> {
        let rest = if self.head < HEADER {
            let (head, rest) = bytes.split_at(bytes.len().min(HEADER - self.head));
            self.header[self.head..self.head + head.len()].copy_from_slice(head);
            self.head += head.len();
            if self.head < HEADER {
                return Ok(rest);
            }
            self.length = packet::payload_length(self.header);
            self.missing = self.length;
            self.payload.clear();
            if let Awaited::Rows { all } = self.awaited {
                self.row = Row::of(all);
            }
            if self.length > LONGEST_PACKET {
                return Err(Nonsense::LongPacket(self.length));
            }
            rest
        } else {
            let (body, rest) = bytes.split_at(bytes.len().min(self.missing));
            self.missing -= body.len();
            let room = self.kept() - self.payload.len();
            self.payload.extend_from_slice(&body[..body.len().min(room)]);
            if matches!(self.awaited, Awaited::Rows { .. }) {
                self.row.take(body);
            }
            rest
        };
        if self.missing == 0 {
            self.awaited = self.look()?;
            if self.payload.first() == Some(&0xff) && self.unasked.is_none() {
                self.refusal = packet::parse_err(&self.payload);
            }
            self.head = 0;
        }
        Ok(rest)
    }

    /// How much of this packet is kept, in bytes: one more than is looked at.
    fn kept(&self) -> usize {
        /// As much as an OK has up to its status.
        const END: usize = 32;
        match self.awaited {
            Awaited::Login | Awaited::Key => KEPT_BYTES + 1,
            _ => END,
        }
    }

    /// Looks at a whole packet. What may come after it.
    fn look(&mut self) -> Result<Awaited, Nonsense> {
        use Awaited::{Answer, Anything, Columns, ColumnsEnd, End, Key, Login, Nothing, Pong, Rows, Verdict};
        let payload = &self.payload[..];
        let Some(&first) = payload.first() else { return Err(Nonsense::EmptyPacket) };
        match (self.awaited, first) {
            (Anything, _) => Ok(Anything),
            (End, _) => Err(Nonsense::Unasked),
            (_, 0xff) if !is_error(payload) => Err(Nonsense::ShortError),
            (_, 0xff) if self.logged_in && !self.held && !packet::has_state(payload) => {
                Err(Nonsense::StatelessError)
            }
            // ERR answers everything. Without a question, and in the login, it is the server's last word.
            (Nothing | Login | Key | Verdict, 0xff) => Ok(End),
            (_, 0xff) => Ok(Nothing),
            (Nothing, _) => Err(Nonsense::Unasked),
            (Login, 0xfe) => look_at_challenge(payload).map(|()| Nothing),
            // The scramble was right; OK follows unasked.
            (Login, 1) if payload.get(1) == Some(&3) => Ok(Verdict),
            (Login, _) => Ok(Nothing),
            (Key, _) => key::look_at(payload).map(|()| Nothing),
            (Verdict, 0) => Ok(Nothing),
            (Verdict, _) => Err(Nonsense::NoVerdict),
            (Pong, 0) => Ok(Nothing),
            (Pong, _) => Err(Nonsense::NoPong),
            (Answer, 0xfb) => Err(Nonsense::LocalFile),
            (Answer, 0) if self.length > 1 => ends(ok_status(payload)),
            (Answer, _) => match length_encoded(payload).0 {
                all @ 1..=MOST_COLUMNS => Ok(Columns { left: all, all }),
                all => Err(Nonsense::Columns(all)),
            },
            (Columns { left: left @ 2.., all }, _) => Ok(Columns { left: left - 1, all }),
            (Columns { all, .. }, _) if self.deprecates_eof => Ok(Rows { all }),
            (Columns { all, .. }, _) => Ok(ColumnsEnd { all }),
            (ColumnsEnd { all }, 0xfe) if self.length < SHORTEST_LONG_CELL => Ok(Rows { all }),
            (ColumnsEnd { .. }, _) => Err(Nonsense::NoEnd),
            (Rows { .. }, 0xfe) if self.deprecates_eof => ends(ok_status(payload)),
            (Rows { .. }, 0xfe) if self.length < SHORTEST_LONG_CELL => ends(payload.get(3)),
            (Rows { .. }, _) if !self.row.is_whole() => Err(Nonsense::Row),
            (Rows { .. }, _) if self.rows >= MOST_ROWS => Err(Nonsense::ManyRows),
            (Rows { all }, _) => {
                self.rows += 1;
                Ok(Rows { all })
            }
        }
    }
}

/// A packet that begins with 0xfe and is shorter cannot begin with a cell, whose length would take eight bytes more.
const SHORTEST_LONG_CELL: usize = 9;

/// Whether an ERR has its code, and its SQL state where one begins.
fn is_error(payload: &[u8]) -> bool {
    payload.len() >= if packet::has_state(payload) { ERR_CODE + ERR_STATE } else { ERR_CODE }
}

/// An answer ended with this first byte of status, where it has one.
fn ends(status: Option<&u8>) -> Result<Awaited, Nonsense> {
    match status {
        Some(status) if status & MORE_RESULTS != 0 => Err(Nonsense::MoreResults),
        _ => Ok(Awaited::Nothing),
    }
}

/// The first byte of the status in an OK: after two length-encoded numbers.
fn ok_status(payload: &[u8]) -> Option<&u8> {
    let (_, affected) = length_encoded(&payload[1..]);
    let (_, last_id) = length_encoded(payload.get(1 + affected..)?);
    payload.get(1 + affected + last_id)
}

/// A request to log in another way: the plugin's name, a zero, the challenge. The one byte alone is how
/// servers before 4.1 asked, which the driver declines by itself.
fn look_at_challenge(payload: &[u8]) -> Result<(), Nonsense> {
    let mut parts = payload[1..].splitn(2, |&byte| byte == 0);
    let (name, challenge) = (parts.next(), parts.next());
    let empty = challenge.is_none_or(|challenge| challenge.iter().all(|&byte| byte == 0));
    if name.is_some_and(|name| !name.is_empty()) && empty { Err(Nonsense::EmptyChallenge) } else { Ok(()) }
}

/// A length-encoded number, zero where it is none; and how many bytes it takes.
fn length_encoded(payload: &[u8]) -> (u64, usize) {
    let bytes = match payload {
        [small @ 0..=0xfa, ..] => return (u64::from(*small), 1),
        [0xfc, rest @ ..] => rest.get(..2).unwrap_or_default(),
        [0xfd, rest @ ..] => rest.get(..3).unwrap_or_default(),
        [0xfe, rest @ ..] => rest.get(..8).unwrap_or_default(),
        _ => &[],
    };
    (bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)), 1 + bytes.len())
}

#[cfg(test)]
mod tests;
