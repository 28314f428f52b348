//! Who owns the permanent loops: one set of tasks whose ends are events, as those of canaries are.
//!
//! A round that panics is a failed round: it is caught, counted, told, and rested after. A loop that ends
//! although nobody said stop ends the process, for a process that is gone is seen and a loop that is gone is
//! not. A loop that does neither, and does not move, is told at `/-/ready` (see `pulse`).

use std::collections::BTreeMap;

use tokio::task::{Id, JoinSet};

use crate::domain::conduct::health::Loop;

mod beat;
mod failpoint;
mod pulse;
pub mod stop;

pub use beat::until_next;
pub use failpoint::{Mode, is_due};
pub use pulse::{Health, Pulse};

/// The permanent loops of a process. Dropping it ends them.
#[derive(Debug, Default)]
pub struct Supervisor {
    tasks: JoinSet<()>,
    names: BTreeMap<Id, Loop>,
}

/// A loop that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub name: Loop,
    /// Whether it panicked, rather than returned.
    pub panicked: bool,
}

impl Supervisor {
    /// Starts a loop.
    pub fn spawn(&mut self, name: Loop, body: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(failpoint::around(name, body));
        self.names.insert(task.id(), name);
    }

    /// Waits until a loop ends; for ever, while there is none.
    pub async fn ended(&mut self) -> Ended {
        let Some(joined) = self.tasks.join_next_with_id().await else { return std::future::pending().await };
        let (id, panicked) = match joined {
            Ok((id, ())) => (id, false),
            Err(error) => (error.id(), error.is_panic()),
        };
        // Each task has its name: the other arm is not reached.
        Ended { name: self.names.remove(&id).unwrap_or(Loop::Signals), panicked }
    }

    /// Waits until every loop but `these` has ended.
    pub async fn all_ended_but(&mut self, these: &[Loop]) {
        while self.names.values().any(|name| !these.contains(name)) {
            self.ended().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_loop_is_an_event_however_it_ended() {
        let mut supervisor = Supervisor::default();
        supervisor.spawn(Loop::Web, async {
            tokio::time::sleep(Duration::from_secs(1)).await;
        });
        supervisor.spawn(Loop::Witness, async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            panic!("on purpose");
        });
        supervisor.spawn(Loop::Log, std::future::pending());
        assert_eq!(supervisor.ended().await, Ended { name: Loop::Web, panicked: false });
        supervisor.all_ended_but(&[Loop::Log, Loop::Witness]).await;
        assert_eq!(supervisor.ended().await, Ended { name: Loop::Witness, panicked: true });
        supervisor.all_ended_but(&[Loop::Log]).await;
        let more = tokio::time::timeout(Duration::from_secs(60), supervisor.ended()).await;
        assert!(more.is_err(), "{more:?}");
    }
}
