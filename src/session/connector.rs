//! The connector of one path: name, TCP, greeting, TLS and login, each stage with its own error.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mysql_async::Conn;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::dial::{Dialled, dial, read_greeting, set_socket_options};
use super::driven::Session;
use super::error::{ConnectError, Failure, NoSession};
use super::gate::{Gate, Useless};
use super::ghost::Purpose;
use super::identities::Identities;
use super::login::Account;
use super::pace::LoginPace;
use super::packet::{self, Greeting};
use super::password::Password;
use super::questions::Questions;
use super::reach::Reach;
use super::roster::{Place, Roster};
use super::tap::Tap;
use super::tls::{Setup, TlsMode};
use super::told::Told;
use super::trouble::LastTrouble;
use super::whereabouts::Whereabouts;
use crate::config::address::Address;
use crate::config::secret::Secret;
use crate::domain::life::stage::Stage;
use crate::metrics::PathMetrics;

/// Opens the sessions of one path, one like the other.
#[derive(Debug)]
pub struct Connector {
    address: Address,
    account: Account,
    timeout: Duration,
    gate: Gate,
    reach: Reach,
    roster: Roster,
    questions: Questions,
    metrics: PathMetrics,
    timeouts: Mutex<WaitTimeouts>,
    password: Password,
    tls_setup: Setup,
    told: Told,
    /// Shared with all other paths of the process.
    pace: LoginPace,
    whereabouts: Mutex<Whereabouts>,
    trouble: LastTrouble,
}

/// What sessions of a path found at login, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WaitTimeouts {
    /// `@@session.wait_timeout`, before we change it.
    pub session: Option<f64>,
    /// `@@global.wait_timeout`.
    pub global: Option<f64>,
}

impl Connector {
    /// A connector to one address. `timeout` bounds a whole connect, all stages together.
    pub fn new(
        address: Address,
        account: Account,
        timeout: Duration,
        roster: Roster,
        metrics: PathMetrics,
        pace: LoginPace,
    ) -> Self {
        Self {
            address,
            password: Password::of(&account),
            tls_setup: Setup::default(),
            told: Told::default(),
            pace,
            account,
            timeout,
            gate: Gate::default(),
            reach: Reach::default(),
            questions: Questions::new(roster.clone()),
            roster,
            metrics,
            timeouts: Mutex::default(),
            whereabouts: Mutex::default(),
            trouble: LastTrouble::default(),
        }
    }

    /// The sessions opened here.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The servers that answered here, as far as new sessions asked them.
    pub fn identities(&self) -> &Identities {
        self.roster.identities()
    }

    /// The trouble that connecting has, as it changes.
    pub fn trouble(&self) -> &LastTrouble {
        &self.trouble
    }

    /// How often the host's name has come to lead elsewhere, as far as new sessions found: what a session shows that
    /// logged in before says nothing of where it leads now.
    pub fn moves(&self) -> u64 {
        self.whereabouts.lock().unwrap_or_else(PoisonError::into_inner).moves()
    }

