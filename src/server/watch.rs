//! The loop that keeps the server view: one connection, one round an interval, a deadline for each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::processlist::{RawRow, Source};
use super::uptime::Uptime;
use super::{
    Collector, CollectorRun, Flavor, GlobalStatus, GlobalVariables, ProcessList, ServerView, innodb_trx,
    privileges, statement, unless_fatal,
};
use crate::calendar::unix_now;
use crate::session::roster::Ghost;
use crate::session::{Connector, NoSession, Session};
use crate::stop::Stop;

/// How long one source may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How soon a lost server is tried again, at most; the connector's gate spaces the attempts.
const RETRY: Duration = Duration::from_secs(1);
/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_millis(500);
/// After how many rounds an account without PROCESS is asked again whether it has got it.
const ROUNDS_WITHOUT_PROCESS: u32 = 20;

/// What is known of the server now.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Whether the newest round reached the server.
    pub up: bool,
    /// The newest view; none before the first round, or after the server was lost.
    pub view: Option<Arc<ServerView>>,
}

struct Control {
    session: Session,
    opened_at: Instant,
    source: Source,
    /// Whether the account held PROCESS at the login: a grant or its end reaches new sessions only.
    /// `None` where the server would not say.
    holds_process: Option<bool>,
    /// Whether the processlist is known to show everyone's sessions.
    sees_all: bool,
    /// Who the server is, once it has said so.
    identity: Option<String>,
    rounds: u32,
}

/// What outlives a lost connection.
#[derive(Debug, Default)]
struct Memory {
    told_about_process: bool,
    /// Whether the server once took too long to list its open transactions.
    transactions_are_slow: bool,
    /// The newest `Uptime`: it falls back when the server was restarted.
    last_uptime: Option<Uptime>,
    /// The newest identity: it changes when another server answers.
    last_identity: Option<String>,
}

/// Keeps reading until told to stop, then ends its session with COM_QUIT.
pub async fn watch(
    connector: Arc<Connector>,
    every: Duration,
    publish: watch::Sender<Reading>,
    mut stop: Stop,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut control: Option<Control> = None;
    let mut memory = Memory::default();
    loop {
        tokio::select! {
            () = stop.told() => break,
            _ = ticks.tick() => {}
        }
        let round = make_round(control.take(), &connector, &mut memory);
        tokio::pin!(round);
        let outcome = tokio::select! {
            outcome = &mut round => outcome,
            // Told to stop in the middle of a round: let it end, so that its session can say COM_QUIT.
            () = stop.told() => timeout(FAREWELL, round).await.unwrap_or(None),
        };
        match outcome {
            Some((live, view)) => {
                publish.send_replace(Reading { up: true, view: Some(Arc::new(view)) });
                control = Some(live);
            }
            None => {
                publish.send_replace(Reading::default());
                ticks.reset_after(every.min(RETRY));
            }
        }
    }
    if let Some(Control { session, .. }) = control {
        session.quit(FAREWELL).await;
    }
}

/// One round over the sources. `None` when the server cannot be reached or its session is dead or
/// stuck; the next round then opens a fresh one.
async fn make_round(
    control: Option<Control>,
    connector: &Connector,
    memory: &mut Memory,
) -> Option<(Control, ServerView)> {
    let kept = match control {
        Some(control) => stay(control, connector).await,
        None => None,
    };
    let mut control = match kept {
        Some(control) => control,
        None => open(connector).await?,
    };
    let view = read_all(&mut control, connector, memory).await?;
    Some((control, view))
}

/// Keeps the session, or ends it where a new one will see what this one cannot: the server that answers
/// since a failover, or everyone's sessions since a grant.
async fn stay(mut control: Control, connector: &Connector) -> Option<Control> {
    let left = |identity: &String| connector.identities().have_left(identity, Instant::now());
    if control.identity.as_ref().is_some_and(left) {
        tracing::info!(
            event = "server_view_moved",
            "another server answers new sessions: the server view logs in again, to read that one"
        );
    } else if control.was_granted_process().await {
        tracing::info!(
            event = "privilege_granted",
            user = connector.username(),
            "the account was given PROCESS: the server view logs in again, to see the applications' sessions"
        );
    } else {
        return Some(control);
    }
    control.session.quit(FAREWELL).await;
    None
}

