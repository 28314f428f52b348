//! A killer of sessions, as administrators run them: looks every so often and kills who slept, or worked, too long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use crate::lab::Server;

/// What a killer does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Killer {
    /// For how many seconds a session may sleep.
    pub(super) idle: u32,
    /// For how many seconds a statement may run, if that matters.
    pub(super) busy: Option<u32>,
    /// How often it looks.
    pub(super) every: Duration,
}

impl Killer {
    /// One that looks once a second and kills who slept for so many seconds.
    pub(super) const fn of_idle(idle: u32) -> Self {
        Self { idle, busy: None, every: Duration::from_secs(1) }
    }

    /// Does `work` while it is about on the server.
    pub(super) fn during(self, server: &Server, work: impl FnOnce()) {
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    self.strike(server);
                    sleep(self.every);
                }
            });
            let _ended = Ended(&ended);
            work();
        });
    }

    fn strike(self, server: &Server) {
        let sleeping = ("Sleep", Some(self.idle));
        for session in server.processlist() {
            let is_due = [sleeping, ("Query", self.busy)].into_iter().any(|(command, most)| {
                session.command == command && most.is_some_and(|most| session.time >= i64::from(most))
            });
            if is_due {
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
