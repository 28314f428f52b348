//! The ladder of a path as a picture: idle age on a logarithmic axis. Places across are percentages and places down are
//! pixels, so one picture suits a screen and a telephone, and its words are never scaled.

mod lanes;
mod words;

use maud::{Markup, html};

use super::marks::Mark;
use super::scale::Axis;
use crate::domain::layers::in_words;
use crate::status::{Limit, PathDocument, TargetDocument};
use lanes::Canvas;

pub(super) use words::description;

/// Timeouts far beyond the ladder stand at the right end, so that the ladder keeps its room: this many times its length.
const FAR: f64 = 6.0;

/// What is known of idleness on a path, in seconds: up to where sessions live, and from where they die.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bracket {
    /// Up to here they live.
    lives_to: Option<f64>,
    /// From here on they die.
    dies_from: Option<f64>,
}

impl Bracket {
    pub(super) fn of(path: &PathDocument) -> Self {
        let limit = idle_limit(path);
        let dies_from = limit.and_then(|limit| limit.upper_seconds);
        let lives_to = limit.and_then(|limit| limit.lower_seconds);
        // With a limit, what one session reached past it is no promise to another.
        let lives_to = if dies_from.is_some() { lives_to } else { longer(lives_to, path.reach_seconds) };
        Self { lives_to: lives_to.filter(|age| dies_from.is_none_or(|from| *age <= from)), dies_from }
    }

    /// The same in a few words: what is known on the left, and on the right.
    fn captions(self, ladder_survived: bool) -> (String, String) {
        let left = self.lives_to.map_or_else(String::new, |age| format!("lives idle for {}", in_words(age)));
        let right = match self.dies_from {
            Some(age) => format!("dies from {} on", in_words(age)),
            None if ladder_survived => "nothing died".to_owned(),
            None => "not reached yet".to_owned(),
        };
        (left, right)
    }
}

/// The longer of two ages of which either may be absent.
fn longer(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).max_by(f64::total_cmp)
}

/// The limit of idle canaries.
pub(super) fn idle_limit(path: &PathDocument) -> Option<&Limit> {
    path.limits.iter().find(|limit| limit.kind == "idle")
}

/// The axis that a path's ages stand on.
fn axis(target: &TargetDocument, path: &PathDocument) -> Axis {
    let end = target.rungs_seconds.last().copied();
    let limits = path.limits.iter().flat_map(|limit| [limit.lower_seconds, limit.upper_seconds]);
    let ages = target
        .rungs_seconds
        .iter()
        .copied()
        .chain(path.lives.iter().flat_map(|lives| [lives.from_seconds, lives.to_seconds]))
        .chain(limits.flatten());
    let (first, last) = ages
        .clone()
        .fold((f64::INFINITY, end.unwrap_or_default()), |(first, last), age| (age.min(first), age.max(last)));
    let near = move |age: &f64| *age >= first / FAR && *age <= last * FAR;
    let timeouts = path.layers.iter().map(|layer| layer.seconds).filter(near);
    let sessions = target.sessions.iter().flatten().filter_map(|of| of.longest_idle_seconds).filter(near);
    Axis::over(ages.chain(timeouts).chain(sessions))
}

/// The picture. `number` makes its ids its own.
pub(super) fn ladder(target: &TargetDocument, path: &PathDocument, number: usize) -> Markup {
    let mut canvas = Canvas::new(axis(target, path));
    let bracket = Bracket::of(path);
    let (left, right) = bracket.captions(path.ladder_survived);
    canvas.captions(&left, &right);
    canvas.sessions(target);
    canvas.canaries(path);
    canvas.lives(path);
    let axis_at = canvas.scale();
    canvas.timeouts(path);
    let zones = zones(canvas.axis(), bracket, Some(canvas.height()));
    let (height, drawn) = canvas.finish(axis_at);
    let (title, describes) = (format!("title-{number}"), format!("describes-{number}"));
    html! {
        svg.ladder role="img" aria-labelledby=(format!("{title} {describes}")) height=(height) {
            title id=(title) { "Idle times on path " (super::text::plain(&path.path)) }
            desc id=(describes) { (description(target, path)) }
            (zones)
            (drawn)
        }
        (legend(path, bracket))
    }
}

/// The kinds of canary, in the words of the legend.
const KINDS: [(&str, &str); 4] = [
    ("idle", "silent"),
    ("keepalive", "with TCP keepalive"),
    ("busy", "in a statement"),
    ("active", "pings"),
];

/// What the signs mean, of those that the picture has.
fn legend(path: &PathDocument, bracket: Bracket) -> Markup {
    let living = || path.canaries.iter().filter(|canary| canary.idle_seconds.is_some());
    let kinds: Vec<_> =
        KINDS.into_iter().filter(|(kind, _)| living().any(|canary| canary.kind == *kind)).collect();
    let other_clocks = path.layers.iter().any(|layer| layer.seconds > 0.0 && layer.clock != "idle");
    html! {
        @if !kinds.is_empty() || bracket.dies_from.is_some() || other_clocks {
            ul.legend {
                @if !kinds.is_empty() {
                    li { "A canary now: "
                        @for (place, (kind, words)) in kinds.into_iter().enumerate() {
                            @if place > 0 { ", " }
                            (Mark::of_canary(kind).in_text()) " " (words)
                        }
                        "; dotted, the time that is left to its probe, at the tick"
                    }
                }
                @if bracket.dies_from.is_some() { li { "Red line: the idle limit" } }
                @if other_clocks { li { "Dashed bar: a timeout that does not count idle time" } }
            }
        }
    }
}

/// Where sessions live, where their limit lies, and where they die, as bands behind everything.
fn zones(axis: Axis, bracket: Bracket, height: Option<usize>) -> Markup {
    let height = height.map_or_else(|| "100%".to_owned(), |height| height.to_string());
    let lives_to = bracket.lives_to.map(|age| axis.at(age));
    let dies_from = bracket.dies_from.map(|age| axis.at(age));
    html! {
        @if let Some(to) = lives_to { rect.lives x="0%" y="0" width=(format!("{to:.2}%")) height=(height) {} }
        @if let Some(from) = dies_from {
            @let to = lives_to.unwrap_or_default();
            @if from > to {
                rect.between x=(format!("{to:.2}%")) y="0" width=(format!("{:.2}%", from - to)) height=(height) {}
            }
            rect.dies x=(format!("{from:.2}%")) y="0" width=(format!("{:.2}%", 100.0 - from)) height=(height) {}
            line.limit x1=(format!("{from:.2}%")) x2=(format!("{from:.2}%")) y1="0" y2=(height) {}
        }
    }
}

/// The axis that all strips of a list share, so that one can be held against another.
pub(super) fn shared_axis<'a>(targets: impl Iterator<Item = &'a TargetDocument>) -> Axis {
    Axis::over(targets.flat_map(|target| {
        let limits = target.paths.iter().map(Bracket::of);
        let limits = limits.flat_map(|of| [of.lives_to, of.dies_from]).flatten();
        target.rungs_seconds.iter().copied().chain(limits).collect::<Vec<_>>()
    }))
}

/// What is known of a path's idle ages, as a strip for its line.
pub(super) fn strip(axis: Axis, path: &PathDocument) -> Markup {
    let bracket = Bracket::of(path);
    let (left, right) = bracket.captions(path.ladder_survived);
    let words: Vec<String> = [left, right].into_iter().filter(|words| !words.is_empty()).collect();
    html! {
        svg.strip role="img" aria-label=(words.join(", ")) height="12" {
            rect.ground x="0%" y="0" width="100%" height="100%" {}
            (zones(axis, bracket, None))
        }
    }
}
