//! Nothing outlives the test process, not even one that was killed.

use std::path::Path;
use std::process::{self, Command, Stdio, abort};
use std::time::Duration;
use std::{env, fs, thread};

use super::spawn;
use crate::lab::place::{PrivateDir, leftovers, read_start, sweep_leftovers, unique_name};
use crate::lab::{Firewall, FirewallOptions, LongWire, MySql97, MySql97Options, wait_for};
use crate::parts::observe;

#[test]
fn parts_die_with_a_killed_test_process_and_the_next_run_sweeps_up() {
    const PIDS: &str = "CANARY_LAB_PIDS";
    if let Some(file) = env::var_os(PIDS) {
        // The process to be killed: starts one part of every sort, writes down their process ids and dies
        // without unwinding.
        let firewall = Firewall::start(FirewallOptions {
            long_wire: Some(LongWire::default()),
            ..FirewallOptions::default()
        });
        let mysql = MySql97::start(MySql97Options::default());
        let application = observe(&firewall.client_around(), firewall.addr(), &["watch", "60"]);
        fs::write(&file, format!("{} {} {}", firewall.server().pid(), mysql.pid(), application.pid()))
            .expect("the file is writable");
        abort();
    }
    let dir = PrivateDir::new();
    let file = dir.path().join("pids");
    let own_name = thread::current().name().expect("libtest names its threads").to_owned();
    let mut doomed = Command::new(env::current_exe().expect("the test program has a path"));
    // In a thread of its own, as always: with one test thread libtest would use the main one.
    doomed.args(["--exact", &own_name, "--test-threads=2"]).env(PIDS, &file);
    doomed.stdout(Stdio::null()).stderr(Stdio::null());
    let mut doomed = spawn(doomed).expect("the test program starts again");
    let pid = doomed.id();
    assert!(!doomed.wait().expect("it ends").success());
    let pids = fs::read_to_string(&file).expect("it got as far as writing its pids");
    assert_eq!(pids.split(' ').count(), 3);
    for pid in pids.split(' ') {
        wait_for("a part to die with its test process", Duration::from_secs(10), || {
            (!Path::new("/proc").join(pid).exists()).then_some(())
        });
    }
    let left = || {
        let names = fs::read_dir("/run/netns").expect("namespaces have a directory");
        names
            .filter_map(Result::ok)
            .any(|entry| entry.file_name().to_string_lossy().contains(&format!("-{pid}.")))
    };
    assert!(left());
    sweep_leftovers();
    assert!(!left());
}

#[test]
fn a_name_is_swept_when_its_process_is_dead_though_another_has_its_id() {
    let dir = PrivateDir::new();
    let own = unique_name();
    let pid = process::id();
    let before = format!("canary-lab-{pid}.1-0");
    let nobody = format!("canary-lab-{}.1-0-client", u32::MAX);
    for name in [&*own, &*before, &*nobody, "canary-lab-notes", "another"] {
        fs::create_dir(dir.path().join(name)).expect("the directory is ours");
    }
    let mut swept = leftovers(dir.path());
    swept.sort();
    let mut dead = [before, nobody];
    dead.sort();
    assert_eq!(swept, dead);
    // Server, namespace and socket have room after it: a socket's whole path may not pass 107 bytes.
    assert!(own.len() < 50, "{own}");
}

#[test]
fn a_start_time_is_read_past_any_name() {
    let fields: Vec<String> = (4..=52).map(|field| field.to_string()).collect();
    for name in ["cat", "a b", "x) S 1 2", ")"] {
        let stat = format!("7 ({name}) S {}\n", fields.join(" "));
        assert_eq!(read_start(&stat), Some(22), "{stat}");
    }
    assert_eq!(read_start(""), None);
}
