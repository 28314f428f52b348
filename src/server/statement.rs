//! The statement a busy canary sits in, and the one that ends a ghost.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

/// Sleeps on the server for so many seconds: the path is silent, and the session is not idle.
///
/// # Errors
/// What the driver says, among it the server's own end of the statement.
pub async fn sleep(conn: &mut Conn, seconds: f64) -> mysql_async::Result<()> {
    conn.query_drop(format!("DO SLEEP({seconds:.3})")).await
}

/// Ends a session of our own account. Needs no privilege.
///
/// # Errors
/// What the driver says, among it that the session is gone already.
pub async fn end_session(conn: &mut Conn, thread_id: u64) -> mysql_async::Result<()> {
    conn.query_drop(format!("KILL {thread_id}")).await
}
