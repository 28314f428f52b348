//! A world that the real loop lives in: each canary's end is known at its birth from the nature of the world, is
//! seen as a socket would see it, and judged as the real one is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql_canary_exporter::domain::conduct::health::Loop;
use mysql_canary_exporter::domain::conduct::suspension::Headroom;
use mysql_canary_exporter::domain::culprit::judgement::{Clocks, End, Origin, Testimony, judge};
use mysql_canary_exporter::domain::life::ending::Ending;
use mysql_canary_exporter::domain::life::kind::Kind;
use mysql_canary_exporter::domain::life::void::VoidCause;
use mysql_canary_exporter::domain::limit::ladder::Ladder;
use mysql_canary_exporter::metrics::Metrics;
use mysql_canary_exporter::prober::kills::KillCount;
use mysql_canary_exporter::prober::life::{Assignment, Directive, Notice, Outcome, Voided, World};
use mysql_canary_exporter::prober::{Epoch, Memory, PathReport, Present, Prober, Publish, Settings, Wires};
use mysql_canary_exporter::supervision::Health;
use mysql_canary_exporter::supervision::stop;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::log::{Line, Lines};
use crate::nature::{Closes, Event, Nature, Probing};
use crate::random::Random;

const PROBE_TIMEOUT: f64 = 2.0;
/// Others' KILLs that lie further apart than this, in seconds, are told from those of a canary by nothing.
const SELDOM_KILLED: f64 = 40.0;
/// The world's beginning, in seconds since the Unix epoch.
const START: f64 = 1.8e9;

/// What really ended a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    WaitTimeout,
    OwnTimer,
    Proxy,
    Firewall,
    Lifetime,
    Killer,
    Kill,
    Restart,
    Reload,
    Flush,
    Eviction,
}

/// One end, and what was said of it.
#[derive(Debug, Clone)]
pub(crate) struct Death {
    pub(crate) cause: Cause,
    /// What else had ended it before it was found dead, where nothing is heard of either.
    pub(crate) or: Vec<Cause>,
    /// When it died, in seconds from the world's beginning.
    pub(crate) at: f64,
    pub(crate) said: Line,
}

/// What really ended a canary, and when in seconds from the world's beginning.
#[derive(Debug, Clone)]
struct Truth {
    cause: Cause,
    or: Vec<Cause>,
    at: f64,
}

/// What was reported at a time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) at: f64,
    pub(crate) lower: f64,
    pub(crate) upper: Option<f64>,
    pub(crate) share: f64,
    pub(crate) confirmed: bool,
    pub(crate) killer: Option<&'static str>,
}

/// Runs a world to its end. Gives every end with what was said of it, and what was reported when it changed.
pub(crate) fn run(nature: &Nature) -> (Vec<Death>, Vec<Report>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let lines = Lines::default();
    // The loop spreads its launches by this thread's generator.
    fastrand::seed(nature.seed);
    let (ends, reports) = tracing::subscriber::with_default(lines.clone(), || runtime.block_on(live(nature)));
    let said = lines.take().into_iter().filter_map(|said| {
        let Truth { cause, or, at } = ends.get(&said.thread_id)?.clone();
        Some(Death { cause, or, at, said })
    });
    (said.collect(), reports)
}

