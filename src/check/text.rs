//! What `check` prints for people: what can be told at once, and the verdict.

use std::fmt::Write as _;

use super::judge::{Outcome, upper};
use super::paper::{BAD, BOLD, DIM, GOOD, clean, styled, wrap};
use super::report::Report;
use crate::domain::layers::in_words;
use crate::status::{Death, PathDocument, TargetDocument};

/// So many of the newest deaths are shown as evidence.
const EVIDENCE: usize = 3;

/// What can be told without waiting.
pub(super) fn at_once(target: &TargetDocument, width: usize) -> String {
    let mut text = String::new();
    text.push_str(&title("What is known at once"));
    if let Some(server) = &target.server {
        let version =
            server.version.as_deref().map(|version| format!(" {}", clean(version))).unwrap_or_default();
        let flavor = if server.flavor == "mariadb" { "MariaDB" } else { "MySQL" };
        let _ = writeln!(text, "  {} answers as {flavor}{version}", clean(&target.target));
    }
    for path in &target.paths {
        layers(&mut text, path, width);
    }
    sessions(&mut text, target);
    for pool in &target.pools {
        let user = pool.user.as_deref().map(|user| format!(", user {}", clean(user))).unwrap_or_default();
        let first = format!("  pool {} ({}{user}) ", clean(&pool.pool), pool.framework);
        text.push_str(&wrap("  ", &format!("{}{}", first.trim_start(), clean(&pool.words)), width));
    }
    for path in &target.paths {
        for device in &path.devices {
            let words =
                format!("device {} ({}) {}", clean(&device.device), device.layer, clean(&device.words));
            text.push_str(&wrap("  ", &words, width));
        }
        if let Some(told) = &path.foretold {
            text.push_str(&wrap("  ", &format!("{}.", clean(&told.words)), width));
        }
        contradictions(&mut text, path, width);
    }
    text
}

fn title(words: &str) -> String {
    format!("{}\n", styled(BOLD, words))
}

/// The timeouts of all layers side by side.
fn layers(text: &mut String, path: &PathDocument, width: usize) {
    if path.layers.is_empty() {
        return;
    }
    let _ = writeln!(text, "  timeouts on path {} to {}:", clean(&path.path), clean(&path.address));
    let longest = path.layers.iter().map(|layer| clean(&layer.setting).chars().count()).max().unwrap_or(0);
    let column = longest.min(width.saturating_sub(44)).max(8);
    for layer in &path.layers {
        let line = format!(
            "    {:<8} {:<column$} {:>16}  {:<5} {}",
            layer.layer,
            clean(&layer.setting),
            in_words(layer.seconds),
            layer.clock,
            layer.source
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// The applications' sessions, by how long they have slept.
fn sessions(text: &mut String, target: &TargetDocument) {
    let Some(sessions) = &target.sessions else { return };
    if sessions.is_empty() {
        text.push_str("  no application is connected\n");
    }
    for user in sessions {
        let asleep = user.asleep.map(|asleep| format!(", {asleep} asleep")).unwrap_or_default();
        let longest = user.longest_idle_seconds.filter(|_| user.asleep != Some(0));
        let longest = longest.map(|age| format!(", the longest for {}", in_words(age))).unwrap_or_default();
        let s = if user.sessions == 1 { "" } else { "s" };
        let _ = writeln!(text, "  user {}: {} session{s}{asleep}{longest}", clean(&user.user), user.sessions);
    }
}

fn contradictions(text: &mut String, path: &PathDocument, width: usize) {
    let foretold = path.foretold.iter().flat_map(|told| &told.mismatches);
    let holding = path.mismatches.iter().filter(|of| of.holds).chain(foretold);
    for mismatch in holding {
        let words = mismatch.words.as_deref().unwrap_or(mismatch.rule);
        text.push_str(&wrap("  ! ", &clean(words), width));
    }
}

/// The verdict. The line that matters most comes last, where people look first.
pub(super) fn verdict(report: &Report, width: usize) -> String {
    let mut text = String::new();
    let walked = report.max_age_seconds > 0.0;
    let paths = report.target.iter().flat_map(|target| &target.paths);
    for path in paths.clone().filter(|_| walked) {
        text.push_str(&title(&format!("Verdict on path {}", clean(&path.path))));
        of_path(&mut text, path, width);
    }
    if walked {
        for path in paths.filter(|path| upper(path).is_some()) {
            layers(&mut text, path, width);
        }
    }
    if !report.not_tested.is_empty() {
        text.push_str(&title("Not looked at"));
        report.not_tested.iter().for_each(|words| text.push_str(&wrap("  - ", &clean(words), width)));
    }
    if walked && report.target.is_some() {
        text.push_str(&wrap("", &connections(report), width));
    }
    let style = match report.outcome {
        Outcome::Sound => GOOD,
        Outcome::Found => BAD,
        Outcome::NotMeasured | Outcome::Interrupted => BOLD,
    };
    text.push_str(&styled(style, wrap("", &clean(&report.summary), width).trim_end()));
    text.push('\n');
    text
}

fn of_path(text: &mut String, path: &PathDocument, width: usize) {
    let Some(verdict) = &path.verdict else {
        text.push_str("  nothing is known of it\n");
        return;
    };
    for sentence in &verdict.sentences {
        text.push_str(&wrap("  ", &clean(sentence), width));
    }
    for death in path.deaths.iter().take(EVIDENCE) {
        text.push_str(&wrap("  evidence: ", &evidence(death), width));
    }
    for (head, lines) in [("fits: ", &verdict.suspects)] {
        lines.iter().for_each(|line| text.push_str(&wrap(&format!("  {head}"), &clean(line), width)));
    }
    contradictions(text, path, width);
    if !verdict.settings.is_empty() {
        text.push_str(&title("What to change"));
    }
    for setting in &verdict.settings {
        text.push_str(&wrap("  ", &format!("{}: {}", setting.place, clean(&setting.line)), width));
        let why = wrap("      ", &clean(&setting.why), width);
        let _ = writeln!(text, "{}", styled(DIM, why.trim_end_matches('\n')));
    }
}

fn evidence(death: &Death) -> String {
    let rule = death.rule.map(|rule| format!(", by the rule: {rule}")).unwrap_or_default();
    let age = in_words(death.age_seconds);
    let found = if death.exact { "died" } else { "was found dead" };
    format!("a canary ({}) {found} at {age} by {}: {}{rule}", death.kind, death.ending, death.culprit)
}

fn connections(report: &Report) -> String {
    let of = &report.connections;
    let bounded = of.bounded_by.as_ref().map(|who| format!(", for {}", clean(who))).unwrap_or_default();
    format!(
        "Measured in {} on at most {} of {} allowed connections{bounded}.",
        in_words(report.took_seconds),
        of.held,
        of.allowed
    )
}
