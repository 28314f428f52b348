//! The limit as people are told it. One that was confirmed stands until enough speaks against it: a single death or
//! survival that contradicts it may be a stray, and a verdict that comes and goes is no verdict.

use super::recurring::{Strikes, still_strikes};
use super::{IdleLimit, keeps_an_older_setting, newest_deaths};
use crate::domain::culprit::Culprit;
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History, Observation};
use crate::domain::life::tolerance::{ONE_AGE, ONE_INSTANT_SECONDS, is_one_age};

/// So many deaths at shorter ages speak against a limit, whose culprit is known.
const SHORTER_DEATHS: usize = 2;
/// So many that only probes found speak against one that is heard, whoever ended them.
const FOUND_OF_ANOTHER_SORT: usize = 4;
/// A limit is withdrawn when so many in a row outlived it as would be rarer than this, were it still there. Each of its
/// deaths begins another row: what is as rare as one in a hundred would happen within hours.
const STILL_THERE_BELOW: f64 = 5e-4;
/// The same for a limit of a part of the connections, for all rows together where it is heard: each life that outlives it
/// may be on the other part, and many are sent past it at once.
const PART_STILL_THERE_BELOW: f64 = 5e-5;
/// A band of ages is told narrower where it would be rarer than this that so many deaths missed the rest of it.
const NARROWER_BELOW: f64 = 1e-6;
/// The most that a limit may be met, as a share: a packet that was sent late may carry one session past it.
const MOST_SHARE: f64 = 0.98;
/// How unlikely it is beforehand that a limit which nobody outlived so far rules a part of the connections only.
const OF_A_PART: f64 = 0.22;

/// What is told of a kind's limit: `now`, as the history says it, or the one that was told `before` and still stands.
/// `is_open` tells deaths whose culprit is not decided yet.
pub fn told(
    history: &History,
    kind: Kind,
    now: IdleLimit,
    before: Option<IdleLimit>,
    is_open: impl Fn(&Observation) -> bool,
) -> IdleLimit {
    let Some(before) = before.filter(|before| before.confirmed) else { return now };
    let Some(upper) = before.upper else { return now };
    let is_as_short = now.upper.is_some_and(|now| now <= upper + ONE_AGE.either(upper));
    let is_the_same = is_as_short && now.upper.is_some_and(|now| is_one_age(now, upper));
    let is_as_short = is_as_short || is_narrower(&before, upper, &now);
    if now.confirmed && is_the_same && before.share < now.share && !now.exact {
        // Some in a row that meet it do not show that all do.
        let (share, others_live_to) = (before.share, before.others_live_to.max(now.others_live_to));
        IdleLimit { share, others_live_to, ..now }
    } else if now.confirmed && is_as_short || speaks_against(history, kind, &before, upper, &is_open) {
        now
    } else {
        before
    }
}

/// Whether all deaths of now lie between two ages of those that were told before, where that is no chance: it strikes
/// at ages nearer to one another than it seemed.
fn is_narrower(before: &IdleLimit, from: f64, now: &IdleLimit) -> bool {
    let Some((now_from, to)) = now.upper.zip(before.spread_to) else { return false };
    let now_to = now.spread_to.unwrap_or(now_from);
    let share = (now_to - now_from).max(ONE_AGE.either(now_from)) / (to - from).max(ONE_AGE.either(from));
    let is_within = now_from >= from && now_to <= to + ONE_AGE.either(to);
    is_within && share.powi(i32::try_from(now.deaths).unwrap_or(i32::MAX)) < NARROWER_BELOW
}

