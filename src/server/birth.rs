//! What a session asks about itself at birth: its ids, its own `wait_timeout`, the server's uptime.

use mysql_async::Row;
use mysql_async::prelude::Queryable;

use super::global_variables::Identity;
use super::{optional, value};
use crate::session::Session;

/// A new session's own facts.
#[derive(Debug, Clone, PartialEq)]
pub struct Birth {
    /// The thread id as a proxy might answer it.
    pub connection_id: Option<u64>,
    /// The thread id that only the backend can answer.
    pub backend_id: Option<u64>,
    /// `@@session.wait_timeout`, in seconds.
    pub wait_timeout: Option<f64>,
    /// `@@global.wait_timeout`, in seconds.
    pub global_wait_timeout: Option<f64>,
    /// `Uptime`, in seconds.
    pub uptime: Option<f64>,
    /// Which server answers: `server_uuid` or `server_uid`, `hostname` and `port`.
    pub identity: Option<String>,
    /// `Com_kill`: how often anybody's session was killed. `None` where the server would not say.
    pub kills: Option<f64>,
}

/// What a session asks about itself, each by itself optional: a canary needs a login and a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// `CONNECTION_ID()`.
    ConnectionId,
    /// `CONNECTION_ID() + 0`.
    BackendId,
    /// `@@session.wait_timeout`.
    SessionWaitTimeout,
    /// `@@global.wait_timeout`.
    GlobalWaitTimeout,
    /// `Uptime`.
    Uptime,
    /// `server_uuid` or `server_uid`.
    Identity,
    /// That the session's `wait_timeout` may be lowered.
    Bound,
}

impl Fact {
    /// What log lines call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectionId => "CONNECTION_ID()",
            Self::BackendId => "CONNECTION_ID() + 0",
            Self::SessionWaitTimeout => "@@session.wait_timeout",
            Self::GlobalWaitTimeout => "@@global.wait_timeout",
            Self::Uptime => "SHOW GLOBAL STATUS LIKE 'Uptime'",
            Self::Identity => "SHOW GLOBAL VARIABLES",
            Self::Bound => "SET SESSION wait_timeout",
        }
    }
}

/// What was not answered, and the error that was said instead.
pub type Refusals = Vec<(Fact, mysql_async::Error)>;

/// Asks one question. A refused one leaves its fact out; an error that breaks the connection stays one.
async fn ask(
    session: &mut Session,
    fact: Fact,
    question: &str,
    refused: &mut Refusals,
) -> mysql_async::Result<Option<Row>> {
    let Some(asking) = session.begin(fact.name()) else { return Ok(None) };
    let answer = session.conn.query_first::<Row, _>(question).await;
    asking.ended(answer.as_ref().is_err_and(mysql_async::Error::is_fatal));
    match answer {
        Ok(row) => Ok(row),
        Err(error) if error.is_fatal() => Err(error),
        Err(error) => {
            refused.push((fact, error));
            Ok(None)
        }
    }
}

fn id(row: &Option<Row>, place: usize) -> Option<u64> {
    row.as_ref().and_then(|row| value::id(value::at(row, place)))
}

fn number(row: &Option<Row>, place: usize) -> Option<f64> {
    row.as_ref().and_then(|row| value::number(value::at(row, place)))
}

