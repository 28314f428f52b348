//! Each incident ends in the right notification, in words that name the layer, the age and the setting; its
//! cure resolves it.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use super::{PATIENCE, Watch};
use crate::exporter::{Exporter, Launch};
use crate::incidents::{
    background_job_path, error_codes, start_background_job, start_layer_cake, start_leaked_sessions,
    start_long_silence,
};
use crate::lab::place::{PrivateDir, free_port};
use crate::lab::webhook::Notice;
use crate::lab::{
    Account, Firewall, FirewallOptions, MariaDb, MariaDbOptions, MySql97, MySql97Options, wait_for,
};

/// The exporter with pools of user app, on a port and with a state file that outlive its restarts.
struct Restartable {
    port: u16,
    dir: PrivateDir,
}

impl Restartable {
    fn new() -> Self {
        Self { port: free_port(), dir: PrivateDir::new() }
    }

    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    fn start<'a>(&self, launch: Launch<'a>, pool: &str) -> Exporter<'a> {
        let address = format!("--web.listen-address={}", self.address());
        let state = format!("--state.file={}", self.dir.path().join("state").display());
        let pool = format!("--pool={pool},user=app,framework=sqlalchemy");
        launch.args(&["--canary.probe-timeout=2s", &address, &state, &pool]).start()
    }
}

fn accounts() -> Vec<Account> {
    vec![Account::canary().with_process_privilege(), Account::app()]
}

/// The severity, and every word, is in what people were told.
#[track_caller]
fn assert_told(notice: &Notice, severity: &str, words: &[&str]) {
    assert_eq!(notice.labels["severity"], severity, "{notice:#?}");
    let text = notice.text();
    let missing: Vec<&&str> = words.iter().filter(|word| !text.contains(**word)).collect();
    assert!(missing.is_empty(), "{missing:?} is not said in {text}");
    for sign in ["<no value>", "error expanding", "%!", "NaN"] {
        assert!(!text.contains(sign), "a template went wrong: {text}");
    }
}

/// An age that lies in a range stands in what people were told.
#[track_caller]
fn assert_age(notice: &Notice, range: Range<f64>) {
    let text = notice.text();
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
    let words: Vec<&str> =
        text.split(|letter: char| !is_part(letter)).filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(2).filter(|two| two[1].trim_end_matches('.') == "s");
    let mut ages = pairs.filter_map(|two| two[0].parse::<f64>().ok());
    assert!(ages.any(|age| range.contains(&age)), "no age within {range:?} seconds is in {text}");
}

/// The facts decide against a rule: they are not merely gone.
#[track_caller]
fn wait_until_denied(exporter: &Exporter<'_>, rule: &str) {
    exporter.wait_for_metrics(&format!("a 0 of the rule {rule}"), PATIENCE, |page| {
        page.values("layer_mismatch", &[("rule", rule)]) == [0.0]
    });
}

#[test]
fn background_job_pages_before_the_commit_fails_and_resolves_with_a_fresh_session() {
    let firewall = background_job_path();
    let exporter = Restartable::new();
    let watch = Watch::start(Some(&firewall), exporter.address());
    let launch = Launch::behind(&firewall).ages("1s,2s,3s,5s,7s");
    let running = exporter.start(launch, "name=jobs,recycle=2600ms");
    // The pool keeps clear of the limit: what is past it is held, and that is the one thing that people are told.
    running.wait_for_metrics("a confirmed limit", PATIENCE, |page| {
        page.sum("idle_limit_confirmed", &[("kind", "idle")]) == 1.0
    });
    wait_until_denied(&running, "pool_outlives_path");
    let service = ["--pool-recycle", "2.6", "--traffic", "0.2", "--download", "11"];
    let mut ill = start_background_job(&firewall, &service);

    let held = watch.firing("MySQLCanarySessionHeldPastRecycle", &[("user", "app"), ("pool", "jobs")]);
    assert_told(&held, "warning", &["1 session of user app", "pool jobs", "its recycle of 2.6 s"]);
    assert_eq!(ill.event_within("error", Duration::ZERO), None, "people are told before it fails");
    assert_eq!(ill.event("error")["code"], 2013);

    // The cure: the job takes a session of its own after the download.
    drop(ill);
    let mut healed = start_background_job(&firewall, &[&service[..], &["--fresh-session"]].concat());
    watch.resolved("MySQLCanarySessionHeldPastRecycle", &[("user", "app"), ("pool", "jobs")]);
    healed.event("committed");
    let firing = watch.still_firing();
    assert!(firing.is_empty(), "{firing:?}");
}

