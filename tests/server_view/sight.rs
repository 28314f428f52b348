//! What an account may see: the same table of grants on MariaDB and on MySQL 9.7, and servers that will not say.

use super::*;
use crate::lab::{MariaDb, MariaDbOptions, MySql97, MySql97Options, Server};
use crate::malice::side_by_side;
use crate::parts::observe;

/// A login, the grants of its account, and whether it sees everyone.
struct Case {
    login: &'static str,
    account: &'static str,
    grants: &'static [&'static str],
    sees: bool,
}

const fn case(
    login: &'static str,
    account: &'static str,
    grants: &'static [&'static str],
    sees: bool,
) -> Case {
    Case { login, account, grants, sees }
}

/// `OF` stands for the account, `DEFAULT` for what makes a role active at every login.
const CASES: [Case; 12] = [
    case("none", "'none'@'%'", &[], false),
    case("process", "'process'@'%'", &["GRANT PROCESS ON *.* TO OF"], true),
    // Reads everybody's rows of USER_PRIVILEGES, among them its twin's, whose name differs in case alone.
    case("reader", "'reader'@'%'", &["GRANT SELECT ON *.* TO OF"], false),
    case("READER", "'READER'@'%'", &["GRANT PROCESS ON *.* TO OF"], true),
    case(
        "catalogue",
        "'catalogue'@'%'",
        &["GRANT SELECT ON mysql.* TO OF", "GRANT SELECT ON performance_schema.* TO OF"],
        false,
    ),
    case("super", "'super'@'%'", &["GRANT SUPER ON *.* TO OF"], false),
    case("everything", "'everything'@'%'", &["GRANT ALL PRIVILEGES ON *.* TO OF WITH GRANT OPTION"], true),
    case("actor", "'actor'@'%'", &["GRANT watcher TO OF", "DEFAULT"], true),
    case("idler", "'idler'@'%'", &["GRANT watcher TO OF"], false),
    case("o'dd\"`x@y", "'o''dd\"`x@y'@'%'", &["GRANT PROCESS ON *.* TO OF"], true),
    // The account of two that matches: the more exact host, which does not hold it.
    case(
        "twice",
        "'twice'@'127.0.0.1'",
        &["CREATE USER 'twice'@'%' IDENTIFIED BY 'canary-secret'", "GRANT PROCESS ON *.* TO 'twice'@'%'"],
        false,
    ),
    // Logs in as the anonymous account.
    case("anybody", "''@'%'", &[], false),
];

#[test]
fn mariadb_accounts_that_do_not_see_everyone_say_nothing_of_applications() {
    let server = MariaDb::start(MariaDbOptions::default());
    check(&server, |account| format!("SET DEFAULT ROLE watcher FOR {account}"));
}

#[test]
fn mysql_accounts_that_do_not_see_everyone_say_nothing_of_applications() {
    let server = MySql97::start(MySql97Options::default());
    check(&server, |account| format!("SET DEFAULT ROLE watcher TO {account}"));
}

