//! The inference: from the ending and its witness to the culprit, by one rule at a time.
//!
//! The type of the last packet never decides alone: RST while idle is a middlebox or MariaDB's
//! `wait_timeout`, FIN is KILL, shutdown, a proxy or a pool-of-threads server.

use super::Culprit;
use super::evidence::{Evidence, Row};
use crate::domain::culprit::lost_state::Story;
use crate::domain::life::ending::Ending;
use crate::domain::life::kind::Kind;
use crate::domain::life::tolerance::is_near_wait_timeout;

mod fin;

use fin::{both_silent_twins_died, conclude_fin, conclude_killed};

/// A culprit, and the rule that named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conclusion {
    /// Who did it.
    pub culprit: Culprit,
    /// Why this one, in a few words for the event log.
    pub rule: &'static str,
    /// Whether it stands. Where it does not, twins or companions may yet speak, and the death had
    /// better wait for them before it is counted.
    pub decided: bool,
    /// Whether it strikes at this age again and again, although this culprit need not.
    pub recurs: bool,
    /// Whether others show that no timer did it, although this culprit may be one: the death says nothing
    /// of ages.
    pub stray: bool,
}

/// ER_SERVER_SHUTDOWN: "Server shutdown in progress".
const SERVER_SHUTDOWN: u16 = 1053;
/// ER_CONNECTION_KILLED, MariaDB: "Connection was killed".
const CONNECTION_KILLED: u16 = 1927;
/// ER_CLIENT_INTERACTION_TIMEOUT, MySQL 8.0.24 and later: "disconnected by the server because of inactivity".
const CLIENT_INTERACTION_TIMEOUT: u16 = 4031;

/// This many others at one instant are no chance.
const MANY: usize = 2;
/// So many others of its age show that what closed one that pings is a limit of age, and one more where it is itself
/// concluded of: one alone may be of its age by chance.
const OF_ONE_AGE: usize = 2;
/// The same where one that is younger lives past that age: what closes a few again and again, whatever their age, meets
/// some of one age by chance.
const OF_ONE_AGE_OF_A_PART: usize = 5;
/// The rule of one that a timer would have ended later.
const TOO_EARLY: &str = "closed sooner than any at its age: no timer is early";
/// The rule of one that may have been killed, or not.
const KILL_STRIKES_TOO: &str =
    "closed at an age at which KILL strikes, and whether it did so here is not known";

/// Names the culprit of one death. The rules stand in the order of their strength; the first that
/// fits wins.
pub fn conclude(evidence: &Evidence) -> Conclusion {
    match evidence.error_code {
        Some(SERVER_SHUTDOWN) => {
            return decided(Culprit::ServerRestart, "the server said it shuts down (1053)");
        }
        Some(CONNECTION_KILLED) => {
            return decided(Culprit::ServerKill, "the server said the connection was killed (1927)");
        }
        Some(CLIENT_INTERACTION_TIMEOUT) => {
            return decided(
                Culprit::ServerIdleTimeout,
                "the server said the session was idle too long (4031)",
            );
        }
        Some(_) | None => {}
    }
    if evidence.restarted {
        return decided(
            Culprit::ServerRestart,
            "the server's uptime or identity changed since the canary was born",
        );
    }
    let unasked = evidence.exact && !evidence.ending.is_found_by_probe();
    // A probe in that very instant is answered by what closed the others; or by a device that had forgotten the flow before,
    // and the server does not know.
    let is_answered = match evidence.ending {
        Ending::Fin => true,
        Ending::ResetOnUse => evidence.row != Row::Present,
        Ending::Goodbye | Ending::Reset | Ending::Silence => false,
    };
    if evidence.same_instant >= MANY && (unasked || is_answered) && !is_at_wait_timeout(evidence) {
        return conclude_many(evidence);
    }
    if evidence.kind == Kind::Active {
        return conclude_active(evidence);
    }
    if evidence.ending.is_found_by_probe() || !evidence.exact {
        return conclude_found(evidence);
    }
    if is_at_wait_timeout(evidence) && evidence.row != Row::Present {
        return decided(
            Culprit::ServerIdleTimeout,
            "closed while idle at the session's own wait_timeout, and its row is gone",
        );
    }
    let is_early_kill = evidence.killed == Some(true) && evidence.before_its_age;
    let may_be_of_age = evidence.twins.active == Some(false) && evidence.same_age >= OF_ONE_AGE;
    if may_be_of_age && !is_early_kill {
        return conclude_of_age(evidence);
    }
    if evidence.proxy_seen && evidence.ending != Ending::Reset {
        return conclude_behind_proxy(evidence);
    }
    match evidence.ending {
        Ending::Reset => conclude_reset(evidence),
        Ending::Fin => conclude_fin(evidence),
        Ending::Goodbye | Ending::ResetOnUse | Ending::Silence => {
            decided(Culprit::Unknown, "the server spoke first, in words that name no cause")
        }
    }
}

