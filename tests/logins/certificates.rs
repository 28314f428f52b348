//! TLS to MySQL 9.7 in all five modes: whose certificate is taken for what, on both sides, and what is said where it is not.
//! Each row is a target of one exporter, and an account of its own.

use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;

use crate::exporter::{Exporter, Launch};
use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::{Account, Authority, MySql97, MySql97Options, Server, wait_for};

/// What comes of a login.
enum Comes {
    Plain,
    Encrypted,
    /// It fails at this stage, with each of these words.
    Fails(&'static str, &'static [&'static str]),
}

struct Row {
    /// What the account demands, after `REQUIRE`.
    demands: &'static str,
    /// Of `tls_config`.
    tls: String,
    comes: Comes,
}

const MODES: [&str; 5] = ["disabled", "preferred", "required", "verify-ca", "verify-identity"];
const UNKNOWN: Comes =
    Comes::Fails("tls", &["invalid peer certificate: UnknownIssuer: name its authority in --mysql.tls-ca"]);
/// Another authority of the same name.
const FORGED: Comes =
    Comes::Fails("tls", &["invalid peer certificate: BadSignature: name its authority in --mysql.tls-ca"]);
const EXPIRED: Comes = Comes::Fails(
    "tls",
    &["invalid peer certificate: Expired", "renew the server's certificate, or set this machine's clock"],
);
const WRONG_NAME: Comes = Comes::Fails(
    "tls",
    &[
        "not valid for name \"db.example.org\"",
        "give the server one that names it, or check its authority alone",
    ],
);
const NO_TLS: Comes = Comes::Fails(
    "auth",
    &[
        "Access denied",
        "(1045)",
        "where the account demands TLS (REQUIRE SSL), set --mysql.tls-mode=required",
    ],
);
const NO_CERTIFICATE: Comes = Comes::Fails(
    "auth",
    &["Access denied", "(REQUIRE X509), name one in cert_file and key_file of tls_config"],
);
const OTHER_SUBJECT: Comes =
    Comes::Fails("auth", &["Access denied", "(REQUIRE SUBJECT, ISSUER), whether cert_file is that one"]);
const REFUSED: Comes = Comes::Fails(
    "tls",
    &["the server refuses the certificate of ", "have it signed by an authority of the server's ssl_ca"],
);
const OUT_OF_DATE: Comes =
    Comes::Fails("tls", &["the server refuses the certificate of ", "renew it, or set the server's clock"]);

/// Who signs for whom.
struct Authorities {
    ours: Authority,
    /// Signs for nobody here.
    stranger: Authority,
    /// Has the name of ours, as MySQL's own have all.
    namesake: Authority,
}

impl Authorities {
    fn new() -> Self {
        let all = Self {
            ours: Authority::new(),
            stranger: Authority::called("somebody else"),
            namesake: Authority::new(),
        };
        all.ours.sign("server", "DNS:localhost,IP:127.0.0.1", 30);
        all.ours.sign("old-server", "DNS:localhost,IP:127.0.0.1", -1);
        all.ours.sign("expired", "DNS:canary", -1);
        for authority in [&all.ours, &all.stranger, &all.namesake] {
            authority.sign("canary", "DNS:canary", 30);
        }
        all
    }
}

/// As `tls_config` has it.
fn ca(authority: &Authority) -> String {
    format!(", ca_file: {}", authority.file("ca.pem").display())
}

fn identity(authority: &Authority, name: &str) -> String {
    let file = |end: &str| authority.file(&format!("{name}{end}.pem")).display().to_string();
    format!(", cert_file: {}, key_file: {}", file(""), file("-key"))
}

/// What a server with a good certificate is asked.
fn rows(all: &Authorities) -> Vec<Row> {
    let Authorities { ours, stranger, namesake } = all;
    let row = |mode: &str, more: String, comes| Row { demands: "", tls: format!("{mode}{more}"), comes };
    let wrong_name = ", server_name: db.example.org";
    let mut rows = vec![
        row("disabled", String::new(), Comes::Plain),
        row("preferred", String::new(), Comes::Encrypted),
        row("required", String::new(), Comes::Encrypted),
        row("preferred", ca(stranger), Comes::Encrypted),
        row("required", ca(stranger), Comes::Encrypted),
        row("required", wrong_name.to_owned(), Comes::Encrypted),
        row("verify-ca", ca(ours) + wrong_name, Comes::Encrypted),
        row("verify-identity", ca(ours) + wrong_name, WRONG_NAME),
        Row { demands: "SSL", tls: "disabled".to_owned(), comes: NO_TLS },
        Row { demands: "SSL", tls: "preferred".to_owned(), comes: Comes::Encrypted },
    ];
    for mode in ["verify-ca", "verify-identity"] {
        rows.extend([
            row(mode, ca(ours), Comes::Encrypted),
            row(mode, ca(stranger), UNKNOWN),
            row(mode, ca(namesake), FORGED),
            row(mode, String::new(), UNKNOWN),
        ]);
    }
    for mode in MODES {
        let verifies = mode.starts_with("verify");
        for (shown, comes) in [
            (identity(ours, "canary"), Comes::Encrypted),
            (identity(ours, "expired"), OUT_OF_DATE),
            (identity(stranger, "canary"), REFUSED),
            (identity(namesake, "canary"), REFUSED),
            (String::new(), NO_CERTIFICATE),
        ] {
            let trusted = if verifies { ca(ours) } else { String::new() };
            let comes = if mode == "disabled" { NO_TLS } else { comes };
            rows.push(Row { demands: "X509", tls: format!("{mode}{trusted}{shown}"), comes });
        }
    }
    let shown = format!("required{}", identity(ours, "canary"));
    rows.push(Row { demands: "SUBJECT '/CN=canary'", tls: shown.clone(), comes: Comes::Encrypted });
    rows.push(Row { demands: "SUBJECT '/CN=somebody else'", tls: shown, comes: OTHER_SUBJECT });
    rows
}

/// The same of one whose certificate has expired.
fn rows_of_the_expired(all: &Authorities) -> Vec<Row> {
    let row =
        |(mode, comes): (&str, Comes)| Row { demands: "", tls: format!("{mode}{}", ca(&all.ours)), comes };
    MODES
        .into_iter()
        .zip([Comes::Plain, Comes::Encrypted, Comes::Encrypted, EXPIRED, EXPIRED])
        .map(row)
        .collect()
}

/// An exporter with a target for each row.
fn launch(all: &Authorities, server: &Server, set: char, rows: &[Row]) -> Exporter<'static> {
    let mut config = "targets:\n".to_owned();
    for (number, Row { tls, .. }) in rows.iter().enumerate() {
        writeln!(
            config,
            "  - name: {set}{number}\n    auth: {{username: {set}{number}, password_file: password}}\n    \
             paths: [{{name: direct, address: \"localhost:{}\"}}]\n    canary: {{ages: [60s], max_connections: 3}}\n    \
             tls_config: {{get_server_public_key: true, mode: {tls}}}",
            server.port()
        )
        .expect("a String takes all");
    }
    all.ours.write("password", DEFAULT_PASSWORD);
    all.ours.write("canary.yml", &config);
    Launch::from_file(&all.ours.file("canary.yml")).start()
}

/// Which accounts have sessions, and whether those are encrypted.
fn sessions(server: &Server) -> Vec<(String, bool)> {
    let rows = server.sql(
        "SELECT PROCESSLIST_USER, CONNECTION_TYPE FROM performance_schema.threads \
         WHERE CONNECTION_TYPE IN ('TCP/IP', 'SSL/TLS') AND PROCESSLIST_USER <> 'unauthenticated user'",
    );
    rows.into_iter().map(|row| (row[0].clone(), row[1] == "SSL/TLS")).collect()
}

#[track_caller]
fn check(all: &Authorities, server: &Server, set: char, rows: &[Row]) {
    let exporter = launch(all, server, set, rows);
    let fails = rows.iter().filter(|row| matches!(row.comes, Comes::Fails(..))).count();
    let users = |events: &[Value]| {
        let mut users: Vec<String> = events.iter().map(|event| event["user"].to_string()).collect();
        users.sort();
        users.dedup();
        users
    };
    wait_for("a session or a failure of each row", Duration::from_secs(60), || {
        let failed = users(&exporter.events("connect_failed")).len();
        let live = exporter.metrics().values("up", &[]).into_iter().filter(|up| *up == 1.0).count();
        (failed >= fails && live + fails >= rows.len()).then_some(())
    });
    let (failures, sessions, page) =
        (exporter.events("connect_failed"), sessions(server), exporter.metrics());
    for (number, Row { demands, tls, comes }) in rows.iter().enumerate() {
        let user = format!("{set}{number}");
        let of_row = format!("{user}: REQUIRE {demands}, mode {tls}");
        let failed: Vec<&Value> = failures.iter().filter(|failure| failure["user"] == *user).collect();
        let encrypted: Vec<bool> =
            sessions.iter().filter(|(whose, _)| *whose == user).map(|(_, encrypted)| *encrypted).collect();
        match comes {
            Comes::Plain | Comes::Encrypted => {
                assert!(failed.is_empty(), "{of_row}: {failed:?}");
                let all = matches!(comes, Comes::Encrypted);
                assert!(
                    !encrypted.is_empty() && encrypted.iter().all(|is| *is == all),
                    "{of_row}: {encrypted:?}"
                );
            }
            Comes::Fails(stage, words) => {
                assert!(encrypted.is_empty(), "{of_row}: nobody falls back to less");
                let count = page.sum("connect_failures_total", &[("target", &user), ("stage", stage)]);
                assert!(count >= 1.0, "{of_row}: {failed:?}");
                for failure in failed {
                    assert_eq!(failure["stage"], *stage, "{of_row}: {failure}");
                    let message = failure["msg"].as_str().expect("a failure has a message");
                    for words in *words {
                        assert!(message.contains(words), "{of_row}: {message:?} does not say {words:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn certificates_of_both_sides_in_all_five_modes() {
    let all = Authorities::new();
    let (good, expired) = (rows(&all), rows_of_the_expired(&all));
    let account = |set: char, number: usize, row: &Row| {
        let account = Account::new(&format!("{set}{number}"));
        if row.demands.is_empty() { account } else { account.requiring(row.demands) }
    };
    let accounts = [('g', &good), ('e', &expired)]
        .into_iter()
        .flat_map(|(set, rows)| rows.iter().enumerate().map(move |(number, row)| account(set, number, row)))
        .collect();
    let mut server = MySql97::start(MySql97Options { accounts, ..MySql97Options::default() });
    server.present(&all.ours, "server");
    check(&all, &server, 'g', &good);
    server.present(&all.ours, "old-server");
    check(&all, &server, 'e', &expired);
}
