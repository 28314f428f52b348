//! `/metrics`, and what the command line says of itself: golden, and told at once.

use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mysql_canary_exporter::domain::culprit::possible_culprits;
use mysql_canary_exporter::domain::life::ending::Ending;
use mysql_canary_exporter::domain::life::kind::Kind;

use crate::exporter::{Launch, Page};
use crate::lab::process::{run, spawn};
use crate::lab::{Account, MariaDb, MariaDbOptions, Python};

mod hostile;
mod page;
mod shapes;
mod web;

/// Compares with a file in `tests/golden`; with `UPDATE_GOLDEN=1` writes it anew instead.
#[track_caller]
fn check_golden(name: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        assert!(env::var_os("CI").is_none(), "UPDATE_GOLDEN is for people: CI compares");
        fs::write(&file, actual).expect("the golden files can be written");
        return;
    }
    let golden = fs::read_to_string(&file).expect("the golden file is there");
    let (mut old, mut new) = (golden.lines(), actual.lines());
    loop {
        match (old.next(), new.next()) {
            (None, None) => return,
            (old, new) => {
                assert_eq!(new, old, "{name} differs (UPDATE_GOLDEN=1 writes it anew); it is now\n{actual}")
            }
        }
    }
}

/// A page with its values, versions and times blanked, and the buckets of a histogram on one line; a family's
/// bounds stand in its first histogram alone.
fn blanked(page: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut bounds: Option<(&str, Vec<&str>)> = None;
    let mut told = String::new();
    for line in page.lines() {
        let series = if line.starts_with('#') { line } else { line.rsplit_once(' ').unwrap_or((line, "")).0 };
        if let Some((labels, bound)) = series.split_once(",le=\"") {
            bounds.get_or_insert((labels, Vec::new())).1.push(bound.trim_end_matches("\"}"));
            continue;
        }
        // The sum follows the last bucket.
        if let Some((labels, bounds)) = bounds.take() {
            let bounds = bounds.join(" ");
            let shown = if bounds == told { "…" } else { &bounds };
            lines.push(format!("{labels},le=\"{shown}\"}}"));
            told = bounds;
        }
        if line.starts_with('#') {
            told.clear();
        }
        lines.push(without_versions(series));
    }
    lines.join("\n") + "\n"
}

/// Versions change with every release, ours and the server's; the server's port with every test.
fn without_versions(series: &str) -> String {
    let mut text = series.to_owned();
    for label in ["version=\"", "revision=\"", "address=\""] {
        if let Some(start) = text.find(label).map(|at| at + label.len())
            && let Some(length) = text[start..].find('"')
            && !text.starts_with('#')
        {
            text.replace_range(start..start + length, "…");
        }
    }
    text
}

#[test]
fn the_page_of_a_fresh_exporter() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary().with_process_privilege(), Account::app()],
        ..MariaDbOptions::default()
    });
    let port = server.port().to_string();
    let mut application =
        Python::start(&[], "tests/lab/observe.py", &["watch", "60", "--port", &port, "--user", "app"]);
    application.event("connected");
    let exporter = Launch::on(&server)
        .args(&["--pool=name=api,user=app,framework=sqlalchemy,recycle=1h,read_timeout=30s"])
        .start();
    let page = exporter.wait_for_metrics("a whole server view", Duration::from_secs(20), |page| {
        page.sum("up", &[]) == 1.0
            && page.values("sessions_held_past_recycle", &[("pool", "api"), ("user", "app")]) == [0.0]
            && page.sum("connections", &[]) >= 8.0
            && page.sum("sessions", &[("user", "app"), ("command", "Sleep")]) == 1.0
    });
    check_born_at_zero(&page);
    check_golden("metrics.txt", &blanked(page.text()));
}

