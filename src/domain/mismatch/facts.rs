//! What the rules are told: one path at one moment. Missing knowledge is `None`, never zero.

use crate::domain::applications::Evidence;
use crate::domain::culprit::Culprit;
use crate::domain::culprit::remedy::Remedies;
use crate::domain::layers::pool::Pool;
use crate::domain::layers::{Device, Kernel};
use crate::domain::life::ending::Ending;
use crate::domain::limit::{IdleLimit, ServerLimit};

use super::idle_transaction::IdleTransactions;

/// All that the rules and the verdict may know of one path. All times in seconds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// The path's configured name.
    pub path: String,
    /// The limit of idle canaries.
    pub idle: IdleLimit,
    /// The limit of active canaries, which ping: an age since connect.
    pub lifetime: IdleLimit,
    /// Who ends idle canaries at the limit, and how. `None` while nothing died.
    pub killer: Option<Killer>,
    /// Whether KILL ends canaries that ping at the age at which they die.
    pub old_are_killed: bool,
    /// The limit of each server behind the path, where they do not share one.
    pub servers: Vec<ServerLimit>,
    /// Every sort of death of idle canaries that counts now, with its number: those at ages that nothing
    /// newer survived, by who strikes now; of the ones that bound no age, such as a KILL, those of the last
    /// day.
    pub deaths: Vec<Deaths>,
    /// What the twins showed.
    pub remedies: Remedies,
    /// `@@session.wait_timeout` as canaries find it at login, before they change their own.
    pub session_wait_timeout: Option<f64>,
    /// `@@global.wait_timeout`.
    pub global_wait_timeout: Option<f64>,
    /// The TCP settings of the kernel that the exporter runs on.
    pub kernel: Option<Kernel>,
    /// Declared pools.
    pub pools: Vec<Pool>,
    /// Declared devices on this path.
    pub devices: Vec<Device>,
    /// Sleeping application sessions by user, our own left out. `None` while the server cannot be asked.
    pub sessions: Option<Vec<UserSessions>>,
    /// What the applications' followed sessions show. `None` while they cannot be followed.
    pub applications: Option<Evidence>,
    /// How many sessions the server lists whose client is known dead. `None` while it cannot be asked.
    pub ghosts: Option<usize>,
    /// The servers that answer on this path, by the names that they give themselves. Empty where none is known.
    pub identities: Vec<String>,
    /// The other paths to the same server.
    pub other_paths: Vec<OtherPath>,
    /// What ends sessions inside a transaction, and who rests in one. `None` while the server cannot be asked.
    pub idle_transactions: Option<IdleTransactions>,
    /// The ladder's last rung: no canary is held for longer.
    pub ladder_end: Option<f64>,
}

/// Who ends idle canaries at the limit, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Killer {
    /// Who.
    pub culprit: Culprit,
    /// What the wire showed.
    pub ending: Ending,
}

/// Deaths of one sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deaths {
    /// Who did it.
    pub culprit: Culprit,
    /// What the wire showed.
    pub ending: Ending,
    /// How many there were.
    pub count: usize,
    /// When the newest was seen, in whole seconds since the Unix epoch. `None` where that is not known.
    pub newest_at: Option<u64>,
    /// Whether the server's count of KILLs was read with each of them, and rose.
    pub counted_kills: bool,
}

/// The sleeping sessions of one application user.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UserSessions {
    /// The MySQL user.
    pub user: String,
    /// How long each session has been idle, in seconds, in any order.
    pub idle: Vec<f64>,
    /// How many more sleep for a time that the server gives no sense.
    pub ageless: usize,
}

/// Sessions that are idle for longer than their own pool keeps a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSessions {
    /// The name of the declared pool.
    pub pool: String,
    /// The MySQL user it declares.
    pub user: String,
    /// How many there are.
    pub count: usize,
}

/// Another path to the same server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OtherPath {
    /// Its configured name.
    pub name: String,
    /// The limit of its idle canaries.
    pub idle: IdleLimit,
    /// Who ends its idle canaries at the limit, and how. `None` while nothing died.
    pub killer: Option<Killer>,
    /// The servers that answer there, as in [`Facts::identities`].
    pub identities: Vec<String>,
}

impl UserSessions {
    /// The longest idle time in seconds; zero where no session sleeps.
    pub fn longest(&self) -> f64 {
        self.idle.iter().copied().fold(0.0, f64::max)
    }

    /// How many sessions are idle for longer than this, in seconds.
    pub fn past(&self, seconds: f64) -> usize {
        self.idle.iter().filter(|idle| **idle > seconds).count()
    }
}

impl Facts {
    /// Whether a declared pool may take this path: it is not declared to take another one of the target's. Without the
    /// word it may take each.
    pub fn may_be_here(&self, pool: &Pool) -> bool {
        self.other_paths.iter().all(|other| pool.path.as_ref() != Some(&other.name))
    }

    /// The declared pools that may take this path.
    pub fn pools_here(&self) -> impl Iterator<Item = &Pool> {
        self.pools.iter().filter(|pool| self.may_be_here(pool))
    }

    /// How many idle canaries died silently.
    pub fn silent_deaths(&self) -> usize {
        let silent = |deaths: &&Deaths| deaths.ending == Ending::Silence && deaths.culprit.bounds_idle_age();
        self.deaths.iter().filter(silent).map(|deaths| deaths.count).fold(0, usize::saturating_add)
    }

    /// How many deaths bound idle ages: no KILL of one session, no restart.
    pub fn bounding_deaths(&self) -> usize {
        self.deaths
            .iter()
            .filter(|deaths| deaths.culprit.bounds_idle_age())
            .map(|deaths| deaths.count)
            .fold(0, usize::saturating_add)
    }

    /// The sleeping sessions of one user, none where the server lists none; `None` while it cannot be asked.
    pub fn sessions_of(&self, user: &str) -> Option<UserSessions> {
        let sessions = self.sessions.as_ref()?;
        let mut all = UserSessions { user: user.to_owned(), ..UserSessions::default() };
        for of in sessions.iter().filter(|of| of.user == user) {
            all.idle.extend(&of.idle);
            all.ageless += of.ageless;
        }
        Some(all)
    }
}
