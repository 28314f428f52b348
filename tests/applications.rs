//! What a server tells of the applications' sessions, read from real ones: drivers by the attributes they send,
//! and errors by user. Sessions opened as ours are carry our mark.
//!
//! | module | what it shows |
//! |---|---|
//! | `paths` | who wakes up alive is not at risk; who fails is, until it stops |
//! | `siblings` | another exporter's canaries, and users that are left out |
//! | `endings` | how each session ended |
//! | `pools` | what a pool does that nobody declared |

mod endings;
mod paths;
mod pools;
mod siblings;

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use mysql_canary_exporter::domain::applications::Driver;
use mysql_canary_exporter::domain::applications::driver::OUR_PROGRAM_NAME;
use mysql_canary_exporter::server::GlobalStatus;
use mysql_canary_exporter::server::events_errors_summary::EventsErrorsSummary;
use mysql_canary_exporter::server::optional::{Missing, Optional};
use mysql_canary_exporter::server::session_connect_attrs::SessionConnectAttrs;

use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::{Account, MariaDb, MariaDbOptions, MySql97, MySql97Options, Server, wait_for};

fn options(server: &Server, user: &str) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(server.addr().ip().to_string())
        .tcp_port(server.port())
        .prefer_socket(false)
        .user(Some(user))
        .pass(Some(DEFAULT_PASSWORD))
}

async fn log_in(options: OptsBuilder) -> Conn {
    Conn::new(options).await.expect("a login succeeds")
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await.expect("in time") });
}

fn accounts(flavor_has_summary: bool) -> Vec<Account> {
    let reader = Account::canary().with_grant("SELECT ON performance_schema.session_connect_attrs");
    let reader = if flavor_has_summary {
        reader.with_grant("SELECT ON performance_schema.events_errors_summary_by_user_by_error")
    } else {
        reader
    };
    vec![reader, Account::app(), Account::new("blind")]
}

/// Drivers and our mark are seen with the grant, and nothing without it, which is no error.
async fn tells_drivers(server: &Server) {
    let mut ours =
        log_in(options(server, "canary").connect_attribute("program_name", OUR_PROGRAM_NAME)).await;
    let php = log_in(options(server, "app").connect_attribute("_client_name", "mysqlnd")).await;
    let silent = log_in(options(server, "app")).await;
    let Optional::Read(attrs) = SessionConnectAttrs::read(&mut ours).await.expect("it answers") else {
        panic!("the table can be read")
    };
    assert_eq!(attrs.canaries().collect::<Vec<_>>(), [u64::from(ours.id())]);
    assert_eq!(attrs.drivers.get(&u64::from(php.id())), Some(&Driver::Mysqlnd));
    assert_eq!(attrs.drivers.get(&u64::from(silent.id())), None, "mysql_async sends none by itself");
    let mut blind = log_in(options(server, "blind")).await;
    let refused = SessionConnectAttrs::read(&mut blind).await.expect("it is no error");
    assert_eq!(refused, Optional::Missing(Missing::Privilege));
    blind.ping().await.expect("the session lives on");
    for conn in [ours, php, silent, blind] {
        conn.disconnect().await.expect("it says farewell");
    }
}