    /// A session logged in at one of these addresses. Gives after how many moves it did; a move is told.
    fn arrived(&self, found: &[IpAddr]) -> u64 {
        let mut whereabouts = self.whereabouts.lock().unwrap_or_else(PoisonError::into_inner);
        let (moves, moved) = whereabouts.arrived(found, Instant::now());
        if let Some(moved) = moved {
            tracing::warn!(
                event = "address_changed",
                address = %self.address,
                from = moved.from,
                to = moved.to,
                "{} leads to another address now: what was measured at the one before is dropped, and the search \
                 starts afresh",
                self.address
            );
        }
        moves
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

    /// Logs in with this password from now on, and does not wait for it where another one was refused.
    pub fn set_password(&self, password: Option<Secret>) {
        self.password.set(password);
        self.gate.forgive();
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
        // Asked last: an attempt that is not made counts for nobody.
        self.pace.take().map_err(|rest| NoSession::HeldBack { rest, failed_at: None })?;
        let was_refused = self.gate.failed_at() == Some(Stage::Auth);
        if was_refused {
            self.password.read_anew().await;
        }
        let mut presented = None;
        let mut outcome = self.attempt(place, keepalive, &mut presented).await;
        if let Err(failure) = &outcome
            && self.has_another(failure, presented.as_ref()).await
        {
            self.failed_to_connect(failure);
            // What is mended needs no rest, whether or not there is a place for a second try at once.
            let place = self.roster.claim(purpose).ok_or(NO_PLACE)?;
            outcome = self.attempt(place, keepalive, &mut presented).await;
        }
        match outcome {
            Ok(session) => {
                ticket.succeeded();
                self.trouble.logged_in();
                self.metrics.connected(session.connect_duration.as_secs_f64());
                Ok(session)
            }
            Err(failure) => {
                ticket.failed(failure.rests_as());
                Err(NoSession::Failed(self.failed_to_connect(&failure)))
            }
        }
    }

    /// Whether a login was refused whose password is no longer the one to log in with: a reload or its file has
    /// brought another, maybe while the login was under way.
    async fn has_another(&self, failure: &Failure, presented: Option<&Secret>) -> bool {
        if failure.stage != Stage::Auth {
            return false;
        }
        if self.password.now().as_ref() == presented {
            self.password.read_anew().await;
        }
        self.password.now().as_ref() != presented
    }

    /// Counts and tells a connect that failed.
    fn failed_to_connect(&self, failure: &Failure) -> ConnectError {
        match failure.rests_as() {
            Stage::Dns | Stage::Tcp | Stage::Greeting if failure.code.is_none() => self.reach.failed(),
            // Nobody was asked.
            Stage::Local => {}
            _ => self.reach.refused(),
        }
        self.metrics.connect_failed(failure.stage);
        self.trouble.failed(failure.stage, failure.reason.clone(), failure.code);
        let error = ConnectError {
            address: self.address.clone(),
            stage: failure.stage,
            reason: failure.reason.clone(),
            code: failure.code,
        };
        tracing::warn!(
            event = "connect_failed",
            stage = error.stage.label(),
            error_code = error.code,
            user = self.account.username,
            "{error}"
        );
        error
    }

    /// Takes note that a session logged in and then did not answer the first questions: as good as a
    /// failed connect, and no reason to try again at once. Gives the stage it counts for.
    pub fn distrust(&self, session: &Session, error: Option<&mysql_async::Error>) -> Stage {
        let how = match error {
            None => Useless::Silent,
            Some(error) if error.is_fatal() => Useless::Broken,
            Some(_) => Useless::Refused,
        };
        self.gate.distrust(how, session.since);
        if how == Useless::Silent {
            self.reach.failed();
        }
        // The driver only sees that the connection ended.
        let (stage, reason) = match (session.tap.nonsense(), error) {
            (Some(nonsense), _) => {
                (Stage::Nonsense, format!("the server sent {nonsense}, as no MySQL server does"))
            }
            (None, Some(error)) => (Stage::Auth, error.to_string()),
            (None, None) => (Stage::Auth, "it does not answer".to_owned()),
        };
        self.metrics.connect_failed(stage);
        self.trouble.was_useless(stage, packet::shortened(&reason).to_owned());
        tracing::warn!(
            event = "connect_failed",
            stage = stage.label(),
            user = self.account.username,
            "logged in to {}, but the session is of no use: {reason}",
            self.address
        );
        stage
    }

    /// Whether the server was out of reach at a time or since, as the logins tell that were tried.
    pub fn was_out_of_reach_since(&self, at: Instant) -> bool {
        self.reach.was_out_since(at)
    }

    /// Takes note that a session answered its first questions.
    pub fn trust(&self) {
        self.gate.trust();
        self.trouble.is_over();
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
        if self.account.tls_mode.verifies()
            || self.account.tls_mode == TlsMode::Disabled
            || !self.told.first("risk")
        {
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

    /// One attempt. `presented` is what it logged in with, where it came so far.
    async fn attempt(
        &self,
        place: Place,
        keepalive: Option<Duration>,
        presented: &mut Option<Secret>,
    ) -> Result<Session, Failure> {
        let begun = Instant::now();
        let deadline = begun + self.timeout;
        let Dialled { socket, found, took } = dial(&self.address, deadline).await?;
        set_socket_options(&socket, keepalive, self.timeout)
            .map_err(|error| Failure::by_system(Stage::Tcp, "the socket cannot be set up", &error))?;
        match self.log_in(socket, deadline, presented).await {
            Ok((conn, tap, greeting)) => {
                let membership = place.join(u64::from(greeting.thread_id));
                let (connect_duration, questions) = (begun.elapsed(), self.questions.clone());
                let since = Instant::now();
                let moves = self.arrived(&found);
                self.reach.succeeded(took);
                Ok(Session {
                    conn,
                    tap,
                    greeting,
                    connect_duration,
                    membership,
                    questions,
                    skipped: false,
                    since,
                    moves,
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
        presented: &mut Option<Secret>,
    ) -> Result<(Conn, Tap, Greeting), Failure> {
        let (greeting, first) = read_greeting(&mut socket, deadline, self.timeout).await?;
        let tls = self.account.choose_tls(&greeting, &self.address.host, &self.tls_setup)?;
        let under_tls = tls.is_some();
        *presented = self.password.now();
        let password = presented.as_ref();
        let tap = Tap::open(socket, first, tls, self.account.watch(under_tls, password))
            .await
            .map_err(|error| Failure::by_system(Stage::Local, "no socket for the tap", &error))?;
        let conn = self.account.log_in(password, &tap, &greeting, deadline, self.timeout).await?;
        self.tell_risk(under_tls);
        Ok((conn, tap, greeting))
    }
}

#[cfg(test)]
mod tests;
