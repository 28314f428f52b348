//! The exporter's own restart: with a state file, what was known before is known after.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::exporter::{Exporter, Launch};
use crate::lab::place::PrivateDir;
use crate::lab::{MariaDb, MariaDbOptions, Server, wait_for};

fn launch<'a>(server: &Server, file: &Path) -> Exporter<'a> {
    let state = format!("--state.file={}", file.display());
    Launch::on(server).ages("1s,2s,4s,6s").args(&["--mysql.tls-mode=disabled", &state]).start()
}

fn bracket(exporter: &Exporter<'_>) -> Option<(f64, f64)> {
    let page = exporter.metrics();
    let lower = page.values("idle_limit_lower_seconds", &[("kind", "idle")]).first().copied()?;
    let upper = page.values("idle_limit_upper_seconds", &[("kind", "idle")]).first().copied()?;
    Some((lower, upper))
}

#[test]
fn a_known_limit_survives_fifty_kills_at_random_moments() {
    let server = MariaDb::start(MariaDbOptions::with_args(&["--wait-timeout=3"]));
    let dir = PrivateDir::new();
    let file = dir.path().join("state.json");
    let exporter = launch(&server, &file);
    exporter.wait_for_metrics("a limit", Duration::from_secs(30), |page| {
        !page.values("idle_limit_upper_seconds", &[("kind", "idle")]).is_empty()
    });
    let mut known = bracket(&exporter);
    // What the file does not have yet, at most two seconds' worth, a kill may cost.
    wait_for("the limit in the state file", Duration::from_secs(20), || {
        fs::read_to_string(&file).is_ok_and(|text| text.contains("died")).then_some(())
    });
    drop(exporter);
    for round in 0..50_u64 {
        let exporter = launch(&server, &file);
        let taken_up = bracket(&exporter);
        assert!(taken_up.is_some(), "round {round}: {known:?} was known before\n{}", exporter.log());
        let page = exporter.metrics();
        let evidence = page.one("idle_limit_evidence_timestamp_seconds", &[("kind", "idle")]);
        assert!(evidence > 1.7e9, "the evidence has a time");
        // Somewhere between the start and a few outcomes.
        std::thread::sleep(Duration::from_millis((round * 37) % 400));
        known = bracket(&exporter).or(known);
        exporter.signal(Signal::KILL);
    }
    let (_, upper) = known.expect("a limit is known");
    assert!((2.8..3.6).contains(&upper), "{upper}");
}

#[test]
fn nothing_is_counted_twice_and_a_clean_stop_loses_nothing() {
    let server = MariaDb::start(MariaDbOptions::with_args(&["--wait-timeout=3"]));
    let dir = PrivateDir::new();
    let file = dir.path().join("state.json");
    let mut exporter = launch(&server, &file);
    exporter.wait_for_events("death", 2, Duration::from_secs(30));
    let before = bracket(&exporter);
    assert!(exporter.terminate().0.success());
    let after = launch(&server, &file);
    assert_eq!(after.metrics().sum("deaths_total", &[]), 0.0, "counters start anew, as every exporter's");
    let (_, upper) = bracket(&after).expect("the limit is taken up");
    assert!((upper - before.expect("known before").1).abs() < 0.3);
}

#[test]
fn what_was_measured_against_another_server_is_dropped_and_told() {
    let impatient = MariaDb::start(MariaDbOptions::with_args(&["--wait-timeout=3"]));
    let patient = MariaDb::start(MariaDbOptions::default());
    let dir = PrivateDir::new();
    let file = dir.path().join("state.json");
    let mut exporter = launch(&impatient, &file);
    exporter.wait_for_metrics("a limit", Duration::from_secs(30), |page| {
        !page.values("idle_limit_upper_seconds", &[("kind", "idle")]).is_empty()
    });
    assert!(exporter.terminate().0.success());
    let text = fs::read_to_string(&file).expect("it was written");
    let against = format!("\"against\":\"{}\"", impatient.addr());
    assert!(text.contains(&against), "{text} has no {against}");

    let exporter = launch(&patient, &file);
    let told = exporter.wait_for_events("state_of_another_server", 1, Duration::from_secs(5)).remove(0);
    assert_eq!(told["level"], "WARN", "{told}");
    assert_eq!(told["measured_against"], impatient.addr().to_string(), "{told}");
    let page = exporter
        .wait_for_metrics("lives", Duration::from_secs(20), |page| page.sum("lives_total", &[]) >= 1.0);
    assert!(page.values("idle_limit_upper_seconds", &[]).is_empty(), "this server ends nobody");
    wait_for("the new server in the state file", Duration::from_secs(20), || {
        let (new, old) = (patient.addr().to_string(), impatient.addr().to_string());
        fs::read_to_string(&file).is_ok_and(|text| text.contains(&new) && !text.contains(&old)).then_some(())
    });
    drop(exporter);

    // Written before files said it: taken as it is.
    let older = "{\"version\":1,\"paths\":{\"default/default\":[{\"at\":1700000000.0,\"kind\":\"idle\",\"age\":25.0,\"fate\":\"lived\"}]}}";
    fs::write(&file, older).expect("writable");
    let exporter = launch(&patient, &file);
    assert!(exporter.events("state_of_another_server").is_empty(), "{}", exporter.log());
    assert_eq!(exporter.metrics().one("idle_limit_lower_seconds", &[("kind", "idle")]), 25.0);
}