/// Whether so much was seen since the newest evidence for a limit that it stands no more.
fn speaks_against(
    history: &History,
    kind: Kind,
    limit: &IdleLimit,
    upper: f64,
    is_open: &impl Fn(&Observation) -> bool,
) -> bool {
    let since = limit.evidence_at.unwrap_or(f64::NEG_INFINITY);
    let counts = |seen: &Observation| {
        seen.kind == kind && (limit.server.is_none() || history.is_one_server(limit.server, seen.server))
    };
    let newest = newest_deaths(history, kind, &counts);
    let past = limit.outlived_from().unwrap_or(upper);
    let before = limit.lower - ONE_AGE.either(limit.lower);
    let (mut shorter, mut outlived, mut struck) = (0, 0, 0);
    // What one event ends is one.
    let mut shorter_at = f64::INFINITY;
    let mut found_below: Vec<&Observation> = Vec::new();
    for seen in history.iter().rev().take_while(|seen| seen.at > since).filter(|seen| counts(seen)) {
        match seen.fate {
            Fate::Lived => {
                outlived += usize::from(seen.age >= past && !keeps_an_older_setting(seen, &newest));
            }
            Fate::Died { exact, culprit, .. } if seen.is_bounding_death() => {
                if seen.age < before {
                    found_below.push(seen);
                }
                // What probes found dead at any later age may have died of it.
                struck += usize::from(!exact && !limit.exact && seen.age >= upper * (1.0 - 1e-9));
                let is_decided = !is_open(seen) && culprit != Culprit::Unknown;
                outlived += usize::from(exact && seen.age > past + ONE_AGE.either(past));
                if is_decided && seen.age < before && shorter_at - seen.at > ONE_INSTANT_SECONDS {
                    shorter += 1;
                    shorter_at = seen.at;
                }
            }
            Fate::Died { .. } => {}
        }
    }
    let outlived_all = (1.0 - limit.share.min(MOST_SHARE)).powi(i32::try_from(outlived).unwrap_or(i32::MAX));
    // Its share is what it was when it struck last: those that outlived it since make it no smaller.
    let of_a_part = || still_strikes(history, kind, &counts, (upper, past));
    let of_a_part = (limit.exact && limit.share < 1.0).then(of_a_part);
    let still_there_below = match of_a_part {
        Some(Strikes { were_some_spared: true, .. }) => PART_STILL_THERE_BELOW / limit.deaths.max(1) as f64,
        None if limit.share < 1.0 => PART_STILL_THERE_BELOW,
        Some(_) | None => STILL_THERE_BELOW,
    };
    let chance = match limit {
        _ if let Some(Strikes { chance, were_some_spared }) = of_a_part => {
            chance * if were_some_spared { 1.0 } else { OF_A_PART }
        }
        _ if limit.exact => outlived_all,
        // Where all that few deaths tell of met it, it may rule a part of the connections.
        _ if limit.share >= 1.0 => outlived_all.max(OF_A_PART * chance_of_so_few(limit, struck, outlived)),
        _ => chance_of_so_few(limit, struck, outlived),
    };
    // A limit that is heard is another device's than one that only probes find: flows that are forgotten now and then are
    // not soon one.
    let is_silent = |seen: &&Observation| matches!(seen.fate, Fate::Died { exact: false, .. });
    let is_of_another_sort = limit.exact && found_below.iter().all(is_silent);
    let least_found = if is_of_another_sort { FOUND_OF_ANOTHER_SORT } else { SHORTER_DEATHS };
    shorter >= SHORTER_DEATHS
        || chance < still_there_below
        || found_below.len() >= least_found && is_shorter_now(history, kind, &counts, &found_below)
}

/// How likely it is that of those that reached a limit of a part no more died than these, when its share is as sure as
/// the lives that it was read from make it.
fn chance_of_so_few(limit: &IdleLimit, struck: usize, outlived: usize) -> f64 {
    let known = limit.standing_deaths as f64;
    let (died, lived) = (known + 1.0, known * (1.0 - limit.share) / limit.share.max(1e-3) + 1.0);
    let all = struck + outlived;
    let none = (0..all).fold(1.0, |chance, place| {
        let place = place as f64;
        chance * (lived + place) / (died + lived + place)
    });
    let mut sum = 0.0;
    let mut exactly = none;
    for count in 0..=struck {
        sum += exactly;
        let (left, count) = ((all - count) as f64, count as f64);
        exactly *= left / (count + 1.0) * (died + count) / (lived + left - 1.0);
    }
    sum
}

