//! What the account may see: whether the processlist shows everyone's sessions or only its own.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

/// Whether the account holds PROCESS, directly or through an active role, as far as the server says.
///
/// # Errors
/// What the driver says.
pub async fn holds_process(conn: &mut Conn) -> mysql_async::Result<bool> {
    let granted: Option<u64> = conn
        .query_first("SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN ('PROCESS', 'SUPER')")
        .await?;
    Ok(granted.is_some_and(|count| count > 0))
}
