//! A session that is logged in and asks questions: the driver over its tap, and its place among our sessions.

use std::time::Duration;

use mysql_async::Conn;
use tokio::time::Instant;

use super::held::Held;
use super::packet::Greeting;
use super::questions::{Asking, Questions};
use super::relay::Parted;
use super::roster::Membership;
use super::tap::Tap;
use crate::domain::conduct::proof::{OwnRow, ServerMark};

/// One logged-in session over its tap.
#[derive(Debug)]
pub struct Session {
    /// The driver's side.
    pub conn: Conn,
    /// The real socket's side.
    pub(super) tap: Tap,
    /// What the server said first.
    pub greeting: Greeting,
    /// How long TCP connect, greeting, TLS and login took together.
    pub connect_duration: Duration,
    pub(super) membership: Membership,
    pub(super) questions: Questions,
    pub(super) skipped: bool,
    /// When it logged in.
    pub(super) since: Instant,
    pub(super) moves: u64,
}

impl Session {
    /// The server's thread id of this session, as far as is known.
    pub fn thread_id(&self) -> u64 {
        self.membership.thread_id()
    }

    /// When its connect began: which server it met was decided then.
    pub fn began_at(&self) -> Instant {
        self.since.checked_sub(self.connect_duration).unwrap_or(self.since)
    }

    /// After how many moves of the name its address is one: [`Connector::moves`](super::Connector::moves).
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// Asks a question that may stay unanswered. `None` while it rests, because it cost sessions.
    pub fn begin(&mut self, question: &'static str) -> Option<Asking> {
        let asking = self.questions.begin(question, self.thread_id());
        self.skipped |= asking.is_none();
        asking
    }

    /// Whether a question was not asked.
    pub fn has_skipped(&self) -> bool {
        self.skipped
    }

    /// Whether the greeting told this thread id: the 32 bits that it has room for. Where it did not, a
    /// proxy that speaks MySQL greeted in the server's place.
    fn was_greeted_as(&self, thread_id: u64) -> bool {
        thread_id & u64::from(u32::MAX) == u64::from(self.greeting.thread_id)
    }

    /// Takes the full thread id as the server says it, which the greeting has only 32 bits of. Behind
    /// a proxy (`proxied`) it is the backend's for now.
    pub fn learn_thread_id(&mut self, thread_id: Option<u64>, proxied: bool) {
        let certain = thread_id.is_some_and(|thread_id| self.was_greeted_as(thread_id)) && !proxied;
        self.membership.rename(thread_id.unwrap_or(self.thread_id()), certain);
    }

    /// Takes the full thread id as the server that holds the session says it, which tells by itself whether a
    /// proxy greeted.
    pub fn learn_backend_id(&mut self, thread_id: u64) {
        let proxied = !self.was_greeted_as(thread_id);
        self.learn_thread_id(Some(thread_id), proxied);
    }

    /// Ends the session with COM_QUIT, so that the server does not count it as aborted. Waits at most
    /// `patience` for the words to be handed on.
    pub async fn quit(self, patience: Duration) {
        let Self { conn, tap, membership, .. } = self;
        if conn.is_disconnected() {
            // The driver would say nothing: its last command was left unfinished.
            return;
        }
        tap.wake();
        let tls = tap.is_tls();
        let farewell = async {
            conn.disconnect().await?;
            Ok::<_, mysql_async::Error>(tap.finish().await)
        };
        match tokio::time::timeout(patience, farewell).await {
            Ok(Ok(Parted::Closed)) => membership.leave(),
            Ok(Ok(Parted::Reset)) => membership.leave_unheard(tls),
            Ok(Ok(Parted::Unheard) | Err(_)) | Err(_) => membership.leave_unheard(false),
        }
    }

    /// Whether the thread id is surely the server's own: no proxy that speaks MySQL was seen.
    pub fn is_certain(&self) -> bool {
        self.membership.is_certain()
    }

    /// Where the session lives, as far as it could read that.
    pub fn server(&self) -> Option<&ServerMark> {
        self.membership.server()
    }

    /// The session's own row, where it could read that.
    pub fn row(&self) -> Option<&OwnRow> {
        self.membership.row()
    }

    /// Takes what the session read about itself: its own row, and where it lives.
    pub fn introduce(&mut self, row: Option<OwnRow>, server: Option<ServerMark>) {
        self.membership.introduce(row, server);
    }

    /// After how much silence, in seconds, the server ends the session by itself.
    pub fn ends_by_itself_after(&mut self, wait_timeout: f64) {
        if let Ok(wait_timeout) = Duration::try_from_secs_f64(wait_timeout) {
            self.membership.ends_by_itself_after(wait_timeout);
        }
    }

    /// Lets the driver go: from now on a few words of our own are all that is said. Gives the moment of the last byte
    /// too, from which the session's idle age counts.
    pub async fn let_go(self) -> (Held, Instant) {
        let Self { conn, tap, mut membership, .. } = self;
        let tls = tap.is_tls();
        let (wire, mut notes) = tap.let_go().await;
        // Nobody hears what it says now.
        drop(conn);
        let since = notes.rest();
        membership.rests_since(since);
        (Held::new(wire, notes, tls, membership), since)
    }
}
