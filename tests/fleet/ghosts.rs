//! Sessions that a reload ends on a path whose firewall has forgotten them: the server holds them, nothing that is said
//! reaches it. They take their places in the bound, and the server view of another path ends them.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::file::{ConfigFile, Target};
use super::reload;
use crate::exporter::{Exporter, Launch};
use crate::harmless::foreign::Foreign;
use crate::lab::{Account, Firewall, FirewallOptions, Listing, MariaDbOptions, wait_for};

const BOUND: usize = 12;
/// Where the server sees the sessions come from that pass the firewall.
const BEHIND: &str = "10.99.1.2:";

/// The exporter's sessions that the server lists as come through the firewall.
fn behind(firewall: &Firewall) -> BTreeSet<u64> {
    let rows = firewall.server().processlist();
    rows.iter().filter(|row| row.user == "canary" && row.host.starts_with(BEHIND)).map(|row| row.id).collect()
}

/// Reads the file anew, and waits until none of the path's sessions from before is listed any more.
#[track_caller]
fn reload_and_wait(exporter: &Exporter<'_>, firewall: &Firewall, what: &str) {
    let killed = firewall.server().status("Com_kill");
    let old = behind(firewall);
    let begun = Instant::now();
    reload(exporter);
    let left = behind(firewall).intersection(&old).count();
    assert!(left >= 1, "{what}: the firewall had forgotten none of {old:?}\n{}", exporter.log());
    wait_for("the end of what the server still held", Duration::from_secs(30), || {
        behind(firewall).is_disjoint(&old).then_some(())
    });
    let killed = firewall.server().status("Com_kill") - killed;
    println!("{what}: {left} of {} held, gone after {:?}, {killed} KILLs", old.len(), begun.elapsed());
    assert!(killed >= 1, "{what}: nobody else ends them:\n{}", exporter.log());
}

#[test]
fn what_a_reload_leaves_behind_a_firewall_is_ended() {
    let firewall = Firewall::start(FirewallOptions {
        established_timeout_s: 4,
        mariadb: MariaDbOptions {
            accounts: vec![Account::canary().with_process_privilege(), Account::app()],
            ..MariaDbOptions::default()
        },
        ..FirewallOptions::default()
    });
    let direct = firewall.bypass();
    let foreign = firewall.in_client(|| Foreign::start_as("app", &[direct, firewall.addr()], 3, 1));
    let all = foreign.wait_for_all();
    let target = Target::new("orders", "2s,60s,120s")
        .canary(&format!("max_connections_per_target: {BOUND}"))
        .path("direct", direct);
    let both = target.clone().path("firewall", firewall.addr());
    let file = ConfigFile::of(std::slice::from_ref(&both));
    let mut listing = Listing::of(firewall.server(), "canary");
    let exporter = Launch::from_file(&file.path()).inside(firewall.client()).start();
    for (what, wanted) in [
        ("other ages", both.clone().ages("2s,61s,120s")),
        ("another precision", both.ages("2s,61s,120s").canary("precision: 3%")),
        ("the path is removed", target.ages("2s,61s,120s").canary("precision: 3%")),
    ] {
        exporter.wait_for_metrics("canaries behind the firewall", Duration::from_secs(30), |page| {
            page.sum("connections", &[("path", "firewall")]) >= 2.0
        });
        // Idle for longer than the firewall remembers.
        sleep(Duration::from_millis(5500));
        file.write(&[wanted]);
        reload_and_wait(&exporter, &firewall, what);
    }
    assert!(behind(&firewall).is_empty(), "{}", exporter.log());
    let most = listing.most_at_once();
    println!("at most {most} of {BOUND} listed");
    assert!(most <= BOUND, "{most} listed:\n{}", exporter.log());
    let end = foreign.end();
    assert_eq!((end.alive, end.harmed), (all, Vec::new()), "{}", exporter.log());
}
