//! Ghosts: sessions of ours whose client is dead and whose server may not know.

use tokio::time::{Duration, Instant};

use crate::domain::conduct::proof::{Claim, GhostKill, OwnRow, ServerMark};

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// A canary.
    Canary,
    /// The witness, which asks just after deaths.
    Witness,
    /// The server view.
    ServerView,
}

impl Purpose {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Canary => "a canary",
            Self::Witness => "a witness",
            Self::ServerView => "the server view",
        }
    }
}

/// How long a session stays on a server that would end it by itself but does not say when: the servers'
/// default `wait_timeout`.
const UNKNOWN_WAIT_TIMEOUT: Duration = Duration::from_secs(28_800);
/// How much later than its `wait_timeout` a server may end a session.
const LATE: Duration = Duration::from_secs(10);
/// For how much longer a ghost is remembered that was listed to the last.
const OBSTINATE: Duration = Duration::from_secs(600);
/// How long a session counts that said COM_QUIT and, under TLS, was answered by RST.
const BELIEVED: Duration = Duration::from_secs(2);

/// How a ghost came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// Without COM_QUIT.
    Silent,
    /// With COM_QUIT, and no sign that it was heard.
    Unheard,
    /// With COM_QUIT, and a RST for an answer, as servers send it under TLS; and firewalls.
    Reset,
}

/// A session whose client is dead and whose server may not know.
#[derive(Debug, Clone)]
pub struct Ghost {
    /// The server's thread id.
    pub thread_id: u64,
    /// What the session was for.
    pub purpose: Purpose,
    /// What the server thought of it, once that is settled; nothing is tried again.
    pub judged: Option<GhostKill>,
    /// Whether the thread id is surely its own: no proxy stands between.
    pub(super) certain: bool,
    /// The last moment at which the server surely heard of it.
    pub(super) since: Instant,
    /// When its client was given up.
    pub(super) made: Instant,
    /// Until when its statement lasts, where it is in one.
    pub(super) busy_until: Option<Instant>,
    /// Its own `wait_timeout`.
    pub(super) wait_timeout: Option<Duration>,
    pub(super) row: Option<OwnRow>,
    pub(super) server: Option<ServerMark>,
    pub(super) parting: Parting,
    /// Whether the server view saw it when it last looked.
    pub(super) listed: bool,
}

impl Ghost {
    /// What is known of it now. Whether its id is in use must be asked of the roster.
    pub(super) fn claim(&self, id_in_use: bool) -> Claim {
        Claim {
            id_certain: self.certain,
            server: self.server.clone(),
            row: self.row.clone(),
            silent_at_least: self
                .busy_until
                .map_or(self.made, |until| until.max(self.made))
                .elapsed()
                .as_secs_f64(),
            silent_at_most: self.since.elapsed().as_secs_f64(),
            id_in_use,
        }
    }

    /// Whether the server may still hold it.
    pub(super) fn counts(&self, now: Instant) -> bool {
        self.parting != Parting::Reset || self.listed || now.saturating_duration_since(self.made) < BELIEVED
    }

    /// Whether its server has ended it by itself by now.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let last_word = self.busy_until.map_or(self.made, |until| until.max(self.made));
        let held = self.wait_timeout.unwrap_or(UNKNOWN_WAIT_TIMEOUT);
        let held = held + held / 1000 + LATE + if self.listed { OBSTINATE } else { Duration::ZERO };
        now.saturating_duration_since(last_word) > held
    }

    /// Whether it lives on this server, as far as can be told: a server that does not say who it is may be
    /// the same.
    pub(super) fn may_live_on(&self, server: Option<&ServerMark>) -> bool {
        self.server.as_ref().zip(server).is_none_or(|(its, server)| its.may_be_same_run(server))
    }
}
