//! Passwords, hashes and keys are in no output, whatever happens: logged at level debug in both formats, on every page, in
//! the state file, and in what the system shows of the process.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use super::{Authority, NAMES, hash};
use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::process::{Daemon, bound_command, on_free_port};
use crate::lab::{Account, Curl, MariaDb, MariaDbOptions, wait_for};

/// The password of the pages' user.
const OF_THE_PAGES: &str = "hunter2-in-disguise";

/// Everything that was said, and what must not be in it.
struct Heard {
    secrets: Vec<(&'static str, String)>,
    count: usize,
}

impl Heard {
    #[track_caller]
    fn hear(&mut self, what: &str, text: &str) {
        assert!(!text.is_empty(), "{what} says something");
        self.count += 1;
        for (secret, words) in &self.secrets {
            assert!(!text.contains(words.as_str()), "{what} tells {secret}: {text}");
        }
    }
}

fn observe(format: &str) {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary().with_process_privilege()],
        ..MariaDbOptions::default()
    });
    let authority = Authority::new();
    authority.sign("server", NAMES, 30);
    let key = fs::read_to_string(authority.file("server-key.pem")).expect("it is there");
    let key_line = key.lines().nth(1).expect("base64").to_owned();
    let hashed = hash(OF_THE_PAGES, 4);
    let indented = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let certificate = fs::read_to_string(authority.file("server.pem")).expect("it is there");
    let web = format!(
        "tls_server_config:\n  cert: |\n{}  key: |\n{}basic_auth_users: {{dave: {hashed}}}\n",
        indented(&certificate),
        indented(&key)
    );
    let config = |auth: &str| {
        format!(
            "targets:\n  - name: orders\n    auth: {auth}\n    server: {{interval: 1s}}\n    canary: {{ages: [1s, 2s]}}\n    \
             paths: [{{name: direct, address: \"{}\"}}]\n",
            server.addr()
        )
    };
    let good = config("{username: canary, password_file: password}");
    for (name, text) in
        [("web.yml", &web), ("canary.yml", &good), ("password", &format!("{DEFAULT_PASSWORD}\n"))]
    {
        authority.write(name, text);
    }
    let file = |name: &str| authority.file(name).display().to_string();
    let (port, daemon) = on_free_port(|port| {
        let mut command = bound_command(&[], env!("CARGO_BIN_EXE_mysql-canary-exporter"));
        command
            .args([
                &format!("--config.file={}", file("canary.yml")),
                &format!("--web.config.file={}", file("web.yml")),
            ])
            .args([
                &format!("--state.file={}", file("state")),
                &format!("--web.listen-address=127.0.0.1:{port}"),
            ])
            .args(["--log.level=debug", &format!("--log.format={format}")])
            // One of its rounds panics.
            .env("MYSQL_CANARY_FAILPOINT", "server_view:round:3000")
            .env("RUST_BACKTRACE", "full");
        let mut daemon = Daemon::start(command, &authority.file("log"));
        daemon.wait_for_output("Listening on").map(|()| daemon)
    });
    let mut heard = Heard {
        secrets: vec![
            ("the password of MySQL", DEFAULT_PASSWORD.to_owned()),
            ("the password of the pages", OF_THE_PAGES.to_owned()),
            ("the same as a client sends it", "ZGF2ZTpodW50ZXIyLWluLWRpc2d1aXNl".to_owned()),
            ("the hash", hashed.clone()),
            ("the salt", hashed[7..29].to_owned()),
            ("the key", key_line),
        ],
        count: 0,
    };
    let curl = Curl::https(([127, 0, 0, 1], port).into(), &authority.file("ca.pem"));
    let dave = curl.clone().logged_in(&format!("dave:{OF_THE_PAGES}"));
    let pages = |heard: &mut Heard| {
        for path in [
            "/",
            "/?target=orders",
            "/api/v1/status",
            "/metrics",
            "/probe?target=orders",
            "/probe?target=x",
            "/-/healthy",
            "/-/ready",
            "/nothing",
        ] {
            heard.hear(path, &dave.get(path).to_string());
        }
        for wrong in [
            curl.clone(),
            curl.clone().logged_in(&format!("{OF_THE_PAGES}:dave")),
            Curl::http(([127, 0, 0, 1], port).into()),
        ] {
            heard.hear("a refusal", &wrong.get("/metrics").to_string());
        }
        let reloaded = dave.clone().with(&["--request", "POST"]).get("/-/reload");
        heard.hear("a reload", &reloaded.to_string());
        reloaded.status
    };
    let says = |daemon: &Daemon, what: &str, times: usize| {
        wait_for(what, Duration::from_secs(30), || {
            (daemon.output().matches(what).count() >= times).then_some(())
        });
    };
    says(&daemon, "survived", 2);
    assert_eq!(pages(&mut heard), 200);
    // A panic is told, and costs one round.
    says(&daemon, "round_failed", 1);
    // Logins that fail.
    server.sql("ALTER USER 'canary'@'%' IDENTIFIED BY 'another one'");
    says(&daemon, "connect_failed", 1);
    assert_eq!(pages(&mut heard), 200);
    let planted = |name: &str, beside: &str| {
        let text = key.replace('\n', "\\n");
        format!(
            "{{username: canary, password_file: password}}\n    tls_config: {{mode: verify-ca, {beside}{name}: \"{text}\"}}"
        )
    };
    // Secrets in every wrong place, of both files.
    for auth in [
        format!("{{username: canary, password: {DEFAULT_PASSWORD}}}"),
        format!("{{username: canary, password_file: {DEFAULT_PASSWORD}}}"),
        format!("{{username: canary, password_env: {DEFAULT_PASSWORD}}}"),
        format!("{{username: canary, {DEFAULT_PASSWORD}: x}}"),
        format!("{{username: canary, password_file: \"{DEFAULT_PASSWORD}}}"),
        planted("ca_file", ""),
        planted("cert_file", "key_file: server-key.pem, "),
        planted("key_file", "cert_file: server.pem, "),
    ] {
        authority.write("canary.yml", &config(&auth));
        assert_eq!(pages(&mut heard), 500, "{auth}");
    }
    authority.write("canary.yml", &good);
    for (count, wrong) in [
        web.replace("key: |", "key_file: |"),
        web.replace("  key: |", "  client_ca: |"),
        web.replace("  cert: |", "  key_file: server-key.pem\n  client_ca: |")
            .replace("  key: |", "  cert_file: |"),
        web.replace(
            "  key: |",
            "  key_file: server-key.pem\n  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: |",
        ),
        web.replace("basic_auth_users: {dave: ", "basic_auth_users: {dave: x"),
        format!("{web}{OF_THE_PAGES}: x\n"),
        format!("{web}password: {OF_THE_PAGES}\n"),
        web.replace("basic_auth_users", &format!("basic_auth_{hashed}")),
    ]
    .into_iter()
    .enumerate()
    {
        authority.write("web.yml", &wrong);
        assert_eq!(pages(&mut heard), 200);
        says(&daemon, "web_config_not_read", count + 1);
    }
    authority.write("web.yml", &web);
    assert_eq!(pages(&mut heard), 200);
    let of_process = |name: &str| {
        let bytes = fs::read(format!("/proc/{}/{name}", daemon.pid())).expect("it runs");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    heard.hear("argv", &of_process("cmdline"));
    heard.hear("the environment", &of_process("environ"));
    let children = of_process(&format!("task/{}/children", daemon.pid()));
    assert_eq!(children, "", "nobody inherits anything");
    wait_for("the state file", Duration::from_secs(20), || authority.file("state").exists().then_some(()));
    heard.hear("the state file", &fs::read_to_string(authority.file("state")).expect("it is there"));
    // Its end by a signal that nobody hears: what was said before counts.
    daemon.signal(Signal::ABORT);
    let mut daemon = daemon;
    daemon.wait_for_end(Duration::from_secs(10));
    heard.hear("the log", &daemon.output());
    assert!(heard.count > 100, "{}", heard.count);
}

#[test]
fn no_secret_is_told_in_logfmt() {
    observe("logfmt");
}

#[test]
fn no_secret_is_told_in_json() {
    observe("json");
}
