//! The loop in virtual time, in a scripted world: hours pass in milliseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::life::{Assignment, Death, Directive, Outcome, Unborn, Voided};
use super::*;
use crate::domain::conduct::health::Loop;
use crate::domain::culprit::{Culprit, Row};
use crate::domain::life::ending::Ending;
use crate::domain::life::observation::Fate;
use crate::domain::life::void::VoidCause;
use crate::domain::limit::idle_limit;
use crate::metrics::Metrics;
use crate::metrics::family::Value;
use crate::supervision::stop;

/// How long a probe of a silent death takes, in seconds.
const STALL: f64 = 1.0;

/// A path that kills idle canaries at an age, in seconds.
#[derive(Debug, Clone)]
struct Script {
    limit: Arc<Mutex<f64>>,
    /// Whether the death is heard at once, or found by the probe.
    audible: bool,
    tally: Arc<Mutex<Tally>>,
    /// How often the path has come to lead elsewhere.
    moves: Arc<AtomicU64>,
    /// Told when the witness lacks a place.
    crowded: Arc<Notify>,
}

/// What the script did, for comparison with what was counted.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    lived: u64,
    died: u64,
    held: usize,
    most_held: usize,
    logins: u64,
    /// How many are dead and wait for an answer in vain.
    dying: usize,
    recalled: u64,
}

impl Script {
    fn new(limit: f64, audible: bool) -> Self {
        Self {
            limit: Arc::new(Mutex::new(limit)),
            audible,
            tally: Arc::default(),
            moves: Arc::default(),
            crowded: Arc::default(),
        }
    }

    fn tally(&self) -> Tally {
        *self.tally.lock().expect("no test panics holding it")
    }

    fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().expect("no test panics holding it"));
    }
}

impl World for Script {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn haunting(&self) -> usize {
        0
    }

    fn moves(&self) -> u64 {
        self.moves.load(Ordering::SeqCst)
    }

    async fn crowded(&self) {
        self.crowded.notified().await;
    }

    fn live(&self, mut assignment: Assignment) -> impl Future<Output = Outcome> + Send + 'static {
        let script = self.clone();
        async move {
            tokio::time::sleep(Duration::from_secs_f64(assignment.delay)).await;
            if assignment.orders.orders().directive != Directive::Hold {
                return Outcome::Unborn(Unborn::Stopped);
            }
            script.count(|tally| {
                tally.logins += 1;
                tally.held += 1;
                tally.most_held = tally.most_held.max(tally.held);
            });
            let outcome = script.hold(&mut assignment).await;
            script.count(|tally| {
                tally.held -= 1;
                tally.lived += u64::from(matches!(outcome, Outcome::Survived { .. }));
                tally.died += u64::from(matches!(outcome, Outcome::Died(_)));
                tally.recalled += u64::from(matches!(outcome, Outcome::Recalled));
            });
            outcome
        }
    }
}

impl Script {
    async fn hold(&self, assignment: &mut Assignment) -> Outcome {
        let since = Instant::now();
        let notice = Notice::Born { id: assignment.id, at: since, server: None, moves: self.moves() };
        assignment.notices.send(notice).expect("the loop listens");
        let limit = *self.limit.lock().expect("no test panics holding it");
        // Keepalive and pings keep a session alive here, as on a path that counts packets.
        let mortal = matches!(assignment.kind, Kind::Idle | Kind::Busy);
        loop {
            let orders = assignment.orders.heed();
            match orders.directive {
                Directive::Hold => {}
                Directive::Recall => {
                    // On a dead path the farewell waits in vain.
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    return Outcome::Recalled;
                }
                Directive::Stop => {
                    let voided = Voided { cause: VoidCause::Stopped, age: None, thread_id: None };
                    return Outcome::Void(voided);
                }
                Directive::Leave => {
                    let voided = Voided { cause: VoidCause::PathGone, age: None, thread_id: None };
                    return Outcome::Void(voided);
                }
            }
            let strikes = if mortal && self.audible { limit.min(orders.age) } else { orders.age };
            tokio::select! {
                () = sleep_until(since + Duration::from_secs_f64(strikes)) => {
                    let dead = mortal && orders.age > limit;
                    let notice = Notice::Stirred { id: assignment.id };
                    assignment.notices.send(notice).expect("the loop listens");
                    if dead && !self.audible {
                        self.count(|tally| tally.dying += 1);
                        tokio::time::sleep(Duration::from_secs_f64(STALL)).await;
                        self.count(|tally| tally.dying -= 1);
                    }
                    return if dead { Outcome::Died(self.death(limit, orders.age)) } else { Outcome::Survived { age: orders.age, server: None } };
                }
                changed = assignment.orders.changed() => changed.expect("the loop lives"),
            }
        }
    }

