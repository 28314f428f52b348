//! The twins: canaries of the other kinds, launched only where they decide something, at an age just
//! past the one that idle canaries die at. Their lives and deaths are the signature of a layer.

use crate::domain::culprit::{Culprit, Twins};
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History, Observation};
use crate::domain::life::tolerance::{HEARD, ONE_AGE};
use crate::domain::limit::{IdleLimit, by_server};

/// The kinds that are launched on demand, the most telling first.
pub const TWINS: [Kind; 3] = [Kind::Busy, Kind::Active, Kind::Keepalive];

/// How far past the limit a twin is probed, as a share of it: timers fire late.
const PAST_SHARE: f64 = 0.05;
/// A settled twin is launched again after this many lengths of the limit ...
const REPEAT_LENGTHS: f64 = 30.0;
/// ... but not before this, in seconds.
const REPEAT_SECONDS: f64 = 3600.0;

/// So many idle canaries that outlived an age, one after the other, show that it was no limit yet, and more where a row as
/// long were likelier than this by the share of the connections that it rules ...
const OUTLIVED_IN_A_ROW: f64 = 8.0;
const OUTLIVED_BY_CHANCE: f64 = 0.004;
/// ... and so many before any died there.
const OUTLIVED_AT_FIRST: usize = 2;

/// The kinds whose deaths become advice. One death may be a stray: it is repeated before it is believed.
const REPEATED: [Kind; 2] = [Kind::Keepalive, Kind::Active];

/// The age to probe twins at for a limit, both in seconds.
pub fn probe_age(limit: f64) -> f64 {
    limit * (1.0 + PAST_SHARE) + ONE_AGE.either(limit) + 0.4
}

/// A living twin is believed where the chance that it was on the other part of the connections is below this.
const UNSURE: f64 = 0.05;
/// So much likelier one must be than the other, of a limit on the age of connections and one on their silence, by those
/// that ping: as a logarithm.
const SURE_OF_PINGS: f64 = 5.0;
/// How often one that pings is ended at just an age by something else, at most.
const ENDED_BY_CHANCE: f64 = 0.01;
/// The least share that is reckoned with: of less than that, one that lives tells next to nothing.
const LEAST_SHARE: f64 = 0.08;
/// So many that ping and die are no strays.
const STRAYS: usize = 2;
/// The share of the connections that a limit of a part is taken to rule while it is not known.
pub const UNKNOWN_SHARE: f64 = 0.5;
/// A share is taken to be as sure as so many deaths make it, at least.
const LEAST_DEATHS: f64 = 6.0;
/// So many of the newest that ping are asked at most: they decide, however few deaths tell of the share.
const NEWEST_PINGS: usize = 64;
/// The same as [`UNSURE`] where what it shows is against the nature of who does it.
const AGAINST_NATURE: f64 = 0.002;

/// So many that ping are sent out at once: each may be on another part of the connections.
const AT_ONCE: usize = 2;
/// The same where the limit is known to rule a part, as far as there is room.
const AT_ONCE_OF_A_PART: usize = 5;

/// How twins fared at a limit, as far as the history tells; the newest counts. Of those that ping the two newest do: one
/// that lives may be on a part of the connections that a limit of age leaves alone. Where it is known to rule a part, many
/// of them tell.
pub fn read(history: &History, limit: &IdleLimit) -> Twins {
    let told = |kind| telling(history, kind, limit).map(|told| told.lived);
    let fared = |kind| told(kind).next();
    let (mut pings, share) = (told(Kind::Active), of_its_part(history, limit));
    let active = match (pings.next(), pings.next()) {
        (Some(_), _) if share < 1.0 => spared_for_pings(told(Kind::Active), share, limit),
        // Some that live and some that die are of two parts, whether or not anybody else showed that yet.
        (Some(true), _) if told(Kind::Active).filter(|lived| !lived).take(STRAYS).count() == STRAYS => {
            spared_for_pings(told(Kind::Active), UNKNOWN_SHARE, limit)
        }
        (Some(newest), Some(before)) => Some(newest && before),
        (Some(false), None) => Some(false),
        (Some(true) | None, None) | (None, Some(_)) => None,
    };
    Twins { keepalive: fared(Kind::Keepalive), busy: fared(Kind::Busy), active }
}

