//! The connector of one path: name, TCP, greeting and login, each stage with its own error; and the session
//! that comes of it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mysql_async::Conn;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::error::{ConnectError, Failure, NoSession, Stage, shortage};
use super::gate::{Gate, Useless};
use super::ghost::Purpose;
use super::identities::Identities;
use super::login::{Account, TlsMode};
use super::packet::{self, Greeting, GreetingError};
use super::password::Password;
use super::questions::{Asking, Questions};
use super::roster::{Membership, Place, Roster};
use super::tap::{Parted, Tap};
use super::told::Told;
use crate::config::address::Address;
use crate::domain::proof::{OwnRow, ServerMark};
use crate::metrics::PathMetrics;

/// Opens the sessions of one path, one like the other.
#[derive(Debug)]
pub struct Connector {
    address: Address,
    account: Account,
    timeout: Duration,
    gate: Gate,
    roster: Roster,
    questions: Questions,
    metrics: PathMetrics,
    identities: Identities,
    timeouts: Mutex<WaitTimeouts>,
    password: Password,
    told: Told,
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
    questions: Questions,
    skipped: bool,
    /// When it logged in.
    since: Instant,
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
            password: Password::of(&account),
            told: Told::default(),
            account,
            timeout,
            gate: Gate::default(),
            questions: Questions::new(roster.clone()),
            roster,
            metrics,
            identities: Identities::default(),
            timeouts: Mutex::default(),
        }
    }

    /// The sessions opened here.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The servers that answered here, as far as new sessions asked them.
    pub fn identities(&self) -> &Identities {
        &self.identities
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

    /// Opens a session, where the budget has a place for one; with `keepalive`, its socket sends TCP keepalive
    /// probes at that interval.
    ///
    /// # Errors
    /// [`NoSession::HeldBack`] without having tried, while earlier attempts fail;
    /// [`NoSession::Failed`] with the stage and the reason.
    pub async fn connect(&self, purpose: Purpose, keepalive: Option<Duration>) -> Result<Session, NoSession> {
        /// How soon a place in the budget may be free.
        const NO_PLACE: NoSession = NoSession::HeldBack { rest: Duration::from_millis(250), failed_at: None };
        let place = self.roster.claim(purpose).ok_or(NO_PLACE)?;
        let ticket = self
            .gate
            .admit()
            .map_err(|closed| NoSession::HeldBack { rest: closed.rest, failed_at: closed.failed_at })?;
        if self.gate.failed_at() == Some(Stage::Auth) {
            self.password.read_anew().await;
        }
        match self.attempt(place, keepalive).await {
            Ok(session) => {
                ticket.succeeded();
                self.metrics.connected(session.connect_duration.as_secs_f64());
                Ok(session)
            }
            Err(failure) => {
                ticket.failed(failure.rests_as());
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
    pub fn distrust(&self, session: &Session, error: Option<&mysql_async::Error>) {
        let how = match error {
            None => Useless::Silent,
            Some(error) if error.is_fatal() => Useless::Broken,
            Some(_) => Useless::Refused,
        };
        self.gate.distrust(how, session.since);
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

    /// Takes note that a session answered its first questions.
    pub fn trust(&self) {
        self.gate.trust();
    }

    /// Says once for each question that the server refuses to answer it.
    pub fn tell_refusal(&self, question: &'static str, error: &mysql_async::Error) {
        if self.told.first(question) {
            let error = error.to_string();
            tracing::warn!(
                event = "question_refused",
                user = self.account.username,
                error = packet::shortened(&error),
                "the server refuses {question:?}: canaries live without the answer"
            );
        }
    }

    /// Says once what a session risks whose server nobody verified.
    fn tell_risk(&self, tls: bool) {
        if self.account.verifies() || self.account.tls_mode == TlsMode::Disabled || !self.told.first("risk") {
            return;
        }
        let how = if tls { "under TLS, but its certificate is not checked" } else { "not under TLS" };
        tracing::warn!(
            event = "server_unverified",
            tls,
            "the session is {how}: whoever stands on the way can read it and answer in the server's place. \
             Verify the server with --mysql.tls-mode=verify-identity and --mysql.tls-ca"
        );
    }

    async fn attempt(&self, place: Place, keepalive: Option<Duration>) -> Result<Session, Failure> {
        let begun = Instant::now();
        let deadline = begun + self.timeout;
        let socket = self.dial(deadline).await?;
        set_socket_options(&socket, keepalive)
            .map_err(|error| Failure::by_system(Stage::Tcp, "the socket cannot be set up", &error))?;
        match self.log_in(socket, deadline).await {
            Ok((conn, tap, greeting)) => {
                let membership = place.join(u64::from(greeting.thread_id));
                let (connect_duration, questions) = (begun.elapsed(), self.questions.clone());
                let since = Instant::now();
                Ok(Session {
                    conn,
                    tap,
                    greeting,
                    connect_duration,
                    membership,
                    questions,
                    skipped: false,
                    since,
                })
            }
            Err(failure) => {
                // Whom the server itself refused, it does not hold.
                if failure.code.is_none() {
                    place.broke_off();
                }
                Err(failure)
            }
        }
    }

    async fn log_in(
        &self,
        mut socket: TcpStream,
        deadline: Instant,
    ) -> Result<(Conn, Tap, Greeting), Failure> {
        let (greeting, first) = read_greeting(&mut socket, deadline, self.timeout).await?;
        let tls = self.account.choose_tls(&greeting)?;
        let password = self.password.now();
        let password = password.as_ref();
        let tap = Tap::open(socket, first, tls, greeting.takes_attributes, self.account.watch(tls, password))
            .await
            .map_err(|error| Failure::by_system(Stage::Local, "no loopback socket for the tap", &error))?;
        let conn =
            self.account.log_in(password, &self.address.host, &tap, tls, deadline, self.timeout).await?;
        self.tell_risk(tls);
        Ok((conn, tap, greeting))
    }

    /// Resolves the host and connects to the first of its addresses that answers.
    async fn dial(&self, deadline: Instant) -> Result<TcpStream, Failure> {
        let Address { host, port } = &self.address;
        let found = timeout_at(deadline, tokio::net::lookup_host((host.as_str(), *port))).await;
        let addresses = match found {
            Err(_) => return Err(Failure::new(Stage::Dns, format!("no answer to the look-up of {host:?}"))),
            Ok(Err(error)) => return Err(explain_look_up(host, &error)),
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
                    Failure::by_system(Stage::Tcp, &format!("TCP connect to {address} failed"), &error)
                }
                Err(_) => Failure::new(
                    Stage::Tcp,
                    format!("TCP connect to {address} was not answered within {} s", share.as_secs_f64()),
                ),
            };
        }
        Err(last)
    }
}

impl Session {
    /// The server's thread id of this session, as far as is known.
    pub fn thread_id(&self) -> u64 {
        self.membership.thread_id()
    }

    /// Asks a question that may stay unanswered. `None` while it rests, because it cost sessions.
    pub fn begin(&mut self, question: &'static str) -> Option<Asking> {
        let asking = self.questions.begin(question, self.thread_id());
        self.skipped |= asking.is_none();
        asking
    }

    /// Whether a question was not asked.
    pub fn has_skipped(&self) -> bool {
        self.skipped
    }

    /// Whether the greeting told this thread id: the 32 bits that it has room for. Where it did not, a
    /// proxy that speaks MySQL greeted in the server's place.
    fn was_greeted_as(&self, thread_id: u64) -> bool {
        thread_id & u64::from(u32::MAX) == u64::from(self.greeting.thread_id)
    }

    /// Takes the full thread id as the server says it, which the greeting has only 32 bits of. Behind
    /// a proxy (`proxied`) it is the backend's for now.
    pub fn learn_thread_id(&mut self, thread_id: Option<u64>, proxied: bool) {
        let certain = thread_id.is_some_and(|thread_id| self.was_greeted_as(thread_id)) && !proxied;
        self.membership.rename(thread_id.unwrap_or(self.thread_id()), certain);
    }

    /// Takes the full thread id as the server that holds the session says it, which tells by itself whether a
    /// proxy greeted.
    pub fn learn_backend_id(&mut self, thread_id: u64) {
        let proxied = !self.was_greeted_as(thread_id);
        self.learn_thread_id(Some(thread_id), proxied);
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
        let tls = tap.is_tls();
        let farewell = async {
            conn.disconnect().await?;
            Ok::<_, mysql_async::Error>(tap.finish().await)
        };
        match tokio::time::timeout(patience, farewell).await {
            Ok(Ok(Parted::Closed)) => membership.leave(),
            Ok(Ok(Parted::Reset)) => membership.leave_unheard(tls),
            Ok(Ok(Parted::Unheard) | Err(_)) | Err(_) => membership.leave_unheard(false),
        }
    }

    /// Whether the thread id is surely the server's own: no proxy that speaks MySQL was seen.
    pub fn is_certain(&self) -> bool {
        self.membership.is_certain()
    }

    /// Where the session lives, as far as it could read that.
    pub fn server(&self) -> Option<&ServerMark> {
        self.membership.server()
    }

    /// The session's own row, where it could read that.
    pub fn row(&self) -> Option<&OwnRow> {
        self.membership.row()
    }

    /// Takes what the session read about itself: its own row, and where it lives.
    pub fn introduce(&mut self, row: Option<OwnRow>, server: Option<ServerMark>) {
        self.membership.introduce(row, server);
    }

    /// After how much silence, in seconds, the server ends the session by itself.
    pub fn ends_by_itself_after(&mut self, wait_timeout: f64) {
        if let Ok(wait_timeout) = Duration::try_from_secs_f64(wait_timeout) {
            self.membership.ends_by_itself_after(wait_timeout);
        }
    }

    /// The session's statement lasts until then.
    pub fn is_busy_until(&mut self, until: Instant) {
        self.membership.is_busy_until(until);
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

/// Why a look-up failed. The resolver does not say when it could not open a socket or its own files, so that
/// is tried.
fn explain_look_up(host: &str, error: &std::io::Error) -> Failure {
    let what = format!("the host {host:?} has no address");
    match std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)) {
        Err(lack) if shortage(&lack).is_some() => Failure::by_system(Stage::Local, &what, &lack),
        _ => Failure::by_system(Stage::Dns, &what, error),
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