impl Birth {
    /// Asks. Needs no privilege, and where a question is refused all the same, its answer is left out.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn read(session: &mut Session, refused: &mut Refusals) -> mysql_async::Result<Self> {
        // ProxySQL answers the exact text `SELECT CONNECTION_ID()` itself; another spelling reaches the backend.
        let plain = ask(session, Fact::ConnectionId, "SELECT CONNECTION_ID()", refused).await?;
        let (backend_id, wait_timeout, global_wait_timeout) = Self::read_settings(session, refused).await?;
        let uptime = ask(session, Fact::Uptime, "SHOW GLOBAL STATUS LIKE 'Uptime'", refused).await?;
        let identity = Self::read_identity(session, refused).await?;
        let kills = kills(session).await?;
        Ok(Self {
            connection_id: id(&plain, 0),
            backend_id,
            wait_timeout,
            global_wait_timeout,
            uptime: number(&uptime, 1),
            identity,
            kills,
        })
    }

    async fn read_identity(
        session: &mut Session,
        refused: &mut Refusals,
    ) -> mysql_async::Result<Option<String>> {
        let question =
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'server_uid', 'hostname', 'port')";
        let Some(asking) = session.begin(Fact::Identity.name()) else { return Ok(None) };
        let answer = session.conn.query_fold(question, Identity::default(), |mut identity, row: Row| {
            if let Some((name, text)) = value::text(value::at(&row, 0)).zip(value::text(value::at(&row, 1))) {
                identity.take(&name, &text);
            }
            identity
        });
        let answer = answer.await;
        asking.ended(answer.as_ref().is_err_and(mysql_async::Error::is_fatal));
        match answer {
            Ok(identity) => Ok(identity.name()),
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                refused.push((Fact::Identity, error));
                Ok(None)
            }
        }
    }

    /// The backend's id and the session's and the server's `wait_timeout`: in one question, and where that is
    /// refused, one by one.
    async fn read_settings(
        session: &mut Session,
        refused: &mut Refusals,
    ) -> mysql_async::Result<(Option<u64>, Option<f64>, Option<f64>)> {
        let question = "SELECT CONNECTION_ID() + 0, @@session.wait_timeout, @@global.wait_timeout";
        let asking = session.begin("the settings of the session");
        let row = optional(asking, session.conn.query_first::<Row, _>(question)).await?.flatten();
        if row.is_some() {
            return Ok((id(&row, 0), number(&row, 1), number(&row, 2)));
        }
        let backend = ask(session, Fact::BackendId, BACKEND_ID, refused).await?;
        let own = ask(session, Fact::SessionWaitTimeout, "SELECT @@session.wait_timeout", refused).await?;
        let global = ask(session, Fact::GlobalWaitTimeout, "SELECT @@global.wait_timeout", refused).await?;
        Ok((id(&backend, 0), number(&own, 0), number(&global, 0)))
    }

    /// Whether the ids show a proxy that speaks MySQL: the greeting's 32 bits, the answered id and the
    /// backend's id must agree, as far as they are known.
    pub fn shows_proxy(&self, greeting_id: u32) -> bool {
        let ids = [self.connection_id, self.backend_id];
        let differ = self.connection_id.zip(self.backend_id).is_some_and(|(plain, backend)| plain != backend);
        differ || ids.into_iter().flatten().any(|id| id & u64::from(u32::MAX) != u64::from(greeting_id))
    }

    /// Lowers the session's own `wait_timeout`, so that the server ends it by itself should its client
    /// die unheard. Whether that was done: it may be refused.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn bound_wait_timeout(
        session: &mut Session,
        seconds: u64,
        refused: &mut Refusals,
    ) -> mysql_async::Result<bool> {
        let Some(asking) = session.begin(Fact::Bound.name()) else { return Ok(false) };
        let answer = session.conn.query_drop(format!("SET SESSION wait_timeout = {seconds}")).await;
        asking.ended(answer.as_ref().is_err_and(mysql_async::Error::is_fatal));
        match answer {
            Ok(()) => Ok(true),
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                refused.push((Fact::Bound, error));
                Ok(false)
            }
        }
    }
}

/// Asks for the thread id where only the backend can answer.
const BACKEND_ID: &str = "SELECT CONNECTION_ID() + 0";
/// `Com_kill`, which rises with each KILL and stays where a client or a proxy ends a session. Needs no
/// privilege.
///
/// # Errors
/// When the connection breaks; a refused query only leaves the answer out.
pub(super) async fn kills(session: &mut Session) -> mysql_async::Result<Option<f64>> {
    let question = "SHOW GLOBAL STATUS LIKE 'Com_kill'";
    let asking = session.begin(question);
    let row = optional(asking, session.conn.query_first::<Row, _>(question)).await?.flatten();
    Ok(row.and_then(|row| value::number(value::at(&row, 1))))
}

/// The thread id of this session as only the backend can answer it.
///
/// # Errors
/// When the connection breaks.
pub async fn backend_id(session: &mut Session) -> mysql_async::Result<Option<u64>> {
    let asking = session.begin(Fact::BackendId.name());
    let row = optional(asking, session.conn.query_first::<Row, _>(BACKEND_ID)).await?;
    Ok(id(&row.flatten(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_shows_by_its_ids() {
        let birth = |connection_id, backend_id| Birth {
            connection_id,
            backend_id,
            wait_timeout: None,
            global_wait_timeout: None,
            uptime: None,
            identity: None,
            kills: None,
        };
        for (connection_id, backend_id, proxied) in [
            (Some(7), Some(7), false),
            // The greeting has 32 bits.
            (Some(4_294_967_303), Some(4_294_967_303), false),
            (Some(7), Some(9), true),
            (Some(9), Some(9), true),
            (None, Some(7), false),
            (None, Some(9), true),
            (Some(9), None, true),
            (None, None, false),
        ] {
            let birth = birth(connection_id, backend_id);
            assert_eq!(birth.shows_proxy(7), proxied, "{connection_id:?} {backend_id:?}");
        }
    }
}
