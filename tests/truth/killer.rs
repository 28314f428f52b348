//! A killer of sessions, as administrators run them: looks every so often and kills who slept, or worked, too long.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::lab::Server;

/// When each session was seen first, by its id.
type Seen = BTreeMap<u64, Instant>;

/// What a killer does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Killer {
    /// For how many seconds a session may sleep.
    pub(super) idle: u32,
    /// For how many seconds a statement may run, if that matters.
    pub(super) busy: Option<u32>,
    /// How often it looks.
    pub(super) every: Duration,
    /// For how many seconds a session may be there at all, if that matters.
    pub(super) of_age: Option<u32>,
}

impl Killer {
    /// One that looks once a second and kills who slept for so many seconds.
    pub(super) const fn of_idle(idle: u32) -> Self {
        Self { idle, busy: None, every: Duration::from_secs(1), of_age: None }
    }

    /// One that looks once a second and kills who is there for so many seconds, whatever it does.
    pub(super) const fn of_age(seconds: u32) -> Self {
        Self { of_age: Some(seconds), ..Self::of_idle(u32::MAX) }
    }

    /// Does `work` while it is about on the server.
    pub(super) fn during(self, server: &Server, work: impl FnOnce()) {
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut there = Seen::new();
                while !ended.load(Ordering::Relaxed) {
                    self.strike(server, &mut there);
                    sleep(self.every);
                }
            });
            let _ended = Ended(&ended);
            work();
        });
    }

    fn strike(self, server: &Server, there: &mut Seen) {
        let sleeping = ("Sleep", Some(self.idle));
        let now = Instant::now();
        let listed = server.processlist();
        *there = listed.iter().map(|session| (session.id, *there.get(&session.id).unwrap_or(&now))).collect();
        for session in listed {
            let is_old = |most: u32| now - there[&session.id] >= Duration::from_secs(u64::from(most));
            let is_due = [sleeping, ("Query", self.busy)].into_iter().any(|(command, most)| {
                session.command == command && most.is_some_and(|most| session.time >= i64::from(most))
            });
            if is_due || self.of_age.is_some_and(is_old) {
                // It may have ended by itself meanwhile.
                let _ = server.try_sql(&format!("KILL {}", session.id));
            }
        }
    }
}

/// Ends the killer, also when a test panics.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
