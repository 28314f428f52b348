//! A killer of idle sessions, as administrators run them: looks once a second and kills who slept too long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use crate::lab::Server;

/// How often it looks.
const ROUND: Duration = Duration::from_secs(1);

/// Ends the killer, also when a test panics.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does `work` while whoever has slept for so many seconds on the server is killed.
pub(super) fn while_idle_are_killed(server: &Server, seconds: u32, work: impl FnOnce()) {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                kill_idle(server, seconds);
                sleep(ROUND);
            }
        });
        let _ended = Ended(&ended);
        work();
    });
}

fn kill_idle(server: &Server, seconds: u32) {
    let idle = server.sql(&format!(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Sleep' AND TIME >= {seconds}"
    ));
    for id in idle.iter().flatten() {
        // It may have ended by itself meanwhile.
        let _ = server.try_sql(&format!("KILL {id}"));
    }
}
