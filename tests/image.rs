//! The image, without a builder: the Dockerfile's steps are done here, with this build's binary in place of the release's,
//! and the exporter is started in what comes of them as a container would start it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::place::PrivateDir;
use crate::lab::process::{Daemon, bound_command, on_free_port, run};
use crate::lab::{MariaDb, MariaDbOptions, http, wait_for};

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// The Dockerfile's instructions: the word, and what follows it.
fn instructions() -> Vec<(String, String)> {
    let text = fs::read_to_string(here("Dockerfile")).expect("it is there");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.split_once(' ').expect("an instruction has arguments"))
        .map(|(word, rest)| (word.to_owned(), rest.to_owned()))
        .collect()
}

/// What follows the last such word.
#[track_caller]
fn last<'a>(instructions: &'a [(String, String)], word: &str) -> &'a str {
    let found = instructions.iter().rfind(|(found, _)| found == word);
    &found.unwrap_or_else(|| panic!("no {word}")).1
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<String> {
    let text = run(Command::new("find").current_dir(folder).args([".", "-type", "f", "-printf", "%P\n"]));
    let mut files: Vec<String> = text.lines().map(str::to_owned).collect();
    files.sort();
    files
}

#[test]
fn the_image_that_the_dockerfile_makes_runs() {
    let steps = instructions();
    let froms: Vec<&str> =
        steps.iter().filter(|(word, _)| word == "FROM").map(|(_, rest)| rest.as_str()).collect();
    assert!(matches!(froms[..], [build, "scratch"] if build.ends_with(" AS build")), "{froms:?}");
    let toolchain = fs::read_to_string(here("rust-toolchain.toml")).expect("it is there");
    let version = froms[0].trim_start_matches("rust:").split('-').next().expect("a version");
    assert!(
        toolchain.contains(&format!("channel = \"{version}.")),
        "{version} is not what it is checked with"
    );
    assert_eq!(last(&steps, "COPY"), "--from=build /image /");
    assert_eq!(last(&steps, "EXPOSE"), "10052");
    let user = last(&steps, "USER");
    let manifest =
        fs::read_to_string(here("deploy/kubernetes/deployment/deployment.yaml")).expect("it is there");
    let (id, group) = user.split_once(':').expect("a user and a group");
    assert!(id.parse::<u32>().is_ok_and(|id| id > 0) && id == group, "a number, and not root's: {user}");
    assert!(manifest.contains(&format!("runAsUser: {id}\n")), "the pods' user is another");

    let dir = PrivateDir::new();
    let root = dir.path().join("root");
    let place = root.to_str().expect("the temporary directory is UTF-8");
    // The build's last step, on this build.
    let step = last(&steps, "RUN");
    let words: Vec<&str> = step.split(' ').collect();
    assert_eq!(words[1..], ["target/release/mysql-canary-exporter", "/image"], "{step}");
    run(Command::new(here(words[0])).args([env!("CARGO_BIN_EXE_mysql-canary-exporter"), place]));
    let made = files(&root);
    let known = |file: &String| {
        file == "usr/bin/mysql-canary-exporter"
            || file == "usr/share/doc/mysql-canary-exporter/LICENSE"
            || file == "etc/nsswitch.conf"
            || (file.contains(".so.") && file.split('/').next().is_some_and(|top| top.starts_with("lib")))
    };
    assert!(made.iter().all(known) && made.len() > 4, "the exporter alone: {made:?}");

    // What containers are given: names, and /proc.
    let server = MariaDb::start(MariaDbOptions::default());
    fs::write(root.join("etc/hosts"), "127.0.0.1 db.test\n").expect("the directory is ours");
    fs::create_dir(root.join("proc")).expect("the directory is ours");
    let entry: Vec<String> = serde_json::from_str(last(&steps, "ENTRYPOINT")).expect("a list");
    let [entry] = &entry[..] else { panic!("{entry:?}") };
    // As a pod has it: nothing can be written, nobody is root, and it is the first process of its own.
    let script = format!(
        "mount --bind {place} {place}; mount -t proc proc {place}/proc; mount -o remount,bind,ro {place}; \
         exec chroot --userspec={user} {place} \"$@\""
    );
    let (port, mut daemon) = on_free_port(|port| {
        let mut command = bound_command(&[], "unshare");
        command
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--kill-child=KILL",
                "sh",
                "-ec",
                &script,
                "in-the-image",
                entry,
            ])
            .args([
                format!("--mysql.address=db.test:{}", server.port()),
                "--mysql.username=canary".to_owned(),
            ])
            .args([&format!("--web.listen-address=127.0.0.1:{port}"), "--log.format=json"])
            .env("MYSQL_CANARY_PASSWORD", DEFAULT_PASSWORD);
        let mut daemon = Daemon::start(command, &dir.path().join("log"));
        daemon.wait_for_output("\"event\":\"listening\"").map(|()| daemon)
    });
    let children = format!("/proc/{0}/task/{0}/children", daemon.pid());
    let exporter: i32 = fs::read_to_string(children).expect("it runs").trim().parse().expect("one child");
    let page = || http::get(([127, 0, 0, 1], port).into(), "/metrics").expect("it answers").body;
    wait_for("a login by name", Duration::from_secs(20), || {
        page().lines().any(|line| line.starts_with("mysql_canary_up{") && line.ends_with(" 1")).then_some(())
    });
    let status = fs::read_to_string(format!("/proc/{exporter}/status")).expect("it runs");
    let ids = format!("{id}\t{id}\t{id}\t{id}");
    assert!(status.contains(&format!("Uid:\t{ids}")) && status.contains(&format!("Gid:\t{ids}")), "{status}");
    let exporter = Pid::from_raw(exporter).expect("a process id is positive");
    kill_process(exporter, Signal::TERM).expect("it runs");
    let ended = daemon.wait_for_end(Duration::from_secs(10));
    assert!(ended.success(), "{ended}: {}", daemon.output());
}
