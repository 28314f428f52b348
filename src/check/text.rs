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
    let measured = |path: &&PathDocument| {
        path.trouble.is_none() || path.reach_seconds.is_some() || upper(path).is_some()
    };
    for path in paths.clone().filter(|_| walked).filter(measured) {
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
    if walked && report.connections.held > 0 {
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
    for words in evidence(&path.deaths) {
        text.push_str(&wrap("  evidence: ", &words, width));
    }
    for suspect in &verdict.suspects {
        text.push_str(&wrap("  fits: ", &clean(suspect), width));
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

/// The newest deaths that counted, those of one sort together.
fn evidence(deaths: &[Death]) -> Vec<String> {
    let sort = |death: &Death| (death.kind, death.ending, death.culprit, death.rule);
    let mut sorts: Vec<Vec<&Death>> = Vec::new();
    for death in deaths {
        match sorts.iter_mut().find(|of| of.first().is_some_and(|first| sort(first) == sort(death))) {
            Some(of) => of.push(death),
            None => sorts.push(vec![death]),
        }
    }
    // Those that most bear out come first.
    sorts.sort_by_key(|of| std::cmp::Reverse(of.len()));
    sorts.iter().take(EVIDENCE).filter_map(|of| words_of(of)).collect()
}

fn words_of(deaths: &[&Death]) -> Option<String> {
    let first = deaths.first()?;
    let ages = deaths.iter().map(|death| death.age_seconds);
    let (from, to) = (ages.clone().fold(f64::INFINITY, f64::min), ages.fold(0.0, f64::max));
    let (from, to) = (in_words(from), in_words(to));
    let ages = if from == to { from } else { format!("{from} to {to}") };
    let canaries =
        if deaths.len() == 1 { "1 canary".to_owned() } else { format!("{} canaries", deaths.len()) };
    let found = if first.exact { "died at" } else { "found dead at" };
    let rule = first.rule.map(|rule| format!(": {rule}")).unwrap_or_default();
    Some(format!("{canaries} ({}) {found} {ages} by {}, {}{rule}", first.kind, first.ending, first.culprit))
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
