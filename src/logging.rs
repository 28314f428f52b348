//! Log lines on standard error: logfmt or JSON, in the manner of the Prometheus exporters. And the
//! demonstration's story, on standard output.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// `time=… level=INFO msg="…" key=value`.
    Logfmt,
    /// One JSON object a line.
    Json,
    /// Sentences for people at a terminal.
    #[value(skip)]
    Story,
}

/// The least severe lines that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Survivals too.
    Debug,
    /// Deaths, voids, suspensions, and what the exporter does.
    Info,
    /// Deaths and what went wrong.
    Warn,
    /// Only the exporter's own faults.
    Error,
}

/// Sends log lines to standard error (a story to standard output) from now on. A second call changes nothing.
pub fn start(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let writer = match format {
        LogFormat::Logfmt | LogFormat::Json => BoxMakeWriter::new(io::stderr),
        // A story is what its command is run for.
        LogFormat::Story => BoxMakeWriter::new(io::stdout),
    };
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines { format, verdict: Mutex::default() })
        .with_writer(writer)
        .with_ansi(false);
    // Only one subscriber can be had: in tests that start several exporters the first one stays.
    let _ = tracing_subscriber::registry().with(level).with(lines).try_init();
}

struct Lines {
    format: LogFormat,
    /// The newest verdict: a story gives its gist when it changes, and all of it at the end.
    verdict: Mutex<String>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let level = event.metadata().level().as_str();
        match self.format {
            LogFormat::Logfmt => write_logfmt(&mut writer, &time, level, &fields),
            LogFormat::Json => {
                let mut object = Map::new();
                object.insert("time".into(), time.into());
                object.insert("level".into(), level.into());
                object.insert("msg".into(), fields.message.into());
                object.extend(fields.rest.into_iter().map(|(name, value)| (name.to_owned(), value)));
                writeln!(writer, "{}", Value::Object(object))
            }
            LogFormat::Story => {
                let mut verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
                write_story(&mut writer, &time, &fields, &mut verdict)
            }
        }
    }
}

/// The fields of one event: the message, and the rest in the order they were given.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    rest: Vec<(&'static str, Value)>,
}

impl Fields {
    fn keep(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            (name, value) => self.rest.push((name, value)),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.rest.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, name: &str) -> f64 {
        self.get(name).and_then(Value::as_f64).unwrap_or_default()
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, format!("{value:?}").into());
    }
}

fn write_logfmt(writer: &mut Writer<'_>, time: &str, level: &str, fields: &Fields) -> fmt::Result {
    write!(writer, "time={time} level={level} msg={}", quoted(&fields.message))?;
    for (name, value) in &fields.rest {
        match value {
            Value::String(text) => write!(writer, " {name}={}", quoted(text))?,
            other => write!(writer, " {name}={other}")?,
        }
    }
    writeln!(writer)
}

/// Quotes a logfmt value where it needs quotes.
fn quoted(text: &str) -> String {
    let plain =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\'));
    if plain {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{{{:x}}}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// One event as a sentence, for the demonstration. `verdict` is the one told last.
fn write_story(
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
    use super::*;

    #[test]
    fn logfmt_values_are_quoted_where_they_must() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("two words"), "\"two words\"");
        assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("a=b"), "\"a=b\"");
        assert_eq!(quoted("\u{1b}[31m"), "\"\\u{1b}[31m\"");
    }

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
