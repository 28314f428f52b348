//! The rules, one function each: `Some(true)`, `Some(false)`, or `None` where the facts do not decide.

use crate::domain::culprit::Culprit;
use crate::domain::layers::pool::{Pool, Recycle};
use crate::domain::layers::{Device, stall_lower_bound};
use crate::domain::life::tolerance::{DECLARED_EARLY, is_near_wait_timeout};
use crate::domain::limit::IdleLimit;

use super::bracket::{allowed, device_acts_by, firm_upper, reached, safe_below};
use super::facts::{Facts, HeldSessions};

/// A recycle age under this, in seconds, may be too eager.
pub(super) const EAGER_SECONDS: f64 = 60.0;
/// A recycle age under one part in so many of the limit may be too eager.
pub(super) const EAGER_PARTS: f64 = 10.0;
/// `tcp_retries2` where the kernel's own is not known: the default of Linux.
const DEFAULT_RETRIES2: u32 = 15;

/// The path kills before the session's `wait_timeout`, so the server keeps sessions that are dead.
///
/// True when every limit the bracket allows lies below `wait_timeout`. False when the server itself is
/// the killer, when canaries outlived `wait_timeout`, or when an exact death is at or past it. A silent
/// bracket around `wait_timeout` decides nothing, nor does an unconfirmed death, nor a lifetime limit,
/// which may be the server's own.
pub(super) fn path_shorter_than_server(facts: &Facts) -> Option<bool> {
    let wait_timeout = facts.session_wait_timeout?;
    match facts.killer.map(|killer| killer.culprit) {
        Some(Culprit::ServerIdleTimeout | Culprit::ServerKill) => return Some(false),
        Some(Culprit::LifetimeLimit) => return None,
        Some(_) | None => {}
    }
    let idle = &facts.idle;
    match idle.upper.filter(|_| idle.confirmed) {
        Some(upper) if idle.exact => Some(upper < wait_timeout && !is_near_wait_timeout(upper, wait_timeout)),
        Some(upper) if upper < wait_timeout => Some(true),
        Some(_) | None => (idle.lower >= wait_timeout).then_some(false),
    }
}

/// A pool may lend a connection that is idle past the limit, or older than the lifetime limit.
///
/// The age of a connection bounds its idle time, so a recycle age is a bound on idle time too; the
/// tightest of recycle, idle timeout and the pool's own ping counts. A lifetime limit is compared with
/// the recycle age alone. A pool that declares none of them has nothing to compare:
/// [`pool_never_recycles`] speaks for it. `reached` says what an open bracket does.
pub(super) fn pool_outlives_path(facts: &Facts, pool: &Pool) -> Option<bool> {
    let by_idle = longest_idle(facts, pool).and_then(|longest| reached(&facts.idle, longest));
    let by_age = match pool.recycle {
        Recycle::After(seconds) => reached(&facts.lifetime, seconds),
        Recycle::Never | Recycle::Unknown => None,
    };
    if by_age == Some(true) { Some(true) } else { by_idle }
}

/// A pool never replaces its connections, and there is a limit.
///
/// That there is a limit is sure with two deaths, whatever its bracket. False where the pool's idle
/// timeout or its own ping keeps every connection's idle time below the limit, undecided where that
/// lies inside the bracket. A lifetime limit spares no pool that never recycles.
pub(super) fn pool_never_recycles(facts: &Facts, pool: &Pool) -> Option<bool> {
    match pool.recycle {
        Recycle::After(_) => Some(false),
        Recycle::Unknown => None,
        Recycle::Never if lifetime_limit(facts) == Some(true) => Some(true),
        Recycle::Never if !is_limited(&facts.idle) => None,
        Recycle::Never => {
            longest_idle(facts, pool).map_or(Some(true), |longest| reached(&facts.idle, longest))
        }
    }
}

