//! Nothing outlives the test process, not even one that was killed.

use std::path::Path;
use std::process::{Command, Stdio, abort};
use std::time::Duration;
use std::{env, fs, thread};

use super::spawn;
use crate::lab::place::{PrivateDir, sweep_leftovers};
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
            .any(|entry| entry.file_name().to_string_lossy().contains(&format!("-{pid}-")))
    };
    assert!(left());
    sweep_leftovers();
    assert!(!left());
}
