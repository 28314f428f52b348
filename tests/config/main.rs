//! Configuration files as people write them: each bad one with its exact message, the good ones as `--config.check` tells
//! them. No root and no server: the exporter ends before it connects.
//!
//! A file of `bad/` begins with `# ` and what is said of it after its own name, line and column included.

mod files;
mod folder;
mod good;
mod naming;
mod web;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use folder::{Folder, SECRET};

/// The bad files, by name.
fn bad_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad");
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("readable").path()).collect();
    found.sort();
    found
}

#[test]
fn every_bad_file_is_refused_with_its_message() {
    let folder = Folder::new();
    let mut messages = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in bad_files() {
        let text = fs::read_to_string(&file).expect("it is a text");
        let expected = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default();
        let name = file.file_name().and_then(|name| name.to_str()).expect("a good name");
        folder.write(name, text.as_bytes());
        let said = folder.check(name, &[]);
        assert!(!said.err.contains(SECRET), "{name} told a secret: {}", said.err);
        assert!(said.out.is_empty(), "{name}: {}", said.out);
        let message =
            said.err.trim_end().strip_prefix(&format!("error: {{dir}}/{name}:")).unwrap_or(&said.err);
        if (message, said.code) != (expected, Some(2)) {
            wrong.push(format!("{name}: {:?}\n    says    {message}\n    expects {expected}", said.code));
        }
        messages.insert(message.to_owned());
    }
    assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
    assert!(messages.len() > 100, "so many different things can be wrong: {}", messages.len());
}

#[test]
fn a_bad_file_is_refused_where_the_exporter_starts_too() {
    let folder = Folder::new();
    folder.write("canary.yml", b"targets: []\n");
    let said = folder.run(&["--config.file={dir}/canary.yml", "--web.listen-address=127.0.0.1:0"], &[]);
    assert_eq!(
        said.err,
        "error: {dir}/canary.yml:1:1: there is no target: write targets: and below it, for each server, - with name, \
         auth and paths\n"
    );
    assert_eq!(said.code, Some(2));
}
