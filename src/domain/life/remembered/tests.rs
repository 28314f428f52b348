use super::*;
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, Observation};

const NOW: f64 = 1.8e9;
const HOUR: f64 = 3600.0;

fn seen(age: f64) -> History {
    let mut history = History::default();
    history.push(Observation { at: NOW, kind: Kind::Idle, age, fate: Fate::Lived, server: None });
    history
}

fn name(path: &str) -> PathName {
    PathName::new("shop", path)
}

fn there(paths: &[&str]) -> BTreeSet<PathName> {
    paths.iter().map(|path| name(path)).collect()
}

/// The longest age seen on a path that is taken up, and what was dropped.
fn taken_up(
    remembered: &mut Remembered,
    path: &str,
    against: &str,
    now: f64,
) -> (Option<f64>, Option<String>) {
    let TakenUp { history, dropped } = remembered.take_up(&name(path), against, now);
    (history.iter().next().map(|seen| seen.age), dropped)
}

/// Two paths that are there, each with a life of its own age.
fn two() -> Remembered {
    let mut remembered = Remembered::default();
    for (path, age) in [("direct", 25.0), ("lb", 40.0)] {
        assert_eq!(taken_up(&mut remembered, path, "db:3306", NOW), (None, None));
        assert!(remembered.keep(&name(path), "db:3306", seen(age)));
    }
    remembered.retain(&there(&["direct", "lb"]), NOW);
    remembered
}

#[test]
fn each_path_has_its_own() {
    let mut remembered = two();
    assert_eq!(taken_up(&mut remembered, "direct", "db:3306", NOW), (Some(25.0), None));
    assert_eq!(taken_up(&mut remembered, "lb", "DB:3306", NOW), (Some(40.0), None), "the same host");
    assert_eq!(taken_up(&mut remembered, "third", "db:3306", NOW), (None, None));
    let elsewhere = taken_up(&mut remembered, "lb", "db:3307", NOW);
    assert_eq!(elsewhere, (None, Some("DB:3306".to_owned())), "told once");
    assert_eq!(taken_up(&mut remembered, "lb", "db:3307", NOW), (None, None));
}

#[test]
fn what_comes_late_from_where_a_path_led_before_is_not_kept() {
    let mut remembered = two();
    taken_up(&mut remembered, "lb", "db:3307", NOW);
    assert!(!remembered.keep(&name("lb"), "db:3306", seen(99.0)), "the old loop's last word");
    assert!(!remembered.keep(&name("unheard"), "db:3306", seen(99.0)));
    assert_eq!(taken_up(&mut remembered, "lb", "db:3307", NOW), (None, None));
    assert!(remembered.keep(&name("lb"), "db:3307", seen(2.0)));
    assert_eq!(taken_up(&mut remembered, "lb", "db:3307", NOW), (Some(2.0), None));
}

#[test]
fn what_left_is_kept_for_a_day_from_when_it_left() {
    // Hours after it left, and whether it is still known then.
    for (hours, known) in [(0.0, true), (23.9, true), (24.0, false), (100.0, false), (-5.0_f64, true)] {
        let mut remembered = two();
        remembered.retain(&there(&["direct"]), NOW);
        assert!(remembered.keep(&name("lb"), "db:3306", seen(41.0)), "its last words are kept");
        // Later reloads do not begin the day anew.
        remembered.retain(&there(&["direct"]), NOW + hours.min(23.0) * HOUR);
        let age = taken_up(&mut remembered, "lb", "db:3306", NOW + hours * HOUR).0;
        assert_eq!(age, known.then_some(41.0), "{hours} h");
        assert_eq!(taken_up(&mut remembered, "direct", "db:3306", NOW + hours * HOUR).0, Some(25.0));
    }
}

#[test]
fn what_came_back_leaves_anew() {
    let mut remembered = two();
    remembered.retain(&there(&[]), NOW);
    remembered.retain(&there(&["direct", "lb"]), NOW + 20.0 * HOUR);
    remembered.retain(&there(&["direct"]), NOW + 30.0 * HOUR);
    assert_eq!(taken_up(&mut remembered, "lb", "db:3306", NOW + 50.0 * HOUR).0, Some(40.0));
    let mut elsewhere = two();
    elsewhere.retain(&there(&[]), NOW);
    let back = taken_up(&mut elsewhere, "lb", "db:9", NOW + HOUR);
    assert_eq!(back, (None, Some("db:3306".to_owned())), "it came back to another place");
}

#[test]
fn a_calendar_set_back_makes_nobody_leave_in_the_future() {
    let mut remembered = two();
    remembered.retain(&there(&["direct"]), NOW);
    remembered.forget_departed(NOW - 1000.0 * HOUR);
    assert!(remembered.paths.contains_key(&name("lb")));
    remembered.forget_departed(NOW - 975.0 * HOUR);
    assert!(!remembered.paths.contains_key(&name("lb")), "a day after it was set back");
}

#[test]
fn of_too_many_that_left_those_that_left_last_are_kept() {
    let mut remembered = Remembered::default();
    let all: Vec<PathName> = (0..MOST_PATHS).map(|number| name(&format!("{number:04}"))).collect();
    for of in &all {
        remembered.take_up(of, "db:3306", NOW);
    }
    for gone in 0..=all.len() {
        remembered.retain(&all[gone..].iter().cloned().collect(), NOW + gone as f64);
        let departed = remembered.paths.values().filter(|known| known.left_at.is_some()).count();
        assert_eq!(departed, gone.min(MOST_DEPARTED));
    }
    assert_eq!(remembered.paths.keys().next(), Some(&all[MOST_PATHS - MOST_DEPARTED]));
    // Those that are there come first.
    for of in &all[..MOST_PATHS - 1] {
        remembered.take_up(of, "db:3306", NOW + 2000.0);
    }
    assert_eq!(remembered.paths.len(), MOST_PATHS);
    assert!(remembered.to_text().is_ok());
    for more in ["a", "b"] {
        remembered.take_up(&name(more), "db:3306", NOW + 2000.0);
    }
    remembered.forget_departed(NOW + 2000.0);
    assert!(!remembered.paths.contains_key(&all[MOST_PATHS - 1]));
}