/// A pool's recycle age is under a tenth of the limit and under 60 s: it mostly reconnects.
///
/// True when a tenth of the longest age known to be safe is above the recycle age; that needs no death,
/// for canaries survived it. False from 60 s on, or when ten times the recycle age reaches the limit.
pub(super) fn pool_recycles_too_eagerly(facts: &Facts, pool: &Pool) -> Option<bool> {
    let recycle = match pool.recycle {
        Recycle::After(seconds) => seconds,
        Recycle::Never => return Some(false),
        Recycle::Unknown => return None,
    };
    if recycle >= EAGER_SECONDS {
        return Some(false);
    }
    if recycle * EAGER_PARTS < safe_below(&facts.idle) {
        return Some(true);
    }
    firm_upper(&facts.idle).is_some_and(|upper| recycle * EAGER_PARTS >= upper).then_some(false)
}

/// Sessions of a pool's user are idle for longer than the pool keeps a connection: they are checked out
/// and held, or leaked.
///
/// Needs no limit. A session that is idle for longer than the recycle age is older than it too.
pub(super) fn session_held_past_recycle(facts: &Facts, pool: &Pool) -> Option<bool> {
    Some(held_by_pool(facts, pool)?.count > 0)
}

/// How many sessions each declared pool's user holds past the pool's recycle age, in the order of the
/// pools: one entry for each pool whose rule [`Rule::SessionHeldPastRecycle`](super::Rule) can be judged.
pub fn sessions_held_past_recycle(facts: &Facts) -> Vec<HeldSessions> {
    facts.pools_here().filter_map(|pool| held_by_pool(facts, pool)).collect()
}

fn held_by_pool(facts: &Facts, pool: &Pool) -> Option<HeldSessions> {
    let Recycle::After(recycle) = pool.recycle else { return None };
    let sessions = facts.sessions_of(pool.user.as_deref()?)?;
    let count = sessions.past(recycle);
    // Of those without an age nobody knows that they are not held.
    if count == 0 && sessions.ageless > 0 {
        return None;
    }
    Some(HeldSessions { pool: pool.name.clone(), user: sessions.user, count })
}

/// TCP keepalive would help, and the kernel's first probe comes at or after the limit.
///
/// False also where keepalive is known not to help, and where the server ends idle sessions itself,
/// whatever a canary showed before it did. Undecided while that is not measured.
pub(super) fn keepalive_too_late(facts: &Facts) -> Option<bool> {
    if server_ends_idle_sessions(facts) {
        return Some(false);
    }
    match facts.remedies.tcp_keepalive? {
        true => reached(&facts.idle, facts.kernel?.keepalive_time),
        false => Some(false),
    }
}

/// The keepalive canary died too, twice.
///
/// Undecided while the limit is not confirmed. Undecided where the server ends idle sessions itself, by `wait_timeout` or by KILL: packets are no
/// statements, so the canary dies whatever the path does, and nothing is known of the path.
pub(super) fn keepalive_ineffective(facts: &Facts) -> Option<bool> {
    match facts.remedies.tcp_keepalive.filter(|_| !server_ends_idle_sessions(facts))? {
        true => Some(false),
        false => facts.idle.confirmed.then_some(true),
    }
}

/// Whether idle canaries die of the server's own timer, or of KILL by something on it.
fn server_ends_idle_sessions(facts: &Facts) -> bool {
    let culprit = facts.killer.map(|killer| killer.culprit);
    matches!(culprit, Some(Culprit::ServerIdleTimeout | Culprit::ServerKill))
}

/// `@@session.wait_timeout` differs from the global one.
pub(super) fn session_timeout_not_global(facts: &Facts) -> Option<bool> {
    Some(facts.session_wait_timeout? != facts.global_wait_timeout?)
}

/// A declared device and the measurement disagree.
///
/// True when one device disagrees, false when at least one agrees and none disagrees.
pub(super) fn declared_not_measured(facts: &Facts) -> Option<bool> {
    let answers: Vec<bool> =
        facts.devices.iter().filter_map(|device| device_disagrees(facts, device)).collect();
    (!answers.is_empty()).then(|| answers.contains(&true))
}

