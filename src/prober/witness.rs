//! The witness: just after deaths, one fresh connection on the same path asks the server what it saw.
//! Deaths of one moment share one witness.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::domain::life::stage::Stage;
use crate::server::witness::{Statement, state};
use crate::session::{Connector, NoSession, Purpose};
use crate::supervision::Pulse;
use crate::supervision::stop::Stop;

/// How long deaths of one moment are gathered, and the server given time to clear its list.
const SETTLE: Duration = Duration::from_millis(200);
/// How long the witness of an audible ending waits for a server that comes back: a restart refuses
/// connects for a while.
const GRACE: Duration = Duration::from_secs(120);
/// How long those who wait are left without another look: some give up meanwhile.
const LONGEST_REST: Duration = Duration::from_secs(15);
/// How long one attempt's questions may take.
const QUESTIONS: Duration = Duration::from_secs(5);
/// How long the server may take to clear the row of a session it ended itself.
const CLEARING: [Duration; 3] =
    [Duration::from_millis(300), Duration::from_millis(700), Duration::from_secs(1)];
/// After how many attempts in a row that broke off by a fault of the driver's no more is asked.
const FAULTS_TO_GIVE_UP: u32 = 3;
/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_millis(500);

/// What the witness said of one death.
#[derive(Debug, Clone, PartialEq)]
pub struct Testimony {
    /// When it was asked.
    pub at: Instant,
    /// What the server said.
    pub statement: Statement,
    /// A fresh connection failed before one succeeded: the way was out in between.
    pub failed_before: bool,
}

impl Testimony {
    /// That the server answers, and has no room for a witness.
    fn of_a_full_server(failed_before: bool) -> Self {
        Self { at: Instant::now(), statement: Statement::default(), failed_before }
    }
}

/// A handle on a path's witness, by which canaries ask for its testimony.
#[derive(Debug, Clone)]
pub struct WitnessHandle(mpsc::UnboundedSender<Request>);

#[derive(Debug)]
struct Request {
    thread_id: u64,
    /// The ending was audible: the server may be restarting, and clears its own rows.
    audible: bool,
    since: Instant,
    /// A fresh connection failed since.
    failed: bool,
    answer: oneshot::Sender<Option<Testimony>>,
}

impl WitnessHandle {
    /// A handle on the witness of one path, and the loop that attends to it: it ends when the last clone of the
    /// handle is dropped.
    pub fn open(
        connector: Arc<Connector>,
        stop: Stop,
        pulse: Pulse,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, requests) = mpsc::unbounded_channel();
        (Self(sender), attend(connector, requests, stop, pulse))
    }

    /// Asks about a dead session. `None` when no fresh connection could be made: an outage.
    pub async fn testify(&self, thread_id: u64, audible: bool) -> Option<Testimony> {
        let (answer, testimony) = oneshot::channel();
        self.0.send(Request { thread_id, audible, since: Instant::now(), failed: false, answer }).ok()?;
        testimony.await.ok().flatten()
    }
}

async fn attend(
    connector: Arc<Connector>,
    mut requests: mpsc::UnboundedReceiver<Request>,
    mut stop: Stop,
    pulse: Pulse,
) {
    let mut waiting = Vec::new();
    // Attempts in a row that broke off by a fault of the driver's.
    let mut faults = 0;
    while let Some(first) = pulse.wait(requests.recv()).await {
        waiting.push(first);
        pulse.wait(sleep(SETTLE)).await;
        while !waiting.is_empty() {
            while let Ok(request) = requests.try_recv() {
                waiting.push(request);
            }
            let attempt = pulse.round(ask(&connector, &waiting, &mut stop)).await;
            faults = if attempt.is_none() { faults + 1 } else { 0 };
            match attempt.unwrap_or_else(|| faulty(faults, &pulse)) {
                Ok(testimony) => {
                    for request in waiting.drain(..) {
                        let testimony = Testimony { failed_before: request.failed, ..testimony.clone() };
                        // A canary that was stopped meanwhile no longer listens.
                        let _ = request.answer.send(Some(testimony));
                    }
                }
                Err(Unheard { rest, tried, refused }) => {
                    let (mut patient, impatient): (Vec<_>, Vec<_>) = waiting.drain(..).partition(|request| {
                        let may_wait = request.audible || !tried;
                        may_wait && request.since.elapsed() < GRACE && !request.answer.is_closed()
                    });
                    patient.iter_mut().for_each(|request| request.failed |= tried);
                    for request in impatient {
                        // A server without room for a witness answers: the way to it is no outage, and the death
                        // is judged by the rest.
                        let testimony = refused.then(|| Testimony::of_a_full_server(request.failed));
                        let _ = request.answer.send(testimony);
                    }
                    waiting = patient;
                    if let Some(longest) = waiting.iter().map(|request| request.since.elapsed()).max() {
                        pulse.wait(sleep(rest.min(LONGEST_REST).min(GRACE.saturating_sub(longest)))).await;
                    }
                }
            }
        }
    }
}

