//! What a session reads about itself, so that it can be told from everybody else's should its client die: its
//! own row of the processlist, and on which run of which server it is. Needs no privilege.

use mysql_async::prelude::Queryable;
use tokio::time::Instant;

use super::{Flavor, optional, unless_fatal, value};
use crate::domain::conduct::proof::{OwnRow, ServerMark};
use crate::session::{Roster, Session};

/// Lets a session read about itself, and tells the roster. `uptime` is the server's in seconds, as this very
/// session was told it, and when that was asked and answered. What the server refuses stays unknown.
///
/// # Errors
/// When the connection breaks.
pub async fn introduce(
    session: &mut Session,
    roster: &Roster,
    uptime: Option<(f64, Instant, Instant)>,
) -> mysql_async::Result<()> {
    let uptime = uptime.map(|(uptime, asked_at, answered_at)| {
        (uptime, roster.seconds(asked_at), answered_at.saturating_duration_since(asked_at).as_secs_f64())
    });
    let flavor = Flavor::of(session);
    // One question, whichever table answers it: where one hangs, the other is not worth a session.
    let Some(asking) = session.begin("the session's own row of the processlist") else { return Ok(()) };
    let answer = read_own_row(session, &queries(flavor), uptime).await;
    asking.ended(answer.is_err());
    answer
}

async fn read_own_row(
    session: &mut Session,
    queries: &[String],
    uptime: Option<(f64, f64, f64)>,
) -> mysql_async::Result<()> {
    for query in queries {
        let answer = session.conn.query_first::<mysql_async::Row, _>(query).await;
        let Some(Some(row)) = unless_fatal(answer)? else {
            continue;
        };
        if value::id(value::at(&row, 0)) != Some(session.thread_id()) {
            // The greeting has 32 bits of an id; or somebody else answers.
            continue;
        }
        let text = |place| value::text(value::at(&row, place));
        let own = text(1).zip(text(2)).map(|(user, host)| OwnRow { user, host });
        let port = value::id(value::at(&row, 5));
        let server = text(3).zip(text(4)).zip(port).zip(uptime).map(
            |(((identity, hostname), port), (uptime, read_at, took))| ServerMark {
                identity,
                hostname,
                port,
                started: read_at - uptime,
                read_at,
                took,
            },
        );
        session.introduce(own, server);
        return Ok(());
    }
    Ok(())
}

/// Lets the server end the session after so many seconds of silence, should that be sooner than it would
/// anyway: its ghost then dies by itself. What the server refuses is left as it is.
///
/// # Errors
/// When the connection breaks.
pub async fn bound_silence(session: &mut Session, seconds: u64) -> mysql_async::Result<()> {
    let words = format!("SET SESSION wait_timeout = LEAST(@@session.wait_timeout, {seconds})");
    let asking = session.begin("SET SESSION wait_timeout");
    if optional(asking, session.conn.query_drop(words)).await?.is_some() {
        session.ends_by_itself_after(seconds as f64);
    }
    Ok(())
}

/// The questions to try, the cheaper first: `information_schema` takes a global mutex.
fn queries(flavor: Flavor) -> Vec<String> {
    let (identity, tables) = match flavor {
        Flavor::Mariadb => ("server_uid", &["information_schema.PROCESSLIST"][..]),
        Flavor::Mysql => {
            ("server_uuid", &["performance_schema.processlist", "information_schema.PROCESSLIST"][..])
        }
    };
    let query = |table: &&str| {
        format!(
            "SELECT CONNECTION_ID() + 0, USER, HOST, @@global.{identity}, @@global.hostname, @@global.port \
             FROM {table} WHERE ID = CONNECTION_ID() + 0"
        )
    };
    tables.iter().map(query).collect()
}
