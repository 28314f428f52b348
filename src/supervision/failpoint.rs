//! Failpoints: in a debug build, `MYSQL_CANARY_FAILPOINT=LOOP:MODE:MILLISECONDS` breaks one loop once, so many
//! milliseconds after the start. A release build knows none of this: the variable is not read there.

use std::time::Duration;

use crate::domain::conduct::health::Loop;

/// How a loop is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One of its rounds panics.
    Round,
    /// The loop panics outside of any round.
    Panic,
    /// The loop returns.
    Return,
    /// The loop is never polled again, or its thread stands still.
    Hang,
}

#[cfg(not(debug_assertions))]
mod built {
    use super::{Duration, Loop, Mode};

    /// Whether this loop is to be broken now, in this way.
    #[inline]
    pub fn is_due(_: Loop, _: Mode) -> bool {
        false
    }

    /// A loop, as it is.
    pub(in crate::supervision) fn around<F: Future<Output = ()>>(_: Loop, body: F) -> F {
        body
    }

    /// A duration, as it is.
    pub(in crate::supervision) fn at_most(duration: Duration, _: Duration) -> Duration {
        duration
    }
}

#[cfg(debug_assertions)]
mod built {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::time::{Instant, sleep_until};

    use super::{Duration, Loop, Mode};

    struct Failpoint {
        name: Loop,
        mode: Mode,
        at: Instant,
        struck: AtomicBool,
    }

    fn failpoint() -> Option<&'static Failpoint> {
        static FAILPOINT: OnceLock<Option<Failpoint>> = OnceLock::new();
        FAILPOINT.get_or_init(|| parse(&std::env::var("MYSQL_CANARY_FAILPOINT").ok()?)).as_ref()
    }

    fn parse(words: &str) -> Option<Failpoint> {
        let mut words = words.split(':');
        let (name, mode, after) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        let mode = match mode {
            "round" => Mode::Round,
            "panic" => Mode::Panic,
            "return" => Mode::Return,
            "hang" => Mode::Hang,
            _ => return None,
        };
        Some(Failpoint {
            name: Loop::ALL.into_iter().find(|known| known.label() == name)?,
            mode,
            at: Instant::now() + Duration::from_millis(after),
            struck: AtomicBool::new(false),
        })
    }

    /// Whether this loop is to be broken now, in this way. Says so once; of one that hangs, for ever.
    pub fn is_due(name: Loop, mode: Mode) -> bool {
        failpoint().is_some_and(|point| {
            let is_meant = point.name == name && point.mode == mode && Instant::now() >= point.at;
            is_meant && (mode == Mode::Hang || !point.struck.swap(true, Ordering::Relaxed))
        })
    }

    /// A loop that panics, returns or hangs when its failpoint is due.
    pub(in crate::supervision) async fn around(name: Loop, body: impl Future<Output = ()>) {
        let Some(point) = failpoint().filter(|point| point.name == name && point.mode != Mode::Round) else {
            return body.await;
        };
        tokio::pin!(body);
        tokio::select! {
            biased;
            () = sleep_until(point.at) => match point.mode {
                Mode::Panic => panic!("a failpoint in the loop {}", name.label()),
                Mode::Hang => std::future::pending().await,
                Mode::Return | Mode::Round => {}
            },
            () = &mut body => {}
        }
    }

    /// A duration; where a loop is to be broken, `short` at most: no test waits for minutes.
    pub(in crate::supervision) fn at_most(duration: Duration, short: Duration) -> Duration {
        if failpoint().is_some() { duration.min(short) } else { duration }
    }
}

pub use built::is_due;
pub(super) use built::{around, at_most};