#[test]
fn mysql_tells_drivers_and_who_met_wait_timeout() {
    let server = MySql97::start(MySql97Options { accounts: accounts(true), ..MySql97Options::default() });
    run(async {
        tells_drivers(&server).await;
        let mut ours = log_in(options(&server, "canary")).await;
        let counts = async |ours: &mut Conn| match EventsErrorsSummary::read(ours).await.expect("it answers")
        {
            Optional::Read(summary) => summary.users.get("app").copied().unwrap_or_default(),
            Optional::Missing(missing) => panic!("{missing:?}"),
        };
        let gone = || {
            wait_for("the session to end", Duration::from_secs(20), || {
                (!server.processlist().iter().any(|row| row.user == "app")).then_some(())
            });
        };
        let mut before = counts(&mut ours).await;
        let mut rise = async |ours: &mut Conn| {
            gone();
            let now = counts(ours).await;
            let rise = (now.idle_timeouts - before.idle_timeouts, now.network - before.network);
            before = now;
            rise
        };
        let mut idle = log_in(options(&server, "app")).await;
        idle.query_drop("SET SESSION wait_timeout = 1").await.expect("it may");
        let by_idle = rise(&mut ours).await;
        drop_socket(log_in(options(&server, "app")).await);
        let by_drop = rise(&mut ours).await;
        log_in(options(&server, "app")).await.disconnect().await.expect("it says farewell");
        let by_quit = rise(&mut ours).await;
        let killed = log_in(options(&server, "app")).await;
        server.kill(u64::from(killed.id()));
        let by_kill = rise(&mut ours).await;
        println!(
            "(4031, 1158 to 1161): wait_timeout {by_idle:?}, socket {by_drop:?}, KILL {by_kill:?}, quit {by_quit:?}"
        );
        assert_eq!((by_idle, by_drop, by_kill.0, by_quit), ((1, 0), (0, 1), 0, (0, 0)));
        assert!((1..=2).contains(&by_kill.1), "{by_kill:?}");
        let mut blind = log_in(options(&server, "blind")).await;
        let refused = EventsErrorsSummary::read(&mut blind).await.expect("it is no error");
        assert_eq!(refused, Optional::Missing(Missing::Privilege));
    });
}

/// FLUSH STATUS puts `Aborted_clients` back to zero, and is known by `Uptime_since_flush_status`.
fn tells_a_flush(server: &Server) {
    run(async {
        let mut ours = log_in(options(server, "canary")).await;
        let mut wait_for_status = async |what: &str, is_so: &dyn Fn(&GlobalStatus) -> bool| {
            for _ in 0..200 {
                let status = GlobalStatus::read(&mut ours).await.expect("it answers");
                if is_so(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!("{what} never came");
        };
        drop_socket(log_in(options(server, "app")).await);
        let before = wait_for_status("an aborted session, and an uptime", &|status| {
            status.aborted_clients > Some(0.0) && status.uptime > Some(2.0)
        });
        let before = before.await;
        server.sql("FLUSH STATUS");
        let after = wait_for_status("another flush", &|status| status.since_flush < before.since_flush).await;
        let flushed_at =
            |status: &GlobalStatus| status.uptime.zip(status.since_flush).map(|(up, since)| up - since);
        assert!(
            flushed_at(&before).is_some() && flushed_at(&before) != flushed_at(&after),
            "{before:?} {after:?}"
        );
        println!("Aborted_clients was {:?} and is {:?}", before.aborted_clients, after.aborted_clients);
    });
}

#[test]
fn a_flush_of_the_counters_shows_on_both_servers() {
    tells_a_flush(&MySql97::start(MySql97Options { accounts: accounts(true), ..MySql97Options::default() }));
    tells_a_flush(&MariaDb::start(MariaDbOptions { accounts: accounts(false), ..MariaDbOptions::default() }));
}

/// Ends a session's socket without COM_QUIT: its runtime is dropped under it.
fn drop_socket(conn: Conn) {
    // A connection that is forgotten by its driver says no farewell; its socket is closed with its task.
    std::thread::spawn(move || drop(conn)).join().ok();
}

#[test]
fn mariadb_tells_drivers_where_performance_schema_is_on_and_nothing_else() {
    let options = MariaDbOptions {
        accounts: accounts(false),
        ..MariaDbOptions::with_args(&["--performance-schema=ON"])
    };
    let server = MariaDb::start(options);
    run(async {
        tells_drivers(&server).await;
        let mut ours = log_in(self::options(&server, "canary")).await;
        let none = EventsErrorsSummary::read(&mut ours).await.expect("it is no error");
        assert!(matches!(none, Optional::Missing(Missing::Table | Missing::Privilege)), "{none:?}");
    });
}

#[test]
fn mariadb_without_performance_schema_tells_nothing_and_breaks_nothing() {
    let server = MariaDb::start(MariaDbOptions { accounts: accounts(false), ..MariaDbOptions::default() });
    run(async {
        let mut ours =
            log_in(options(&server, "canary").connect_attribute("program_name", OUR_PROGRAM_NAME)).await;
        let none = SessionConnectAttrs::read(&mut ours).await.expect("it is no error");
        assert_eq!(none, Optional::Missing(Missing::Table));
        ours.ping().await.expect("the session lives on");
    });
}
