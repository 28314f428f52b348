//! What a rule that holds says, with the numbers it compared.

use crate::domain::applications::risk::Tense;
use crate::domain::applications::rules::Difference;
use crate::domain::layers::in_words;
use crate::domain::layers::pool::{Framework, Pool, Recycle};
use crate::domain::limit::IdleLimit;

use super::facts::Facts;
use super::paths::{self, Comparison};
use super::rules;
use super::witnesses::{self, AtRisk};

/// The limit of idle canaries: "350 s", or "between 320 s and 420 s".
fn limit(limit: &IdleLimit) -> String {
    match limit.upper {
        Some(upper) if limit.exact => in_words(upper),
        // A bracket narrower than what is written is one age.
        Some(upper) if in_words(limit.lower) == in_words(upper) => in_words(upper),
        Some(upper) if limit.lower > 0.0 => {
            format!("between {} and {}", in_words(limit.lower), in_words(upper))
        }
        Some(upper) => format!("{} or less", in_words(upper)),
        None => format!("above {}", in_words(limit.lower)),
    }
}

fn recycle(pool: &Pool) -> String {
    match pool.recycle {
        Recycle::After(seconds) => in_words(seconds),
        Recycle::Never => "never".to_owned(),
        Recycle::Unknown => "not declared".to_owned(),
    }
}

pub(super) fn path_shorter_than_server(facts: &Facts) -> String {
    let wait_timeout = facts.session_wait_timeout.map(in_words).unwrap_or_default();
    format!(
        "path {} ends idle sessions before the server does: its limit is {}, wait_timeout is {wait_timeout}",
        facts.path,
        limit(&facts.idle),
    )
}

pub(super) fn pool_outlives_path(facts: &Facts, pool: &Pool) -> String {
    if let (Recycle::After(seconds), Some(true)) = (pool.recycle, rules::lifetime_limit(facts))
        && super::reached(&facts.lifetime, seconds) == Some(true)
    {
        return format!(
            "pool {} keeps connections for {}, and they die at an age of {}",
            pool.name,
            in_words(seconds),
            limit(&facts.lifetime)
        );
    }
    let longest = rules::longest_idle(facts, pool).map(in_words).unwrap_or_default();
    let pre_ping =
        if pool.pre_ping { "; pre_ping replaces dead ones, at the price of a failed ping" } else { "" };
    format!(
        "pool {} may lend a connection that was idle for {longest}, and the limit is {}{pre_ping}",
        pool.name,
        limit(&facts.idle)
    )
}

pub(super) fn pool_never_recycles(facts: &Facts, pool: &Pool) -> String {
    if rules::lifetime_limit(facts) == Some(true) {
        return format!(
            "pool {} never recycles, and connections die at an age of {}",
            pool.name,
            limit(&facts.lifetime)
        );
    }
    format!("pool {} never recycles, and sessions die when idle for {}", pool.name, limit(&facts.idle))
}

pub(super) fn pool_recycles_too_eagerly(facts: &Facts, pool: &Pool) -> String {
    let safe = in_words(super::safe_below(&facts.idle));
    format!(
        "pool {} replaces connections every {}, and they would live for {safe}: it mostly reconnects",
        pool.name,
        recycle(pool)
    )
}

pub(super) fn session_held_past_recycle(facts: &Facts, pool: &Pool) -> String {
    let user = pool.user.as_deref().unwrap_or_default();
    let sessions = facts.sessions_of(user).unwrap_or_default();
    let past = match pool.recycle {
        Recycle::After(seconds) => sessions.past(seconds),
        Recycle::Never | Recycle::Unknown => 0,
    };
    // SQLAlchemy looks at the age only when it lends a connection, so one may also rest in the pool.
    let or_resting = if pool.framework == Framework::Sqlalchemy {
        ", or resting in a pool that nobody uses (SQLAlchemy looks at the age only at checkout)"
    } else {
        ""
    };
    let who = match past {
        1 => format!("1 session of user {user} is idle for"),
        _ => format!("{past} sessions of user {user} are idle, the longest for"),
    };
    format!(
        "{who} {}, past the recycle age of pool {}, {}: checked out and held, or leaked{or_resting}",
        in_words(sessions.longest()),
        pool.name,
        recycle(pool),
    )
}

pub(super) fn sessions_at_risk(facts: &Facts) -> String {
    let users: Vec<String> = super::sessions_at_risk_by_user(facts)
        .unwrap_or_default()
        .into_iter()
        .filter(|at_risk| at_risk.count > 0)
        .map(|AtRisk { user, count, tense, .. }| {
            let longest = in_words(facts.sessions_of(&user).unwrap_or_default().longest());
            let failed = match tense {
                Tense::HasFailed => ", and sessions like these have failed",
                Tense::WillFail => "",
            };
            format!("{count} of user {user}, the longest {longest}{failed}")
        })
        .collect();
    format!(
        "application sessions are idle past the limit ({}), and their next query fails: {}",
        limit(&facts.idle),
        users.join("; ")
    )
}

