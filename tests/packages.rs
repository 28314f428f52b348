//! What is installed beside the binary: the manual, the completions, the units, and what packages are made of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, process};

use clap::CommandFactory;
use clap_complete::Shell;
use mysql_canary_exporter::config::flags::LowArgs;

const NAME: &str = "mysql-canary-exporter";

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// A directory of this test; removed when dropped.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = env::temp_dir().join(format!("{NAME}-packages-{name}-{}", process::id()));
        fs::create_dir(&place).expect("the name is new");
        Self(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Compares with a file of `deploy/manual`; with `UPDATE_GOLDEN=1` writes it anew instead.
#[track_caller]
fn check_manual(name: &str, text: &[u8]) {
    let file = here("deploy/manual").join(name);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        assert!(env::var_os("CI").is_none(), "UPDATE_GOLDEN is for people: CI compares");
        fs::create_dir_all(here("deploy/manual")).expect("it can be made");
        fs::write(file, text).expect("the manual can be written");
        return;
    }
    let written = fs::read(&file).unwrap_or_default();
    assert!(written == text, "{} is not what the flags say: UPDATE_GOLDEN=1 writes it anew", file.display());
}

#[test]
fn the_manual_and_the_completions_are_what_the_flags_say() {
    let place = Place::new("manual");
    clap_mangen::generate_to(LowArgs::command(), &place.0).expect("the directory is ours");
    let mut pages = BTreeSet::new();
    for page in fs::read_dir(&place.0).expect("it is there") {
        let page = page.expect("readable").path();
        let name = page.file_name().and_then(|name| name.to_str()).expect("a good name").to_owned();
        check_manual(&name, &fs::read(&page).expect("it is there"));
        pages.insert(name);
    }
    assert!(pages.contains("mysql-canary-exporter-hash-password.1"), "{pages:?}");
    for (shell, name) in [
        (Shell::Bash, "mysql-canary-exporter.bash"),
        (Shell::Zsh, "_mysql-canary-exporter"),
        (Shell::Fish, "mysql-canary-exporter.fish"),
    ] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut LowArgs::command(), NAME, &mut text);
        check_manual(name, &text);
    }
}

#[test]
fn the_completions_load_and_complete() {
    let file = here("deploy/manual/mysql-canary-exporter.bash");
    let script = format!(
        "set -e; source {}; COMP_WORDS=({NAME} --mysql.tls); COMP_CWORD=1; COMP_LINE='{NAME} --mysql.tls'; \
         _mysql__canary__exporter {NAME} --mysql.tls {NAME}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        file.display()
    );
    let output = Command::new("bash").args(["--norc", "-c", &script]).output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert_eq!(said.lines().collect::<Vec<_>>(), ["--mysql.tls-mode", "--mysql.tls-ca"], "{error}");
}

/// The unit with a binary that is there.
fn unit(place: &Place) -> PathBuf {
    let text = fs::read_to_string(here("deploy/mysql-canary-exporter.service")).expect("it is there");
    let text = text.replace("/usr/bin/mysql-canary-exporter", env!("CARGO_BIN_EXE_mysql-canary-exporter"));
    let file = place.0.join("mysql-canary-exporter.service");
    fs::write(&file, text).expect("the directory is ours");
    fs::copy(here("deploy/mysql-canary-exporter.socket"), place.0.join("mysql-canary-exporter.socket"))
        .expect("the directory is ours");
    file
}

fn analyze(args: &[&str]) -> String {
    let mut command = Command::new("systemd-analyze");
    command.args(args).env("SYSTEMD_LOG_LEVEL", "warning").stdin(Stdio::null());
    let output = command.output().expect("systemd is installed: apt-get install systemd");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn the_units_are_good_and_give_little_away() {
    let place = Place::new("units");
    let service = unit(&place);
    let service = service.to_str().expect("the temporary directory is UTF-8");
    let socket = service.replace(".service", ".socket");
    let said = analyze(&["verify", "--man=no", service, &socket]);
    let of_ours: Vec<&str> = said.lines().filter(|line| line.contains(NAME)).collect();
    assert!(of_ours.is_empty(), "{said}");
    let said = analyze(&["security", "--offline=yes", "--no-pager", service]);
    let exposure = said.lines().find_map(|line| line.split_once("exposure level for")).expect("a verdict").1;
    let level: f64 = exposure
        .split(": ")
        .nth(1)
        .and_then(|verdict| verdict.split(' ').next())
        .and_then(|level| level.parse().ok())
        .expect("a number");
    println!("exposure {level}");
    assert!(level <= 1.5, "{said}");
}

/// Every file that a package is made of is there, and what is installed is what the unit and the scripts name.
#[test]
fn packages_are_made_of_what_there_is() {
    let manifest = fs::read_to_string(here("Cargo.toml")).expect("it is there");
    let mut files = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        let quoted: Vec<&str> = line.split('"').collect();
        if line.starts_with("[\"") || line.starts_with("{ source") {
            files.insert(quoted[1]);
        }
    }
    files.retain(|file| !file.starts_with("target/"));
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let folder = Path::new(file).parent().expect("a file stands in a folder");
        let there = match file.split_once('*') {
            Some((_, end)) => fs::read_dir(here(folder.to_str().expect("UTF-8")))
                .expect("it is there")
                .any(|entry| entry.expect("readable").path().to_string_lossy().ends_with(end)),
            None => here(file).is_file(),
        };
        assert!(there, "Cargo.toml names {file}");
    }
    for script in ["postinst", "prerm", "postrm"] {
        let checked = Command::new("sh").arg("-n").arg(here("deploy/package").join(script)).status();
        assert!(checked.expect("sh runs").success(), "{script}");
    }
}

/// Both ways to run on Kubernetes run the same thing.
#[test]
fn deployment_and_daemonset_run_the_same_pod() {
    let pod = |file: &str| {
        let text = fs::read_to_string(here("deploy/kubernetes").join(file)).expect("it is there");
        let (_, pod) = text.split_once("  template:\n").expect("a template");
        pod.to_owned()
    };
    let deployment = pod("deployment/deployment.yaml");
    assert!(deployment.contains("runAsNonRoot: true") && deployment.contains("readOnlyRootFilesystem: true"));
    assert_eq!(deployment, pod("daemonset/daemonset.yaml"));
}
