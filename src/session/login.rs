//! The login of one session: who logs in, whether under TLS, and what the driver's refusals mean.

use std::path::PathBuf;
use std::time::Duration;

use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};
use tokio::time::{Instant, timeout_at};

use super::disclosure::{Disclosure, Watch};
use super::error::{Failure, Stage};
use super::guard::LONGEST_PACKET;
use super::packet::{self, Greeting};
use super::tap::{Spoiled, Tap};
use crate::config::credentials::PasswordFile;
use crate::config::secret::Secret;
use crate::domain::applications::driver::OUR_PROGRAM_NAME;

/// Who logs in, and how.
#[derive(Debug, Clone)]
pub struct Account {
    /// The MySQL user.
    pub username: String,
    /// Its password.
    pub password: Option<Secret>,
    /// The file that the password stands in, to be read anew once it is refused.
    pub password_file: Option<PasswordFile>,
    /// Whether and how the session is encrypted.
    pub tls_mode: TlsMode,
    /// A PEM file of the authorities to trust; without it, the well-known ones.
    pub tls_ca: Option<PathBuf>,
    /// Whether the password itself may go to a server that nobody verified.
    pub get_server_public_key: bool,
}

/// MySQL's `--ssl-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsMode {
    /// Never.
    Disabled,
    /// Where the server offers it; its certificate is not checked.
    Preferred,
    /// Always; the certificate is not checked.
    Required,
    /// Always; the certificate must come from a trusted authority.
    VerifyCa,
    /// Always; and it must name the host.
    VerifyIdentity,
}

/// The name that a certificate is checked for where any name will do.
///
/// The driver skips a wrong name where the error's text contains this word, as the TLS library spelled it
/// before it told the names. It still repeats the name it looked for, so the word gets in.
/// Every other fault of the certificate is told by another error, and refused.
const ANY_NAME: &str = "NotValidForName.invalid";
/// ER_SECURE_TRANSPORT_REQUIRED.
const TLS_REQUIRED: u16 = 3159;

impl Account {
    /// Whether a session with a server that greets so goes under TLS.
    pub(super) fn choose_tls(&self, greeting: &Greeting) -> Result<bool, Failure> {
        match self.tls_mode {
            TlsMode::Disabled => Ok(false),
            TlsMode::Preferred => Ok(greeting.offers_tls),
            TlsMode::Required | TlsMode::VerifyCa | TlsMode::VerifyIdentity if greeting.offers_tls => {
                Ok(true)
            }
            TlsMode::Required | TlsMode::VerifyCa | TlsMode::VerifyIdentity => Err(Failure::new(
                Stage::Tls,
                "the server offers no TLS: set it up there, or choose --mysql.tls-mode=preferred".to_owned(),
            )),
        }
    }

    /// Whether it is checked who the server is.
    pub(super) fn verifies(&self) -> bool {
        matches!(self.tls_mode, TlsMode::VerifyCa | TlsMode::VerifyIdentity)
    }

    /// The watch over what is said in a login with this password.
    pub(super) fn watch(&self, tls: bool, password: Option<&Secret>) -> Watch {
        match password {
            Some(password) if !self.verifies() && !self.get_server_public_key => {
                Watch::over(tls, password.reveal().len())
            }
            _ => Watch::Off,
        }
    }