/// No testimony yet.
struct Unheard {
    /// How long to rest before the next attempt.
    rest: Duration,
    /// Whether a connection was tried, now or a moment ago, and the server was not reached.
    tried: bool,
    /// Whether the server was reached, now or a moment ago, and had no room.
    refused: bool,
}

/// What an attempt comes to that broke off by a fault of the driver's, the last of so many in a row. Its login had
/// succeeded, for a fault in a login fails as a login: so the way is not out. A few are tried again; then it is
/// testified that a fresh connection works, and that the server says nothing that can be read.
fn faulty(faults: u32, pulse: &Pulse) -> Result<Testimony, Unheard> {
    if faults < FAULTS_TO_GIVE_UP {
        return Err(Unheard { rest: pulse.rest(), tried: false, refused: false });
    }
    let statement = Statement { uptime: None, identity: None, listed: None, thread_id: None, kills: None };
    Ok(Testimony { at: Instant::now(), statement, failed_before: false })
}

/// One attempt.
async fn ask(connector: &Connector, waiting: &[Request], stop: &mut Stop) -> Result<Testimony, Unheard> {
    /// The gate asks for longer rests where they are due.
    const FAILED: Unheard = Unheard { rest: Duration::from_millis(250), tried: true, refused: false };
    let mut session = connector.connect(Purpose::Witness, None).await.map_err(|error| match error {
        // Held back because the server could not be reached a moment ago: as good as tried. Refused for
        // want of room, say, the path is well.
        NoSession::HeldBack { rest, failed_at } => {
            let out = matches!(failed_at, Some(Stage::Dns | Stage::Tcp | Stage::Greeting));
            Unheard { rest, tried: out, refused: failed_at == Some(Stage::Limit) }
        }
        NoSession::Failed(error) if error.stage == Stage::Limit => {
            Unheard { tried: false, refused: true, ..FAILED }
        }
        // Nobody was asked: what this machine lacks is no word about the way or the server.
        NoSession::Failed(error) if error.stage == Stage::Local => Unheard { tried: false, ..FAILED },
        NoSession::Failed(_) => FAILED,
    })?;
    let dead: BTreeSet<u64> = waiting.iter().map(|request| request.thread_id).collect();
    let audible: BTreeSet<u64> =
        waiting.iter().filter(|request| request.audible).map(|request| request.thread_id).collect();
    // Before the answer: on a bad line the questions after Uptime's may take seconds.
    let mut asked = Instant::now();
    let answer = timeout(QUESTIONS, state(&mut session, &dead)).await;
    let mut statement = match answer {
        Ok(Ok(statement)) => statement,
        Ok(Err(error)) => {
            connector.distrust(&session, Some(&error));
            return Err(FAILED);
        }
        Err(_) => {
            connector.distrust(&session, None);
            return Err(FAILED);
        }
    };
    connector.trust();
    for pause in CLEARING {
        if statement.listed.as_ref().is_none_or(|listed| listed.is_disjoint(&audible)) {
            break;
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.told() => break,
        }
        asked = Instant::now();
        statement =
            timeout(QUESTIONS, state(&mut session, &dead)).await.map_err(|_| FAILED)?.map_err(|_| FAILED)?;
    }
    session.quit(FAREWELL).await;
    Ok(Testimony { at: asked, statement, failed_before: false })
}
