//! Faults of the exporter's own: a loop that panics, ends or stands still, a driver that panics, a log that
//! nobody reads, a signal that was meant for others. It recovers or ends; it is never green and blind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use mysql_canary_exporter::domain::conduct::health::Loop;
use rustix::process::Signal;

use crate::exporter::{Exporter, Launch, wait_until_gone};
use crate::lab::place::PrivateDir;
use crate::lab::{MariaDb, MariaDbOptions, Peer, Scene, Server, wait_for};

mod driver;
#[cfg(debug_assertions)]
mod failpoints;
mod log_reader;

/// How long a recovery or an end may take.
const SOON: Duration = Duration::from_secs(5);

/// What the page of readiness says: nothing where it is ready.
fn unready(exporter: &Exporter<'_>) -> Option<String> {
    let response = exporter.get("/-/ready");
    match response.status {
        200 => None,
        503 => Some(response.body),
        other => panic!("readiness has the status {other}"),
    }
}

fn wait_until_ready(exporter: &Exporter<'_>) {
    wait_for("readiness", Duration::from_secs(20), || unready(exporter).is_none().then_some(()));
}

#[test]
fn nothing_is_ready_before_a_login_has_succeeded_or_failed() {
    let peer = Peer::start(Scene::stay_silent);
    let exporter = Launch::at(&peer.addr().to_string()).args(&["--canary.probe-timeout=3s"]).start();
    let reason = unready(&exporter).expect("no login was answered yet");
    assert_eq!(reason, "Not ready.\npath default/default: no login has succeeded or failed yet\n");
    assert_eq!(exporter.get("/-/healthy").status, 200, "it lives all the same");
    exporter.wait_for_events("connect_failed", 1, Duration::from_secs(20));
    wait_until_ready(&exporter);
}

#[test]
fn a_stray_signal_ends_nobody() {
    let server = MariaDb::start(MariaDbOptions::default());
    let before = server.status("Aborted_clients");
    let mut exporter = Launch::on(&server).ages("60s,120s").start();
    exporter.wait_for_metrics("held canaries", Duration::from_secs(20), |page| {
        page.sum("connections", &[]) >= 2.0
    });
    let strays = [
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::PROF, "SIGPROF"),
        (Signal::IO, "SIGIO"),
        (Signal::POWER, "SIGPWR"),
        (Signal::STKFLT, "SIGSTKFLT"),
    ];
    for (number, (signal, name)) in strays.into_iter().enumerate() {
        exporter.signal(signal);
        let told = exporter.wait_for_events("signal_ignored", number + 1, Duration::from_secs(10));
        assert_eq!(told[number]["signal"], name, "{told:?}");
    }
    let lives = exporter.metrics().sum("lives_total", &[]);
    exporter.signal(Signal::HUP);
    exporter.wait_for_events("config_reloaded", 1, Duration::from_secs(10));
    let page = exporter.metrics();
    assert!(page.sum("connections", &[]) >= 2.0, "a reload that changes nothing leaves the canaries alone");
    assert!(page.sum("lives_total", &[]) >= lives && page.sum("voided_total", &[]) == 0.0);
    assert_eq!(unready(&exporter), None);
    exporter.signal(Signal::QUIT);
    let status = exporter.wait_for_end(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0), "SIGQUIT is the word to stop: {}", exporter.log());
    wait_until_gone(&server);
    assert_eq!(server.status("Aborted_clients"), before, "{}", exporter.log());
}

/// A stopped process, as a frozen container is, sends no probe: its sessions end by the `wait_timeout` that they set
/// themselves, and nobody is to blame.
#[test]
fn what_happens_while_the_process_is_stopped_is_blamed_on_nobody() {
    let server = MariaDb::start(MariaDbOptions::default());
    let exporter = Launch::on(&server).ages("1s,2s").args(&["--canary.probe-timeout=1s"]).start();
    exporter.wait_for_metrics("lives", Duration::from_secs(20), |page| page.sum("lives_total", &[]) >= 2.0);
    exporter.signal(Signal::STOP);
    // Beyond the longest age, two timeouts and five seconds.
    std::thread::sleep(Duration::from_secs(13));
    exporter.signal(Signal::CONT);
    let lives = exporter.wait_for_metrics("voids", Duration::from_secs(20), |page| {
        // An outage where the login that was under way in the meantime came to nothing.
        page.sum("voided_total", &[]) >= 1.0
    });
    exporter.wait_for_metrics("lives after it", Duration::from_secs(20), |page| {
        page.sum("lives_total", &[]) >= lives.sum("lives_total", &[]) + 2.0
    });
    assert_eq!(exporter.events("stood_still").len(), 1, "{}", exporter.log());
    assert_eq!(exporter.metrics().sum("deaths_total", &[]), 0.0, "{}", exporter.log());
}