    /// Logs in over the tap with this password. `host` is the name a certificate is checked for; `timeout` is what `deadline`
    /// was made of, and told where it passed.
    pub(super) async fn log_in(
        &self,
        password: Option<&Secret>,
        host: &str,
        tap: &Tap,
        tls: bool,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Conn, Failure> {
        // In a task of its own: should the driver panic on what a server sends, only this attempt fails.
        let login = tokio::spawn(Conn::new(self.driver_options(password, host, tap, tls)));
        let abort = AbortOnDrop(login.abort_handle());
        let outcome = timeout_at(deadline, login).await;
        drop(abort);
        match outcome {
            Ok(Ok(Ok(conn))) => {
                tap.logged_in();
                Ok(conn)
            }
            Ok(Ok(Err(error))) => Err(match (tap.spoiled(), tap.nonsense()) {
                (Some(spoiled), _) => explain_spoiled(&spoiled),
                (None, Some(nonsense)) => {
                    Failure::new(Stage::Auth, format!("the server answered the login with {nonsense}"))
                }
                (None, None) => explain(&error, tls),
            }),
            Ok(Err(_)) => {
                Err(Failure::new(Stage::Auth, "the server answered the login with nonsense".to_owned()))
            }
            Err(_) => Err(Failure::new(
                Stage::Auth,
                format!("no answer to the login within {} s", timeout.as_secs_f64()),
            )
            .unanswered()),
        }
    }

    fn driver_options(&self, password: Option<&Secret>, host: &str, tap: &Tap, tls: bool) -> Opts {
        let options = OptsBuilder::default()
            .ip_or_hostname(tap.address().ip().to_string())
            .tcp_port(tap.address().port())
            // Else a loopback target is silently moved to the server's Unix socket.
            .prefer_socket(false)
            .user(Some(&self.username))
            .pass(password.map(Secret::reveal))
            .max_allowed_packet(Some(LONGEST_PACKET))
            // Given, so that the driver does not ask the server; it matters only to its pool.
            .wait_timeout(Some(0))
            .stmt_cache_size(Some(0));
        // So that other exporters do not take our sessions for an application's.
        let options = match tap.takes_attributes() {
            true => options.connect_attribute("program_name", OUR_PROGRAM_NAME),
            false => options,
        };
        let ssl = tls.then(|| {
            let checked = self.verifies();
            let name = if self.tls_mode == TlsMode::VerifyCa { ANY_NAME } else { host };
            let ssl = SslOpts::default()
                .with_danger_accept_invalid_certs(!checked)
                .with_danger_skip_domain_validation(self.tls_mode != TlsMode::VerifyIdentity)
                .with_danger_tls_hostname_override(Some(name.to_owned()));
            match &self.tls_ca {
                Some(ca) if checked => {
                    ssl.with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true)
                }
                _ => ssl,
            }
        });
        options.ssl_opts(ssl).into()
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tells the stage and the reason of a login that the tap gave up.
fn explain_spoiled(spoiled: &Spoiled) -> Failure {
    match spoiled {
        Spoiled::Disclosure(disclosure) => {
            let way = match disclosure {
                Disclosure::ByKey => "--mysql.tls-mode=verify-identity",
                Disclosure::UnderTls => {
                    "--mysql.tls-mode=verify-identity (or verify-ca) and the server's authority in --mysql.tls-ca"
                }
            };
            Failure::new(
                Stage::Auth,
                format!(
                    "the server wants the password itself, as caching_sha2_password does until it remembers it, and it would go \
                     {disclosure}: verify the server with {way}; or let the account log in once by a client that does (it is \
                     remembered until the server restarts); or allow it with --mysql.get-server-public-key"
                ),
            )
        }
        Spoiled::System(error) => Failure::by_system(Stage::Local, "the tap's loopback socket failed", error),
    }
}

/// What a person should do about a certificate that was refused.
fn tls_advice(error: Option<&rustls::Error>) -> &'static str {
    use rustls::CertificateError::{NotValidForName, NotValidForNameContext, UnknownIssuer};
    match error {
        Some(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
            ": the certificates that MySQL makes by itself name no host: give the server one that names it, or check its authority alone with --mysql.tls-mode=verify-ca"
        }
        Some(rustls::Error::InvalidCertificate(UnknownIssuer)) => {
            ": name its authority in --mysql.tls-ca (MySQL's own is ca.pem in the server's data directory)"
        }
        _ => "",
    }
}

/// Tells the stage and the reason of a login that the driver gave up.
fn explain(error: &mysql_async::Error, tls: bool) -> Failure {
    use mysql_async::{Error, IoError};
    match error {
        Error::Server(refusal) => {
            let stage = if refusal.code == TLS_REQUIRED { Stage::Tls } else { Stage::Auth };
            Failure::by_server(stage, refusal.code, &refusal.message)
        }
        Error::Io(IoError::Tls(error)) => Failure::new(Stage::Tls, format!("TLS failed: {error}")),
        Error::Io(IoError::Io(error)) => {
            let tls_error = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            let by_tls = tls_error.is_some();
            let broke_off = tls && error.to_string().contains("tls handshake");
            if by_tls || broke_off {
                Failure::new(
                    Stage::Tls,
                    format!("the TLS handshake failed: {error}{}", tls_advice(tls_error)),
                )
            } else {
                Failure::by_system(Stage::Auth, "the connection broke during the login", error).unanswered()
            }
        }
        // The driver's other errors name no secret: they speak of plugins and packets.
        other => {
            let told = other.to_string();
            Failure::new(Stage::Auth, format!("the login failed: {}", packet::shortened(&told)))
        }
    }
}
