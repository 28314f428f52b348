//! Where parts live: the installed ones, the private directory of each started one, and free ports.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

/// Every name of a running part starts so: leftovers of a killed test process are found by it.
const PREFIX: &str = "canary-lab";

/// Below the range the kernel takes outgoing ports from, so that a port stays free while its server restarts.
const PORTS: std::ops::Range<u32> = 15_000..32_000;

/// The directory `script/install-test-parts` filled; panics with what to do when `name` is not in it.
pub(crate) fn installed(name: &str) -> PathBuf {
    let part = parts().join(name);
    assert!(
        part.exists(),
        "THE TEST PARTS ARE NOT INSTALLED: {} is missing. \
         Run script/install-test-parts as root, then run the tests again as root.",
        part.display()
    );
    part
}

fn parts() -> PathBuf {
    env::var_os("MYSQL_CANARY_PARTS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/parts"), PathBuf::from)
}

/// A name no other test, thread or process uses, and from which a later run can tell that its owner is dead.
pub(crate) fn unique_name() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    static SWEPT: Once = Once::new();
    SWEPT.call_once(sweep_leftovers);
    let pid = process::id();
    let start = start_of(pid).expect("the own process has a start time");
    format!("{PREFIX}-{pid}.{start}-{}", COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// A private directory, removed with everything in it when dropped.
#[derive(Debug)]
pub(crate) struct PrivateDir(PathBuf);

impl PrivateDir {
    /// A new directory in the system's temporary directory.
    pub(crate) fn new() -> Self {
        Self::inside(&env::temp_dir())
    }

    /// A new directory inside `parent`.
    pub(crate) fn inside(parent: &Path) -> Self {
        let path = parent.join(unique_name());
        fs::create_dir(&path).unwrap_or_else(|error| panic!("failed to make {}: {error}", path.display()));
        Self(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // A daemon killed a moment ago may still have been writing: what remains is swept by the next run.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A port of 127.0.0.1 nobody listens on. Somebody may take it before its server does: the server then tries
/// another.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let size = PORTS.end - PORTS.start;
    // Test processes that run side by side start looking at different places.
    let offset = process::id().wrapping_mul(211);
    (0..size)
        .filter_map(|_| {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            u16::try_from(PORTS.start + offset.wrapping_add(step) % size).ok()
        })
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of 17,000 ports is free")
}

/// Removes what killed test processes left: directories and network namespaces.
pub(crate) fn sweep_leftovers() {
    for parent in [env::temp_dir(), parts().join("mysql/srv")] {
        for name in leftovers(&parent) {
            let _ = fs::remove_dir_all(parent.join(name));
        }
    }
    for name in leftovers(Path::new("/run/netns")) {
        let _ = process::Command::new("ip").args(["netns", "delete", &name]).output();
    }
}

/// What in this directory belongs to a process that is dead. Process ids come again, in a fresh container the
/// same ones soon: a process is the same one if it began at the same time.
pub(super) fn leftovers(parent: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| owner(name).is_some_and(|(pid, start)| start_of(pid) != Some(start)))
        .collect()
}

/// The process id and the start time inside a [`unique_name`] (with or without a suffix).
fn owner(name: &str) -> Option<(u32, u64)> {
    let owner = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split('-').next()?;
    let (pid, start) = owner.split_once('.')?;
    Some((pid.parse().ok()?, start.parse().ok()?))
}

/// When a process began, in ticks of the kernel since it booted; `None` where there is no such process.
fn start_of(pid: u32) -> Option<u64> {
    read_start(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of `/proc/PID/stat`. Field 2, the program's name, stands in parentheses and may hold anything.
pub(super) fn read_start(stat: &str) -> Option<u64> {
    let (_, from_field_3) = stat.rsplit_once(") ")?;
    from_field_3.split(' ').nth(22 - 3)?.parse().ok()
}
