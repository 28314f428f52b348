//! Feeds the follower of the applications' sessions with what the rounds of the server view read, and keeps what
//! comes of it: for the diagnosis, which judges every session, and for the pages.
//!
//! Of whom nothing is told: our own sessions; those of the exporter's own account, whoever opened them; those of
//! users with canaries of another exporter, as soon as their attributes were read; and those of the users that
//! `--server.exclude-users` names.

mod heard;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::processlist::RawRow;
use super::session_connect_attrs::SessionConnectAttrs;
use crate::domain::applications::groups::EVIDENCE_LASTS;
use crate::domain::applications::{Counters, Driver, Ending, Errors, Follower, Listing, OTHER, Row, Whose};
use crate::session::Roster;
use crate::session::roster::TargetRoster;
use prometheus::Histogram;

use heard::Counted;
pub use heard::Heard;

/// Canaries of other exporters, and users that have some, that are known, at most.
const MOST_SIBLINGS: usize = 1_024;

/// The applications' sessions of one server: fed by the server view, read by the diagnosis.
#[derive(Debug, Clone)]
pub struct Applications {
    state: Arc<Mutex<State>>,
    left_out: Arc<BTreeSet<String>>,
    own_account: Arc<str>,
    ages: Ages,
}

/// Gives the histogram of survivals once there are some to observe.
#[derive(Clone)]
struct Ages(Arc<dyn Fn() -> Histogram + Send + Sync>);

impl std::fmt::Debug for Ages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ages")
    }
}

/// What is told on the pages, by user.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Followed {
    /// The longest sleep that was survived within a day, in seconds.
    pub longest_survived: BTreeMap<String, f64>,
    /// How many sessions ended, in the order of [`Ending::ALL`].
    pub endings: BTreeMap<String, [u64; 4]>,
    /// What they talk to the server with.
    pub drivers: BTreeMap<String, BTreeSet<Driver>>,
}

/// Whether other exporters' canaries can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Coverage {
    /// Nobody asked yet.
    #[default]
    Unasked,
    /// The server will not say.
    Unreadable,
    /// Up to this thread id.
    UpTo(u64),
}

/// What those who judge are shown.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Every session.
    pub follower: &'a Follower,
    /// The thread id up to which it is known who is another exporter's canary. `None` where that cannot be read.
    pub covered: Option<u64>,
    /// Users with sessions of which that was read, and who are no exporter's.
    pub known: &'a BTreeSet<String>,
}

#[derive(Debug, Default)]
struct State {
    follower: Follower,
    /// Our own sessions on the list that is being read, and its highest thread id.
    own: BTreeSet<u64>,
    highest: u64,
    siblings: BTreeSet<u64>,
    /// The sessions of other targets of this process that lead to this server too.
    neighbours: Vec<TargetRoster>,
    exporters: BTreeSet<String>,
    covered: Coverage,
    /// Users that were there when attributes were read, or before.
    known: BTreeSet<String>,
    /// By user, and when each was last seen, in seconds on the follower's clock.
    drivers: BTreeMap<String, BTreeMap<Driver, f64>>,
    endings: BTreeMap<String, [u64; 4]>,
    before: Option<Counted>,
    ages: Option<Histogram>,
    strangers: u64,
}

