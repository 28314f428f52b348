//! Every way to log in, and every way to fail at it: the stage is told, the password never.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::exporter::{Exporter, Launch, Page};
use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::place::PrivateDir;
use crate::lab::process::spawn;
use crate::lab::{Account, MariaDb, MariaDbOptions, MySql97, MySql97Options, Plugin, Server};
use crate::parts::observe;

mod certificates;
mod plugins;

/// Every character that ever broke a password on its way to a server.
const HARD: &str = r#"a?b&c%d@e#f;g$h'i"j\k l"#;

/// It logs in: canaries are held, the server view is read, no connect failed.
#[track_caller]
fn logs_in(launch: Launch<'_>) -> Exporter<'_> {
    let exporter = logs_in_at_last(launch);
    assert_eq!(exporter.metrics().sum("connect_failures_total", &[]), 0.0, "{}", exporter.log());
    exporter
}

/// It logs in, perhaps after a refusal: the driver cuts a zero byte from the end of ed25519's challenge,
/// so one such login in 256 is refused, and made again after the gate's rest.
#[track_caller]
fn logs_in_at_last(launch: Launch<'_>) -> Exporter<'_> {
    let exporter = launch.ages("60s,120s").start();
    exporter.wait_for_metrics("canaries and a server view", Duration::from_secs(40), |page| {
        page.sum("up", &[]) == 1.0 && page.sum("connections", &[]) >= 2.0
    });
    exporter
}

/// It does not log in, and says so at this stage with these words.
#[track_caller]
fn fails(launch: Launch<'_>, stage: &str, words: &[&str]) -> Value {
    let exporter = launch.start();
    let failure = exporter.wait_for_events("connect_failed", 1, Duration::from_secs(20)).remove(0);
    assert_eq!(failure["stage"], stage, "{failure}");
    let message = failure["msg"].as_str().expect("a failure has a message");
    for words in words {
        assert!(message.contains(words), "{message:?} does not say {words:?}");
    }
    exporter.wait_for_metrics("the count of the failure", Duration::from_secs(5), |page| {
        page.sum("connect_failures_total", &[("stage", stage)]) >= 1.0
    });
    failure
}

/// With a TLS mode and, where the mode checks it, the authority of a server.
fn tls<'a>(launch: Launch<'a>, mode: &str, authority: Option<&Server>) -> Launch<'a> {
    let launch = launch.args(&[&format!("--mysql.tls-mode={mode}")]);
    match authority.map(|server| server.tls_ca().expect("the server speaks TLS")) {
        Some(ca) => launch.args(&[&format!("--mysql.tls-ca={}", ca.display())]),
        None => launch,
    }
}

fn mariadb_with_tls() -> Server {
    MariaDb::start(MariaDbOptions { tls: true, ..MariaDbOptions::default() })
}

/// How many TLS handshakes the server has finished. The question itself may be one more.
fn handshakes(server: &Server) -> i64 {
    server.status("Ssl_finished_accepts")
}

/// It logs in, and its sessions are encrypted or none is.
#[track_caller]
fn logs_in_encrypted(server: &Server, launch: Launch<'_>, encrypted: bool) {
    let before = handshakes(server);
    // Two canaries and the server view.
    drop(logs_in(launch));
    let made = handshakes(server) - before;
    assert!(if encrypted { made >= 3 } else { made <= 1 }, "{made} handshakes");
}

#[test]
fn caching_sha2_password_with_a_cold_cache() {
    let server = MySql97::start(MySql97Options::default());
    for (mode, authority) in [
        // Over RSA.
        ("disabled", None),
        // In clear words over TLS.
        ("preferred", None),
        ("required", None),
        // The server's own certificate names no host at all.
        ("verify-ca", Some(&server)),
    ] {
        // Empties the cache: the next login must prove the password itself.
        server.sql("FLUSH PRIVILEGES");
        logs_in_encrypted(&server, tls(Launch::on(&server), mode, authority), mode != "disabled");
    }
    fails(
        tls(Launch::on(&server), "verify-identity", Some(&server)),
        "tls",
        &["not valid for name \"127.0.0.1\""],
    );
    server.sql("SET GLOBAL require_secure_transport = ON");
    let failure =
        fails(tls(Launch::on(&server), "disabled", None), "tls", &["set --mysql.tls-mode=required"]);
    assert_eq!(failure["error_code"], 3159);
}

