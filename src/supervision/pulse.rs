//! The pulse of a loop: when it last moved, and how many of its newest rounds failed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use prometheus::IntCounter;
use tokio::time::{Instant, sleep, timeout};

use super::beat::until_next;
use super::failpoint::{self, Mode, is_due};
use crate::domain::conduct::health::{Loop, LoopState, Unready, rest_after, unready};

/// How often a loop that waits shows that it is alive: all at the same moments, so that the process wakes once.
const HEARTBEAT: Duration = Duration::from_secs(4);
/// The same, and the longest round, in a debug build in which a loop is to be broken.
const SHORT_HEARTBEAT: Duration = Duration::from_millis(500);
const SHORT_ROUND: Duration = Duration::from_secs(4);

/// For how many loops there is room at first.
const FEWEST_LOOPS: usize = 64;

/// The pulses of all loops, and whether each path was tried: what `/-/ready` is drawn from.
#[derive(Default)]
pub struct Health(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// A loop that is gone is not watched any more.
    loops: Vec<Weak<Beats>>,
    paths: BTreeMap<String, WasTried>,
}

/// Whether a path has had its first login or failure.
type WasTried = Box<dyn Fn() -> bool + Send + Sync>;

/// One loop's hand on its pulse.
#[derive(Debug, Clone)]
pub struct Pulse {
    beats: Arc<Beats>,
    failed_rounds: IntCounter,
}

#[derive(Debug)]
struct Beats {
    name: Loop,
    /// Whose loop it is: a target, or a path as `target/path`; nobody's where it is the process's own.
    of: String,
    longest_round: Duration,
    last: Mutex<Instant>,
    failures: AtomicU32,
    last_failure: Mutex<Instant>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").field("loops", &self.lock().loops).finish_non_exhaustive()
    }
}

impl Health {
    /// Begins to watch a loop, one round of which takes `longest_round` at most ([`Duration::MAX`] where none
    /// is too long). Its failed rounds are counted.
    /// `of` says whose it is: a target, or a path as `target/path`; nothing where it is the process's own.
    pub fn watch(&self, name: Loop, of: &str, longest_round: Duration, failed_rounds: IntCounter) -> Pulse {
        let longest_round = match longest_round {
            Duration::MAX => Duration::MAX,
            longest_round => failpoint::at_most(longest_round, SHORT_ROUND),
        };
        let [last, last_failure] = [Instant::now(); 2].map(Mutex::new);
        let of = of.to_owned();
        let beats = Beats { name, of, longest_round, last, failures: AtomicU32::new(0), last_failure };
        let pulse = Pulse { beats: Arc::new(beats), failed_rounds };
        let mut known = self.lock();
        let loops = &mut known.loops;
        // Those that are gone are looked for when the list is full, and then there is room for as many as are left: of
        // thousands that begin together, each is looked at a few times, not once for every other one.
        if loops.len() == loops.capacity() {
            loops.retain(|beats| beats.strong_count() > 0);
            loops.reserve(loops.len().max(FEWEST_LOOPS));
        }
        loops.push(Arc::downgrade(&pulse.beats));
        drop(known);
        pulse
    }

    /// A path must have had a login or a failure, as `was_tried` tells, before the exporter is ready.
    pub fn expect_a_try(&self, path: String, was_tried: impl Fn() -> bool + Send + Sync + 'static) {
        self.lock().paths.insert(path, Box::new(was_tried));
    }

    /// A path is gone: nobody waits for its first login any more.
    pub fn forget_path(&self, path: &str) {
        self.lock().paths.remove(path);
    }