impl Applications {
    /// Follows nobody yet. `ages` gives the histogram of survivals, and is asked once the first sessions were followed;
    /// `left_out` are users of whom nothing is told, and `own_account` is the exporter's.
    pub fn new(
        own_account: &str,
        left_out: BTreeSet<String>,
        ages: impl Fn() -> Histogram + Send + Sync + 'static,
    ) -> Self {
        Self {
            state: Arc::default(),
            left_out: Arc::new(left_out),
            own_account: own_account.into(),
            ages: Ages(Arc::new(ages)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows every session to who judges them; nobody is fed meanwhile.
    pub fn show<T>(&self, judge: impl FnOnce(Seen<'_>) -> T) -> T {
        let state = self.lock();
        let covered = match state.covered {
            Coverage::Unasked => Some(0),
            Coverage::Unreadable => None,
            Coverage::UpTo(id) => Some(id),
        };
        judge(Seen { follower: &state.follower, covered, known: &state.known })
    }

    /// Whether nothing is told of this user.
    pub(super) fn leaves_out(&self, user: &str) -> bool {
        self.left_out.contains(user) || self.lock().exporters.contains(user)
    }

    /// A list is asked for. Where it is not to be followed, only our own sessions are noted. `asked` is whether the
    /// server was ever asked for attributes.
    /// `neighbours` are the sessions of other targets that lead to this server too.
    pub fn begin(&self, listing: Option<Listing<'_>>, asked: bool, neighbours: Vec<TargetRoster>) {
        let mut state = self.lock();
        state.neighbours = neighbours;
        if !asked {
            state.covered = Coverage::Unasked;
        }
        state.own.clear();
        (state.highest, state.strangers) = (0, 0);
        if let Some(listing) = listing {
            state.follower.begin(listing);
        }
    }

    /// Takes one row, heard at this time on the follower's clock. Gives whether it is nobody's that is counted.
    pub fn see(&self, row: &RawRow<'_>, roster: &Roster, follow: bool, heard: f64) -> bool {
        let mut state = self.lock();
        let user = row.user.as_deref().unwrap_or_default();
        let Some(id) = row.id else { return self.left_out.contains(user) };
        state.highest = state.highest.max(id);
        let is_ours = roster.is_ours(id);
        if is_ours {
            state.own.insert(id);
        }
        let is_own_account = user == &*self.own_account;
        let excluded = self.left_out.contains(user) || state.exporters.contains(user);
        let marked = state.siblings.contains(&id) || state.neighbours.iter().any(|other| other.holds(id));
        // A sibling's newest canaries carry its account's name before their marks were read.
        let unread = is_own_account
            && match state.covered {
                Coverage::Unasked => true,
                Coverage::Unreadable => false,
                Coverage::UpTo(covered) => id > covered,
            };
        let is_strange = is_own_account && !(is_ours || excluded || marked || unread);
        state.strangers += u64::from(is_strange && state.covered != Coverage::Unreadable);
        if follow {
            let whose = match is_ours {
                true => Whose::Ours,
                // They are followed, for their ends move the server's counters too.
                false if excluded || marked || is_own_account => Whose::LeftOut,
                false => Whose::Application,
            };
            let (host, command) = (row.host.as_deref(), row.command.as_deref());
            let (host, command) = (host.unwrap_or_default(), command.unwrap_or_default());
            state.follower.see(Row { id, user, host, command, time: row.time }, whose, heard);
        }
        is_ours || excluded || marked || unread
    }

    /// How many sessions of the exporter's own account the newest list held that are no exporter's.
    pub(super) fn strangers(&self) -> u64 {
        self.lock().strangers
    }

    /// The attributes were read, after the newest list's rows; `None` where they cannot be.
    pub(super) fn learn_attributes(&self, attributes: Option<&SessionConnectAttrs>, now: f64) {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(attributes) = attributes else {
            state.covered = Coverage::Unreadable;
            return;
        };
        state.covered = Coverage::UpTo(state.highest);
        let marked: BTreeSet<u64> = attributes.canaries().collect();
        for id in marked.iter().copied().filter(|id| !state.own.contains(id)).take(MOST_SIBLINGS) {
            let user = state.follower.user_of(id).map(str::to_owned);
            let user = user.filter(|user| *user != *self.own_account && *user != OTHER);
            if let Some(user) = user.filter(|_| state.exporters.len() < MOST_SIBLINGS) {
                state.exporters.insert(user);
            }
            // Until its mark was read it was somebody's.
            if !state.siblings.contains(&id) {
                state.follower.forget(id);
            }
        }
        // Who came and went since the reading before can be read no more, and is somebody's.
        state.known.extend(state.follower.groups().iter().map(|group| group.user.clone()));
        state.known.retain(|user| !state.exporters.contains(user));
        state.siblings = marked.into_iter().take(MOST_SIBLINGS).collect();
        for (&id, &driver) in attributes.drivers.iter().filter(|(_, driver)| **driver != Driver::Canary) {
            let Some(user) = state.follower.user_of(id).map(str::to_owned) else { continue };
            state.drivers.entry(user).or_default().insert(driver, now);
        }
    }

    /// The list has ended at `answered`, on the follower's clock. Gives what there is to tell.
    pub fn end(&self, answered: f64, heard: Heard<'_>, roster: &Roster) -> Followed {
        let mut state = self.lock();
        let state = &mut *state;
        let counted = heard.counted(roster, &state.own);
        let mut errors = heard.errors;
        if let Errors::Read(users) = &mut errors {
            // Our own canaries meet their timeouts all the time.
            users.remove(&*self.own_account);
        }
        let mut counters = Counters { wait_timeout: heard.wait_timeout, errors, ..Counters::default() };
        if let (Some(now), Some(before), Some((_, asked_at, _))) = (counted, state.before, heard.status) {
            counters.aborted = now.aborted_since(&before);
            let own = roster.logins(before.answered_at, asked_at);
            counters.connections = now.connected_since(&before).map(|rose| rose.saturating_sub(own));
        }
        state.before = counted;
        let round = state.follower.end(answered, heard.complete, counters);
        let ages = state.ages.get_or_insert_with(|| (self.ages.0)());
        // Added up here first: thousands may have woken.
        let ages = ages.local();
        for survival in &round.survivals {
            ages.observe(survival.at_least);
        }
        ages.flush();
        for ((user, ending), count) in round.endings {
            let place = Ending::ALL.iter().position(|known| *known == ending).unwrap_or(0);
            state.endings.entry(user).or_default()[place] += count;
        }
        state.followed(answered)
    }
}

impl State {
    /// What there is to tell now, of the users that have a name.
    fn followed(&mut self, now: f64) -> Followed {
        let groups = self.follower.groups();
        let named: BTreeSet<&str> = groups.iter().map(|group| group.user.as_str()).collect();
        self.known.retain(|user| named.contains(user.as_str()));
        self.endings.retain(|user, _| named.contains(user.as_str()) && !self.exporters.contains(user));
        self.drivers.retain(|user, drivers| {
            drivers.retain(|_, seen| now - *seen <= EVIDENCE_LASTS);
            named.contains(user.as_str()) && !drivers.is_empty()
        });
        let is_readable = matches!(self.covered, Coverage::UpTo(_));
        let mut followed = Followed::default();
        for group in groups {
            let user = &group.user;
            // A user of whom nobody read who it is may be another exporter.
            let is_known = !is_readable || user == OTHER || self.known.contains(user);
            if group.is_left_out() || self.exporters.contains(user) || !is_known {
                continue;
            }
            followed.endings.entry(user.clone()).or_default();
            let (count, longest) = group.survivals_from(0.0, now);
            if count > 0 {
                let known = followed.longest_survived.entry(user.clone()).or_default();
                *known = known.max(longest);
            }
            if let Some(drivers) = self.drivers.get(user) {
                followed.drivers.insert(user.clone(), drivers.keys().copied().collect());
            } else if is_readable && group.living > 0 {
                // Not one of its sessions ever said what it is.
                followed.drivers.insert(user.clone(), BTreeSet::from([Driver::Other]));
            }
        }
        for (user, counts) in &mut followed.endings {
            *counts = self.endings.get(user).copied().unwrap_or_default();
        }
        followed
    }
}
