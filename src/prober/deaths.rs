//! Deaths: each is held until its evidence decides, then counted once, observed once and told once.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use super::epoch::Epoch;
use super::flights::Flights;
use super::life::Death;
use crate::domain::culprit::companions::{
    Spared, Struck, are_kills_read, are_kills_too_few, is_before_its_age, kills_near, kills_there, same_age,
    same_instant,
};
use crate::domain::culprit::lost_state::{Beside, Life, Sent, Stories, Story, Told};
use crate::domain::culprit::twins;
use crate::domain::culprit::{Conclusion, Culprit, Evidence, conclude};
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History, Observation};
use crate::domain::life::tolerance::{
    AWAITS_LIVES, AWAITS_TWINS, BORN_TOGETHER_SECONDS, ONE_AGE, is_one_age,
};
use crate::domain::limit::{IdleLimit, idle_limit};

/// Those that die at one instant are known to be many this much later, in seconds.
const INSTANT_SECONDS: f64 = 1.0;

/// For how long those that are decided are company for others of their instant whose witness comes late, in
/// seconds: logins are paced, and may be retried.
const WITNESS_LATE_SECONDS: f64 = 60.0;
/// So many of them.
const COMPANY_OF_THE_PAST: usize = 64;

/// Deaths whose culprit is not decided yet.
#[derive(Debug, Default)]
pub(super) struct Undecided {
    cases: Vec<Case>,
    /// Those that died while nothing was being sent and were decided lately, the newest last.
    past: VecDeque<Struck>,
}

#[derive(Debug)]
struct Case {
    kind: Kind,
    death: Death,
    /// When it was learnt, in seconds since the Unix epoch.
    at: f64,
    /// When it began to be idle, in seconds since the Unix epoch.
    born: f64,
    /// Until when it waits, in seconds since the Unix epoch.
    until: f64,
    /// An idle canary was seen alive past its age.
    outlived: bool,
    /// One born no earlier was.
    outlived_by_younger: bool,
    /// Which server it was on, by its number in the history.
    server: Option<u16>,
    /// What the history was told of it already.
    foretold: Option<Observation>,
    /// The story that explains it, and how many lives it was told by: it is told anew when there are more.
    story: Option<(usize, Story)>,
    /// Whether others that are found dead later may yet tell another one.
    awaits_company: bool,
}

/// A death with its culprit.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) kind: Kind,
    pub(super) death: Death,
    /// When it was learnt, in seconds since the Unix epoch.
    pub(super) at: f64,
    pub(super) conclusion: Conclusion,
    /// Which server it was on, by its number in the history.
    pub(super) server: Option<u16>,
    /// What the history was told of it already, while it was not decided.
    pub(super) foretold: Option<Observation>,
}

impl Undecided {
    /// Takes a death in.
    ///
    /// A silent death gives what the history is told of it at once: that something died at this age does not
    /// wait for who did it, and the search goes on.
    pub(super) fn open(
        &mut self,
        kind: Kind,
        born: Option<Instant>,
        death: Death,
        server: Option<u16>,
        epoch: &Epoch,
    ) -> Option<Observation> {
        let at = epoch.now();
        let born = born.map_or(at - death.age, |born| epoch.unix(born));
        let is_silent = death.ending.is_found_by_probe() && !death.restarted && death.error_code.is_none();
        let until = at + if is_silent { AWAITS_LIVES } else { AWAITS_TWINS }.at(death.age);
        let foretold = (kind == Kind::Idle && is_silent).then(|| {
            let (ending, exact, killed) = (death.ending, death.exact, death.killed());
            let culprit = Culprit::NetworkIdleTimeout;
            let fate = Fate::Died { ending, exact, culprit, recurs: false, killed };
            Observation { at, kind, age: death.age, fate, server }
        });
        let (outlived, outlived_by_younger) = (false, false);
        self.cases.push(Case {
            kind,
            death,
            at,
            born,
            until,
            outlived,
            outlived_by_younger,
            server,
            foretold,
            story: None,
            awaits_company: false,
        });
        foretold
    }