    fn death(&self, limit: f64, age: f64) -> Death {
        Death {
            ending: if self.audible { Ending::Reset } else { Ending::Silence },
            age: if self.audible { limit } else { age },
            exact: self.audible,
            error_code: None,
            stall: (!self.audible).then_some(STALL),
            wait_timeout: Some(86_400.0),
            row: Row::Present,
            restarted: false,
            proxy_seen: false,
            thread_id: 1,
            uptime: None,
            identity: None,
            kills: None,
        }
    }
}

fn wires(headroom: watch::Receiver<Headroom>, stop: Stop) -> Wires {
    let [pulse, lives] = [Loop::Prober, Loop::Canary].map(Pulse::unwatched);
    Wires { headroom, stop, pulse, lives }
}

fn settings(ladder: Ladder) -> Settings {
    Settings {
        target: "t".to_owned(),
        path: "p".to_owned(),
        ladder,
        precision: 0.01,
        canaries: 10,
        common_timeouts: Vec::new(),
        hurried: false,
    }
}

fn publish() -> Publish {
    Publish { report: watch::channel(PathReport::default()).0, present: watch::channel(Present::default()).0 }
}

/// Starts the loop on a script. Gives its metrics, who says stop, and what it gives back.
fn start(
    script: &Script,
    settings: Settings,
    headroom: watch::Receiver<Headroom>,
) -> (Metrics, stop::StopSender, JoinHandle<History>) {
    let metrics = Metrics::new(&settings.ladder).expect("good names");
    let paths = metrics.path("t", "p", &Kind::ALL);
    let (say_stop, stop) = stop::channel();
    let (memory, epoch) = (Memory::default(), Epoch::new(1.8e9));
    let prober = Prober::new(script.clone(), settings, paths, publish(), memory, epoch);
    (metrics, say_stop, tokio::spawn(prober.run(wires(headroom, stop))))
}

/// Runs the loop on a script for so many seconds. Gives the history and the sum of a metric's series.
async fn run(script: &Script, ladder: Ladder, seconds: f64) -> (History, impl Fn(&str) -> f64) {
    let (_headroom, headroom) = watch::channel(Headroom::Unknown);
    let (metrics, say_stop, running) = start(script, settings(ladder), headroom);
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    say_stop.say();
    let history = running.await.expect("the loop ends well");
    let sum = move |name: &str| {
        let mut sum = 0.0;
        let name = format!("mysql_canary_{name}");
        let families = metrics.families();
        let family = families.into_iter().find(|family| family.description().name == name).expect("its name");
        family.read_each(&mut |_, value| match value {
            Value::Number(number) => sum += number,
            Value::Distribution(_) => panic!("{name} is no counter"),
        });
        sum
    };
    (history, sum)
}