const fn decided(culprit: Culprit, rule: &'static str) -> Conclusion {
    Conclusion { culprit, rule, decided: true, recurs: false, stray: false }
}

const fn open(culprit: Culprit, rule: &'static str) -> Conclusion {
    Conclusion { decided: false, ..decided(culprit, rule) }
}

const fn stray(rule: &'static str) -> Conclusion {
    Conclusion { stray: true, ..decided(Culprit::Unknown, rule) }
}

/// Alone so far: a timer that rules a part of the connections only is known by those that die at this age next.
const fn alone(rule: &'static str) -> Conclusion {
    Conclusion { decided: false, ..stray(rule) }
}

/// Whether the session's own idle timer was due. It does not run while a statement sleeps, and a
/// proxy's answer about it is worth nothing.
fn is_at_wait_timeout(evidence: &Evidence) -> bool {
    evidence.kind != Kind::Busy
        && !evidence.proxy_seen
        && evidence.wait_timeout.is_some_and(|timeout| is_near_wait_timeout(evidence.age, timeout))
}

/// Many closed at one instant, whatever their age. A restart shows in Uptime or identity.
fn conclude_many(evidence: &Evidence) -> Conclusion {
    if evidence.is_killed() {
        return decided(
            Culprit::ServerKill,
            "many closed at one instant whatever their age, and Com_kill rose",
        );
    }
    if evidence.killed.is_none() {
        return stray("many closed at one instant whatever their age, and whether by KILL could not be read");
    }
    if evidence.killed == Some(true) && evidence.row != Row::Present {
        return stray(
            "many closed at one instant whatever their age, and Com_kill rose, but not for them alone",
        );
    }
    let rule = if evidence.row == Row::Present {
        "many closed at one instant whatever their age, and the server still lists them: a proxy closed them all"
    } else {
        "many closed at one instant whatever their age, Uptime and Com_kill unmoved: a proxy, or offline_mode"
    };
    decided(Culprit::MassDisconnect, rule)
}

/// Closed at an age at which those that ping die too.
fn conclude_of_age(evidence: &Evidence) -> Conclusion {
    if evidence.is_killed() {
        let rule = "closed at an age at which those that ping die too, and Com_kill rose with each";
        return Conclusion { recurs: true, ..decided(Culprit::ServerKill, rule) };
    }
    if evidence.is_too_early() {
        return open(Culprit::Unknown, TOO_EARLY);
    }
    if evidence.killed == Some(true) && evidence.kills_near > 0 {
        return open(Culprit::Unknown, KILL_STRIKES_TOO);
    }
    if evidence.is_where_kill_strikes() {
        return conclude_where_kill_strikes(evidence);
    }
    decided(Culprit::LifetimeLimit, "closed at one age again and again, and the pinging twin dies too")
}

/// Closed at an age at which KILL ends whoever is that old, and whether by KILL is not known.
fn conclude_where_kill_strikes(evidence: &Evidence) -> Conclusion {
    if evidence.others_are_killed {
        return open(Culprit::Unknown, KILL_STRIKES_TOO);
    }
    let rule =
        "closed at an age at which KILL strikes, those that ping too, and whether by KILL could not be read";
    Conclusion { recurs: true, ..decided(Culprit::ServerKill, rule) }
}

