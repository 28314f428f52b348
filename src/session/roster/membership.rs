//! One session's place on the roster, for as long as it lives.

use tokio::time::{Duration, Instant};

use super::{LEAVING, Place};
use crate::domain::conduct::proof::{OwnRow, ServerMark};
use crate::session::ghost::{Ghost, Parting, Purpose};

/// One session's place on the roster. Dropped without a word, the session is a ghost: it ended without
/// COM_QUIT, and the server may not know yet.
#[derive(Debug)]
pub struct Membership {
    place: Place,
    thread_id: u64,
    certain: bool,
    since: Instant,
    busy_until: Option<Instant>,
    wait_timeout: Option<Duration>,
    row: Option<OwnRow>,
    server: Option<ServerMark>,
    end: End,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Unknown(Parting),
    Quit,
    Aborted,
}

impl Membership {
    /// A session that was just born.
    pub(super) fn new(place: Place, thread_id: u64) -> Self {
        Self {
            place,
            thread_id,
            certain: false,
            since: Instant::now(),
            busy_until: None,
            wait_timeout: None,
            row: None,
            server: None,
            end: End::Unknown(Parting::Silent),
        }
    }

    /// The server's thread id.
    pub fn thread_id(&self) -> u64 {
        self.thread_id
    }

    /// Whether the thread id is surely the server's own.
    pub fn is_certain(&self) -> bool {
        self.certain
    }

    /// Where the session lives, as far as it could read that.
    pub fn server(&self) -> Option<&ServerMark> {
        self.server.as_ref()
    }

    /// The server calls the session by this id, whatever its greeting did. Behind a proxy that is so
    /// only for now, and not `certain`.
    pub fn rename(&mut self, thread_id: u64, certain: bool) {
        self.certain = certain;
        if thread_id != self.thread_id {
            let mut state = self.place.roster.lock();
            state.exit(self.thread_id);
            state.enter(thread_id);
            drop(state);
            self.thread_id = thread_id;
        }
    }

    /// The session read its own row, and where it lives.
    pub fn introduce(&mut self, row: Option<OwnRow>, server: Option<ServerMark>) {
        let mut state = self.place.roster.lock();
        if let Some(server) = &server {
            // The sessions of the server's earlier runs are gone; and no two sessions of one run share an id.
            state.ghosts.retain(|_, ghost| {
                ghost.server.as_ref().is_none_or(|its| {
                    let same_id = ghost.thread_id == self.thread_id && self.certain && ghost.certain;
                    !(server.is_later_run_of(its) || same_id && server.may_be_same_run(its))
                })
            });
        }
        if self.place.purpose == Purpose::ServerView {
            state.viewed = server.clone();
        }
        drop(state);
        self.row = row;
        self.server = server;
    }

    /// The session's own row, where it could read that.
    pub fn row(&self) -> Option<&OwnRow> {
        self.row.as_ref()
    }

    /// The session is idle from this moment on.
    pub fn rests_since(&mut self, since: Instant) {
        self.since = since;
    }

    /// The session's statement lasts until then.
    pub fn is_busy_until(&mut self, until: Instant) {
        self.busy_until = Some(until);
    }

    /// After how much silence the server ends the session by itself.
    pub fn ends_by_itself_after(&mut self, wait_timeout: Duration) {
        self.wait_timeout = Some(wait_timeout);
    }

    /// The session ended with COM_QUIT, or together with its server.
    pub fn leave(mut self) {
        self.end = End::Quit;
    }

    /// The session said COM_QUIT, and nothing shows that the server heard it; or it answered with RST.
    pub fn leave_unheard(mut self, reset: bool) {
        self.end = End::Unknown(if reset { Parting::Reset } else { Parting::Unheard });
    }

    /// The session is dead and the server knows: it counted it in `Aborted_clients`.
    pub fn abort(mut self) {
        self.end = End::Aborted;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let roster = self.place.roster.clone();
        let mut state = roster.lock();
        state.exit(self.thread_id);
        self.place.vacate(&mut state);
        match self.end {
            End::Quit => {
                state.leaving.retain(|_, since| since.elapsed() < LEAVING);
                state.leaving.insert(self.thread_id, Instant::now());
            }
            End::Aborted => roster.inner.rules.aborted.inc(),
            End::Unknown(parting) => {
                let ghost = Ghost {
                    thread_id: self.thread_id,
                    purpose: self.place.purpose,
                    judged: None,
                    certain: self.certain,
                    since: self.since,
                    made: Instant::now(),
                    busy_until: self.busy_until,
                    wait_timeout: self.wait_timeout,
                    row: self.row.take(),
                    server: self.server.take(),
                    parting,
                    listed: false,
                };
                state.last_ghost += 1;
                let number = state.last_ghost;
                state.ghosts.insert(number, ghost);
            }
        }
    }
}
