//! The demonstration's story: events as sentences, for people at a terminal.

use std::fmt;

use super::Fields;

/// One event as a sentence, for the demonstration. `verdict` is the one told last.
pub(super) fn write_story(
    writer: &mut impl fmt::Write,
    time: &str,
    fields: &Fields,
    verdict: &mut String,
) -> fmt::Result {
    let clock = time.get(11..19).unwrap_or(time);
    let (kind, age) = (fields.text("kind"), fields.number("age_seconds"));
    match fields.text("event") {
        "survival" => writeln!(writer, "{clock}  lived  {kind:<9} {age:.2} s, then its ping was answered"),
        "death" => {
            write!(writer, "{clock}  DIED   {kind:<9} {age:.2} s: {}", fields.text("ending"))?;
            if let Some(code) = fields.get("error_code") {
                write!(writer, " (error {code})")?;
            }
            writeln!(writer, ", {}: {}", fields.text("culprit"), fields.text("rule"))
        }
        "verdict" => {
            let gist = |words: &str| words.lines().next().unwrap_or_default().to_owned();
            let (before, now) = (gist(verdict), gist(&fields.message));
            verdict.clone_from(&fields.message);
            if before == now { Ok(()) } else { writeln!(writer, "{clock}  {now}") }
        }
        "summary" => {
            writeln!(writer, "{clock}  {}", fields.message)?;
            verdict.lines().try_for_each(|line| writeln!(writer, "          {line}"))
        }
        // The demonstration names its addresses itself.
        "listening" => Ok(()),
        _ => writeln!(writer, "{clock}  {}", fields.message),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_story_gives_the_gist_and_in_the_end_the_whole_verdict() {
        let mut told = String::new();
        let mut verdict = String::new();
        let mut tell = |event: &str, message: &str, rest: &[(&'static str, Value)]| {
            let mut fields = Fields { message: message.to_owned(), rest: rest.to_vec() };
            fields.rest.push(("event", event.into()));
            write_story(&mut told, "2026-01-01T12:00:00.000Z", &fields, &mut verdict)
                .expect("a String takes all");
        };
        tell("survival", "", &[("kind", "idle".into()), ("age_seconds", 2.0.into())]);
        let death = [
            ("kind", "keepalive".into()),
            ("age_seconds", 5.004.into()),
            ("ending", "goodbye".into()),
            ("error_code", 4031.into()),
            ("culprit", "server_idle_timeout".into()),
            ("rule", "the server said so".into()),
        ];
        tell("death", "canary died", &death);
        tell("verdict", "They die.\nThe server does it.", &[]);
        tell("verdict", "They die.\nThe server does it, surely.", &[]);
        tell("summary", "1 lived", &[]);
        assert_eq!(
            told,
            "12:00:00  lived  idle      2.00 s, then its ping was answered\n\
             12:00:00  DIED   keepalive 5.00 s: goodbye (error 4031), server_idle_timeout: the server said so\n\
             12:00:00  They die.\n\
             12:00:00  1 lived\n          They die.\n          The server does it, surely.\n"
        );
    }
}
