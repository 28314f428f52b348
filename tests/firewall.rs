//! A stateful firewall that forgets idle flows: silent and with RST, on a bad line, behind NAT, and with a
//! timeout that changes under way.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::exporter::{Exporter, Launch, Page};
use crate::lab::firewall::CLOCK_SLACK;
use crate::lab::{Firewall, FirewallOptions, Listing, LongWire, OnInvalid, wait_for};

/// What the firewall forgets after, in seconds.
const LIMIT: f64 = 8.0;
/// How long a ghost may stay on the server's list, in seconds: the witness is heard first (0.2 s of rest, a connect,
/// the probe's time once more for a late answer), then the server view comes by, once a second; a busy machine adds to both.
const HAUNTING: f64 = 3.0 + PROBE_TIMEOUT;
/// How long a probe's answer may take, in seconds.
const PROBE_TIMEOUT: f64 = 2.0;
const IDLE: [(&str, &str); 1] = [("kind", "idle")];

fn launch(firewall: &Firewall) -> Launch<'_> {
    Launch::behind(firewall).ages("3s,6s,10s,14s").args(&["--canary.probe-timeout=2s"])
}

/// Whether the bracket is this narrow, in seconds, and the rules may speak of it.
fn is_located(page: &Page, width: f64) -> bool {
    let narrow = page.bracket().is_some_and(|(lower, upper)| upper - lower <= width);
    narrow && page.sum("layer_mismatch", &[("rule", "path_shorter_than_server")]) == 1.0
}

/// Whether the limit is located and its twins were heard.
fn is_sharp_and_remedied(page: &Page) -> bool {
    is_located(page, 1.0) && page.values("remedy", &[]).len() == 2
}

/// Waits until the limit is located and its twins were heard.
#[track_caller]
fn wait_for_verdict(exporter: &Exporter<'_>, limit: Duration) -> Page {
    exporter.wait_for_metrics("a sharp limit and its remedies", limit, is_sharp_and_remedied)
}

/// The verdict on any firewall that counts packets, and nobody else accused.
#[track_caller]
fn assert_network_is_named(page: &Page, ending: &str) {
    let (lower, upper) = page.bracket().expect("a limit stands");
    assert!(
        lower <= LIMIT + CLOCK_SLACK && upper >= LIMIT - CLOCK_SLACK,
        "{LIMIT} s lie between {lower} and {upper}"
    );
    assert_eq!(
        page.one("idle_limit_info", &[("culprit", "network_idle_timeout"), ("layer", "network")]),
        1.0
    );
    assert_eq!(page.one("remedy", &[("remedy", "tcp_keepalive")]), 1.0);
    assert_eq!(page.one("remedy", &[("remedy", "app_ping")]), 1.0);
    let named = page.sum("deaths_total", &[("culprit", "network_idle_timeout")]);
    assert!(named >= 2.0);
    assert_eq!(page.sum("deaths_total", &[]), named, "nobody else is accused in\n{}", page.text());
    let told = page.sum("deaths_total", &[("kind", "idle"), ("ending", ending)]);
    assert_eq!(page.sum("deaths_total", &IDLE), told, "idle canaries end with {ending} in\n{}", page.text());
    assert_eq!(page.one("layer_mismatch", &[("rule", "path_shorter_than_server")]), 1.0);
    assert_eq!(page.one("layer_mismatch", &[("rule", "keepalive_ineffective")]), 0.0);
    // The kernel's own first probe comes after two hours.
    assert_eq!(page.one("layer_mismatch", &[("rule", "keepalive_too_late")]), 1.0);
}