#[test]
fn a_password_goes_to_no_server_that_nobody_verified() {
    let server = MySql97::start(MySql97Options::default());
    let strictly = |mode, authority| tls(Launch::on(&server), mode, authority).verifying();
    for (mode, words) in [
        ("disabled", "encrypted with a key that anybody on the way may have sent"),
        ("preferred", "under TLS with a certificate that nobody checked"),
        ("required", "under TLS with a certificate that nobody checked"),
    ] {
        let ways = ["--mysql.tls-mode=verify-identity", "--mysql.get-server-public-key", "log in once"];
        fails(strictly(mode, None), "auth", &[&[words][..], &ways].concat());
    }
    // The same account, verified. The server remembers the password from then on.
    drop(logs_in(strictly("verify-ca", Some(&server))));
    for mode in ["disabled", "preferred", "required"] {
        logs_in_encrypted(&server, strictly(mode, None), mode != "disabled");
    }
}

#[test]
fn scrambles_go_to_servers_that_nobody_verified() {
    let server = MariaDb::start(MariaDbOptions {
        tls: true,
        accounts: vec![
            Account::canary(),
            Account::new("edward").with_plugin(Plugin::Ed25519),
            Account::new("open").with_password(""),
        ],
        ..MariaDbOptions::default()
    });
    for mode in ["disabled", "preferred", "required"] {
        let launch = |user, password| tls(Launch::on(&server).user(user, password), mode, None).verifying();
        drop(logs_in_at_last(launch("edward", DEFAULT_PASSWORD)));
        drop(logs_in(launch("open", "")));
        let exporter = logs_in(launch("canary", DEFAULT_PASSWORD));
        let told = exporter.events("server_unverified");
        assert_eq!(told.len(), usize::from(mode != "disabled"), "once: {told:?}");
    }
    let exporter = logs_in(tls(Launch::on(&server), "verify-ca", Some(&server)).verifying());
    assert!(exporter.events("server_unverified").is_empty());
}

#[test]
fn certificates_are_checked_as_far_as_asked() {
    let (ours, stranger) = (mariadb_with_tls(), mariadb_with_tls());
    let by_name = format!("localhost:{}", ours.port());
    for (launch, mode, authority) in [
        (Launch::on(&ours), "preferred", None),
        (Launch::on(&ours), "required", Some(&stranger)),
        (Launch::on(&ours), "verify-ca", Some(&ours)),
        (Launch::on(&ours), "verify-identity", Some(&ours)),
        (Launch::at(&by_name), "verify-identity", Some(&ours)),
    ] {
        logs_in_encrypted(&ours, tls(launch, mode, authority), true);
    }
    for mode in ["verify-ca", "verify-identity"] {
        // A stranger's authority, and none of the well-known ones.
        fails(tls(Launch::on(&ours), mode, Some(&stranger)), "tls", &["invalid peer certificate"]);
        fails(tls(Launch::on(&ours), mode, None), "tls", &["invalid peer certificate: UnknownIssuer"]);
    }
}

#[test]
fn a_certificate_whose_time_is_over() {
    let server = MariaDb::start(MariaDbOptions { tls: true, expired: true, ..MariaDbOptions::default() });
    for mode in ["preferred", "required"] {
        logs_in_encrypted(&server, tls(Launch::on(&server), mode, None), true);
    }
    let advice = "renew the server's certificate, or set this machine's clock";
    for mode in ["verify-ca", "verify-identity"] {
        fails(tls(Launch::on(&server), mode, Some(&server)), "tls", &["Expired", advice]);
    }
}

#[test]
fn tls_that_is_not_offered() {
    let server = MariaDb::start(MariaDbOptions::default());
    drop(logs_in(tls(Launch::on(&server), "preferred", None)));
    let checks = "the server offers no TLS, so it cannot be checked who it is: find out why";
    for (mode, words) in [
        ("required", "the server offers no TLS: set it up there, or choose --mysql.tls-mode=preferred"),
        ("verify-ca", checks),
        ("verify-identity", checks),
    ] {
        fails(tls(Launch::on(&server), mode, None), "tls", &[words]);
    }
}