    /// Why the exporter is not ready; nothing where it is.
    pub fn unready(&self) -> Vec<Unready> {
        let known = self.lock();
        let loops: Vec<LoopState> =
            known.loops.iter().filter_map(Weak::upgrade).map(|beats| beats.state()).collect();
        let untried: Vec<String> =
            known.paths.iter().filter(|(_, was_tried)| !was_tried()).map(|(path, _)| path.clone()).collect();
        unready(&loops, &untried)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Beats {
    fn silent(&self) -> Duration {
        moment(&self.last).elapsed()
    }

    fn state(&self) -> LoopState {
        LoopState {
            name: self.name,
            of: self.of.clone(),
            silent: self.silent().as_secs_f64(),
            longest_round: self.longest_round.as_secs_f64(),
            failures: self.failures.load(Ordering::Relaxed),
            since_failure: moment(&self.last_failure).elapsed().as_secs_f64(),
        }
    }
}

fn moment(kept: &Mutex<Instant>) -> MutexGuard<'_, Instant> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pulse {
    /// A pulse that nobody feels, for a loop that runs by itself.
    #[cfg(test)]
    pub(crate) fn unwatched(name: Loop) -> Self {
        let failed_rounds = IntCounter::new("failed_rounds", "Failed rounds.").expect("a good name");
        Health::default().watch(name, "", Duration::MAX, failed_rounds)
    }

    /// The loop moves.
    pub fn beat(&self) {
        *moment(&self.beats.last) = Instant::now();
    }

    /// How often a loop that waits beats.
    pub fn heartbeat(&self) -> Duration {
        failpoint::at_most(HEARTBEAT, SHORT_HEARTBEAT)
    }

    /// For how long it has not moved, in seconds.
    pub fn silent(&self) -> f64 {
        self.beats.silent().as_secs_f64()
    }

    /// Waits for what may take for ever, and shows meanwhile that the loop is alive.
    pub async fn wait<T>(&self, event: impl Future<Output = T>) -> T {
        let heartbeat = self.heartbeat();
        let mut event = pin!(event);
        loop {
            self.beat();
            if let Ok(event) = timeout(until_next(heartbeat), &mut event).await {
                self.beat();
                return event;
            }
        }
    }

    /// Runs one round. `None` where it panicked: that is counted and told, and a rest is due.
    pub async fn round<T>(&self, round: impl Future<Output = T>) -> Option<T> {
        self.beat();
        let mut round = pin!(round);
        let polled = std::future::poll_fn(|context| {
            // What a round leaves behind half-done goes with it: its sessions are dropped, and what it shares
            // with others stands behind locks that do not mind.
            match catch_unwind(AssertUnwindSafe(|| {
                self.strike();
                round.as_mut().poll(context)
            })) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(outcome)) => Poll::Ready(Some(outcome)),
                Err(_told_by_the_hook) => Poll::Ready(None),
            }
        });
        let outcome = polled.await;
        self.note(outcome.is_some());
        outcome
    }

    /// Runs one round that waits for nothing. As [`Self::round`].
    pub fn round_at_once<T>(&self, round: impl FnOnce() -> T) -> Option<T> {
        self.beat();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            self.strike();
            round()
        }))
        .ok();
        self.note(outcome.is_some());
        outcome
    }

    /// Takes note of how a round ended, and beats.
    pub fn note(&self, well: bool) {
        self.beat();
        let Beats { name, failures, .. } = &*self.beats;
        if well {
            if failures.swap(0, Ordering::Relaxed) > 0 {
                tracing::info!(event = "round_recovered", loop = name.label(), "a round succeeded again");
            }
            return;
        }
        self.count_failure();
        *moment(&self.beats.last_failure) = Instant::now();
        let in_a_row = failures.load(Ordering::Relaxed).saturating_add(1);
        failures.store(in_a_row, Ordering::Relaxed);
        tracing::error!(
            event = "round_failed",
            loop = name.label(),
            in_a_row,
            "a round of the loop {} failed: it rests {} s and goes on",
            name.label(),
            rest_after(in_a_row)
        );
    }

    /// Counts a round that failed without leaving the loop in doubt, such as a write to a full disk.
    pub fn count_failure(&self) {
        self.failed_rounds.inc();
    }

    /// How long to rest now: longer after each failed round in a row, and not at all after a good one.
    pub fn rest(&self) -> Duration {
        Duration::from_secs_f64(rest_after(self.beats.failures.load(Ordering::Relaxed)))
    }

    /// Takes the rest that is due.
    pub async fn take_rest(&self) {
        self.wait(sleep(self.rest())).await;
    }

    fn strike(&self) {
        assert!(
            !is_due(self.beats.name, Mode::Round),
            "a failpoint in a round of {}",
            self.beats.name.label()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(health: &Health) -> (Pulse, IntCounter) {
        let counter = IntCounter::new("failed_rounds", "Failed rounds.").expect("a good name");
        (health.watch(Loop::Witness, "shop", Duration::from_secs(30), counter.clone()), counter)
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_in_a_round_is_a_failed_round_and_no_more() {
        let health = Health::default();
        let (pulse, counter) = watched(&health);
        for failures in 1..=3 {
            let outcome: Option<()> = pulse
                .round(async {
                    sleep(Duration::from_millis(1)).await;
                    panic!("on purpose");
                })
                .await;
            assert!(outcome.is_none());
            assert_eq!(counter.get(), failures);
            assert_eq!(
                health.unready(),
                [Unready::Failing { name: Loop::Witness, of: "shop".to_owned(), failures: failures as u32 }]
            );
        }
        assert_eq!(pulse.rest(), Duration::from_secs(2));
        assert_eq!(pulse.round_at_once(|| 7), Some(7));
        assert_eq!((health.unready(), pulse.rest()), (Vec::new(), Duration::ZERO));
        assert_eq!(pulse.round_at_once(|| -> u8 { panic!("on purpose") }), None);
        assert_eq!(counter.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_waits_is_alive_and_a_round_without_end_is_stuck() {
        let health = Arc::new(Health::default());
        let (pulse, _) = watched(&health);
        pulse.wait(sleep(Duration::from_secs(3600))).await;
        assert_eq!(health.unready(), []);
        let seen = Arc::clone(&health);
        let waiting = tokio::spawn({
            let pulse = pulse.clone();
            async move { pulse.wait(std::future::pending::<()>()).await }
        });
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(seen.unready(), []);
        waiting.abort();
        let stuck = timeout(Duration::from_secs(31), pulse.round(std::future::pending::<()>())).await;
        assert!(stuck.is_err());
        let reasons = seen.unready();
        assert!(matches!(reasons[..], [Unready::Stuck { name: Loop::Witness, .. }]), "{reasons:?}");
    }

    #[test]
    fn loops_that_are_gone_are_forgotten_and_the_others_are_all_watched() {
        let health = Health::default();
        let failing: Vec<Pulse> = (0..200).map(|_| watched(&health).0).collect();
        failing.iter().for_each(|pulse| pulse.note(false));
        for _ in 0..50_000 {
            drop(watched(&health));
        }
        assert_eq!(health.unready().len(), failing.len());
        let room = health.lock().loops.capacity();
        assert!(room < 8 * failing.len(), "room for {room} of {}", failing.len());
    }

    #[test]
    fn nothing_is_ready_before_every_path_was_tried() {
        let health = Health::default();
        let tried = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&tried);
        health.expect_a_try("shop/direct".to_owned(), move || seen.load(Ordering::Relaxed) > 0);
        assert_eq!(health.unready(), [Unready::NotTried { path: "shop/direct".to_owned() }]);
        tried.store(1, Ordering::Relaxed);
        assert_eq!(health.unready(), []);
    }
}