/// Every legal combination of closed labels is there before anything happened, and no other.
#[track_caller]
fn check_born_at_zero(page: &Page) {
    let here = [("target", "default"), ("path", "default")];
    let with = |more: &[(&'static str, &'static str)]| [&here[..], more].concat();
    let running: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| !page.values("lives_total", &with(&[("kind", kind.label())])).is_empty())
        .collect();
    assert!(running.contains(&Kind::Idle));
    let mut combinations = 0;
    for kind in running {
        // What a twin's ends are counted in comes with the first twin.
        let endings = if kind == Kind::Idle { &Ending::ALL[..] } else { &[] };
        for &ending in endings {
            for culprit in possible_culprits(kind, ending) {
                let labels =
                    with(&[("kind", kind.label()), ("ending", ending.label()), ("culprit", culprit.label())]);
                assert_eq!(page.one("deaths_total", &labels), 0.0);
                let labels = with(&[("kind", kind.label()), ("culprit", culprit.label())]);
                assert_eq!(page.one("death_age_seconds_count", &labels), 0.0);
                combinations += 1;
            }
        }
        assert_eq!(page.one("lives_total", &with(&[("kind", kind.label())])), 0.0);
        let histograms = page.values("survival_age_seconds_count", &with(&[("kind", kind.label())]));
        assert_eq!(histograms, if kind == Kind::Idle { vec![0.0] } else { vec![] });
    }
    assert_eq!(page.values("deaths_total", &[]).len(), combinations, "no illegal combination");
    let dead = page.values("death_age_seconds_count", &[]);
    assert_eq!(dead.len(), page.values("death_age_seconds_count", &[("kind", "idle")]).len());
    let closed = [
        ("voided_total", "reason", &["outage", "clock_jump", "stalled", "shutdown", "reload"][..]),
        (
            "connect_failures_total",
            "stage",
            &["dns", "tcp", "tls", "greeting", "auth", "limit", "nonsense", "local"],
        ),
        ("suspended", "reason", &["connect_failing", "connection_limit", "low_headroom", "ghosts"]),
        ("ghost_kills_total", "outcome", &["killed", "refused", "unproven", "forbidden"]),
    ];
    for (name, label, values) in closed {
        for value in values {
            assert_eq!(page.one(name, &with(&[(label, value)])), 0.0, "{name} {label}={value}");
        }
        assert_eq!(page.values(name, &[]).len(), values.len(), "{name} has no other {label}");
    }
    assert_eq!(page.one("stall_seconds_count", &here), 0.0);
    assert_eq!(page.one("self_aborted_clients_total", &[("target", "default")]), 0.0);
}

#[test]
fn a_frozen_server_does_not_delay_a_scrape() {
    let server = MariaDb::start(MariaDbOptions::default());
    let exporter = Launch::on(&server).ages("1s,2s,60s").args(&["--canary.probe-timeout=2s"]).start();
    exporter.wait_for_metrics("canaries and a server view", Duration::from_secs(20), |page| {
        page.sum("up", &[]) == 1.0 && page.sum("connections", &[]) >= 1.0
    });
    let scrape = |count: usize| -> Vec<Duration> {
        let mut times: Vec<Duration> = (0..count)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(60));
                let begun = Instant::now();
                assert_eq!(exporter.get("/metrics").status, 200);
                begun.elapsed()
            })
            .collect();
        times.sort();
        times
    };
    let well = scrape(40);
    server.sigstop();
    let times = scrape(100);
    let page = exporter.wait_for_metrics("the loss of the server", Duration::from_secs(20), |page| {
        page.sum("up", &[]) == 0.0
    });
    server.sigcont();
    assert!(page.values("server_info", &[]).is_empty(), "what is gone vanishes");
    // Other tests keep the processors busy: the machine's own slowness is measured beside.
    let (frozen, usual) = (times[50], well[20]);
    let allowed = Duration::from_millis(50).max(usual * 3);
    assert!(frozen < allowed, "half of the scrapes took longer than {frozen:?}; before, {usual:?}");
    assert!(times[10] < Duration::from_millis(50), "not one in ten took less than {:?}", times[10]);
    assert!(times[99] < Duration::from_secs(2), "one scrape took {:?}", times[99]);
}

#[test]
fn promtool_has_nothing_to_say() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary().with_process_privilege(), Account::app()],
        ..MariaDbOptions::with_args(&["--wait-timeout=3"])
    });
    let exporter = Launch::on(&server).ages("1s,2s,5s").start();
    exporter.wait_for_events("death", 1, Duration::from_secs(20));
    let page = exporter.wait_for_metrics("a limit and a server view", Duration::from_secs(20), |page| {
        !page.values("idle_limit_info", &[]).is_empty()
            && !page.values("server_max_connections", &[]).is_empty()
    });
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = spawn(promtool).expect("promtool is installed");
    let mut input = promtool.stdin.take().expect("its input is piped");
    input.write_all(page.text().as_bytes()).expect("promtool reads its input");
    drop(input);
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "");
    assert!(output.status.success());
}

#[test]
fn help_and_version() {
    let exporter = env!("CARGO_BIN_EXE_mysql-canary-exporter");
    // A terminal's width would wrap it.
    check_golden("help.txt", &run(Command::new(exporter).arg("--help").env_remove("COLUMNS")));
    let version = format!("mysql-canary-exporter {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(Command::new(exporter).arg("--version")), version);
    assert_eq!(run(Command::new(exporter).arg("-V")), version);
}

#[test]
fn the_address_is_the_name_of_the_target() {
    // Nobody listens on port 1.
    let exporter = Launch::at("127.0.0.1:1").nameless().start();
    let page = exporter.get("/metrics").body;
    assert!(page.contains("target=\"127.0.0.1:1\"") && !page.contains("target=\"default\""), "{page}");
}
