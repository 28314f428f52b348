//! The web configuration: every file of the exporter-toolkit's own tests, accepted or refused as there, and what else
//! people write.

use crate::folder::{Folder, SECRET};

/// A user list whose hashes are good; of cost 4, which no check waits for.
const HASH: &str = "$2y$04$hH7ZNWP7zXpD9hKyLyGGdOxxz1Wm4iDrCRiP4CeK1vdpaFfNpAAWu";
/// What `hunter2-in-disguise` could be mistaken for: it is in no message.
const TLS: &str = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n";

/// What is said of a web configuration by `--config.check`.
fn check(folder: &Folder, text: &str) -> (String, String, Option<i32>) {
    folder.write("web.yml", text.as_bytes());
    let args = ["--mysql.username=canary", "--config.check", "--web.config.file={dir}/web.yml"];
    let said = folder.run(&args, &[]);
    assert!(!said.err.contains(SECRET) && !said.out.contains(SECRET), "a secret was told: {}", said.err);
    assert!(!said.err.contains("$2y$") && !said.out.contains("$2y$"), "a hash was told: {}", said.err);
    assert!(!said.err.contains("PRIVATE KEY-----\nM"), "a key was told: {}", said.err);
    (said.out, said.err, said.code)
}

fn with(more: &str) -> String {
    format!("{TLS}{more}")
}

/// The files that the toolkit refuses, with its words where those are the right ones, and where it is told.
#[test]
fn what_the_toolkit_refuses_is_refused() {
    let folder = Folder::new();
    let no_file = "No such file or directory (os error 2): name a file that the exporter's user may read";
    let tls = |lines: &str| format!("tls_server_config:\n{lines}");
    let rows: Vec<(&str, String, String)> = vec![
        (
            "junk",
            "hunter2-in-disguise\nis neither a key\nnor a list\n".to_owned(),
            "web.yml:1:1: a section is wanted here, not one value: write its keys below it".to_owned(),
        ),
        (
            "junk_key",
            tls("  cert_filse: cert.pem\n"),
            "web.yml:2:3: tls_server_config: unknown key cert_filse: is cert_file meant? The keys here are cert, ".to_owned(),
        ),
        (
            "noAuth_certPath_empty",
            tls("  cert_file: \"\"\n  key_file: key.pem\n"),
            "web.yml:2:3: tls_server_config: missing one of cert or cert_file: write cert_file: a PEM file".to_owned(),
        ),
        ("noAuth_cert_empty", tls("  cert: \"\"\n  key_file: key.pem\n"), "missing one of cert or cert_file".to_owned()),
        ("noAuth_keyPath_empty", tls("  cert_file: cert.pem\n  key_file: \"\"\n"), "missing one of key or key_file".to_owned()),
        ("noAuth_key_empty", tls("  cert_file: cert.pem\n  key: \"\"\n"), "missing one of key or key_file".to_owned()),
        (
            "noAuth_certPath_keyPath_empty",
            tls("  cert_file: \"\"\n  key_file: \"\"\n  client_auth_type: x\n"),
            "missing one of cert or cert_file".to_owned(),
        ),
        (
            "noAuth_certPath_invalid",
            tls("  cert_file: somefile\n  key_file: key.pem\n"),
            format!("web.yml:2:14: tls_server_config.cert_file: cannot read {{dir}}/somefile: {no_file}"),
        ),
        (
            "noAuth_keyPath_invalid",
            tls("  cert_file: cert.pem\n  key_file: hunter2-in-disguise\n"),
            format!("web.yml:3:13: tls_server_config.key_file: cannot read the file that is named here: {no_file}"),
        ),
        ("noAuth_certPath_keyPath_invalid", tls("  cert_file: somefile\n  key_file: somefile\n"), no_file.to_owned()),
        (
            "noAuth",
            with("  client_ca_file: /dev/null\n"),
            "tls_server_config.client_ca_file: client CA's have been configured without a Client Auth Policy: write client_auth_type".to_owned(),
        ),
        (
            "auth_clientCAs_invalid",
            with("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: somefile\n"),
            format!("client_ca_file: cannot read {{dir}}/somefile: {no_file}"),
        ),
        (
            "auth_user_list_invalid",
            "basic_auth_users:\n  john: hunter2-in-disguise\n".to_owned(),
            "web.yml:2:9: basic_auth_users.john: not a bcrypt hash: write what hash-password prints".to_owned(),
        ),
        (
            "noAuth_inventedCiphers",
            with("  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA2048]\n"),
            "web.yml:4:19: tls_server_config.cipher_suites[0]: an unknown cipher suite: those of TLS 1.2 are ".to_owned(),
        ),
        (
            "noAuth_inventedCurves",
            with("  curve_preferences: [CurveP257]\n"),
            "curve_preferences[0]: an unknown curve: there are X25519, CurveP256 and CurveP384".to_owned(),
        ),
        (
            "noAuth_wrongTLSVersion",
            with("  min_version: TLS111\n"),
            "tls_server_config.min_version: an unknown TLS version: write TLS12 or TLS13".to_owned(),
        ),
        (
            "headers_content_type_options",
            "http_server_config:\n  headers:\n    X-Content-Type-Options: sniff\n".to_owned(),
            "headers.X-Content-Type-Options: an invalid value for it: write nosniff".to_owned(),
        ),
        (
            "headers_frame_options",
            "http_server_config:\n  headers:\n    X-Frame-Options: foo\n".to_owned(),
            "headers.X-Frame-Options: an invalid value for it: write deny or sameorigin".to_owned(),
        ),
        (
            "headers_extra_header",
            "http_server_config:\n  headers:\n    Content-Type: foo\n".to_owned(),
            "headers.Content-Type: this header can not be configured: those that can are Strict-Transport-Security, ".to_owned(),
        ),
        // Of later versions of the toolkit.
        (
            "client_allowed_sans without a certificate",
            with("  client_auth_type: VerifyClientCertIfGiven\n  client_allowed_sans: [test3]\n"),
            "client_allowed_sans: no client has to show a certificate that has names".to_owned(),
        ),
        ("an invented client_auth_type", with("  client_auth_type: Sometimes\n"), "client_auth_type: write NoClientCert, ".to_owned()),
    ];
    for (name, text, message) in rows {
        let (out, err, code) = check(&folder, &text);
        assert!(err.starts_with("error: {dir}/web.yml:") && err.contains(&message), "{name}: {err}");
        assert_eq!((out.as_str(), code), ("", Some(2)), "{name}");
    }
    let args =
        ["--mysql.username=canary", "--web.config.file={dir}/somefile", "--web.listen-address=127.0.0.1:0"];
    let said = folder.run(&args, &[]);
    let message = "error: --web.config.file: cannot read {dir}/somefile: No such file or directory";
    assert!(said.err.starts_with(message) && said.code == Some(2), "{}", said.err);
}