#[track_caller]
fn check(server: &Server, default_role: impl Fn(&str) -> String) {
    let mut application = observe(&[], server.addr(), &["watch", "150", "--user", "app"]);
    application.event("connected");
    server.sql("CREATE ROLE watcher; GRANT PROCESS ON *.* TO watcher");
    for Case { account, grants, .. } in &CASES {
        server.sql(&format!("CREATE USER {account} IDENTIFIED BY 'canary-secret'"));
        for grant in *grants {
            let grant =
                if *grant == "DEFAULT" { default_role(account) } else { grant.replace("OF", account) };
            server.sql(&grant);
        }
    }
    side_by_side(&CASES, |case| {
        let exporter = Launch::on(server)
            .user(case.login, "canary-secret")
            .ages("60s,120s")
            .args(&["--canary.max-connections=3", "--pool=name=api,user=app,recycle=1h"])
            .start();
        let page = exporter.wait_for_metrics("a server view", Duration::from_secs(40), |page| {
            let read = [("collector", "processlist")];
            // An anonymous account is not even shown its own session.
            let least = if case.login == "anybody" { 2.0 } else { 3.0 };
            page.values("collector_success", &read).len() == 1
                && page.one("up", &[]) == 1.0
                && page.sum("collector_success", &[]) >= least
        });
        let sees = page.values("sessions", &[("user", "app")]) == [1.0];
        assert_eq!(sees, case.sees, "{}: {}", case.login, exporter.log());
        assert_eq!(page.values("sessions", &[]).is_empty(), !case.sees, "{}:\n{}", case.login, page.text());
        let told = exporter.events("privilege_missing").len() + exporter.events("privilege_unknown").len();
        assert_eq!(told, usize::from(!case.sees), "{}: {}", case.login, exporter.log());
        let held = [("rule", "session_held_past_recycle")];
        let judged = exporter.wait_for_metrics("the diagnosis", Duration::from_secs(10), |page| {
            !case.sees || page.values("layer_mismatch", &held) == [0.0]
        });
        assert_eq!(judged.values("layer_mismatch", &held).is_empty(), !case.sees, "{}", case.login);
        assert!(!exporter.log().contains("IDENTIFIED BY"), "no grant is logged");
    });
}

#[test]
fn where_the_server_will_not_say_what_the_account_sees_nothing_is_said_of_applications() {
    let unsaid = peer(|answers| answers.error("user_privileges", 1142, "SELECT command denied"));
    says_nothing_of_applications(&unsaid, "privilege_unknown");
    let unnamed = peer(|answers| {
        answers.rows("user_privileges", &["count"], &[&["0"]]).rows(
            "show grants",
            &["Grants"],
            &[&["nonsense"]],
        )
    });
    says_nothing_of_applications(&unnamed, "privilege_unknown");
    // By its login's name somebody else; by the server's account itself, whose sessions it may see.
    let mapped = peer(|answers| {
        answers
            .rows("user_privileges", &["count"], &[&["0"]])
            .rows("show grants", &["Grants"], &[&["GRANT USAGE ON *.* TO `app`@`%`"]])
            .rows("user(), current_user()", &["a", "b"], &[&["canary@h", "app@%"]])
    });
    says_nothing_of_applications(&mapped, "privilege_missing");
    let truncated = peer(|answers| {
        answers.rows(
            "show global status where",
            &["Variable_name", "Value"],
            &[&["Uptime", "1000"], &["Threads_connected", "400"]],
        )
    });
    says_nothing_of_applications(&truncated, "processlist_incomplete");
}

#[test]
fn somebody_elses_session_shows_that_everyones_are_seen() {
    let peer = peer(|answers| {
        answers.error("user_privileges", 1142, "SELECT command denied").rows(
            "user(), current_user()",
            &["a", "b"],
            &[&["canary@h", "canary@%"]],
        )
    });
    let exporter = launch(&peer).start();
    exporter.wait_for_metrics("the session", Duration::from_secs(20), |page| {
        page.values("sessions", &[("user", "app")]) == [1.0]
    });
}

#[track_caller]
fn says_nothing_of_applications(peer: &Peer, event: &str) {
    let exporter: Exporter<'_> = launch(peer).start();
    let page =
        exporter.wait_for_metrics("a round", Duration::from_secs(20), |page| was_read(page, "processlist"));
    assert!(page.values("sessions", &[]).is_empty(), "{}", exporter.log());
    exporter.wait_for_events(event, 1, Duration::from_secs(20));
    std::thread::sleep(Duration::from_secs(2));
    let told = exporter.events(event);
    assert_eq!(told.len(), 1, "{event} once, not every round: {}", exporter.log());
    let message = told[0]["msg"].as_str().expect("an event has a message");
    assert!(message.contains("applications' sessions are absent"), "{message}");
}