#[tokio::test(start_paused = true)]
async fn an_eight_hour_ladder_runs_and_every_outcome_is_counted_once() {
    let began = std::time::SystemTime::now();
    let script = Script::new(f64::INFINITY, true);
    let (history, sum) = run(&script, Ladder::default(), 32_000.0).await;
    let tally = script.tally();
    assert_eq!(sum("lives_total"), (tally.lived + tally.died) as f64);
    assert_eq!(sum("deaths_total"), 0.0);
    assert_eq!(history.iter().filter(|seen| seen.is_survival()).count() as u64, tally.lived);
    assert!(history.iter().any(|seen| seen.age >= 30_000.0), "the longest rung was reached");
    assert!(tally.most_held <= 10, "{tally:?}");
    assert!(tally.logins < 200 * 9, "fewer than 200 logins an hour: {tally:?}");
    let took = began.elapsed().expect("the clock runs forward");
    assert!(
        took < Duration::from_secs(1) || cfg!(debug_assertions) && took < Duration::from_secs(5),
        "took {took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_audible_limit_is_found_at_its_age_and_counted_once_each() {
    let script = Script::new(350.0, true);
    let (history, sum) = run(&script, Ladder::default(), 3600.0).await;
    let tally = script.tally();
    assert!(tally.died >= 2, "{tally:?}");
    assert_eq!(sum("deaths_total"), tally.died as f64);
    assert_eq!(sum("lives_total"), (tally.lived + tally.died) as f64);
    let limit = idle_limit(&history, Kind::Idle);
    assert!(limit.exact && (limit.upper.expect("a limit stands") - 350.0).abs() < 1.0, "{limit:?}");
    let culprits: Vec<_> = history
        .iter()
        .filter_map(|seen| match seen.fate {
            Fate::Died { culprit, .. } => Some(culprit),
            Fate::Lived => None,
        })
        .collect();
    assert!(culprits.iter().all(|culprit| *culprit == Culprit::NetworkIdleTimeout), "{culprits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_limit_is_bracketed_and_its_twins_tell_the_remedy() {
    let script = Script::new(350.0, false);
    let (history, sum) = run(&script, Ladder::default(), 7200.0).await;
    let tally = script.tally();
    assert_eq!(sum("deaths_total"), tally.died as f64);
    let limit = idle_limit(&history, Kind::Idle);
    let upper = limit.upper.expect("a limit stands");
    assert!(limit.lower <= 350.0 && upper >= 350.0 && upper - limit.lower < 0.02 * 350.0 + 1.0, "{limit:?}");
    let report = PathReport::new(&history, None);
    assert_eq!(report.remedies.tcp_keepalive, Some(true));
    assert_eq!(report.remedies.app_ping, Some(true));
    assert!(tally.most_held <= 10, "{tally:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_launched_while_the_server_has_no_room() {
    let ladder = Ladder::parse("2s,4s,30s,60s,90s,120s").expect("a ladder");
    let (say_headroom, headroom) = watch::channel(Headroom::Low(0));
    let script = Script::new(f64::INFINITY, true);
    let (_, say_stop, running) = start(&script, settings(ladder), headroom);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(script.tally().logins, 0);
    say_headroom.send_replace(Headroom::Spare(2));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(script.tally().logins, 2, "no more than there was room for when it was read");
    say_headroom.send_replace(Headroom::Spare(9));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(script.tally().held > 2, "{:?}", script.tally());
    say_headroom.send_replace(Headroom::Low(20));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(script.tally().held, 0, "a full server gets its places back");
    say_stop.say();
    running.await.expect("the loop ends well");
}

#[tokio::test(start_paused = true)]
async fn a_witness_gets_the_place_of_one_that_lives_while_another_is_dying() {
    let ladder = Ladder::parse("10s,300s,600s").expect("a ladder");
    let (_headroom, headroom) = watch::channel(Headroom::Unknown);
    let script = Script::new(5.0, false);
    let (_, say_stop, running) = start(&script, settings(ladder), headroom);
    for _ in 0..1000 {
        if script.tally().dying > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let before = script.tally();
    assert!(before.dying > 0 && before.held > before.dying, "{before:?}");
    script.crowded.notify_one();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let after = script.tally();
    assert!(after.dying > 0 && after.recalled == before.recalled + 1, "{before:?} {after:?}");
    say_stop.say();
    running.await.expect("the loop ends well");
}

#[tokio::test(start_paused = true)]
async fn a_ladder_of_seconds_is_refined_past_its_first_death() {
    let script = Script::new(33.0, false);
    let ladder = Ladder::parse("5s,15s,40s,60s").expect("a ladder");
    let (history, _) = run(&script, ladder, 300.0).await;
    let limit = idle_limit(&history, Kind::Idle);
    let upper = limit.upper.expect("a limit stands");
    let seen: Vec<_> =
        history.iter().map(|seen| (seen.at - 1.8e9, seen.kind, seen.age, seen.is_survival())).collect();
    assert!(limit.lower <= 33.0 && upper >= 33.0 && upper - limit.lower < 0.7, "{limit:?} {seen:#?}");
}

/// Canaries of a path that kills at 40 s are held and die while it comes to lead to one that kills at 300 s.
#[tokio::test(start_paused = true)]
async fn what_was_seen_at_another_address_is_not_mixed_in() {
    for audible in [true, false] {
        let script = Script::new(40.0, audible);
        let ladder = Ladder::parse("10s,25s,60s,200s,400s").expect("a ladder");
        let moving = script.clone();
        let mover = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            *moving.limit.lock().expect("no test panics holding it") = 300.0;
            moving.moves.store(1, Ordering::SeqCst);
            let died = moving.tally().died;
            assert!(died > 2, "it was well known before");
            died
        });
        let (history, sum) = run(&script, ladder, 2.0 * 3600.0).await;
        let died_before = mover.await.expect("it moved");
        assert!(history.iter().all(|seen| seen.is_survival() || seen.age > 200.0), "nothing of 40 s is left");
        let limit = idle_limit(&history, Kind::Idle);
        assert!(limit.confirmed && limit.upper.is_some_and(|upper| upper >= 299.0), "{limit:?}");
        let tally = script.tally();
        let (lives, deaths, voided) = (sum("lives_total"), sum("deaths_total"), sum("voided_total"));
        let ended = (tally.lived + tally.died) as f64;
        assert!(lives <= ended && lives + voided >= ended, "each counts once: {lives}, {voided}, {tally:?}");
        // Of those in flight at the move and at the end.
        assert!(voided <= 20.0 && lives >= ended - 10.0, "{lives}, {voided}, {tally:?}");
        assert!(deaths >= died_before as f64 - 10.0 && deaths <= tally.died as f64, "{deaths}, {tally:?}");
    }
}

/// Runs a loop on a path that ends idle canaries at 10 s, for so many seconds. Gives which twins were heard by then.
async fn twins_heard(hurried: bool, seconds: f64) -> BTreeSet<Kind> {
    let ladder = Ladder::parse("2s,4s,8s,20s,60s").expect("a ladder");
    let (_headroom, headroom) = watch::channel(Headroom::Unknown);
    let settings = Settings { hurried, canaries: 22, ..settings(ladder) };
    let script = Script::new(10.0, true);
    let (_, say_stop, running) = start(&script, settings, headroom);
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    assert!(script.tally().most_held <= 22, "early twins are part of the budget");
    say_stop.say();
    let history = running.await.expect("the loop ends well");
    history.iter().filter(|seen| seen.kind != Kind::Idle).map(|seen| seen.kind).collect()
}

#[tokio::test(start_paused = true)]
async fn where_somebody_waits_twins_are_heard_a_whole_life_sooner() {
    let early = BTreeSet::from([Kind::Keepalive, Kind::Active]);
    assert_eq!(twins_heard(true, 14.0).await, early);
    assert!(
        twins_heard(false, 14.0).await.is_empty(),
        "in the long run they are sent where they decide something"
    );
    assert!(twins_heard(false, 60.0).await.is_superset(&early));
}
