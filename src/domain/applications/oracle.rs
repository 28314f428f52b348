//! The follower against a slow obvious model: a server that knows when each session was born, slept, woke and
//! ended, and by whom, and is asked at odd moments by somebody who loses rounds.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::follower::{CountsFrom, Follower, Listing};
use super::ledger::{Counters, Ending, ErrorCounts, Errors, Rise};
use super::row::{Row, Whose};

/// The model's `wait_timeout`, in seconds.
const WAIT_TIMEOUT: f64 = 60.0;

/// How a session of the model ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Quit,
    Kill,
    Drop,
    WaitTimeout,
    /// It had lowered its own.
    OwnTimeout,
    Restart,
}

#[derive(Debug, Clone)]
struct Life {
    id: u64,
    user: String,
    host: String,
    born: f64,
    /// Sleeps, from and to.
    sleeps: Vec<(f64, f64)>,
    ended: f64,
    fate: Fate,
    /// For how long it is listed as killed before it ends, or while a KILL QUERY ends what it does, in seconds.
    lingers: f64,
}

impl Life {
    /// `COMMAND` and for how long, at this time.
    fn at(&self, now: f64, counts_from: CountsFrom) -> Option<(&'static str, f64)> {
        if now < self.born || now >= self.ended {
            return None;
        }
        let is_killed = self.fate == Fate::Kill && now >= self.ended - self.lingers;
        let is_interrupted =
            self.lingers > 1.0 && self.sleeps.iter().any(|sleep| (sleep.1..sleep.1 + 1.0).contains(&now));
        if is_killed || is_interrupted {
            return Some(("Killed", 0.0));
        }
        // Each sleep follows one statement, which the end of the sleep before began.
        let begun = self.sleeps.iter().map(|sleep| sleep.1).filter(|&to| to <= now).fold(self.born, f64::max);
        let sleep = self.sleeps.iter().find(|&&(from, to)| from <= now && now < to);
        Some(match (sleep, counts_from) {
            (Some(&(from, _)), CountsFrom::Sleep) => ("Sleep", now - from),
            (Some(_), CountsFrom::Statement) => ("Sleep", now - begun),
            (None, _) => ("Query", now - begun),
        })
    }

    fn is_aborted(&self) -> bool {
        matches!(self.fate, Fate::Kill | Fate::Drop | Fate::WaitTimeout | Fate::OwnTimeout)
    }
}

/// One round of the one who asks.
#[derive(Debug, Clone)]
struct Asking {
    gap: f64,
    /// When the list is made, and when it is heard, after the question.
    made: f64,
    heard: f64,
    kind: Kind,
    /// Which rows are lost where some are.
    keep: u64,
    reads_errors: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Truncated,
    Lost,
}

/// When a session is born, for how long it sleeps and works in turn, its last sleep, and how it ends.
type Drawn = (f64, Vec<(f64, f64)>, f64, Fate);

fn a_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Quit),
        1 => Just(Fate::Kill),
        1 => Just(Fate::Drop),
        1 => Just(Fate::WaitTimeout),
        1 => Just(Fate::OwnTimeout),
    ]
}

prop_compose! {
    fn a_life()(
        born in 0.0..250.0_f64,
        // All sleeps are shorter than three quarters of the timeout: who is near it meets it.
        naps in vec((0.0..42.0_f64, 0.01..6.0_f64), 0..6),
        last in prop_oneof![0.0..2.0_f64, 0.0..42.0_f64],
        fate in a_fate(),
    ) -> Drawn {
        (born, naps, last, fate)
    }
}

prop_compose! {
    fn an_asking()(gap in 0.2..20.0_f64, made in 0.0..2.0_f64, heard in 0.0..2.0_f64, kind in 0..10_u8, keep in any::<u64>(),
        reads_errors in any::<bool>()) -> Asking {
        let kind = match kind { 0 => Kind::Truncated, 1 => Kind::Lost, _ => Kind::Whole };
        Asking { gap, made, heard, kind, keep, reads_errors }
    }
}

