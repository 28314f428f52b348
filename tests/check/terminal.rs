//! On a terminal: bars that fit it, colours where they are wanted, and a verdict that fits its width.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::NAME;
use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::place::PrivateDir;
use crate::lab::process::{bound_command, spawn};
use crate::lab::{MariaDb, MariaDbOptions, Server, wait_for};

/// What a check on a pseudo-terminal came to.
struct Shown {
    code: Option<i32>,
    text: String,
}

/// A check on a pseudo-terminal that comes to this: begun again, twice at most, where the machine stood still for so long
/// that it came to something else.
#[track_caller]
fn run(expected: i32, server: &Server, columns: u32, before: &str, args: &str, typed: (f64, &str)) -> Shown {
    let mut shown = run_once(server, columns, before, args, typed);
    for _ in 0..2 {
        if shown.code == Some(expected) {
            break;
        }
        println!("once more, for {:?} came of it: {}", shown.code, shown.text);
        shown = run_once(server, columns, before, args, typed);
    }
    assert_eq!(shown.code, Some(expected), "{}", shown.text);
    shown
}

/// Runs a check on a pseudo-terminal that begins so many columns wide. After `typed.0` seconds these bytes are typed.
#[track_caller]
fn run_once(server: &Server, columns: u32, before: &str, args: &str, typed: (f64, &str)) -> Shown {
    let dir = PrivateDir::new();
    let binary = env!("CARGO_BIN_EXE_mysql-canary-exporter");
    let flags = format!(
        "check --mysql.address={} --mysql.username=canary --target.name={NAME} --mysql.tls-mode=disabled {args}",
        server.addr()
    );
    let words = format!("stty cols {columns} rows 24; {before} exec {binary} {flags}");
    let mut command = bound_command(&[], "script");
    command
        .args(["--quiet", "--return", "--flush", "--command", &words, "/dev/null"])
        .env("MYSQL_CANARY_PASSWORD", DEFAULT_PASSWORD)
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("CI")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(File::create(dir.path().join("out")).expect("a file can be made"))
        .stderr(Stdio::null());
    let mut child = spawn(command).expect("script is part of every Debian");
    // Kept open: the terminal hangs up with its end.
    let mut keys = child.stdin.take().expect("piped");
    thread::sleep(Duration::from_secs_f64(typed.0));
    keys.write_all(typed.1.as_bytes()).expect("somebody reads");
    let status =
        wait_for("the end of the check", Duration::from_secs(120), || child.try_wait().expect("a child"));
    let text = fs::read(dir.path().join("out")).expect("readable");
    Shown { code: status.code(), text: String::from_utf8_lossy(&text).into_owned() }
}

/// The lines that stay on the terminal, without what moves its cursor or colours them: those after the last bar.
fn lines_that_stay(text: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.strip_prefix('[').map_or(after, |code| {
            code.find(|c: char| c.is_ascii_alphabetic()).map_or("", |end| &code[end + 1..])
        });
    }
    plain.push_str(rest);
    let lines: Vec<String> =
        plain.lines().map(|line| line.rsplit('\r').next().unwrap_or("").trim_end().to_owned()).collect();
    let verdict = lines.iter().rposition(|line| line.contains("Verdict on path")).unwrap_or(0);
    lines[verdict..].to_vec()
}

#[test]
fn bars_are_drawn_and_the_verdict_fits_the_terminal() {
    let server = MariaDb::start(MariaDbOptions::with_args(&["--wait-timeout=3"]));
    for columns in [80, 200] {
        let shown = run(1, &server, columns, "", "--max-age=10s", (0.0, ""));
        assert!(shown.text.contains("idle      ["), "a bar for each canary: {}", shown.text);
        assert!(
            shown.text.contains("\u{1b}[1m\u{1b}[31m") || shown.text.contains("\u{1b}[31m"),
            "the finding is red: {:?}",
            shown.text
        );
        let lines = lines_that_stay(&shown.text);
        assert!(lines.iter().any(|line| line.starts_with(NAME)), "{lines:#?}");
        for line in &lines {
            assert!(line.chars().count() <= columns as usize, "wider than {columns}: {line:?}");
        }
    }
}

#[test]
fn a_terminal_that_is_resized_or_interrupted_keeps_the_verdict() {
    let server = MariaDb::start(MariaDbOptions::default());
    let resize = "(sleep 1; stty cols 50 </dev/tty; sleep 1; stty cols 120 </dev/tty) &";
    let shown = run(130, &server, 80, resize, "--max-age=60s", (4.0, "\u{3}"));
    let lines = lines_that_stay(&shown.text).join(" ");
    assert!(lines.contains("interrupted; connections on path default live to"), "{lines}");
}

#[test]
fn colours_and_bars_are_left_out_where_they_are_not_wanted() {
    let server = MariaDb::start(MariaDbOptions::default());
    let sound = "--max-age=2s --canary.probe-timeout=5s";
    let shown = run(0, &server, 80, "NO_COLOR=1; export NO_COLOR;", sound, (0.0, ""));
    assert!(!shown.text.contains("\u{1b}[32m") && !shown.text.contains("\u{1b}[1m"), "{:?}", shown.text);
    // A place that builds and tests says so in CI, which some take for a terminal that shows colours.
    for dumb in ["TERM=dumb; export TERM;", "TERM=dumb; CI=true; export TERM CI;"] {
        let shown = run(0, &server, 80, dumb, sound, (0.0, ""));
        assert!(!shown.text.contains('\u{1b}'), "{dumb} a dumb terminal gets plain lines: {:?}", shown.text);
        assert!(shown.text.contains("nothing died"), "{dumb} and one every few seconds: {}", shown.text);
    }
    let asked =
        run(0, &server, 80, "TERM=dumb; CLICOLOR_FORCE=1; export TERM CLICOLOR_FORCE;", sound, (0.0, ""));
    assert!(asked.text.contains("\u{1b}[1m"), "who asks for colours gets them: {:?}", asked.text);
}