    /// Whether a death that the history tells of is not decided yet.
    pub(super) fn is_open(&self, seen: &Observation) -> bool {
        self.cases.iter().any(|case| case.foretold.as_ref() == Some(seen))
    }

    /// Gives back every one, undecided: what it did, its idle age in seconds, and the server's thread id.
    pub(super) fn give_up(&mut self) -> Vec<(Kind, f64, u64)> {
        let cases = std::mem::take(self).cases;
        cases.into_iter().map(|case| (case.kind, case.death.age, case.death.thread_id)).collect()
    }

    /// Decides what can be decided now; at the end (`last_call`), everything.
    pub(super) fn review(
        &mut self,
        history: &History,
        flights: &Flights,
        epoch: &Epoch,
        told: &IdleLimit,
        last_call: bool,
    ) -> Vec<Decided> {
        let now = Instant::now();
        let unix_now = epoch.unix(now);
        let mut decided = Vec::new();
        if self.cases.is_empty() {
            return decided;
        }
        let idle = idle_limit(history, Kind::Idle);
        let mut waiting: Vec<Case> = Vec::new();
        self.past.retain(|struck| unix_now - struck.at <= WITNESS_LATE_SECONDS);
        let others = Others::of(&self.cases, &self.past, flights, epoch);
        let mut stories: BTreeMap<Option<u16>, (Stories, Told)> = BTreeMap::new();
        let patience: Vec<f64> = self.cases.iter().map(|case| self.until(case)).collect();
        for (mut case, until) in self.cases.drain(..).zip(patience) {
            let survivors = births_of_survivors(&case, history, flights, epoch, now);
            case.outlived |= !survivors.is_empty();
            case.outlived_by_younger |=
                survivors.iter().any(|born| *born >= case.born - BORN_TOGETHER_SECONDS);
            let lives = history.told() + others.silent.len();
            if case.is_silent() && case.story.is_none_or(|(by, _)| by != lives) {
                let read = || {
                    let before = told_before(case.server, history, &others, told);
                    (told_by_all(case.server, history, &others), before)
                };
                let (stories, before) = stories.entry(case.server).or_insert_with(read);
                case.story = Some((lives, stories.of_one(&case.life(), before)));
                case.awaits_company = stories.awaits_company(&case.life(), before);
            }
            let conclusion = conclude(&evidence(&case, history, &others, &idle));
            let may_be_one_of_many =
                case.awaits_company || case.company_until().is_some_and(|until| unix_now < until);
            if conclusion.decided && !may_be_one_of_many || last_call || unix_now >= until {
                if case.death.exact {
                    self.past.push_back(case.as_struck());
                    let too_many = self.past.len().saturating_sub(COMPANY_OF_THE_PAST);
                    self.past.drain(..too_many);
                }
                let Case { kind, death, at, server, foretold, .. } = case;
                decided.push(Decided { kind, death, at, conclusion, server, foretold });
            } else {
                waiting.push(case);
            }
        }
        self.cases = waiting;
        decided
    }

    /// The age in seconds, and the server, of the newest of the dead that wait for twins: those that only a
    /// probe found wait for others of their sort.
    pub(super) fn newest(&self) -> Option<(f64, Option<u16>)> {
        let waits = |case: &&Case| case.kind == Kind::Idle && case.foretold.is_none();
        self.cases.iter().rev().find(waits).map(|case| (case.death.age, case.server))
    }

    /// When the first of them has waited long enough; it and `now` in seconds since the Unix epoch.
    pub(super) fn next_deadline(&self, now: f64) -> Option<f64> {
        let company = |case: &Case| case.company_until().filter(|until| *until > now);
        self.cases.iter().map(|case| company(case).unwrap_or(self.until(case))).min_by(f64::total_cmp)
    }

    /// Until when a death is waited with, in seconds since the Unix epoch. Those found dead in silence may be of one
    /// moment, which only together they show: the younger wait for the older, for their own time once more at most.
    fn until(&self, case: &Case) -> f64 {
        if !case.is_silent() {
            return case.until;
        }
        let latest = self.cases.iter().filter(|other| other.is_silent()).map(|other| other.until);
        latest.fold(case.until, f64::max).min(2.0 * case.until - case.at)
    }
}

