//! Ghosts: sessions of ours that the server lists although their client is dead. One is killed where it is
//! proved to be ours, once; where anything is missing, it is left to its own `wait_timeout`.

use std::collections::BTreeMap;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use tokio::time::{Instant, timeout};

use super::processlist::Source;
use super::{birth, introduction, statement, unless_fatal, value};
use crate::domain::conduct::proof::{Executioner, Gap, GhostKill, ListedRow, Proof, prove};
use crate::session::ghost::Ghost;
use crate::session::{Connector, Session};

/// How long one question and the KILL after it may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Lets the ghost of the server view's session die soon, should it become one: the session is silent for no
/// longer than `every`.
///
/// # Errors
/// When the connection breaks.
pub(super) async fn bound_silence(session: &mut Session, every: Duration) -> mysql_async::Result<()> {
    /// A round may be late by its deadlines.
    const LATE: Duration = Duration::from_secs(30);
    introduction::bound_silence(session, (every + LATE).as_secs()).await
}

/// Lets the server view's session read who it is, which every KILL is measured by. `uptime` is what it was told in
/// this round, in seconds, and when that was asked and answered.
///
/// # Errors
/// When the connection breaks.
pub(super) async fn introduce(
    session: &mut Session,
    connector: &Connector,
    uptime: Option<(f64, Instant, Instant)>,
) -> mysql_async::Result<()> {
    if let Some(id) = birth::backend_id(session).await? {
        session.learn_backend_id(id);
    }
    introduction::introduce(session, connector.roster(), uptime).await
}

/// Ends those of these ghosts that are proved to be ours. `None` when the connection is dead or stuck.
pub(super) async fn end(
    session: &mut Session,
    source: Source,
    connector: &Connector,
    ghosts: &BTreeMap<u64, Ghost>,
) -> Option<()> {
    for (&number, ghost) in ghosts.iter().filter(|(_, ghost)| ghost.judged.is_none()) {
        match timeout(DEADLINE, judge(session, source, connector, number, ghost)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => {
                // It may have been the KILL that was not answered.
                settle(connector, number, ghost, GhostKill::Refused, "the server did not answer");
                return None;
            }
        }
    }
    Some(())
}

/// Reads the ghost's row, proves it, and kills it.
async fn judge(
    session: &mut Session,
    source: Source,
    connector: &Connector,
    number: u64,
    ghost: &Ghost,
) -> mysql_async::Result<()> {
    let roster = connector.roster();
    // Gone, or settled, since it was asked for.
    if roster.claim_of(number).is_none() {
        return Ok(());
    }
    let read = unless_fatal(listed(session, source, ghost.thread_id).await)?;
    let Some(claim) = roster.claim_of(number) else { return Ok(()) };
    let executioner = Executioner {
        id_certain: session.is_certain()
            && read.as_ref().is_none_or(|(_, asked_by)| *asked_by == Some(session.thread_id())),
        server: session.server().cloned(),
        path_balanced: connector.identities().are_balanced(Instant::now()),
    };
    let (proof, is_listed) = match &read {
        None => (Proof::Missing(Gap::OwnRow), false),
        Some((row, _)) => {
            (prove(&claim, &executioner, row.as_ref().unwrap_or(&ListedRow::default())), row.is_some())
        }
    };
    match proof {
        // Its server cannot be asked.
        Proof::Missing(gap @ (Gap::OtherServer | Gap::Balanced)) => {
            settle(connector, number, ghost, GhostKill::Unproven, gap.words());
        }
        // It has ended by itself, or is in a statement: the next round tells.
        _ if !is_listed => {}
        Proof::Busy => {}
        _ if !roster.may_kill() => {
            settle(connector, number, ghost, GhostKill::Forbidden, "--canary.kill-ghosts=false forbids it");
        }
        Proof::Missing(gap) => settle(connector, number, ghost, GhostKill::Unproven, gap.words()),
        Proof::Complete => match statement::end_session(&mut session.conn, ghost.thread_id).await {
            Ok(()) => settle(connector, number, ghost, GhostKill::Killed, ""),
            Err(mysql_async::Error::Server(error)) => {
                let why = format!("the server refused it with error {}", error.code);
                settle(connector, number, ghost, GhostKill::Refused, &why);
            }
            Err(error) => {
                settle(connector, number, ghost, GhostKill::Refused, "the connection broke");
                return Err(error);
            }
        },
    }
    Ok(())
}

/// The row that goes by this id, if there is one, and the id of the session that asked.
async fn listed(
    session: &mut Session,
    source: Source,
    thread_id: u64,
) -> mysql_async::Result<(Option<ListedRow>, Option<u64>)> {
    let (table, time) = source.table_and_time();
    // Both rows at once: a proxy may send the next query over another session.
    let query = format!(
        "SELECT ID, USER, HOST, COMMAND, {time}, CONNECTION_ID() + 0 FROM {table} \
         WHERE ID = {thread_id} OR ID = CONNECTION_ID() + 0"
    );
    let rows: Vec<mysql_async::Row> = session.conn.query(query).await?;
    let asked_by = rows.first().and_then(|row| value::id(value::at(row, 5)));
    let text = |row: &mysql_async::Row, place| value::text(value::at(row, place));
    let mut found = rows.iter().filter(|row| value::id(value::at(row, 0)) == Some(thread_id));
    let row = found.next().map(|row| ListedRow {
        user: text(row, 1),
        host: text(row, 2),
        command: text(row, 3),
        time: value::number(value::at(row, 4)),
    });
    Ok((row, asked_by))
}

/// Counts what became of a ghost, and tells it, once.
fn settle(connector: &Connector, number: u64, ghost: &Ghost, outcome: GhostKill, why: &str) {
    connector.roster().judge(number, outcome);
    let (thread_id, of) = (ghost.thread_id, ghost.purpose.words());
    let label = outcome.label();
    match outcome {
        GhostKill::Killed => tracing::info!(
            event = "ghost_ended",
            thread_id,
            outcome = label,
            "the server still listed a session of {of} whose client is dead: it was killed"
        ),
        GhostKill::Refused => tracing::warn!(
            event = "ghost_left",
            thread_id,
            outcome = label,
            "a session of {of} whose client is dead was not killed: {why}; its own wait_timeout ends it, and until \
             then it counts against --canary.max-connections"
        ),
        GhostKill::Unproven => tracing::info!(
            event = "ghost_left",
            thread_id,
            outcome = label,
            "a session of {of} whose client is dead is not killed, for it is not certain that it is ours: {why}; its \
             own wait_timeout ends it, and until then it counts against --canary.max-connections"
        ),
        GhostKill::Forbidden => tracing::info!(
            event = "ghost_left",
            thread_id,
            outcome = label,
            "a session of {of} whose client is dead is not killed: {why}; its own wait_timeout ends it, and until then \
             it counts against --canary.max-connections"
        ),
    }
}