/// Puts the lives on one time line; at the restart all that live end, and ids begin anew.
fn lives(drawn: Vec<Drawn>, users: usize, restart: Option<f64>) -> Vec<Life> {
    let mut drawn = drawn;
    drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut next = [10_u64, 10];
    let mut all = Vec::new();
    for (number, (born, naps, last, fate)) in drawn.into_iter().enumerate() {
        let mut now = born + 0.01;
        let mut sleeps = Vec::new();
        for (sleep, work) in naps {
            sleeps.push((now, now + sleep));
            now += sleep + work;
        }
        let last = if fate == Fate::WaitTimeout { WAIT_TIMEOUT } else { last };
        sleeps.push((now, now + last));
        let mut life = Life {
            id: 0,
            user: format!("s{}", number % users),
            host: format!("10.0.0.1:{}", 20_000 + number),
            born,
            sleeps,
            ended: now + last,
            fate,
            lingers: (number % 4) as f64 * 0.6,
        };
        let after = restart.is_some_and(|restart| born >= restart);
        if let Some(restart) = restart.filter(|&restart| !after && life.ended > restart) {
            (life.ended, life.fate) = (restart, Fate::Restart);
            life.sleeps.retain(|sleep| sleep.0 < restart);
        }
        let next = &mut next[usize::from(after)];
        (life.id, *next) = (*next, *next + 1);
        all.push(life);
    }
    all
}

/// What the server has counted at this time since its start.
fn counted(lives: &[Life], since: f64, now: f64) -> (u64, u64) {
    let aborted =
        lives.iter().filter(|life| life.is_aborted() && life.ended > since && life.ended <= now).count();
    let connections = lives.iter().filter(|life| life.born >= since && life.born <= now).count();
    (aborted as u64, connections as u64)
}

fn errors(lives: &[Life], since: f64, now: f64) -> BTreeMap<String, ErrorCounts> {
    let mut users: BTreeMap<String, ErrorCounts> = BTreeMap::new();
    for life in lives.iter().filter(|life| life.ended > since && life.ended <= now) {
        let counts = users.entry(life.user.clone()).or_default();
        counts.idle_timeouts += u64::from(matches!(life.fate, Fate::WaitTimeout | Fate::OwnTimeout));
        // As measured on MySQL 9.7.
        counts.network += u64::from(life.fate == Fate::Drop) + 2 * u64::from(life.fate == Fate::Kill);
    }
    users
}

struct Asker {
    follower: Follower,
    last: Option<(f64, u64, u64)>,
    endings: BTreeMap<(String, Ending), u64>,
    survivals: Vec<(String, f64, f64, f64)>,
    /// By host, of which each session has one of its own.
    seen: BTreeSet<String>,
}

