//! Python programs of the tests, with PyMySQL and SQLAlchemy: each prints one JSON object a line, `{"event":
//! "…", …}`.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::place::installed;
use super::process::{bound_command, spawn};

/// How long an event may take unless the test says otherwise: more than any sleep of a test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running Python program. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Python {
    child: Child,
    input: Option<ChildStdin>,
    lines: Mutex<Receiver<String>>,
    complaints: Option<JoinHandle<String>>,
    program: String,
}

impl Python {
    /// Starts `program`, a path in the repository, in the environment of the test parts.
    ///
    /// `around` are words before it, such as [`Firewall::client_around`](super::Firewall::client_around).
    pub(crate) fn start(around: &[&str], program: &str, arguments: &[&str]) -> Self {
        let python = installed("venv").join("bin/python");
        let mut command =
            bound_command(around, python.to_str().expect("the path of the repository is UTF-8"));
        command
            .args(["-u", "-B"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(program))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn(command).unwrap_or_else(|error| panic!("failed to start Python: {error}"));
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut errors = child.stderr.take().expect("its errors are piped");
        let complaints = thread::spawn(move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            text
        });
        Self {
            input: child.stdin.take(),
            child,
            lines: Mutex::new(lines),
            complaints: Some(complaints),
            program: program.to_owned(),
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next event called `name`; other events before it are passed over.
    #[track_caller]
    pub(crate) fn event(&mut self, name: &str) -> Value {
        self.event_within(name, PATIENCE)
            .unwrap_or_else(|| panic!("{} printed no {name:?} within {PATIENCE:?}", self.program))
    }

    /// As [`Python::event`], but `None` when `limit` has passed.
    #[track_caller]
    pub(crate) fn event_within(&mut self, name: &str, limit: Duration) -> Option<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let event = self.next_within(deadline.saturating_duration_since(Instant::now()))?;
            if event["event"] == name {
                return Some(event);
            }
        }
    }

    /// Waits for `count` events called `name`; all events up to the last of them.
    #[track_caller]
    pub(crate) fn events_until(&mut self, name: &str, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        let mut events = Vec::new();
        while events.iter().filter(|event: &&Value| event["event"] == name).count() < count {
            match self.next_within(deadline.saturating_duration_since(Instant::now())) {
                Some(event) => events.push(event),
                None => panic!("{} printed too few {name:?} within {PATIENCE:?}: {events:?}", self.program),
            }
        }
        events
    }

    /// Waits for its end; all events not yet taken. Panics when it fails.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        let mut events = Vec::new();
        while let Ok(line) = self.line(deadline.saturating_duration_since(Instant::now())) {
            events.push(parse(&line));
        }
        let status = self.child.try_wait().ok().flatten().or_else(|| {
            thread::sleep(Duration::from_secs(1));
            self.child.try_wait().ok().flatten()
        });
        match status {
            Some(status) if status.success() => events,
            _ => self.give_up(&format!("did not end well ({status:?}) after {events:?}")),
        }
    }

    /// Writes a line to its input.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").expect("the program reads its input");
    }

    fn line(&mut self, limit: Duration) -> Result<String, RecvTimeoutError> {
        self.lines.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(limit)
    }

    /// The next event, whatever it is; `None` when `limit` has passed.
    #[track_caller]
    pub(crate) fn next_within(&mut self, limit: Duration) -> Option<Value> {
        match self.line(limit) {
            Ok(line) => Some(parse(&line)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => self.give_up("ended"),
        }
    }

    #[track_caller]
    fn give_up(&mut self, what: &str) -> ! {
        let _ = self.child.kill();
        let errors = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        panic!("{} {what}: {errors}", self.program);
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?} is not an event: {error}"))
}
