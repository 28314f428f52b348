//! Deaths: each is held until its evidence decides, then counted once, observed once and told once.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use super::epoch::Epoch;
use super::flights::Flights;
use super::life::Death;
use crate::domain::culprit::companions::Struck;
use crate::domain::culprit::lost_state::{Life, Look, Reading, Stories, Story, Told};
use crate::domain::culprit::{Conclusion, Culprit, conclude};
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History, Observation};
use crate::domain::life::tolerance::{
    AWAITS_LIVES, AWAITS_TWINS, BORN_TOGETHER_SECONDS, ONE_INSTANT_SECONDS, is_one_age,
};
use crate::domain::limit::{IdleLimit, idle_limit};

mod evidence;

use evidence::{
    Others, asked_of_twins, births_of_survivors, closed_at, evidence, sent_by, told_before, told_by_all,
};

/// Those that die at one instant are known to be many this much later, in seconds.
const INSTANT_SECONDS: f64 = 1.0;

/// So many of those that are decided are remembered as company for others of their instant, whose witness may come late, and
/// to tell what one event closed.
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
    /// When it was heard, or probed in vain, in seconds since the Unix epoch.
    at: f64,
    /// When it began to be idle, in seconds since the Unix epoch.
    born: f64,
    /// Until when it waits, in seconds since the Unix epoch.
    until: f64,
    /// An idle canary was seen alive past its age.
    outlived: bool,
    /// One born no earlier was.
    outlived_by_younger: bool,
    /// Others died at its age.
    has_company: bool,
    /// Which server it was on, by its number in the history.
    server: Option<u16>,
    /// What the history was told of it already.
    foretold: Option<Observation>,
    /// The story that explains it, and how many lives it was told by: it is told anew when there are more.
    story: Option<((usize, bool), Story)>,
    /// Whether others that are found dead later may yet tell another one.
    awaits_company: bool,
    /// Whether it was as likely lost at a moment, by the newest lives that reach back to its birth.
    may_be_lost: Option<bool>,
}

/// A death with its culprit.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) kind: Kind,
    pub(super) death: Death,
    /// When it was heard, or probed in vain, in seconds since the Unix epoch.
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
        let now = epoch.now();
        let born = born.map_or(now - death.age, |born| epoch.unix(born));
        let is_silent = death.ending.is_found_by_probe() && !death.restarted && death.error_code.is_none();
        // It is learnt later: an answer is waited for, and the witness.
        let at = (born + death.age).min(now);
        let until = now + if is_silent { AWAITS_LIVES } else { AWAITS_TWINS }.at(death.age);
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
            has_company: false,
            server,
            foretold,
            story: None,
            awaits_company: false,
            may_be_lost: None,
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
        let others = Others::of(&self.cases, &self.past, flights, epoch);
        let mut stories: BTreeMap<Option<u16>, (Stories, Told)> = BTreeMap::new();
        let patience: Vec<f64> = self.cases.iter().map(|case| self.until(case)).collect();
        for (mut case, until) in self.cases.drain(..).zip(patience) {
            let survivors = births_of_survivors(&case, history, flights, epoch, now);
            case.outlived |= !survivors.is_empty();
            case.outlived_by_younger |=
                survivors.iter().any(|born| *born >= case.born - BORN_TOGETHER_SECONDS);
            let is_last = last_call || unix_now >= until;
            let look = if is_last { Look::Last } else { Look::Sooner };
            let lives = (history.told() + others.silent.len(), is_last);
            if case.is_silent() && case.story.is_none_or(|(by, _)| by != lives) {
                let closed_at = closed_at(case.server, told);
                let read = || {
                    let before = told_before(case.server, history, &others, told);
                    (told_by_all(case.server, history, &others, closed_at), before)
                };
                let (stories, before) = stories.entry(case.server).or_insert_with(read);
                let life = case.life().closed_at(closed_at);
                let Reading { story, may_be_lost } = stories.of_one(&life, before, look, case.may_be_lost);
                if stories.reach_back_to(&life) {
                    case.may_be_lost = may_be_lost.or(case.may_be_lost);
                }
                case.story = Some((lives, story));
                case.awaits_company = stories.awaits_company(&life, before);
            }
            let evidence = evidence(&case, history, &others, &idle);
            case.has_company = evidence.same_age > 0;
            let conclusion = conclude(&evidence);
            let may_be_one_of_many =
                case.awaits_company || case.company_until().is_some_and(|until| unix_now < until);
            if conclusion.decided && !may_be_one_of_many || is_last {
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

    /// What twins are asked of for the newest of the dead that wait for them, where a limit is known: those that only a
    /// probe found wait for others of their sort.
    pub(super) fn awaited(&self, history: &History, idle: &IdleLimit) -> Option<IdleLimit> {
        let exact = self.cases.iter().filter(|case| case.death.exact);
        let waiting: Vec<Struck> = exact.map(Case::as_struck).collect();
        self.cases
            .iter()
            .rev()
            .find(|case| case.awaits_twins())
            .map(|case| asked_of_twins(case, history, idle, &waiting))
    }

    /// The shortest age, in seconds, at which several died at instants of their own that are not decided yet, while nothing
    /// was being sent: something strikes there, whoever it is.
    pub(super) fn recurs_at(&self) -> Option<f64> {
        /// So many of the newest are looked at.
        const NEWEST: usize = 64;
        let is_heard = |case: &&Case| case.kind == Kind::Idle && case.death.exact;
        let waits = || self.cases.iter().rev().filter(is_heard).take(NEWEST);
        let is_alone = |case: &Case| {
            let is_company = |other: &Case| {
                is_one_age(case.death.age, other.death.age)
                    && (case.struck() - other.struck()).abs() > ONE_INSTANT_SECONDS
            };
            !waits().any(is_company)
        };
        waits().filter(|case| !is_alone(case)).map(|case| case.death.age).reduce(f64::min)
    }

    /// Whether any of the dead waits for twins.
    pub(super) fn awaits_twins(&self) -> bool {
        self.cases.iter().any(Case::awaits_twins)
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
            // Of a part it takes many twins to tell.
            let is_of_a_part = case.outlived_by_younger && case.has_company;
            return case.until + if is_of_a_part { AWAITS_TWINS.at(case.death.age) } else { 0.0 };
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

    /// Whether twins are sent out for it.
    fn awaits_twins(&self) -> bool {
        self.kind == Kind::Idle && self.foretold.is_none()
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