/// Whether canaries of a kind live past a limit, as firmly as advice needs it: that they die is said after two
/// deaths in a row. Where the limit rules a share of the connections only, a twin that lives may have been on the
/// other part: that they live is said after so many lives that this is no chance, and that they die after two
/// deaths; of those that ping, after so many of both that this is no chance. `None` while that is not measured.
pub fn outlives(history: &History, kind: Kind, limit: &IdleLimit) -> Option<bool> {
    limit.upper?;
    let mut told = telling(history, kind, limit).map(|told| told.lived);
    let share = share_met(history, kind, limit);
    let unsure = if minds_no_packets(history, kind, limit) { AGAINST_NATURE } else { UNSURE };
    if share < 1.0 && kind == Kind::Active {
        return spared_for_pings(told, share, limit);
    }
    if share < 1.0 {
        let told: Vec<bool> = told.collect();
        let died = told.iter().filter(|lived| !**lived).count();
        let chance = (1.0 - share).powi(i32::try_from(told.len()).unwrap_or(i32::MAX));
        return match died {
            0 => (chance < unsure).then_some(true),
            1 => None,
            _ => Some(false),
        };
    }
    match (told.next()?, told.next()) {
        (true, _) => Some(true),
        (false, before) => before,
    }
}

/// Whether those that ping are spared by a limit that rules this share of the connections, as far as is known: the share is as
/// sure as the deaths that it was read from make it.
fn spared_for_pings(told: impl Iterator<Item = bool>, share: f64, limit: &IdleLimit) -> Option<bool> {
    let share = share.max(LEAST_SHARE);
    let known = (limit.standing_deaths as f64).max(LEAST_DEATHS);
    let (mut died, mut lived) = (known + 1.0, known * (1.0 - share) / share + 1.0);
    let (mut of_age, mut asked) = (0.0_f64, 0);
    for is_alive in told.take(NEWEST_PINGS) {
        asked += 1;
        let (same, by_chance) =
            if is_alive { (&mut lived, 1.0 - ENDED_BY_CHANCE) } else { (&mut died, ENDED_BY_CHANCE) };
        let before = *same;
        *same += 1.0;
        of_age += (before / (died + lived - 1.0) / by_chance).ln();
    }
    (of_age.abs() >= SURE_OF_PINGS || asked >= NEWEST_PINGS).then_some(of_age < 0.0)
}

/// The share of twins of a kind that meet the limit unless what they do keeps them from it. One that looks seldom, or
/// does not count packets, is not met by every one that lives on by TCP keepalive: it was elsewhere, or between two looks.
fn share_met(history: &History, kind: Kind, limit: &IdleLimit) -> f64 {
    /// Of those that a living one with TCP keepalive cannot be told from.
    const BY_CHANCE: f64 = 0.5;
    let share = of_its_part(history, limit);
    if minds_no_packets(history, kind, limit) { share.min(BY_CHANCE) } else { share }
}

/// Whether twins of this kind do nothing that counts for who ends idle canaries there.
fn minds_no_packets(history: &History, kind: Kind, limit: &IdleLimit) -> bool {
    let killer = killers(history, limit.upper, limit.server).next().map(|(killer, _)| killer);
    let minds_none = match killer {
        Some(killer) => matches!(killer, Culprit::ServerKill | Culprit::ProxyIdleTimeout),
        // What is heard of is closed on purpose, most likely by one of them.
        None => limit.exact,
    };
    kind == Kind::Keepalive && minds_none
}

/// The share that a limit rules of the connections to its own server: where it is one server's of several, that
/// server's connections are told apart from the others', and only they are asked.
fn of_its_part(history: &History, limit: &IdleLimit) -> f64 {
    match limit.server {
        Some(_) => by_server(history, Kind::Idle)
            .into_iter()
            .find(|(server, _)| *server == limit.server)
            .map(|(_, of_server)| of_server.share)
            .filter(|share| *share > 0.0)
            .unwrap_or(limit.share),
        None => limit.share,
    }
}

