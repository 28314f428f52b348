//! A hundred reloads while canaries die: what did not change loses nothing, what is gone leaves nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use super::counters::Counters;
use super::file::{ConfigFile, Target};
use super::lives::Lives;
use super::{listed, mariadb, reload};
use crate::exporter::{Exporter, Launch};
use crate::lab::{HaProxy, Listing, Server, wait_for};

const RELOADS: usize = 100;
/// How many of our sessions a server may list.
const BOUND: usize = 12;

/// What the second target is at each of five reloads in turn, and whether it is there at all.
fn second(number: usize, server: &Server, proxy: &HaProxy) -> Option<Target> {
    let bound = |keys: &str| {
        let target = Target::new("comes", "2s,5s,60s").path("direct", server.addr());
        target.canary(&format!("max_connections_per_target: {BOUND}{keys}"))
    };
    match number % 5 {
        0 => None,
        1 => Some(bound("")),
        2 => Some(bound("").path("lb", proxy.addr())),
        3 => Some(bound(", precision: 2%").line("pools: [{name: api, user: app, recycle: 1m}]")),
        _ => Some(bound("").ages("3s,6s,60s")),
    }
}

#[test]
fn a_hundred_reloads_while_canaries_die() {
    let (first, other) = (mariadb(&[]), mariadb(&[]));
    let proxy = HaProxy::start(first.addr(), Duration::from_secs(4));
    let other_proxy = HaProxy::start(other.addr(), Duration::from_secs(4));
    let stays = Target::new("stays", "2s,5s,300s,600s")
        .canary(&format!("max_connections_per_target: {}", 2 * BOUND))
        .path("direct", first.addr())
        .path("lb", proxy.addr());
    let file = ConfigFile::of(std::slice::from_ref(&stays));
    let (mut lives, mut listing) = (Lives::of(&first, "stays"), Listing::of(&other, "canary"));
    let exporter = Launch::from_file(&file.path()).start();
    let dies = [("target", "stays"), ("path", "lb")];
    let idle = [dies[0], dies[1], ("kind", "idle")];
    let page = exporter.wait_for_metrics("the first life", Duration::from_secs(40), |page| {
        page.sum("lives_total", &dies) >= 1.0
    });
    assert!(page.values("idle_limit_upper_seconds", &idle).is_empty(), "the search is under way");
    file.write(&[stays.clone().line("pools: [{name: web, user: app, recycle: 1m}]")]);
    reload(&exporter);
    exporter.wait_for_metrics("the first deaths", Duration::from_secs(40), |page| {
        page.sum("deaths_total", &dies) >= 1.0
    });
    lives.hold(&exporter);
    let died_before = exporter.metrics().sum("deaths_total", &dies);

    let over = AtomicBool::new(false);
    let (scrapes, longest) = scope(|scope| {
        let scraper = scope.spawn(|| scrape_on(&exporter, &over));
        // Also where an assertion fails.
        let _over = Over(&over);
        let mut longest = Duration::ZERO;
        for number in 1..=RELOADS {
            let mut targets = vec![stays.clone()];
            if number % 7 == 0 {
                targets[0] = stays.clone().line("pools: [{name: web, user: app, recycle: 1m}]");
            }
            targets.extend(second(number, &other, &other_proxy));
            file.write(&targets);
            let begun = Instant::now();
            reload(&exporter);
            longest = longest.max(begun.elapsed());
            let page = exporter.metrics();
            let is_there = targets.len() == 2;
            assert_eq!(page.text().contains("target=\"comes\""), is_there, "after reload {number}");
            let has_lb = is_there && number % 5 == 2;
            assert_eq!(
                !page.values("lives_total", &[("target", "comes"), ("path", "lb")]).is_empty(),
                has_lb
            );
            if !is_there && number % 3 == 0 {
                wait_for("the end of what was removed", Duration::from_secs(3), || {
                    listed(&other).is_empty().then_some(())
                });
            }
            sleep(Duration::from_millis(if number % 10 == 4 { 2500 } else { 50 }));
        }
        over.store(true, Ordering::Relaxed);
        (scraper.join().expect("the scraper does not panic"), longest)
    });
    println!("{RELOADS} reloads, the longest {longest:?}; {scrapes} scrapes");
    assert!(scrapes > 100, "{scrapes} scrapes");
    lives.assert_none_lost(&exporter);
    let page = exporter.metrics();
    let died = page.sum("deaths_total", &dies) - died_before;
    assert!(died >= 2.0, "canaries died meanwhile: {died}");
    for reason in ["reload", "outage", "stalled"] {
        let voided = page.sum("voided_total", &[("target", "stays"), ("reason", reason)]);
        assert_eq!(voided, 0.0, "{reason}: {}", exporter.log());
    }
    assert_eq!(
        page.sum("deaths_total", &[("target", "stays"), ("path", "direct")]),
        0.0,
        "{}",
        exporter.log()
    );
    exporter.wait_for_metrics("the limit of the search that went on", Duration::from_secs(30), |page| {
        let info = [("path", "lb"), ("culprit", "proxy_idle_timeout")];
        page.sum("idle_limit_confirmed", &idle) == 1.0 && page.sum("idle_limit_info", &info) == 1.0
    });
    let told = exporter.events("mismatch");
    let told = told.iter().filter(|event| event["path"] == "lb" && event["rule"] == "paths_disagree");
    assert_eq!(told.filter(|event| event["target_name"] == "stays").count(), 1, "{}", exporter.log());
    // 100 is the second target's turn to be away.
    assert!(listed(&other).is_empty(), "leaked: {:?}", listed(&other));
    let most = [lives.most_at_once(), listing.most_at_once()];
    println!("at most {most:?} listed at once");
    assert!(most[0] <= 2 * BOUND && most[1] <= BOUND, "{most:?}\n{}", exporter.log());
    assert_eq!(first.status("Com_kill") + other.status("Com_kill"), 0);
}

/// Says that it is over when dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Scrapes until it is over: every page has every counter of the target that stays, none gone back.
fn scrape_on(exporter: &Exporter<'_>, over: &AtomicBool) -> usize {
    let mut counters = Counters::of("stays");
    let mut scrapes = 0;
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let page = exporter.metrics();
        assert!(begun.elapsed() < Duration::from_secs(5), "a scrape took {:?}", begun.elapsed());
        let count = counters.look(page.text()).unwrap_or_else(|wrong| panic!("{wrong}\n{}", exporter.log()));
        assert!(count > 50, "{count} counters");
        scrapes += 1;
        sleep(Duration::from_millis(20));
    }
    scrapes
}
