//! What a bench that runs itself as several processes needs of the machine.

use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// This bench as another process, with these words.
pub(crate) fn itself(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("Linux tells it"));
    command.args(words);
    command
}

/// The monotonic clock, which all processes share, in nanoseconds.
pub(crate) fn clock() -> i128 {
    let now = clock_gettime(ClockId::Monotonic);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

/// Raises the limit on open files as far as it goes.
pub(crate) fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the hard limit it may");
}
