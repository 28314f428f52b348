//! Many targets, or many paths of one, a line each, the worst first.

use std::cmp::Ordering;

use maud::{Markup, html};

use super::View;
use super::marks::{Mark, badge};
use super::path::{bracket, reached};
use super::picture::{idle_limit, shared_axis, strip};
use super::scale::Axis;
use super::text::{Name, Term, Words, about, counted};
use crate::status::{Document, Limit, PathDocument, TargetDocument};

/// The standings, the worst first.
const STANDINGS: [&str; 4] = ["unreachable", "ill", "measuring", "sound"];

/// How bad a standing is: the worse, the less.
fn rank(standing: &str) -> usize {
    STANDINGS.iter().position(|known| *known == standing).unwrap_or(STANDINGS.len())
}

/// The worse path first: by standing, then by the age that people must keep clear of.
fn by_harm(a: &PathDocument, b: &PathDocument) -> Ordering {
    let dies_at = |path| idle_limit(path).and_then(|limit| limit.upper_seconds).unwrap_or(f64::INFINITY);
    rank(a.standing).cmp(&rank(b.standing)).then(dies_at(a).total_cmp(&dies_at(b)))
}

/// The start page. Gives its title too.
pub(super) fn targets(document: &Document, targets: &[TargetDocument], view: &View) -> (String, Markup) {
    let mut sorted: Vec<&TargetDocument> = targets.iter().collect();
    sorted.sort_by_key(|target| rank(target.standing));
    let axis = shared_axis(targets.iter());
    let title = match sorted.first() {
        Some(worst) => format!("{}: {}", worst.standing, counted(targets.len(), "target")),
        None => "starting".to_owned(),
    };
    let body = html! {
        h1 { "Targets" }
        (tally(sorted.iter().map(|target| target.standing), "target"))
        @if targets.is_empty() {
            p { "No target is watched yet: the exporter is starting. /-/ready says what it waits for." }
        }
        ol.lines {
            @for target in sorted {
                @let worst = target.paths.iter().min_by(|a, b| by_harm(a, b));
                li {
                    (badge(target.standing))
                    a.name href=(view.at(Some(&target.target), None).href()) { (Name(&target.target)) }
                    @match worst {
                        Some(worst) => (line(axis, worst, target.paths.len() > 1, document)),
                        None => span.known { "no path" },
                    }
                }
            }
        }
        (legend())
    };
    (title, body)
}

/// The paths of one target.
pub(super) fn paths(document: &Document, target: &TargetDocument, view: &View) -> Markup {
    let mut sorted: Vec<&PathDocument> = target.paths.iter().collect();
    sorted.sort_by(|a, b| by_harm(a, b));
    let axis = shared_axis(std::iter::once(target));
    html! {
        section {
            h2 { (counted(sorted.len(), "path")) }
            (tally(sorted.iter().map(|path| path.standing), "path"))
            ol.lines {
                @for path in sorted {
                    li {
                        (badge(path.standing))
                        a.name href=(view.at(Some(&target.target), Some(&path.path)).href()) { (Name(&path.path)) }
                        (line(axis, path, false, document))
                    }
                }
            }
            (legend())
        }
    }
}

/// How many stand how.
fn tally<'a>(standings: impl Iterator<Item = &'a str> + Clone, noun: &str) -> Markup {
    let count = |standing: &str| standings.clone().filter(|of| *of == standing).count();
    let words: Vec<String> = STANDINGS
        .iter()
        .map(|standing| (count(standing), standing))
        .filter(|(count, _)| *count > 0)
        .map(|(count, standing)| format!("{count} {standing}"))
        .collect();
    let all = standings.clone().count();
    html! { @if all > 0 { p.tally { (counted(all, noun)) ": " (words.join(", ")) } } }
}

/// What is known of a path, in a line.
fn line(axis: Axis, path: &PathDocument, names_it: bool, document: &Document) -> Markup {
    let evidence = idle_limit(path).and_then(|limit| limit.evidence_age_seconds);
    html! {
        span.known {
            @if names_it { "path " (Name(&path.path)) ": " }
            (in_a_line(path))
        }
        (strip(axis, path))
        span.evidence {
            @match (evidence, path.measuring_since) {
                (Some(age), _) => { "evidence " (about(age)) " old" },
                (None, Some(since)) => { "measuring for " (about(document.generated_at - since)) },
                (None, None) => { "no evidence yet" },
            }
        }
    }
}

/// What matters most of a path.
fn in_a_line(path: &PathDocument) -> Markup {
    let limit = idle_limit(path);
    let contradictions = path.mismatches.iter().filter(|of| of.holds).count();
    html! {
        @match (&path.trouble, limit) {
            (Some(trouble), _) if path.standing == "unreachable" => { "connecting fails (" (trouble.stage) "): " (Words(&trouble.words)) },
            (_, Some(limit)) if limit.upper_seconds.is_some() => {
                "dies " (bracket(limit, path.ladder_survived)) " idle"
                @if let Some(killer) = &path.killer { ", by " (Mark::of_culprit(killer.culprit).in_text()) " " code { (Term(killer.culprit)) } }
            },
            _ if path.standing == "ill" => {
                @if let Some(verdict) = &path.verdict { (Words(&verdict.short)) " " }
                @if contradictions > 0 { (counted(contradictions, "contradiction")) " between settings." }
            },
            (_, Some(Limit { lower_seconds: Some(lower), .. })) => { "no idle limit " (reached(*lower, path.ladder_survived)) },
            _ => "nothing is known yet: no canary has reached its age",
        }
    }
}

fn legend() -> Markup {
    html! {
        p.legend {
            "Idle for so long a session… " span.swatch.lives {} " lives " span.swatch.between {} " the limit lies here "
            span.swatch.dies {} " dies " span.swatch.ground {} " not reached yet"
        }
    }
}
