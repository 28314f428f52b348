//! What is remembered of one user on one host. At most 50 users have a name; the others are one, `_other`.

use std::collections::{HashMap, VecDeque};

use super::row::{Origin, hash};

/// The name of the users that have none of their own.
pub const OTHER: &str = "_other";
/// Users with a name of their own, at most.
pub const MOST_USERS: usize = 50;
/// Pairs of user and host that are told apart, at most.
pub(super) const MOST_GROUPS: usize = 512;
/// Ends that are remembered of one group, at most, and survivals each time they are sorted out.
const MOST_REMEMBERED: usize = 32;
/// For how long a survival is evidence, in seconds: a day.
pub const EVIDENCE_LASTS: f64 = 86_400.0;
/// The longest name of a user that is kept, in bytes: MySQL allows 32 characters, MariaDB 128.
const LONGEST_NAME: usize = 512;

/// The sessions of one user on one host.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The MySQL user, or [`OTHER`].
    pub user: String,
    /// Where they come from.
    pub origin: Origin,
    /// Whether this is a mixture of users or hosts, of which nothing can be said in common.
    pub mixed: bool,
    /// How many are listed now.
    pub living: usize,
    /// How many were seen to begin.
    pub births: u64,
    /// When the newest two of them were seen to begin, newest first.
    pub newest_births: [Option<f64>; 2],
    /// When one was last seen to have ended.
    pub newest_end: Option<f64>,
    /// When one was last seen awake after a sleep.
    pub newest_wake: Option<f64>,
    /// The greatest age, in seconds, at which a session is known to have been lent again: it woke and lived on.
    pub oldest_wake: f64,
    /// When one was seen lent again at that age.
    pub oldest_wake_at: f64,
    /// The longest time between two births, ends or wakes in a row, in seconds.
    pub longest_pause: f64,
    /// The two longest sleeps of the newest round that some woke up from, and when.
    strongest: [(f64, f64); 2],
    /// Idle times that sessions woke up from, of the last day: what was seen of it at least, and when.
    pub survived: Vec<(f64, f64)>,
    /// The newest sessions that are known to have been closed by their clients.
    pub closed: VecDeque<Gone>,
    /// The newest sessions that are known to have been aborted.
    pub aborted: VecDeque<Gone>,
    pub(super) left_out: bool,
    host: u64,
    last_seen: f64,
}

/// A session that has ended. Ranges are at least and at most, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gone {
    /// How old it was. `None` where it was there before it could be seen to begin.
    pub age: Option<(f64, f64)>,
    /// For how long it had slept. `None` where it was not asleep when last seen.
    pub idle: Option<(f64, f64)>,
    /// When it was last seen.
    pub at: f64,
}

impl Group {
    fn new(user: &str, origin: Origin, mixed: bool, left_out: bool, host: u64, now: f64) -> Self {
        Self {
            user: user.to_owned(),
            origin,
            mixed,
            living: 0,
            births: 0,
            newest_births: [None; 2],
            newest_end: None,
            newest_wake: None,
            oldest_wake: 0.0,
            oldest_wake_at: f64::NEG_INFINITY,
            longest_pause: 0.0,
            strongest: [(0.0, f64::NEG_INFINITY); 2],
            survived: Vec::new(),
            closed: VecDeque::new(),
            aborted: VecDeque::new(),
            left_out,
            host,
            last_seen: now,
        }
    }

    /// Whether nothing is told of it.
    pub const fn is_left_out(&self) -> bool {
        self.left_out
    }

    /// When one of its sessions last began, ended or woke.
    pub fn last_active(&self) -> Option<f64> {
        [self.newest_births[0], self.newest_end, self.newest_wake].into_iter().flatten().reduce(f64::max)
    }

    /// How many survivals at this age or above, in seconds, are evidence at this time, and the longest of them.
    /// At most as many as are remembered are told.
    pub fn survivals_from(&self, age: f64, now: f64) -> (usize, f64) {
        let fresh = self.survived.iter().filter(|&&(of, at)| of >= age && now - at <= EVIDENCE_LASTS);
        fresh.fold((0, 0.0), |(count, longest), &(of, _)| (count + 1, f64::max(longest, of)))
    }

