//! What a pool does that nobody declared, read off its sessions' ends.

use std::time::{Duration, Instant};

use crate::exporter::{Launch, Page};
use crate::lab::{Account, MariaDb, MariaDbOptions, Python, Server};

fn pool(server: &Server, user: &str, arguments: &[&str]) -> Python {
    let (host, port) = (server.addr().ip().to_string(), server.port().to_string());
    let all = [&["--host", &host, "--port", &port, "--user", user], arguments].concat();
    Python::start(&[], "tests/applications/pool.py", &all)
}

fn observed(page: &Page, user: &str, key: &str) -> Option<f64> {
    let setting = format!("observed:{user}.{key}");
    page.values("layer_timeout_seconds", &[("setting", &setting), ("source", "observed")]).first().copied()
}

/// SQLAlchemy with pool_recycle=6, a pool that retires as HikariCP does at maxLifetime=6, one that never does, and one
/// that is declared otherwise than it behaves.
#[test]
fn pools_that_nobody_declared_are_known_by_their_ends() {
    const PERIOD: f64 = 6.0;
    let users = ["alchemy", "hikari", "never", "wrong"];
    let accounts = users.into_iter().map(Account::new).chain([Account::canary().with_process_privilege()]);
    let server = MariaDb::start(MariaDbOptions { accounts: accounts.collect(), ..MariaDbOptions::default() });
    let exporter = Launch::on(&server)
        .ages("2s,4s,30s")
        .args(&["--canary.max-connections=4", "--pool=name=wrong,user=wrong,recycle=1h"])
        .start();
    exporter.wait_for_metrics("a server view", Duration::from_secs(20), |page| page.sum("up", &[]) == 1.0);
    std::thread::sleep(Duration::from_secs(2));
    let lifetime = ["--lifetime", "6"];
    let mut running = [
        pool(&server, "alchemy", &lifetime),
        pool(&server, "hikari", &[&lifetime[..], &["--kind", "hikari"]].concat()),
        pool(&server, "never", &[]),
        pool(&server, "wrong", &lifetime),
    ];
    running.iter_mut().for_each(|pool| drop(pool.event("call")));
    let begun = Instant::now();
    let page = exporter.wait_for_metrics("both pools", Duration::from_secs(120), |page| {
        ["alchemy", "hikari"].iter().all(|user| observed(page, user, "recycle").is_some())
    });
    let took = begun.elapsed().as_secs_f64();
    for user in ["alchemy", "hikari"] {
        let seconds = observed(&page, user, "recycle").expect("it is known");
        println!("{user}: replaced at {seconds} s, known after {took:.1} s");
        assert!((PERIOD - 1.5..=PERIOD + 2.0).contains(&seconds), "{user}: {seconds} s\n{}", page.text());
    }
    assert!(took <= 3.0 * PERIOD + 3.0, "three periods, not {took} s");
    let page =
        exporter.wait_for_metrics("the pool that is declared wrongly", Duration::from_secs(20), |page| {
            page.sum("layer_mismatch", &[("rule", "pool_not_as_declared"), ("pool", "wrong")]) == 1.0
        });
    assert_eq!(observed(&page, "never", "recycle"), None, "it never replaces one");
    assert_eq!(observed(&page, "wrong", "recycle"), None, "it is declared");
}