impl Control {
    /// Counts the round, and asks now and then whether the account has got PROCESS where it had not.
    async fn was_granted_process(&mut self) -> bool {
        self.rounds = self.rounds.wrapping_add(1);
        let due = self.holds_process != Some(true) && self.rounds.is_multiple_of(ROUNDS_WITHOUT_PROCESS);
        // A connection that broke is found out by the round.
        due && matches!(
            timeout(DEADLINE, privileges::holds_process(&mut self.session.conn)).await,
            Ok(Ok(true))
        )
    }
}

async fn open(connector: &Connector) -> Option<Control> {
    // The connector tells and counts what goes wrong.
    let mut session = match connector.connect(None).await {
        Ok(session) => session,
        Err(NoSession::Failed(_) | NoSession::HeldBack { .. }) => return None,
    };
    let opened_at = Instant::now();
    let flavor = Flavor::of_version(&session.greeting.version);
    let find = async {
        let source = Source::find(&mut session.conn, flavor).await?;
        let holds_process = unless_fatal(privileges::holds_process(&mut session.conn).await)?;
        Ok::<_, mysql_async::Error>((source, holds_process))
    };
    let (source, holds_process) = match timeout(DEADLINE, find).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            connector.distrust(Some(&error));
            return None;
        }
        Err(_) => {
            connector.distrust(None);
            return None;
        }
    };
    let sees_all = holds_process == Some(true);
    Some(Control { session, opened_at, source, holds_process, sees_all, identity: None, rounds: 0 })
}

/// Takes note of which server answers and for how long it has run. Where it is not the one of before, our
/// dead are none of its sessions, and it has not counted them.
fn recognise(
    control: &mut Control,
    variables: Option<&GlobalVariables>,
    uptime: Option<Uptime>,
    connector: &Connector,
    memory: &mut Memory,
) {
    let identity = variables.and_then(|variables| variables.identity.clone());
    if control.identity.is_none() {
        connector.identities().answered(identity.as_deref(), control.opened_at);
    }
    let replaced =
        memory.last_identity.as_ref().zip(identity.as_ref()).is_some_and(|(last, now)| last != now);
    let restarted = memory.last_uptime.zip(uptime).is_some_and(|(last, now)| now.shows_restart_since(last));
    if replaced || restarted {
        connector.roster().forget_ghosts();
    }
    memory.last_uptime = uptime.or(memory.last_uptime);
    memory.last_identity = identity.clone().or(memory.last_identity.take());
    control.identity = identity.or(control.identity.take());
}

/// Says once that the account does not see the applications.
fn tell_about_process(control: &Control, connector: &Connector, memory: &mut Memory) {
    if control.sees_all || control.holds_process != Some(false) || memory.told_about_process {
        return;
    }
    memory.told_about_process = true;
    tracing::warn!(
        event = "privilege_missing",
        user = connector.username(),
        "without the privilege PROCESS the processlist shows only this account's own sessions: the metrics and \
         rules that need the applications' are absent (GRANT PROCESS ON *.* TO the account)"
    );
}

