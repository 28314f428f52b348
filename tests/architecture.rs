//! The arrows between modules, checked on the source: the core is pure, time is an argument, the
//! prober and the server view do not know each other's loops, SQL stands in one place.

use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file below a directory of the source, with its text.
fn files(below: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(below)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).expect("readable").map(|entry| entry.expect("readable").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("readable");
            found.push((path, text));
        }
    }
    assert!(!found.is_empty(), "{below} has Rust files");
    found
}

/// Lines that are code, not comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[track_caller]
fn refuse(below: &str, words: &[&str], why: &str) {
    for (path, text) in files(below) {
        for line in code(&text) {
            for word in words {
                assert!(!line.contains(word), "{} says {word:?}: {why}\n{line}", path.display());
            }
        }
    }
}

#[test]
fn the_core_is_pure() {
    let words = [
        "tokio",
        "std::net",
        "std::fs",
        "std::io",
        "std::env",
        "std::thread",
        "Instant",
        "SystemTime",
        "async ",
        ".await",
        "mysql_async",
        "prometheus::",
        "hyper",
        "tracing",
        "fastrand",
        "println!",
    ];
    refuse("src/domain", &words, "the core has no I/O, no clock, no async, no logging");
    let outside = [
        "crate::prober",
        "crate::server",
        "crate::session",
        "crate::metrics",
        "crate::web",
        "crate::app",
        "crate::cli",
    ];
    refuse("src/domain", &outside, "arrows point from the shell to the core, never back");
}

#[test]
fn the_server_view_does_not_know_the_prober() {
    let above = ["crate::prober", "crate::metrics", "crate::exposition", "crate::fleet", "crate::web"];
    refuse("src/server", &above, "the server view only reads");
}

#[test]
fn sessions_know_neither() {
    let above = ["crate::prober", "crate::server", "crate::exposition", "crate::fleet", "crate::web"];
    refuse("src/session", &above, "sessions stand below both loops");
}

#[test]
fn what_events_count_knows_the_words_of_the_core_and_nobody_else() {
    let others = [
        "crate::prober",
        "crate::server",
        "crate::session",
        "crate::exposition",
        "crate::fleet",
        "crate::machine",
        "crate::config",
        "crate::web",
        "crate::app",
    ];
    for file in ["src/metrics.rs", "src/metrics"] {
        refuse(
            file,
            &others,
            "what is counted stands below those who count; draw state in src/exposition.rs",
        );
    }
}

#[test]
fn the_loop_of_a_path_knows_neither_pages_nor_fleet() {
    let above = ["crate::exposition", "crate::fleet", "crate::web", "crate::app"];
    refuse("src/prober", &above, "a path publishes what it saw; who shows it stands above");
}

#[test]
fn the_pages_do_not_know_mysql() {
    let below = ["crate::prober", "crate::server", "crate::session"];
    refuse("src/web", &below, "the web side knows documents and exposition");
}

#[test]
fn sql_stands_in_the_server_view() {
    for below in [
        "src/prober",
        "src/session",
        "src/metrics",
        "src/exposition.rs",
        "src/web",
        "src/fleet",
        "src/domain",
    ] {
        refuse(below, &["\"SELECT ", "\"SHOW ", "\"SET ", "\"KILL "], "SQL belongs to src/server");
    }
}

#[test]
fn nothing_asks_the_system_for_the_time_but_the_shell() {
    refuse("src", &["std::time::Instant"], "use tokio's, which tests can pause");
}
