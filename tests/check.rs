//! `check`: the right verdict in time on every sort of path, as docs/check shows it; what it says where nothing can be
//! measured; and how it behaves on a terminal.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::exporter::wait_until_gone;
use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::place::PrivateDir;
use crate::lab::process::{bound_command, spawn};
use crate::lab::{
    Account, Firewall, FirewallOptions, HaProxy, LimitOnAge, MariaDb, MariaDbOptions, wait_for,
};
use crate::schema::Schema;

mod failures;
mod file;
mod terminal;

/// How the server is called in what is printed.
const NAME: &str = "db.example.org";
/// And its address.
const ADDRESS: &str = "db.example.org:3306";

/// A check that runs.
struct Check {
    child: Child,
    dir: PrivateDir,
    begun: Instant,
}

/// A check that has ended.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
    took: Duration,
}

impl Check {
    /// On an address, with these flags, started by the words `around`.
    fn start(around: &[&str], address: SocketAddr, password: &str, args: &[&str]) -> Self {
        let (address, name) = (format!("--mysql.address={address}"), format!("--target.name={NAME}"));
        let ours = [&address, "--mysql.username=canary", &name, "--mysql.tls-mode=disabled"];
        Self::with(around, Some(password), &[&ours, args].concat())
    }

    /// With these flags and no other, started by the words `around`.
    fn with(around: &[&str], password: Option<&str>, args: &[&str]) -> Self {
        let dir = PrivateDir::new();
        let mut command = bound_command(around, env!("CARGO_BIN_EXE_mysql-canary-exporter"));
        let file = |name: &str| File::create(dir.path().join(name)).expect("a file can be made");
        command
            .arg("check")
            .args(args)
            .env_remove("MYSQL_CANARY_PASSWORD")
            .envs(password.map(|password| ("MYSQL_CANARY_PASSWORD", password)))
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"));
        let child = spawn(command).expect("the program is there");
        Self { child, dir, begun: Instant::now() }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("it runs");
    }

    #[track_caller]
    fn end(mut self, limit: Duration) -> Done {
        let status = wait_for("the end of the check", limit, || self.child.try_wait().expect("a child"));
        let took = self.begun.elapsed();
        let read = |name: &str| fs::read_to_string(self.dir.path().join(name)).expect("UTF-8");
        Done { code: status.code(), out: read("out"), err: read("err"), took }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A text in which only what may differ from run to run is left out: numbers, where lines break, which deaths were
/// seen, and whether the server lists sessions of the dead just then.
fn gist(text: &str) -> String {
    let mut evidence = false;
    let lines = text.lines().filter(|line| !line.starts_with("  ! the server still lists ")).filter(|line| {
        evidence = line.starts_with("  evidence: ") || evidence && line.starts_with("            ");
        !evidence
    });
    let words = lines.flat_map(str::split_whitespace).map(|word| {
        let mut gist = String::new();
        for c in word.chars() {
            match c {
                '0'..='9' | '.' if gist.ends_with('#') => {}
                '0'..='9' => gist.push('#'),
                _ => gist.push(c),
            }
        }
        gist
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Compares with a file of docs/check; with `UPDATE_GOLDEN=1` writes it anew instead.
#[track_caller]
fn check_golden(name: &str, address: SocketAddr, out: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/check").join(name);
    let actual = out.replace(&address.to_string(), ADDRESS);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        assert!(std::env::var_os("CI").is_none(), "UPDATE_GOLDEN is for people: CI compares");
        fs::write(&file, actual).expect("the files can be written");
        return;
    }
    let golden = fs::read_to_string(&file).expect("the golden file is there");
    assert_eq!(
        gist(&actual),
        gist(&golden),
        "{name} differs (UPDATE_GOLDEN=1 writes it anew); it is now\n{actual}"
    );
}

/// What a machine that is busy with other tests may add.
const BUSY: Duration = Duration::from_secs(16);

/// How long a check may take that finds a limit, in seconds.
fn in_time(limit: f64) -> Duration {
    Duration::from_secs_f64(2.5 * limit + 3.0) + BUSY
}

#[track_caller]
fn assert_found(done: &Done, limit: f64) {
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.took <= in_time(limit), "took {:?}, and the limit is {limit} s\n{}", done.took, done.out);
    assert!(!done.out.contains("(not sure yet)"), "{}", done.out);
    println!("{:.1} s for a limit of {limit} s", done.took.as_secs_f64());
}

#[test]
fn wait_timeout_is_named_with_the_pool_that_outlives_it() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary().with_process_privilege(), Account::app()],
        ..MariaDbOptions::with_args(&["--wait-timeout=5"])
    });
    let pool = "--pool=name=api,user=app,framework=sqlalchemy";
    let check = Check::start(&[], server.addr(), DEFAULT_PASSWORD, &["--max-age=30s", "--quiet", pool]);
    let done = check.end(Duration::from_secs(60));
    assert_found(&done, 5.0);
    assert_eq!(done.err, "", "it was told to be quiet");
    check_golden("wait_timeout.txt", server.addr(), &done.out);
    wait_until_gone(&server);
}

