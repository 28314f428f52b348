//! What a path's limit says beside those of the other paths to the same server.

use crate::domain::culprit::Culprit;
use crate::domain::layers::in_words;
use crate::domain::limit::IdleLimit;
use crate::domain::mismatch::paths::{Comparison, compared, is_of_all};
use crate::domain::mismatch::{Facts, Killer, OtherPath};

/// The sentences, none where the evidence is too thin.
pub(super) fn of(facts: &Facts) -> Vec<String> {
    let compared = compared(facts);
    let with = |wanted: Comparison| -> Vec<&OtherPath> {
        compared.iter().filter(|(_, comparison)| *comparison == wanted).map(|(other, _)| *other).collect()
    };
    let same: Vec<&OtherPath> =
        with(Comparison::Same).into_iter().filter(|other| is_one_cause(facts, other)).collect();
    let (live_on, die_sooner) = (with(Comparison::Shorter), with(Comparison::Longer));
    let is_all = |part: usize| part == compared.len();
    let mut sentences = Vec::new();
    if !live_on.is_empty() {
        let those: Vec<&str> = [facts.path.as_str()].into_iter().chain(names(&same)).collect();
        let is_alone = is_all(live_on.len() + same.len());
        let cause = cause(facts.killer, &facts.idle, &those, &names(&live_on), is_alone);
        let die = dying(&facts.path, &facts.idle);
        sentences.push(format!("{}, {die}: {cause}.", capital(&living(&live_on))));
    } else if !same.is_empty() {
        let who = if is_all(same.len()) { "On every path" } else { "On more than one path" };
        let ages = same.iter().map(|other| (other.name.as_str(), &other.idle));
        let ages: Vec<String> = std::iter::once((facts.path.as_str(), &facts.idle))
            .chain(ages)
            .map(|(path, limit)| format!("{path} {}", at(limit)))
            .collect();
        sentences.push(format!(
            "{who} sessions die at one age ({}): what these paths share does it.",
            ages.join(", ")
        ));
    }
    for other in die_sooner {
        let is_alone = is_all(1);
        let cause = cause(other.killer, &other.idle, &[&other.name], &[&facts.path], is_alone);
        let here = format!("on path {} they live when idle for {}", facts.path, in_words(facts.idle.lower));
        sentences.push(format!("{}, {here}: {cause}.", capital(&dying(&other.name, &other.idle))));
    }
    let elsewhere = with(Comparison::OtherServer);
    if !elsewhere.is_empty() {
        let (paths, lead, limits) = match elsewhere[..] {
            [_] => ("Path", "leads", "its limit is"),
            _ => ("Paths", "lead", "their limits are"),
        };
        let names = list(&names(&elsewhere));
        sentences
            .push(format!("{paths} {names} {lead} to another server: {limits} not compared with this one."));
    }
    sentences
}

/// Whether nothing speaks against one cause for two limits at one age: both of all connections or both of a part,
/// and no two layers found guilty.
fn is_one_cause(facts: &Facts, other: &OtherPath) -> bool {
    let layer = |killer: Option<Killer>| {
        let culprit = killer.map(|killer| killer.culprit).filter(|culprit| *culprit != Culprit::Unknown);
        culprit.map(Culprit::layer)
    };
    let agree = match (layer(facts.killer), layer(other.killer)) {
        (Some(here), Some(there)) => here == there,
        (None, _) | (_, None) => true,
    };
    agree && is_of_all(&facts.idle) == is_of_all(&other.idle)
}

/// What ends the sessions on `those` paths and not on `others`, which may be all the others there are.
fn cause(
    killer: Option<Killer>,
    limit: &IdleLimit,
    those: &[&str],
    others: &[&str],
    is_alone: bool,
) -> String {
    let (those, others) = (list(those), list(others));
    match killer.map(|killer| killer.culprit) {
        Some(Culprit::ServerIdleTimeout) => {
            format!("the server gives the sessions on {those} a shorter wait_timeout")
        }
        Some(Culprit::ServerKill) => format!("who kills idle sessions spares those on {others}"),
        Some(_) | None => {
            let what = if is_of_all(limit) { "what lies" } else { "what lies on a part of the way" };
            let alone = if is_alone { " alone".to_owned() } else { format!(" and not on {others}") };
            format!("{what} on {those}{alone} does it")
        }
    }
}

/// "on path direct they live when idle for 28800 s (8h)": as long as all of them are known to.
fn living(paths: &[&OtherPath]) -> String {
    let age = paths.iter().map(|other| other.idle.lower).fold(f64::INFINITY, f64::min);
    let word = if paths.len() == 1 { "path" } else { "paths" };
    format!("on {word} {} they live when idle for {}", list(&names(paths)), in_words(age))
}

/// "on path lb they are dead when idle for 350 s".
fn dying(path: &str, limit: &IdleLimit) -> String {
    let who = if is_of_all(limit) { "they die" } else { "a part of them dies" };
    format!("on path {path} {who} {}", at(limit))
}

/// The age of a limit: "at 350 s", "by 420 s", "between 20 s and 24 s".
fn at(limit: &IdleLimit) -> String {
    let upper = limit.upper.unwrap_or(f64::INFINITY);
    match limit.spread_to {
        Some(to) => format!("between {} and {}", in_words(upper), in_words(to)),
        None if limit.exact || in_words(limit.lower) == in_words(upper) => format!("at {}", in_words(upper)),
        None if limit.lower > 0.0 => format!("between {} and {}", in_words(limit.lower), in_words(upper)),
        None => format!("by {}", in_words(upper)),
    }
}

fn names<'a>(paths: &[&'a OtherPath]) -> Vec<&'a str> {
    paths.iter().map(|other| other.name.as_str()).collect()
}

/// "a", "a and b", "a, b and c".
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
