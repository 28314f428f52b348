//! The demonstration's story: events as sentences, for people at a terminal. What is told once is not told again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Fields;

/// So many deaths of one kind are told of each path; the others are counted on the page.
const DEATHS_TOLD: usize = 2;
/// One that lived so much longer than those before is news.
const LONGER: f64 = 1.05;
/// What is of no matter where everything is private, or is told otherwise.
const LEFT_OUT: [&str; 7] = [
    "verdict",
    "listening",
    "server_unverified",
    "grant_would_tell",
    "table_missing",
    "mismatch_over",
    "ghost_ended",
];
/// Lines that belong to the one before begin below its words.
const INDENT: &str = "          ";

/// What was told already. Paths come from the configuration, and kinds are few.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// The newest verdict of each path: its gist is told when it changes, and all of it at the end.
    verdicts: BTreeMap<String, String>,
    /// Of each path and kind: the longest life, in seconds, and how many deaths.
    lives: BTreeMap<(String, String), (f64, usize)>,
    /// The rules that were told to hold, by path, rule and pool: one that comes and goes is told once.
    mismatches: BTreeSet<[String; 3]>,
}

impl Story {
    /// One event as a sentence, where it is news.
    pub(super) fn write(&mut self, writer: &mut impl fmt::Write, time: &str, fields: &Fields) -> fmt::Result {
        let clock = time.get(11..19).unwrap_or(time);
        let (path, kind) = (fields.text("path"), fields.text("kind"));
        let age = fields.number("age_seconds");
        let lives = || (path.to_owned(), kind.to_owned());
        match fields.text("event") {
            "survival" => {
                let (longest, _) = self.lives.entry(lives()).or_default();
                if age <= *longest * LONGER {
                    return Ok(());
                }
                *longest = age;
                writeln!(writer, "{clock}  {path:<9} lived  {kind:<9} {age:.2} s, then its ping was answered")
            }
            "death" => {
                let (_, deaths) = self.lives.entry(lives()).or_default();
                *deaths += 1;
                if *deaths > DEATHS_TOLD {
                    return Ok(());
                }
                write!(writer, "{clock}  {path:<9} DIED   {kind:<9} {age:.2} s: {}", fields.text("ending"))?;
                if let Some(code) = fields.get("error_code") {
                    write!(writer, " (error {code})")?;
                }
                writeln!(writer, ", {}: {}", fields.text("culprit"), fields.text("rule"))
            }
            "verdict_in_full" => {
                let gist = |words: &str| words.lines().next().unwrap_or_default().to_owned();
                let now = gist(&fields.message);
                let before = self.verdicts.insert(path.to_owned(), fields.message.clone());
                if before.is_some_and(|before| gist(&before) == now) {
                    Ok(())
                } else {
                    writeln!(writer, "{clock}  {now}")
                }
            }
            "summary" => {
                write_lines(writer, clock, &fields.message)?;
                let verdicts = self.verdicts.values().flat_map(|verdict| verdict.lines());
                verdicts.into_iter().try_for_each(|line| writeln!(writer, "{INDENT}{line}"))
            }
            "mismatch" => {
                let rule = ["path", "rule", "pool"].map(|name| fields.text(name).to_owned());
                if !self.mismatches.insert(rule) {
                    return Ok(());
                }
                writeln!(writer, "{clock}  MISMATCH  {}", fields.message)
            }
            event if LEFT_OUT.contains(&event) => Ok(()),
            _ => write_lines(writer, clock, &fields.message),
        }
    }
}

/// Words of several lines, the time before the first.
fn write_lines(writer: &mut impl fmt::Write, clock: &str, words: &str) -> fmt::Result {
    let mut lines = words.lines();
    writeln!(writer, "{clock}  {}", lines.next().unwrap_or_default())?;
    lines.try_for_each(|line| writeln!(writer, "{INDENT}{line}"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_story_tells_what_is_news_and_in_the_end_the_whole_verdict() {
        let mut told = String::new();
        let mut story = Story::default();
        let mut tell = |event: &str, message: &str, rest: &[(&'static str, Value)]| {
            let mut fields = Fields { message: message.to_owned(), rest: rest.to_vec() };
            fields.rest.push(("event", event.into()));
            fields.rest.push(("path", "nat".into()));
            story.write(&mut told, "2026-01-01T12:00:00.000Z", &fields).expect("a String takes all");
        };
        for age in [2.0, 2.01, 4.0] {
            tell("survival", "", &[("kind", "idle".into()), ("age_seconds", age.into())]);
        }
        let death = [
            ("kind", "keepalive".into()),
            ("age_seconds", 5.004.into()),
            ("ending", "goodbye".into()),
            ("error_code", 4031.into()),
            ("culprit", "server_idle_timeout".into()),
            ("rule", "the server said so".into()),
        ];
        (0..3).for_each(|_| tell("death", "canary died", &death));
        tell("verdict_in_full", "They die.\nThe server does it.", &[]);
        tell("verdict_in_full", "They die.\nThe server does it, surely.", &[]);
        tell("listening", "on a port", &[]);
        (0..2).for_each(|_| tell("mismatch", "two clocks contradict", &[("rule", "paths_disagree".into())]));
        tell("summary", "1 lived\n2 died", &[]);
        let died = "12:00:00  nat       DIED   keepalive 5.00 s: goodbye (error 4031), server_idle_timeout: the server said so\n";
        assert_eq!(
            told,
            format!(
                "12:00:00  nat       lived  idle      2.00 s, then its ping was answered\n\
                 12:00:00  nat       lived  idle      4.00 s, then its ping was answered\n\
                 {died}{died}12:00:00  They die.\n\
                 12:00:00  MISMATCH  two clocks contradict\n\
                 12:00:00  1 lived\n          2 died\n          They die.\n          The server does it, surely.\n"
            )
        );
    }
}
