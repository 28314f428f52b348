//! Mismatches: which timeouts between an application and its server contradict each other.
//!
//! Each rule is one pure function of [`Facts`] that answers true, false, or nothing where the facts do
//! not decide. A limit is mostly known as a bracket, so a rule is true only when it holds for every
//! limit the bracket allows, false only when it holds for none, and silent between (see [`reached`]).

mod bracket;
mod facts;
mod foretold;
mod idle_transaction;
pub mod killer;
pub mod paths;
mod rules;
mod witnesses;
mod words;

use serde::Serialize;

pub use bracket::{firm_upper, reached, safe_below};
pub use facts::{Deaths, Facts, HeldSessions, Killer, OtherPath, UserSessions};
pub use foretold::{Foretold, foretell};
pub use idle_transaction::{
    IdleTransactions, OpenTransaction, TransactionTimeout, spelled, transaction_timeouts_below_limit,
};
pub use rules::sessions_held_past_recycle;
pub use witnesses::{AtRisk, path_facts, sessions_at_risk_by_user, sessions_left_behind_by_user};

/// A rule about two layers, or about what their disagreement left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The path kills before the session's `wait_timeout`.
    PathShorterThanServer,
    /// A pool may lend a connection that is idle past the limit.
    PoolOutlivesPath,
    /// A pool never replaces its connections, and there is a limit.
    PoolNeverRecycles,
    /// A pool replaces its connections far more often than the limit asks for.
    PoolRecyclesTooEagerly,
    /// Sessions are idle for longer than their own pool keeps a connection.
    SessionHeldPastRecycle,
    /// Sessions are idle past the limit.
    SessionsAtRisk,
    /// TCP keepalive would help, and the kernel's first probe comes too late.
    KeepaliveTooLate,
    /// TCP keepalive does not help on this path, where the path is what kills.
    KeepaliveIneffective,
    /// Sessions get another `wait_timeout` than the global one.
    SessionTimeoutNotGlobal,
    /// A declared device and the measurement disagree.
    DeclaredNotMeasured,
    /// Deaths are silent, and a pool waits for ever for an answer.
    ServerOutlivesClientStall,
    /// The server lists sessions whose client is dead.
    GhostsOnServer,
    /// Connections die at a fixed age, whatever they do.
    LifetimeLimit,
    /// Two paths to one server have different limits.
    PathsDisagree,
    /// The server ends sessions that rest in a transaction before the limit would, and some do.
    IdleTransactionEndsFirst,
    /// The applications' own sessions live where canaries die, or die where canaries live.
    ApplicationPathDiffers,
    /// Sessions of a user grow older than the limit lets one rest, and no pool is declared for it.
    UndeclaredPool,
    /// A declared pool's sessions show that it behaves otherwise.
    PoolNotAsDeclared,
}

impl Rule {
    /// Every rule, in the order of the documentation.
    pub const ALL: [Self; 18] = [
        Self::PathShorterThanServer,
        Self::PoolOutlivesPath,
        Self::PoolNeverRecycles,
        Self::PoolRecyclesTooEagerly,
        Self::SessionHeldPastRecycle,
        Self::SessionsAtRisk,
        Self::KeepaliveTooLate,
        Self::KeepaliveIneffective,
        Self::SessionTimeoutNotGlobal,
        Self::DeclaredNotMeasured,
        Self::ServerOutlivesClientStall,
        Self::GhostsOnServer,
        Self::LifetimeLimit,
        Self::PathsDisagree,
        Self::IdleTransactionEndsFirst,
        Self::ApplicationPathDiffers,
        Self::UndeclaredPool,
        Self::PoolNotAsDeclared,
    ];

    /// Whether it speaks of sessions that the server lists, as it does now.
    pub const fn rests_on_the_view(self) -> bool {
        matches!(
            self,
            Self::SessionHeldPastRecycle
                | Self::SessionsAtRisk
                | Self::GhostsOnServer
                | Self::IdleTransactionEndsFirst
                | Self::ApplicationPathDiffers
                | Self::UndeclaredPool
                | Self::PoolNotAsDeclared
        )
    }

    /// The value of the label `rule`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::PathShorterThanServer => "path_shorter_than_server",
            Self::PoolOutlivesPath => "pool_outlives_path",
            Self::PoolNeverRecycles => "pool_never_recycles",
            Self::PoolRecyclesTooEagerly => "pool_recycles_too_eagerly",
            Self::SessionHeldPastRecycle => "session_held_past_recycle",
            Self::SessionsAtRisk => "sessions_at_risk",
            Self::KeepaliveTooLate => "keepalive_too_late",
            Self::KeepaliveIneffective => "keepalive_ineffective",
            Self::SessionTimeoutNotGlobal => "session_timeout_not_global",
            Self::DeclaredNotMeasured => "declared_not_measured",
            Self::ServerOutlivesClientStall => "server_outlives_client_stall",
            Self::GhostsOnServer => "ghosts_on_server",
            Self::LifetimeLimit => "lifetime_limit",
            Self::PathsDisagree => "paths_disagree",
            Self::IdleTransactionEndsFirst => "idle_transaction_ends_first",
            Self::ApplicationPathDiffers => "application_path_differs",
            Self::UndeclaredPool => "undeclared_pool",
            Self::PoolNotAsDeclared => "pool_not_as_declared",
        }
    }
}

