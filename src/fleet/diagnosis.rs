//! The diagnosis of one path: gathers what the loops published, lets the core judge it, publishes the
//! findings, and tells people when the verdict changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::domain::applications::Evidence;
use crate::domain::culprit::Culprit;
use crate::domain::culprit::remedy::Remedies;
use crate::domain::layers::catalogue::{NO_SUSPECT, suspect_label};
use crate::domain::layers::pool::Pool;
use crate::domain::layers::{
    Device, LayerSetting, MeasuredTimeouts, SESSION_WAIT_TIMEOUT, ServerTimeouts, inventory,
};
use crate::domain::life::kind::Kind;
use crate::domain::mismatch::{
    AtRisk, Facts, Finding, Foretold, HeldSessions, IdleTransactions, OtherPath, UserSessions, evaluate,
    foretell, path_facts, sessions_at_risk_by_user, sessions_held_past_recycle, sessions_left_behind_by_user,
};
use crate::domain::verdict::{self, Verdict, judge, recommended_recycle, suspect_question};
use crate::machine::kernel;
use crate::prober::PathReport;
use crate::server::applications::Seen;
use crate::server::{Applications, Reading, ServerView};
use crate::session::Connector;
use crate::supervision::Pulse;
use crate::supervision::stop::Stop;

/// News is gathered for this long before it is judged: deaths come in flocks.
const SETTLE: Duration = Duration::from_millis(250);

/// What is concluded of one path now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Diagnosis {
    /// Every rule that could be evaluated.
    pub findings: Vec<Finding>,
    /// Every known timeout.
    pub layers: Vec<LayerSetting>,
    /// What helps, as far as it was measured.
    pub remedies: Remedies,
    /// Who sits at the limit: the label `suspect`.
    pub suspect: String,
    /// Application sessions at risk, by user. `None` while that cannot be told.
    pub at_risk: Option<Vec<AtRisk>>,
    /// Application sessions that nobody will use any more, by user. `None` while that cannot be told.
    pub left_behind: Option<Vec<(String, usize)>>,
    /// Sessions idle past the recycle age of their own pool, for every pool that can be judged.
    pub held_past_recycle: Vec<HeldSessions>,
    /// The age at which pools should replace their connections, in seconds.
    pub recommended_recycle: Option<f64>,
    /// What the timeouts that were read and declared come to, while nothing was measured.
    pub foretold: Option<Foretold>,
    /// What there is to say.
    pub verdict: Option<Verdict>,
}

/// What a diagnosis is made from.
#[derive(Debug)]
pub struct Sources {
    /// The target's configured name.
    pub target: String,
    /// The path's configured name.
    pub path: String,
    /// What the path's loop publishes.
    pub report: watch::Receiver<PathReport>,
    /// The server view.
    pub reading: watch::Receiver<Reading>,
    /// Where the sessions' own timeouts are known.
    pub connector: Arc<Connector>,
    /// What is declared, as the configuration has it now.
    pub declared: watch::Receiver<Declared>,
    /// Every path of the target, this one among them.
    pub siblings: watch::Receiver<Vec<Sibling>>,
    /// The ladder's last rung, in seconds.
    pub ladder_end: f64,
}

/// What is declared of a path and of its target's applications: a reload may change it.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The declared pools.
    pub pools: Vec<Pool>,
    /// The devices that are declared to be on this path.
    pub devices: Vec<Device>,
    /// The applications' sessions as they were followed.
    pub applications: Applications,
}

/// A path of the target as the others see it.
#[derive(Debug, Clone)]
pub struct Sibling {
    /// Its configured name.
    pub path: String,
    /// What its loop publishes.
    pub report: watch::Receiver<PathReport>,
}

impl Sibling {
    /// What is known of it now.
    fn look(&self) -> OtherPath {
        let report = self.report.borrow();
        OtherPath {
            name: self.path.clone(),
            idle: report.limit(Kind::Idle),
            killer: report.killer,
            identities: report.identities.clone(),
        }
    }
}