#[test]
fn the_plugins_of_mariadb() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![
            Account::new("native").with_password(HARD),
            Account::new("edward").with_password(HARD).with_plugin(Plugin::Ed25519),
            Account::new("open").with_password(""),
        ],
        ..MariaDbOptions::default()
    });
    for (user, password) in [("native", HARD), ("open", "")] {
        drop(logs_in(Launch::on(&server).user(user, password)));
    }
    drop(logs_in_at_last(Launch::on(&server).user("edward", HARD)));
    for user in ["native", "edward"] {
        fails(Launch::on(&server).user(user, "wrong"), "auth", &["Access denied", "(1045)"]);
    }
    fails(Launch::on(&server).user("nobody", "wrong"), "auth", &["Access denied"]);
}

#[test]
fn a_hard_password_by_every_way_it_may_come_on_mariadb() {
    let accounts = vec![Account::canary().with_password(HARD)];
    check_hard_password(&MariaDb::start(MariaDbOptions { accounts, ..MariaDbOptions::default() }));
}

#[test]
fn a_hard_password_by_every_way_it_may_come_on_mysql() {
    let accounts = vec![Account::canary().with_password(HARD)];
    check_hard_password(&MySql97::start(MySql97Options { accounts, ..MySql97Options::default() }));
}

#[track_caller]
fn check_hard_password(server: &Server) {
    let dir = PrivateDir::new();
    let file = dir.path().join("password");
    let options = dir.path().join("my.cnf");
    let quoted = HARD.replace('\\', r"\\").replace('"', "\\\"");
    fs::write(&options, format!("[client]\nuser = canary # ours\npassword = \"{quoted}\" # theirs\n"))
        .expect("the directory is ours");
    check_told_nowhere(&logs_in(Launch::on(server).user("canary", HARD)), HARD);
    for end in ["", "\n", "\r\n", "\nanother line\n"] {
        fs::write(&file, format!("{HARD}{end}")).expect("the directory is ours");
        let launch = Launch::on(server).user("canary", "the file wins");
        let launch = launch.args(&[&format!("--mysql.password-file={}", file.display())]);
        check_told_nowhere(&logs_in(launch), HARD);
    }
    let launch = Launch::on(server).user("canary", "");
    let launch = launch.args(&[&format!("--mysql.defaults-file={}", options.display())]);
    check_told_nowhere(&logs_in(launch), HARD);
    // The real client reads the same file the same way.
    let mut client = Command::new("mariadb");
    client
        .arg(format!("--defaults-file={}", options.display()))
        .args(["--host=127.0.0.1", &format!("--port={}", server.port()), "--execute=SELECT 1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = spawn(client).and_then(|client| client.wait_with_output()).expect("the client can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Neither the log nor the metrics hold the secret, as it is or as JSON writes it.
#[track_caller]
fn check_told_nowhere(exporter: &Exporter<'_>, secret: &str) {
    let said = exporter.log() + exporter.metrics().text() + &exporter.get("/").body;
    let escaped = Value::from(secret).to_string();
    for spelling in [secret, escaped.trim_matches('"')] {
        assert!(!said.contains(spelling), "the password is in\n{said}");
    }
}

/// The moment of an event, in seconds.
fn moment(event: &Value) -> f64 {
    let time = humantime_of(event["time"].as_str().expect("an event has a time"));
    time.duration_since(SystemTime::UNIX_EPOCH).expect("events are of our time").as_secs_f64()
}

fn humantime_of(text: &str) -> SystemTime {
    humantime::parse_rfc3339(text).expect("an event's time is RFC 3339")
}

/// Rests of fifteen seconds lie between failures that were not under way together.
#[track_caller]
fn check_rests(failures: &[Value]) {
    for pair in failures.windows(2) {
        let rest = moment(&pair[1]) - moment(&pair[0]);
        assert!(rest > 14.5, "tried again after {rest} s: {failures:?}");
    }
}

#[test]
fn a_wrong_password_is_told_and_not_tried_again_and_again() {
    const WRONG: &str = "wrong-$ecret'\"\\";
    let server = MariaDb::start(MariaDbOptions::default());
    let refused_before = server.status("Aborted_connects");
    let exporter = Launch::on(&server).user("canary", WRONG).start();
    let first = exporter.wait_for_events("connect_failed", 1, Duration::from_secs(10)).remove(0);
    assert_eq!(
        (&first["stage"], &first["error_code"], &first["user"]),
        (&"auth".into(), &1045.into(), &"canary".into())
    );
    let message = first["msg"].as_str().expect("a failure has a message");
    assert!(message.contains("Access denied for user 'canary'"), "{message}");
    assert!(message.ends_with(": check --mysql.username and the password"), "{message}");
    let page = exporter.metrics();
    assert_eq!(page.sum("connect_failures_total", &[]), 1.0);
    assert_eq!(page.one("up", &[]), 0.0);

    let failures = exporter.wait_for_events("connect_failed", 2, Duration::from_secs(25));
    assert_eq!(failures.len(), 2);
    check_rests(&failures);
    let page = exporter.wait_for_metrics("the count of the failures", Duration::from_secs(5), |page| {
        page.sum("connect_failures_total", &[("stage", "auth")]) == 2.0
    });
    assert_eq!(page.one("suspended", &[("reason", "connect_failing")]), 1.0);
    assert_eq!(server.status("Aborted_connects") - refused_before, 2, "the server saw as many");
    check_told_nowhere(&exporter, WRONG);
}

#[test]
fn a_password_set_right_on_the_server_is_found_out() {
    let server = MariaDb::start(MariaDbOptions::default());
    server.sql("ALTER USER 'canary'@'%' IDENTIFIED BY 'another'");
    let exporter = Launch::on(&server).ages("60s").start();
    exporter.wait_for_events("connect_failed", 1, Duration::from_secs(10));
    server.sql("ALTER USER 'canary'@'%' IDENTIFIED BY 'canary-secret'");
    let page = exporter.wait_for_metrics("canaries and a server view", Duration::from_secs(30), |page| {
        page.sum("up", &[]) == 1.0 && page.sum("connections", &[]) >= 1.0
    });
    assert_eq!(page.sum("suspended", &[]), 0.0);
}

fn with_and_without_process() -> Vec<Account> {
    vec![Account::canary(), Account::app(), Account::new("seer").with_process_privilege()]
}

#[test]
fn mariadb_without_the_privilege_process() {
    let accounts = with_and_without_process();
    check_process(&MariaDb::start(MariaDbOptions { accounts, ..MariaDbOptions::default() }));
}

#[test]
fn mysql_without_the_privilege_process() {
    let accounts = with_and_without_process();
    check_process(&MySql97::start(MySql97Options { accounts, ..MySql97Options::default() }));
}

/// It works without, and says what is missing; with it there is nothing to say.
#[track_caller]
fn check_process(server: &Server) {
    let exporter = logs_in(Launch::on(server));
    let told = exporter.wait_for_events("privilege_missing", 1, Duration::from_secs(5)).remove(0);
    let message = told["msg"].as_str().expect("an event has a message");
    assert!(message.contains("GRANT PROCESS ON *.*"), "{message}");
    assert_eq!(told["user"], "canary");
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(exporter.events("privilege_missing").len(), 1, "once, not every round");
    let success = |page: &Page| page.sum("collector_success", &[]) == 3.0;
    exporter.wait_for_metrics("every source", Duration::from_secs(5), success);

    let exporter = logs_in(Launch::on(server).user("seer", "canary-secret"));
    exporter.wait_for_metrics("every source", Duration::from_secs(5), success);
    assert!(exporter.events("privilege_missing").is_empty(), "{}", exporter.log());
}

#[test]
fn mariadb_without_process_says_nothing_of_applications() {
    let accounts = with_and_without_process();
    check_applications(&MariaDb::start(MariaDbOptions { accounts, ..MariaDbOptions::default() }));
}

#[test]
fn mysql_without_process_says_nothing_of_applications() {
    let accounts = with_and_without_process();
    check_applications(&MySql97::start(MySql97Options { accounts, ..MySql97Options::default() }));
}

/// Whether each series that speaks of applications' sessions is there.
fn speaks_of_applications(page: &Page) -> Vec<bool> {
    let families = [
        "sessions",
        "session_longest_idle_seconds",
        "idle_sessions",
        "sessions_at_risk",
        "sessions_held_past_recycle",
        "application_endings_total",
        "application_survival_age_seconds_count",
    ];
    let rules = ["sessions_at_risk", "session_held_past_recycle"];
    let of_families = families.iter().map(|name| !page.values(name, &[]).is_empty());
    of_families
        .chain(rules.iter().map(|rule| !page.values("layer_mismatch", &[("rule", rule)]).is_empty()))
        .collect()
}

/// An application holds a session past the limit and past its pool's recycle. An account without PROCESS
/// does not see it, and says nothing, not zero; one that is given PROCESS meanwhile sees it.
#[track_caller]
fn check_applications(server: &Server) {
    let mut application = observe(&[], server.addr(), &["watch", "150", "--user", "app"]);
    application.event("connected");
    // For new sessions: canaries die of it, and the application's session does not.
    server.sql("SET GLOBAL wait_timeout = 3");
    let exporter = Launch::on(server).ages("1s,2s,4s").args(&["--pool=name=api,user=app,recycle=1s"]).start();
    let measured = |page: &Page| {
        page.values("layer_mismatch", &[("rule", "pool_outlives_path")]).len() == 1
            && page.values("idle_limit_upper_seconds", &[("kind", "idle")]).len() == 1
    };
    let page = exporter.wait_for_metrics("a limit", Duration::from_secs(30), measured);
    assert_eq!(page.sum("collector_success", &[]), 3.0);
    assert_eq!(speaks_of_applications(&page), [false; 9], "{}", page.text());
    server.sql("GRANT PROCESS ON *.* TO 'canary'@'%'");
    let page = exporter.wait_for_metrics("the applications' sessions", Duration::from_secs(60), |page| {
        speaks_of_applications(page) == [true; 9]
    });
    assert_eq!(page.one("sessions", &[("user", "app"), ("command", "Sleep")]), 1.0);
    // It has a longer `wait_timeout` of its own: its next query will not fail.
    assert_eq!(page.one("sessions_at_risk", &[("user", "app")]), 0.0);
    assert_eq!(page.one("sessions_held_past_recycle", &[("pool", "api"), ("user", "app")]), 1.0);
    assert_eq!(page.one("layer_mismatch", &[("rule", "session_held_past_recycle")]), 1.0);
    assert_eq!(page.one("layer_mismatch", &[("rule", "sessions_at_risk")]), 0.0);
}

#[test]
fn an_account_with_few_connections_is_not_pressed() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary().with_max_user_connections(3)],
        ..MariaDbOptions::default()
    });
    let exporter = Launch::on(&server).ages("20s,40s,60s,80s,100s,120s").start();
    let first = exporter.wait_for_events("connect_failed", 1, Duration::from_secs(20)).remove(0);
    assert_eq!((&first["stage"], &first["error_code"]), (&"limit".into(), &1226.into()), "{first}");
    let message = first["msg"].as_str().expect("a failure has a message");
    assert!(
        message.contains("raise the account's MAX_USER_CONNECTIONS to --canary.max-connections"),
        "{message}"
    );
    exporter.wait_for_metrics("the suspension", Duration::from_secs(5), |page| {
        page.sum("suspended", &[("reason", "connection_limit")]) == 1.0
    });
    // Attempts that were under way together may all have failed.
    std::thread::sleep(Duration::from_secs(2));
    let failed = exporter.events("connect_failed").len();
    assert!(failed <= 10, "{failed} attempts");
    std::thread::sleep(Duration::from_secs(9));
    assert_eq!(exporter.events("connect_failed").len(), failed, "it rests:\n{}", exporter.log());
    let page = exporter.metrics();
    assert_eq!(page.sum("connect_failures_total", &[("stage", "limit")]), failed as f64);
    assert_eq!(page.one("suspended", &[("reason", "connection_limit")]), 1.0);
    assert_eq!(page.one("suspended", &[("reason", "connect_failing")]), 0.0);
    assert!(page.sum("connections", &[]) >= 1.0, "the canaries that are there live on");
    let ours = server.processlist().iter().filter(|session| session.user == "canary").count();
    assert!((1..=3).contains(&ours), "{ours} sessions");
}
