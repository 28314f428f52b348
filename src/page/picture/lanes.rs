//! The lanes of the picture, from above: the applications' sessions, the canaries that live, those that ended, the
//! axis, the timeouts of all layers. Each has its words above it, at the left.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::domain::layers::in_seconds;
use crate::page::marks::{Mark, SURVIVED};
use crate::page::scale::Axis;
use crate::page::text::{counted, in_picture, plain, short_age};
use crate::status::{Canary, Layer, LivesOfAge, PathDocument, TargetDocument};

/// How high the words of a lane are, in pixels, and how high a row of marks is.
const CAPTION: usize = 18;
const ROW: usize = 18;
/// How high the row of one canary is.
const CANARY: usize = 11;
/// How high the highest bar of sessions is.
const BAR: f64 = 40.0;
/// Between lanes.
const GAP: usize = 8;
/// So many canaries, and so many timeouts, are drawn; the words say how many more there are.
const MOST_CANARIES: usize = 24;
const MOST_TIMEOUTS: usize = 30;
/// A bar that is wider than this, in percent, has room for its number; on a wide screen a narrower one has too.
const ROOM_FOR_A_NUMBER: f64 = 7.0;
const ROOM_ON_A_WIDE_SCREEN: f64 = 2.5;

/// What was drawn so far, from above.
#[derive(Debug)]
pub(super) struct Canvas {
    axis: Axis,
    y: usize,
    drawn: Vec<Markup>,
}

impl Canvas {
    pub(super) fn new(axis: Axis) -> Self {
        Self { axis, y: 0, drawn: Vec::new() }
    }

    pub(super) fn axis(&self) -> Axis {
        self.axis
    }

    /// How high it is so far, in pixels.
    pub(super) fn height(&self) -> usize {
        self.y
    }

    /// All of it, with the lines of the axis behind it, and its height.
    pub(super) fn finish(self, axis_at: usize) -> (usize, Markup) {
        let behind = html! {
            @for tick in self.axis.ticks() {
                @let x = percent(self.axis.at(tick));
                line.grid x1=(x) x2=(x) y1=(CAPTION + GAP) y2=(axis_at) {}
            }
        };
        (self.y, html! { (behind) @for part in &self.drawn { (part) } })
    }

    fn add(&mut self, height: usize, drawn: Markup) {
        self.drawn.push(drawn);
        self.y += height;
    }

    /// What is known, at the upper corners.
    pub(super) fn captions(&mut self, left: &str, right: &str) {
        let y = CAPTION - 2;
        let drawn = html! {
            text.known x="0" dx="6" y=(y) { (left) }
            text.known.end x="100%" dx="-6" y=(y) { (right) }
        };
        self.add(CAPTION + GAP + 4, drawn);
    }

    fn caption(&mut self, words: &str) {
        let y = self.y + CAPTION - 6;
        self.add(CAPTION, html! { text.caption x="0" dx="6" y=(y) { (words) } });
    }

    /// The applications' sessions by idle age: a bar from rung to rung.
    pub(super) fn sessions(&mut self, target: &TargetDocument) {
        let Some(bars) = bars(target) else { return };
        let most = bars.iter().map(|bar| bar.sessions).max().unwrap_or_default();
        let asleep: usize = bars.iter().map(|bar| bar.sessions).sum();
        self.caption(&format!("applications: {} asleep, by idle time", counted(asleep, "session")));
        if most == 0 {
            return self.add(GAP, html! {});
        }
        let floor = self.y + BAR as usize + 2;
        let drawn = html! {
            @for bar in bars.iter().filter(|bar| bar.sessions > 0) {
                // The strip from rung to rung, of a height that tells tens from hundreds.
                @let (from, to) = (self.axis.at(bar.from.max(0.001)), bar.to.map_or(100.0, |to| self.axis.at(to)));
                @let height = 8.0 + (BAR - 8.0) * (bar.sessions as f64).ln_1p() / (most as f64).ln_1p();
                rect.sessions x=(percent(from)) width=(percent((to - from).max(0.3))) y=(format!("{:.1}", floor as f64 - height)) height=(format!("{height:.1}")) {
                    title { (counted(bar.sessions, "session")) " idle for " (in_seconds(bar.from)) " or longer" }
                }
                @if to - from >= ROOM_ON_A_WIDE_SCREEN {
                    text.number.wide[to - from < ROOM_FOR_A_NUMBER] x=(percent(f64::midpoint(from, to))) y=(floor - 4) { (bar.sessions) }
                }
            }
            line.floor x1="0%" x2="100%" y1=(floor) y2=(floor) {}
        };
        self.add(BAR as usize + 2 + GAP, drawn);
    }