#[test]
fn a_link_is_kept_and_nothing_is_written_through_the_locks() {
    let server = MariaDb::start(MariaDbOptions::default());
    let (dir, elsewhere) = (PrivateDir::new(), PrivateDir::new());
    let (link, real) = (dir.path().join("state.json"), elsewhere.path().join("real.json"));
    symlink(&real, &link).expect("writable");
    let mut exporter = launch(&server, &link);
    exporter.wait_for_metrics("lives", Duration::from_secs(20), |page| page.sum("lives_total", &[]) >= 1.0);
    assert!(exporter.terminate().0.success());
    assert_eq!(fs::read_link(&link).expect("it is still a link"), real);
    assert!(fs::read_to_string(&real).expect("written").starts_with("{\"version\":2"));
    let mode = fs::metadata(&real).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for the owner only");
    let count = fs::read_dir(elsewhere.path()).expect("readable").count();
    assert_eq!(count, 2, "the file and its lock, and nothing half-written");

    // What stands in the lock's place is not touched.
    let (precious, lock) = (dir.path().join("precious"), elsewhere.path().join("real.json.lock"));
    fs::write(&precious, "precious").expect("writable");
    fs::remove_file(&lock).expect("writable");
    symlink(&precious, &lock).expect("writable");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mysql-canary-exporter"));
    command.args(["--mysql.username=canary", "--web.listen-address=127.0.0.1:0"]);
    let output = command.arg(format!("--state.file={}", link.display())).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("--state.file: cannot write"), "{words}");
    assert_eq!(fs::read_to_string(&precious).expect("readable"), "precious");
}

#[test]
fn a_damaged_state_file_is_told_and_set_aside() {
    let server = MariaDb::start(MariaDbOptions::default());
    let whole = "{\"version\":1,\"paths\":{\"default/default\":[{\"at\":1700000000.0,\"kind\":\"idle\",\"age\":25.0,\"fate\":\"lived\"}]}}";
    let too_old = whole.replace("25.0", "1e300");
    for text in [&whole[..whole.len() / 2], "", "garbage \u{0}", "{\"version\":99,\"paths\":{}}", &too_old] {
        let dir = PrivateDir::new();
        let file = dir.path().join("state.json");
        fs::write(&file, text).expect("writable");
        let exporter = launch(&server, &file);
        let told = exporter.events("state_damaged");
        assert_eq!(told.len(), 1, "{}", exporter.log());
        let aside = fs::read_to_string(dir.path().join("state.json.damaged")).expect("it was set aside");
        assert_eq!(aside, text);
        exporter
            .wait_for_metrics("lives", Duration::from_secs(20), |page| page.sum("lives_total", &[]) >= 1.0);
        wait_for("the state file written anew", Duration::from_secs(10), || {
            fs::read_to_string(&file).is_ok_and(|text| text.starts_with("{\"version\":2")).then_some(())
        });
    }
}

#[test]
fn a_second_exporter_is_told_who_keeps_the_file() {
    let server = MariaDb::start(MariaDbOptions::default());
    let dir = PrivateDir::new();
    let file = dir.path().join("state.json");
    let exporter = launch(&server, &file);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mysql-canary-exporter"));
    command.args(["--mysql.username=canary", "--web.listen-address=127.0.0.1:0"]);
    let output = command.arg(format!("--state.file={}", file.display())).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let who = format!("another exporter keeps {} (process {} on ", file.display(), exporter.pid());
    assert!(words.contains(&who), "{words} does not say {who}");
}
