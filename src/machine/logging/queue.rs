//! The way of a log line to its stream: a bounded queue and a thread of its own. Whoever logs never waits. A
//! stream that takes nothing (a full pipe, a reader that is gone, a full disk) costs lines, which are counted.
//!
//! `tracing-appender` does the like; a bound in bytes, a stream that says "not now", a torn line and the thread's
//! end as an event would have been ours to add.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::domain::conduct::health::Loop;
use crate::supervision::{Mode, is_due};

/// How many lines may wait.
const MOST_LINES: usize = 2048;
/// How many bytes they may have together.
const MOST_BYTES: usize = 1 << 20;
/// How long to wait for a stream that says "not now".
const NOT_NOW: Duration = Duration::from_millis(20);

/// Lines that were dropped in this process, which has one log.
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// The queue of this process's log, once it has begun.
static LOG: OnceLock<Queue> = OnceLock::new();

/// How many log lines were dropped since the process started.
pub fn lines_dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Waits until every line is written, for so long at most. No line after this one is.
pub fn flush(patience: Duration) {
    if let Some(queue) = LOG.get() {
        queue.close(patience);
    }
}

/// The queue's near end: takes lines, and never waits for the stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    closing: bool,
    done: bool,
}

/// The thread that writes, and what ends it.
#[derive(Debug)]
pub struct LogWriter {
    queue: Queue,
    thread: JoinHandle<()>,
    ended: Option<oneshot::Receiver<()>>,
}

impl Queue {
    /// Takes a line, or drops and counts it where there is no room.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.done || state.lines.len() >= MOST_LINES || state.bytes + line.len() > MOST_BYTES {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line.to_vec());
        drop(state);
        self.0.changed.notify_all();
    }

    /// Starts the thread that writes to `stream`. `lost` makes the line that tells how many were dropped.
    pub(super) fn start(
        self,
        stream: impl Write + Send + 'static,
        lost: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<LogWriter> {
        let (say_ended, ended) = oneshot::channel();
        let queue = self.clone();
        // Before the thread begins, which may be late.
        let told = lines_dropped();
        let body = move || {
            // Dropped however the thread ends.
            let _say_ended = say_ended;
            let _done = Done(&queue.0);
            queue.write(stream, lost, told);
        };
        let thread = thread::Builder::new().name("log".to_owned()).spawn(body)?;
        Ok(LogWriter { queue: self, thread, ended: Some(ended) })
    }

    fn write(&self, stream: impl Write, lost: impl Fn(u64) -> String, mut told: u64) {
        let mut stream = Stream { to: stream, torn: false };
        while let Some(line) = self.next() {
            if is_due(Loop::Log, Mode::Return) {
                return;
            }
            assert!(!is_due(Loop::Log, Mode::Panic), "a failpoint in the log's thread");
            if stream.write(&line).is_err() {
                DROPPED.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let dropped = lines_dropped();
            // Told once the queue is empty: a stream that is too slow has no room for such a line either.
            if dropped > told
                && self.lock().lines.is_empty()
                && stream.write(lost(dropped - told).as_bytes()).is_ok()
            {
                told = dropped;
            }
        }
    }

    /// The next line; none once the queue is closed and empty.
    fn next(&self) -> Option<Vec<u8>> {
        let state = self.lock();
        let mut state = self
            .0
            .changed
            .wait_while(state, |state| state.lines.is_empty() && !state.closing)
            .unwrap_or_else(PoisonError::into_inner);
        let line = state.lines.pop_front()?;
        state.bytes -= line.len();
        Some(line)
    }

    /// Has what waits written, for so long at most; whether it was.
    fn close(&self, patience: Duration) -> bool {
        let mut state = self.lock();
        state.closing = true;
        self.0.changed.notify_all();
        let waited = self.0.changed.wait_timeout_while(state, patience, |state| !state.done);
        waited.unwrap_or_else(PoisonError::into_inner).0.done
    }

    /// Makes this the log of the process, where it has none yet.
    pub(super) fn become_the_log(&self) {
        let _ = LOG.set(self.clone());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogWriter {
    /// Waits until the thread ends, which it must not before [`Self::finish`].
    pub fn ended(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let ended = self.ended.take();
        async move {
            match ended {
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        }
    }

    /// Writes what still waits, for so long at most.
    pub fn finish(self, patience: Duration) {
        if self.queue.close(patience) {
            // It has nothing left to do. Its panic was told.
            let _ = self.thread.join();
        }
    }
}

/// Says that the thread takes no more lines.
struct Done<'a>(&'a Shared);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).done = true;
        self.0.changed.notify_all();
    }
}

