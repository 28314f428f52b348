//! Generated worlds in virtual time against the whole core: schedule, endings, judgement, culprits, limit, in the real loop. The oracle knows what every world did. Wanted are:
//!
//! - no culprit that the world refutes, in any world;
//! - "unknown" in at most 5 % of the deaths after the first ten minutes, over all worlds;
//! - a limit that was confirmed is withdrawn at most once for each real change.
//!
//! `MYSQL_CANARY_WORLDS=10000` says how many (`make worlds`), `MYSQL_CANARY_WORLD=7` runs one and tells all of
//! it.

mod log;
mod nature;
mod network;
mod oracle;
mod random;

use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use nature::Nature;
use oracle::Findings;

/// How many worlds the suite runs: without optimization each takes a quarter of a minute.
const FEW: u64 = if cfg!(debug_assertions) { 4 } else { 300 };
/// What is reached so far, as shares: culprits that are refuted, of all deaths; unknown ones, of the deaths after ten
/// minutes; worlds whose limit flaps. None, 5 % and none are wanted. Lower these as the rules get better.
const REACHED: (f64, f64, f64) = (0.03, 0.09, 0.3);

fn number(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")))
}

fn judge(seed: u64, is_told: bool) -> Findings {
    let nature = Nature::of(seed);
    let (deaths, reports) = network::run(&nature);
    let findings = oracle::judge(&nature, &deaths, &reports);
    if is_told {
        println!("world {seed}: {nature:#?}");
        deaths.iter().for_each(|death| println!("{death:?}"));
        reports.iter().for_each(|report| println!("{report:?}"));
        println!("{findings:?}");
    }
    findings
}

#[test]
fn no_world_refutes_what_is_said_of_it() {
    if let Some(seed) = number("MYSQL_CANARY_WORLD") {
        assert!(judge(seed, true).wrong.is_empty());
        return;
    }
    let (next, count) = (AtomicU64::new(0), number("MYSQL_CANARY_WORLDS").unwrap_or(FEW));
    let all = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    let findings = judge(seed, false);
                    all.lock().expect("no judge panics holding it").push((seed, findings));
                }
            });
        }
    });
    let mut all = all.into_inner().expect("no judge panics holding it");
    all.sort_by_key(|(seed, _)| *seed);
    let sum = |count: fn(&Findings) -> usize| all.iter().map(|(_, findings)| count(findings)).sum::<usize>();
    let (late, unknown) = (sum(|f| f.late_deaths), sum(|f| f.late_unknown));
    let share = unknown as f64 / late.max(1) as f64;
    println!(
        "{} worlds, {} deaths, {} void; refuted culprits: {}; unknown after ten minutes: {unknown} of {late} ({:.2} %); \
         limits confirmed in {} worlds, withdrawn {} times for {} real changes; worlds with a withdrawal too many: {}; \
         worlds with a wrong limit at the end: {}",
        all.len(),
        sum(|f| f.deaths),
        sum(|f| f.voided),
        sum(|f| f.wrong.len()),
        100.0 * share,
        sum(|f| usize::from(f.was_confirmed)),
        sum(|f| f.withdrawn),
        sum(|f| f.changes),
        sum(|f| usize::from(f.withdrawn > f.changes)),
        sum(|f| usize::from(f.wrong_limit.is_some())),
    );
    for (seed, findings) in &all {
        for wrong in findings.wrong.iter().chain(&findings.wrong_limit) {
            println!("seed {seed}: {wrong}");
        }
        if findings.withdrawn > findings.changes {
            println!("seed {seed}: withdrawn {} times for {} changes", findings.withdrawn, findings.changes);
        }
    }
    let mut blamed: Vec<(u64, usize)> =
        all.iter().map(|(seed, f)| (*seed, f.late_unknown)).filter(|(_, unknown)| *unknown > 0).collect();
    blamed.sort_by_key(|(_, unknown)| std::cmp::Reverse(*unknown));
    println!("most unknown: {:?}", &blamed[..blamed.len().min(12)]);
    let wrong = sum(|f| f.wrong.len()) as f64 / sum(|f| f.deaths).max(1) as f64;
    let flapping = sum(|f| usize::from(f.withdrawn > f.changes)) as f64 / all.len() as f64;
    assert!(wrong <= REACHED.0, "{:.2} % of the culprits are refuted by their worlds", 100.0 * wrong);
    assert!(share <= REACHED.1, "{:.2} % unknown", 100.0 * share);
    assert!(flapping <= REACHED.2, "the limit flaps in {:.0} % of the worlds", 100.0 * flapping);
}
