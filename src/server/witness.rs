//! What a fresh session says just after deaths: uptime, identity, and which of the dead the server
//! still lists.

use std::collections::BTreeSet;

use mysql_async::prelude::Queryable;

use super::processlist::Source;
use super::{Flavor, GlobalVariables, birth, introduction, unless_fatal, value};
use crate::session::Session;

/// How long a witness's session may be silent before the server ends it: a witness speaks without a pause.
const SILENCE_SECONDS: u64 = 30;

/// What a fresh session said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statement {
    /// `Uptime`, in seconds.
    pub uptime: Option<f64>,
    /// `server_uuid` or `server_uid`.
    pub identity: Option<String>,
    /// `Com_kill`: how often anybody's session was killed.
    pub kills: Option<f64>,
    /// The dead that the server still lists. `None` where it would not say.
    pub listed: Option<BTreeSet<u64>>,
    /// This session's own thread id.
    pub thread_id: Option<u64>,
}

/// Asks on a fresh session.
///
/// # Errors
/// When the connection breaks; a refused query only leaves its answer out.
pub async fn state(session: &mut Session, dead: &BTreeSet<u64>) -> mysql_async::Result<Statement> {
    let flavor = Flavor::of_version(&session.greeting.version);
    // First, for its moment is what counts.
    let uptime: Option<Option<mysql_async::Row>> =
        unless_fatal(session.conn.query_first("SHOW GLOBAL STATUS LIKE 'Uptime'").await)?;
    let thread_id = unless_fatal(birth::backend_id(&mut session.conn).await)?.flatten();
    if let Some(id) = thread_id {
        session.learn_backend_id(id);
    }
    introduction::bound_silence(session, SILENCE_SECONDS).await?;
    let conn = &mut session.conn;
    let kills = birth::kills(conn).await?;
    let variables = unless_fatal(GlobalVariables::read(conn).await)?;
    let source = Source::find(conn, flavor).await?;
    let listed = unless_fatal(source.listed(conn, dead).await)?;
    Ok(Statement {
        uptime: uptime.flatten().as_ref().and_then(|row| value::number(value::at(row, 1))),
        identity: variables.and_then(|variables| variables.identity),
        kills,
        listed,
        thread_id,
    })
}