/// The twins to launch now for a limit, with their ages in seconds. `in_flight` are the kinds that are held already;
/// `now` is seconds since the Unix epoch.
pub fn plan(history: &History, limit: &IdleLimit, in_flight: &[Kind], now: f64) -> Vec<(Kind, f64)> {
    let Some((age, top)) = ages(limit) else { return Vec::new() };
    let rest = REPEAT_SECONDS.max(REPEAT_LENGTHS * age);
    let held = |kind: Kind| in_flight.iter().filter(|held| **held == kind).count();
    let mut wanted: Vec<(usize, Kind)> = TWINS
        .into_iter()
        .flat_map(|kind| {
            let mut told = telling(history, kind, limit);
            let (newest, before) = (told.next(), told.next());
            let is_lone_death = REPEATED.contains(&kind)
                && newest.is_some_and(|told| !told.lived)
                && before.is_none_or(|told| told.lived);
            let is_lone_life = kind == Kind::Active
                && newest.is_some_and(|told| told.lived)
                && before.is_none_or(|told| !told.lived);
            let is_unsure = newest.is_some()
                && REPEATED.contains(&kind)
                && share_met(history, kind, limit) < 1.0
                && outlives(history, kind, limit).is_none();
            let is_wanted =
                is_lone_death || is_lone_life || is_unsure || newest.is_none_or(|told| now - told.at >= rest);
            // Where it is one of a part, or may be, one alone tells little.
            let at_once = match kind {
                Kind::Active if limit.share < 1.0 => AT_ONCE_OF_A_PART,
                Kind::Active if newest.is_none() && held(kind) == 0 => AT_ONCE,
                _ => 1,
            };
            let count = if is_wanted { at_once.saturating_sub(held(kind)) } else { 0 };
            // Those of whose kind nothing is known come first.
            let known = usize::from(newest.is_some());
            (0..count).map(move |place| (place.max(known), kind))
        })
        .collect();
    // The first of each kind, then the others.
    wanted.sort_by_key(|(place, _)| *place);
    wanted.into_iter().map(|(_, kind)| (kind, probe_age(top))).collect()
}

/// The shortest and the longest age that a limit strikes at, in seconds: one age, but for one that looks seldom.
fn ages(limit: &IdleLimit) -> Option<(f64, f64)> {
    limit.upper.map(|upper| (upper, limit.spread_to.unwrap_or(upper).max(upper)))
}

/// What one twin says of a limit.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// When, in seconds since the Unix epoch.
    at: f64,
    /// Whether it outlived the limit.
    lived: bool,
}

/// What twins of a kind say of this limit (seconds), the newest first: that they lived past it, or died at
/// it. One that died exactly, and well past it, outlived it and died of something else; so did one that another
/// layer ended audibly later. What was seen while another one killed at about that age is of the past. The limit
/// strikes between two ages, in seconds: one that lives between them says nothing.
fn telling(history: &History, kind: Kind, limit: &IdleLimit) -> impl Iterator<Item = Told> {
    let (server, is_heard) = (limit.server, limit.exact);
    let past = outlived_until(history, limit);
    // Nobody tells of a limit that there is none of.
    let (limit, top) = ages(limit).unwrap_or((f64::INFINITY, f64::INFINITY));
    let since = killer_changed_at(history, Some(limit), server);
    let since = since.into_iter().chain(past).reduce(f64::max);
    let killer = killers(history, Some(limit), server).next().map(|(killer, _)| killer);
    let is_of_now = move |seen: &&Observation| since.is_none_or(|since| seen.at > since);
    let is_near = move |age: f64| age >= top && age <= 1.5 * probe_age(top);
    let is_of_another = move |culprit: Culprit| {
        let named = |culprit: Culprit| Some(culprit).filter(|culprit| *culprit != Culprit::Unknown);
        named(culprit).zip(killer).is_some_and(|(one, other)| one.layer() != other.layer())
    };
    history
        .iter()
        .rev()
        .take_while(is_of_now)
        .filter(move |seen| seen.kind == kind && is_of(history, server, seen))
        .filter_map(move |seen| {
            let lived = match seen.fate {
                Fate::Died { culprit: Culprit::ServerRestart | Culprit::MassDisconnect, .. } => return None,
                Fate::Died { culprit: Culprit::NetworkStateLoss, .. } => return None,
                // One that pings and is forgotten was lost, where others are heard to be closed.
                Fate::Died { exact: false, .. } if kind == Kind::Active && is_heard => return None,
                // One that somebody killed once says nothing of who else strikes there.
                Fate::Died { culprit: Culprit::ServerKill, recurs: false, .. }
                    if kind == Kind::Active && killer != Some(Culprit::ServerKill) =>
                {
                    return None;
                }
                // A silent limit lies anywhere below the age at which those that it struck were found, and what ends a session
                // at its own wait_timeout is known.
                Fate::Died { exact: true, culprit: culprit @ Culprit::ServerIdleTimeout, .. }
                    if is_of_another(culprit) && !is_heard =>
                {
                    if seen.age < top {
                        return None;
                    }
                    true
                }
                Fate::Died { exact: true, culprit, .. }
                    if is_of_another(culprit) && seen.age > top + HEARD.either(top) =>
                {
                    true
                }
                Fate::Died { exact: true, .. }
                    if seen.age >= limit - 2.0 * ONE_AGE.either(limit)
                        && seen.age <= top + 2.0 * ONE_AGE.either(top) =>
                {
                    false
                }
                Fate::Died { exact, .. } if is_near(seen.age) => exact,
                Fate::Lived if is_near(seen.age) => true,
                Fate::Died { .. } | Fate::Lived => return None,
            };
            Some(Told { at: seen.at, lived })
        })
}

