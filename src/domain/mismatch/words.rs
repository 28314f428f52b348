//! What a rule that holds says, with the numbers it compared.

use crate::domain::layers::in_words;
use crate::domain::limit::IdleLimit;
use crate::domain::pool::{Framework, Pool, Recycle};

use super::facts::Facts;
use super::rules;

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
    let users: Vec<String> = rules::sessions_at_risk_by_user(facts)
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(user, count)| {
            let longest = facts.sessions_of(&user).unwrap_or_default().longest();
            format!("{count} of user {user}, the longest {}", in_words(longest))
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

pub(super) fn paths_disagree(facts: &Facts) -> String {
    let mut others: Vec<String> = facts
        .other_paths
        .iter()
        .filter(|other| rules::path_disagrees(facts, other) == Some(true))
        .map(|other| format!("path {}: {}", other.name, limit(&other.idle)))
        .collect();
    others.sort();
    format!(
        "the idle limit of path {} is {}, of {}; the hop in which they differ ends the sessions",
        facts.path,
        limit(&facts.idle),
        others.join(", of ")
    )
}