    fn be_active(&mut self, at: f64) {
        if let Some(before) = self.last_active() {
            self.longest_pause = self.longest_pause.max(at - before);
        }
    }

    pub(super) fn bear(&mut self, at: f64) {
        self.be_active(at);
        self.births += 1;
        self.newest_births = [Some(at), self.newest_births[0]];
    }

    pub(super) fn end(&mut self, at: f64) {
        self.be_active(at);
        self.newest_end = Some(at);
    }

    pub(super) fn wake(&mut self, at: f64) {
        self.be_active(at);
        self.newest_wake = Some(at);
    }

    /// One was lent again at this age, in seconds.
    pub(super) fn lend(&mut self, age: f64, at: f64) {
        if age >= self.oldest_wake {
            (self.oldest_wake, self.oldest_wake_at) = (age, at);
        }
    }

    pub(super) fn survive(&mut self, age: f64, at: f64) {
        /// Rows of one list are heard within so many seconds, mostly.
        const TOGETHER: f64 = 1.0;
        // Thousands may wake in one round: two that are longer say all that a third one says.
        let is_weak = |other: (f64, f64)| at - other.1 > TOGETHER || other.0 < age;
        let weaker = if is_weak(self.strongest[0]) { 0 } else { 1 };
        if is_weak(self.strongest[weaker]) {
            self.strongest[weaker] = (age, at);
        } else if self.strongest.iter().all(|other| other.0 > age) {
            return;
        }
        self.survived.push((age, at));
        // They are sorted out when there are twice as many as are remembered.
        if self.survived.len() <= 2 * MOST_REMEMBERED {
            return;
        }
        self.survived.retain(|&(_, seen)| at - seen <= EVIDENCE_LASTS);
        self.survived.sort_by(|a, b| b.1.total_cmp(&a.1));
        // Two that are both longer and newer say all that a third one says.
        let mut longest = [0.0; 2];
        self.survived.retain(|&(age, _)| {
            let outdone = age < longest[1];
            if age > longest[0] {
                longest = [age, longest[0]];
            } else if age > longest[1] {
                longest[1] = age;
            }
            !outdone
        });
        if self.survived.len() > MOST_REMEMBERED {
            self.survived.sort_by(|a, b| b.0.total_cmp(&a.0));
            self.survived.truncate(MOST_REMEMBERED);
        }
    }

    pub(super) fn remember(list: &mut VecDeque<Gone>, gone: Gone) {
        if list.len() == MOST_REMEMBERED {
            list.pop_front();
        }
        list.push_back(gone);
    }
}

/// All groups; a place in the list is a group's name inside.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) list: Vec<Group>,
    places: HashMap<(String, u64, bool), u16>,
    /// What was decided in this round, for a list of 100,000 sessions has few users and hosts.
    decided: Decided,
}

/// Places by user, host, origin and whether they are left out, as they were decided at one moment.
#[derive(Debug, Default)]
struct Decided {
    at: f64,
    places: HashMap<(u64, u64, Origin, bool), u16>,
    /// Nobody else gets a name.
    no_room: bool,
}

/// Decisions that are kept, at most.
const MOST_DECIDED: usize = 4_096;

impl Groups {
    /// The place of a user on a host, made where there is none. A user without a name of their own shares
    /// [`OTHER`]; a host too many shares the user's mixture.
    pub(super) fn place(&mut self, user: &str, host: u64, origin: Origin, left_out: bool, now: f64) -> u16 {
        if self.decided.at != now {
            self.decided = Decided { at: now, ..Decided::default() };
        }
        let key = (hash(user), host, origin, left_out);
        if let Some(&place) = self.decided.places.get(&key) {
            return place;
        }
        let place = self.decide(cut(user), host, origin, left_out, now);
        if self.decided.places.len() >= MOST_DECIDED {
            self.decided.places.clear();
        }
        self.decided.places.insert(key, place);
        place
    }