/// The incident at half its size: the firewall forgets after 4 s (an hour), keepalive begins at 8 s (two
/// hours), the server waits 32 s (eight hours).
pub(super) fn small_layer_cake_path() -> Firewall {
    let reader = Account::canary().with_process_privilege().with_grant("SELECT ON performance_schema.*");
    let mariadb = MariaDbOptions {
        accounts: vec![reader, Account::app()],
        ..MariaDbOptions::with_args(&["--wait-timeout=32", "--performance-schema=ON"])
    };
    let options = FirewallOptions { established_timeout_s: 4, mariadb, ..FirewallOptions::default() };
    let firewall = Firewall::start(options);
    firewall.set_client("ipv4/tcp_keepalive_time", 8);
    firewall
}

#[test]
fn layer_cake_is_told_layer_by_layer_until_all_three_clocks_agree() {
    const TICKET: &str = "MySQLCanaryIdleLimit";
    let firewall = small_layer_cake_path();
    let exporter = Restartable::new();
    let watch = Watch::start(Some(&firewall), exporter.address());
    let launch = Launch::behind(&firewall).ages("1500ms,3s,5s,7s");
    let mut running = exporter.start(launch.clone(), "name=devices");
    let mut ill = start_layer_cake(&firewall, &["--every", "2"]);

    let told = watch.firing(TICKET, &[("layer", "network")]);
    assert_told(
        &told,
        "warning",
        &["load balancer drops idle connections", "raising wait_timeout does not help"],
    );
    // The first bracket that is borne out may be the ladder's own.
    assert_age(&told, 3.9..7.1);
    let layers =
        ["keepalive too late", "pool never recycles (devices)", "TCP keepalive sooner than that helps too"];
    watch.says(TICKET, &layers);
    assert_eq!(ill.event("error")["code"], 2013);
    drop(ill);

    // Keepalive below the firewall, the server below it too, and the pool below both.
    firewall.set_client("ipv4/tcp_keepalive_time", 2);
    firewall.server().sql("SET GLOBAL wait_timeout = 3");
    running.terminate();
    let running = exporter.start(launch, "name=devices,recycle=1s");
    let mut healed = start_layer_cake(&firewall, &["--every", "2", "--pool-recycle", "1"]);
    watch.resolved(TICKET, &[]);
    healed.events_until("call", 6);
    assert!(!watch.still_firing().contains(TICKET), "it does not come back");
    for rule in ["pool_never_recycles", "path_shorter_than_server", "keepalive_too_late"] {
        wait_until_denied(&running, rule);
    }
}

