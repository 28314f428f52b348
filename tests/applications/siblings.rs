//! A second exporter's canaries are nobody's sessions, and users that are left out are nobody's either.

use std::time::{Duration, Instant};

use super::paths::sleepers;
use crate::exporter::{Exporter, Launch, wait_until_gone};
use crate::lab::{Account, MariaDb, MariaDbOptions, MySql97, MySql97Options, Server};

/// What an exporter counts of everybody, over this time.
fn users_told(exporter: &Exporter<'_>, seconds: u64, check: impl Fn(&[&str])) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) {
        let page = exporter.metrics();
        let told: Vec<&str> = page
            .text()
            .lines()
            .filter(|line| line.starts_with("mysql_canary_sessions{") || line.contains("canary_application_"))
            .filter(|line| line.contains("user=\""))
            .collect();
        check(&told);
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn with_attributes(account: Account) -> Account {
    account.with_process_privilege().with_grant("SELECT ON performance_schema.*")
}

fn check_siblings(server: &Server) {
    let same_account = Launch::on(server).ages("2s,4s,30s").start();
    let own_account = Launch::on(server).user("second", "canary-secret").ages("2s,4s,30s").start();
    // Both have canaries before the third one reads their attributes, and new ones all the while.
    for sibling in [&same_account, &own_account] {
        sibling
            .wait_for_metrics("canaries", Duration::from_secs(20), |page| page.sum("connections", &[]) > 1.0);
    }
    let mut app = sleepers(&[], server, "app", &["--sleep", "4.5"]);
    let mut backup = sleepers(&[], server, "backup", &["--sleep", "4.5"]);
    app.event("connected");
    backup.event("connected");
    let exporter = Launch::on(server).ages("2s,4s,30s").args(&["--server.exclude-users=backup"]).start();
    app.event("woke");
    users_told(&exporter, 12, |told| {
        let of = |user: &str| told.iter().any(|line| line.contains(&format!("user=\"{user}\"")));
        assert!(of("app"), "{told:#?}");
        assert!(!of("canary") && !of("second") && !of("backup"), "{told:#?}");
    });
    let page = exporter.metrics();
    assert_eq!(page.one("application_driver_info", &[("user", "app")]), 1.0);
    assert_eq!(page.one("application_driver_info", &[("driver", "pymysql")]), 1.0);
}

#[test]
fn a_second_exporters_canaries_are_no_applications_on_mysql() {
    let accounts = vec![
        with_attributes(Account::canary()),
        Account::new("second").with_process_privilege(),
        Account::app(),
        Account::new("backup"),
    ];
    let mut server = MySql97::start(MySql97Options { accounts, ..MySql97Options::default() });
    check_siblings(&server);
    wait_until_gone(&server);
    server.stop();
}

/// Without the attributes only the account tells: nothing is followed, and nobody is at risk, that logs in as the
/// exporter itself does; the log says which GRANT would tell more.
#[test]
fn without_attributes_the_own_account_is_not_followed_and_the_log_says_what_would_help() {
    let accounts = vec![Account::canary().with_process_privilege(), Account::app()];
    let server = MySql97::start(MySql97Options { accounts, ..MySql97Options::default() });
    let _sibling = Launch::on(&server).ages("2s,4s,30s").start();
    let exporter = Launch::on(&server).ages("2s,4s,30s").start();
    // The list has whole seconds, and shorter sleeps than 4 s for certain are no survivals.
    let mut app = sleepers(&[], &server, "app", &["--sleep", "8"]);
    app.event("woke");
    let page = exporter.wait_for_metrics("a survival", Duration::from_secs(30), |page| {
        page.sum("application_survival_age_seconds_count", &[]) >= 1.0
    });
    assert!(page.values("application_endings_total", &[("user", "canary")]).is_empty());
    assert!(page.values("sessions_at_risk", &[("user", "canary")]).is_empty());
    assert!(page.values("application_driver_info", &[]).is_empty());
    let told: Vec<String> =
        exporter.events("grant_would_tell").iter().map(|event| event["msg"].to_string()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    for table in ["session_connect_attrs", "events_errors_summary_by_user_by_error"] {
        assert!(
            told.iter().any(|line| line.contains(&format!("GRANT SELECT ON performance_schema.{table}")))
        );
    }
}

#[test]
fn a_second_exporters_canaries_are_no_applications_on_mariadb() {
    let accounts = vec![
        with_attributes(Account::canary()),
        Account::new("second").with_process_privilege(),
        Account::app(),
        Account::new("backup"),
    ];
    let server = MariaDb::start(MariaDbOptions {
        accounts,
        ..MariaDbOptions::with_args(&["--performance-schema=ON"])
    });
    check_siblings(&server);
}