    fn decide(&mut self, user: &str, host: u64, origin: Origin, left_out: bool, now: f64) -> u16 {
        // A name that is looked up is not copied for it: there are few users.
        let known = |group: &Group| group.user == user && group.left_out == left_out;
        if let Some(place) =
            self.list.iter().position(|group| known(group) && group.host == host && group.origin == origin)
        {
            self.list[place].last_seen = now;
            return place as u16;
        }
        let named = left_out || self.list.iter().any(known) || self.has_room_for_a_name(now);
        let full = self.list.len() >= MOST_GROUPS;
        match (named, full) {
            (true, false) => self.add(user, origin, false, left_out, host, now),
            (true, true) if self.list.iter().any(known) => self.mixture(user, origin, left_out, now),
            _ => self.mixture(OTHER, origin, left_out, now),
        }
    }

    /// A group whose sessions do not share one user or one host. Its keys are few: they are outside of the bound.
    fn mixture(&mut self, user: &str, origin: Origin, left_out: bool, now: f64) -> u16 {
        let key = (user.to_owned(), origin as u64, left_out);
        if let Some(&place) = self.places.get(&key) {
            self.list[usize::from(place)].last_seen = now;
            return place;
        }
        let place = self.add(user, origin, true, left_out, 0, now);
        self.places.insert(key, place);
        place
    }

    fn add(&mut self, user: &str, origin: Origin, mixed: bool, left_out: bool, host: u64, now: f64) -> u16 {
        self.list.push(Group::new(user, origin, mixed, left_out, host, now));
        (self.list.len() - 1) as u16
    }

    /// Whether another user can have a name, if need be that of one who was not seen for a day.
    fn has_room_for_a_name(&mut self, now: f64) -> bool {
        if self.decided.no_room {
            return false;
        }
        let mut names: Vec<&str> = self
            .list
            .iter()
            .filter(|group| !group.left_out && !group.mixed)
            .map(|g| g.user.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        if names.len() < MOST_USERS {
            return true;
        }
        let is_gone = |name: &str| {
            self.list
                .iter()
                .filter(|g| g.user == name)
                .all(|g| g.living == 0 && now - g.last_seen > EVIDENCE_LASTS)
        };
        let Some(gone) = names.into_iter().find(|name| is_gone(name)).map(str::to_owned) else {
            self.decided.no_room = true;
            return false;
        };
        self.decided.places.clear();
        // Its places stay, for others stand behind them; nobody lives there, and nobody is called so any more.
        for group in self.list.iter_mut().filter(|group| group.user == gone) {
            *group = Group::new(OTHER, group.origin, true, false, 0, now);
        }
        true
    }
}

fn cut(name: &str) -> &str {
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let end = (0..=LONGEST_NAME).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_users_have_a_name_and_the_others_one() {
        let mut groups = Groups::default();
        for number in 0..500_u64 {
            groups.place(&format!("tenant{number}"), number, Origin::OtherHost, false, number as f64);
        }
        let named = groups.list.iter().filter(|group| group.user != OTHER).count();
        assert_eq!(named, MOST_USERS);
        assert_eq!(groups.list.len(), MOST_USERS + 1);
        assert!(groups.list.last().is_some_and(|group| group.mixed && group.user == OTHER));
        // A day later the first ones are gone, and a new one takes a name.
        let place = groups.place("late", 7, Origin::OtherHost, false, 90_000.0);
        assert_eq!(groups.list[usize::from(place)].user, "late");
    }

    #[test]
    fn hosts_without_end_are_bounded() {
        let mut groups = Groups::default();
        for host in 0..100_000 {
            groups.place("app", host, Origin::OtherHost, false, 0.0);
        }
        assert!(groups.list.len() <= MOST_GROUPS + 4, "{}", groups.list.len());
    }

    #[test]
    fn the_strongest_survivals_are_remembered() {
        let mut group = Group::new("app", Origin::OtherHost, false, false, 0, 0.0);
        for number in 0..1000 {
            group.survive(if number % 100 == 0 { 500.0 } else { 5.0 }, f64::from(number));
        }
        assert!(group.survived.len() <= 2 * MOST_REMEMBERED);
        assert_eq!(group.survivals_from(400.0, 1000.0), (10, 500.0));
        assert_eq!(group.survivals_from(400.0, 1000.0 + EVIDENCE_LASTS), (0, 0.0));
    }
}
