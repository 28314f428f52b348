//! `--web.config.file` on real clients: the exporter-toolkit's cases as curl sees them, files that change while the
//! exporter runs, and passwords by the thousand.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::exporter::{Exporter, Launch};
use crate::lab::{Authority, Curl, Peer, wait_for};

mod change;
mod dead_disk;
mod passwords;
mod secrets;
mod storm;

/// An exporter whose pages are configured so, in a file beside the authority's.
struct Pages {
    authority: Authority,
    exporter: Exporter<'static>,
}

/// What a page is served under, in most cases.
const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server-key.pem\n";
/// What the pages' own certificate names.
const NAMES: &str = "DNS:localhost,IP:127.0.0.1";

impl Pages {
    /// With a certificate for the pages, and those of clients: one that names `test3`, one that has expired, one that
    /// signed itself.
    fn authority() -> Authority {
        let authority = Authority::new();
        authority.sign("server", NAMES, 30);
        authority.sign("client", "DNS:test3,URI:spiffe://example.org/prometheus,IP:192.0.2.7", 30);
        authority.sign("expired", "DNS:test3", -1);
        authority.sign_itself("itself");
        authority
    }

    fn start(config: &str) -> Self {
        Self::start_beside(Self::authority(), config)
    }

    fn start_beside(authority: Authority, config: &str) -> Self {
        authority.write("web.yml", config);
        let file = authority.file("web.yml").display().to_string();
        let exporter =
            Launch::at(&Peer::refusing().to_string()).args(&[&format!("--web.config.file={file}")]).start();
        Self { authority, exporter }
    }

    /// Writes the web configuration, and waits until it is followed: one that protects less is believed later.
    fn follow(&self, config: &str) {
        let waits = |name: &str| self.exporter.events(name).len();
        let before = waits("web_config_read");
        self.authority.write("web.yml", config);
        wait_for("the new configuration", Duration::from_secs(30), || {
            // Who looks makes the exporter look.
            self.https().get("/-/healthy");
            (waits("web_config_read") > before).then_some(())
        });
    }

    fn address(&self) -> SocketAddr {
        self.exporter.web()
    }

    /// A client of TLS that trusts the authority.
    fn https(&self) -> Curl {
        Curl::https(self.address(), &self.authority.file("ca.pem"))
    }

    /// The same, which shows one of the authority's certificates.
    fn https_as(&self, name: &str) -> Curl {
        self.https().showing(
            &self.authority.file(&format!("{name}.pem")),
            &self.authority.file(&format!("{name}-key.pem")),
        )
    }
}

/// The bcrypt hash of a password, as the exporter makes it.
fn hash(password: &str, cost: u32) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mysql-canary-exporter"));
    command.args(["hash-password", &format!("--cost={cost}")]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), password.as_bytes())
        .expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8(output.stdout).expect("a text").trim_end().to_owned()
}

#[test]
fn pages_under_tls() {
    let pages = Pages::start(&format!(
        "{TLS}  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n"
    ));
    for args in [
        &[][..],
        &["--tlsv1.3"],
        &["--tls-max", "1.2"],
        &["--http2"],
        &["--curves", "X25519"],
        &["--curves", "P-384"],
    ] {
        let seen = pages.https().with(args).get("/metrics");
        assert!(seen.status == 200 && seen.text.contains("mysql_canary_up"), "{args:?}: {seen}");
        assert!(seen.text.starts_with("HTTP/1.1 200"), "{seen}");
    }
    let plain = Curl::http(pages.address()).get("/metrics");
    assert_eq!(plain.status, 400, "{plain}");
    assert!(plain.text.ends_with("Client sent an HTTP request to an HTTPS server.\n"), "{plain}");
    let old = pages.https().with(&["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"]).get("/metrics");
    assert!(old.exit == 35 && old.fault.contains("alert"), "{old}");
    let stranger = Curl::https(pages.address(), &Authority::new().file("ca.pem")).get("/");
    assert_eq!(stranger.exit, 60, "{stranger}");
    let in_log = pages.exporter.events("web_config");
    assert_eq!(in_log.len(), 1, "{in_log:?}");
    assert_eq!((in_log[0]["tls"].as_bool(), in_log[0]["users"].as_u64()), (Some(true), Some(0)));
}