/// A canary that pings: no idle timer reaches it.
fn conclude_active(evidence: &Evidence) -> Conclusion {
    let Evidence { ending, exact, row, proxy_seen, outlived, .. } = *evidence;
    let is_silent = matches!(ending, Ending::Silence | Ending::ResetOnUse);
    let enough = if evidence.outlived_by_younger { OF_ONE_AGE_OF_A_PART } else { OF_ONE_AGE };
    if is_silent && matches!(evidence.story, Story::OneMoment | Story::HereAndThere) {
        conclude_silent(evidence)
    } else if exact && evidence.killed == Some(true) && row == Row::Gone && evidence.died_unkilled {
        // Those that die at its age do so without.
        decided(
            Culprit::ServerKill,
            "a canary that pings was closed, row gone, and Com_kill rose with it alone",
        )
    } else if exact && evidence.is_killed() && evidence.same_age > 0 {
        let rule = "a canary that pings was closed at an age at which KILL strikes, and Com_kill rose";
        Conclusion { recurs: true, ..decided(Culprit::ServerKill, rule) }
    } else if exact && evidence.is_where_kill_strikes() && evidence.same_age > 0 {
        conclude_where_kill_strikes(evidence)
    } else if evidence.same_age > enough && !is_silent && evidence.is_too_early() {
        open(Culprit::Unknown, TOO_EARLY)
    } else if evidence.same_age > enough && !is_silent {
        let rule = "a canary that pings died at the age at which idle ones die";
        // Until then somebody younger may live past it.
        let decided_at_once = evidence.same_age > OF_ONE_AGE_OF_A_PART;
        Conclusion { decided: decided_at_once, ..decided(Culprit::LifetimeLimit, rule) }
    } else if evidence.same_age > 0 && !is_silent {
        open(Culprit::Unknown, "a canary that pings died, and few others at its age")
    } else if ending == Ending::Fin
        && exact
        && row == Row::Gone
        && !proxy_seen
        && evidence.killed == Some(true)
    {
        let rule = "a canary that pings was closed, row gone, Com_kill rose, and no idle one died at its age";
        Conclusion { decided: outlived, ..decided(Culprit::ServerKill, rule) }
    } else if outlived {
        stray("a canary that pings died, and an idle one lives past its age: no limit")
    } else {
        open(Culprit::Unknown, "a canary that pings died, and no other at its age")
    }
}

/// Closed while idle behind a proxy that speaks MySQL: its idle timer, unless others show that it is none.
fn conclude_behind_proxy(evidence: &Evidence) -> Conclusion {
    if evidence.excludes_timers() {
        return alone("closed behind a proxy, and another idle canary lives past this age: no timer");
    }
    let rule = "closed while idle behind a proxy seen by its thread ids";
    Conclusion { decided: evidence.same_age > 0, ..decided(Culprit::ProxyIdleTimeout, rule) }
}

/// A death that only the probe found.
fn conclude_found(evidence: &Evidence) -> Conclusion {
    if is_at_wait_timeout(evidence) && evidence.row == Row::Gone && evidence.ending != Ending::Silence {
        return decided(
            Culprit::ServerIdleTimeout,
            "closed in the very moment of the probe at the session's own wait_timeout, and its row is gone",
        );
    }
    match evidence.ending {
        Ending::Silence | Ending::ResetOnUse => conclude_silent(evidence),
        // A timer strikes in the very moment of a probe now and then: those that died at this age
        // unasked say which.
        Ending::Fin if evidence.same_age > 0 => conclude_fin(evidence),
        Ending::Fin => {
            open(Culprit::Unknown, "closed in answer to the probe, and nobody died at this age unasked")
        }
        Ending::Goodbye | Ending::Reset => {
            decided(Culprit::Unknown, "closed in answer to the probe, so the age of the death is not known")
        }
    }
}

/// A device between forgot the flow: by an idle timer, or not.
fn conclude_silent(evidence: &Evidence) -> Conclusion {
    let timer = if evidence.ending == Ending::Silence {
        "no answer to the probe, and a fresh connect works"
    } else {
        "reset in answer to the probe, and a fresh connect works"
    };
    match evidence.story {
        Story::Timer => decided(Culprit::NetworkIdleTimeout, timer),
        Story::OneMoment => decided(
            Culprit::NetworkStateLoss,
            "dead are those born before one moment, and those born after it live past their ages: flows were lost then",
        ),
        Story::HereAndThere => decided(
            Culprit::NetworkStateLoss,
            "others keep outliving this age and shorter ones died: flows are forgotten here and there",
        ),
        Story::Open => open(
            Culprit::Unknown,
            "found dead by the probe, and the lives beside it do not tell an idle timer from lost state",
        ),
    }
}

/// A RST while idle, away from `wait_timeout`.
fn conclude_reset(evidence: &Evidence) -> Conclusion {
    let Evidence { row, twins, kind, .. } = *evidence;
    if row == Row::Present {
        decided(Culprit::NetworkIdleTimeout, "reset while idle, and the server still lists the session")
    } else if evidence.is_killed() && evidence.same_age > 0 {
        // A proxy that sees the server close resets its own side.
        conclude_killed(evidence)
    } else if evidence.excludes_timers() {
        alone("reset while idle, and another idle canary lives past this age: no timer")
    } else if twins.keepalive == Some(true) && !evidence.is_of_a_part() {
        decided(Culprit::NetworkIdleTimeout, "reset while idle, and the twin with TCP keepalive lives")
    } else if both_silent_twins_died(twins, kind) {
        decided(Culprit::ProxyIdleTimeout, "reset while idle, and the keepalive and busy twins die too")
    } else {
        open(Culprit::Unknown, "reset while idle away from wait_timeout, and no twin measured that decides")
    }
}
