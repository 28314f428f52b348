//! A session that is held: the real socket, or the TLS session on it, and a few fields. No driver, no task, no buffer.
//! The few words it still has to say, it says itself, and reads their answers by the guard's grammar.

use std::future::poll_fn;
use std::task::ready;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use super::notes::{Heard, Notes, Sight};
use super::packet::{self, ErrPacket};
use super::relay::{Parted, say_farewell};
use super::roster::Membership;
use super::wire::{Came, Closed, Wire};

/// How much is read at once, in bytes: answers to our own words are shorter.
const READ: usize = 2048;
const COM_QUIT: u8 = 0x01;
const COM_QUERY: u8 = 0x03;
const COM_PING: u8 = 0x0e;

/// Why a word of ours got no answer that is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// The server answered with an error.
    Refused(ErrPacket),
    /// The connection ended, or something else came than an answer.
    Broken,
}

/// One session that is held.
#[derive(Debug)]
pub struct Held {
    /// `None` once it has ended.
    wire: Option<Wire>,
    notes: Notes,
    tls: bool,
    /// When the TLS session ended, where the socket did not close at once.
    tls_ended: Option<Instant>,
    /// A word was said that was not answered.
    asks: bool,
    membership: Membership,
}

impl Held {
    pub(super) fn new(wire: Option<Wire>, notes: Notes, tls: bool, membership: Membership) -> Self {
        Self { wire, notes, tls, tls_ended: None, asks: false, membership }
    }

    /// The server's thread id of this session, as far as is known.
    pub fn thread_id(&self) -> u64 {
        self.membership.thread_id()
    }

    /// The session's statement lasts until then.
    pub fn is_busy_until(&mut self, until: Instant) {
        self.membership.is_busy_until(until);
    }

    /// What was seen so far.
    pub fn sight(&self) -> Sight {
        self.notes.sight()
    }

    /// Waits until the far side closes, or speaks unasked. May be dropped while it waits: nothing is lost.
    pub async fn stir(&mut self) -> Sight {
        while !self.notes.has_stirred() {
            self.watch().await;
        }
        self.notes.sight()
    }

    /// Waits until the far side closes. May be dropped while it waits.
    pub async fn close(&mut self) -> Sight {
        while !self.notes.has_closed() {
            self.watch().await;
        }
        self.notes.sight()
    }

    /// Says COM_PING and waits for OK. Then the session is idle again, and its last byte came at the moment that is
    /// given.
    ///
    /// # Errors
    /// Where something else comes.
    pub async fn ping(&mut self) -> Result<Instant, Unanswered> {
        self.ask(&[1, 0, 0, 0, COM_PING]).await?;
        Ok(self.notes.rest())
    }

    /// Asks the server to run a statement of less than 250 bytes, and waits for its end. The session is not idle after
    /// it.
    ///
    /// # Errors
    /// Where something else comes.
    pub async fn run(&mut self, statement: &str) -> Result<(), Unanswered> {
        let length = u8::try_from(statement.len() + 1).map_err(|_| Unanswered::Broken)?;
        self.ask(&[&[length, 0, 0, 0, COM_QUERY], statement.as_bytes()].concat()).await
    }

    async fn ask(&mut self, command: &[u8]) -> Result<(), Unanswered> {
        self.notes.wake();
        self.asks = true;
        let Some(wire) = &mut self.wire else { return Err(Unanswered::Broken) };
        self.notes.say(command);
        if let Err(error) = wire.write(command).await {
            self.notes.see_close(Closed::by(&error), Instant::now());
            self.wire = None;
        }
        self.hear_answer().await
    }

    /// Waits on for the answer to what was asked last.
    ///
    /// # Errors
    /// Where something else comes, or nothing can come any more.
    pub async fn hear_answer(&mut self) -> Result<(), Unanswered> {
        loop {
            if self.notes.nonsense().is_some() || self.wire.is_none() {
                return Err(Unanswered::Broken);
            }
            if let Some(answer) = self.notes.answer() {
                self.asks = false;
                return answer.map_err(Unanswered::Refused);
            }
            self.watch().await;
        }
    }

    /// Waits for the next thing to come, and notes it. Waits for ever where nothing can come any more.
    async fn watch(&mut self) {
        let Self { wire, notes, .. } = self;
        let Some(wire) = wire else { return std::future::pending().await };
        // The room for bytes is there only while they come: this future is held for hours.
        let came = poll_fn(|context| {
            let mut bytes = [0; READ];
            let came = ready!(wire.poll_read(context, &mut bytes));
            let now = Instant::now();
            let is_over = match came {
                Came::Bytes(length) => notes.hear(&bytes[..length], now) == Heard::Nonsense,
                Came::Garbled => {
                    notes.hear_garbled(now);
                    true
                }
                Came::TlsEnd(_) | Came::Closed(_) => false,
            };
            std::task::Poll::Ready((came, now, is_over))
        });
        let (closed, at) = match came.await {
            (Came::TlsEnd(_), now, _) => {
                let at = *self.tls_ended.get_or_insert(now);
                // Kept apart: its room is not needed for hours.
                (Box::pin(wire.close()).await, at)
            }
            (Came::Closed(closed), now, _) => (closed, now),
            (_, _, true) => {
                self.wire = None;
                return;
            }
            (Came::Bytes(_) | Came::Garbled, _, false) => return,
        };
        self.notes.see_close(closed, at);
        // Closing takes longer than to note when others closed.
        yield_now().await;
        self.wire = None;
    }

    /// Ends the session with COM_QUIT, so that the server does not count it as aborted. Waits at most
    /// `patience` for the server to close. In the midst of a command nothing can be said.
    pub async fn quit(self, patience: Duration) {
        let Self { wire, membership, tls, asks, .. } = self;
        let (Some(mut wire), false) = (wire, asks) else { return };
        let farewell = async {
            wire.write(&[1, 0, 0, 0, COM_QUIT]).await?;
            Ok::<_, std::io::Error>(say_farewell(&mut wire).await)
        };
        match timeout(patience, farewell).await {
            Ok(Ok(Parted::Closed)) => membership.leave(),
            Ok(Ok(Parted::Reset)) => membership.leave_unheard(tls),
            Ok(Ok(Parted::Unheard) | Err(_)) | Err(_) => membership.leave_unheard(false),
        }
    }

    /// Lets go of a session whose connection is dead.
    pub fn bury(self) -> Membership {
        self.membership
    }
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(err) => write!(to, "error {} ({})", err.code, packet::shortened(&err.message)),
            Self::Broken => to.write_str("no answer that is one"),
        }
    }
}

#[cfg(test)]
mod tests;