/// Until when idle canaries outlived the ages that a limit strikes at, in seconds, one after the other: what was seen
/// until then was seen under another setting. In seconds since the Unix epoch; `None` where they never did.
fn outlived_until(history: &History, limit: &IdleLimit) -> Option<f64> {
    let (server, share) = (limit.server, limit.share);
    let (limit, top) = ages(limit)?;
    let in_a_row = (OUTLIVED_BY_CHANCE.ln() / (1.0 - share).ln()).ceil().max(OUTLIVED_IN_A_ROW);
    let (mut row, mut newest) = (0_usize, None);
    let idle = history.iter().rev().filter(|seen| seen.kind == Kind::Idle && is_of(history, server, seen));
    for seen in idle {
        let is_past = seen.age > top + 2.0 * ONE_AGE.either(top);
        let outlived = match seen.fate {
            Fate::Lived => is_past,
            Fate::Died { exact, .. } => exact && is_past,
        };
        if outlived {
            newest.get_or_insert(seen.at);
            row += 1;
            if row as f64 >= in_a_row {
                return newest;
            }
        } else if !seen.is_survival() && seen.age >= limit - 2.0 * ONE_AGE.either(limit) {
            (row, newest) = (0, None);
        }
    }
    // Before the first that it struck it was another one, however few were that old.
    newest.filter(|_| row >= OUTLIVED_AT_FIRST)
}

fn is_of(history: &History, server: Option<u16>, seen: &Observation) -> bool {
    server.is_none() || history.is_one_server(server, seen.server)
}

/// Who ended idle canaries near an age (seconds), or at any, on a server, or on all: the newest first, with when, in
/// seconds since the Unix epoch. One alone among those by another is a stray.
fn killers(
    history: &History,
    near: Option<f64>,
    server: Option<u16>,
) -> impl Iterator<Item = (Culprit, f64)> {
    let mut newer = None;
    let mut all = deaths_by_whom(history, near, server).peekable();
    std::iter::from_fn(move || {
        loop {
            let one = all.next()?;
            let is_of_another = |other: Option<Culprit>| other.is_some_and(|other| other != one.0);
            let older = all.peek().map(|(culprit, _)| *culprit);
            let is_stray =
                older.is_some() && (newer.is_none() || is_of_another(newer)) && is_of_another(older);
            newer = Some(one.0);
            if !is_stray {
                return Some(one);
            }
        }
    })
}

fn deaths_by_whom(
    history: &History,
    near: Option<f64>,
    server: Option<u16>,
) -> impl Iterator<Item = (Culprit, f64)> {
    let is_near = move |age: f64| near.is_none_or(|near| age <= 2.0 * near && age >= near / 2.0);
    history.iter().rev().filter_map(move |seen| match seen.fate {
        Fate::Died { culprit, .. }
            if seen.kind == Kind::Idle
                && seen.is_bounding_death()
                && culprit != Culprit::Unknown
                && is_near(seen.age)
                && is_of(history, server, seen) =>
        {
            Some((culprit, seen.at))
        }
        Fate::Died { .. } | Fate::Lived => None,
    })
}

/// When the one before who now ends idle canaries struck last, near an age (seconds) or at any, on a server or on
/// all: in seconds since the Unix epoch.
pub fn killer_changed_at(history: &History, near: Option<f64>, server: Option<u16>) -> Option<f64> {
    let mut known = killers(history, near, server);
    let (killer, _) = known.next()?;
    known.find(|(culprit, _)| *culprit != killer).map(|(_, at)| at)
}

#[cfg(test)]
mod tests;
