//! The arrows between modules, checked on the source: they run down the map of `src/lib.rs`, the core is pure, time is an
//! argument, SQL stands in one place, and no file is long.

use std::collections::BTreeSet;
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
}

/// The rooms in the order of the map in `src/lib.rs`, the highest first.
fn rooms() -> Vec<String> {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("readable");
    let rows = map.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    rows.filter_map(|row| row.split_once("`] |")).map(|(room, _)| room.to_owned()).collect()
}

/// The words of `config` that settings and sessions are both made of. They know nobody.
const WORDS_OF_CONFIG: [&str; 4] = ["address", "secret", "credentials", "naming"];

#[test]
fn the_map_has_every_room() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("readable");
    let modules = map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let modules: BTreeSet<String> = modules.map(str::to_owned).collect();
    assert!(modules.len() > 5, "the modules were read: {modules:?}");
    assert_eq!(rooms().into_iter().collect::<BTreeSet<_>>(), modules, "left: the map, right: the modules");
}

#[test]
fn arrows_run_down_the_map() {
    let rooms = rooms();
    for (place, room) in rooms.iter().enumerate() {
        let above = &rooms[..place];
        let of_room = [format!("src/{room}.rs"), format!("src/{room}")];
        let of_room = of_room.iter().filter(|file| Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists());
        for (path, text) in of_room.flat_map(|file| files(file)) {
            for line in code(&text) {
                assert!(!line.contains("crate::{"), "{}: name each room by itself\n{line}", path.display());
                for (_, known) in
                    line.match_indices("crate::").map(|(at, word)| (at, &line[at + word.len()..]))
                {
                    let known: Vec<&str> = known
                        .split("::")
                        .map(|word| word.trim_end_matches(|c: char| !c.is_alphanumeric()))
                        .collect();
                    let of_config = room == "session"
                        && known[0] == "config"
                        && known.get(1).is_some_and(|word| WORDS_OF_CONFIG.contains(word));
                    let is_above = above.iter().any(|room| room == known[0]);
                    assert!(
                        of_config || !is_above,
                        "{}: {room} stands below {} in the map of src/lib.rs\n{line}",
                        path.display(),
                        known[0]
                    );
                }
            }
        }
    }
}

#[test]
fn the_words_of_config_know_nobody() {
    for word in WORDS_OF_CONFIG.iter().chain(&["source"]) {
        refuse(
            &format!("src/config/{word}.rs"),
            &["crate::"],
            "sessions are made of it, and they stand below",
        );
    }
}

#[test]
fn the_server_view_does_not_count() {
    refuse("src/server", &["crate::metrics"], "the server view only reads");
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
        "crate::supervision",
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
fn the_pages_do_not_know_mysql() {
    let below = ["crate::prober", "crate::server", "crate::session"];
    refuse("src/web", &below, "the web side knows documents and exposition");
}

/// What is on the page is in the JSON too. Its tests make documents, and compare its words with the core's.
#[test]
fn the_status_page_is_drawn_from_the_document() {
    let words = [
        "crate::page",
        "crate::status",
        "crate::domain::layers::in_words",
        "crate::domain::layers::in_seconds",
        "crate::domain::life::duration",
    ];
    for (path, text) in
        files("src/page").into_iter().filter(|(path, _)| !path.to_string_lossy().contains("/tests"))
    {
        let drawing = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for line in code(drawing).filter(|line| line.contains("crate::")) {
            assert!(words.iter().any(|word| line.contains(word)), "{}: {line}", path.display());
        }
        let is_frame = path.ends_with("frame.rs");
        assert!(is_frame || !text.contains("PreEscaped"), "{}: text is escaped here", path.display());
    }
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

/// How many lines a file may have.
const MOST_LINES: usize = 400;

#[test]
fn no_file_is_long() {
    for (path, text) in files("src") {
        let lines = text.lines().count();
        let name = path.display();
        assert!(lines <= MOST_LINES, "{name} has {lines} lines: give a part of it a file of its own");
    }
}
