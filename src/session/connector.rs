//! The connector of one path: name, TCP, greeting, TLS and login, each stage with its own error.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::error::{ConnectError, LIMIT_CODES, NoSession, Stage, advice};
use super::gate::Gate;
use super::guard::LONGEST_PACKET;
use super::packet::{self, Greeting, GreetingError};
use super::roster::{Membership, Roster};
use super::tap::Tap;
use crate::config::address::Address;
use crate::config::secret::Secret;
use crate::metrics::PathMetrics;

/// Who logs in, and how.
#[derive(Debug, Clone)]
pub struct Account {
    /// The MySQL user.
    pub username: String,
    /// Its password.
    pub password: Option<Secret>,
    /// Whether and how the session is encrypted.
    pub tls_mode: TlsMode,
    /// A PEM file of the authorities to trust; without it, the well-known ones.
    pub tls_ca: Option<PathBuf>,
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

/// Opens the sessions of one path, one like the other.
#[derive(Debug)]
pub struct Connector {
    address: Address,
    account: Account,
    timeout: Duration,
    gate: Gate,
    roster: Roster,
    metrics: PathMetrics,
    timeouts: Mutex<WaitTimeouts>,
    spare: tokio::sync::Mutex<()>,
}

/// What sessions of a path found at login, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WaitTimeouts {
    /// `@@session.wait_timeout`, before we change it.
    pub session: Option<f64>,
    /// `@@global.wait_timeout`.
    pub global: Option<f64>,
}

/// One logged-in session over its tap.
#[derive(Debug)]
pub struct Session {
    /// The driver's side.
    pub conn: Conn,
    /// The real socket's side.
    pub tap: Tap,
    /// What the server said first.
    pub greeting: Greeting,
    /// How long TCP connect, greeting, TLS and login took together.
    pub connect_duration: Duration,
    membership: Membership,
}

impl Connector {
    /// A connector to one address. `timeout` bounds a whole connect, all stages together.
    pub fn new(
        address: Address,
        account: Account,
        timeout: Duration,
        roster: Roster,
        metrics: PathMetrics,
    ) -> Self {
        Self {
            address,
            account,
            timeout,
            gate: Gate::default(),
            roster,
            metrics,
            timeouts: Mutex::default(),
            spare: tokio::sync::Mutex::default(),
        }
    }

    /// The sessions opened here.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The right to the one connection that the budget keeps for witnesses and other errands. Whoever
    /// makes one holds this meanwhile.
    pub async fn spare(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.spare.lock().await
    }

    /// Keeps what a session found at login, in seconds.
    pub fn learn_timeouts(&self, session: Option<f64>, global: Option<f64>) {
        *self.timeouts.lock().unwrap_or_else(PoisonError::into_inner) = WaitTimeouts { session, global };
    }

