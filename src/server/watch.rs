//! The loop that keeps the server view: one connection, one round an interval, a deadline for each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::optional::Missing;
use super::privileges::Privileges;
use super::processlist::{ProcessList, Source};
use super::round::{self, Outcome};
use super::seldom::Seldom;
use super::troubles::Troubles;
use super::uptime::Uptime;
use super::{Applications, Flavor, GlobalVariables, ServerView, ghosts, statement};
use crate::domain::conduct::sight::{self, Sight};
use crate::domain::life::words::WordsCut;
use crate::session::{Connector, NoSession, Purpose, Session};
use crate::supervision::Pulse;
use crate::supervision::stop::Stop;

/// How long one source may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// How long the server itself lets one statement run, where it minds: shorter, so that none is left behind.
const SERVERS_DEADLINE: Duration = Duration::from_secs(4);
/// How soon a lost server is tried again, at most; the connector's gate spaces the attempts.
const RETRY: Duration = Duration::from_secs(1);
/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_millis(500);
/// After how many rounds an account without PROCESS is asked again whether it has got it.
const ROUNDS_WITHOUT_PROCESS: u32 = 20;

/// What is known of the server now.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// A first round was made.
    pub has_begun: bool,
    /// Whether the newest round reached the server.
    pub up: bool,
    /// The newest view; none before the first round, or after the server was lost.
    pub view: Option<Arc<ServerView>>,
    /// Words of the server's that were cut, cleaned or not known, since the start.
    pub words_cut: WordsCut,
}

/// The one connection of the server view.
pub(super) struct Control {
    pub(super) session: Session,
    pub(super) opened_at: Instant,
    /// Where the processlist is read from, once that is found.
    pub(super) source: Option<Source>,
    /// What the account may see, as of the login: a grant or its end reaches new sessions only. `None` until
    /// the server has said it.
    pub(super) privileges: Option<Privileges>,
    /// PROCESS was given since the login: a new session will see what this one cannot.
    pub(super) outdated: bool,
    /// It was asked who it is, on a server whose `Uptime` it knew.
    pub(super) introduced: bool,
    /// Who the server is, once it has said so.
    pub(super) identity: Option<String>,
    pub(super) rounds: u32,
}

/// What outlives a lost connection.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What was last said of what the account sees.
    told_sight: Option<Sight>,
    /// The newest `Uptime`: it falls back when the server was restarted.
    last_uptime: Option<Uptime>,
    /// The newest identity: it changes when another server answers.
    last_identity: Option<String>,
    /// What could not be read, and until when it rests.
    pub(super) troubles: Troubles,
    /// How many pauses in a row, between two rounds, its session did not outlive.
    pub(super) deadly_pauses: u32,
    /// Rounds since its session is not left in a pause any more.
    pub(super) rounds_without_pause: u32,
    /// Words that were cut so far.
    pub(super) words_cut: WordsCut,
    /// What the newest list showed.
    pub(super) last_sight: Option<Sight>,
    /// Errors by user, and attributes of sessions.
    pub(super) errors: Seldom,
    pub(super) attributes: Seldom,
    /// Sessions of the exporter's own account that are no exporter's were told.
    pub(super) told_strangers: bool,
}

impl Memory {
    /// Whether the session is to end with its round: something ends it in every pause, such as a short
    /// `wait_timeout` or a firewall, and each end that is not ours is an `Aborted_clients` or a ghost. Now and then
    /// it is tried again.
    fn pauses_are_deadly(&mut self) -> bool {
        /// So many in a row are no accident.
        const DEADLY: u32 = 2;
        /// After so many rounds one pause is tried again.
        const TRY_AGAIN: u32 = 240;
        if self.deadly_pauses < DEADLY {
            return false;
        }
        if self.rounds_without_pause == 0 {
            tracing::info!(
                event = "server_view_without_pauses",
                "the server view's session dies in each pause between two rounds: it logs in for each round from now on"
            );
        }
        self.rounds_without_pause += 1;
        if self.rounds_without_pause > TRY_AGAIN {
            (self.rounds_without_pause, self.deadly_pauses) = (0, DEADLY - 1);
        }
        self.rounds_without_pause > 0
    }
}

