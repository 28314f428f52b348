//! Locates thousands of hidden limits in virtual time.

use mysql_canary_exporter::domain;

#[path = "locate/world.rs"]
mod world;

use domain::ladder::Ladder;
use world::{Random, Search, Truth, World, search};

const LANDMARKS: [f64; 22] = [
    30.0, 50.0, 60.0, 240.0, 270.0, 300.0, 340.0, 350.0, 360.0, 600.0, 900.0, 910.0, 1200.0, 1800.0, 3600.0,
    7200.0, 7440.0, 8000.0, 10800.0, 14400.0, 21600.0, 28800.0,
];

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let ladder = Ladder::default();
    if let Some(t) = args.iter().find_map(|a| a.strip_prefix("t=")) {
        let get = |k: &str, d: f64| args.iter().find_map(|a| a.strip_prefix(k)).map_or(d, |v| v.parse().expect("number"));
        let truth = Truth { limit: t.parse().expect("n"), audible: get("aud=", 0.0) > 0.0, noise: get("noise=", 0.0) };
        let mut world = World::new(truth, get("b=", 12.0) as usize, &ladder, &LANDMARKS, get("seed=", 1.0) as u64);
        world.verbose = true;
        println!("{:?}", search(&mut world, 40.0));
        return;
    }
    if args.iter().any(|a| a == "moves") {
        for audible in [false, true] {
            for budget in [6, 12, 24] {
                let mut random = Random::new(3);
                let mut seen = Vec::new();
                for i in 0..200 {
                    let old = 26.0 * (28000.0_f64 / 26.0).powf(random.share());
                    let new = if i % 2 == 0 { old * (1.1 + 4.0 * random.share()) } else { old / (1.1 + 10.0 * random.share()) };
                    let new = new.clamp(26.0, 29000.0);
                    let truth = Truth { limit: old, audible, noise: 0.0 };
                    let mut world = World::new(truth, budget, &ladder, &LANDMARKS, i);
                    let start = world.now + old * (6.0 + random.share());
                    while world.step(start) {}
                    let m = world::follow(&mut world, new, 6.0);
                    seen.push((m, old, new));
                }
                for (up, name) in [(true, "up"), (false, "down")] {
                    let mut some: Vec<_> = seen.iter().filter(|s| (s.2 > s.1) == up).collect();
                    some.sort_by(|a, b| a.0.bracketed.total_cmp(&b.0.bracketed));
                    let q = |f: fn(&world::Move) -> f64, s: f64| quantile(&mut some.iter().map(|r| f(&r.0)).collect::<Vec<_>>(), s);
                    println!("{audible} {budget} {name} noticed {:.2} {:.2} bracketed {:.2} {:.2} located {:.2} {:.2} worst {:?}", q(|m| m.noticed, 0.5), q(|m| m.noticed, 1.0),
                     q(|m| m.bracketed, 0.5), q(|m| m.bracketed, 1.0), q(|m| m.located, 0.5), q(|m| m.located, 1.0), some.last());
                }
            }
        }
        return;
    }
    if args.iter().any(|a| a == "steady") {
        for budget in [3, 6, 12, 24] {
            let truth = Truth { limit: f64::INFINITY, audible: false, noise: 0.0 };
            let mut world = World::new(truth, budget, &ladder, &LANDMARKS, 1);
            for hour in 0..48 {
                let (logins, held) = (world.logins, world.held); world.peak = 0;
                while world.step(world::START + 3600.0 * f64::from(hour + 1)) {}
                print!("{}/{}/{:.0} ", world.logins - logins, world.peak, (world.held - held) / 3600.0);
            }
            println!();
        }
        return;
    }
    let n: usize = args.iter().find_map(|a| a.strip_prefix("n=")).map_or(2000, |v| v.parse().expect("n"));
    let mut random = Random::new(7);
    let arbitrary: Vec<f64> = (0..n).map(|_| 26.0 * (28000.0_f64 / 26.0).powf(random.share())).collect();
    let catalogued: Vec<f64> = (0..n / 10).flat_map(|_| LANDMARKS).collect();
    for audible in [false, true] {
        for noise in [0.0, 0.02] {
            for budget in [6, 12, 24] {
                let wants = |k: &str, v: String| args.iter().find_map(|a| a.strip_prefix(k)).is_none_or(|w| w == v);
                if !wants("B=", budget.to_string()) || !wants("A=", audible.to_string()) || !wants("N=", noise.to_string()) { continue; }
                for (name, limits) in [("arbitrary", &arbitrary), ("catalogued", &catalogued)] {
                    let runs: Vec<(f64, Search, usize)> = limits.iter().take(if noise == 0.0 && name == "catalogued" { 22 } else { usize::MAX }).enumerate()
                        .map(|(i, &limit)| {
                            let truth = Truth { limit, audible, noise };
                            (limit, search(&mut World::new(truth, budget, &ladder, &LANDMARKS, i as u64), 40.0), i)
                        })
                        .collect();
                    let q = |f: fn(&Search) -> f64, s: f64| quantile(&mut runs.iter().map(|r| f(&r.1)).collect::<Vec<_>>(), s);
                    let right = runs.iter().filter(|r| r.1.is_right).count() as f64 / runs.len() as f64;
                    println!(
                        "{audible:5} noise {noise:.2} budget {budget:2} {name:10} sharp {:.3} {:.3} max {:.2} located {:.3} {:.3} held {:.1} {:.1} logins {:.0} right {:.4}",
                        q(|s| s.sharp, 0.5), q(|s| s.sharp, 0.95), q(|s| s.sharp, 1.0), q(|s| s.located, 0.5), q(|s| s.located, 0.95),
                        q(|s| s.held, 0.5), q(|s| s.held_located, 0.5), q(|s| s.logins as f64, 0.5), right
                    );
                    if args.iter().any(|a| a == "worst") {
                        let mut w = runs.clone(); w.sort_by(|a, b| b.1.located.total_cmp(&a.1.located));
                        for r in w.iter().take(4) { println!("   {r:?}"); }
                        for r in w.iter().filter(|r| !r.1.is_right).take(3) { println!("   WRONG {r:?}"); }
                    }
                }
            }
        }
    }
}
