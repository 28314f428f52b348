//! Handshakes with a server of the tests' own, and certificates made for each fault.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::LazyConfigAcceptor;

use super::*;

/// Certificates in a directory of their own.
pub(in crate::session) struct Certificates(PathBuf);

impl Certificates {
    /// Two authorities, and certificates of the first: `good` for db.example.org and 127.0.0.1, `old` of version 1, and
    /// `client` for whoever logs in; `locked.key` is its key under a passphrase.
    pub(in crate::session) fn make(test: &str) -> Self {
        const SCRIPT: &str = "
            set -e
            key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
            for ca in ca stranger; do
                openssl req -x509 $key -keyout $ca.key -out $ca.pem -days 30 -subj \"/CN=$ca\"
            done
            for cert in good old client; do openssl req $key -keyout $cert.key -out $cert.csr -subj '/CN=db'; done
            openssl pkey -in client.key -aes128 -passout pass:x -out locked.key
            printf 'subjectAltName=DNS:db.example.org,IP:127.0.0.1\\n' > names
            sign='-CA ca.pem -CAkey ca.key -set_serial 2 -days 30'
            openssl x509 -req -in good.csr $sign -extfile names -out good.pem
            openssl x509 -req -in client.csr $sign -extfile names -out client.pem
            openssl x509 -req -in old.csr $sign -out old.pem";
        let dir = std::env::temp_dir().join(format!("mysql-canary-tls-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the directory is ours");
        let made = Command::new("sh").args(["-c", SCRIPT]).current_dir(&dir).output().expect("sh runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self(dir)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.file(&format!("{name}.pem"))).expect("openssl made it")
    }

    pub(in crate::session) fn server(&self, name: &str) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from_pem_file(self.file(&format!("{name}.key"))).expect("openssl made it");
        let provider = ring::default_provider();
        let key = provider.key_provider.load_private_key(key).expect("openssl made it");
        // Unchecked, for a certificate of version 1 can be used by other servers.
        let certified = CertifiedKey::new(vec![self.certificate(name)], key);
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .expect("ring has suites")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        Arc::new(config)
    }

    /// Shakes hands with a server that has this certificate. What came of it, and the name the server was told.
    async fn shake_hands(
        &self,
        certificate: &str,
        (mode, authorities, host): (TlsMode, Option<&str>, &str),
    ) -> (Result<(), Failure>, Option<String>) {
        let (socket, mut server) = pair().await;
        let config = self.server(certificate);
        let peer = tokio::spawn(async move {
            let mut request = [0; HEADER + SSL_REQUEST];
            server.read_exact(&mut request).await.expect("a whole SSLRequest comes");
            assert_eq!(&request[..HEADER], [32, 0, 0, 1]);
            assert_eq!(&request[HEADER..HEADER + 4], [0x85, 0xae, 0x0f, 0x01], "the driver's bits, and TLS");
            let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), server);
            let hello = hello.await.expect("a ClientHello comes");
            let name = hello.client_hello().server_name().map(str::to_owned);
            // Either side may break off.
            let _ = hello.into_stream(config).await;
            name
        });
        let tls = Tls {
            mode,
            authorities: authorities.map(|name| self.file(name)),
            identity: None,
            host: host.to_owned(),
            setup: Setup::default(),
        };
        let mut login = login();
        let outcome = tls.begin(socket, &mut login).await.map(drop);
        assert_eq!(login[HEADER..HEADER + 4], [0x85, 0xae, 0x0f, 0x01], "the login packet says TLS too");
        (outcome, peer.await.expect("no panic"))
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A driver's login packet, without TLS in its bits.
fn login() -> Vec<u8> {
    [&[60, 0, 0, 1, 0x85, 0xa6, 0x0f, 0x01][..], &[0; 56]].concat()
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a port");
    let address = listener.local_addr().expect("a listener has an address");
    let (socket, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    (socket.expect("it listens"), server.expect("it connects").0)
}

#[tokio::test]
async fn each_mode_checks_what_its_name_says() {
    use TlsMode::{Preferred, Required, VerifyCa, VerifyIdentity};
    const NAME: &str = "db.example.org";
    const UNKNOWN: &str = "UnknownIssuer: name its authority in --mysql.tls-ca";
    const NAMELESS: &str = "or check its authority alone with --mysql.tls-mode=verify-ca";
    const VERSION: &str = "give the server a certificate of version 3";
    let made = Certificates::make("modes");
    let ca = Some("ca.pem");
    for (certificate, how, fault) in [
        ("good", (Preferred, None, NAME), None),
        ("good", (Required, Some("stranger.pem"), "other.example.org"), None),
        ("old", (Required, None, NAME), None),
        ("good", (Preferred, None, "not a name"), None),
        ("good", (VerifyCa, ca, NAME), None),
        ("good", (VerifyCa, ca, "other.example.org"), None),
        ("good", (VerifyCa, ca, "not a name"), None),
        ("good", (VerifyCa, Some("stranger.pem"), NAME), Some(UNKNOWN)),
        ("good", (VerifyCa, None, NAME), Some(UNKNOWN)),
        ("old", (VerifyCa, ca, NAME), Some(VERSION)),
        ("good", (VerifyIdentity, ca, NAME), None),
        ("good", (VerifyIdentity, ca, "db.example.org."), None),
        ("good", (VerifyIdentity, ca, "127.0.0.1"), None),
        ("good", (VerifyIdentity, ca, "127.0.0.2"), Some(NAMELESS)),
        ("good", (VerifyIdentity, ca, "other.example.org"), Some(NAMELESS)),
        ("good", (VerifyIdentity, Some("stranger.pem"), NAME), Some(UNKNOWN)),
        ("good", (VerifyIdentity, None, NAME), Some(UNKNOWN)),
    ] {
        let (outcome, told) = made.shake_hands(certificate, how).await;
        let host = how.2.trim_end_matches('.');
        let is_name = host.ends_with("example.org");
        assert_eq!(told.as_deref(), is_name.then_some(host), "the server is told the name: {how:?}");
        match (outcome, fault) {
            (Ok(()), None) => {}
            (Err(failure), Some(words)) => {
                assert_eq!(failure.stage, Stage::Tls);
                assert!(failure.reason.contains(words), "{how:?}: {}", failure.reason);
            }
            (outcome, _) => panic!("{certificate} {how:?}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn a_certificate_out_of_its_time() {
    let made = Certificates::make("time");
    let file = made.file("ca.pem");
    let authorities = Authorities::read(TlsMode::VerifyCa, Some(&file)).expect("a good file");
    let verifier = Verifier::new(TlsMode::VerifyCa, &authorities).expect("a good file");
    let name = ServerName::try_from("db.example.org").expect("a name");
    let now = UnixTime::now().as_secs();
    for (at, words) in [
        (now, None),
        (now - 86_400, Some("set this machine's clock, or the server's")),
        (now + 40 * 86_400, Some("renew the server's certificate, or set this machine's clock")),
    ] {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let checked = verifier.verify_server_cert(&made.certificate("good"), &[], &name, &[], at);
        match (checked, words) {
            (Ok(_), None) => {}
            (Err(error), Some(words)) => {
                let failure = explain(&io::Error::new(io::ErrorKind::InvalidData, error), None);
                assert!(failure.reason.contains(words), "{}", failure.reason);
            }
            (checked, _) => panic!("{at:?}: {checked:?}"),
        }
    }
}

#[tokio::test]
async fn authorities_that_went_bad_since_the_start() {
    let made = Certificates::make("authorities");
    let file = made.file("renewed.pem");
    let name = "-----BEGIN CERTIFICATE-----";
    for (text, words) in [
        (None, "cannot be read"),
        (Some(String::new()), "holds no PEM certificate"),
        (Some(format!("{name}\n====\n-----END CERTIFICATE-----\n")), "is no good PEM"),
        (Some(format!("{name}\nAAAA\n-----END CERTIFICATE-----\n")), "has a certificate that cannot be used"),
    ] {
        if let Some(text) = text {
            std::fs::write(&file, text).expect("the directory is ours");
        }
        let read = Authorities::read(TlsMode::VerifyCa, Some(&file));
        let failure = read.and_then(|read| read.roots()).expect_err("no authorities");
        assert!(failure.reason.contains(words), "{}", failure.reason);
    }
}

#[tokio::test]
async fn sessions_share_their_settings_until_the_authorities_change() {
    let made = Certificates::make("shared");
    let (file, setup) = (made.file("renewed.pem"), Setup::default());
    let config = async || {
        let read = Authorities::read(TlsMode::VerifyCa, Some(&file)).expect("the file is there");
        setup.config(TlsMode::VerifyCa, read, None).expect("a good file")
    };
    std::fs::copy(made.file("ca.pem"), &file).expect("the directory is ours");
    let (first, second) = (config().await, config().await);
    assert!(Arc::ptr_eq(&first, &second));
    std::fs::copy(made.file("stranger.pem"), &file).expect("the directory is ours");
    assert!(!Arc::ptr_eq(&first, &config().await), "renewed");
}

#[tokio::test]
async fn servers_that_do_not_shake_hands() {
    for (answer, words) in [
        (&b""[..], "the server closed the connection in its midst"),
        (&b"\x17\0\0\x02\xff\x10\x04Too many connections"[..], "is no TLS"),
        (&[0x15, 3, 3, 0, 2, 2, 40][..], "the server broke off the TLS handshake"),
        (&[0x15, 3, 3, 0, 2, 2, 70][..], "its error log may say why"),
    ] {
        let (socket, mut server) = pair().await;
        let peer = tokio::spawn(async move {
            let mut request = [0; HEADER + SSL_REQUEST + 5];
            server.read_exact(&mut request).await.expect("an SSLRequest and a ClientHello come");
            let mut rest = vec![0; usize::from(u16::from_be_bytes([request[39], request[40]]))];
            server.read_exact(&mut rest).await.expect("the rest of it");
            server.write_all(answer).await.expect("it is open");
        });
        let tls = Tls {
            mode: TlsMode::Required,
            authorities: None,
            identity: None,
            host: "db.example.org".to_owned(),
            setup: Setup::default(),
        };
        let failure = tls.begin(socket, &mut login()).await.expect_err("no handshake");
        peer.await.expect("no panic");
        assert_eq!(failure.stage, Stage::Tls);
        assert!(failure.reason.contains(words), "{}", failure.reason);
    }
    let nameless = Tls {
        mode: TlsMode::VerifyIdentity,
        authorities: None,
        identity: None,
        host: "my db".to_owned(),
        setup: Setup::default(),
    };
    let (socket, _server) = pair().await;
    let failure = nameless.begin(socket, &mut login()).await.expect_err("no name");
    assert!(failure.reason.contains("no certificate can name the host \"my db\""), "{}", failure.reason);
}

/// What a server that demands a certificate of its first authority makes of what it is shown.
async fn shows(
    made: &Certificates,
    identity: Option<(&str, &str)>,
) -> (Result<(), Failure>, Result<(), String>) {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(made.certificate("ca")).expect("openssl made it");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .expect("it has an authority");
    let key = PrivateKeyDer::from_pem_file(made.file("good.key")).expect("openssl made it");
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .expect("ring has suites")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![made.certificate("good")], key)
        .expect("they fit");
    let (socket, mut server) = pair().await;
    let peer = tokio::spawn(async move {
        let mut request = [0; HEADER + SSL_REQUEST];
        server.read_exact(&mut request).await.map_err(|error| error.to_string())?;
        let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), server);
        let hello = hello.await.map_err(|error| error.to_string())?;
        hello.into_stream(Arc::new(config)).await.map(drop).map_err(|error| error.to_string())
    });
    let tls = Tls {
        mode: TlsMode::VerifyIdentity,
        authorities: Some(made.file("ca.pem")),
        identity: identity.map(|(certificates, key)| TlsIdentity {
            certificates: made.file(certificates),
            key: made.file(key),
        }),
        host: "db.example.org".to_owned(),
        setup: Setup::default(),
    };
    // Told at once, so that the server does not wait for a client that gave up.
    let ours = tls.begin(socket, &mut login()).await.map(drop);
    (ours, peer.await.expect("no panic"))
}

#[tokio::test]
async fn a_server_that_demands_a_certificate() {
    let made = Certificates::make("identity");
    assert_eq!(shows(&made, Some(("client.pem", "client.key"))).await.1, Ok(()));
    let (_, none) = shows(&made, None).await;
    assert!(none.is_err_and(|error| error.contains("peer sent no certificates")));
    let (_, stranger) = shows(&made, Some(("stranger.pem", "stranger.key"))).await;
    assert!(stranger.is_err_and(|error| error.contains("invalid peer certificate")));
    for (identity, words) in [
        (("missing.pem", "client.key"), "missing.pem cannot be read"),
        (("client.pem", "good.key"), "good.key holds a key that does not fit the certificate"),
        (("names", "client.key"), "names holds no PEM certificate"),
    ] {
        let (ours, theirs) = shows(&made, Some(identity)).await;
        let failure = ours.expect_err("nothing to show");
        assert_eq!(failure.stage, Stage::Tls);
        assert!(failure.reason.contains(words), "{}", failure.reason);
        assert!(theirs.is_err());
    }
}

#[test]
fn certificates_that_cannot_be_shown() {
    let made = Certificates::make("unfit");
    let read = |name: &str| std::fs::read(made.file(name)).expect("openssl made it");
    let cut = |name: &str| read(name)[..100].to_vec();
    let certificate = read("client.pem");
    assert_eq!(check_identity(&certificate, &read("client.key")), Ok(()));
    for (certificate, key, in_key, words) in [
        (certificate.clone(), read("good.key"), true, "does not fit the certificate"),
        (certificate.clone(), read("locked.key"), true, "holds a key under a passphrase"),
        (certificate.clone(), read("client.pem"), true, "holds no PEM key"),
        (certificate.clone(), cut("client.key"), true, "a -----BEGIN line without its -----END line"),
        (certificate, Vec::new(), true, "holds no PEM key"),
        (read("client.key"), read("client.key"), false, "holds no PEM certificate"),
        (cut("client.pem"), read("client.key"), false, "is no good PEM"),
        (read("old.pem"), read("old.key"), false, "has a certificate of version 1, which cannot be used"),
    ] {
        let wrong = check_identity(&certificate, &key).expect_err(words);
        assert!(wrong.in_key == in_key && wrong.what.contains(words), "{wrong:?}");
    }
    assert_eq!(check_authorities(&read("ca.pem")), Ok(()));
    assert!(
        check_authorities(&read("client.key")).is_err_and(|what| what.contains("holds no PEM certificate"))
    );
    assert!(
        check_server_name("db.example.org.") && check_server_name("10.0.0.1") && !check_server_name("my db")
    );
}

#[tokio::test]
async fn a_certificate_that_was_renewed_is_shown_to_the_next() {
    let made = Certificates::make("renewed");
    let setup = Setup::default();
    let files = TlsIdentity { certificates: made.file("client.pem"), key: made.file("client.key") };
    let config = async || {
        let identity = Identity::read(&files).expect("the files are there");
        setup.config(TlsMode::Required, Authorities::None, Some(identity)).expect("good files")
    };
    let first = config().await;
    assert!(Arc::ptr_eq(&first, &config().await));
    for (name, other) in [("client.pem", "good.pem"), ("client.key", "good.key")] {
        std::fs::copy(made.file(other), made.file(name)).expect("the directory is ours");
    }
    assert!(!Arc::ptr_eq(&first, &config().await), "renewed");
    assert!(!format!("{:?}", Identity::read(&files).expect("there")).contains("BEGIN"), "no key is printed");
}

#[test]
fn what_a_server_complains_of() {
    use AlertDescription as Alert;
    let shown = Path::new("canary.pem");
    for (alert, shown, words) in [
        (Alert::UnknownCA, Some(shown), "have it signed by an authority of the server's ssl_ca"),
        (Alert::DecryptError, Some(shown), "have it signed by an authority of the server's ssl_ca"),
        (Alert::CertificateExpired, Some(shown), "renew it, or set the server's clock"),
        (Alert::CertificateRevoked, Some(shown), "its ssl_ca and ssl_crl say whose it takes"),
        (Alert::CertificateRequired, None, "name one in cert_file and key_file of tls_config"),
        (Alert::UnknownCA, None, "its error log may say why"),
        (Alert::HandshakeFailure, Some(shown), "its error log may say why"),
    ] {
        let failure = broken_off(alert, shown);
        assert!(failure.stage == Stage::Tls && failure.reason.contains(words), "{alert:?}: {failure:?}");
        let names = failure.reason.starts_with("the server refuses the certificate of canary.pem (");
        assert_eq!(names, words != "its error log may say why" && shown.is_some(), "{failure:?}");
    }
}
