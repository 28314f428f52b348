//! A reload while a server does not answer: it returns, and nobody else loses anything.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::file::{ConfigFile, Target};
use super::lives::Lives;
use super::{listed, mariadb, reload};
use crate::exporter::Launch;
use crate::lab::{Server, wait_for};

const BOUND: usize = 8;

fn target(name: &'static str, server: &Server) -> Target {
    let target = Target::new(name, "2s,5s,300s,600s").path("direct", server.addr());
    target.canary(&format!("max_connections_per_target: {BOUND}"))
}

#[test]
fn a_reload_while_a_server_hangs() {
    let (hangs, lives) = (mariadb(&[]), mariadb(&[]));
    let file = ConfigFile::of(&[target("hangs", &hangs), target("lives", &lives)]);
    let (mut living, mut hanging) = (Lives::of(&lives, "lives"), Lives::of(&hangs, "hangs"));
    let exporter = Launch::from_file(&file.path()).start();
    exporter.wait_for_metrics("every canary", Duration::from_secs(30), |page| {
        ["hangs", "lives"].iter().all(|name| page.sum("connections", &[("target", name)]) >= 3.0)
            && page.sum("lives_total", &[("target", "lives")]) >= 2.0
    });
    living.hold(&exporter);
    hanging.hold(&exporter);
    let deaths = |name| exporter.metrics().sum("deaths_total", &[("target", name)]);
    hangs.sigstop();
    // Nothing of it changes: its canaries wait for it, however often the file is read anew.
    file.write(&[target("hangs", &hangs), target("lives", &lives).line("pools: [{name: api, recycle: 1m}]")]);
    let begun = Instant::now();
    reload(&exporter);
    println!("unchanged while it hangs: {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(15));
    hangs.sigcont();
    sleep(Duration::from_secs(2));
    hanging.assert_none_lost(&exporter);
    assert_eq!(deaths("hangs"), 0.0, "{}", exporter.log());

    for (what, targets) in [
        ("changed", vec![target("hangs", &hangs).canary("precision: 3%"), target("lives", &lives)]),
        ("removed", vec![target("lives", &lives)]),
        ("added", vec![target("hangs", &hangs), target("lives", &lives)]),
    ] {
        hangs.sigstop();
        file.write(&targets);
        let begun = Instant::now();
        reload(&exporter);
        println!("{what} while it hangs: {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(15));
        sleep(Duration::from_secs(1));
        hangs.sigcont();
        wait_for("a list within the bound", Duration::from_secs(10), || {
            let listed = listed(&hangs);
            (if what == "removed" { listed.is_empty() } else { listed.len() <= BOUND }).then_some(())
        });
        if what != "removed" {
            exporter.wait_for_metrics("canaries again", Duration::from_secs(40), |page| {
                page.sum("connections", &[("target", "hangs")]) >= 3.0
            });
            assert!(listed(&hangs).len() <= BOUND);
        }
        assert_eq!(deaths("hangs"), 0.0, "{what}: {}", exporter.log());
    }
    living.assert_none_lost(&exporter);
    assert_eq!(deaths("lives"), 0.0, "{}", exporter.log());
    assert_eq!(exporter.metrics().sum("voided_total", &[("target", "lives")]), 0.0, "{}", exporter.log());
}