    /// The canaries that live: from where they began to where they stand now, and on to their aim.
    pub(super) fn canaries(&mut self, path: &PathDocument) {
        let mut living: Vec<(&Canary, f64)> =
            path.canaries.iter().filter_map(|canary| Some((canary, canary.idle_seconds?))).collect();
        living.sort_by(|a, b| a.0.aim_seconds.total_cmp(&b.0.aim_seconds).then(a.1.total_cmp(&b.1)));
        let connecting = path.canaries.len() - living.len();
        let mut words = format!("canaries now: {} idle", living.len());
        if connecting > 0 {
            words.push_str(&format!(", {connecting} connecting"));
        }
        if living.len() > MOST_CANARIES {
            words.push_str(&format!(" (drawn: {MOST_CANARIES})"));
        }
        self.caption(&words);
        for (canary, idle) in living.into_iter().take(MOST_CANARIES) {
            let y = self.y + CANARY / 2;
            let (now, aim) = (self.axis.at(idle), self.axis.at(canary.aim_seconds));
            let says = format!(
                "canary ({}, {}), idle for {} of {}",
                canary.kind,
                canary.phase,
                in_seconds(idle),
                in_seconds(canary.aim_seconds)
            );
            let drawn = html! {
                line.lived x1="0%" x2=(percent(now)) y1=(y) y2=(y) {}
                @if aim > now { line.ahead x1=(percent(now)) x2=(percent(aim)) y1=(y) y2=(y) {} }
                line.aim x1=(percent(aim)) x2=(percent(aim)) y1=(y - 4) y2=(y + 4) {}
                (Mark::of_canary(canary.kind).at(now, y, &says))
            };
            self.add(CANARY, drawn);
        }
        self.add(GAP, html! {});
    }

    /// The canaries that ended: those that answered, and those that died, by culprit.
    pub(super) fn lives(&mut self, path: &PathDocument) {
        for kind in ["idle", "keepalive", "busy", "active"] {
            let lives: Vec<&LivesOfAge> = path.lives.iter().filter(|lives| lives.kind == kind).collect();
            let of_kind = match kind {
                "idle" => "",
                "keepalive" => " (with TCP keepalive)",
                "busy" => " (in a statement)",
                _ => " (that ping)",
            };
            let survived = lives.iter().map(|lives| (*lives, lives.survived));
            self.row(SURVIVED, &format!("answered their probe{of_kind}"), survived.collect());
            let mut by_culprit: BTreeMap<&'static str, Vec<(&LivesOfAge, usize)>> = BTreeMap::new();
            for (lives, deaths) in
                lives.iter().flat_map(|lives| lives.deaths.iter().map(move |of| (*lives, of)))
            {
                by_culprit.entry(deaths.culprit).or_default().push((lives, deaths.count));
            }
            for (culprit, died) in by_culprit {
                self.row(Mark::of_culprit(culprit), &format!("died{of_kind}: {culprit}"), died);
            }
        }
        if path.lives.is_empty() {
            self.caption("no canary has reached its age yet");
        }
        self.add(GAP, html! {});
    }

    /// A row of equal marks, one for each age.
    fn row(&mut self, mark: Mark, words: &str, ages: Vec<(&LivesOfAge, usize)>) {
        let sum: usize = ages.iter().map(|(_, count)| count).sum();
        if sum == 0 {
            return;
        }
        self.caption(&format!("{sum} {words}"));
        let y = self.y + ROW / 2;
        let drawn = html! {
            @for (lives, count) in ages.into_iter().filter(|(_, count)| *count > 0) {
                @let (from, to) = (self.axis.at(lives.from_seconds), self.axis.at(lives.to_seconds));
                @let age = f64::midpoint(from, to);
                @if to - from > 0.5 { line.spread x1=(percent(from)) x2=(percent(to)) y1=(y) y2=(y) {} }
                (mark.at(age, y, &format!("{count} {words}, at {}", ages_of(lives))))
            }
        };
        self.add(ROW, drawn);
    }