async fn live(nature: &Nature) -> (BTreeMap<u64, Truth>, Vec<Report>) {
    let Probing { ladder, precision, canaries, lasts } = nature.probing;
    let ladder = Ladder::parse(ladder).expect("a ladder");
    let metrics = Metrics::new(&ladder).expect("good names");
    let (report, mut told) = watch::channel(PathReport::default());
    let publish = Publish { report, present: watch::channel(Present::default()).0 };
    let (_say_headroom, headroom) = watch::channel(Headroom::Unknown);
    let (say_stop, stop) = stop::channel();
    let begin = Instant::now();
    let shared = Shared { random: Random::new(nature.seed ^ 0xabcd), ..Shared::default() };
    let scene = Scene(Arc::new(Inner {
        nature: nature.clone(),
        begin,
        shared: Mutex::new(shared),
        kill_count: KillCount::default(),
    }));
    let settings = Settings {
        target: "t".to_owned(),
        path: "p".to_owned(),
        ladder,
        precision,
        canaries,
        common_timeouts: vec![10.0, 30.0, 60.0, 120.0],
        hurried: false,
    };
    let paths = metrics.path("t", "p", &Kind::ALL);
    let prober = Prober::new(scene.clone(), settings, paths, publish, Memory::default(), Epoch::new(START));
    let health = Health::default();
    let [pulse, lives] = [Loop::Prober, Loop::Canary]
        .map(|name| health.watch(name, "t", Duration::MAX, metrics.failed_rounds("t", name)));
    let running = tokio::spawn(prober.run(Wires { headroom, stop, pulse, lives }));
    let end = begin + Duration::from_secs_f64(lasts);
    let mut reports: Vec<Report> = Vec::new();
    loop {
        tokio::select! {
            biased;
            changed = told.changed() => if changed.is_err() { break },
            () = sleep_until(end) => break,
        }
        let (limit, killer) = {
            let report = told.borrow_and_update();
            (report.limit(Kind::Idle), report.killer.map(|killer| killer.culprit.label()))
        };
        let report = Report {
            at: begin.elapsed().as_secs_f64(),
            lower: limit.lower,
            upper: limit.upper,
            share: limit.share,
            confirmed: limit.confirmed,
            killer,
        };
        let is_news = reports.last().is_none_or(|last| {
            (last.lower, last.upper, last.confirmed, last.killer)
                != (report.lower, report.upper, report.confirmed, report.killer)
        });
        if is_news {
            reports.push(report);
        }
    }
    say_stop.say();
    let history = running.await.expect("the loop ends well");
    if std::env::var_os("MYSQL_CANARY_WORLD").is_some() {
        history.iter().for_each(|seen| println!("{:.1} {seen:?}", seen.at - START));
    }
    let ends = std::mem::take(&mut scene.0.shared.lock().expect("no life panics holding it").ends);
    (ends, reports)
}

/// The world, shared by its lives.
#[derive(Debug, Clone)]
struct Scene(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    nature: Nature,
    begin: Instant,
    shared: Mutex<Shared>,
    /// What was read of the counts of KILLs.
    kill_count: KillCount,
}

#[derive(Debug)]
struct Shared {
    random: Random,
    next_id: u64,
    /// When canaries of ours were killed on each server, in seconds from the beginning.
    kills: Vec<(usize, f64)>,
    /// What really ended each, by thread id.
    ends: BTreeMap<u64, Truth>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { random: Random::new(0), next_id: 100, kills: Vec::new(), ends: BTreeMap::new() }
    }
}

/// One session, and how it will end.
#[derive(Debug, Clone)]
struct Fated {
    thread_id: u64,
    kind: Kind,
    server: usize,
    /// When it was born, in seconds from the beginning.
    born: f64,
    /// When it ends, in seconds from the beginning, by what.
    dies: f64,
    cause: Cause,
    /// Everything else that had ended it, and when.
    later: Vec<(f64, Cause)>,
    wait_timeout: f64,
    own_timer: bool,
}

impl World for Scene {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn haunting(&self) -> usize {
        0
    }

    async fn crowded(&self) {
        std::future::pending().await
    }

    fn live(&self, assignment: Assignment) -> impl Future<Output = Outcome> + Send + 'static {
        let scene = self.clone();
        async move { scene.one_life(assignment).await }
    }
}