/// The files that the toolkit takes, and what is told of what is not spoken here.
#[test]
fn what_the_toolkit_takes_is_taken() {
    let folder = Folder::new();
    let inline = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join(name)).expect("it is there");
        text.lines().map(|line| format!("    {line}\n")).collect::<String>()
    };
    let verify = "  client_auth_type: VerifyClientCertIfGiven\n";
    let any_authority = "warning: tls_server_config: without client_ca_file the certificates of all well-known authorities are good: name your own\n";
    let users =
        format!("basic_auth_users:\n  alice: {HASH}\n  bob: {HASH}\n  carol: {HASH}\n  dave: {HASH}\n");
    let in_clear = "warning: basic_auth_users: without tls_server_config passwords come over the network as they are: whoever sees them may use them\n";
    let all_suites = "TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, \
        TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, \
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, \
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    let left_out = |index: usize, suite: &str| {
        format!(
            "warning: tls_server_config.cipher_suites[{index}]: the suite {suite} is not spoken here: it is left out\n"
        )
    };
    let cbc: String = [
        (3, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
        (4, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
        (5, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
        (6, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"),
    ]
    .map(|(index, suite)| left_out(index, suite))
    .concat();
    let http2 = "http_server_config:\n  http2: true\n";
    let no_http2 = "warning: http_server_config.http2: HTTP/2 is not spoken here: clients get HTTP/1.1\n";
    let rsa = "[TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]";
    // As the toolkit's own certificate.
    let of_rsa = |more: &str| with(more).replace("cert.pem", "rsa.pem").replace("key.pem", "rsa-key.pem");
    let everybody = "pages: under TLS, client certificates VerifyClientCertIfGiven, for everybody";
    let rows: Vec<(&str, String, String, &str)> = vec![
        ("empty", String::new(), String::new(), "pages: in plain HTTP, for everybody"),
        ("only comments", "# nothing\nbasic_auth_users:\n#  alice: x\n".to_owned(), String::new(), "for everybody"),
        ("noAuth", with(verify), any_authority.to_owned(), everybody),
        ("noAuth_allCiphers", with(&format!("{verify}  cipher_suites: [{all_suites}]\n")), format!("{cbc}{any_authority}"), everybody),
        (
            "noAuth_someCiphers",
            of_rsa(&format!("{verify}  min_version: TLS12\n  max_version: TLS12\n  cipher_suites: {rsa}\n")),
            any_authority.to_owned(),
            everybody,
        ),
        (
            "noAuth_someCiphers_noOrder",
            with(&format!("{verify}  prefer_server_cipher_suites: false\n  cipher_suites: {rsa}\n")),
            any_authority.to_owned(),
            everybody,
        ),
        (
            "noAuth_allCurves",
            with(&format!("{verify}  curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]\n")),
            format!("warning: tls_server_config.curve_preferences[2]: CurveP521 is not spoken here: it is left out\n{any_authority}"),
            everybody,
        ),
        (
            "noAuth_noHTTP2",
            of_rsa(&format!("{verify}  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\nhttp_server_config: {{http2: no}}\n")),
            any_authority.to_owned(),
            everybody,
        ),
        // The toolkit takes it and fails when it serves: HTTP/2 demands another suite. It is never offered here.
        (
            "noAuth_noHTTP2Cipher",
            of_rsa(&format!("{verify}  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n{http2}")),
            format!("{no_http2}{any_authority}"),
            everybody,
        ),
        (
            "noAuth.good.blocking, auth_clientCAs_missing",
            with("  client_auth_type: RequireAndVerifyClientCert\n"),
            any_authority.to_owned(),
            "client certificates RequireAndVerifyClientCert",
        ),
        ("requireanyclientcert", with("  client_auth_type: RequireAnyClientCert\n"), String::new(), "RequireAnyClientCert"),
        ("an old word for it", with("  client_auth_type: RequireClientCert\n"), String::new(), "RequireAnyClientCert"),
        ("RequestClientCert", with("  client_auth_type: RequestClientCert\n"), String::new(), "RequestClientCert"),
        (
            "requireandverifyclientcert",
            with("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"),
            String::new(),
            "RequireAndVerifyClientCert",
        ),
        (
            "auth_client_san",
            with("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: [one, test3, two, 127.0.0.1, \"spiffe://a/b\"]\n"),
            String::new(),
            "RequireAndVerifyClientCert",
        ),
        ("users", with(&users), String::new(), "client certificates NoClientCert, for 4 users"),
        ("users_noTLS", users.clone(), in_clear.to_owned(), "pages: in plain HTTP, for 4 users"),
        (
            "headers",
            "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: max-age=31536000; includeSubDomains\n    \
             X-Content-Type-Options: nosniff\n    X-XSS-Protection: 1\n    Content-Security-Policy: script-src 'self'\n".to_owned(),
            String::new(),
            "pages: in plain HTTP",
        ),
        ("rate_limiter_nonblocking", "rate_limit: {interval: 0, burst: 0}\n".to_owned(), String::new(), "pages: in plain HTTP, for everybody\n"),
        (
            "rate_limiter_one_second",
            "rate_limit: {interval: 1s, burst: 0}\n".to_owned(),
            "warning: rate_limit: with burst 0 every request is refused with 429: write how many are answered at once\n".to_owned(),
            "0 requests at once and one more each 1s",
        ),
        // TLS is meant by none of these alone.
        ("min_version alone", "tls_server_config: {min_version: TLS13, prefer_server_cipher_suites: true}\n".to_owned(), String::new(), "in plain HTTP"),
        ("old versions", with("  min_version: TLS10\n"), "warning: tls_server_config.min_version: TLS below 1.2 is not spoken here: it means TLS12\n".to_owned(), "under TLS"),
    ];
    for (name, text, warnings, told) in rows {
        let (out, err, code) = check(&folder, &text);
        assert_eq!((err, code), (warnings, Some(0)), "{name}");
        assert!(out.contains(told), "{name}: {out}");
    }
    folder.set_mode("web.yml", 0o600);
    let text =
        format!("tls_server_config:\n  cert: |\n{}  key: |\n{}", inline("cert.pem"), inline("key.pem"));
    let (out, err, code) = check(&folder, &text);
    assert_eq!((err.as_str(), code), ("", Some(0)), "noAuth_tlsInline");
    assert!(out.contains("pages: under TLS, client certificates NoClientCert, for everybody"), "{out}");
}

/// What the toolkit would take, and what would serve nobody here: refused at the start, not in each handshake.
#[test]
fn what_could_serve_nobody_is_refused() {
    let folder = Folder::new();
    for (what, text, message) in [
        (
            "noAuth_someCurves",
            with("  curve_preferences: [CurveP521]\n"),
            "CurveP521 alone is not supported, so nobody could connect: there are X25519, CurveP256 and CurveP384",
        ),
        (
            "no suite",
            with("  max_version: TLS12\n  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n"),
            "cipher_suites: none of these is spoken here, and max_version leaves no TLS 1.3: write some of TLS_ECDHE_ECDSA",
        ),
        (
            "an old version",
            with("  max_version: TLS11\n"),
            "max_version: TLS below 1.2 is not spoken here: write TLS12 or TLS13",
        ),
        (
            "versions the wrong way round",
            with("  min_version: TLS13\n  max_version: TLS12\n"),
            "min_version is above max_version, so nobody could connect",
        ),
        (
            "an authority that is none",
            with("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: password\n"),
            "client_ca_file: what is given here holds no PEM certificate",
        ),
        (
            "no name at all",
            with("  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: []\n"),
            "client_allowed_sans: the list is empty, so nobody could connect",
        ),
        (
            "suites for another key",
            with("  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n"),
            "cipher_suites: none of these can be used with the certificate's key, so nobody could connect",
        ),
        (
            "an old certificate",
            "tls_server_config: {cert_file: old.pem, key_file: key.pem}\n".to_owned(),
            "cert_file: what is given here has a certificate of version 1, which cannot be used: make one of version 3",
        ),
        (
            "a cost that there is not",
            format!("basic_auth_users: {{alice: {}}}\n", HASH.replace("$04$", "$32$")),
            "basic_auth_users.alice: no bcrypt hash has the cost 32: it is 4 to 31",
        ),
        (
            "a cost that there is not",
            format!("basic_auth_users: {{alice: {}}}\n", HASH.replace("$04$", "$03$")),
            "basic_auth_users.alice: no bcrypt hash has the cost 3: it is 4 to 31",
        ),
        (
            "a cost that nobody waits for",
            format!("basic_auth_users: {{alice: {}}}\n", HASH.replace("$04$", "$18$")),
            "basic_auth_users.alice: the hash's cost is 18, and one check of a password would take longer than a client waits",
        ),
        (
            "an anchor",
            "http_server_config: &a {}\n".to_owned(),
            "an anchor (&name): write the value out where it is needed\n",
        ),
        (
            "a mailbox",
            with("  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [a@example.org]\n"),
            "client_allowed_sans[0]: names of mailboxes are not read",
        ),
        (
            "a key that does not fit",
            "tls_server_config: {cert_file: cert.pem, key_file: ca-key.pem}\n".to_owned(),
            "key_file: what is given here holds a key that does not fit the certificate",
        ),
        (
            "no key in it",
            "tls_server_config: {cert_file: cert.pem, key_file: password}\n".to_owned(),
            "key_file: what is given here holds no PEM key",
        ),
        (
            "no certificate in it",
            "tls_server_config: {cert_file: password, key_file: key.pem}\n".to_owned(),
            "cert_file: what is given here holds no PEM certificate",
        ),
        (
            "a name that no client can send",
            format!("basic_auth_users: {{\"a:b\": {HASH}}}\n"),
            "basic_auth_users[0]: no client can send this name",
        ),
        (
            "one user twice",
            format!("basic_auth_users:\n  alice: {HASH}\n  alice: {HASH}\n"),
            "web.yml:3:3: basic_auth_users.alice: stands twice, first on line 2: keep one of them",
        ),
        (
            "a password",
            "password: hunter2-in-disguise\n".to_owned(),
            "no password stands in this file: write basic_auth_users, with the bcrypt hash",
        ),
        (
            "targets",
            "targets: []\n".to_owned(),
            "unknown key: the keys here are tls_server_config, http_server_config, basic_auth_users and rate_limit",
        ),
        (
            "a key of another section",
            "headers: {}\n".to_owned(),
            "headers does not stand here, but in http_server_config",
        ),
        (
            "a burst",
            "rate_limit: {interval: 1s, burst: many}\n".to_owned(),
            "rate_limit.burst: write how many requests are answered at once, such as 5",
        ),
        (
            "an interval",
            "rate_limit: {interval: 7}\n".to_owned(),
            "rate_limit.interval: write a time such as 100ms or 1s, or 0 for no limit",
        ),
        (
            "a header with a line break",
            "http_server_config: {headers: {Content-Security-Policy: \"a\\nb\"}}\n".to_owned(),
            "no header can hold this: write one line of ASCII",
        ),
        (
            "users as a list",
            "basic_auth_users: [alice]\n".to_owned(),
            "basic_auth_users: a section is wanted here: write user: and the bcrypt hash",
        ),
    ] {
        let (_, err, code) = check(&folder, &text);
        assert!(err.starts_with("error: {dir}/web.yml:") && err.contains(message), "{what}: {err}");
        assert_eq!(code, Some(2), "{what}");
    }
}

#[test]
fn secrets_that_everybody_may_read_are_told() {
    let folder = Folder::new();
    folder.write("web.yml", format!("{TLS}basic_auth_users: {{alice: {HASH}}}\n").as_bytes());
    folder.set_mode("web.yml", 0o644);
    folder.set_mode("key.pem", 0o644);
    let args = ["--mysql.username=canary", "--config.check", "--web.config.file={dir}/web.yml"];
    let said = folder.run(&args, &[]);
    assert_eq!(
        said.err,
        "warning: tls_server_config.key_file: everybody may read the file with the key (mode 0644): take the right from others, chmod o-rwx\n\
         warning: --web.config.file: everybody may read it, and it holds hashes of passwords (mode 0644): take the right from others, chmod o-rwx\n"
    );
    assert_eq!(said.code, Some(0));
}

#[test]
fn a_password_is_hashed_from_standard_input() {
    let folder = Folder::new();
    let said = folder.run_with_input(&["hash-password", "--cost=4"], format!("{SECRET}\n").as_bytes());
    assert_eq!((said.err.as_str(), said.code), ("", Some(0)));
    let hash = said.out.trim_end();
    assert!(hash.starts_with("$2y$04$") && hash.len() == 60, "{hash}");
    folder.write("web.yml", format!("{TLS}basic_auth_users: {{alice: '{hash}'}}\n").as_bytes());
    let args = ["--mysql.username=canary", "--config.check", "--web.config.file={dir}/web.yml"];
    assert_eq!(folder.run(&args, &[]).code, Some(0));
    for (input, words) in [
        (&b""[..], "error: standard input holds no password: write one line with it\n"),
        (
            b"hunter2-in-disguise\nagain\n",
            "error: the password holds a control character, or a second line follows: write one line with the password alone\n",
        ),
    ] {
        let said = folder.run_with_input(&["hash-password"], input);
        assert_eq!((said.out.as_str(), said.err.as_str(), said.code), ("", words, Some(2)));
    }
    let said = folder.run_with_input(&["hash-password", "--cost=31"], b"x");
    assert!(said.err.contains("31 is not in 4..=16"), "{}", said.err);
}
