//! The login of one session: who logs in, and what the driver's refusals mean.

use std::path::PathBuf;
use std::time::Duration;

use mysql_async::{Conn, Opts, OptsBuilder};
use tokio::time::{Instant, timeout_at};

use super::disclosure::Watch;
use super::door::Way;
use super::error::Failure;
use super::guard::LONGEST_PACKET;
use super::packet::{self, Greeting};
use super::tap::Tap;
use super::tls::{Setup, Tls, TlsIdentity, TlsMode};
use crate::config::credentials::PasswordFile;
use crate::config::secret::Secret;
use crate::domain::applications::driver::OUR_PROGRAM_NAME;
use crate::domain::life::stage::Stage;

/// Who logs in, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The certificate to show where the server asks for one.
    pub tls_identity: Option<TlsIdentity>,
    /// The name to tell the server and to look for in its certificate, where it is not the host's.
    pub tls_server_name: Option<String>,
    /// Whether the password itself may go to a server that nobody verified.
    pub get_server_public_key: bool,
}

/// ER_ACCESS_DENIED_ERROR.
const ACCESS_DENIED: u16 = 1045;
/// ER_SECURE_TRANSPORT_REQUIRED.
const TLS_REQUIRED: u16 = 3159;

impl Account {
    /// This account with the password of another, and the rest as it is.
    pub fn with_password_of(&self, other: &Self) -> Self {
        Self { password: other.password.clone(), ..self.clone() }
    }

    /// What TLS with this host takes, where a session with a server that greets so goes under TLS.
    pub(super) fn choose_tls(
        &self,
        greeting: &Greeting,
        host: &str,
        setup: &Setup,
    ) -> Result<Option<Tls>, Failure> {
        Ok(self.tls_mode.chooses(greeting)?.then(|| Tls {
            mode: self.tls_mode,
            authorities: self.tls_ca.clone(),
            identity: self.tls_identity.clone(),
            host: self.tls_server_name.as_deref().unwrap_or(host).to_owned(),
            setup: setup.clone(),
        }))
    }

    /// The watch over what is said in a login with this password.
    pub(super) fn watch(&self, tls: bool, password: Option<&Secret>) -> Watch {
        match (password, tls) {
            (None, _) => Watch::Off,
            _ if self.get_server_public_key || (tls && self.tls_mode.verifies()) => Watch::Off,
            (Some(_), true) => Watch::Tls,
            (Some(_), false) => Watch::Plain,
        }
    }

    /// Logs in over the tap with this password to a server that greeted so, and with a word on who we are where it
    /// takes one. `timeout` is what `deadline` was made of, and told where it passed.
    pub(super) async fn log_in(
        &self,
        password: Option<&Secret>,
        tap: &Tap,
        greeting: &Greeting,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Conn, Failure> {
        // In a task of its own: should the driver panic on what a server sends, only this attempt fails.
        let login =
            tokio::spawn(Conn::new(self.driver_options(password, tap.way(), greeting.takes_attributes)));
        let abort = AbortOnDrop(login.abort_handle());
        let outcome = timeout_at(deadline, login).await;
        drop(abort);
        match outcome {
            Ok(Ok(Ok(conn))) => {
                tap.logged_in();
                Ok(conn)
            }
            Ok(Ok(Err(error))) => Err(match (tap.failure(), tap.nonsense()) {
                (Some(failure), _) => failure,
                (None, Some(nonsense)) => {
                    Failure::new(Stage::Nonsense, format!("the server answered the login with {nonsense}"))
                }
                (None, None) => self.explain(&error, greeting.offers_tls, tap.is_tls()),
            }),
            Ok(Err(_)) => {
                Err(Failure::new(Stage::Nonsense, "the server answered the login with nonsense".to_owned()))
            }
            Err(_) if tap.shakes_hands() => Err(Failure::new(
                Stage::Tls,
                format!("no end of the TLS handshake within {} s", timeout.as_secs_f64()),
            )),
            Err(_) => Err(Failure::new(
                Stage::Auth,
                format!("no answer to the login within {} s", timeout.as_secs_f64()),
            )
            .unanswered()),
        }
    }

    /// Why the driver gave up a login, and what to do.
    fn explain(&self, error: &mysql_async::Error, offers_tls: bool, tls: bool) -> Failure {
        let mut failure = explain(error);
        if failure.code == Some(ACCESS_DENIED) && offers_tls {
            failure.reason.push_str(self.may_lack(tls));
        }
        failure
    }

    /// What else a server may mean that denies access: it says no other word where the account demands TLS or a
    /// certificate.
    fn may_lack(&self, tls: bool) -> &'static str {
        match (tls, &self.tls_identity) {
            (false, _) => "; where the account demands TLS (REQUIRE SSL), set --mysql.tls-mode=required",
            (true, None) => {
                "; where the account demands a certificate (REQUIRE X509), name one in cert_file and key_file of tls_config"
            }
            (true, Some(_)) => {
                "; where the account demands a certain certificate (REQUIRE SUBJECT, ISSUER), whether cert_file is that one"
            }
        }
    }