pub(super) fn keepalive_too_late(facts: &Facts) -> String {
    let first = facts.kernel.map(|kernel| in_words(kernel.keepalive_time)).unwrap_or_default();
    format!(
        "TCP keepalive would help, but the kernel's first probe comes after {first} and the limit is {}",
        limit(&facts.idle)
    )
}

pub(super) fn keepalive_ineffective(facts: &Facts) -> String {
    format!("TCP keepalive does not help on path {}: the canary that used it died too", facts.path)
}

pub(super) fn session_timeout_not_global(facts: &Facts) -> String {
    let of = |seconds: Option<f64>| seconds.map(in_words).unwrap_or_default();
    format!(
        "sessions get a wait_timeout of {}, the global one is {}",
        of(facts.session_wait_timeout),
        of(facts.global_wait_timeout)
    )
}

pub(super) fn declared_not_measured(facts: &Facts) -> String {
    let mut devices: Vec<String> = facts
        .devices
        .iter()
        .filter(|device| rules::device_disagrees(facts, device) == Some(true))
        .map(|device| format!("device {} is declared with {}", device.name, in_words(device.idle_timeout)))
        .collect();
    devices.sort();
    format!("{}, and the measured limit is {}", devices.join(", "), limit(&facts.idle))
}

pub(super) fn server_outlives_client_stall(facts: &Facts, pool: &Pool) -> String {
    format!(
        "deaths on path {} are silent, and pool {} has no read timeout that ends sooner: a query on a dead \
         connection hangs for {} or more",
        facts.path,
        pool.name,
        in_words(rules::stall_seconds(facts))
    )
}

pub(super) fn ghosts_on_server(facts: &Facts) -> String {
    match facts.ghosts.unwrap_or_default() {
        1 => "the server still lists 1 session whose client is dead".to_owned(),
        count => format!("the server still lists {count} sessions whose clients are dead"),
    }
}

pub(super) fn lifetime_limit(facts: &Facts) -> String {
    format!(
        "connections on path {} die at an age of {}, whatever they do",
        facts.path,
        limit(&facts.lifetime)
    )
}

pub(super) fn application_path_differs(facts: &Facts) -> String {
    let told: Vec<String> = witnesses::differences(facts)
        .iter()
        .flatten()
        .map(|difference| match difference {
            Difference::Outlives { user, count, longest } => format!(
                "sessions of user {user} woke up alive {count} times from well past the limit, the longest after {}: they \
                 take another path, or have a keepalive of their own",
                in_words(*longest)
            ),
            Difference::DiesEarlier { user, count, age: (from, to) } => format!(
                "{count} sessions of user {user} were aborted when idle for {} to {}, where canaries live: a \
                 wait_timeout of their own, KILL, or something on their own path ends them",
                in_words(*from),
                in_words(*to)
            ),
        })
        .collect();
    told.join("; ")
}

pub(super) fn undeclared_pool(facts: &Facts) -> String {
    let Some(evidence) = &facts.applications else { return String::new() };
    let users: Vec<String> = witnesses::undeclared_users(evidence, &facts.pools)
        .map(|(user, oldest)| format!("user {user}, {} old", in_words(oldest)))
        .collect();
    format!(
        "sessions grow older than the limit ({}) lets one rest, and no pool is declared for them: {}",
        limit(&facts.idle),
        users.join("; ")
    )
}

pub(super) fn pool_not_as_declared(facts: &Facts, pool: &Pool) -> String {
    let user = pool.user.as_deref().unwrap_or_default();
    let witness = facts.applications.as_ref().and_then(|evidence| evidence.users.get(user));
    let observed = witness.map(|witness| witness.observed).unwrap_or_default();
    let range = |(from, to): (f64, f64)| format!("{} to {}", in_words(from), in_words(to));
    let age = observed.replaces_at.map(|seen| format!("are replaced at an age of {}", range(seen)));
    let idle = observed.closes_idle_at.map(|seen| format!("are closed when idle for {}", range(seen)));
    let rested = (observed.rested > 0.0)
        .then(|| format!("were lent again after a rest of {}", in_words(observed.rested)));
    let seen: Vec<String> = [age, idle].into_iter().flatten().collect();
    let seen = if seen.is_empty() { rested.unwrap_or_default() } else { seen.join(" and ") };
    let idle_timeout = pool.idle_timeout.map_or_else(|| "not declared".to_owned(), in_words);
    format!(
        "sessions of user {user} {seen}, and pool {} is declared with recycle {} and idle_timeout {idle_timeout}",
        pool.name,
        recycle(pool)
    )
}

pub(super) fn paths_disagree(facts: &Facts) -> String {
    let others: Vec<String> = paths::compared(facts)
        .into_iter()
        .filter(|(_, comparison)| matches!(comparison, Comparison::Shorter | Comparison::Longer))
        .map(|(other, _)| format!("path {}: {}", other.name, limit(&other.idle)))
        .collect();
    format!(
        "the idle limit of path {} is {}, of {}; the hop in which they differ ends the sessions",
        facts.path,
        limit(&facts.idle),
        others.join(", of ")
    )
}
