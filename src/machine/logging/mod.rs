//! Log lines on standard error: logfmt or JSON, in the manner of the Prometheus exporters. And the
//! demonstration's story, on standard output. Panics are log lines too. A thread writes them (`queue`).

use std::fmt;
use std::io;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};
use std::thread;
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

mod logfmt;
mod owners;
mod queue;
mod story;

use queue::{Enqueue, Queue};
use story::Story;

pub use queue::{LogWriter, flush, lines_dropped};

/// The longest word of a panic that is told, in characters: it may repeat what a server sent.
const LONGEST_PANIC: usize = 500;

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

/// Sends log lines to standard error (a story to standard output) from now on, panics among them, until the
/// writer is finished. A second call changes nothing.
///
/// # Errors
/// When there can be no thread for it.
pub fn start(level: LogLevel, format: LogFormat) -> io::Result<LogWriter> {
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let queue = Queue::default();
    let lost = move |count: u64| {
        let words = format!("{count} log lines were dropped: their reader is too slow, or gone");
        let rest = vec![("event", "log_lines_dropped".into()), ("count", count.into())];
        format.line("WARN", Fields { message: words, rest })
    };
    let writer = match format {
        LogFormat::Logfmt | LogFormat::Json => queue.clone().start(io::stderr(), lost),
        // A story is what its command is run for.
        LogFormat::Story => queue.clone().start(io::stdout(), lost),
    }?;
    queue.become_the_log();
    let enqueue = queue.clone();
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines { format, story: Mutex::default() })
        .with_writer(BoxMakeWriter::new(move || Enqueue(enqueue.clone())))
        .with_ansi(false);
    // Only one subscriber can be had: in tests that start several exporters the first one stays.
    let _ = tracing_subscriber::registry().with(level).with(owners::KeepOwners).with(lines).try_init();
    // Past the subscriber, which may be what panicked.
    std::panic::set_hook(Box::new(move |panic| queue.push(format.line("ERROR", panicked(panic)).as_bytes())));
    Ok(writer)
}

/// A panic as an event.
fn panicked(panic: &PanicHookInfo<'_>) -> Fields {
    let payload = panic.payload();
    let words = payload.downcast_ref::<&str>().copied();
    let words = words.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let words: String = words.unwrap_or("a fault without words").chars().take(LONGEST_PANIC).collect();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread::current().name().unwrap_or("unnamed").to_owned();
    Fields {
        message: format!("panicked: {words}"),
        rest: vec![("event", "panic".into()), ("place", place.into()), ("thread", thread.into())],
    }
}

impl LogFormat {
    /// One line, made now. A story of one event stands by itself.
    fn line(self, level: &str, fields: Fields) -> String {
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        match self {
            Self::Logfmt => logfmt::line(&time, level, &fields),
            Self::Json => {
                let mut object = Map::new();
                object.insert("time".into(), time.into());
                object.insert("level".into(), level.into());
                object.insert("msg".into(), fields.message.into());
                object.extend(fields.rest.into_iter().map(|(name, value)| (name.to_owned(), value)));
                format!("{}\n", Value::Object(object))
            }
            Self::Story => {
                let mut line = String::new();
                // Writing to a String cannot fail.
                let _ = Story::default().write(&mut line, &time, &fields);
                line
            }
        }
    }
}

struct Lines {
    format: LogFormat,
    /// What was told already, where a story is told.
    story: Mutex<Story>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        owners::add(&mut fields, context.event_scope());
        let level = event.metadata().level().as_str();
        match self.format {
            LogFormat::Logfmt | LogFormat::Json => writer.write_str(&self.format.line(level, fields)),
            LogFormat::Story => {
                let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
                let mut story = self.story.lock().unwrap_or_else(PoisonError::into_inner);
                story.write(&mut writer, &time, &fields)
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
