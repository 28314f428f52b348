//! Locates thousands of hidden idle limits in virtual time, beside what others do, and draws the result.
//!
//! `cargo bench --bench locate` prints the tables of BENCHMARKS.md and writes docs/locate.svg. The same
//! code gives the same numbers on every machine. `cargo bench --bench locate -- moves` looks at limits that move only.

use std::path::Path;
use std::thread;

use mysql_canary_exporter::domain;

#[path = "locate/picture.rs"]
mod picture;
#[path = "locate/rivals.rs"]
mod rivals;
#[path = "locate/world.rs"]
mod world;

use domain::layers::catalogue;
use domain::limit::ladder::Ladder;
use picture::Curve;
use world::{Found, Random, START, Search, Truth, World};

/// How many limits are drawn, evenly on the logarithm.
const ARBITRARY: usize = 2000;
/// Between which ages, in seconds.
const SHORTEST_LIMIT: f64 = 26.0;
const LONGEST_LIMIT: f64 = 28_000.0;
/// How many times every catalogued limit is searched for where outcomes are random.
const REPEATS: usize = 50;
/// How much later than its default a timer may fire, as a share.
const LATENESS: f64 = 0.02;
/// How long a probe waits for its answer by default, in seconds.
const DEADLINE: f64 = 10.0;
/// How often a limit is moved, in each way that it can be.
const MOVES: usize = 40;
/// After how many lengths of the limit a search is given up.
const PATIENCE: f64 = 60.0;

