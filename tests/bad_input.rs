//! Bad input ends the exporter at once: exit code 2, and words that say what is wrong and what to do.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::process::{Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::lab::place::PrivateDir;
use crate::lab::process::{bound_command, spawn};

/// Stands in every place a password may stand in, and must not come out anywhere.
const SECRET: &str = "hunter2-in-disguise";

/// How long the exporter may take to say no.
const PATIENCE: Duration = Duration::from_secs(30);

/// What clap adds to its own errors.
const HELP: &str = "\n\nFor more information, try '--help'.";
const USAGE: &str = "\n\nUsage: mysql-canary-exporter [OPTIONS]\n       mysql-canary-exporter <COMMAND>";

/// Runs the exporter until it ends by itself; for ever is too long.
fn run(args: &[String], password: &OsStr) -> Output {
    let mut command = bound_command(&[], env!("CARGO_BIN_EXE_mysql-canary-exporter"));
    // A terminal's width would wrap what clap says.
    command.args(args).env("MYSQL_CANARY_PASSWORD", password).env_remove("COLUMNS");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut exporter = spawn(command).expect("the exporter can be run");
    let begun = Instant::now();
    while exporter.try_wait().expect("a child can be waited for").is_none() {
        if begun.elapsed() > PATIENCE {
            exporter.kill().expect("it runs");
            let output = exporter.wait_with_output().expect("it was killed");
            panic!(
                "{args:?} was not refused within {PATIENCE:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        sleep(Duration::from_millis(5));
    }
    exporter.wait_with_output().expect("it ended")
}

/// Runs it with words separated by spaces, and compares what it says. `{dir}` stands for a private directory.
#[track_caller]
fn refused(dir: &PrivateDir, args: &str, message: &str) {
    let place = dir.path().to_str().expect("the temporary directory is UTF-8");
    let args: Vec<String> = args.split(' ').map(|arg| arg.replace("{dir}", place)).collect();
    let output = run(&args, OsStr::new(SECRET));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains(SECRET), "{args:?} told the password:\n{said}");
    assert_eq!(said.replace(place, "{dir}").trim_end(), format!("error: {message}"), "{args:?}");
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    assert!(output.stdout.is_empty(), "{args:?}");
}

/// As [`refused`], for a value that its flag does not take.
#[track_caller]
fn bad_value(flag: &str, placeholder: &str, value: &str, message: &str) {
    let said = format!("invalid value '{value}' for '{flag} <{placeholder}>'{message}{HELP}");
    refused(&PrivateDir::new(), &format!("{flag}={value}"), &said);
}

#[test]
fn ages() {
    for (value, message) in [
        ("", "no age given: write at least one, such as 60s, or leave the flag out for the default ladder"),
        ("0s", "age 1 is shorter than 1s: every canary is a login on the server, write 1s or more"),
        ("999ms", "age 1 is shorter than 1s: every canary is a login on the server, write 1s or more"),
        ("2s,1ms", "age 2 is shorter than 1s: every canary is a login on the server, write 1s or more"),
        ("5s,2s", "age 2 (2s) is shorter than the one before it (5s): write the ages in rising order"),
        ("2s,5s,5000ms", "age 3 (5s) is the same as the one before it: write each age once"),
        (
            "2s,soon",
            "age 2 is \"soon\", not a duration: write a number and a unit (ms, s, m, h, d, w, y), such as 90s or 1h30m",
        ),
        (
            "30",
            "age 1 is \"30\", not a duration: write a number and a unit (ms, s, m, h, d, w, y), such as 90s or 1h30m",
        ),
        ("1h,2y", "age 2 is longer than a year (31536000s), the largest wait_timeout a server accepts"),
    ] {
        bad_value("--canary.ages", "AGES", value, &format!(": {message}"));
    }
    let many = (1..=65).map(|age| format!("{age}s")).collect::<Vec<_>>().join(",");
    let message = ": 65 ages given: write at most 64, for the search places more between them by itself";
    bad_value("--canary.ages", "AGES", &many, message);
}

#[test]
fn a_budget_that_needs_more_open_files_than_there_may_be() {
    let mut command =
        bound_command(&["prlimit", "--nofile=200:200"], env!("CARGO_BIN_EXE_mysql-canary-exporter"));
    command.args(["--mysql.username=canary", "--web.listen-address=127.0.0.1:0"]);
    let exporter = spawn({
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    });
    let output = exporter.and_then(|exporter| exporter.wait_with_output()).expect("the exporter can be run");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: 12 connections (--canary.max-connections, or canary.max_connections of each path in a file) need 240 open files (one each, 3 more for each of the 12 that may be opened at once, 128 for the pages, 64 for the rest), \
         and this process may have 200: raise the hard limit (LimitNOFILE= of its service, ulimit -Hn), or let it hold fewer connections\n"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn numbers_and_durations() {
    let too_few = ": one rung needs 3 connections (the canary, its witness, the server view): give 3 or more";
    bad_value("--canary.max-connections", "COUNT", "2", too_few);
    bad_value("--canary.max-connections", "COUNT", "0", too_few);
    bad_value("--canary.max-connections", "COUNT", "many", ": write a whole number, such as 12");
    bad_value("--canary.max-connections", "COUNT", "-1", ": write a whole number, such as 12");

    let duration = "not a duration: write a number and a unit (ms, s, m, h, d, w, y), such as 90s or 1h30m";
    bad_value("--canary.probe-timeout", "DURATION", "10", &format!(": \"10\", {duration}"));
    bad_value("--server.interval", "DURATION", "1.5s", &format!(": \"1.5s\", {duration}"));
    let nothing = ": must be longer than nothing, write for example 10s";
    bad_value("--canary.probe-timeout", "DURATION", "0s", nothing);
    bad_value("--server.interval", "DURATION", "0", nothing);
    for value in ["1ms", "999ms"] {
        let short = ": must be 1s or more: each round asks the server several questions";
        bad_value("--server.interval", "DURATION", value, short);
    }
    for flag in ["--canary.probe-timeout", "--server.interval"] {
        bad_value(flag, "DURATION", "366d", ": must be a year (1y) at most");
    }

    for value in ["1", "0%", "51%", "sharp", "nan%", "-1%"] {
        bad_value("--canary.precision", "PERCENT", value, ": write a share from 0.1% to 50%, such as 1%");
    }
}

#[test]
fn pools() {
    let placeholder = "KEY=VALUE,…";
    for (value, message) in [
        ("recycle=1800s", "no name: write for example name=api,recycle=1800s"),
        (
            "name=api,user=",
            "user is empty: write the MySQL user of the pool's sessions, or leave the key out",
        ),
        (
            "name=api,framework=cobol",
            "framework \"cobol\" is not known: write sqlalchemy, hikaricp, go or other",
        ),
        ("name=api,pre_ping=maybe", "pre_ping is \"maybe\": write true or false"),
        ("name=api,recycle", "\"recycle\" is not key=value: write for example name=api,recycle=1800s"),
        ("name=api,name=web", "name is given twice: write it once"),
    ] {
        bad_value("--pool", placeholder, value, &format!(": {message}"));
    }
    refused(
        &PrivateDir::new(),
        "--mysql.username=canary --pool=name=api,recycle=1h --pool=name=api,recycle=2h",
        "--pool: two pools are named \"api\": give each its own name",
    );
}

#[test]
fn words_from_a_list() {
    let modes = "\n  [possible values: disabled, preferred, required, verify-ca, verify-identity]";
    bad_value("--mysql.tls-mode", "MODE", "on", modes);
    bad_value("--log.level", "LEVEL", "loud", "\n  [possible values: debug, info, warn, error]");
    bad_value("--log.format", "FORMAT", "xml", "\n  [possible values: logfmt, json]");
}

#[test]
fn a_flag_that_is_neither_true_nor_false() {
    let said = "invalid value 'maybe' for '--mysql.get-server-public-key[=<BOOL>]'\n  [possible values: true, false]";
    refused(&PrivateDir::new(), "--mysql.get-server-public-key=maybe", &format!("{said}{HELP}"));
}

#[test]
fn web_addresses_and_paths() {
    let address = ": write :PORT, IP:PORT or [IPv6]:PORT, such as :10052 or 127.0.0.1:10052";
    for value in ["10052", "localhost:10052", ":65536", "::1:10052"] {
        bad_value("--web.listen-address", "ADDRESS", value, address);
    }
    bad_value(
        "--web.telemetry-path",
        "PATH",
        "metrics",
        ": a path begins with a slash: write for example /metrics",
    );
    for value in ["/", "/-/healthy", "/-/ready"] {
        let taken = ": that page is another one: write for example /metrics";
        bad_value("--web.telemetry-path", "PATH", value, taken);
    }
    for (value, stranger) in [("/metrics?x", "'?'"), ("/\"><script>", "'\"'"), ("/é", "'é'")] {
        let message = format!(
            ": {stranger} cannot stand in it: write letters, digits and /-_.~ only, for example /metrics"
        );
        bad_value("--web.telemetry-path", "PATH", value, &message);
    }
}

#[test]
fn the_server_s_address() {
    let dir = PrivateDir::new();
    for (address, message) in [
        (":3306", "the address has no host: write host:port, such as db.example.org:3306"),
        ("db:0", "the address has a bad port: write a number from 1 to 65535 after the last colon"),
        ("db:mysql", "the address has a bad port: write a number from 1 to 65535 after the last colon"),
        ("fe80::1", "the address has several colons: write an IPv6 address in brackets, such as [::1]:3306"),
        (
            "mysql://db/app",
            "the address is no host and port: write host:port, without a scheme, a user, a password or a path",
        ),
        (
            "mysql://canary:hunter2-in-disguise@db:3306/app",
            "the address holds an @: write host:port, without a scheme, a user or a password",
        ),
        (
            "canary:hunter2-in-disguise@db",
            "the address holds an @: write host:port, without a scheme, a user or a password",
        ),
    ] {
        let args = format!("--mysql.username=canary --mysql.address={address}");
        refused(&dir, &args, &format!("--mysql.address: {message}"));
    }
}

#[test]
fn who_logs_in() {
    let dir = PrivateDir::new();
    let file =
        |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("the directory is ours");
    refused(
        &dir,
        "--log.level=info",
        "no user to log in as: give --mysql.username, or --mysql.defaults-file with a line `user=…`",
    );
    file("no-user.cnf", &format!("[client]\npassword={SECRET}\n"));
    refused(
        &dir,
        "--mysql.defaults-file={dir}/no-user.cnf",
        "no user to log in as: give --mysql.username, or --mysql.defaults-file with a line `user=…`",
    );
    refused(
        &dir,
        "--mysql.defaults-file={dir}/no-user.cnf --mysql.defaults-group=canary",
        "--mysql.defaults-group: {dir}/no-user.cnf has no group [canary]: add a line [canary] there, or name another group",
    );
    file("bad.cnf", &format!("# ours\n[client]\nuser=canary\n{SECRET} is the password\n"));
    refused(
        &dir,
        "--mysql.defaults-file={dir}/bad.cnf",
        "--mysql.defaults-file: line 4 of {dir}/bad.cnf is neither a [group], an option=value nor a # comment: \
         correct it, or put # before it",
    );
    refused(
        &dir,
        "--mysql.defaults-file={dir}/missing.cnf",
        "--mysql.defaults-file: cannot read {dir}/missing.cnf: No such file or directory (os error 2): \
         name a file that the exporter's user may read",
    );
    refused(
        &dir,
        "--mysql.username=canary --mysql.password-file={dir}/missing",
        "--mysql.password-file: cannot read {dir}/missing: No such file or directory (os error 2): \
         name a file that the exporter's user may read",
    );
    refused(
        &dir,
        "--mysql.username=canary --mysql.password-file={dir}",
        "--mysql.password-file: cannot read {dir}: Is a directory (os error 21): \
         name a file that the exporter's user may read",
    );
    refused(
        &dir,
        "--mysql.defaults-group=canary",
        &format!(
            "the following required arguments were not provided:\n  --mysql.defaults-file <FILE>\n\n\
             Usage: mysql-canary-exporter --mysql.defaults-file <FILE> --mysql.defaults-group <GROUP>{HELP}"
        ),
    );
}

#[test]
fn authorities() {
    let dir = PrivateDir::new();
    refused(
        &dir,
        "--mysql.username=canary --mysql.tls-mode=verify-ca --mysql.tls-ca={dir}/missing.pem",
        "--mysql.tls-ca: cannot read {dir}/missing.pem: No such file or directory (os error 2): \
         name a file that the exporter's user may read",
    );
    fs::write(dir.path().join("empty.pem"), "no certificate\n").expect("the directory is ours");
    refused(
        &dir,
        "--mysql.username=canary --mysql.tls-mode=verify-ca --mysql.tls-ca={dir}/empty.pem",
        "--mysql.tls-ca: {dir}/empty.pem holds no PEM certificate: \
         name a file with -----BEGIN CERTIFICATE----- lines",
    );
}

#[test]
fn a_listen_address_of_another_machine() {
    refused(
        &PrivateDir::new(),
        "--mysql.username=canary --web.listen-address=192.0.2.1:10052",
        "--web.listen-address: cannot listen on 192.0.2.1:10052: Cannot assign requested address (os error 99): \
         choose an address that this machine has, or write :PORT for all of them",
    );
}

#[test]
fn a_state_file_that_cannot_be_kept() {
    let dir = PrivateDir::new();
    let file = dir.path().join("missing/state.json");
    let file = file.display();
    let args =
        ["--mysql.username=canary", "--web.listen-address=127.0.0.1:0", &format!("--state.file={file}")];
    let output = run(&args.map(str::to_owned), OsStr::new(SECRET));
    let said = String::from_utf8_lossy(&output.stderr);
    let message = format!(
        "error: --state.file: cannot write {file}: No such file or directory (os error 2): \
         choose a file in a directory that the exporter's user may write"
    );
    assert_eq!(said.lines().last(), Some(&*message), "after the line that it starts");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_listen_address_in_use() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = holder.local_addr().expect("a listener has an address");
    refused(
        &PrivateDir::new(),
        &format!("--mysql.username=canary --web.listen-address={address}"),
        &format!(
            "--web.listen-address: cannot listen on {address}: Address already in use (os error 98): \
             end the process that holds it, or choose another address"
        ),
    );
}

#[test]
fn a_password_on_the_command_line_is_refused_and_not_repeated() {
    let tip = "unexpected argument '--mysql.password' found\n\n  \
               tip: a similar argument exists: '--mysql.password-file'\n\n\
               Usage: mysql-canary-exporter --mysql.password-file <FILE>";
    for args in ["--mysql.password=hunter2-in-disguise", "--mysql.password hunter2-in-disguise"] {
        refused(&PrivateDir::new(), args, &format!("{tip}{HELP}"));
    }
}

#[test]
fn unknown_and_repeated_flags() {
    let dir = PrivateDir::new();
    refused(&dir, "--nonsense", &format!("unexpected argument '--nonsense' found{USAGE}{HELP}"));
    refused(
        &dir,
        "--canary.ages=1s --canary.ages=2s",
        &format!("the argument '--canary.ages <AGES>' cannot be used multiple times{USAGE}{HELP}"),
    );
    refused(
        &dir,
        "--mysql.username",
        &format!("a value is required for '--mysql.username <USER>' but none was supplied{HELP}"),
    );
    refused(&dir, "nonsense", &format!("unrecognized subcommand 'nonsense'{USAGE}{HELP}"));
}

#[test]
fn a_password_that_is_no_text() {
    let output = run(&["--mysql.username=canary".to_owned()], OsStr::from_bytes(b"hunter2-\xff"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        said,
        "error: the variable MYSQL_CANARY_PASSWORD is not valid UTF-8: put the password into --mysql.password-file\n"
    );
    assert_eq!(output.status.code(), Some(2));
}
