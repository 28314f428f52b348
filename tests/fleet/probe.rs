//! The page of one target, and two scrapers at once.

use std::collections::BTreeSet;
use std::thread::scope;
use std::time::Duration;

use super::file::{ConfigFile, Target};
use super::{mariadb, reload};
use crate::exporter::{Launch, Page};

/// What a page says of targets: every value of the label.
fn targets(page: &str) -> BTreeSet<String> {
    let values = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (_, rest) = line.split_once("target=\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    });
    values.filter(|name| !name.is_empty()).collect()
}

/// The lines of a page that name a target, but for what moves by itself between two scrapes.
fn names_of(page: &str, target: &str) -> BTreeSet<String> {
    let label = format!("target=\"{target}\"");
    let lines = page.lines().filter(|line| !line.starts_with('#') && line.contains(&label));
    lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}

#[test]
fn one_target_is_asked_for_by_its_name() {
    let (first, second) = (mariadb(&[]), mariadb(&[]));
    let both = [
        Target::new("orders", "2s,60s").path("direct", first.addr()),
        Target::new("billing", "2s,60s").path("direct", second.addr()),
    ];
    let file = ConfigFile::of(&both);
    let exporter = Launch::from_file(&file.path()).start();
    exporter.wait_for_metrics("both targets", Duration::from_secs(30), |page| {
        page.values("up", &[]) == [1.0, 1.0] && page.sum("connections", &[]) >= 4.0
    });
    let connections = |server: &crate::lab::Server| server.status("Connections");
    for name in ["orders", "billing"] {
        let answer = exporter.get(&format!("/probe?target={name}"));
        assert_eq!(answer.status, 200);
        assert_eq!(targets(&answer.body), BTreeSet::from([name.to_owned()]), "{}", answer.body);
        let whole = names_of(exporter.metrics().text(), name);
        let alone = names_of(&answer.body, name);
        assert!(whole.len() > 100 && alone == whole, "{:?}", alone.symmetric_difference(&whole));
    }
    for (query, status, words) in [
        ("", 400, "say which target: /probe?target=NAME; there are: billing, orders\n"),
        ("?target=", 400, "say which target: /probe?target=NAME; there are: billing, orders\n"),
        ("?name=orders", 400, "say which target: /probe?target=NAME; there are: billing, orders\n"),
        ("?target=nobody", 404, "no target of that name is configured; there are: billing, orders\n"),
        ("?target=127.0.0.1:3306", 404, "no target of that name is configured; there are: billing, orders\n"),
        ("?target=orders%00", 404, "no target of that name is configured; there are: billing, orders\n"),
    ] {
        let before = connections(&first) + connections(&second);
        let answer = exporter.get(&format!("/probe{query}"));
        assert_eq!((answer.status, answer.body.as_str()), (status, words), "{query}");
        // Each question of the test is a connection, and the server view may have come back.
        assert!(connections(&first) + connections(&second) - before <= 6, "{query} opened something");
    }
    assert_eq!(exporter.ask("POST", "/probe?target=orders").status, 405);

    // Two scrapers of each page at once, while the file is read anew.
    scope(|scope| {
        let scrapers: Vec<_> = ["/metrics", "/metrics", "/probe?target=orders", "/probe?target=orders"]
            .into_iter()
            .map(|page| {
                let exporter = &exporter;
                scope.spawn(move || {
                    for _ in 0..60 {
                        let answer = exporter.get(page);
                        assert_eq!(answer.status, 200, "{page}");
                        let found = Page::parse(&answer.body);
                        let orders = [("target", "orders")];
                        assert_eq!(found.values("path_info", &orders).len(), 1, "{page}: {}", answer.body);
                        assert!(answer.body.ends_with('\n'));
                    }
                })
            })
            .collect();
        for number in 0..10 {
            file.write(&both[..1 + number % 2]);
            reload(&exporter);
        }
        for scraper in scrapers {
            scraper.join().expect("no scraper panics");
        }
    });
    file.write(&both[..1]);
    reload(&exporter);
    let answer = exporter.get("/probe?target=billing");
    let words = "no target of that name is configured; there are: orders\n";
    assert_eq!((answer.status, answer.body.as_str()), (404, words));
}