fn main() {
    let ladder = Ladder::default();
    let common_timeouts = catalogue::common_timeouts();
    if std::env::args().any(|word| word == "moves") {
        return moves(&ladder, &common_timeouts);
    }
    let mut random = Random::new(7);
    let ratio = LONGEST_LIMIT / SHORTEST_LIMIT;
    let arbitrary: Vec<f64> = (0..ARBITRARY).map(|_| SHORTEST_LIMIT * ratio.powf(random.share())).collect();
    let is_spanned = |limit: &f64| *limit > ladder.ages()[0] && *limit < ladder.longest();
    let catalogued: Vec<f64> = common_timeouts.iter().copied().filter(is_spanned).collect();
    let repeated: Vec<f64> = (0..REPEATS).flat_map(|_| catalogued.clone()).collect();
    let run = |limits: &[f64], budget, audible, noise| {
        let truth = |limit| Truth { limit, audible, noise, deadline: 0.0 };
        search_all(limits, &truth, budget, &ladder, &common_timeouts)
    };

    let mut curves = Vec::new();
    for (is_audible, name) in [(false, "Silent deaths"), (true, "Audible deaths")] {
        println!("\n{name}\n");
        println!(
            "| limits | noise | canaries | sharp: median | 95th | confirmed: median | right | settled: median | 95th | right | connection-seconds | logins |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
        for noise in [0.0, 0.02] {
            for budget in [6, 12, 24] {
                let found = run(&arbitrary, budget, is_audible, noise);
                row("arbitrary", noise, budget, &found);
                if !is_audible && noise == 0.0 {
                    let times = found.iter().map(|search| search.sharp.time).collect();
                    curves.push(Curve { name: format!("{budget} canaries"), times });
                }
                let known = if noise > 0.0 { &repeated } else { &catalogued };
                row("catalogued", noise, budget, &run(known, budget, is_audible, noise));
            }
        }
        if !is_audible {
            let late =
                repeated.iter().map(|limit| limit * (1.0 + LATENESS * random.share())).collect::<Vec<_>>();
            row("catalogued, up to 2 % late", 0.0, 12, &run(&late, 12, false, 0.0));
            let waiting = |limit| Truth { limit, audible: false, noise: 0.0, deadline: DEADLINE };
            let found = search_all(&arbitrary, &waiting, 12, &ladder, &common_timeouts);
            row("arbitrary, deadline 10 s", 0.0, 12, &found);
        }
        println!();
        rivals::compare(is_audible, &arbitrary, &ladder);
    }
    let times = arbitrary.iter().map(|&limit| rivals::bisect(limit, false, 0.0, 0).time / limit).collect();
    curves.push(Curve { name: "one at a time: double, then bisect".to_owned(), times });
    moves(&ladder, &common_timeouts);
    steady(&ladder, &common_timeouts);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/locate.svg");
    match std::fs::write(&file, picture::draw(&curves)) {
        Ok(()) => println!("\ndrawn: docs/locate.svg"),
        Err(error) => println!("\nnot drawn: docs/locate.svg: {error}"),
    }
}

/// Searches for every limit, on all processors.
fn search_all(
    limits: &[f64],
    truth: &(impl Fn(f64) -> Truth + Sync),
    budget: usize,
    ladder: &Ladder,
    common_timeouts: &[f64],
) -> Vec<Search> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let part = limits.len().div_ceil(threads).max(1);
    let search = |seed: usize, limit: f64| {
        let mut world = World::new(truth(limit), budget, ladder, common_timeouts, seed as u64);
        let search = world::search(&mut world, PATIENCE);
        assert!(world.peak <= budget, "the budget is hard");
        search
    };
    thread::scope(|scope| {
        let parts: Vec<_> = limits
            .chunks(part)
            .enumerate()
            .map(|(number, limits)| {
                scope.spawn(move || {
                    let one = |(place, &limit): (usize, &f64)| search(number * part + place, limit);
                    limits.iter().enumerate().map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("a search does not panic")).collect()
    })
}

fn row(limits: &str, noise: f64, budget: usize, found: &[Search]) {
    let times = |stage: fn(&Search) -> Found| found.iter().map(|s| stage(s).time).collect::<Vec<_>>();
    let right = |stage: fn(&Search) -> Found| {
        100.0 * found.iter().filter(|s| stage(s).is_right).count() as f64 / found.len() as f64
    };
    println!(
        "| {limits} ({}) | {:.0} % | {budget} | {:.2} | {:.2} | {:.2} | {:.1} % | {:.2} | {:.2} | {:.1} % | {:.1} | {:.0} |",
        found.len(),
        noise * 100.0,
        quantile(times(|s| s.sharp), 0.5),
        quantile(times(|s| s.sharp), 0.95),
        quantile(times(|s| s.confirmed), 0.5),
        right(|s| s.confirmed),
        quantile(times(|s| s.settled), 0.5),
        quantile(times(|s| s.settled), 0.95),
        right(|s| s.settled),
        quantile(found.iter().map(|s| s.sharp.held).collect(), 0.5),
        quantile(found.iter().map(|s| s.logins as f64).collect(), 0.5),
    );
}

/// Limits that move after they were settled, up to five times the age or down to a tenth.
fn moves(ladder: &Ladder, common_timeouts: &[f64]) {
    println!("\nThe limit moves, 12 canaries, in lengths of the longer limit\n");
    println!(
        "| deaths | move | the old one reported last: median | most | the new one bracketed: most | settled: median |"
    );
    println!("|---|---|---|---|---|---|");
    let mut random = Random::new(13);
    for (audible, name) in [(false, "silent"), (true, "audible")] {
        for (least, most, way) in [(1.1, 5.0, "up"), (0.1, 0.9, "down")] {
            let mut seen = Vec::new();
            for seed in 0..MOVES {
                let limit = SHORTEST_LIMIT * (LONGEST_LIMIT / SHORTEST_LIMIT).powf(random.share());
                let moved =
                    (limit * (least + (most - least) * random.share())).clamp(SHORTEST_LIMIT, LONGEST_LIMIT);
                let truth = Truth { limit, audible, noise: 0.0, deadline: 0.0 };
                let mut world = World::new(truth, 12, ladder, common_timeouts, seed as u64);
                let start = world.now + limit * (4.0 + random.share());
                while world.step(start) {}
                seen.push(world::follow(&mut world, moved, 6.0));
            }
            let noticed: Vec<f64> = seen.iter().map(|seen| seen.noticed).collect();
            println!(
                "| {name} | {way} | {:.2} | {:.2} | {:.2} | {:.2} |",
                quantile(noticed.clone(), 0.5),
                quantile(noticed, 1.0),
                quantile(seen.iter().map(|seen| seen.bracketed).collect(), 1.0),
                quantile(seen.iter().map(|seen| seen.settled).collect(), 0.5),
            );
        }
    }
}

/// A day on which nothing dies, from the eleventh hour on.
fn steady(ladder: &Ladder, common_timeouts: &[f64]) {
    println!("\nNothing dies, 24 hours after the ladder's end was reached\n");
    println!("| canaries | most connections | connections held on average | most logins in an hour |");
    println!("|---|---|---|---|");
    for budget in [6, 12, 24] {
        let truth = Truth { limit: f64::INFINITY, audible: false, noise: 0.0, deadline: 0.0 };
        let mut world = World::new(truth, budget, ladder, common_timeouts, 1);
        let (mut peak, mut most, mut held) = (0, 0, 0.0);
        for hour in 1..=34 {
            let (logins, held_before) = (world.logins, world.held);
            world.peak = 0;
            while world.step(START + 3600.0 * f64::from(hour)) {}
            if hour > 10 {
                peak = peak.max(world.peak);
                most = most.max(world.logins - logins);
                held += world.held - held_before;
            }
        }
        println!("| {budget} | {peak} | {:.1} | {most} |", held / 3600.0 / 24.0);
    }
}

/// The value below which this share of the values lies.
fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}