/// `LimitFSIZE=` or `ulimit -f`: a write beyond it is SIGXFSZ, which ends a process that does not mind it.
#[test]
fn a_limit_on_the_size_of_files_costs_log_lines_and_the_state_file_and_no_session() {
    let server = MariaDb::start(MariaDbOptions::default());
    let before = server.status("Aborted_clients");
    let dir = PrivateDir::new();
    let mut exporter = Launch::on(&server)
        .ages("1s,60s")
        .args(&[&format!("--state.file={}", dir.path().join("state.json").display())])
        .start();
    exporter.wait_for_metrics("lives", Duration::from_secs(20), |page| page.sum("lives_total", &[]) >= 1.0);
    let limited = Command::new("prlimit")
        .args([&format!("--pid={}", exporter.pid()), "--fsize=100:100"])
        .status()
        .expect("prlimit can be run");
    assert!(limited.success());
    exporter.wait_for_metrics("lives, and writes that failed", Duration::from_secs(20), |page| {
        page.sum("lives_total", &[]) >= 1.0
            && page.sum("log_lines_dropped_total", &[]) >= 1.0
            && page.sum("failed_rounds_total", &[("loop", "state")]) >= 1.0
    });
    exporter.signal(Signal::XCPU);
    let status = exporter.wait_for_end(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0), "SIGXCPU is the word to stop");
    wait_until_gone(&server);
    assert_eq!(server.status("Aborted_clients"), before);
}

/// A limit on threads counts those of a user, and root has none: another user, with a copy that it may run.
#[test]
fn too_few_threads_are_told_at_the_start_and_never_a_process_that_hangs() {
    let dir = PrivateDir::new();
    let copy = dir.path().join("exporter");
    fs::copy(env!("CARGO_BIN_EXE_mysql-canary-exporter"), &copy).expect("there is room for a copy");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    for threads in 3..5 {
        let output = Command::new("timeout")
            .args(["--kill-after=1", "10", "setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"])
            .args(["prlimit", &format!("--nproc={threads}")])
            .arg(&copy)
            .args(["--mysql.username=canary", "--web.listen-address=127.0.0.1:0"])
            .output()
            .expect("it can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{threads}: {said}");
        assert!(
            said.contains("cannot start the runtime: no room for") && said.contains("TasksMax="),
            "{said}"
        );
    }
}

#[test]
fn a_second_sigterm_is_obeyed_at_once() {
    let server = MariaDb::start(MariaDbOptions::default());
    // On a busy machine the sessions' half second may be over before the second one comes.
    let obeyed = (0..5).any(|_| is_second_sigterm_obeyed(&server));
    assert!(obeyed, "the second SIGTERM never came in time");
}

/// Whether the second one came while sessions still waited; it was obeyed then.
fn is_second_sigterm_obeyed(server: &Server) -> bool {
    let mut exporter = Launch::on(server).ages("60s,120s").start();
    exporter.wait_for_metrics("held canaries", Duration::from_secs(20), |page| {
        page.sum("connections", &[]) >= 2.0
    });
    // COM_QUIT would be waited for until the bound.
    server.sigstop();
    exporter.signal(Signal::TERM);
    // At once it is an echo of the first, and does nothing.
    exporter.signal(Signal::INT);
    exporter.wait_for_events("stopping", 1, Duration::from_secs(10));
    std::thread::sleep(Duration::from_millis(220));
    assert!(exporter.events("ended_at_once").is_empty(), "{}", exporter.log());
    exporter.signal(Signal::TERM);
    let status = exporter.wait_for_end(Duration::from_secs(10));
    server.sigcont();
    let obeyed = exporter.events("ended_at_once").len() == 1;
    assert_eq!(status.code(), Some(i32::from(obeyed)), "{}", exporter.log());
    obeyed
}
