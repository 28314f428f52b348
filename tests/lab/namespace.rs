//! A network namespace with a name of its own, gone when dropped.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::place::unique_name;
use super::process::run;

/// A network namespace. Dropping it removes it, once the processes inside are gone.
#[derive(Debug)]
pub(crate) struct Namespace(String);

impl Namespace {
    /// Makes one whose loopback is up; panics loudly where that is not allowed.
    pub(crate) fn new(role: &str) -> Self {
        let name = format!("{}-{role}", unique_name());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        let made = made.unwrap_or_else(|error| {
            panic!("ip does not run ({error}): run script/install-test-parts as root")
        });
        assert!(
            made.status.success(),
            "NETWORK NAMESPACES CANNOT BE MADE HERE: {}\
             The firewall tests need them: run the tests as root, in a container with --privileged.",
            String::from_utf8_lossy(&made.stderr)
        );
        let namespace = Self(name);
        namespace.ip("link set lo up");
        namespace
    }

    /// Its name, as `ip netns exec` takes it.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// The words that run a program inside.
    pub(crate) fn around(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.0]
    }

    /// Runs one `ip` command inside.
    #[track_caller]
    pub(crate) fn ip(&self, arguments: &str) {
        run(Command::new("ip").args(["-n", &self.0]).args(arguments.split(' ')));
    }

    /// Sets a kernel parameter below `/proc/sys/net` inside.
    #[track_caller]
    pub(crate) fn set(&self, parameter: &str, value: u32) {
        let file = Path::new("/proc/sys/net").join(parameter);
        self.enter(|| fs::write(&file, value.to_string())).unwrap_or_else(|error| {
            panic!("failed to set {} to {value} in {}: {error}", file.display(), self.0)
        });
    }

    /// Runs `work` in a thread inside; the sockets it makes stay there.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let file = File::open(Path::new("/run/netns").join(&self.0)).expect("the namespace exists");
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("root may enter a namespace");
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).output();
    }
}
