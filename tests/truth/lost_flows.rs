//! A firewall that forgets flows which were not idle too long: all at one moment, or one here and there.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::runs::repeat;
use super::standing::{assert_says, summary, verdict};
use super::{assert_no_limit, on};
use crate::exporter::{Exporter, Launch, Page};
use crate::lab::{Firewall, FirewallOptions, OnInvalid, wait_for};

fn firewall_that_keeps(on_invalid: OnInvalid) -> Firewall {
    Firewall::start(FirewallOptions { established_timeout_s: 3600, on_invalid, ..FirewallOptions::default() })
}

/// No idle limit is confirmed, and no timer named for it.
#[track_caller]
fn assert_no_limit_is_believed(page: &Page, exporter: &Exporter<'_>) {
    let confirmed = page.sum("idle_limit_confirmed", &[("kind", "idle")]);
    assert_eq!(confirmed, 0.0, "{}\n{}", summary(page), exporter.log());
}

/// Nobody but lost state is accused. How many deaths are its, and how many nobody's.
#[track_caller]
fn assert_only_lost_state(exporter: &Exporter<'_>) -> (usize, usize) {
    let deaths = exporter.events("death");
    let of = |culprit: &str| deaths.iter().filter(|death| death["culprit"] == culprit).count();
    let (lost, unknown) = (of("network_state_loss"), of("unknown"));
    println!("{lost} of lost state, {unknown} unknown");
    assert_eq!(lost + unknown, deaths.len(), "another is accused:\n{}", exporter.log());
    (lost, unknown)
}

/// Waits until canaries are held, young ones and old ones: two or three that were lost at a moment are told as unknown,
/// and rightly so.
fn wait_for_many(firewall: &Firewall) {
    wait_for("young and old canaries", Duration::from_secs(60), || {
        let sessions = firewall.server().processlist().into_iter();
        let held = sessions.filter(|session| session.user == "canary" && session.command == "Sleep");
        let ages: Vec<i64> = held.map(|session| session.time).filter(|age| *age >= 1).collect();
        let (young, old) = (ages.iter().min()?, ages.iter().max()?);
        (ages.len() >= 5 && *young <= 2 && *old >= 5).then_some(())
    });
}

/// A flush in the moment of a login makes that one fail, and a path on which logins fail is taken for an outage: what died
/// then is void. And where the first that are found dead have the others recalled, too few are left to tell. Both say
/// nothing wrong, and nothing of the flush: it is tried again.
fn check_flush(on_invalid: OnInvalid, ending: &str) {
    const TRIES: usize = 3;
    assert!((0..TRIES).any(|_| flush(on_invalid, ending)), "none of {TRIES} flushes was told as what it is");
}

/// Whether the flush was told as what it is; it never accuses anybody.
fn flush(on_invalid: OnInvalid, ending: &str) -> bool {
    let firewall = firewall_that_keeps(on_invalid);
    // So many rungs that many are held at once.
    let launch = Launch::behind(&firewall).ages("2s,3s,4s,5s,6s,8s,10s,13s");
    let exporter = launch.args(&["--canary.probe-timeout=2s"]).start();
    let survivors = |count: f64| {
        exporter.wait_for_metrics("survivors", Duration::from_secs(60), |page| {
            assert_no_limit_is_believed(page, &exporter);
            page.sum("lives_total", &[]) - page.sum("deaths_total", &[]) >= count
        })
    };
    let before = survivors(4.0);
    wait_for_many(&firewall);
    firewall.forget_all();
    let begun = Instant::now();
    let lost = |page: &Page| page.sum("deaths_total", &[("culprit", "network_state_loss")]);
    let met_a_login = || !exporter.events("connect_failed").is_empty();
    let is_over = |page: &Page| {
        let are_unknown = page.sum("deaths_total", &[("culprit", "unknown")]) > 0.0;
        // Those that came after have lived to every age that somebody died at.
        are_unknown && page.values("idle_limit_upper_seconds", &[]).is_empty() || met_a_login()
    };
    // The older of them wait for those that live as long now: four times their age, and that once more for each other.
    let page = exporter.wait_for_metrics("the verdict on the lost ones", Duration::from_secs(150), |page| {
        assert_no_limit_is_believed(page, &exporter);
        lost(page) >= 2.0 || is_over(page)
    });
    if lost(&page) < 2.0 {
        assert_only_lost_state(&exporter);
        println!("not told: a login was met ({}), or too few were left", met_a_login());
        return false;
    }
    println!("told {:.1} s after the flush", begun.elapsed().as_secs_f64());
    let lived = before.sum("lives_total", &[]) - before.sum("deaths_total", &[]);
    survivors(lived + 8.0);
    let (lost, unknown) = assert_only_lost_state(&exporter);
    assert!(unknown <= 1, "{unknown} unknown beside {lost}:\n{}", exporter.log());
    for death in exporter.events("death") {
        assert_eq!(death["ending"], ending, "{death}");
    }
    // One that was older than those are that came after waits for one of its own age.
    exporter.wait_for_metrics("no limit", Duration::from_secs(60), |page| {
        assert_no_limit_is_believed(page, &exporter);
        page.values("idle_limit_upper_seconds", &[]).is_empty()
    });
    assert_no_limit(&exporter);
    assert_says(&exporter, &["No canary died of idleness", "forgot its flows"], &["KILL"]);
    println!("{}", verdict(&exporter));
    true
}

#[test]
fn flush_of_a_firewall_that_drops() {
    repeat(|| check_flush(OnInvalid::Drop, "silence"));
}

#[test]
fn flush_of_a_firewall_that_resets() {
    repeat(|| check_flush(OnInvalid::RejectWithReset, "reset_on_use"));
}

/// A table that is full: every two seconds it forgets a flow, whichever it is.
#[test]
fn firewall_that_forgets_here_and_there() {
    repeat(|| {
        let firewall = firewall_that_keeps(OnInvalid::Drop);
        let mut exporter = on(Launch::behind(&firewall)).start();
        let begun = Instant::now();
        let (mut evicted, mut turn) = (0, 0);
        while begun.elapsed() < Duration::from_secs(50) {
            let sessions = firewall.server().processlist();
            let ports: Vec<u16> = sessions
                .iter()
                .filter(|session| session.user == "canary")
                .filter_map(|session| session.host.rsplit_once(':')?.1.parse().ok())
                .collect();
            // Steps of five through a list that moves by one or two come by every place of it.
            if let Some(port) = ports.get(turn % ports.len().max(1)) {
                evicted += firewall.forget(&[*port]);
            }
            turn += 5;
            for _ in 0..20 {
                assert_no_limit_is_believed(&exporter.metrics(), &exporter);
                sleep(Duration::from_millis(100));
            }
        }
        assert!(evicted >= 8, "{evicted} flows were forgotten");
        println!("{evicted} flows forgotten");
        // At its end it decides what still waits.
        exporter.terminate();
        let (lost, unknown) = assert_only_lost_state(&exporter);
        assert!(lost + unknown >= 3, "{lost} and {unknown}:\n{}", exporter.log());
    });
}
