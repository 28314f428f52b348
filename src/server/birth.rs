//! What a session asks about itself at birth: its ids, its own `wait_timeout`, the server's uptime.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::{unless_fatal, value};

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
    /// `server_uuid` or `server_uid`.
    pub identity: Option<String>,
    /// `Com_kill`: how often anybody's session was killed. `None` where the server would not say.
    pub kills: Option<f64>,
}

impl Birth {
    /// Asks. Needs no privilege.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn read(conn: &mut Conn) -> mysql_async::Result<Self> {
        // ProxySQL answers the exact text `SELECT CONNECTION_ID()` itself; another spelling reaches the backend.
        let plain: Option<mysql_async::Row> = conn.query_first("SELECT CONNECTION_ID()").await?;
        let rest: Option<mysql_async::Row> = conn
            .query_first("SELECT CONNECTION_ID() + 0, @@session.wait_timeout, @@global.wait_timeout")
            .await?;
        let uptime: Option<mysql_async::Row> = conn.query_first("SHOW GLOBAL STATUS LIKE 'Uptime'").await?;
        let identity: Option<mysql_async::Row> = conn
            .query_first("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'server_uid')")
            .await?;
        let kills = kills(conn).await?;
        let id = |row: &Option<mysql_async::Row>| row.as_ref().and_then(|row| value::id(value::at(row, 0)));
        let number = |row: &Option<mysql_async::Row>, place| {
            row.as_ref().and_then(|row| value::number(value::at(row, place)))
        };
        Ok(Self {
            connection_id: id(&plain),
            backend_id: id(&rest),
            wait_timeout: number(&rest, 1),
            global_wait_timeout: number(&rest, 2),
            uptime: number(&uptime, 1),
            identity: identity.as_ref().and_then(|row| value::text(value::at(row, 1))),
            kills,
        })
    }

    /// Whether the ids show a proxy that speaks MySQL: the greeting's 32 bits, the answered id and the
    /// backend's id must agree.
    pub fn shows_proxy(&self, greeting_id: u32) -> bool {
        let (Some(connection_id), Some(backend_id)) = (self.connection_id, self.backend_id) else {
            return false;
        };
        connection_id != backend_id || backend_id & u64::from(u32::MAX) != u64::from(greeting_id)
    }

    /// Lowers the session's own `wait_timeout`, so that the server ends it by itself should its client
    /// die unheard.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn bound_wait_timeout(conn: &mut Conn, seconds: u64) -> mysql_async::Result<()> {
        conn.query_drop(format!("SET SESSION wait_timeout = {seconds}")).await
    }
}

/// `Com_kill`, which rises with each KILL and stays where a client or a proxy ends a session. Needs no
/// privilege.
///
/// # Errors
/// When the connection breaks; a refused query only leaves the answer out.
pub(super) async fn kills(conn: &mut Conn) -> mysql_async::Result<Option<f64>> {
    let row: Option<Option<mysql_async::Row>> =
        unless_fatal(conn.query_first("SHOW GLOBAL STATUS LIKE 'Com_kill'").await)?;
    Ok(row.flatten().and_then(|row| value::number(value::at(&row, 1))))
}

/// The thread id of this session as only the backend can answer it.
///
/// # Errors
/// What the driver says.
pub async fn backend_id(conn: &mut Conn) -> mysql_async::Result<Option<u64>> {
    let row: Option<mysql_async::Row> = conn.query_first("SELECT CONNECTION_ID() + 0").await?;
    Ok(row.and_then(|row| value::id(value::at(&row, 0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_shows_by_its_ids() {
        let birth = |connection_id, backend_id| Birth {
            connection_id: Some(connection_id),
            backend_id: Some(backend_id),
            wait_timeout: None,
            global_wait_timeout: None,
            uptime: None,
            identity: None,
            kills: None,
        };
        assert!(!birth(7, 7).shows_proxy(7));
        assert!(!birth(4_294_967_303, 4_294_967_303).shows_proxy(7), "the greeting has 32 bits");
        assert!(birth(7, 9).shows_proxy(7));
        assert!(birth(9, 9).shows_proxy(7));
    }
}
