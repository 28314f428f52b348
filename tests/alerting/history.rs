//! A past for the rules' long windows: the series that they read over hours, as blocks that promtool makes before
//! Prometheus starts.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::scaled;
use crate::lab::place::PrivateDir;
use crate::lab::prometheus::JOB;

/// What the rules read over hours: how a series begins, and how many hours of it they read, window and offset together.
const READ: [(&str, u64); 8] = [
    ("mysql_canary_connect_failures_total{", 1),
    ("mysql_canary_exporter_build_info{", 25),
    ("mysql_canary_idle_limit_confirmed{kind=\"idle\",", 7),
    ("mysql_canary_idle_limit_lower_seconds{kind=\"idle\",", 31),
    ("mysql_canary_idle_limit_upper_seconds{kind=\"idle\",", 31),
    ("mysql_canary_lives_total{", 31),
    ("mysql_canary_self_aborted_clients_total{", 26),
    ("mysql_canary_server_aborted_clients_total{", 26),
];
/// What they have recorded before, of every path.
const RECORDED: [(&str, u64); 2] =
    [("path:mysql_canary_deaths_total:sum", 2), ("path:mysql_canary_lives_total:sum", 31)];
/// The causes whose deaths the rules look back on, a day and more.
const CULPRITS: [&str; 4] = ["mass_disconnect", "network_state_loss", "server_kill", "server_restart"];
/// The hours of the longest of them.
pub(super) const HOURS: u64 = 31;
/// The time that one block spans, in seconds: where it begins is a multiple of that.
const BLOCK: u64 = 7200;

/// One series of the past, which had the same value all the time.
#[derive(Debug)]
struct Series {
    /// Name and labels, up to the last label's value.
    head: String,
    value: String,
    hours: u64,
}

/// Puts blocks into a directory of data: what the pages show, as if each had been scraped once a step until now. A
/// page comes with the instance that it is scraped as.
pub(super) fn make<'a>(data: &Path, pages: impl Iterator<Item = (String, &'a str)>, step: Duration) {
    let series: Vec<Series> = pages.flat_map(|(instance, page)| series(&instance, page)).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_secs();
    let first = (now - HOURS * 3600) / BLOCK * BLOCK;
    let blocks: Vec<u64> = (first..now).step_by(usize::try_from(BLOCK).expect("it is small")).collect();
    std::thread::scope(|scope| {
        for some in blocks.chunks(blocks.len().div_ceil(2)) {
            let series = &series;
            scope.spawn(move || some.iter().for_each(|&from| block(data, series, from, now, step)));
        }
    });
}

/// The series of one page that have a past.
fn series(instance: &str, page: &str) -> Vec<Series> {
    let head = |line: &str| {
        let (labels, value) = line.rsplit_once("} ").expect("a series with labels and a value");
        (format!("{labels},instance=\"{instance}\",job=\"{JOB}\"}} "), value.to_owned())
    };
    let mut found = Vec::new();
    for line in page.lines() {
        if let Some((_, hours)) = READ.iter().find(|(start, _)| line.starts_with(start)) {
            let (head, value) = head(line);
            found.push(Series { head, value, hours: *hours });
        }
        // One such line stands for each path.
        if let Some(rest) = line.strip_prefix("mysql_canary_ghost_sessions{") {
            for culprit in CULPRITS {
                let (head, _) = head(&format!(
                    "path_culprit:mysql_canary_deaths_total:sum{{culprit=\"{culprit}\",{rest}"
                ));
                found.push(Series { head, value: "4".to_owned(), hours: 26 });
            }
        }
        if let Some(rest) = line.strip_prefix("mysql_canary_ghost_sessions{") {
            for (name, hours) in RECORDED {
                let (head, _) = head(&format!("{name}{{{rest}"));
                found.push(Series { head, value: "4".to_owned(), hours });
            }
        }
    }
    found
}

/// Makes the block that begins `from` seconds after the epoch.
fn block(data: &Path, series: &[Series], from: u64, now: u64, step: Duration) {
    let dir = PrivateDir::new();
    let file = dir.path().join("past");
    let mut text = BufWriter::new(File::create(&file).expect("the private directory is writable"));
    let times = |hours: u64| {
        let begin = from.max(now - hours * 3600);
        let end = now.min(from + BLOCK);
        (begin.next_multiple_of(step.as_secs())..end)
            .step_by(usize::try_from(step.as_secs()).expect("it is small"))
    };
    let mut written = 0_usize;
    for Series { head, value, hours } in series {
        for time in times(*hours) {
            writeln!(text, "{head}{value} {time}").expect("there is room");
            written += 1;
        }
    }
    text.write_all(b"# EOF\n").and_then(|()| text.flush()).expect("there is room");
    if written > 0 {
        // It takes a processor for a while, and other tests look at the time.
        let mut promtool = Command::new("nice");
        promtool
            .args(["-n", "10", "promtool"])
            .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"])
            .arg(&file)
            .arg(data);
        let made = promtool.env("GOMAXPROCS", "1").output().expect("promtool runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    fs::remove_file(&file).expect("the file is there");
}

/// The selectors of an expression that read an hour or more, each with its window in seconds.
pub(super) fn long_windows(expression: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for (at, _) in expression.match_indices('[') {
        let Some((length, milliseconds)) = scaled::duration(&expression[at + 1..]) else { continue };
        let labels = if expression[..at].ends_with('}') { expression[..at].rfind('{') } else { None };
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
        let name = expression[..labels.unwrap_or(at)].trim_end_matches(is_name).len();
        let mut end = at + length + 2;
        if let Some(offset) = expression[end..].strip_prefix(" offset ") {
            end += " offset ".len() + scaled::duration(offset).map_or(0, |(length, _)| length);
        }
        if milliseconds >= 3_600_000 {
            found.push((expression[name..end].to_owned(), milliseconds / 1000));
        }
    }
    found
}

#[test]
fn long_windows_are_found_with_their_offsets() {
    let found =
        long_windows("a > 2 * increase(b:c{d=\"e\"}[1d] offset 1h) / 24 and f[1h] unless increase(g[5m])");
    assert_eq!(found, [("b:c{d=\"e\"}[1d] offset 1h".to_owned(), 86_400), ("f[1h]".to_owned(), 3600)]);
}
