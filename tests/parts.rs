//! Every part of the lab proves itself against PyMySQL: ground truth that is not ours.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::{
    Account, HaProxy, MariaDb, MariaDbOptions, MySql97, MySql97Options, MySqlRouter, Plugin, Python, Server,
    ThreadHandling, wait_for, wire,
};

mod firewall;
mod watchers;

/// Every character that configuration files, URLs and shells trip over.
const ODD_PASSWORD: &str = r##"?&%@#;$'"\ x"##;

/// Runs `observe.py` as an application of `server`.
pub(crate) fn observe(around: &[&str], server: SocketAddr, arguments: &[&str]) -> Python {
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    let all: Vec<&str> = arguments.iter().copied().chain(["--host", &host, "--port", &port]).collect();
    Python::start(around, "tests/lab/observe.py", &all)
}

fn number(event: &Value, key: &str) -> f64 {
    event[key].as_f64().unwrap_or_else(|| panic!("{event} has no number {key}"))
}

fn id(event: &Value) -> u64 {
    event["id"].as_u64().unwrap_or_else(|| panic!("{event} has no id"))
}

#[track_caller]
fn assert_within(value: f64, range: std::ops::Range<f64>) {
    assert!(range.contains(&value), "{value} is not within {range:?}");
}

/// Watches one idle session of a server with `wait_timeout=3` to its end; what came before it, in
/// hexadecimal.
fn watch_wait_timeout(server: &Server, how: &str, arguments: &[&str]) -> String {
    let aborted = server.status("Aborted_clients");
    let mut application = observe(&[], server.addr(), &[&["watch", "15"], arguments].concat());
    let id = id(&application.event("connected"));
    assert!(server.processlist().iter().any(|session| session.id == id && session.command == "Sleep"));
    let ended = application.event("ended");
    assert_eq!(ended["how"], how, "{ended}");
    assert_within(number(&ended, "age"), 2.7..4.5);
    wait_for("the session to leave the process list", Duration::from_secs(5), || {
        server.processlist().iter().all(|session| session.id != id).then_some(())
    });
    assert_eq!(server.status("Aborted_clients"), aborted + 1);
    ended["received"].as_str().expect("bytes in hexadecimal").to_owned()
}

#[test]
fn mariadb_with_a_thread_for_each_resets_an_idle_session_at_wait_timeout() {
    let server = MariaDb::start(MariaDbOptions::with_args(&["--wait-timeout=3"]));
    assert_eq!(watch_wait_timeout(&server, "reset", &[]), "");
}

#[test]
fn mariadb_with_a_pool_of_threads_closes_an_idle_session_with_fin_at_wait_timeout() {
    let server = MariaDb::start(MariaDbOptions {
        thread_handling: ThreadHandling::PoolOfThreads,
        ..MariaDbOptions::with_args(&["--wait-timeout=3"])
    });
    assert_eq!(watch_wait_timeout(&server, "fin", &[]), "");
}

