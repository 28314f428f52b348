//! Ghosts: sessions of ours that the server lists although their client is dead, and their end.

use std::collections::BTreeMap;
use std::time::Duration;

use mysql_async::Conn;
use tokio::time::timeout;

use super::processlist::RawRow;
use super::statement;
use crate::session::roster::Ghost;

/// How long one KILL may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Ends these sessions. `None` when the connection is dead or stuck.
pub(super) async fn end(conn: &mut Conn, to_end: Vec<u64>) -> Option<()> {
    for thread_id in to_end {
        // Counted first, so that a ghost is seen for one round.
        match timeout(DEADLINE, statement::end_session(conn, thread_id)).await {
            Err(_) => return None,
            Ok(Err(error)) if error.is_fatal() => return None,
            Ok(_) => {}
        }
        tracing::info!(
            event = "ghost_ended",
            thread_id,
            "the server still listed a canary that is dead: its session was ended"
        );
    }
    Some(())
}

/// The ghosts whose identity is certain: the id is listed for our own user, sleeping, and for about as
/// long as its client has been dead at least.
pub(super) fn certain_ghosts(rows: &[RawRow], ghosts: &BTreeMap<u64, Ghost>, user: &str) -> Vec<u64> {
    /// The server counts whole seconds, and heard from the client before it died.
    const SLACK_SECONDS: f64 = 2.0;
    rows.iter()
        .filter_map(|row| {
            let ghost = ghosts.get(&row.id?)?;
            let asleep =
                row.time.is_some_and(|time| time + SLACK_SECONDS >= ghost.since.elapsed().as_secs_f64());
            let sure = ghost.certain
                && asleep
                && row.user.as_deref() == Some(user)
                && row.command.as_deref() == Some("Sleep");
            row.id.filter(|_| sure)
        })
        .collect()
}