    /// What the newest session found at login.
    pub fn timeouts(&self) -> WaitTimeouts {
        *self.timeouts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user that logs in.
    pub fn username(&self) -> &str {
        &self.account.username
    }

    /// Opens a session; with `keepalive`, its socket sends TCP keepalive probes at that interval.
    ///
    /// # Errors
    /// [`NoSession::HeldBack`] without having tried, while earlier attempts fail;
    /// [`NoSession::Failed`] with the stage and the reason.
    pub async fn connect(&self, keepalive: Option<Duration>) -> Result<Session, NoSession> {
        let ticket = self
            .gate
            .admit()
            .map_err(|closed| NoSession::HeldBack { rest: closed.rest, failed_at: closed.failed_at })?;
        match self.attempt(keepalive).await {
            Ok(session) => {
                ticket.succeeded();
                self.metrics.connected(session.connect_duration.as_secs_f64());
                Ok(session)
            }
            Err(failure) => {
                ticket.failed(failure.stage);
                self.metrics.connect_failed(failure.stage);
                let error = ConnectError {
                    address: self.address.clone(),
                    stage: failure.stage,
                    reason: failure.reason,
                    code: failure.code,
                };
                tracing::warn!(
                    event = "connect_failed",
                    stage = error.stage.label(),
                    error_code = error.code,
                    user = self.account.username,
                    "{error}"
                );
                Err(NoSession::Failed(error))
            }
        }
    }

    /// Takes note that a session logged in and then did not answer the first questions: as good as a
    /// failed connect, and no reason to try again at once.
    pub fn distrust(&self, error: Option<&mysql_async::Error>) {
        self.gate.distrust(error.is_some_and(mysql_async::Error::is_fatal));
        let reason = error.map_or_else(|| "it does not answer".to_owned(), ToString::to_string);
        self.metrics.connect_failed(Stage::Auth);
        tracing::warn!(
            event = "connect_failed",
            stage = Stage::Auth.label(),
            user = self.account.username,
            "logged in to {}, but the session is of no use: {reason}",
            self.address
        );
    }

    async fn attempt(&self, keepalive: Option<Duration>) -> Result<Session, Failure> {
        let begun = Instant::now();
        let deadline = begun + self.timeout;
        let mut socket = self.dial(deadline).await?;
        set_socket_options(&socket, keepalive)
            .map_err(|error| Failure::new(Stage::Tcp, error.to_string()))?;
        let (greeting, first) = read_greeting(&mut socket, deadline, self.timeout).await?;
        let tls = self.choose_tls(&greeting)?;
        let tap = Tap::open(socket, first, tls)
            .await
            .map_err(|error| Failure::new(Stage::Tcp, format!("no loopback socket for the tap: {error}")))?;
        let conn = self.log_in(&tap, tls, deadline).await?;
        let membership = self.roster.join(u64::from(greeting.thread_id));
        Ok(Session { conn, tap, greeting, connect_duration: begun.elapsed(), membership })
    }

    /// Resolves the host and connects to the first of its addresses that answers.
    async fn dial(&self, deadline: Instant) -> Result<TcpStream, Failure> {
        let Address { host, port } = &self.address;
        let found = timeout_at(deadline, tokio::net::lookup_host((host.as_str(), *port))).await;
        let addresses = match found {
            Err(_) => return Err(Failure::new(Stage::Dns, format!("no answer to the look-up of {host:?}"))),
            Ok(Err(error)) => {
                return Err(Failure::new(Stage::Dns, format!("the host {host:?} has no address: {error}")));
            }
            Ok(Ok(addresses)) => addresses,
        };
        let mut last = Failure::new(Stage::Dns, format!("the host {host:?} has no address"));
        let addresses: Vec<_> = addresses.collect();
        let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        for address in addresses {
            // An address that does not answer must leave time for the next.
            let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
            left = left.saturating_sub(1);
            last = match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error)) => {
                    Failure::new(Stage::Tcp, format!("TCP connect to {address} failed: {error}"))
                }
                Err(_) => Failure::new(
                    Stage::Tcp,
                    format!("TCP connect to {address} was not answered within {} s", share.as_secs_f64()),
                ),
            };
        }
        Err(last)
    }

    fn choose_tls(&self, greeting: &Greeting) -> Result<bool, Failure> {
        match self.account.tls_mode {
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

    async fn log_in(&self, tap: &Tap, tls: bool, deadline: Instant) -> Result<Conn, Failure> {
        // In a task of its own: should the driver panic on what a server sends, only this attempt fails.
        let login = tokio::spawn(Conn::new(self.driver_options(tap, tls)));
        let abort = AbortOnDrop(login.abort_handle());
        let outcome = timeout_at(deadline, login).await;
        drop(abort);
        match outcome {
            Ok(Ok(Ok(conn))) => Ok(conn),
            Ok(Ok(Err(error))) => Err(match tap.nonsense() {
                Some(nonsense) => {
                    Failure::new(Stage::Auth, format!("the server answered the login with {nonsense}"))
                }
                None => explain_login(&error, tls),
            }),
            Ok(Err(_)) => {
                Err(Failure::new(Stage::Auth, "the server answered the login with nonsense".to_owned()))
            }
            Err(_) => Err(Failure::new(
                Stage::Auth,
                format!("no answer to the login within {} s", self.timeout.as_secs_f64()),
            )),
        }
    }

    fn driver_options(&self, tap: &Tap, tls: bool) -> Opts {
        let account = &self.account;
        let options = OptsBuilder::default()
            .ip_or_hostname(tap.address().ip().to_string())
            .tcp_port(tap.address().port())
            // Else a loopback target is silently moved to the server's Unix socket.
            .prefer_socket(false)
            .user(Some(&account.username))
            .pass(account.password.as_ref().map(Secret::reveal))
            .max_allowed_packet(Some(LONGEST_PACKET))
            // Given, so that the driver does not ask the server; it matters only to its pool.
            .wait_timeout(Some(0))
            .stmt_cache_size(Some(0));
        let ssl = tls.then(|| {
            let checked = matches!(account.tls_mode, TlsMode::VerifyCa | TlsMode::VerifyIdentity);
            let name = if account.tls_mode == TlsMode::VerifyCa { ANY_NAME } else { &self.address.host };
            let ssl = SslOpts::default()
                .with_danger_accept_invalid_certs(!checked)
                .with_danger_skip_domain_validation(account.tls_mode != TlsMode::VerifyIdentity)
                .with_danger_tls_hostname_override(Some(name.to_owned()));
            match &account.tls_ca {
                Some(ca) if checked => {
                    ssl.with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true)
                }
                _ => ssl,
            }
        });
        options.ssl_opts(ssl).into()
    }
}

impl Session {
    /// The server's thread id of this session, as far as is known.
    pub fn thread_id(&self) -> u64 {
        self.membership.thread_id()
    }

    /// Takes the full thread id as the server says it, which the greeting has only 32 bits of. Behind
    /// a proxy (`proxied`) it is the backend's for now.
    pub fn learn_thread_id(&mut self, thread_id: Option<u64>, proxied: bool) {
        let thread_id = thread_id.unwrap_or(self.thread_id());
        self.membership.rename(thread_id, !proxied);
    }

