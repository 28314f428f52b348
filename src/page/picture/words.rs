//! What a picture shows, in words: its text alternative.

use crate::domain::layers::in_words;
use crate::page::text::{counted, plain};
use crate::status::{PathDocument, TargetDocument};

/// So many timeouts are named; the table has all.
const MOST_TIMEOUTS: usize = 12;

/// The picture in sentences.
pub(in crate::page) fn description(target: &TargetDocument, path: &PathDocument) -> String {
    let mut sentences = vec![limit(path), canaries(path), ended(path)];
    if let Some(users) = &target.sessions {
        let asleep: usize = users.iter().filter_map(|of| of.asleep).sum();
        let longest = users.iter().filter_map(|of| of.longest_idle_seconds).max_by(f64::total_cmp);
        sentences.push(match longest {
            Some(longest) => format!(
                "{} of applications asleep, the longest for {}.",
                counted(asleep, "session"),
                in_words(longest)
            ),
            None => "No session of an application is known to sleep.".to_owned(),
        });
    }
    let named = path.layers.iter().take(MOST_TIMEOUTS);
    let timeouts: Vec<String> = named
        .map(|layer| format!("{} {} ({})", plain(&layer.setting), in_words(layer.seconds), layer.layer))
        .collect();
    if !timeouts.is_empty() {
        sentences.push(format!("Timeouts: {}.", timeouts.join("; ")));
    }
    sentences.join(" ")
}

fn limit(path: &PathDocument) -> String {
    let bracket = super::Bracket::of(path);
    match (bracket.lives_to, bracket.dies_from) {
        (Some(lives), Some(dies)) => format!(
            "Sessions live when idle for {}, and die when idle for {}.",
            in_words(lives),
            in_words(dies)
        ),
        (None, Some(dies)) => format!("Sessions die when idle for {}.", in_words(dies)),
        (Some(lives), None) => {
            format!("Sessions live when idle for {}; no limit was found.", in_words(lives))
        }
        (None, None) => "No idle age is known to be survived yet.".to_owned(),
    }
}

fn canaries(path: &PathDocument) -> String {
    let idle: Vec<f64> = path.canaries.iter().filter_map(|canary| canary.idle_seconds).collect();
    let shortest = idle.iter().copied().min_by(f64::total_cmp);
    let longest = idle.iter().copied().max_by(f64::total_cmp);
    match (shortest, longest) {
        (Some(shortest), Some(longest)) => format!(
            "{} now, idle for {} to {}.",
            match idle.len() {
                1 => "1 canary".to_owned(),
                count => format!("{count} canaries"),
            },
            in_words(shortest),
            in_words(longest)
        ),
        _ => "No canary is idle now.".to_owned(),
    }
}

fn ended(path: &PathDocument) -> String {
    let survived: usize = path.lives.iter().map(|lives| lives.survived).sum();
    let mut text = format!("{} survived", counted(survived, "probe"));
    let mut by_culprit = std::collections::BTreeMap::new();
    for deaths in path.lives.iter().flat_map(|lives| &lives.deaths) {
        *by_culprit.entry(deaths.culprit).or_insert(0) += deaths.count;
    }
    for (culprit, count) in by_culprit {
        text.push_str(&format!(", {} by {culprit}", counted(count, "death")));
    }
    text.push('.');
    text
}
