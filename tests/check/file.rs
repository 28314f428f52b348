//! On a target of a configuration file: its paths side by side, and which target where there are several.

use std::time::Duration;

use super::Check;
use crate::exporter::wait_until_gone;
use crate::fleet::file::{ConfigFile, Target};
use crate::lab::{HaProxy, MariaDb, MariaDbOptions, Peer};

#[test]
fn the_paths_of_a_target_are_checked_side_by_side_with_the_files_own_numbers() {
    let server = MariaDb::start(MariaDbOptions::default());
    let proxy = HaProxy::start(server.addr(), Duration::from_secs(4));
    // Nobody listens at the other target: it is not asked for, and not looked at.
    let elsewhere = Target::new("billing", "2s,60s").path("direct", Peer::refusing());
    let orders = Target::new("orders", "2s,60s").path("direct", server.addr()).path("lb", proxy.addr());
    let file = ConfigFile::of(&[orders, elsewhere]);
    let config = format!("--config.file={}", file.path().display());
    let check = |args: &[&str]| {
        let args = [&[config.as_str(), "--max-age=12s", "--quiet"], args].concat();
        Check::with(&[], None, &args).end(Duration::from_secs(90))
    };

    let done = check(&["orders"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    let [direct, lb] = ["direct", "lb"].map(|path| {
        let (_, verdict) =
            done.out.split_once(&format!("Verdict on path {path}\n")).expect("each path has its own");
        verdict
            .split_once("\nVerdict on")
            .map_or(verdict, |(this, _)| this)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    });
    assert!(lb.contains("die of idleness") && lb.contains("A proxy does it"), "{lb}");
    assert!(lb.contains("what lies on lb alone does it"), "{lb}");
    assert!(!direct.contains("die of idleness"), "{direct}");
    assert!(!done.out.contains("billing"), "{}", done.out);
    let (_, last) = done.out.split_once("\norders: ").expect("what it comes to is said last");
    let last = last.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(last.contains("on path direct live to 12 s idle"), "{last}");
    assert!(last.contains("path lb die of idleness: at 4 s idle"), "{last}");
    assert!(!last.contains("settings contradict each other"), "its neighbour is told of already: {last}");
    wait_until_gone(&server);

    for (args, told) in [
        (&[][..], "--config.file names several targets: say which one to check, of orders, billing"),
        (&["shop"], "--config.file names no target \"shop\": it names orders, billing"),
    ] {
        let done = check(args);
        assert_eq!((done.code, done.out.as_str()), (Some(2), ""), "{done:?}");
        assert!(done.err.contains(told), "{}", done.err);
    }
    let done = Check::with(&[], None, &["orders", "--mysql.address=127.0.0.1:1", "--mysql.username=canary"])
        .end(Duration::from_secs(20));
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains("a target's name chooses one of --config.file"), "{}", done.err);
}