impl Case {
    /// When it died, or was found dead, in seconds since the Unix epoch.
    fn struck(&self) -> f64 {
        self.born + self.death.age
    }

    fn as_struck(&self) -> Struck {
        let Death { age, kills, .. } = self.death;
        Struck { kind: self.kind, age, at: self.struck(), server: self.server, kills }
    }

    fn life(&self) -> Life {
        Life { born: self.born, seen: self.struck(), is_dead: true, sent: sent_by(self.kind) }
    }

    /// Whether only a probe found it dead, and nobody said why.
    fn is_silent(&self) -> bool {
        self.death.ending.is_found_by_probe() && !self.death.restarted && self.death.error_code.is_none()
    }

    /// Until when others may turn out to have died with it, in seconds since the Unix epoch; `None` where they
    /// would change nothing.
    fn company_until(&self) -> Option<f64> {
        let could_matter = self.death.exact && !self.death.restarted && self.death.error_code.is_none();
        could_matter.then_some(self.struck() + INSTANT_SECONDS)
    }
}

/// Others whose deaths are not decided, and those that live on.
struct Others {
    /// Those that died while nothing was being sent, and when that was learnt.
    told: Vec<Struck>,
    /// All that died while nothing was being sent, and when they did; witnesses may still be heard.
    struck: Vec<Struck>,
    /// Those that are well.
    spared: Vec<Spared>,
    /// Those that were found dead in silence.
    silent: Vec<(Option<u16>, Life)>,
    /// What the history was told of those.
    foretold: Vec<Observation>,
}

impl Others {
    fn of(cases: &[Case], past: &VecDeque<Struck>, flights: &Flights, epoch: &Epoch) -> Self {
        let exact = || cases.iter().filter(|case| case.death.exact);
        let stirred = flights.iter().filter_map(|(_, flight)| {
            let (at, age) = flight.struck()?;
            let (kind, server) = (flight.kind, flight.server);
            Some(Struck { kind, age, at: epoch.unix(at), server, kills: None })
        });
        let silent = cases.iter().filter(|case| case.is_silent());
        Self {
            told: exact().map(|case| Struck { at: case.at, ..case.as_struck() }).collect(),
            spared: flights
                .iter()
                // A tool that kills idle sessions spares one that works, whatever its age.
                .filter(|(_, flight)| matches!(flight.kind, Kind::Idle | Kind::Keepalive))
                .filter(|(_, flight)| flight.is_well())
                .filter_map(|(_, flight)| {
                    let born = epoch.unix(flight.born?);
                    Some(Spared { born, server: flight.server })
                })
                .collect(),
            struck: exact().map(Case::as_struck).chain(stirred).chain(past.iter().copied()).collect(),
            silent: silent.map(|case| (case.server, case.life())).collect(),
            foretold: cases.iter().filter_map(|case| case.foretold).collect(),
        }
    }

    fn is_foretold(&self, seen: &Observation) -> bool {
        self.foretold.contains(seen)
    }
}

/// When those idle canaries were born, in seconds since the Unix epoch, that are or were alive past the age
/// of a death, at or after it.
fn births_of_survivors(
    case: &Case,
    history: &History,
    flights: &Flights,
    epoch: &Epoch,
    now: Instant,
) -> Vec<f64> {
    let past = case.death.age + ONE_AGE.either(case.death.age);
    let is_here = |server| history.is_one_server(case.server, server);
    let survived = |seen: &&Observation| {
        seen.kind == Kind::Idle && seen.is_survival() && seen.age > past && is_here(seen.server)
    };
    let in_flight = flights.iter().filter(|(_, flight)| flight.outlives(past, now) && is_here(flight.server));
    in_flight
        .filter_map(|(_, flight)| flight.born.map(|born| epoch.unix(born)))
        .chain(
            history
                .iter()
                .rev()
                .take_while(|seen| seen.at >= case.at)
                .filter(survived)
                .map(Observation::born),
        )
        .collect()
}

/// What a canary of a kind sends while it waits for its probe. What keeps one busy sends nothing.
const fn sent_by(kind: Kind) -> Sent {
    match kind {
        Kind::Idle | Kind::Busy => Sent::Nothing,
        Kind::Keepalive => Sent::Keepalive,
        Kind::Active => Sent::Pings,
    }
}

