//! Why a session could not be opened, by the stage it failed at.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

use super::packet;
use crate::config::address::Address;
use crate::domain::life::stage::Stage;

/// A connect attempt that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {address}: {reason}")]
pub struct ConnectError {
    /// Where to.
    pub address: Address,
    /// At which stage.
    pub stage: Stage,
    /// What happened, and what to do.
    pub reason: String,
    /// The server's error code, where it gave one.
    pub code: Option<u16>,
}

/// Why one attempt failed, before it knows its address.
#[derive(Debug)]
pub(super) struct Failure {
    /// At which stage.
    pub(super) stage: Stage,
    /// What happened, and what to do.
    pub(super) reason: String,
    /// The server's error code, where it gave one.
    pub(super) code: Option<u16>,
    /// Nobody refused anything: no answer came, or the connection broke.
    pub(super) unanswered: bool,
}

impl Failure {
    /// A failure that no server spoke of.
    pub(super) fn new(stage: Stage, reason: String) -> Self {
        Self { stage, reason, code: None, unanswered: false }
    }

    /// What the system refused while something was done towards the server, or at that `stage` where it is
    /// not this machine that has run out.
    pub(super) fn by_system(stage: Stage, what: &str, error: &io::Error) -> Self {
        match shortage(error) {
            Some(advice) => Self::new(Stage::Local, format!("{what}: {error}: {advice}")),
            None if error.kind() == io::ErrorKind::ConnectionRefused => Self::new(
                stage,
                format!(
                    "{what}: {error}: nothing listens at that address, or a firewall answers in its place"
                ),
            ),
            None => Self::new(stage, format!("{what}: {error}")),
        }
    }

    /// This failure, where no answer came.
    pub(super) fn unanswered(self) -> Self {
        Self { unanswered: true, ..self }
    }

    /// The stage that the next attempt's rest goes by: a login that nobody answered is a server that cannot be
    /// reached, not one that refuses.
    pub(super) fn rests_as(&self) -> Stage {
        if self.unanswered && self.stage == Stage::Auth { Stage::Greeting } else { self.stage }
    }

    /// A refusal by the server, in its words.
    pub(super) fn by_server(stage: Stage, code: u16, message: &str) -> Self {
        let stage = if LIMIT_CODES.contains(&code) { Stage::Limit } else { stage };
        Self {
            stage,
            reason: format!(
                "the server said {:?} ({code}){}",
                packet::shortened(message),
                advice(code, message)
            ),
            code: Some(code),
            unanswered: false,
        }
    }
}

/// What to do where the system says that this machine has run out of something; `None` where it says
/// anything else, which may be the server's or the way's.
pub(super) fn shortage(error: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(error)? {
        Errno::MFILE => Some(
            "the exporter may open no more files: raise the limit (LimitNOFILE= of its service, ulimit -n), or lower --canary.max-connections",
        ),
        Errno::NFILE => {
            Some("this machine has no open files left: raise fs.file-max, or find who holds them")
        }
        Errno::NOMEM | Errno::NOBUFS => Some("this machine has no memory left for a socket"),
        Errno::NOSPC => Some("this machine may watch no more sockets: raise fs.epoll.max_user_watches"),
        Errno::ADDRNOTAVAIL => Some(
            "this machine has no port or address left to connect from: widen net.ipv4.ip_local_port_range, or find who opens so many connections",
        ),
        _ => None,
    }
}

/// Why `connect` gave no session.
#[derive(Debug, thiserror::Error)]
pub enum NoSession {
    /// The attempt was made and failed.
    #[error(transparent)]
    Failed(#[from] ConnectError),
    /// No attempt was made: an earlier one failed a moment ago, another is under way, or there were many.
    #[error("not tried: the next attempt may be made in {:.1} s", .rest.as_secs_f64())]
    HeldBack {
        /// How long to wait before asking again.
        rest: Duration,
        /// Where the last attempt failed; `None` where none did.
        failed_at: Option<Stage>,
    },
}

/// Server error codes that mean "no room": `ER_CON_COUNT_ERROR`, `ER_HOST_IS_BLOCKED`,
/// `ER_TOO_MANY_USER_CONNECTIONS`, `ER_USER_LIMIT_REACHED`.
const LIMIT_CODES: [u16; 4] = [1040, 1129, 1203, 1226];

/// What a person should do about a refusal by the server.
fn advice(code: u16, message: &str) -> &'static str {
    match code {
        1040 => ": the server is full, raise max_connections or lower the applications' pools",
        1129 => {
            ": too many broken logins from this host, run FLUSH HOSTS on the server (MySQL 8.0.23 and later: TRUNCATE TABLE performance_schema.host_cache)"
        }
        1203 | 1226 => {
            ": raise the account's MAX_USER_CONNECTIONS to --canary.max-connections or more, or lower that flag"
        }
        1045 if message.contains("using password: NO") => {
            ": no password was given, set MYSQL_CANARY_PASSWORD, --mysql.password-file or --mysql.defaults-file (in a configuration file password_file, password_env or defaults_file)"
        }
        1045 | 1698 => ": check --mysql.username and the password",
        3159 => ": the account or the server demands TLS, set --mysql.tls-mode=required",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_lacks_is_not_blamed_on_the_server() {
        for (code, stage) in [
            (24, Stage::Local),
            (23, Stage::Local),
            (12, Stage::Local),
            (105, Stage::Local),
            (28, Stage::Local),
            (99, Stage::Local),
            (111, Stage::Tcp),
            (101, Stage::Tcp),
            (113, Stage::Tcp),
            (110, Stage::Tcp),
            (104, Stage::Tcp),
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(Failure::by_system(Stage::Tcp, "TCP connect failed", &error).stage, stage, "{error}");
        }
        let told = Failure::by_system(Stage::Tcp, "TCP connect failed", &io::Error::from_raw_os_error(24));
        assert!(told.reason.contains("raise the limit (LimitNOFILE= of its service"), "{}", told.reason);
        let other = io::Error::other("no code at all");
        assert_eq!(Failure::by_system(Stage::Dns, "no look-up", &other).stage, Stage::Dns);
    }
}