    /// Ends the session with COM_QUIT, so that the server does not count it as aborted. Waits at most
    /// `patience` for the words to be handed on.
    pub async fn quit(self, patience: Duration) {
        let Self { conn, tap, membership, .. } = self;
        if conn.is_disconnected() {
            // The driver would say nothing: its last command was left unfinished.
            return;
        }
        tap.wake();
        let farewell = async {
            conn.disconnect().await?;
            tap.finish().await;
            Ok::<(), mysql_async::Error>(())
        };
        if let Ok(Ok(())) = tokio::time::timeout(patience, farewell).await {
            membership.leave();
        }
    }

    /// The session is idle from this moment on.
    pub fn rests_since(&mut self, since: Instant) {
        self.membership.rests_since(since);
    }

    /// Lets go of a session whose connection is dead.
    pub fn bury(self) -> Membership {
        self.membership
    }
}

/// Why one attempt failed, before it knows its address.
#[derive(Debug)]
struct Failure {
    stage: Stage,
    reason: String,
    code: Option<u16>,
}

impl Failure {
    fn new(stage: Stage, reason: String) -> Self {
        Self { stage, reason, code: None }
    }

    fn by_server(stage: Stage, code: u16, message: &str) -> Self {
        let stage = if LIMIT_CODES.contains(&code) { Stage::Limit } else { stage };
        Self {
            stage,
            reason: format!("the server said {:?} ({code}){}", packet::shortened(message), advice(code)),
            code: Some(code),
        }
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Withholds or sets TCP keepalive on the real socket.
fn set_socket_options(socket: &TcpStream, keepalive: Option<Duration>) -> std::io::Result<()> {
    /// How many unanswered probes end the connection: few, for the canary reports the end.
    const PROBES: u32 = 3;
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    match keepalive {
        None => socket.set_keepalive(false),
        Some(interval) => socket.set_tcp_keepalive(
            &TcpKeepalive::new().with_time(interval).with_interval(interval).with_retries(PROBES),
        ),
    }
}

/// Reads the first packet, and gives it parsed and as it came.
async fn read_greeting(
    socket: &mut TcpStream,
    deadline: Instant,
    timeout: Duration,
) -> Result<(Greeting, Vec<u8>), Failure> {
    let read = async {
        let mut bytes = vec![0; packet::HEADER];
        socket.read_exact(&mut bytes).await?;
        let header = [bytes[0], bytes[1], bytes[2], bytes[3]];
        let length = match packet::check_greeting_header(header) {
            Ok(length) => length,
            Err(error) => return Ok(Err(error)),
        };
        bytes.resize(packet::HEADER + length, 0);
        socket.read_exact(&mut bytes[packet::HEADER..]).await?;
        Ok::<_, std::io::Error>(
            packet::parse_greeting(&bytes[packet::HEADER..]).map(|greeting| (greeting, bytes)),
        )
    };
    match timeout_at(deadline, read).await {
        Ok(Ok(Ok(greeting))) => Ok(greeting),
        Ok(Ok(Err(GreetingError::Refused(refusal)))) => {
            Err(Failure::by_server(Stage::Greeting, refusal.code, &refusal.message))
        }
        Ok(Ok(Err(error @ GreetingError::NotMySql(_)))) => {
            Err(Failure::new(Stage::Greeting, error.to_string()))
        }
        Ok(Err(error)) => Err(Failure::new(
            Stage::Greeting,
            format!("the connection closed before a whole greeting came: {error}"),
        )),
        Err(_) => Err(Failure::new(
            Stage::Greeting,
            format!(
                "connected, but no whole greeting came within {} s: the server is stuck, or the port is not a MySQL server's",
                timeout.as_secs_f64()
            ),
        )),
    }
}

/// Tells the stage and the reason of a login that the driver gave up.
fn explain_login(error: &mysql_async::Error, tls: bool) -> Failure {
    use mysql_async::{Error, IoError};
    match error {
        Error::Server(refusal) => {
            let stage = if refusal.code == TLS_REQUIRED { Stage::Tls } else { Stage::Auth };
            Failure::by_server(stage, refusal.code, &refusal.message)
        }
        Error::Io(IoError::Tls(error)) => Failure::new(Stage::Tls, format!("TLS failed: {error}")),
        Error::Io(IoError::Io(error)) => {
            let by_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
            let broke_off = tls && error.to_string().contains("tls handshake");
            if by_tls || broke_off {
                Failure::new(Stage::Tls, format!("the TLS handshake failed: {error}"))
            } else {
                Failure::new(Stage::Auth, format!("the connection broke during the login: {error}"))
            }
        }
        // The driver's other errors name no secret: they speak of plugins and packets.
        other => {
            let told = other.to_string();
            Failure::new(Stage::Auth, format!("the login failed: {}", packet::shortened(&told)))
        }
    }
}

/// ER_SECURE_TRANSPORT_REQUIRED.
const TLS_REQUIRED: u16 = 3159;