/// Whether one device and the measurement disagree.
///
/// Canaries that outlive the moment by which the device must have acted prove that it did not; that
/// needs no death. Deaths before its time disagree too, unless something known to be shorter explains
/// them: another declared device, or the session's own `wait_timeout`. A bracket that holds both the
/// declared time and earlier ones decides nothing.
pub(super) fn device_disagrees(facts: &Facts, device: &Device) -> Option<bool> {
    let (from, to) = allowed(&facts.idle);
    let earliest = |seconds: f64| seconds - DECLARED_EARLY.both(seconds);
    let declared = device.idle_timeout;
    if from >= device_acts_by(declared) {
        return Some(true);
    }
    if to.is_infinite() {
        return None;
    }
    if to < earliest(declared) {
        let explains =
            |seconds: f64| seconds < declared && earliest(seconds) <= to && device_acts_by(seconds) >= from;
        let explained = facts.devices.iter().any(|other| explains(other.idle_timeout))
            || facts.session_wait_timeout.is_some_and(explains);
        return if explained { None } else { Some(true) };
    }
    let agrees = from >= earliest(declared) && to <= device_acts_by(declared);
    agrees.then_some(false)
}

/// Deaths are silent, and a pool waits for an answer for as long as the kernel does.
///
/// One silent death may be a stray, so two are needed, and two deaths of another sort to say that there
/// is none. A read timeout that is no shorter than the kernel's own end of patience (`tcp_retries2`)
/// is as good as none.
pub(super) fn server_outlives_client_stall(facts: &Facts, pool: &Pool) -> Option<bool> {
    let waits = pool.read_timeout.is_none_or(|seconds| seconds >= stall_seconds(facts));
    match (waits, facts.silent_deaths(), facts.bounding_deaths()) {
        (false, _, _) => Some(false),
        (true, 2.., _) => Some(true),
        (true, 1, _) => None,
        (true, 0, deaths) => (deaths >= 2).then_some(false),
    }
}

/// How long a send on a dead path hangs at least, in seconds.
pub(super) fn stall_seconds(facts: &Facts) -> f64 {
    stall_lower_bound(facts.kernel.map_or(DEFAULT_RETRIES2, |kernel| kernel.retries2))
}

/// The server lists sessions whose client is known dead.
pub(super) fn ghosts_on_server(facts: &Facts) -> Option<bool> {
    facts.ghosts.map(|ghosts| ghosts > 0)
}

/// Active canaries die at a fixed age. False once one has lived past the age that idle ones die at, or
/// any age while none of either died.
pub(super) fn lifetime_limit(facts: &Facts) -> Option<bool> {
    let active = &facts.lifetime;
    match (active.upper, facts.idle.upper) {
        (Some(_), _) if active.confirmed => Some(true),
        (Some(_), _) => None,
        (None, Some(idle)) => (active.lower >= idle).then_some(false),
        (None, None) => (active.lower > 0.0).then_some(false),
    }
}

/// The longest that a connection of this pool can have been idle when it is lent, in seconds. `None`
/// where nothing declared bounds it. The pool's own ping counts unless pings are known not to help.
pub(super) fn longest_idle(facts: &Facts, pool: &Pool) -> Option<f64> {
    let recycle = match pool.recycle {
        Recycle::After(seconds) => Some(seconds),
        Recycle::Never | Recycle::Unknown => None,
    };
    let ping = pool.keepalive.filter(|_| facts.remedies.app_ping != Some(false));
    [recycle, pool.idle_timeout, ping].into_iter().flatten().reduce(f64::min)
}

/// Whether it is sure that there is a limit, wherever it lies.
fn is_limited(limit: &IdleLimit) -> bool {
    limit.upper.is_some() && (limit.confirmed || limit.standing_deaths >= 2)
}
