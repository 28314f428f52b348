//! What the account may see: whether the processlist shows everyone's sessions or only its own.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::value;

/// Whether the account holds PROCESS, directly or through an active role, as far as the server says.
///
/// # Errors
/// What the driver says.
pub async fn holds_process(conn: &mut Conn) -> mysql_async::Result<bool> {
    let granted: Option<mysql_async::Row> = conn
        .query_first("SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN ('PROCESS', 'SUPER')")
        .await?;
    // Never as a number at once: the driver panics on one that is none.
    Ok(granted.and_then(|row| value::id(value::at(&row, 0))).is_some_and(|count| count > 0))
}