    fn driver_options(&self, password: Option<&Secret>, way: &Way, takes_attributes: bool) -> Opts {
        let options = match way {
            Way::Tcp(address) => OptsBuilder::default()
                .ip_or_hostname(address.ip().to_string())
                .tcp_port(address.port())
                // Else a loopback target is silently moved to the server's Unix socket.
                .prefer_socket(false),
            Way::Unix(name) => OptsBuilder::default().socket(Some(name)),
        };
        let options = options
            .user(Some(&self.username))
            .pass(password.map(Secret::reveal))
            .max_allowed_packet(Some(LONGEST_PACKET))
            // Given, so that the driver does not ask the server; it matters only to its pool.
            .wait_timeout(Some(0))
            .stmt_cache_size(Some(0));
        // So that other exporters do not take our sessions for an application's.
        match takes_attributes {
            true => options.connect_attribute("program_name", OUR_PROGRAM_NAME).into(),
            false => options.into(),
        }
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tells the stage and the reason of a login that the driver gave up.
fn explain(error: &mysql_async::Error) -> Failure {
    use mysql_async::{DriverError, Error, IoError};
    match error {
        Error::Server(refusal) => {
            let stage = if refusal.code == TLS_REQUIRED { Stage::Tls } else { Stage::Auth };
            Failure::by_server(stage, refusal.code, &refusal.message)
        }
        Error::Io(IoError::Io(error)) => {
            Failure::by_system(Stage::Auth, "the connection broke during the login", error).unanswered()
        }
        Error::Driver(DriverError::UnexpectedPacket { payload }) => Failure::new(
            Stage::Nonsense,
            format!(
                "the server answered the login with a packet of {} bytes that has no place there",
                payload.len()
            ),
        ),
        Error::Driver(DriverError::PacketOutOfOrder) => Failure::new(
            Stage::Nonsense,
            "the server answered the login with a packet out of order".to_owned(),
        ),
        Error::Driver(DriverError::UnknownAuthPlugin { name }) => other_plugin(packet::shortened(name)),
        Error::Driver(DriverError::CleartextPluginDisabled) => {
            other_plugin("mysql_clear_password, the password in clear words, as LDAP and PAM do")
        }
        Error::Driver(DriverError::MysqlOldPasswordDisabled) => other_plugin("mysql_old_password"),
        // The driver's other errors name no secret: they speak of plugins and packets.
        other => {
            let told = other.to_string();
            Failure::new(Stage::Auth, format!("the login failed: {}", packet::shortened(&told)))
        }
    }
}

/// The server wants to log us in by a plugin that is not spoken here.
fn other_plugin(plugin: &str) -> Failure {
    Failure::new(
        Stage::Auth,
        format!(
            "the login failed: the server wants {plugin}, which is never said here: make the account one of \
             caching_sha2_password, mysql_native_password or ed25519"
        ),
    )
}
