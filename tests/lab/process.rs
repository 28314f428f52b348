//! Daemons that end with their owner: killed when dropped, and killed by the kernel when the test process
//! dies.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;
use std::{io, thread};

use rustix::process::{Pid, Signal, kill_process};

use super::place::free_port;
use super::wait_for;

/// A command that kills itself when the test process dies.
///
/// `around` are words put before it: `ip netns exec …`, `chroot …`. They must `exec`, so that the daemon
/// keeps its process id; `setpriv` comes last, because a change of user clears the death signal.
pub(crate) fn bound_command(around: &[&str], program: &str) -> Command {
    let words: Vec<&str> =
        around.iter().copied().chain(["setpriv", "--pdeathsig", "KILL", program]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

/// Starts a command from a thread that lives as long as the process: the death signal follows the *thread*
/// that spawned.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, inbox) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                // The asker may have panicked meanwhile; then its child ends here.
                if let Err(mpsc::SendError(Ok(mut child))) = reply.send(command.spawn()) {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        });
        jobs
    });
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).expect("the spawning thread never ends");
    answer.recv().expect("the spawning thread never ends")
}

/// A running daemon with its output in a file.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` (made by [`bound_command`]) with its output in `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let file =
            File::create(log).unwrap_or_else(|error| panic!("failed to make {}: {error}", log.display()));
        let copy = file.try_clone().expect("a file can be cloned");
        command.stdin(Stdio::null()).stdout(copy).stderr(file);
        let what = format!("{command:?}");
        let child = spawn(command).unwrap_or_else(|error| panic!("failed to start {what}: {error}"));
        Self { child, log: log.to_owned() }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it has printed so far.
    pub(crate) fn output(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits until it prints `sign`; an error carries all it printed when it ended instead.
    pub(crate) fn wait_for_output(&mut self, sign: &str) -> Result<(), String> {
        // Many servers may start at once on a small machine.
        wait_for(&format!("{sign:?} in {}", self.log.display()), Duration::from_secs(90), || {
            // Its end is looked at first: what it printed last is then complete.
            let ended = self.has_ended();
            if self.output().contains(sign) {
                return Some(Ok(()));
            }
            ended.then(|| Err(self.output()))
        })
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id is a positive i32");
        kill_process(pid, signal).expect("a child that was not waited for can be signalled");
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn wait_for_end(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of process {}", self.pid());
        wait_for(&what, limit, || self.child.try_wait().expect("a child can be waited for"))
    }

    /// Asks it to end with SIGTERM and waits until it has.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let what = format!("the end of process {} after SIGTERM", self.pid());
        wait_for(&what, Duration::from_secs(60), || self.child.try_wait().expect("a child can be waited for"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a daemon on a free port of 127.0.0.1, on another one when somebody took the first meanwhile.
///
/// `start` returns once the daemon listens, or what it printed when it ended instead.
#[track_caller]
pub(crate) fn on_free_port(mut start: impl FnMut(u16) -> Result<Daemon, String>) -> (u16, Daemon) {
    for _ in 0..5 {
        let port = free_port();
        match start(port) {
            Ok(daemon) => return (port, daemon),
            Err(output) if output.to_lowercase().contains("address already in use") => {}
            Err(output) => panic!("a part of the lab did not start: {output}"),
        }
    }
    panic!("five ports in a row were taken between finding and using them")
}

/// Runs a short command to its end; panics with all it printed when it fails.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("failed to run {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed ({}): {}{}",
        output.status.signal().map_or_else(|| output.status.to_string(), |signal| format!("signal {signal}")),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(test)]
mod tests;