/// Keeps reading until told to stop, then ends its session with COM_QUIT.
pub async fn watch(
    connector: Arc<Connector>,
    applications: Applications,
    every: Duration,
    publish: Arc<watch::Sender<Reading>>,
    mut stop: Stop,
    pulse: Pulse,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut control: Option<Control> = None;
    let mut memory = Memory::default();
    loop {
        tokio::select! {
            () = stop.told() => break,
            _ = pulse.wait(ticks.tick()) => {}
        }
        let outcome = {
            // Where it fails by a fault of the driver's, its session is lost with it.
            let round =
                pulse.round(make_round(control.take(), every, &connector, &applications, &mut memory));
            tokio::pin!(round);
            tokio::select! {
                outcome = &mut round => outcome,
                // Told to stop in the middle of a round: let it end, so that its session can say COM_QUIT.
                () = stop.told() => timeout(FAREWELL, round).await.unwrap_or(None),
            }
        };
        let words_cut = memory.words_cut;
        match outcome.flatten() {
            Some(Outcome { kept, view, up }) => {
                publish.send_replace(Reading { has_begun: true, up, view: Some(Arc::new(view)), words_cut });
                control = match kept {
                    Some(kept) if memory.pauses_are_deadly() => {
                        kept.session.quit(FAREWELL).await;
                        None
                    }
                    kept => kept,
                };
            }
            None => {
                publish.send_replace(Reading { has_begun: true, words_cut, ..Reading::default() });
                ticks.reset_after(every.min(RETRY).max(pulse.rest()));
            }
        }
    }
    if let Some(Control { session, .. }) = control {
        session.quit(FAREWELL).await;
    }
}

/// One round over the sources. `None` when the server cannot be reached; the next round then tries again.
async fn make_round(
    control: Option<Control>,
    every: Duration,
    connector: &Connector,
    applications: &Applications,
    memory: &mut Memory,
) -> Option<Outcome> {
    let kept = match control {
        Some(control) => stay(control, connector).await,
        None => None,
    };
    round::make(kept, every, connector, applications, memory).await
}

/// Keeps the session, or ends it where a new one will see what this one cannot: the server that answers
/// since a failover, or everyone's sessions since a grant.
async fn stay(control: Control, connector: &Connector) -> Option<Control> {
    let left = |identity: &String| connector.identities().have_left(identity, Instant::now());
    if control.identity.as_ref().is_some_and(left) {
        tracing::info!(
            event = "server_view_moved",
            "another server answers new sessions: the server view logs in again, to read that one"
        );
    } else if control.session.moves() != connector.moves() {
        tracing::info!(
            event = "server_view_moved",
            "the host's name leads to another address: the server view logs in again, to read who answers there"
        );
    } else if control.outdated {
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
    /// Whether the account's privileges are to be asked for in this round: at once, and now and then where it
    /// does not hold PROCESS.
    pub(super) fn is_to_ask_for_privileges(&self) -> bool {
        let holds = |privileges: &Privileges| privileges.holds_process == Some(true);
        match &self.privileges {
            None => true,
            Some(privileges) => !holds(privileges) && self.rounds.is_multiple_of(ROUNDS_WITHOUT_PROCESS),
        }
    }

    /// Takes note of what the account may see now. What it did not hold at the login this session does not see.
    pub(super) fn learn_privileges(&mut self, now: Privileges) {
        if self.rounds == 0 || now.holds_process != Some(true) {
            self.privileges = Some(now);
        } else {
            self.outdated = true;
        }
    }

    /// What the list shows, read in the round in which the server counted so many sessions (`connected`); without
    /// a list, what one would show.
    pub(super) fn sight(&self, list: Option<&ProcessList>, connected: Option<f64>, login: &str) -> Sight {
        let privileges = self.privileges.as_ref();
        let names = privileges.and_then(|privileges| privileges.names.as_ref());
        let shows_others = list.zip(names).is_some_and(|(list, names)| {
            let names: BTreeSet<String> = names.iter().cloned().chain([login.to_owned()]).collect();
            list.shows_others_than(&names)
        });
        sight::judge(&sight::Facts {
            holds_process: privileges.and_then(|privileges| privileges.holds_process),
            shows_others,
            listed: list.map_or(0, |list| list.rows),
            connected: connected.filter(|_| list.is_some()),
        })
    }
}

/// Logs in. The session is silent for no longer than `every`.
pub(super) async fn open(every: Duration, connector: &Connector) -> Option<Control> {
    // The connector tells and counts what goes wrong.
    let mut session = match connector.connect(Purpose::ServerView, None).await {
        Ok(session) => session,
        Err(NoSession::Failed(_) | NoSession::HeldBack { .. }) => return None,
    };
    let opened_at = Instant::now();
    let flavor = Flavor::of(&session);
    let prepare = async {
        ghosts::bound_silence(&mut session, every).await?;
        statement::bound_statements(&mut session, flavor, SERVERS_DEADLINE).await?;
        // A session that was asked nothing has proved nothing.
        if session.has_skipped() { session.conn.ping().await } else { Ok(()) }
    };
    match timeout(DEADLINE, prepare).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            connector.distrust(&session, Some(&error));
            return None;
        }
        Err(_) => {
            connector.distrust(&session, None);
            return None;
        }
    }
    connector.trust();
    Some(Control {
        session,
        opened_at,
        source: None,
        privileges: None,
        outdated: false,
        introduced: false,
        identity: None,
        rounds: 0,
    })
}