impl Asker {
    /// One round that begins now; gives when it was over.
    fn ask(
        &mut self,
        now: f64,
        asking: &Asking,
        lives: &[Life],
        restart: Option<f64>,
        (counts_from, whole_seconds): (CountsFrom, bool),
        tells_errors: bool,
    ) -> f64 {
        let start = restart.filter(|&restart| restart <= now).unwrap_or(0.0);
        let (aborted, connections) = counted(lives, start, now);
        let listing = Listing {
            asked: now,
            identity: Some("one"),
            uptime: Some(((now - start).floor(), now, now)),
            own_host: None,
            counts_from,
        };
        self.follower.begin(listing);
        // A server that is restarted between its counters and its list answers neither.
        let made = now + asking.made;
        let heard = made + asking.heard;
        let torn = restart.is_some_and(|restart| restart > now && restart <= heard + 0.5);
        let kind = if torn { Kind::Lost } else { asking.kind };
        for (number, life) in lives.iter().enumerate() {
            if torn || (kind != Kind::Whole && asking.keep >> (number % 64) & 1 == 0) {
                continue;
            }
            let Some((command, time)) = life.at(made, counts_from) else { continue };
            let time = if whole_seconds { made.floor() - (made - time).floor() } else { time };
            let row = Row { id: life.id, user: &life.user, host: &life.host, command, time: Some(time) };
            self.follower.see(row, Whose::Application, heard);
            self.seen.insert(life.host.clone());
        }
        if kind == Kind::Lost {
            return heard;
        }
        let since = self.last.filter(|&(last, ..)| last == start);
        let counters = Counters {
            aborted: since.map(|(_, before, _)| Rise::exactly(aborted - before)),
            connections: since.map(|(_, _, before)| connections - before),
            wait_timeout: Some(WAIT_TIMEOUT),
            errors: match (tells_errors, asking.reads_errors) {
                (false, _) => Errors::Unavailable,
                (true, false) => Errors::NotRead,
                (true, true) => Errors::Read(errors(lives, start, heard)),
            },
        };
        self.last = Some((start, aborted, connections));
        let round = self.follower.end(heard, kind == Kind::Whole, counters);
        for (key, count) in round.endings {
            *self.endings.entry(key).or_default() += count;
        }
        for survival in round.survivals {
            let user = self.follower.groups()[survival.group].user.clone();
            self.survivals.push((user, survival.at_least, survival.at_most, heard));
        }
        heard
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_survival_that_did_not_happen_and_every_end_once(
        drawn in vec(a_life(), 1..40),
        users in prop_oneof![Just(1_usize), Just(3), Just(40)],
        askings in vec(an_asking(), 1..60),
        restart in proptest::option::of(20.0..200.0_f64),
        server in prop_oneof![
            Just((CountsFrom::Sleep, false)),
            Just((CountsFrom::Sleep, true)),
            Just((CountsFrom::Statement, true)),
        ],
        tells_errors in any::<bool>(),
    ) {
        let lives = lives(drawn, users, restart);
        let mut asker = Asker {
            follower: Follower::new(),
            last: None,
            endings: BTreeMap::new(),
            survivals: Vec::new(),
            seen: BTreeSet::new(),
        };
        let mut now = 1.0;
        for asking in &askings {
            now = asker.ask(now, asking, &lives, restart, server, tells_errors) + asking.gap;
        }
        // Once all is quiet, everything that can be known is.
        now = now.max(lives.iter().map(|life| life.ended).fold(0.0, f64::max)) + 5.0;
        for _ in 0..12 {
            let asking = Asking { gap: 1.0, made: 0.1, heard: 0.1, kind: Kind::Whole, keep: 0, reads_errors: true };
            now = asker.ask(now, &asking, &lives, restart, server, tells_errors) + asking.gap;
        }

        let of_user = |user: &str| -> Vec<&Life> { lives.iter().filter(|life| life.user == user).collect() };
        let mut wakes_told: BTreeMap<&str, usize> = BTreeMap::new();
        for (user, at_least, at_most, heard) in &asker.survivals {
            let woke = of_user(user).iter().any(|life| life.sleeps.iter().any(|&(from, to)| {
                let length = to - from;
                to < life.ended && to <= *heard && *at_least <= length + 1e-6 && length <= at_most + 1e-6
            }));
            prop_assert!(woke, "{user}: a sleep of {at_least} to {at_most} s, told at {heard}: {:?}", of_user(user));
            *wakes_told.entry(user.as_str()).or_default() += 1;
        }
        for (user, told) in wakes_told {
            let wakes = |life: &&Life| life.sleeps.iter().filter(|sleep| sleep.1 < life.ended).count();
            let woke: usize = of_user(user).iter().map(wakes).sum();
            prop_assert!(told <= woke, "{user} woke {woke} times, and {told} were told");
        }
        prop_assert!(asker.follower.is_empty());
        let names: BTreeSet<&str> = lives.iter().map(|life| life.user.as_str()).collect();
        for user in names {
            let told = |ending: Ending| asker.endings.get(&(user.to_owned(), ending)).copied().unwrap_or(0);
            let seen = |right: &dyn Fn(Fate) -> bool| {
                of_user(user).iter().filter(|life| asker.seen.contains(&life.host) && right(life.fate)).count() as u64
            };
            let words = || format!("{user}: {:?}: {:?}", asker.endings, of_user(user));
            prop_assert_eq!(Ending::ALL.into_iter().map(told).sum::<u64>(), seen(&|_| true), "{}", words());
            prop_assert!(told(Ending::Closed) <= seen(&|fate| fate == Fate::Quit), "closed, {}", words());
            // Where no errors by user tell it, a timeout that a session lowered looks like any other end.
            let aborted = seen(&|fate| matches!(fate, Fate::Kill | Fate::Drop | Fate::OwnTimeout));
            prop_assert!(told(Ending::Aborted) <= aborted, "aborted, {}", words());
            let timed_out = seen(&|fate| matches!(fate, Fate::WaitTimeout | Fate::OwnTimeout));
            prop_assert!(told(Ending::IdleTimeout) <= timed_out, "idle_timeout, {}", words());
        }
    }
}
