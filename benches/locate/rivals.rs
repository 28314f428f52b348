//! What others do: one connection at a time, doubling and then bisecting, as studies of NAT lifetimes do,
//! and a ladder of fixed ages side by side.

use super::domain::limit::ladder::Ladder;
use super::quantile;
use super::world::Random;

/// Where doubling begins, in seconds: the first rung of the default ladder.
const FIRST_AGE: f64 = 25.0;
/// The bracket that ends a search: its middle is within one per cent of every limit inside.
const SHARP: f64 = 0.02;

/// How a search on one connection went.
pub(crate) struct Bisected {
    /// The time it took, in seconds; the connection was held all the time.
    pub(crate) time: f64,
    /// Whether the bracket holds the true limit.
    pub(crate) is_right: bool,
}

/// Doubles the age until a session dies, then halves the bracket, one life after the other.
pub(crate) fn bisect(limit: f64, is_audible: bool, noise: f64, seed: u64) -> Bisected {
    let mut random = Random::new(seed);
    let (mut lower, mut upper, mut time) = (0.0, f64::INFINITY, 0.0);
    let mut age = FIRST_AGE;
    while upper - lower > SHARP * lower {
        let is_odd = random.share() < noise;
        let is_dead = (age >= limit) != is_odd;
        if is_dead && is_audible {
            let heard = if is_odd { age * random.share() } else { limit };
            return Bisected { time: time + heard, is_right: !is_odd };
        }
        time += age;
        if is_dead {
            upper = age
        } else {
            lower = age
        }
        age = if upper.is_finite() { (lower + upper) / 2.0 } else { age * 2.0 };
        if age < 1.0 {
            return Bisected { time, is_right: false };
        }
    }
    Bisected { time, is_right: lower < limit && limit <= upper }
}

/// Prints a table of the rivals.
pub(crate) fn compare(is_audible: bool, limits: &[f64], ladder: &Ladder) {
    println!("| rival | noise | connections | to ±1 %: median | 95th | right | connection-seconds |");
    println!("|---|---|---|---|---|---|---|");
    for noise in [0.0, 0.02] {
        let found: Vec<Bisected> = limits
            .iter()
            .enumerate()
            .map(|(seed, &limit)| bisect(limit, is_audible, noise, seed as u64))
            .collect();
        let times: Vec<f64> = found.iter().zip(limits).map(|(found, limit)| found.time / limit).collect();
        let right = 100.0 * found.iter().filter(|found| found.is_right).count() as f64 / found.len() as f64;
        println!(
            "| one at a time: double, then bisect | {:.0} % | 1 | {:.2} | {:.2} | {right:.1} % | {:.1} |",
            noise * 100.0,
            quantile(times.clone(), 0.5),
            quantile(times.clone(), 0.95),
            quantile(times, 0.5),
        );
    }
    let rungs = ladder.ages().len();
    if is_audible {
        println!(
            "| fixed ladder, all rungs at once | 0 % | {rungs} | 1.00 | 1.00 | 100.0 % | {rungs} at most |"
        );
        return;
    }
    let bounds = |limit: f64| {
        let upper = ladder.ages().iter().copied().find(|&rung| rung >= limit).unwrap_or(f64::INFINITY);
        let lower = ladder.ages().iter().copied().rfind(|&rung| rung < limit).unwrap_or(0.0);
        (lower, upper)
    };
    let times: Vec<f64> = limits.iter().map(|&limit| bounds(limit).1 / limit).collect();
    let widths: Vec<f64> =
        limits.iter().map(|&limit| 50.0 * (bounds(limit).1 / bounds(limit).0 - 1.0)).collect();
    println!(
        "| fixed ladder, all rungs at once | 0 % | {rungs} | never: ±{:.0} % (median) after {:.2} | {:.2} | 100.0 % | |",
        quantile(widths, 0.5),
        quantile(times.clone(), 0.5),
        quantile(times, 0.95),
    );
}
