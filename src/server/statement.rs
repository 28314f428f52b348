//! The statement a busy canary sits in, and the one that ends a ghost.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::{Flavor, optional};
use crate::session::Session;

/// Sleeps on the server for so many seconds: the path is silent, and the session is not idle.
pub fn sleep(seconds: f64) -> String {
    format!("DO SLEEP({seconds:.3})")
}

/// Ends a session of our own account. Needs no privilege.
///
/// # Errors
/// What the driver says, among it that the session is gone already.
pub async fn end_session(conn: &mut Conn, thread_id: u64) -> mysql_async::Result<()> {
    conn.query_drop(format!("KILL {thread_id}")).await
}

/// Has the server itself end each statement of this session that runs for longer, so that none is left behind
/// on it. A server that knows no such limit goes without: MySQL minds it for SELECT, MariaDB for all.
///
/// # Errors
/// When the connection breaks.
pub async fn bound_statements(
    session: &mut Session,
    flavor: Flavor,
    longest: std::time::Duration,
) -> mysql_async::Result<()> {
    let limit = match flavor {
        Flavor::Mariadb => format!("SET SESSION max_statement_time = {:.3}", longest.as_secs_f64()),
        Flavor::Mysql => format!("SET SESSION max_execution_time = {}", longest.as_millis()),
    };
    let asking = session.begin("the longest time of a statement");
    optional(asking, session.conn.query_drop(limit)).await.map(|_| ())
}