#[test]
fn haproxy_is_named() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary().with_process_privilege(), Account::app()],
        ..MariaDbOptions::default()
    });
    let proxy = HaProxy::start(server.addr(), Duration::from_secs(4));
    let done =
        Check::start(&[], proxy.addr(), DEFAULT_PASSWORD, &["--max-age=30s"]).end(Duration::from_secs(60));
    assert_found(&done, 4.0);
    check_golden("haproxy.txt", proxy.addr(), &done.out);
    let lines: Vec<&str> = done.err.lines().collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.contains(" canar")), "{}", done.err);
    wait_until_gone(&server);
}

#[test]
fn a_firewall_is_named() {
    let firewall = Firewall::start(FirewallOptions {
        mariadb: MariaDbOptions {
            accounts: vec![Account::canary().with_process_privilege(), Account::app()],
            ..MariaDbOptions::default()
        },
        ..FirewallOptions::default()
    });
    let around = firewall.client_around();
    let once = || {
        let check = Check::start(&around, firewall.addr(), DEFAULT_PASSWORD, &["--max-age=30s", "--quiet"]);
        let done = check.end(Duration::from_secs(90));
        assert_found(&done, 8.0);
        done
    };
    let mut done = once();
    if done.out.contains("recycling cannot help\n") {
        println!("once more, for the machine left few canaries their time: {}", done.out);
        done = once();
    }
    check_golden("firewall.txt", firewall.addr(), &done.out);
    // What the firewall has forgotten cannot say COM_QUIT through it: each such session ends at the wait_timeout that it
    // was given, a little past --max-age.
    wait_for("the end of every session", Duration::from_secs(60), || {
        firewall.server().processlist().iter().all(|session| session.user != "canary").then_some(())
    });
}

#[test]
fn a_limit_on_the_age_of_connections_is_named() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary().with_process_privilege(), Account::app()],
        ..MariaDbOptions::default()
    });
    let relay = LimitOnAge::start(server.addr(), Duration::from_secs(6));
    let done = Check::start(&[], relay.addr(), DEFAULT_PASSWORD, &["--max-age=30s", "--quiet"])
        .end(Duration::from_secs(60));
    assert_found(&done, 6.0);
    check_golden("lifetime.txt", relay.addr(), &done.out);
}

#[test]
fn a_sound_path_is_called_sound_as_soon_as_its_end_was_reached() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary().with_process_privilege(), Account::app()],
        ..MariaDbOptions::default()
    });
    let args = ["--max-age=8s", "--quiet"];
    let done = Check::start(&[], server.addr(), DEFAULT_PASSWORD, &args).end(Duration::from_secs(60));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.took <= Duration::from_secs(8 + 2) + BUSY, "took {:?}\n{}", done.took, done.out);
    check_golden("sound.txt", server.addr(), &done.out);
    wait_until_gone(&server);
}

#[test]
fn without_waiting_it_tells_within_two_seconds_what_contradicts() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary().with_process_privilege(), Account::app()],
        ..MariaDbOptions::default()
    });
    let run = |args: &[&str]| {
        let check = Check::start(&[], server.addr(), DEFAULT_PASSWORD, args);
        let begun = Instant::now();
        let told = |check: &Check| fs::read_to_string(check.dir.path().join("out")).expect("UTF-8");
        wait_for("what is known at once", Duration::from_secs(20), || {
            told(&check).contains("What is known at once").then_some(())
        });
        (begun.elapsed(), check.end(Duration::from_secs(20)))
    };
    let (told, done) = run(&["--max-age=0s"]);
    assert!(told <= Duration::from_secs(2) + BUSY / 2, "told after {told:?}");
    assert_eq!(done.code, Some(0), "{done:?}");
    check_golden("at_once.txt", server.addr(), &done.out);
    let (_, done) = run(&["--max-age=0s", "--pool=name=api,user=app,framework=go"]);
    assert_eq!(done.code, Some(1), "a pool that never recycles contradicts wait_timeout: {done:?}");
    assert!(done.out.contains("! pool api never recycles"), "{}", done.out);
}

#[test]
fn one_json_document_is_printed_whatever_happens_and_fits_its_schema() {
    let schema = Schema::of("check.schema.json");
    let server = MariaDb::start(MariaDbOptions::with_args(&["--wait-timeout=3"]));
    for (password, outcome, code) in [(DEFAULT_PASSWORD, "found", 1), ("wrong", "not_measured", 2)] {
        let args = ["--max-age=8s", "--format=json"];
        let done = Check::start(&[], server.addr(), password, &args).end(Duration::from_secs(60));
        let report: Value = serde_json::from_str(&done.out).expect("one document");
        schema.check(&report);
        assert_eq!((report["outcome"].as_str(), done.code), (Some(outcome), Some(code)), "{done:?}");
        assert_eq!(report["exit_code"].as_i64(), Some(i64::from(code)));
    }
    wait_until_gone(&server);
}