/// Reads every source. `None` when the connection is dead or stuck.
async fn read_all(control: &mut Control, connector: &Connector, memory: &mut Memory) -> Option<ServerView> {
    let version = control.session.greeting.version.clone();
    let conn = &mut control.session.conn;
    let mut collectors = BTreeMap::new();
    let asked_at = Instant::now();
    let status = run(Collector::GlobalStatus, GlobalStatus::read(conn), &mut collectors).await?;
    let uptime = status.as_ref().and_then(|status| status.uptime);
    let started_at = uptime.map(|uptime| unix_now() - uptime);
    let uptime = uptime.map(|seconds| Uptime { seconds, asked_at, answered_at: Instant::now() });
    let variables = run(Collector::GlobalVariables, GlobalVariables::read(conn), &mut collectors).await?;
    recognise(control, variables.as_ref(), uptime, connector, memory);
    let ghosts = connector.roster().ghosts();
    let conn = &mut control.session.conn;
    let listing = run(Collector::Processlist, control.source.read(conn), &mut collectors).await?;
    if let Some(id) = listing.as_ref().and_then(|listing| listing.asked_by) {
        control.session.learn_backend_id(id);
    }
    let rows = listing.map(|listing| listing.rows);
    let to_end =
        rows.as_deref().map(|rows| certain_ghosts(rows, &ghosts, connector.username())).unwrap_or_default();
    let processlist = rows.map(|rows| ProcessList::parse(rows, |id| connector.roster().is_ours(id)));
    // A role may give PROCESS without the server saying so. Nobody else's session is shown otherwise.
    control.sees_all |= processlist.as_ref().is_some_and(|list| list.shows_others_than(connector.username()));
    tell_about_process(control, connector, memory);
    let conn = &mut control.session.conn;
    let open_transactions = if control.sees_all
        && !memory.transactions_are_slow
        && innodb_trx::is_worth_asking(variables.as_ref())
    {
        let flavor = Flavor::of_version(&version);
        let Ok(answer) = timeout(DEADLINE, innodb_trx::read(conn, flavor)).await else {
            // Never again: it would cost the whole view each time.
            memory.transactions_are_slow = true;
            tracing::warn!(
                event = "server_view_lost",
                "information_schema.INNODB_TRX did not answer within {} s: it is not asked again",
                DEADLINE.as_secs()
            );
            return None;
        };
        // Where it is refused, nothing is known of them, and nothing else is lost.
        unless_fatal(answer).ok()?
    } else {
        None
    };
    let left = processlist.as_ref().map(|list| connector.roster().settle(&ghosts, &list.listed));
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
    Some(ServerView {
        taken_at: Instant::now(),
        flavor: Flavor::of_version(&version),
        version,
        started_at,
        status,
        variables,
        processlist,
        sees_all: control.sees_all,
        open_transactions,
        ghosts: left,
        collectors,
    })
}

/// Reads one source. The outer `None` means that the connection is no good any more.
async fn run<T>(
    collector: Collector,
    read: impl Future<Output = mysql_async::Result<T>>,
    collectors: &mut BTreeMap<Collector, CollectorRun>,
) -> Option<Option<T>> {
    let begun = Instant::now();
    let outcome = timeout(DEADLINE, read).await;
    let seconds = begun.elapsed().as_secs_f64();
    match outcome {
        Ok(Ok(answer)) => {
            collectors.insert(collector, CollectorRun { succeeded: true, seconds });
            Some(Some(answer))
        }
        Ok(Err(error)) if !error.is_fatal() => {
            tracing::warn!(event = "collector_failed", collector = collector.label(), error = %error, "a query of the server view failed");
            collectors.insert(collector, CollectorRun { succeeded: false, seconds });
            Some(None)
        }
        Ok(Err(error)) => {
            tracing::warn!(event = "server_view_lost", collector = collector.label(), error = %error, "the server view's connection broke");
            None
        }
        Err(_) => {
            tracing::warn!(
                event = "server_view_lost",
                collector = collector.label(),
                "the server did not answer within {} s",
                DEADLINE.as_secs()
            );
            None
        }
    }
}

/// The ghosts whose identity is certain: the id is listed for our own user, sleeping, and for about as
/// long as its client has been dead at least.
fn certain_ghosts(rows: &[RawRow], ghosts: &BTreeMap<u64, Ghost>, user: &str) -> Vec<u64> {
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