    /// The axis. Gives where it lies.
    pub(super) fn scale(&mut self) -> usize {
        let y = self.y;
        let drawn = html! {
            line.axis x1="0%" x2="100%" y1=(y) y2=(y) {}
            @for tick in self.axis.ticks() {
                @let x = percent(self.axis.at(tick));
                line.axis x1=(x) x2=(x) y1=(y) y2=(y + 5) {}
                text.number x=(x) y=(y + 17) { (short_age(tick)) }
            }
            text.number x="50%" y=(y + 33) { "idle time (logarithmic)" }
        };
        self.add(42, drawn);
        y
    }

    /// Every known timeout, a row each, the shortest first.
    pub(super) fn timeouts(&mut self, path: &PathDocument) {
        let mut layers: Vec<&Layer> = path.layers.iter().filter(|layer| layer.seconds > 0.0).collect();
        layers.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        if layers.is_empty() {
            return;
        }
        let more = match layers.len().checked_sub(MOST_TIMEOUTS) {
            Some(more @ 1..) => format!(" ({more} more in the table)"),
            _ => String::new(),
        };
        self.caption(&format!("timeouts of all layers{more}"));
        for layer in layers.into_iter().take(MOST_TIMEOUTS) {
            self.timeout(layer);
        }
        self.add(GAP, html! {});
    }

    fn timeout(&mut self, layer: &Layer) {
        let (x, y) = (self.axis.at(layer.seconds), self.y + ROW / 2);
        let class = if layer.clock == "idle" { "timeout" } else { "timeout other" };
        let arrow = if self.axis.is_beyond(layer.seconds) { " →" } else { "" };
        let clock = match layer.clock {
            "idle" => "",
            "age" => ", counts age",
            _ => ", counts a stall",
        };
        let (anchor, offset) = if x < 50.0 { ("start", 9) } else { ("end", -9) };
        let says = format!("{} ({}, {}{clock})", plain(&layer.setting), layer.layer, layer.source);
        let drawn = html! {
            line class=(class) x1=(percent(x)) x2=(percent(x)) y1=(y - 7) y2=(y + 7) { title { (says) } }
            text.(anchor).timeout x=(percent(x)) dx=(offset) y=(y + 4) {
                (in_picture(&layer.setting)) " " (in_seconds(layer.seconds)) (arrow)
                tspan.wide { " · " (layer.layer) ", " (layer.source) (clock) }
            }
        };
        self.add(ROW, drawn);
    }
}

fn percent(at: f64) -> String {
    format!("{at:.2}%")
}

fn ages_of(lives: &LivesOfAge) -> String {
    let (from, to) = (in_seconds(lives.from_seconds), in_seconds(lives.to_seconds));
    if from == to { from } else { format!("{from} to {to}") }
}

/// So many sessions are idle for longer than one rung, and not for as long as the next.
#[derive(Debug, PartialEq)]
struct Bar {
    from: f64,
    /// `None` past the last rung.
    to: Option<f64>,
    sessions: usize,
}

/// `None` where no user's sessions are known by age.
fn bars(target: &TargetDocument) -> Option<Vec<Bar>> {
    let users = target.sessions.as_ref()?;
    let mut asleep = users.iter().filter_map(|of| of.asleep).peekable();
    asleep.peek()?;
    let asleep: usize = asleep.sum();
    let at_least = |rung: f64| -> usize {
        let of_rung = users.iter().flat_map(|of| &of.idle).filter(|of| of.at_least_seconds == rung);
        of_rung.map(|of| of.sessions).sum()
    };
    let rungs: Vec<(f64, usize)> = std::iter::once((0.0, asleep))
        .chain(target.rungs_seconds.iter().map(|rung| (*rung, at_least(*rung))))
        .collect();
    let bar = |place: usize| {
        let (from, reached) = rungs[place];
        let next = rungs.get(place + 1);
        Bar {
            from,
            to: next.map(|(to, _)| *to),
            sessions: reached.saturating_sub(next.map_or(0, |(_, next)| *next)),
        }
    };
    Some((0..rungs.len()).map(bar).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::tests::sample;

    #[test]
    fn sessions_fall_between_the_rungs_that_they_have_reached() {
        let target = sample::checkout();
        let bars = bars(&target).expect("they are known");
        let seen: Vec<(f64, usize)> =
            bars.iter().filter(|bar| bar.sessions > 0).map(|bar| (bar.from, bar.sessions)).collect();
        assert_eq!(seen, [(0.0, 14), (60.0, 6), (600.0, 3)]);
        assert_eq!(bars.last().and_then(|bar| bar.to), None);
        let unseen = TargetDocument { sessions: None, ..target };
        assert_eq!(super::bars(&unseen), None);
    }
}