/// What the lives of one server tell together of its silent deaths.
fn told_by_all(server: Option<u16>, history: &History, others: &Others) -> Stories {
    let is_here = |other| history.is_one_server(server, other);
    let life = |seen: &Observation| {
        let is_dead = match seen.fate {
            Fate::Lived => false,
            Fate::Died {
                exact: false,
                culprit: Culprit::NetworkIdleTimeout | Culprit::NetworkStateLoss | Culprit::Unknown,
                ..
            } => true,
            // What was closed is explained.
            Fate::Died { .. } => return None,
        };
        // A silent death is learnt some time after its probe, and the probe's answer at once.
        Some(Life { born: seen.born(), seen: seen.at, is_dead, sent: sent_by(seen.kind) })
    };
    let told = history.iter().rev().filter(|seen| is_here(seen.server) && !others.is_foretold(seen));
    let open = others.silent.iter().filter(|(server, _)| is_here(*server)).map(|(_, life)| *life);
    Stories::of(&Beside::of(told.filter_map(life), open.collect()))
}

/// What is told of a server so far, of its silent deaths.
fn told_before(server: Option<u16>, history: &History, others: &Others, limit: &IdleLimit) -> Told {
    /// So many of the newest deaths are looked at ...
    const NEWEST: usize = 16;
    /// ... and so many that were lost one after the other, of lives that no one moment ended, are flows forgotten here
    /// and there.
    const ONE_AFTER_THE_OTHER: usize = 3;
    let is_silent_limit = limit.confirmed && !limit.exact;
    let timer = limit.upper.filter(|_| is_silent_limit && (limit.server.is_none() || limit.server == server));
    let found_dead = history.iter().rev().filter(|seen| {
        let is_silent = matches!(seen.fate, Fate::Died { exact: false, .. });
        is_silent && history.is_one_server(server, seen.server) && !others.is_foretold(seen)
    });
    let (mut lost, mut before) = (0, f64::INFINITY);
    for seen in found_dead.take(NEWEST).filter(|seen| seen.kind == Kind::Idle) {
        if matches!(seen.fate, Fate::Died { culprit: Culprit::NetworkStateLoss, .. }) && seen.at <= before {
            lost += 1;
            before = seen.born();
        }
    }
    Told { timer, is_here_and_there: timer.is_none() && lost >= ONE_AFTER_THE_OTHER }
}

/// Whether the limit that stands at an age, in seconds, rules a part of the connections only.
fn is_of_a_part(limit: &IdleLimit, age: f64) -> bool {
    limit.upper.is_some_and(|upper| limit.server.is_none() && limit.share < 1.0 && is_one_age(upper, age))
}

/// All that is known of a death now.
fn evidence(case: &Case, history: &History, others: &Others, idle: &IdleLimit) -> Evidence {
    let Death { ending, age, exact, error_code, wait_timeout, row, restarted, proxy_seen, .. } = case.death;
    let told = Struck { at: case.at, ..case.as_struck() };
    let kills_there = kills_there(history, &others.told, &told);
    Evidence {
        kind: case.kind,
        ending,
        age,
        exact,
        error_code,
        wait_timeout,
        row,
        restarted,
        proxy_seen,
        killed: case.death.killed(),
        same_age: same_age(history, &others.told, &told),
        before_its_age: is_before_its_age(history, &others.told, &told),
        kills_near: kills_near(history, &others.told, &told),
        died_unkilled: kills_there.died_unkilled(),
        kills_strike: kills_there.strike(),
        are_kills_read: are_kills_read(history, &others.told),
        same_instant: same_instant(history, &others.struck, &others.spared, &case.as_struck()),
        too_few_kills: are_kills_too_few(history, &others.struck, &others.spared, &case.as_struck()),
        outlived: case.outlived,
        outlived_by_younger: case.outlived_by_younger,
        of_a_part: is_of_a_part(idle, age),
        story: case.story.map_or(Story::Open, |(_, story)| story),
        twins: twins::read(history, age, case.server),
    }
}
