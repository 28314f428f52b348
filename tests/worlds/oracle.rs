//! The oracle: what may be said of each death, and of the limit, by one who knows the world.

use crate::log::Line;
use crate::nature::{Nature, Server, Sort, Way};
use crate::network::{Cause, Death, Report};

/// Deaths after this time, in seconds, are to be known.
const KNOWN_AFTER: f64 = 600.0;
/// A limit that moved by less than this ratio is the same one.
const SAME_LIMIT: f64 = 1.3;

/// What the oracle found in one world.
#[derive(Debug, Clone)]
pub(crate) struct Findings {
    /// What rules the world.
    pub(crate) sort: Sort,
    pub(crate) deaths: usize,
    pub(crate) voided: usize,
    /// Culprits that the world refutes, in words.
    pub(crate) wrong: Vec<String>,
    /// What was said of each sort of death: what really happened, what was said, of which kind, by which rule; and
    /// whether the world refutes it.
    pub(crate) said: Vec<(String, bool)>,
    /// Deaths after the first ten minutes, and those of them whose culprit is unknown.
    pub(crate) late_deaths: usize,
    pub(crate) late_unknown: usize,
    /// Whether a limit was confirmed, how often one was withdrawn, and how often it really changed.
    pub(crate) was_confirmed: bool,
    pub(crate) withdrawn: usize,
    pub(crate) changes: usize,
    /// The limit at the end, where it is none that the world has.
    pub(crate) wrong_limit: Option<String>,
}

impl Findings {
    fn none(nature: &Nature) -> Self {
        Self {
            sort: nature.sort,
            deaths: 0,
            voided: 0,
            wrong: Vec::new(),
            said: Vec::new(),
            late_deaths: 0,
            late_unknown: 0,
            was_confirmed: false,
            withdrawn: 0,
            changes: nature.changes(),
            wrong_limit: None,
        }
    }
}

/// Judges what was said.
pub(crate) fn judge(nature: &Nature, deaths: &[Death], reports: &[Report]) -> Findings {
    let mut findings = Findings::none(nature);
    for death in deaths {
        if death.said.event == "void" {
            findings.voided += 1;
            continue;
        }
        findings.deaths += 1;
        let said = death.said.culprit.as_str();
        if death.at >= KNOWN_AFTER {
            findings.late_deaths += 1;
            findings.late_unknown += usize::from(said == "unknown");
        }
        let is_wrong = said != "unknown"
            && !may_be_said(death.cause, said)
            && !death.or.iter().any(|cause| may_be_said(*cause, said));
        if is_wrong || said == "unknown" && death.at >= KNOWN_AFTER {
            let Line { kind, rule, .. } = &death.said;
            let sort = format!("{:?} -> {said} [{kind}] {rule}", death.cause);
            findings.said.push((sort, is_wrong));
        }
        if is_wrong {
            findings.wrong.push(format!("{:?} at {:.1} s: {:?}", death.cause, death.at, death.said));
        }
    }
    // A bracket that narrows is the same limit: it is withdrawn where the new one lies outside the old one.
    let mut told: Option<(f64, f64)> = None;
    for report in reports {
        let now = report.upper.filter(|_| report.confirmed).map(|upper| (report.lower.min(upper), upper));
        match told {
            None => {
                findings.was_confirmed |= now.is_some();
                told = now;
            }
            Some((lower, upper)) => {
                let fits = |new: f64| new * SAME_LIMIT >= lower && new <= upper * SAME_LIMIT;
                if report.upper.is_none_or(|new| !fits(new)) {
                    findings.withdrawn += 1;
                    told = now;
                } else if now.is_some() {
                    told = now;
                }
            }
        }
    }
    let last = reports.iter().rev().find_map(|report| report.upper.filter(|_| report.confirmed));
    if let Some(upper) = reports.last().and_then(|report| report.upper.filter(|_| report.confirmed)) {
        let near = |limit: f64| upper >= limit * 0.95 - 0.5 && upper <= limit * 1.35 + 2.0;
        if !limits(nature).into_iter().any(near) {
            findings.wrong_limit =
                Some(format!("a limit of {upper:.2} s ({last:?}), and the world has {:?}", limits(nature)));
        }
    }
    findings
}

/// Whether a culprit may be named for what really happened.
fn may_be_said(cause: Cause, culprit: &str) -> bool {
    match cause {
        Cause::WaitTimeout => culprit == "server_idle_timeout",
        Cause::Proxy => culprit == "proxy_idle_timeout",
        Cause::Firewall => culprit == "network_idle_timeout",
        Cause::Lifetime => culprit == "lifetime_limit",
        Cause::Killer | Cause::Kill => culprit == "server_kill",
        Cause::Restart => culprit == "server_restart",
        Cause::Reload => culprit == "mass_disconnect",
        Cause::Flush | Cause::Eviction => culprit == "network_state_loss",
        Cause::OwnTimer => false,
    }
}

/// Every age that idle sessions die at in this world at its end.
fn limits(nature: &Nature) -> Vec<f64> {
    let factor = nature.factor(f64::INFINITY);
    let of_way = |way: &Way| [way.firewall, way.proxy, way.lifetime].into_iter().flatten();
    let ways = nature.ways.iter().flat_map(of_way).map(|limit| limit * factor);
    let wait_timeout = |server: &Server| nature.wait_timeout(server, f64::INFINITY);
    let servers = nature.servers.iter().map(wait_timeout);
    let killers = nature.killer.iter().filter(|killer| killer.until.is_infinite());
    ways.chain(servers).chain(killers.map(|killer| killer.idle)).collect()
}