impl Scene {
    fn now(&self) -> f64 {
        self.0.begin.elapsed().as_secs_f64()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Shared) -> T) -> T {
        act(&mut self.0.shared.lock().expect("no life panics holding it"))
    }

    async fn sleep_until(&self, time: f64) {
        sleep_until(self.0.begin + Duration::from_secs_f64(time.clamp(0.0, 1e7))).await;
    }

    /// Until when this process stands still at a time, and for how long; `None` while it runs.
    fn standstill(&self, at: f64) -> Option<(f64, f64)> {
        self.0.nature.events.iter().find_map(|&(begins, event)| match event {
            Event::StandStill(seconds) if at >= begins && at < begins + seconds => {
                Some((begins + seconds, seconds))
            }
            _ => None,
        })
    }

    /// For how long it stood still up to a second before what was seen at a time.
    fn stood_still(&self, at: f64) -> f64 {
        let of = self.0.nature.events.iter().filter_map(|&(begins, event)| match event {
            Event::StandStill(seconds) if at + 1.0 >= begins && at <= begins + seconds + 1.0 => Some(seconds),
            _ => None,
        });
        of.fold(0.0, f64::max)
    }

    /// How often anybody was killed on a server until a time.
    fn kills(&self, server: usize, until: f64) -> f64 {
        let others = self.0.nature.others_killed_every.map_or(0.0, |every| (until / every).floor());
        let ours =
            self.with(|shared| shared.kills.iter().filter(|(on, at)| *on == server && *at <= until).count());
        others + ours as f64
    }

    /// By how many seconds a probe is late: seldom by much.
    fn probes_late(&self) -> f64 {
        let most = self.0.nature.probes_late;
        if most > 0.0 { most * self.with(|shared| shared.random.share()).powi(3) } else { 0.0 }
    }

    fn is_restarted_between(&self, from: f64, to: f64) -> bool {
        self.0.nature.events.iter().any(|(at, event)| *event == Event::Restart && *at > from && *at <= to)
    }

    async fn one_life(&self, mut assignment: Assignment) -> Outcome {
        sleep(Duration::from_secs_f64(assignment.delay + 0.01)).await;
        if let Some((end, _)) = self.standstill(self.now()) {
            self.sleep_until(end).await;
        }
        let fated = self.fate(assignment.kind, assignment.longest);
        let kills = self.kills(fated.server, fated.born);
        let identity = format!("server {}", fated.server);
        let born_at = Instant::now();
        self.0.kill_count.note(born_at, Some(&identity), Some(kills));
        let name = self.0.nature.servers.len().gt(&1).then(|| format!("server {}", fated.server));
        let born = Notice::Born { id: assignment.id, at: Instant::now(), server: name.clone(), moves: 0 };
        let _ = assignment.notices.send(born);
        let late = self.probes_late();
        loop {
            let orders = assignment.orders.heed();
            match orders.directive {
                Directive::Hold => {}
                Directive::Recall => return Outcome::Recalled,
                Directive::Stop | Directive::Leave => {
                    return Outcome::Void(Voided { cause: VoidCause::Stopped, age: None, thread_id: None });
                }
            }
            if fated.kind == Kind::Busy && self.0.nature.forbids_statements && self.now() > fated.born + 3.0 {
                return Outcome::Recalled;
            }
            let probe = fated.born + orders.age + late;
            let heard = if is_silent(fated.cause) { f64::INFINITY } else { fated.dies };
            let tick = if fated.kind == Kind::Busy { fated.born + 3.1 } else { f64::INFINITY };
            let next = probe.min(heard).min(if tick > self.now() + 1e-3 { tick } else { f64::INFINITY });
            let next = self.standstill(next).map_or(next, |(end, _)| end);
            tokio::select! {
                biased;
                () = self.sleep_until(next) => {}
                changed = assignment.orders.changed() => {
                    if changed.is_err() {
                        return Outcome::Recalled;
                    }
                    continue;
                }
            }
            // The runtime counts whole milliseconds, and a float may be a hair before them.
            let now = self.now() + 1e-4;
            if now < probe.min(heard) {
                continue;
            }
            let _ = assignment.notices.send(Notice::Stirred { id: assignment.id });
            if fated.dies > now || fated.dies == f64::INFINITY {
                return Outcome::Survived { age: now - fated.born, server: name };
            }
            return self.died(&fated, now, heard <= now).await;
        }
    }

    /// It is dead, as is seen now.
    async fn died(&self, fated: &Fated, seen: f64, was_heard: bool) -> Outcome {
        let nature = &self.0.nature;
        self.with(|shared| {
            // Of two that are both silent nothing tells which was first: a timer that would have struck before the
            // probe explains a flow that was forgotten a little earlier just as well.
            let is_silent_too =
                |end: &&(f64, Cause)| is_silent(fated.cause) && is_silent(end.1) && end.0 <= seen;
            let or = fated.later.iter().filter(is_silent_too).map(|(_, cause)| *cause).collect();
            shared.ends.insert(fated.thread_id, Truth { cause: fated.cause, or, at: fated.dies });
            let kill = (fated.server, fated.dies);
            // KILL USER is one statement, and counted once.
            let is_one_statement = nature.events.contains(&(fated.dies, Event::KillUser));
            let is_counted = is_one_statement && shared.kills.contains(&kill);
            if matches!(fated.cause, Cause::Killer | Cause::Kill) && !is_counted {
                shared.kills.push(kill);
            }
        });
        let stall = if was_heard || nature.resets { 0.01 } else { PROBE_TIMEOUT };
        // The witness: deaths of a moment are gathered.
        sleep(Duration::from_secs_f64(stall + 0.4)).await;
        let asked = self.now();
        let server = self.with(|shared| shared.random.one_of(nature.servers.len()));
        let restarted = self.is_restarted_between(fated.born, asked);
        let kills = self.kills(server, asked);
        let (identity, ended) =
            (format!("server {}", fated.server), self.0.begin + Duration::from_secs_f64(seen));
        let born = self.0.begin + Duration::from_secs_f64(fated.born);
        let at_birth = (born, Some(self.kills(fated.server, fated.born)));
        let now = (Instant::now(), kills);
        let kills_rose = self.0.kill_count.rose(ended, Some(&identity), at_birth, now);
        self.0.kill_count.note(now.0, Some(&format!("server {server}")), Some(kills));
        let read_at = kills_rose.map(|kills| seen - kills.read_before);
        let mut too: Vec<Cause> = Vec::new();
        if restarted {
            // A server that was restarted before it was asked took the session along, dead or not.
            too.push(Cause::Restart);
        }
        let foreign = |until: f64| nature.others_killed_every.map_or(0.0, |every| (until / every).floor());
        let is_fin = was_heard && !matches!(fated.cause, Cause::WaitTimeout | Cause::OwnTimer);
        // Where such are many, they show how many.
        let are_seldom = nature.others_killed_every.is_none_or(|every| every >= SELDOM_KILLED);
        if is_fin && are_seldom && read_at.is_some_and(|at| foreign(asked) > foreign(at)) {
            // Somebody else's session was killed between the two readings around this close: FIN, the row gone and
            // the count risen are all that a KILL of this very session would have shown.
            too.push(Cause::Kill);
        }
        self.with(|shared| {
            if let Some(truth) = shared.ends.get_mut(&fated.thread_id) {
                truth.or.extend(too);
            }
        });
        let several = nature.servers.len() > 1;
        let name = |server: usize| several.then(|| format!("server {server}"));
        let (own, asked_name) = (name(fated.server), name(server));
        let is_row_gone = !is_silent(fated.cause);
        let testimony = Testimony {
            identity: asked_name.as_deref(),
            uptime: Some(asked),
            since_birth: asked - fated.born,
            has_started_over: restarted,
            are_balanced: several,
            is_listed: Some(!is_row_gone),
            failed_before: false,
            kills_rose: kills_rose.filter(|_| server == fated.server),
        };
        let origin = Origin {
            thread_id: fated.thread_id,
            identity: own.as_deref(),
            wait_timeout: Some(fated.wait_timeout),
            own_timer: fated.own_timer,
            uptime: Some(fated.born),
            proxy_seen: false,
        };
        if stall >= PROBE_TIMEOUT {
            // An answer may come late.
            sleep(Duration::from_secs_f64(PROBE_TIMEOUT)).await;
        }
        let closes = self.0.nature.servers[fated.server].closes;
        let end = seen_end(fated, seen, was_heard, nature.resets, closes);
        let clocks = Clocks { was_suspended: false, stood_still: self.stood_still(seen) };
        match judge(&End { stall: (!was_heard).then_some(stall), ..end }, &origin, Some(&testimony), clocks) {
            Ok(death) => Outcome::Died(death),
            Err(cause) => {
                let (age, thread_id) = (Some(end.age), Some(fated.thread_id));
                Outcome::Void(Voided { cause, age, thread_id })
            }
        }
    }

    /// How a session that is born now will end.
    fn fate(&self, kind: Kind, longest: f64) -> Fated {
        let (nature, born) = (&self.0.nature, self.now());
        self.with(|shared| {
            let random = &mut shared.random;
            let server = random.one_of(nature.servers.len());
            let mut rest = random.share();
            let number = nature.ways.iter().position(|way| {
                rest -= way.share;
                rest < 0.0
            });
            let number = number.unwrap_or(nature.ways.len() - 1);
            let mut ends: Vec<(f64, Cause)> = Vec::new();
            let wait_timeout = nature.wait_timeout(&nature.servers[server], born);
            let bound = (longest + 2.0 * PROBE_TIMEOUT + 5.0).ceil();
            let own_timer = wait_timeout > longest && bound < wait_timeout;
            let wait_timeout = if own_timer { bound } else { wait_timeout };
            let is_quiet = kind != Kind::Active;
            let late = 0.2 * random.share();
            if matches!(kind, Kind::Idle | Kind::Keepalive) {
                let cause = if own_timer { Cause::OwnTimer } else { Cause::WaitTimeout };
                ends.push((born + wait_timeout + late, cause));
            }
            let way = &nature.ways[number];
            // A timer that is set anew counts for sessions that are born from then on.
            let scatter = if nature.scatter > 0.0 { nature.scatter * random.share() } else { 0.0 };
            let factor = nature.factor(born) * (1.0 + scatter);
            let looked_at = |at: f64| nature.looks_every.map_or(at, |every| (at / every).ceil() * every);
            if let Some(limit) = way.proxy.filter(|_| is_quiet) {
                ends.push((looked_at(born + limit * factor) + 0.01 * random.share(), Cause::Proxy));
            }
            if let Some(limit) = way.firewall.filter(|_| matches!(kind, Kind::Idle | Kind::Busy)) {
                ends.push((looked_at(born + limit * factor), Cause::Firewall));
            }
            if let Some(limit) = way.lifetime {
                ends.push((born + limit * factor + 0.01 * random.share(), Cause::Lifetime));
            }
            if let Some(killer) = &nature.killer
                && match kind {
                    Kind::Idle | Kind::Keepalive => true,
                    Kind::Busy => killer.busy_too,
                    Kind::Active => killer.of_age,
                }
            {
                let tick = ((born + killer.idle) / killer.every).ceil() * killer.every;
                if tick < killer.until {
                    ends.push((tick + 0.005, Cause::Killer));
                }
            }
            if let Some(rate) = nature.evictions {
                ends.push((born - (1.0 - random.share()).ln() / rate, Cause::Eviction));
            }
            for &(at, event) in nature.events.iter().filter(|(at, _)| *at > born) {
                match event {
                    Event::Restart => ends.push((at, Cause::Restart)),
                    Event::Flush => ends.push((at, Cause::Flush)),
                    Event::Reload(way) if way == number => ends.push((at, Cause::Reload)),
                    Event::KillUser => ends.push((at, Cause::Kill)),
                    Event::KillSome(share) if random.happens(share) => ends.push((at, Cause::Kill)),
                    Event::Reload(_)
                    | Event::KillSome(_)
                    | Event::StandStill(_)
                    | Event::SetAnew(_)
                    | Event::SetWaitTimeout(_) => {}
                }
            }
            ends.push((f64::INFINITY, Cause::Reload));
            ends.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (dies, cause) = ends.remove(0);
            shared.next_id += 1;
            let thread_id = shared.next_id;
            Fated { thread_id, kind, server, born, dies, cause, later: ends, wait_timeout, own_timer }
        })
    }
}

/// Whether nothing is seen of it before the next packet.
fn is_silent(cause: Cause) -> bool {
    matches!(cause, Cause::Firewall | Cause::Flush | Cause::Eviction)
}

/// What a socket shows.
fn seen_end(fated: &Fated, seen: f64, was_heard: bool, resets: bool, closes: Closes) -> End {
    let age = seen - fated.born;
    let nothing = End { ending: Ending::Silence, age, exact: false, error_code: None, stall: None };
    if !was_heard {
        return if resets { End { ending: Ending::ResetOnUse, ..nothing } } else { nothing };
    }
    let ending = match (fated.cause, closes) {
        (Cause::WaitTimeout | Cause::OwnTimer, Closes::Reset) => Ending::Reset,
        (Cause::WaitTimeout | Cause::OwnTimer, Closes::Goodbye) => Ending::Goodbye,
        _ => Ending::Fin,
    };
    let error_code = (ending == Ending::Goodbye).then_some(4031);
    End { ending, age, exact: true, error_code, stall: None }
}
