//! A path in the document.

use serde::Serialize;

use crate::domain::verdict::Setting;

/// One path.
#[derive(Debug, Clone, Serialize)]
pub struct PathDocument {
    /// Its configured name.
    pub path: String,
    /// Where it leads.
    pub address: String,
    /// How it stands: `unreachable`, `ill`, `measuring`, `sound`.
    pub standing: &'static str,
    /// When the oldest life ended that is remembered. Absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measuring_since: Option<f64>,
    /// The longest idle age that is known to be survived. Absent while none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reach_seconds: Option<f64>,
    /// Whether the ladder's last rung was survived.
    pub ladder_survived: bool,
    /// Why no session is to be had. Absent while connecting succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// Why no canary is launched now: `connect_failing`, `connection_limit`, `low_headroom`, `ghosts`.
    pub suspended: Vec<&'static str>,
    /// The canaries in flight.
    pub canaries: Vec<Canary>,
    /// How many lives ended how at each age, of those that are remembered.
    pub lives: Vec<LivesOfAge>,
    /// What is known of the limit of each kind of canary.
    pub limits: Vec<Limit>,
    /// The limit of each server behind the path, where they do not share one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub server_limits: Vec<ServerLimit>,
    /// The names that the servers which answer here give themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<String>,
    /// Who ends idle canaries at the limit. Absent while nothing died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub killer: Option<Killer>,
    /// What helps, as far as it was measured.
    pub remedies: Remedies,
    /// The age at which to replace pooled connections. Absent while nothing died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommended_recycle_seconds: Option<f64>,
    /// Every known timeout on this path.
    pub layers: Vec<Layer>,
    /// Every rule that could be judged.
    pub mismatches: Vec<Mismatch>,
    /// What the timeouts that were read and declared come to. Absent once a limit was measured, or they are outlived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foretold: Option<Foretold>,
    /// The declared devices on this path.
    pub devices: Vec<Device>,
    /// Sessions at risk, by user. Absent while that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_risk: Option<Vec<RiskOfUser>>,
    /// Sessions that nobody will use any more, by user. Absent while that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_behind: Option<Vec<LeftBehind>>,
    /// Sessions idle past their own pool's recycle age. Absent while the sessions cannot be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_past_recycle: Option<Vec<HeldPastRecycle>>,
    /// The newest deaths, the newest first; at most 50.
    pub deaths: Vec<Death>,
    /// What all of it comes to, in words. Absent before the first judgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// A declared device on a path.
#[derive(Debug, Clone, Serialize)]
pub struct Device {
    /// Its name.
    pub device: String,
    /// `network` or `proxy`.
    pub layer: &'static str,
    /// Its idle timeout.
    pub idle_timeout_seconds: f64,
    /// What it does with a connection that rests, in a sentence.
    pub words: String,
}

/// Why no session is to be had.
#[derive(Debug, Clone, Serialize)]
pub struct Trouble {
    /// Where connecting fails: `dns`, `tcp`, `tls`, `greeting`, `auth`, `limit`, `nonsense`, `local`.
    pub stage: &'static str,
    /// What happened, and what to do.
    pub words: String,
    /// The server's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u16>,
    /// How long ago that was.
    pub age_seconds: f64,
}

/// One canary in flight.
#[derive(Debug, Clone, Serialize)]
pub struct Canary {
    /// What it does: `idle`, `keepalive`, `busy`, `active`.
    pub kind: &'static str,
    /// How far it is: `connecting`, `held`, `dying`, `leaving`.
    pub phase: &'static str,
    /// For how long it has been idle. Absent while it connects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<f64>,
    /// The idle age that it is to be probed at.
    pub aim_seconds: f64,
}

/// The lives of one kind that ended at one age.
#[derive(Debug, Clone, Serialize)]
pub struct LivesOfAge {
    /// What these canaries did.
    pub kind: &'static str,
    /// The shortest of their ages.
    pub from_seconds: f64,
    /// The longest of their ages.
    pub to_seconds: f64,
    /// How many answered their probe.
    pub survived: usize,
    /// How many died, by whom.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deaths: Vec<DeathsOfAge>,
}

/// Deaths at one age.
#[derive(Debug, Clone, Serialize)]
pub struct DeathsOfAge {
    /// Who did it.
    pub culprit: &'static str,
    /// How many there were.
    pub count: usize,
}

/// What is known of one kind's limit.
#[derive(Debug, Clone, Serialize)]
pub struct Limit {
    /// The kind.
    pub kind: &'static str,
    /// The longest age at which a probe was answered. Absent while none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower_seconds: Option<f64>,
    /// The shortest age died at. Absent while nothing died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper_seconds: Option<f64>,
    /// Whether the upper age is that of the death itself. Absent while nothing died, as all that follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<bool>,
    /// Whether deaths and survivals enough bear it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<bool>,
    /// The share of the lives that reached this age and died there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// The longest age died at by what looks at its clock seldom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread_to_seconds: Option<f64>,
    /// How old the newest evidence is. Absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_age_seconds: Option<f64>,
}

/// The limit of one of several servers.
#[derive(Debug, Clone, Serialize)]
pub struct ServerLimit {
    /// The name that it gives itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Its limit of idle canaries.
    pub limit: Limit,
}

/// Who ends idle canaries at the limit.
#[derive(Debug, Clone, Serialize)]
pub struct Killer {
    /// Who.
    pub culprit: &'static str,
    /// Where that sits.
    pub layer: &'static str,
    /// What the wire showed.
    pub ending: &'static str,
    /// The product whose default fits, as the metric's label has it.
    pub suspect: String,
}

/// What keeps a connection alive past the limit.
#[derive(Debug, Clone, Serialize)]
pub struct Remedies {
    /// TCP keepalive. Absent until measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_keepalive: Option<bool>,
    /// A ping by the application or its pool. Absent until measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_ping: Option<bool>,
}

/// One timeout of one layer.
#[derive(Debug, Clone, Serialize)]
pub struct Layer {
    /// Where it sits: `pool`, `kernel`, `network`, `proxy`, `server`, `unknown`.
    pub layer: &'static str,
    /// Its name, as the server or kernel spells it, or `POOL.key` and `DEVICE.key`.
    pub setting: String,
    /// Its length.
    pub seconds: f64,
    /// What its clock counts: `idle`, `age`, `stall`.
    pub clock: &'static str,
    /// How it is known: `measured`, `read`, `declared`, `observed`.
    pub source: &'static str,
}

/// One rule about two layers.
#[derive(Debug, Clone, Serialize)]
pub struct Mismatch {
    /// The rule.
    pub rule: &'static str,
    /// The declared pool that it speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Whether it holds.
    pub holds: bool,
    /// What was compared, where it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

/// What the timeouts that were read and declared come to, before anything was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Foretold {
    /// The timeout that ends an idle session first.
    pub setting: String,
    /// Where it sits.
    pub layer: &'static str,
    /// Its length.
    pub seconds: f64,
    /// The same in a sentence.
    pub words: String,
    /// The rules that hold if it does what it says; each with its words.
    pub mismatches: Vec<Mismatch>,
}

/// Sessions of one user at risk.
#[derive(Debug, Clone, Serialize)]
pub struct RiskOfUser {
    /// The MySQL user.
    pub user: String,
    /// How many there are.
    pub sessions: usize,
    /// `warning` or `critical`.
    pub severity: &'static str,
    /// `will_fail` or `has_failed`.
    pub tense: &'static str,
}

/// Sessions of one user that nobody will use any more.
#[derive(Debug, Clone, Serialize)]
pub struct LeftBehind {
    /// The MySQL user.
    pub user: String,
    /// How many there are.
    pub sessions: usize,
}

/// Sessions idle past the recycle age of their own pool.
#[derive(Debug, Clone, Serialize)]
pub struct HeldPastRecycle {
    /// The declared pool.
    pub pool: String,
    /// The MySQL user that it declares.
    pub user: String,
    /// How many there are.
    pub sessions: usize,
}

/// One death.
#[derive(Debug, Clone, Serialize)]
pub struct Death {
    /// When it was heard, or probed in vain.
    pub at: f64,
    /// What the canary did.
    pub kind: &'static str,
    /// The idle age that it died at, or was found dead at.
    pub age_seconds: f64,
    /// Whether the age is that of the death itself.
    pub exact: bool,
    /// What the wire showed: `goodbye`, `fin`, `reset`, `reset_on_use`, `silence`.
    pub ending: &'static str,
    /// Who did it.
    pub culprit: &'static str,
    /// Where that sits.
    pub layer: &'static str,
    /// Which rule concluded that. Absent for a death from before the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    /// The server's thread id. Absent for a death from before the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<u64>,
    /// The server's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u16>,
    /// From sending to knowing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_seconds: Option<f64>,
}

/// What all of it comes to, in words.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// Whether nothing is wrong as far as was measured.
    pub sound: bool,
    /// What was seen, and who does it, in a line.
    pub short: String,
    /// The same at length, a sentence or two each.
    pub sentences: Vec<String>,
    /// Products whose default fits.
    pub suspects: Vec<String>,
    /// What to change to what.
    pub settings: Vec<Setting>,
}