#[test]
fn versions_suites_and_curves_as_they_are_chosen() {
    let authority = Pages::authority();
    // The suites of this file are RSA's.
    let make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa-key.pem -out rsa.pem -days 30 -subj /CN=localhost \
                -addext subjectAltName=DNS:localhost,IP:127.0.0.1";
    let made = Command::new("sh").args(["-c", make]).current_dir(authority.dir()).output().expect("sh runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let rsa = "tls_server_config:\n  cert_file: rsa.pem\n  key_file: rsa-key.pem\n  max_version: TLS12\n  curve_preferences: [CurveP384]\n  \
               cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n";
    let pages = Pages::start_beside(authority, rsa);
    let ask = |args: &[&str]| {
        let curl = Curl::https(pages.address(), &pages.authority.file("rsa.pem"));
        curl.with(args).with(&["--verbose"]).get("/-/healthy")
    };
    for (args, suite) in [
        (&[][..], "ECDHE-RSA-AES128-GCM-SHA256"),
        (
            &["--ciphers", "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"],
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
        (&["--ciphers", "ECDHE-RSA-AES256-GCM-SHA384"], "ECDHE-RSA-AES256-GCM-SHA384"),
    ] {
        let seen = ask(args);
        assert!(seen.status == 200 && seen.fault.contains(&format!("TLSv1.2 / {suite}")), "{args:?}: {seen}");
    }
    for (args, fault) in [
        (&["--ciphers", "ECDHE-RSA-AES128-SHA"][..], "handshake failure"),
        (&["--curves", "P-256"], "handshake failure"),
        (&["--tlsv1.3"], "protocol version"),
    ] {
        let seen = ask(args);
        assert!(seen.exit == 35 && seen.fault.contains(fault), "{args:?}: {seen}");
    }
    // The client's order, and TLS 1.3 alone.
    pages.authority.write(
        "web.yml",
        &rsa.replace("  max_version", "  prefer_server_cipher_suites: false\n  max_version"),
    );
    let seen = ask(&["--ciphers", "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"]);
    assert!(seen.fault.contains("TLSv1.2 / ECDHE-RSA-AES256-GCM-SHA384"), "{seen}");
    pages.authority.write("web.yml", &rsa.replace("max_version: TLS12", "min_version: TLS13"));
    assert!(ask(&[]).fault.contains("TLSv1.3 / "), "{}", ask(&[]));
    assert!(ask(&["--tls-max", "1.2"]).exit == 35);
}

/// Which client gets in: nobody's certificate, a good one, one that expired, one that signed itself, and another
/// authority's.
#[test]
fn certificates_of_clients() {
    let stranger = Authority::new();
    stranger.sign("client", "DNS:test3", 30);
    let ca = "  client_ca_file: ca.pem\n";
    let sans = |names: &str| format!("{ca}  client_allowed_sans: [{names}]\n");
    let rows = [
        ("NoClientCert", String::new(), [true, true, true, true, true]),
        ("RequestClientCert", String::new(), [true, true, true, true, true]),
        ("RequireAnyClientCert", String::new(), [false, true, true, true, true]),
        ("VerifyClientCertIfGiven", ca.to_owned(), [true, true, false, false, false]),
        ("RequireAndVerifyClientCert", ca.to_owned(), [false, true, false, false, false]),
        ("RequireAndVerifyClientCert", sans("one, test3, two"), [false, true, false, false, false]),
        ("RequireAndVerifyClientCert", sans("192.0.2.7"), [false, true, false, false, false]),
        (
            "RequireAndVerifyClientCert",
            sans("\"spiffe://example.org/prometheus\""),
            [false, true, false, false, false],
        ),
        ("RequireAndVerifyClientCert", sans("bad"), [false, false, false, false, false]),
        // The expired one has the name too; who signed itself has none.
        (
            "RequireAnyClientCert",
            "  client_allowed_sans: [test3]\n".to_owned(),
            [false, true, true, false, true],
        ),
        // Well-known authorities alone, as by the toolkit: nobody here has their certificates.
        ("RequireAndVerifyClientCert", String::new(), [false, false, false, false, false]),
    ];
    let pages = Pages::start(TLS);
    for (auth, more, lets_in) in rows {
        pages.follow(&format!("{TLS}  client_auth_type: {auth}\n{more}"));
        let clients = [
            ("none", pages.https()),
            ("a good one", pages.https_as("client")),
            ("an expired one", pages.https_as("expired")),
            ("its own", pages.https_as("itself")),
            (
                "a stranger's",
                pages.https().showing(&stranger.file("client.pem"), &stranger.file("client-key.pem")),
            ),
        ];
        for ((who, client), gets_in) in clients.into_iter().zip(lets_in) {
            for version in [&["--tlsv1.3"][..], &["--tls-max", "1.2"]] {
                let seen = client.clone().with(version).get("/-/healthy");
                assert_eq!(seen.status == 200, gets_in, "{auth}, {more}, {who}, {version:?}: {seen}");
                if !gets_in {
                    // curl takes the alert that a certificate has expired for a fault of the server's.
                    let is_told = seen.fault.contains("alert") || seen.exit == 60;
                    assert!(is_told, "it is told why: {auth}, {who}, {version:?}: {seen}");
                }
            }
        }
    }
    let seen = pages.https().with(&["--tlsv1.3"]).get("/");
    assert!(seen.fault.contains("certificate required"), "{seen}");
    // Where nothing is looked at, old certificates and keys that are not known here do.
    let script = "for key in 'ec -pkeyopt ec_paramgen_curve:prime256v1' rsa:2048; do
            openssl req -newkey $key -nodes -keyout old-${key%%[ :]*}-key.pem -out old.req -subj /CN=old
            openssl x509 -req -in old.req -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 30 -out old-${key%%[ :]*}.pem
        done
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp521r1 -nodes -keyout large-key.pem -out large.pem -days 30 -subj /CN=large
        openssl x509 -in old-ec.pem -noout -text | grep 'Version: 1 '";
    let made = Command::new("sh").args(["-ec", script]).current_dir(pages.authority.dir()).output();
    let made = made.expect("sh runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for auth in ["RequireAnyClientCert", "RequestClientCert"] {
        pages.follow(&format!("{TLS}  client_auth_type: {auth}\n"));
        for who in ["old-ec", "old-rsa", "large"] {
            for version in [&["--tlsv1.3"][..], &["--tls-max", "1.2"]] {
                let seen = pages.https_as(who).with(version).get("/-/healthy");
                assert_eq!(seen.status, 200, "{auth}, {who}, {version:?}: {seen}");
            }
        }
    }
    assert!(!pages.exporter.events("tls_handshake_failed").is_empty(), "who looks for it finds it");
}

#[test]
fn headers_and_a_rate() {
    let headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: max-age=31536000; includeSubDomains\n    \
                   X-Content-Type-Options: nosniff\n    X-XSS-Protection: 1\n    Content-Security-Policy: |\n      script-src 'self'\n";
    let pages = Pages::start(&format!("{headers}rate_limit: {{interval: 0, burst: 0}}\n"));
    let curl = Curl::http(pages.address());
    for path in ["/metrics", "/", "/nothing", "/-/reload"] {
        let seen = curl.get(path);
        assert_eq!(seen.header("x-frame-options"), Some("deny"), "{seen}");
        assert_eq!(seen.header("x-xss-protection"), Some("1"), "{seen}");
        assert_eq!(seen.header("content-security-policy"), Some("script-src 'self'"), "{seen}");
    }
    for _ in 0..11 {
        assert_eq!(curl.get("/-/healthy").status, 200);
    }
    pages.authority.write("web.yml", "rate_limit: {interval: 10m, burst: 3}\n");
    let statuses: Vec<u16> = (0..5).map(|_| curl.get("/-/healthy").status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    pages.authority.write("web.yml", "rate_limit: {interval: 1s, burst: 0}\n");
    let seen = curl.get("/metrics");
    assert!(seen.status == 429 && seen.text.ends_with("Too Many Requests\n"), "{seen}");
    pages.authority.write("web.yml", "");
    assert_eq!(curl.get("/metrics").status, 200);
}

/// Those who do not shake hands to the end hold nobody up, and are gone in time.
#[test]
fn half_a_handshake() {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    let pages = Pages::start(TLS);
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let crowd: Vec<TcpStream> = (0..300)
        .map(|number| {
            let mut client = TcpStream::connect(pages.address()).expect("it listens");
            let bytes: &[u8] = match number % 4 {
                0 => &hello,
                1 => &[0x16; 3000],
                2 => b"GET ",
                _ => b"",
            };
            client.write_all(bytes).expect("it is heard");
            client
        })
        .collect();
    let begun = std::time::Instant::now();
    assert_eq!(pages.https().get("/metrics").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    for mut client in crowd {
        client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
        let ended = client.read_to_end(&mut Vec::new());
        let in_time = ended.as_ref().err().is_none_or(|error| error.kind() != std::io::ErrorKind::WouldBlock);
        assert!(in_time, "it is kept: {ended:?}");
    }
    assert!(!pages.exporter.log().contains("panicked"), "{}", pages.exporter.log());
}