/// Keeps diagnosing until told to stop. What is new of the other paths is taken up with the next news of this one
/// or of the server view, which come every few seconds.
pub async fn keep(mut sources: Sources, publish: watch::Sender<Diagnosis>, mut stop: Stop, pulse: Pulse) {
    let mut told = BTreeMap::new();
    let mut last_verdict = None;
    loop {
        let round = pulse.round_at_once(|| {
            let diagnosis = diagnose(&mut sources);
            tell(&sources, &diagnosis, &mut told, &mut last_verdict);
            publish.send_replace(diagnosis);
        });
        let news = async {
            if round.is_none() {
                return sleep(pulse.rest()).await;
            }
            // That a source is gone is told by who owns it; until the word to stop there is nothing to do.
            tokio::select! {
                Ok(()) = sources.report.changed() => {}
                Ok(()) = sources.reading.changed() => {}
                Ok(()) = sources.siblings.changed() => {}
                Ok(()) = sources.declared.changed() => {}
                else => std::future::pending().await,
            }
            sleep(SETTLE).await;
        };
        tokio::select! {
            () = stop.told() => return,
            () = pulse.wait(news) => {}
        }
    }
}

fn diagnose(sources: &mut Sources) -> Diagnosis {
    let report = sources.report.borrow_and_update().clone();
    let view = sources.reading.borrow_and_update().view.clone();
    let Declared { pools, devices, applications } = sources.declared.borrow_and_update().clone();
    let kernel = kernel::read();
    let timeouts = sources.connector.timeouts();
    let server = server_timeouts(view.as_deref(), timeouts.session);
    let mut facts = Facts {
        path: sources.path.clone(),
        idle: report.limit(Kind::Idle),
        lifetime: report.limit(Kind::Active),
        killer: report.killer,
        old_are_killed: report.old_are_killed,
        servers: report.servers.clone(),
        deaths: report.deaths.clone(),
        remedies: report.remedies,
        session_wait_timeout: timeouts.session,
        global_wait_timeout: timeouts.global.or(server.get("wait_timeout")),
        kernel,
        pools,
        devices,
        sessions: view.as_deref().and_then(user_sessions),
        applications: None,
        ghosts: view.as_deref().and_then(|view| view.ghosts_of(&sources.path)),
        identities: report.identities.clone(),
        other_paths: sources
            .siblings
            .borrow_and_update()
            .iter()
            .filter(|sibling| sibling.path != sources.path)
            .map(Sibling::look)
            .collect(),
        idle_transactions: view.as_deref().and_then(|view| idle_transactions(view, &server)),
        ladder_end: Some(sources.ladder_end),
    };
    if let Some(followed) = view.as_deref().and_then(|view| view.followed.as_ref()) {
        let now = sources.connector.roster().seconds(Instant::now());
        let path = path_facts(&facts, report.takes_the_row, now);
        facts.applications = Some(applications.show(|Seen { follower, covered, known }| {
            Evidence::gather(follower, covered, known, &followed.drivers, &path)
        }));
    }
    let measured = MeasuredTimeouts {
        idle_limit: report
            .killer
            .zip(facts.idle.upper)
            .map(|(killer, upper)| (killer.culprit.layer(), upper)),
        lifetime_limit: report.killer.and(facts.lifetime.upper).map(|upper| {
            let culprit = if report.old_are_killed { Culprit::ServerKill } else { Culprit::LifetimeLimit };
            (culprit.layer(), upper)
        }),
        stall: report.longest_stall,
    };
    let mut layers =
        inventory(&sources.path, &measured, &server, kernel.as_ref(), facts.pools_here(), &facts.devices);
    if let Some(evidence) = &facts.applications {
        layers.extend(evidence.settings(&sources.path, &facts.pools));
    }
    Diagnosis {
        findings: evaluate(&facts),
        layers,
        remedies: report.remedies,
        suspect: suspect_question(&facts)
            .map_or_else(|| NO_SUSPECT.to_owned(), |question| suspect_label(&question)),
        at_risk: sessions_at_risk_by_user(&facts),
        left_behind: sessions_left_behind_by_user(&facts),
        held_past_recycle: sessions_held_past_recycle(&facts),
        recommended_recycle: recommended_recycle(&facts),
        foretold: foretell(&facts),
        verdict: Some(judge(&facts)),
    }
}