/// One evaluated rule: one series of `layer_mismatch`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The declared pool it speaks of; empty where it speaks of the path.
    pub pool: String,
    /// Whether the rule holds.
    pub holds: bool,
    /// What was compared, for the event log and the verdict. Empty where the rule does not hold.
    pub words: String,
}

/// Evaluates every rule. A rule that the facts do not decide has no finding. The order of pools,
/// devices, sessions and other paths does not matter.
pub fn evaluate(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Rule::ALL.into_iter().flat_map(|rule| apply(rule, facts)).collect();
    findings.sort();
    findings
}

fn apply(rule: Rule, facts: &Facts) -> Vec<Finding> {
    let of_path = |answer: Option<bool>, words: fn(&Facts) -> String| {
        let finding = |holds| Finding {
            rule,
            pool: String::new(),
            holds,
            words: if holds { words(facts) } else { String::new() },
        };
        answer.map(finding).into_iter().collect()
    };
    let of_pools = |ask: fn(&Facts, &crate::domain::layers::pool::Pool) -> Option<bool>,
                    words: fn(&Facts, &crate::domain::layers::pool::Pool) -> String| {
        let finding = |pool: &crate::domain::layers::pool::Pool| {
            ask(facts, pool).map(|holds| Finding {
                rule,
                pool: pool.name.clone(),
                holds,
                words: if holds { words(facts, pool) } else { String::new() },
            })
        };
        facts.pools_here().filter_map(finding).collect()
    };
    let of_observed_pools =
        |ask: fn(&Facts, &crate::domain::layers::pool::Pool) -> Option<bool>,
         words: fn(&Facts, &crate::domain::layers::pool::Pool) -> String| {
            let pools = facts.applications.as_ref().map(|evidence| evidence.pools(&facts.pools));
            let finding = |pool: crate::domain::layers::pool::Pool| {
                ask(facts, &pool).map(|holds| Finding {
                    rule,
                    words: if holds { words(facts, &pool) } else { String::new() },
                    pool: pool.name,
                    holds,
                })
            };
            pools.into_iter().flatten().filter_map(finding).collect::<Vec<_>>()
        };
    match rule {
        Rule::PathShorterThanServer => {
            of_path(rules::path_shorter_than_server(facts), words::path_shorter_than_server)
        }
        Rule::PoolOutlivesPath => {
            let mut findings: Vec<Finding> = of_pools(rules::pool_outlives_path, words::pool_outlives_path);
            findings.extend(of_observed_pools(rules::pool_outlives_path, words::pool_outlives_path));
            findings
        }
        Rule::PoolNeverRecycles => of_pools(rules::pool_never_recycles, words::pool_never_recycles),
        Rule::PoolRecyclesTooEagerly => {
            of_pools(rules::pool_recycles_too_eagerly, words::pool_recycles_too_eagerly)
        }
        Rule::SessionHeldPastRecycle => {
            of_pools(rules::session_held_past_recycle, words::session_held_past_recycle)
        }
        Rule::SessionsAtRisk => of_path(witnesses::sessions_at_risk(facts), words::sessions_at_risk),
        Rule::KeepaliveTooLate => of_path(rules::keepalive_too_late(facts), words::keepalive_too_late),
        Rule::KeepaliveIneffective => {
            of_path(rules::keepalive_ineffective(facts), words::keepalive_ineffective)
        }
        Rule::SessionTimeoutNotGlobal => {
            of_path(rules::session_timeout_not_global(facts), words::session_timeout_not_global)
        }
        Rule::DeclaredNotMeasured => {
            of_path(rules::declared_not_measured(facts), words::declared_not_measured)
        }
        Rule::ServerOutlivesClientStall => {
            of_pools(rules::server_outlives_client_stall, words::server_outlives_client_stall)
        }
        Rule::GhostsOnServer => of_path(rules::ghosts_on_server(facts), words::ghosts_on_server),
        Rule::LifetimeLimit => of_path(rules::lifetime_limit(facts), words::lifetime_limit),
        Rule::PathsDisagree => of_path(paths::paths_disagree(facts), words::paths_disagree),
        Rule::IdleTransactionEndsFirst => {
            of_path(idle_transaction::idle_transaction_ends_first(facts), idle_transaction::words)
        }
        Rule::ApplicationPathDiffers => {
            of_path(witnesses::application_path_differs(facts), words::application_path_differs)
        }
        Rule::UndeclaredPool => of_path(witnesses::undeclared_pool(facts), words::undeclared_pool),
        Rule::PoolNotAsDeclared => of_pools(witnesses::pool_not_as_declared, words::pool_not_as_declared),
    }
}

#[cfg(test)]
pub(super) use properties::facts as any_facts;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