/// The sum of a counter over several exporters.
fn total(exporters: &[Exporter<'_>], name: &str) -> f64 {
    exporters.iter().map(|exporter| exporter.metrics().sum(name, &[])).sum()
}

/// Every session whose canary died in silence is off the server's list so soon after the probe's wait ended, in
/// seconds, as the server itself shows it. Some had ended by themselves: with NAT, the router answers what a busy
/// canary's server says at last with RST.
#[track_caller]
fn assert_ghosts_are_ended(exporters: &[Exporter<'_>], listing: &mut Listing, within: f64) {
    let deaths: Vec<Value> = exporters
        .iter()
        .flat_map(|exporter| exporter.events("death"))
        .filter(|death| !death["stall_seconds"].is_null())
        .collect();
    let listed = listing.sessions();
    let mut ghosts = 0;
    for death in &deaths {
        let number = |name: &str| death[name].as_f64().expect("a silent death has an age and a stall");
        let id = death["thread_id"].as_u64().expect("a death has a thread id");
        let session = listed.get(&id).unwrap_or_else(|| panic!("{death} was never on the server's list"));
        let given_up = session.since + number("age_seconds") + number("stall_seconds");
        let took = session.until - given_up;
        assert!(took < within, "the ghost of {death} lived {took} s");
        ghosts += u32::from(took > 0.0);
    }
    assert!(ghosts > 0, "the server lists sessions of the dead: {deaths:?}");
}

#[test]
fn a_silent_firewall_is_named_its_limit_found_and_its_ghosts_ended() {
    let firewall = Firewall::start(FirewallOptions::default());
    let mut listing = Listing::of(firewall.server(), "canary");
    let exporter = launch(&firewall).start();
    let (begun, limit) = (Instant::now(), Duration::from_secs(75));
    let (mut first, mut haunted, mut before) = (None, Duration::ZERO, Instant::now());
    let page = loop {
        let page = exporter.metrics();
        first = first.or(page.bracket().filter(|_| is_located(&page, f64::INFINITY)));
        if page.sum("ghost_sessions", &[]) > 0.0 {
            haunted += before.elapsed();
        }
        before = Instant::now();
        if is_sharp_and_remedied(&page) {
            break page;
        }
        assert!(begun.elapsed() < limit, "no verdict in {limit:?}; the exporter logged\n{}", exporter.log());
        sleep(Duration::from_millis(50));
    };
    assert_network_is_named(&page, "silence");
    let (lower, upper) = first.expect("a limit was confirmed");
    assert!((2.9..=LIMIT + CLOCK_SLACK).contains(&lower), "first between {lower} and {upper}");
    // A rung of the ladder may bear itself out before the search has narrowed the bracket.
    assert!((LIMIT - CLOCK_SLACK..=14.5).contains(&upper), "first between {lower} and {upper}");

    let silent = page.one("stall_seconds_count", &[]);
    assert!(silent >= 2.0 && page.one("stall_seconds_sum", &[]) >= 1.9 * silent, "each stalled for 2 s");
    // One interval of the server view and a half for each ghost.
    assert!(haunted > Duration::ZERO, "a ghost is seen");
    assert!(haunted < Duration::from_millis(1500).mul_f64(silent), "ghosts were listed for {haunted:?}");
    exporter.wait_for_metrics("no ghost", Duration::from_secs(10), |page| {
        page.one("ghost_sessions", &[]) == 0.0
            && page.one("layer_mismatch", &[("rule", "ghosts_on_server")]) == 0.0
            && page.one("server_aborted_clients_total", &[]) == page.one("self_aborted_clients_total", &[])
    });
    assert_ghosts_are_ended(&[exporter], &mut listing, HAUNTING);
}

#[test]
fn a_rejecting_firewall_is_named_by_its_reset_on_use() {
    let firewall = Firewall::start(FirewallOptions {
        on_invalid: OnInvalid::RejectWithReset,
        ..FirewallOptions::default()
    });
    let exporter = launch(&firewall).start();
    let page = wait_for_verdict(&exporter, Duration::from_secs(75));
    assert_network_is_named(&page, "reset_on_use");
    // Known within a round trip. A busy canary sends nothing, and the reset goes to the server.
    for death in exporter.events("death").iter().filter(|death| death["kind"] == "idle") {
        assert!(death["stall_seconds"].as_f64().is_some_and(|stall| stall < 0.5), "{death}");
    }
}

#[test]
fn a_firewall_with_nat_hides_nothing() {
    let firewall = Firewall::start(FirewallOptions { nat: true, ..FirewallOptions::default() });
    let mut listing = Listing::of(firewall.server(), "canary");
    let exporter = launch(&firewall).start();
    let page = wait_for_verdict(&exporter, Duration::from_secs(75));
    assert_network_is_named(&page, "silence");
    assert_ghosts_are_ended(&[exporter], &mut listing, HAUNTING);
}

#[test]
fn a_long_and_lossy_wire_kills_nobody() {
    /// A probe that was lost just before the limit comes again after it; and an answer whose ACK was lost comes
    /// again, which starts the firewall's clock anew.
    const RETRANSMISSION: f64 = 1.0;
    let firewall = Firewall::start(FirewallOptions {
        long_wire: Some(LongWire { delay_ms: 30, loss_percent: 5 }),
        ..FirewallOptions::default()
    });
    // The lives of one would take minutes. Four retransmissions fit in 8 s, even a second apart at first.
    let args = ["--canary.probe-timeout=8s", "--canary.precision=5%"];
    let launch = || Launch::behind(&firewall).ages("3s,6s,10s,14s").args(&args);
    let exporters: Vec<Exporter<'_>> = (0..6).map(|_| launch().start()).collect();
    let begun = Instant::now();
    // On such a line a bracket comes and goes, and each has a narrow one whose killer is named for a while.
    let mut verdicts: Vec<Option<Page>> = vec![None; exporters.len()];
    while total(&exporters, "lives_total") < 100.0 || verdicts.contains(&None) {
        for (verdict, exporter) in
            verdicts.iter_mut().zip(&exporters).filter(|(verdict, _)| verdict.is_none())
        {
            *verdict = Some(exporter.metrics()).filter(|page| {
                let narrow = page.bracket().is_some_and(|(lower, upper)| upper - lower <= 3.0);
                let named = [("culprit", "network_idle_timeout"), ("layer", "network")];
                narrow && page.values("remedy", &[]).len() == 2 && page.sum("idle_limit_info", &named) == 1.0
            });
        }
        let log = || exporters.iter().map(Exporter::log).collect::<String>();
        // A death a little before the limit makes one of them wait for more.
        let patience = Duration::from_secs(300);
        assert!(begun.elapsed() < patience, "too few lives, or no verdict; the exporters logged\n{}", log());
        sleep(Duration::from_millis(500));
    }
    for page in verdicts.iter().flatten() {
        let (lower, upper) = page.bracket().expect("a limit stands");
        assert!(
            lower < LIMIT + RETRANSMISSION && upper > LIMIT - RETRANSMISSION,
            "{LIMIT} s, not {lower} to {upper}"
        );
    }
    for (exporter, death) in
        exporters.iter().flat_map(|of| of.events("death").into_iter().map(move |d| (of, d)))
    {
        let age = death["age_seconds"].as_f64().expect("a death has an age");
        assert!(
            age > LIMIT - RETRANSMISSION,
            "a false death: {death}; the exporter logged\n{}",
            exporter.log()
        );
        assert_eq!(death["culprit"], "network_idle_timeout", "{death}");
    }
}

/// One cycle of the watch over a limit, in seconds: a watched bound gets a new canary after the limit's own
/// length and a quarter of it as rest, and that a canary is dead is known when its probe was not answered.
fn cycle(limit: f64) -> f64 {
    limit * 1.25 + PROBE_TIMEOUT
}

/// How long after a change of the limit from `old` to `new` the last bracket was reported that did not hold
/// the new one, and how long until that is settled; in seconds.
fn follow(exporter: &Exporter<'_>, old: f64, new: f64) -> (f64, f64) {
    // What is told wrong meanwhile has three cycles; in virtual time the new one is confirmed within four.
    let patience = Duration::from_secs_f64(6.0 * cycle(old.max(new)));
    let (begun, mut last_wrong) = (Instant::now(), 0.0);
    loop {
        let page = exporter.metrics();
        let passed = begun.elapsed();
        if !holds(&page, new) {
            last_wrong = passed.as_secs_f64();
        } else if is_settled(&page, new) {
            return (last_wrong, passed.as_secs_f64());
        }
        assert!(
            passed < patience,
            "{new} s not found in {patience:?}; the exporter logged\n{}",
            exporter.log()
        );
        sleep(Duration::from_millis(100));
    }
}

/// Whether the limit may lie at this age, in seconds, as far as is reported.
fn holds(page: &Page, limit: f64) -> bool {
    page.bracket().is_none_or(|(lower, upper)| lower <= limit + CLOCK_SLACK && upper >= limit - CLOCK_SLACK)
}

/// How sharp the limit that changes is wanted, as a share.
const PRECISION: f64 = 0.02;

/// Whether the search for this limit, in seconds, is over: what changes then is noticed by the watch.
fn is_settled(page: &Page, limit: f64) -> bool {
    let is_confirmed = page.sum("idle_limit_confirmed", &[("kind", "idle")]) == 1.0;
    is_confirmed && is_located(page, 2.0 * PRECISION * limit) && holds(page, limit)
}

#[test]
fn a_timeout_that_changes_is_followed_both_ways_within_three_cycles() {
    /// What a busy machine may add, in seconds.
    const NOISE: f64 = 4.0;
    let firewall = Firewall::start(FirewallOptions::default());
    let exporter = Launch::behind(&firewall)
        .ages("3s,6s,10s,14s,20s,28s,40s")
        .args(&[&format!("--canary.probe-timeout={PROBE_TIMEOUT}s"), "--canary.precision=2%"])
        .start();
    exporter.wait_for_metrics("the first limit", Duration::from_secs(90), |page| is_settled(page, LIMIT));
    let mut old = LIMIT;
    for new in [2.0 * LIMIT, LIMIT] {
        firewall.set_established_timeout(new as u32);
        let (followed, located) = follow(&exporter, old, new);
        println!("from {old} s to {new} s: followed after {followed:.1} s, located after {located:.1} s");
        // Two deaths that no one moment explains, or two lives, speak against what was told.
        let three_cycles = 3.0 * cycle(old.max(new));
        assert!(
            followed <= three_cycles + NOISE,
            "from {old} s to {new} s: followed after {followed} s, not within three cycles, {three_cycles} s:\n{}",
            exporter.log()
        );
        old = new;
    }
}

#[test]
fn fifty_silent_deaths_leave_nothing_behind() {
    let firewall =
        Firewall::start(FirewallOptions { established_timeout_s: 3, ..FirewallOptions::default() });
    let server = firewall.server();
    let mut listing = Listing::of(server, "canary");
    let aborted_before = server.status("Aborted_clients");
    // One alone logs in too seldom for a test.
    let launch = || Launch::behind(&firewall).ages("2s,4s,5s").args(&["--canary.probe-timeout=1s"]);
    let mut exporters: Vec<Exporter<'_>> = (0..6).map(|_| launch().start()).collect();
    let begun = Instant::now();
    while total(&exporters, "stall_seconds_count") < 50.0 {
        assert!(begun.elapsed() < Duration::from_secs(90), "too few silent deaths");
        sleep(Duration::from_millis(500));
    }
    assert_ghosts_are_ended(&exporters, &mut listing, HAUNTING);
    // Two rounds of the server view: it sees the last ghost, ends it, and sees that it is gone.
    sleep(Duration::from_millis(2500));
    for exporter in &exporters {
        exporter.wait_for_metrics("no ghost", Duration::from_secs(20), |page| {
            page.one("ghost_sessions", &[]) == 0.0
        });
    }
    wait_for("our share of Aborted_clients to be all of it", Duration::from_secs(20), || {
        let risen = server.status("Aborted_clients") - aborted_before;
        (total(&exporters, "self_aborted_clients_total") as i64 == risen).then_some(())
    });
    for exporter in &mut exporters {
        let (status, _) = exporter.terminate();
        assert!(status.success());
    }
    wait_for("the end of every canary session", Duration::from_secs(60), || {
        server.processlist().iter().all(|session| session.user != "canary").then_some(())
    });
}
