//! What the account may see: whether the processlist shows everyone's sessions or only its own.
//!
//! The account's own grants decide. Who may read the privilege tables reads everybody's rows there, and names
//! may differ in case alone: so only the row of this very account counts, letter by letter. SUPER is not
//! PROCESS. What a role gives is told by `SHOW GRANTS` alone, on MySQL and on MariaDB.

use std::collections::BTreeSet;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::{unless_fatal, value};
use crate::domain::conduct::sight::grants_process;

/// What the server says of the account that this session runs as.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Privileges {
    /// Whether it holds PROCESS, by itself or through an active role. `None` where the server would not say.
    pub holds_process: Option<bool>,
    /// The names it goes by: without PROCESS a server lists the sessions of these to it. `None` where the
    /// server would not say, or was not asked because it holds PROCESS.
    pub names: Option<BTreeSet<String>>,
}

/// `GRANTEE` as both servers write it, with nothing escaped. The account is not the login's name where that
/// matched an anonymous or a proxy user.
const OWN_PROCESS: &str = "SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES \
    WHERE PRIVILEGE_TYPE = 'PROCESS' AND HEX(GRANTEE) = HEX(CONCAT('''', \
    LEFT(CURRENT_USER(), CHAR_LENGTH(CURRENT_USER()) - CHAR_LENGTH(SUBSTRING_INDEX(CURRENT_USER(), '@', -1)) - 1), \
    '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), ''''))";

/// Asks. Needs no privilege; what the server refuses to say is left out.
///
/// # Errors
/// When the connection breaks.
pub async fn read(conn: &mut Conn) -> mysql_async::Result<Privileges> {
    let granted = unless_fatal(conn.query_first::<mysql_async::Row, _>(OWN_PROCESS).await)?;
    // Never as a number at once: the driver panics on one that is none.
    let granted = granted.flatten().and_then(|row| value::id(value::at(&row, 0)));
    if granted.is_some_and(|count| count > 0) {
        return Ok(Privileges { holds_process: Some(true), names: None });
    }
    // Only where it decides: on MariaDB it tells the hash of the password too.
    let grants = conn.query_fold("SHOW GRANTS", None, |known, row: mysql_async::Row| {
        let line = value::text(value::at(&row, 0));
        let told = grants_process(line.as_deref());
        if known == Some(true) { known } else { told.or(known) }
    });
    let holds_process = unless_fatal(grants.await)?.flatten();
    let user = unless_fatal(conn.query_first::<mysql_async::Row, _>("SELECT USER(), CURRENT_USER()").await)?;
    let names = user.flatten().and_then(|row| {
        let name = |place| Some(value::text(value::at(&row, place))?.rsplit_once('@')?.0.to_owned());
        Some(BTreeSet::from([name(0)?, name(1)?]))
    });
    Ok(Privileges { holds_process, names })
}