/// Whether two of those that died at shorter ages, the newest first, cannot have died at one moment, and nobody of now
/// grew older meanwhile: what strikes them strikes at an age, whoever does it.
fn is_shorter_now(
    history: &History,
    kind: Kind,
    counts: &impl Fn(&Observation) -> bool,
    deaths: &[&Observation],
) -> bool {
    let (Some(first), Some(last)) = (deaths.last(), deaths.first()) else { return false };
    let age = deaths.iter().map(|death| death.age).fold(0.0, f64::max);
    // One that is older than all of them may keep an older setting.
    let oldest = deaths.iter().map(|death| death.born()).fold(f64::INFINITY, f64::min);
    let has_lived = |seen: &Observation| {
        let is_of_now = seen.born() >= oldest && seen.at <= last.at;
        seen.kind == kind && seen.is_survival() && seen.age >= age && is_of_now && counts(seen)
    };
    let since = || history.iter().rev().take_while(|seen| seen.at >= oldest);
    if since().take_while(|seen| seen.at >= first.at).any(has_lived) {
        return false;
    }
    let mut survivors: Vec<(f64, f64)> = since()
        .filter(|seen| seen.is_survival() && counts(seen))
        .map(|seen| (seen.born(), seen.at))
        .collect();
    survivors.sort_by(|a, b| a.0.total_cmp(&b.0));
    let is_pair = |a: &Observation, b: &Observation| {
        let (mut open_from, until) = (a.born().max(b.born()), a.at.min(b.at));
        for (from, to) in &survivors {
            if *from <= open_from {
                open_from = open_from.max(*to);
            }
        }
        open_from >= until
    };
    deaths.iter().enumerate().any(|(place, a)| deaths[place + 1..].iter().any(|b| is_pair(a, b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::life::ending::Ending;
    use crate::domain::limit::idle_limit;

    const LIVED: Option<Culprit> = None;
    const SERVER: Option<Culprit> = Some(Culprit::ServerIdleTimeout);
    const NETWORK: Option<Culprit> = Some(Culprit::NetworkIdleTimeout);
    const UNKNOWN: Option<Culprit> = Some(Culprit::Unknown);
    const PROXY: Option<Culprit> = Some(Culprit::ProxyIdleTimeout);

    /// What is told after each life, from the first that confirms a limit on.
    fn told_of(lives: &[(f64, Option<Culprit>)]) -> Option<f64> {
        told_at(lives, 1000.0)
    }

    /// The same, of lives that end so many seconds apart.
    fn told_at(lives: &[(f64, Option<Culprit>)], apart: f64) -> Option<f64> {
        let (mut history, mut before) = (History::default(), None);
        for (number, &(age, culprit)) in lives.iter().enumerate() {
            let fate = culprit.map_or(Fate::Lived, |culprit| {
                let exact = matches!(culprit, Culprit::ServerIdleTimeout | Culprit::ProxyIdleTimeout);
                let ending = if exact { Ending::Fin } else { Ending::Silence };
                Fate::Died { ending, exact, culprit, recurs: false, killed: None }
            });
            let at = apart * (number + 1) as f64;
            history.push(Observation { at, kind: Kind::Idle, age, fate, server: None });
            let now = idle_limit(&history, Kind::Idle).told();
            before = Some(told(&history, Kind::Idle, now, before, |_| false));
        }
        before.filter(|limit| limit.confirmed).and_then(|limit| limit.upper)
    }

    #[test]
    fn a_limit_of_a_part_stands_while_others_die_of_it() {
        let of = |share: f64, standing_deaths| IdleLimit { share, standing_deaths, ..IdleLimit::default() };
        let chance = |struck, outlived| chance_of_so_few(&of(0.5, 10), struck, outlived);
        assert!((chance(0, 1) - 0.5).abs() < 1e-9 && (chance(3, 0) - 1.0).abs() < 1e-9);
        assert!(chance(10, 14) > 0.1, "nearly as many as before");
        assert!(chance(0, 8) > STILL_THERE_BELOW, "a long row, of a share that is known from twenty");
        assert!(chance(0, 30) < STILL_THERE_BELOW, "it is gone");
        assert!(chance(1, 40) < STILL_THERE_BELOW);
        assert!(chance_of_so_few(&of(0.5, 2), 0, 30) > chance(0, 30), "a share that few told");
    }

    #[test]
    fn a_limit_that_few_deaths_told_may_be_of_a_part_and_is_withdrawn_by_more_lives() {
        let after = |known: usize, outlived: usize| {
            let bracket = [(22.9, LIVED), (22.91, LIVED)];
            let lives =
                [&bracket[..], &vec![(23.0, NETWORK); known], &vec![(40.0, LIVED); outlived]].concat();
            told_of(&lives)
        };
        assert_eq!((after(5, 4), after(5, 6)), (Some(23.0), None), "of five deaths");
        assert_eq!((after(10, 3), after(10, 5)), (Some(23.0), None), "of ten");
        assert_eq!((after(60, 1), after(60, 2)), (Some(23.0), None), "what all of sixty met is no part's");
    }

    #[test]
    fn a_limit_of_a_part_that_strikes_again_is_told_on() {
        let met = [(23.0, NETWORK); 5];
        let mixed = [(23.1, LIVED), (23.1, LIVED), (23.0, NETWORK), (23.1, LIVED), (23.0, NETWORK)];
        let mut lives = [&[(22.9, LIVED), (22.91, LIVED)], &met[..]].concat();
        for place in 0..6 * mixed.len() {
            lives.push(mixed[place % mixed.len()]);
            assert_eq!(told_of(&lives), Some(23.0), "{place} after it was first outlived");
        }
    }

    #[test]
    fn one_that_was_heard_of_a_part_is_gone_when_nobody_meets_it_any_more() {
        let met = [(23.0, PROXY), (40.0, LIVED), (23.0, PROXY), (40.0, LIVED), (23.0, PROXY)];
        let after = |outlived: usize| told_of(&[&met[..], &vec![(40.0, LIVED); outlived]].concat());
        assert_eq!(after(20), Some(23.0), "of a part that few deaths told of");
        assert_eq!(after(80), None, "however small the share that they leave of it");
    }

    #[test]
    fn a_band_that_newer_deaths_narrow_is_told_so() {
        let band = |from, to, deaths| IdleLimit {
            upper: Some(from),
            spread_to: Some(to),
            lower: from - 1.0,
            exact: true,
            confirmed: true,
            share: 1.0,
            deaths,
            ..IdleLimit::default()
        };
        let after = |before, now| {
            told(&History::default(), Kind::Idle, now, Some(before), |_| false).upper.expect("a limit")
        };
        let wide = band(34.2, 40.7, 12);
        assert_eq!(after(wide, band(39.8, 40.7, 20)), 39.8, "one stray KILL below it is of the past");
        assert_eq!(after(wide, band(39.8, 40.7, 3)), 34.2, "three by chance");
        assert_eq!(after(wide, band(36.2, 40.7, 20)), 34.2, "twenty by chance");
        assert_eq!(after(wide, band(50.0, 60.0, 20)), 34.2, "another one");
        let one_age = IdleLimit { spread_to: None, ..wide };
        assert_eq!(after(one_age, band(39.8, 40.7, 20)), 34.2);
    }

    #[test]
    fn one_that_contradicts_is_no_withdrawal_and_two_are() {
        let known = [(23.0, SERVER), (23.0, SERVER), (23.0, SERVER)];
        let after = |more: &[(f64, Option<Culprit>)]| told_of(&[&known, more].concat());
        assert_eq!(after(&[]), Some(23.0));
        assert_eq!(after(&[(4.0, NETWORK)]), Some(23.0), "one death below it");
        assert_eq!(after(&[(40.0, LIVED)]), Some(23.0), "one that outlives it");
        let lost = [(15.0, UNKNOWN), (20.0, LIVED), (9.0, UNKNOWN), (20.0, LIVED), (4.0, UNKNOWN)];
        assert_eq!(after(&lost), Some(23.0), "by nobody known, and others grow older");
        let found = [(15.0, UNKNOWN), (9.0, UNKNOWN), (9.5, UNKNOWN), (9.2, UNKNOWN)];
        assert_eq!(after(&found[..3]), Some(23.0), "found dead, and it is heard");
        assert_ne!(after(&found), Some(23.0), "by nobody known, one after the other");
        assert_ne!(after(&[(9.0, NETWORK), (4.0, NETWORK)]), Some(23.0), "two deaths below it");
        let at_once = [&known[..], &[(9.0, NETWORK), (4.0, NETWORK)]].concat();
        assert_eq!(told_at(&at_once, 0.01), Some(23.0), "two at one instant are one event");
        assert_eq!(after(&[(40.0, LIVED), (40.0, LIVED)]), None, "two that outlive it");
        assert_eq!(after(&[(40.0, SERVER), (40.0, SERVER)]), Some(40.0), "it was set longer");
        assert_eq!(after(&[(9.0, SERVER), (9.0, SERVER)]), Some(9.0), "it was set shorter");
    }
}