#[test]
fn long_silence_is_told_to_be_the_servers_own_until_the_pool_recycles() {
    let mysql = MySql97::start(MySql97Options {
        accounts: accounts(),
        ..MySql97Options::with_args(&["--wait-timeout=3"])
    });
    let exporter = Restartable::new();
    let watch = Watch::start(None, exporter.address());
    let launch = Launch::on(&mysql).ages("1s,2s,4s,6s");
    let mut running = exporter.start(launch.clone(), "name=web");
    let ill = start_long_silence(&[], mysql.addr(), &[]);

    let alert = "MySQLCanaryIdleLimit";
    let told = watch.firing(alert, &[("layer", "server"), ("culprit", "server_idle_timeout")]);
    let words = [
        "the server closes idle connections",
        "pool never recycles (web)",
        "or raise wait_timeout",
        "pool_recycle",
    ];
    assert_told(&told, "warning", &words);
    assert_age(&told, 2.9..3.7);
    drop(ill);

    running.terminate();
    let running = exporter.start(launch, "name=web,recycle=2s");
    let mut healed = start_long_silence(&[], mysql.addr(), &["--pool-recycle", "2"]);
    watch.resolved(alert, &[]);
    wait_until_denied(&running, "pool_never_recycles");
    assert_eq!(error_codes(&healed.events_until("answered", 3)), [0; 0]);
    assert!(!watch.still_firing().contains(alert));
}

#[test]
fn long_silence_on_a_silent_path_is_told_as_a_stall_until_the_pool_has_a_read_timeout() {
    let firewall = Firewall::start(FirewallOptions {
        established_timeout_s: 3,
        mariadb: MariaDbOptions { accounts: accounts(), ..MariaDbOptions::default() },
        ..FirewallOptions::default()
    });
    let exporter = Restartable::new();
    let watch = Watch::start(Some(&firewall), exporter.address());
    let launch = Launch::behind(&firewall).ages("1s,2s,4s,6s");
    let mut running = exporter.start(launch.clone(), "name=web,recycle=1500ms");
    let mut ill = start_long_silence(&firewall.client_around(), firewall.addr(), &[]);

    // The pool recycles in time, so the limit itself has no ticket.
    let alert = "MySQLCanaryServerOutlivesClientStall";
    let told = watch.firing(alert, &[("pool", "web")]);
    assert_told(&told, "warning", &["set a read timeout in pool web", "read_timeout", "tcp_retries2"]);
    assert!(!watch.still_firing().contains("MySQLCanaryIdleLimit"));
    ill.event("asking");
    drop(ill);

    running.terminate();
    let running = exporter.start(launch, "name=web,recycle=1500ms,read_timeout=1s");
    let arguments = ["--pool-recycle", "2", "--read-timeout", "1"];
    let mut healed = start_long_silence(&firewall.client_around(), firewall.addr(), &arguments);
    watch.resolved(alert, &[]);
    wait_until_denied(&running, "server_outlives_client_stall");
    assert_eq!(error_codes(&healed.events_until("answered", 3)), [0; 0]);
    assert!(!watch.still_firing().contains(alert));
}

#[test]
fn leaked_sessions_are_told_by_number_and_age_until_they_are_returned() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: accounts(),
        ..MariaDbOptions::with_args(&["--wait-timeout=12"])
    });
    let exporter = Restartable::new();
    let watch = Watch::start(None, exporter.address());
    let launch = Launch::on(&server).ages("2s,4s,8s,16s");
    let running = exporter.start(launch, "name=workers,recycle=2s");
    running.wait_for_metrics("the server's own limit", PATIENCE, |page| {
        page.sum("idle_limit_info", &[("culprit", "server_idle_timeout")]) == 1.0
    });
    let ill = start_leaked_sessions(server.addr(), &["--quiet", "60"]);

    let alert = "MySQLCanarySessionHeldPastRecycle";
    let labels = [("user", "app"), ("pool", "workers")];
    let told = watch.firing(alert, &labels);
    assert_told(&told, "warning", &["2 sessions of user app", "pool workers", "its recycle of 2 s"]);

    drop(ill);
    wait_for("the sessions of the workers to end", PATIENCE, || {
        server.processlist().iter().all(|session| session.user != "app").then_some(())
    });
    let mut healed = start_leaked_sessions(server.addr(), &["--return-sessions", "--traffic", "0.3"]);
    watch.resolved(alert, &labels);
    healed.events_until("job", 4);
    assert!(!watch.still_firing().contains(alert));
}