/// Takes note of which server answers and for how long it has run. Where it is not the one of before, our
/// dead are none of its sessions, and it has not counted them.
pub(super) fn recognise(
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
        memory.troubles.forget_left_behind();
        memory.errors.start_over();
        memory.attributes.start_over();
    }
    memory.last_uptime = uptime.or(memory.last_uptime);
    memory.last_identity = identity.clone().or(memory.last_identity.take());
    control.identity = identity.or(control.identity.take());
}

/// Says once which tables are missing that would tell more of how the applications' sessions end, and what would
/// help.
pub(super) fn tell_missing(why: Missing, consequence: &str, grant: &str, connector: &Connector) {
    let user = connector.username();
    match why {
        Missing::Privilege => tracing::info!(
            event = "grant_would_tell",
            user,
            "without a grant {consequence} ({grant}, or SELECT ON performance_schema.*)"
        ),
        Missing::Table => tracing::info!(
            event = "table_missing",
            user,
            "this server does not fill the table that would tell more: {consequence}"
        ),
        Missing::TooMuch => tracing::info!(
            event = "table_missing",
            user,
            "the server's table that would tell more holds more rows than are read: {consequence}"
        ),
    }
}

/// Says once why nothing is said of the applications, and what would help.
pub(super) fn tell_of_sight(sight: Sight, connector: &Connector, memory: &mut Memory) {
    // Many may just be logging in, such as a whole fleet at its start: what lacks them in two rounds is told.
    if sight == Sight::Incomplete && memory.last_sight != Some(Sight::Incomplete) {
        return;
    }
    if memory.told_sight.replace(sight) == Some(sight) {
        return;
    }
    let user = connector.username();
    let consequence = "the metrics and rules that need the applications' sessions are absent";
    match sight {
        Sight::Everyone => {}
        Sight::OwnOnly => tracing::warn!(
            event = "privilege_missing",
            user,
            "without the privilege PROCESS the processlist shows only this account's own sessions: {consequence} \
             (GRANT PROCESS ON *.* TO the account; SELECT and SUPER do not give it)"
        ),
        Sight::Unknown => tracing::warn!(
            event = "privilege_unknown",
            user,
            "the server would not say whether the account holds the privilege PROCESS, so whether the processlist \
             shows everyone's sessions: {consequence} (let the account run SHOW GRANTS, and GRANT PROCESS ON *.* to it)"
        ),
        Sight::Incomplete => tracing::warn!(
            event = "processlist_incomplete",
            user,
            "the server counts many more sessions in Threads_connected than its processlist shows: {consequence} \
             (on MySQL see Performance_schema_thread_instances_lost)"
        ),
    }
}
