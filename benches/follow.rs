//! What it costs to follow the applications' sessions: a round over 5,000 of them with 200 wakes a second, read
//! every 15 s, and the memory of 20,000.

#![expect(clippy::disallowed_methods, reason = "a bench takes real time")]

use std::collections::BTreeSet;
use std::fs;
use std::hint::black_box;
use std::time::Instant;

use mysql_canary_exporter::domain::applications::follower::{Follower, Listing};
use mysql_canary_exporter::domain::applications::{Counters, Row, Whose};
use mysql_canary_exporter::server::processlist::{ProcessList, RawRow};

/// Seconds between two rounds.
const EVERY: f64 = 15.0;

/// The seconds of the quickest round over rows that a server would list, of which `wakes` woke since the round before.
/// Each row is counted as the server view counts it; with a follower it is followed too.
fn rounds(mut follower: Option<&mut Follower>, hosts: &[String], wakes: usize, turns: usize) -> f64 {
    let sessions = hosts.len();
    let mut slept = vec![0.0; sessions];
    let mut best = f64::INFINITY;
    for turn in 0..turns {
        for (place, slept) in slept.iter_mut().enumerate() {
            let awake = (place + turn * wakes) % sessions < wakes;
            *slept = if awake { 1.0 } else { *slept + EVERY };
        }
        let asked = 100.0 + EVERY * turn as f64;
        let begun = Instant::now();
        let mut list = ProcessList::default();
        if let Some(follower) = &mut follower {
            follower.begin(Listing { asked, own_host: Some("10.0.9.9:1"), ..Listing::default() });
        }
        for (place, host) in hosts.iter().enumerate() {
            let row = RawRow {
                id: Some(place as u64),
                user: Some("app".to_owned()),
                host: Some(host.clone()),
                command: Some("Sleep".to_owned()),
                time: Some(slept[place]),
            };
            if let Some(follower) = &mut follower {
                let row = Row { id: place as u64, user: "app", host, command: "Sleep", time: row.time };
                follower.see(row, Whose::Application, asked + 0.01);
            }
            list.take(row, |_| false, &BTreeSet::new());
        }
        black_box(list);
        if let Some(follower) = &mut follower {
            black_box(follower.end(asked + 0.02, true, Counters::default()));
        }
        if turn > 2 {
            best = best.min(begun.elapsed().as_secs_f64());
        }
    }
    best
}

fn hosts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("10.0.{}.{}:{}", number % 4, number % 20, 1024 + number)).collect()
}

/// The memory of this process, in bytes.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/statm").expect("Linux tells it");
    let pages: f64 = status.split(' ').nth(1).expect("two numbers").parse().expect("a number");
    pages * 4096.0
}

fn main() {
    let few = hosts(5_000);
    let mut follower = Follower::new();
    let counted = rounds(None, &few, 3_000, 12);
    let followed = rounds(Some(&mut follower), &few, 3_000, 12);
    println!(
        "a round over 5,000 sessions, 3,000 of which woke: {:.2} ms counted, {:.2} ms counted and followed",
        counted * 1e3,
        followed * 1e3
    );
    let many = hosts(20_000);
    let before = resident();
    let mut follower = Follower::new();
    let seconds = rounds(Some(&mut follower), &many, 3_000, 12);
    println!(
        "20,000 sessions: {:.2} ms a round, {} bytes each in the tree at most, {:.0} bytes each of resident memory",
        seconds * 1e3,
        follower.bytes() / follower.len(),
        (resident() - before) / follower.len() as f64
    );
}
