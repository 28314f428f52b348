//! What a fresh session says just after deaths: uptime, identity, and which of the dead the server
//! still lists.

use std::collections::BTreeSet;

use mysql_async::prelude::Queryable;

use super::processlist::Source;
use super::{Flavor, GlobalVariables, birth, introduction, optional, value};
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
    let flavor = Flavor::of(session);
    // First, for its moment is what counts.
    let asking = session.begin(birth::Fact::Uptime.name());
    let answer = session.conn.query_first("SHOW GLOBAL STATUS LIKE 'Uptime'");
    let uptime: Option<Option<mysql_async::Row>> = optional(asking, answer).await?;
    let thread_id = birth::backend_id(session).await?;
    if let Some(id) = thread_id {
        session.learn_backend_id(id);
    }
    introduction::bound_silence(session, SILENCE_SECONDS).await?;
    let kills = birth::kills(session).await?;
    let asking = session.begin("the settings of the server");
    let variables = optional(asking, GlobalVariables::read(&mut session.conn)).await?;
    let asking = session.begin("which of the dead are listed");
    let listed = optional(asking, async {
        let source = Source::find(&mut session.conn, flavor).await?;
        source.listed(&mut session.conn, dead).await
    });
    let listed = listed.await?;
    if session.has_skipped() {
        session.conn.ping().await?;
    }
    Ok(Statement {
        uptime: uptime.flatten().as_ref().and_then(|row| value::number(value::at(row, 1))),
        identity: variables.and_then(|variables| variables.identity),
        kills,
        listed,
        thread_id,
    })
}