#[test]
fn mysql_says_4031_to_an_idle_session_at_wait_timeout() {
    let server = MySql97::start(MySql97Options::with_args(&["--wait-timeout=3"]));
    // Sequence 0, ERR, 4031, with TLS and without.
    for arguments in [&["--plain"][..], &[]] {
        let goodbye = watch_wait_timeout(&server, "fin", arguments);
        assert_eq!(&goodbye[6..14], "00ffbf0f", "{goodbye}");
        let words: String = wire::goodbye()[4..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(&goodbye[8..], words, "the scripted peer says it in the same words");
    }
    assert!(server.tls_ca().is_some_and(Path::exists));
}

#[test]
fn mariadb_lets_accounts_in_by_either_plugin_with_any_password_and_over_tls() {
    let server = MariaDb::start(MariaDbOptions {
        tls: true,
        accounts: vec![
            Account::canary().with_password(ODD_PASSWORD).with_process_privilege(),
            Account::new("edward").with_plugin(Plugin::Ed25519).with_max_user_connections(1),
            Account::app(),
        ],
        ..MariaDbOptions::default()
    });
    // MariaDB's own client: PyMySQL needs one more package for ed25519.
    let mut edward = Command::new("mariadb");
    edward.args([
        "--no-defaults",
        "--protocol=tcp",
        "--host=127.0.0.1",
        "--user=edward",
        "--batch",
        "-e",
        "SELECT 1",
    ]);
    edward.arg(format!("--port={}", server.port())).arg(format!("--password={DEFAULT_PASSWORD}"));
    let output = edward.output().expect("the mariadb client runs");
    assert!(output.status.success(), "{output:?}");

    let ca = server.tls_ca().and_then(Path::to_str).expect("TLS was asked for");
    let question = ["query", "SHOW STATUS LIKE 'Ssl_version'", "--password", ODD_PASSWORD, "--tls-ca", ca];
    let rows = observe(&[], server.addr(), &question).event("rows");
    assert_eq!(rows["rows"][0][1], "TLSv1.3");
    assert_eq!(observe(&[], server.addr(), &["query", "SELECT 1"]).event("refused")["code"], 1045);
    assert_eq!(server.sql(r"SELECT 'a\tb\\', NULL, ''"), [["a\tb\\", "NULL", ""]]);
    assert!(server.try_sql("SELECT nonsense").is_err_and(|error| error.contains("1054")));
}

#[test]
fn mysql_lets_accounts_in_with_any_password_and_limits_them() {
    let server = MySql97::start(MySql97Options {
        accounts: vec![Account::canary().with_password(ODD_PASSWORD).with_max_user_connections(1)],
        ..MySql97Options::default()
    });
    let mut first = observe(&[], server.addr(), &["watch", "20", "--password", ODD_PASSWORD]);
    assert!(first.event("connected")["version"].as_str().is_some_and(|version| version.starts_with("9.")));
    let refused =
        observe(&[], server.addr(), &["query", "SELECT 1", "--password", ODD_PASSWORD]).event("refused");
    assert_eq!(refused["code"], 1226, "{refused}");
}

#[test]
fn a_server_can_be_killed_frozen_stopped_and_restarted() {
    let mut server = MariaDb::start(MariaDbOptions::default());
    let mut application = observe(&[], server.addr(), &["watch", "20"]);
    server.kill(id(&application.event("connected")));
    assert_eq!(application.event("ended")["how"], "fin");

    server.sigstop();
    let mut frozen = observe(&[], server.addr(), &["query", "SELECT 1"]);
    assert!(frozen.event_within("connected", Duration::from_secs(2)).is_none());
    server.sigcont();
    assert_eq!(frozen.event("rows")["rows"][0][0], 1);
    assert_eq!(frozen.finish(), Vec::<Value>::new());

    let mut application = observe(&[], server.addr(), &["watch", "20"]);
    application.event("connected");
    let (port, pid) = (server.port(), server.pid());
    server.restart();
    assert_eq!(application.event("ended")["how"], "fin");
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert!(server.log().contains("ready for connections"));
    server.stop();
    assert!(TcpStream::connect(server.addr()).is_err());
}

#[test]
fn haproxy_closes_both_sides_with_fin_at_its_timeout() {
    let server = MariaDb::start(MariaDbOptions::default());
    let proxy = HaProxy::start(server.addr(), Duration::from_secs(4));
    let mut application = observe(&[], proxy.addr(), &["watch", "10"]);
    let id = id(&application.event("connected"));
    let ended = application.event("ended");
    assert_eq!(ended["how"], "fin");
    assert_within(number(&ended, "age"), 3.7..4.3);
    wait_for("the session to leave the process list", Duration::from_secs(5), || {
        server.processlist().iter().all(|session| session.id != id).then_some(())
    });
}

#[test]
fn mysql_router_forwards_a_query() {
    let server = MySql97::start(MySql97Options::default());
    let router = MySqlRouter::start(server.addr());
    let rows = observe(&[], router.addr(), &["query", "SELECT @@port"]).event("rows");
    assert_eq!(rows["rows"][0][0], server.port());
}
