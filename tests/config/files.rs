//! Files that are no configuration at all, and flags beside one.

use std::fmt::Write as _;

use crate::folder::{Folder, SECRET};

const GOOD: &str = "targets:\n  - name: orders\n    auth: {username: canary, password_file: password}\n    paths: [{name: direct, address: \"127.0.0.1:3306\"}]\n";

#[track_caller]
fn refused(folder: &Folder, name: &str, message: &str) {
    let said = folder.check(name, &[]);
    assert_eq!((said.err.as_str(), said.code), (format!("error: {message}\n").as_str(), Some(2)), "{name}");
    assert!(!said.err.contains(SECRET) && said.out.is_empty(), "{name}");
}

#[test]
fn what_is_no_file_is_refused_without_waiting() {
    let folder = Folder::new();
    let advice = "name a file that the exporter's user may read";
    for (name, what) in [
        ("missing.yml", "No such file or directory (os error 2)"),
        (".", "it is a directory, not a file"),
        ("pipe", "it is a pipe, not a file"),
        ("../../../../../../dev/zero", "it is a device, not a file"),
    ] {
        refused(&folder, name, &format!("--config.file: cannot read {{dir}}/{name}: {what}: {advice}"));
    }
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).expect("it is new");
    refused(
        &folder,
        "socket",
        &format!("--config.file: cannot read {{dir}}/socket: it is a socket, not a file: {advice}"),
    );
}

#[test]
fn what_is_no_text_is_refused() {
    let folder = Folder::new();
    let with = |bytes: &[u8]| [GOOD.as_bytes(), bytes].concat();
    folder.write("utf8.yml", &with(b"    canary: {ages: \xff\xfe}\n"));
    refused(
        &folder,
        "utf8.yml",
        "--config.file: cannot read {dir}/utf8.yml: line 5 is not valid UTF-8: write it in UTF-8",
    );
    let utf16: Vec<u8> =
        std::iter::once(0xfeff).chain(GOOD.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    folder.write("utf16.yml", &utf16);
    refused(
        &folder,
        "utf16.yml",
        "--config.file: cannot read {dir}/utf16.yml: line 1 is not valid UTF-8: write it in UTF-8",
    );
    for (name, bytes) in [("nul.yml", &b"    canary: ~\0\n"[..]), ("zeros.yml", &[0; 4096])] {
        folder.write(name, &with(bytes));
    }
    refused(&folder, "nul.yml", "{dir}/nul.yml:5:14: a NUL byte: this is no text file");
    refused(&folder, "zeros.yml", "{dir}/zeros.yml:5:1: a NUL byte: this is no text file");
}

#[test]
fn what_is_too_much_is_refused_soon() {
    let folder = Folder::new();
    let mut long = GOOD.to_owned();
    while long.len() < 10 << 20 {
        let _ = writeln!(long, "# {SECRET}");
    }
    folder.write("long.yml", long.as_bytes());
    let begun = std::time::SystemTime::now();
    refused(
        &folder,
        "long.yml",
        "--config.file: cannot read {dir}/long.yml: it is longer than 1 MiB: name the file that was meant",
    );
    // As large as may be, and full of values.
    let many = format!("targets: [{}]\n", "a,".repeat(500_000));
    folder.write("many.yml", many.as_bytes());
    refused(
        &folder,
        "many.yml",
        "{dir}/many.yml:1:400007: more than 200000 values: this is no configuration of an exporter",
    );
    folder.write("deep.yml", "[".repeat(1 << 19).as_bytes());
    refused(
        &folder,
        "deep.yml",
        "{dir}/deep.yml:1:256: nested more than 16 deep: this is no configuration of an exporter",
    );
    let taken = begun.elapsed().expect("the clock runs on");
    assert!(taken.as_secs() < 20, "{taken:?}");
}

#[test]
fn a_byte_order_mark_and_a_carriage_return_are_no_fault() {
    let folder = Folder::new();
    for (name, text) in [
        ("bom.yml", format!("\u{feff}{GOOD}")),
        ("crlf.yml", GOOD.replace('\n', "\r\n")),
        ("end.yml", GOOD.trim_end().to_owned()),
        ("marked.yml", format!("%YAML 1.2\n---\n{GOOD}...\n")),
    ] {
        folder.write(name, text.as_bytes());
        let said = folder.check(name, &[]);
        assert_eq!((said.err.as_str(), said.code), ("", Some(0)), "{name}");
    }
}

#[test]
fn flags_about_a_target_beside_a_file() {
    let folder = Folder::new();
    folder.write("canary.yml", GOOD.as_bytes());
    for (flags, named) in [
        (&["--mysql.address=db:3306"][..], "--mysql.address"),
        (&["--canary.ages=5s", "--mysql.username=canary"], "--mysql.username and --canary.ages"),
        (&["--pool=name=api"], "--pool"),
        (&["--server.interval=15s"], "--server.interval"),
        (&["--target.name=orders"], "--target.name"),
        (&["--canary.kill-ghosts"], "--canary.kill-ghosts"),
    ] {
        let args = [&["--config.file={dir}/canary.yml", "--config.check"][..], flags].concat();
        let said = folder.run(&args, &[]);
        let message = format!(
            "error: --config.file says which servers are watched and how: drop {named}, or drop --config.file\n"
        );
        assert_eq!((said.err, said.code), (message, Some(2)));
    }
    let others =
        ["--config.file={dir}/canary.yml", "--config.check", "--log.level=debug", "--web.telemetry-path=/m"];
    assert_eq!(folder.run(&others, &[]).code, Some(0));
}