fn server_timeouts(view: Option<&ServerView>, session: Option<f64>) -> ServerTimeouts {
    let mut timeouts = ServerTimeouts::default();
    for (name, &seconds) in
        view.and_then(|view| view.variables.as_ref()).iter().flat_map(|variables| &variables.timeouts)
    {
        timeouts.put(name, seconds);
    }
    if let Some(seconds) = session {
        timeouts.put(SESSION_WAIT_TIMEOUT, seconds);
    }
    timeouts
}

/// Nothing where the server's settings were not read.
fn idle_transactions(view: &ServerView, timeouts: &ServerTimeouts) -> Option<IdleTransactions> {
    view.variables.as_ref().map(|_| IdleTransactions::new(timeouts, view.open_transactions.clone()))
}

fn user_sessions(view: &ServerView) -> Option<Vec<UserSessions>> {
    let list = view.applications()?;
    let sessions = list.users.iter().map(|(user, of)| UserSessions {
        user: user.clone(),
        idle: of.idle.clone(),
        ageless: of.ageless,
    });
    Some(sessions.collect())
}

/// After how many rounds without it a rule is over: one that comes and goes with every round is told
/// once.
const ROUNDS_TO_BE_OVER: u32 = 4;

/// The rules that were told to hold, by rule and pool, and for how many rounds they have not held.
type Told = BTreeMap<(&'static str, String), u32>;

/// Tells which rules begin and cease to hold, and the verdict when it is news.
fn tell(sources: &Sources, diagnosis: &Diagnosis, told: &mut Told, last_verdict: &mut Option<verdict::Told>) {
    let holding = diagnosis.findings.iter().filter(|finding| finding.holds);
    let holding: BTreeMap<(&'static str, String), &str> = holding
        .map(|finding| ((finding.rule.label(), finding.pool.clone()), finding.words.as_str()))
        .collect();
    for (key, words) in &holding {
        if told.insert(key.clone(), 0).is_none() {
            let (rule, pool) = key;
            let (target_name, path) = (&sources.target, &sources.path);
            tracing::warn!(event = "mismatch", target_name, path, rule, pool, "{words}");
        }
    }
    told.retain(|key, missed| {
        if !holding.contains_key(key) {
            *missed += 1;
        }
        let stays = *missed < ROUNDS_TO_BE_OVER;
        if !stays {
            let ((rule, pool), target_name, path) = (key, &sources.target, &sources.path);
            let is_it = |finding: &&Finding| finding.rule.label() == *rule && finding.pool == *pool;
            // Without a finding the facts are missing.
            let is_judged = diagnosis.findings.iter().any(|finding| is_it(&finding));
            let words =
                if is_judged { "no longer holds" } else { "can no longer be judged: facts are missing" };
            tracing::info!(event = "mismatch_over", target_name, path, rule, pool, "the rule {rule} {words}");
        }
        stays
    });
    let Some(verdict) = &diagnosis.verdict else { return };
    let now = verdict::Told::of(verdict);
    if now.is_news_after(last_verdict.as_ref()) {
        *last_verdict = Some(now);
        tell_verdict(sources, verdict);
    }
}

/// The verdict as one short line with fields; at the level debug all that it says, as the pages have it.
fn tell_verdict(sources: &Sources, verdict: &Verdict) {
    let (limit, killer) = {
        let report = sources.report.borrow();
        (report.limit(Kind::Idle), report.killer)
    };
    let (target_name, path) = (&sources.target, &sources.path);
    let culprit = killer.map(|killer| killer.culprit);
    // Of what nobody has seen yet it cannot be said that it is sound.
    let is_known = limit.upper.is_some() || limit.survived > 0.0 || !verdict.sound;
    tracing::info!(
        event = "verdict",
        target_name,
        path,
        sound = is_known.then_some(verdict.sound),
        limit_seconds = limit.upper.map(|upper| (upper * 100.0).round() / 100.0),
        culprit = culprit.map(|culprit| culprit.label()),
        layer = culprit.map(|culprit| culprit.layer().label()),
        recycle_seconds = verdict.recycle_seconds,
        confirmed = limit.upper.map(|_| limit.confirmed),
        "{}",
        verdict.sentences.first().map_or("nothing is known yet", String::as_str)
    );
    tracing::debug!(event = "verdict_in_full", target_name, path, "{}", verdict.to_string().trim_end());
}
