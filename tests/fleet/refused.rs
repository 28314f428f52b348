//! What a reload refuses, what it ends, and who may ask for one.

use std::time::Duration;

use rustix::process::Signal;

use super::file::{ConfigFile, Target};
use super::lives::Lives;
use super::{listed, mariadb, reload, straight};
use crate::exporter::{Exporter, Launch, Page};
use crate::lab::{HaProxy, Server, wait_for};

const SUCCESSFUL: &str = "exporter_config_last_reload_successful";

fn target(server: &Server) -> Target {
    Target::new("orders", "2s,300s,600s").path("direct", server.addr())
}

/// Waits until the long ages are held.
#[track_caller]
fn settle(exporter: &Exporter<'_>, lives: &mut Lives<'_>) {
    exporter.wait_for_metrics("canaries", Duration::from_secs(30), |page| {
        page.sum("connections", &[("path", "direct")]) >= 2.0 && page.sum("lives_total", &[]) >= 1.0
    });
    lives.hold(exporter);
}

#[test]
fn a_bad_file_is_told_and_changes_nothing() {
    let server = mariadb(&[]);
    let file = ConfigFile::of(&[target(&server)]);
    let mut lives = Lives::of(&server, "orders");
    let exporter = Launch::from_file(&file.path()).start();
    settle(&exporter, &mut lives);
    let good = std::fs::read_to_string(file.path()).expect("it is ours");
    assert_eq!(exporter.metrics().one(SUCCESSFUL, &[]), 1.0);
    for (text, words) in [
        (good.replace("ages:", "agess:"), "is ages meant?"),
        (good.replace("probe_timeout: 2s", "probe_timeout: soon"), "targets[0].canary.probe_timeout"),
        (String::new(), "targets"),
        (good.replace("password_file: password", "password_file: nowhere"), "cannot read the file"),
    ] {
        file.write_text(&text);
        for method in ["POST", "PUT"] {
            let answer = exporter.ask(method, "/-/reload");
            assert_eq!(answer.status, 500, "{text}");
            assert!(
                answer.body.starts_with("failed to reload: ") && answer.body.contains(words),
                "{}",
                answer.body
            );
        }
        assert_eq!(exporter.metrics().one(SUCCESSFUL, &[]), 0.0, "{text}");
        assert!(!exporter.events("config_not_reloaded").is_empty());
    }
    // SIGHUP finds the bad file as well.
    let told = exporter.events("config_not_reloaded").len();
    exporter.signal(Signal::HUP);
    exporter.wait_for_events("config_not_reloaded", told + 1, Duration::from_secs(10));
    for method in ["GET", "HEAD", "DELETE"] {
        let answer = exporter.ask(method, "/-/reload");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, PUT")), "{method}");
    }
    lives.assert_none_lost(&exporter);
    let page = exporter.metrics();
    assert_eq!(page.sum("voided_total", &[]) + page.sum("deaths_total", &[]), 0.0, "{}", exporter.log());
    file.write_text(&good);
    reload(&exporter);
    assert_eq!(exporter.metrics().one(SUCCESSFUL, &[]), 1.0);
    lives.assert_none_lost(&exporter);
}

/// What is shown of the paths of the target.
fn shown(page: &Page, path: &str) -> usize {
    page.text().lines().filter(|line| line.contains(&format!("path=\"{path}\""))).count()
}

#[test]
fn what_a_reload_ends_is_counted_and_what_is_gone_vanishes() {
    let server = mariadb(&[]);
    let proxy = HaProxy::start(server.addr(), Duration::from_secs(3600));
    let both = target(&server).path("lb", proxy.addr());
    let file = ConfigFile::of(std::slice::from_ref(&both));
    let mut lives = Lives::of(&server, "orders");
    let exporter = Launch::from_file(&file.path()).start();
    exporter.wait_for_metrics("canaries on both", Duration::from_secs(30), |page| {
        ["direct", "lb"].iter().all(|path| page.sum("connections", &[("path", path)]) >= 2.0)
    });
    settle(&exporter, &mut lives);
    let finished = exporter.metrics().sum("lives_total", &[("path", "lb")]);
    // The way of the proxy changes: its canaries end, and are counted; the other's live on.
    file.write(&[target(&server).path_with("lb", proxy.addr(), "canary: {probe_timeout: 3s}")]);
    exporter.signal(Signal::HUP);
    exporter.wait_for_events("config_reloaded", 1, Duration::from_secs(15));
    let page = exporter.metrics();
    let voided = |page: &Page, path| page.sum("voided_total", &[("path", path), ("reason", "reload")]);
    let counted = voided(&page, "lb");
    assert!(counted >= 2.0, "{counted} counted\n{}", exporter.log());
    assert_eq!(voided(&page, "direct"), 0.0);
    assert!(page.sum("lives_total", &[("path", "lb")]) >= finished, "its counters go on");
    lives.assert_none_lost(&exporter);
    // It is removed: nothing of it is left on the page or on the server.
    file.write(&[target(&server)]);
    reload(&exporter);
    let page = exporter.metrics();
    assert_eq!((shown(&page, "lb"), shown(&page, "direct") > 0), (0, true), "{}", page.text());
    wait_for("the end of the path's sessions", Duration::from_secs(3), || {
        (listed(&server) == straight(&exporter, &server)).then_some(())
    });
    lives.assert_none_lost(&exporter);
    // Other ages: every canary ends, and what was counted and seen stays.
    let finished = page.sum("lives_total", &[]);
    file.write(&[target(&server).ages("2s,7s,400s")]);
    reload(&exporter);
    let page = exporter.metrics();
    assert!(voided(&page, "direct") >= 2.0, "{}", exporter.log());
    assert!(page.sum("lives_total", &[]) >= finished, "its counters go on");
    let bucket = |le| page.values("survival_age_seconds_bucket", &[("kind", "idle"), ("le", le)]).len();
    assert_eq!((bucket("7"), bucket("400"), bucket("300")), (1, 1, 0), "{}", page.text());
    assert!(page.one("idle_limit_lower_seconds", &[("kind", "idle")]) >= 2.0, "what was survived is known");
    // Another name for the target: the old name is gone.
    let renamed = Target::new("billing", "2s,300s,600s").path("direct", server.addr());
    file.write(&[renamed]);
    let old = listed(&server);
    reload(&exporter);
    let page = exporter.metrics();
    assert!(!page.text().contains("\"orders\""), "{}", page.text());
    assert!(page.text().contains("\"billing\""));
    wait_for("the end of the old target's sessions", Duration::from_secs(3), || {
        old.is_disjoint(&listed(&server)).then_some(())
    });
    wait_for("a process that is ready", Duration::from_secs(15), || {
        (exporter.get("/-/ready").status == 200).then_some(())
    });
    assert_eq!(exporter.metrics().sum("deaths_total", &[]), 0.0, "{}", exporter.log());
}
