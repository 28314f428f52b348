//! The real firewall's timer located: the reported bracket holds the truth and is narrow.
//!
//! The kernel's conntrack does not round to seconds: from its last packet on, a flow lives to its timeout less
//! a few milliseconds, and is dead at it.

use std::time::Duration;

use crate::exporter::Launch;
use crate::lab::firewall::CLOCK_SLACK;
use crate::lab::{Account, Firewall, FirewallOptions, MariaDbOptions};

#[track_caller]
fn locate(limit: u32, ages: &str, patience: Duration) {
    let firewall = Firewall::start(FirewallOptions {
        established_timeout_s: limit,
        mariadb: MariaDbOptions {
            accounts: vec![Account::canary().with_process_privilege(), Account::app()],
            ..MariaDbOptions::default()
        },
        ..FirewallOptions::default()
    });
    let exporter = Launch::behind(&firewall)
        .ages(ages)
        .args(&["--canary.probe-timeout=1s", "--mysql.tls-mode=disabled", "--canary.precision=1%"])
        .start();
    let truth = f64::from(limit);
    let width = (0.02 * truth).max(0.5);
    let page = exporter.wait_for_metrics("a narrow bracket", patience, |page| {
        page.bracket().is_some_and(|(lower, upper)| upper - lower <= width)
    });
    let (lower, upper) = page.bracket().expect("it was there");
    assert!(
        lower <= truth + CLOCK_SLACK && truth - CLOCK_SLACK <= upper,
        "{truth} s is not in ({lower}, {upper}]\n{}",
        exporter.log()
    );
    assert_eq!(
        page.sum("deaths_total", &[("ending", "silence"), ("culprit", "network_idle_timeout")]),
        page.sum("deaths_total", &[])
    );
}

#[test]
fn eight_seconds() {
    locate(8, "3s,6s,10s,14s", Duration::from_secs(150));
}

#[test]
fn twenty_seconds() {
    locate(20, "5s,15s,25s", Duration::from_secs(240));
}

#[test]
fn thirty_three_seconds() {
    locate(33, "10s,25s,40s", Duration::from_secs(300));
}