/// A stream that may take a part of a line, or nothing for now.
struct Stream<W> {
    to: W,
    /// A line broke off in its middle: the next one begins on a line of its own.
    torn: bool,
}

impl<W: Write> Stream<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.write_whole(b"\n")?;
            self.torn = false;
        }
        self.write_whole(line)?;
        self.to.flush()
    }

    fn write_whole(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let whole = bytes.len();
        while !bytes.is_empty() {
            match self.to.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody has made it non-blocking, and its reader is slow.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(NOT_NOW),
                Err(error) => {
                    self.torn |= bytes.len() < whole;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// A line's writer for the subscriber, which writes each event at once.
pub(super) struct Enqueue(pub(super) Queue);

impl Write for Enqueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A stream whose every write is answered by the test: how many bytes it takes, or why none.
    struct Scripted {
        answers: mpsc::Receiver<io::Result<usize>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The end of the script: it takes all.
            let count = self.answers.recv().unwrap_or(Ok(usize::MAX))?.min(bytes.len());
            self.taken.lock().expect("no test panics there").extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stream_that_takes_nothing_costs_lines_and_no_time() {
        let (answer, answers) = mpsc::channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let queue = Queue::default();
        let before = lines_dropped();
        let stream = Scripted { answers, taken: Arc::clone(&taken) };
        let writer = queue.clone().start(stream, |count| format!("{count} lost\n")).expect("a thread");
        let lines: u64 = 3 * MOST_LINES as u64;
        for number in 0..lines {
            queue.push(format!("line {number}\n").as_bytes());
        }
        let dropped = lines_dropped() - before;
        // One more may be in the thread's hands.
        let room = MOST_LINES as u64;
        assert!((lines - room - 1..=lines - room).contains(&dropped), "{dropped} of {lines}");
        queue.push(&vec![b'x'; MOST_BYTES + 1]);
        // Line 0: not now, then half of it, then the disk is full. Line 1: all of it, on a line of its own.
        for step in [Err(io::ErrorKind::WouldBlock.into()), Ok(3), Err(io::ErrorKind::StorageFull.into())] {
            answer.send(step).expect("the thread listens");
        }
        drop(answer);
        writer.finish(Duration::from_secs(20));
        let taken = String::from_utf8(taken.lock().expect("free").clone()).expect("text");
        assert!(taken.starts_with("lin\nline 1\nline 2\n"), "{}", &taken[..40]);
        let lost = lines_dropped() - before;
        assert!(taken.ends_with(&format!("\n{lost} lost\n")), "{lost}: {}", &taken[taken.len() - 40..]);
        assert_eq!(taken.lines().filter(|line| line.starts_with("line ")).count() as u64, lines + 1 - lost);
    }

    #[test]
    fn a_stream_that_never_comes_back_does_not_hold_the_end_up() {
        let (answer, answers) = mpsc::channel();
        let queue = Queue::default();
        let stream = Scripted { answers, taken: Arc::default() };
        let writer = queue.clone().start(stream, |_| String::new()).expect("a thread");
        queue.push(b"never written\n");
        writer.finish(Duration::from_millis(50));
        drop(answer);
    }
}
