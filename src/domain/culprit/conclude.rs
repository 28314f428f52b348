//! The inference: from the ending and its witness to the culprit, by one rule at a time.
//!
//! The type of the last packet never decides alone: RST while idle is a middlebox or MariaDB's
//! `wait_timeout`, FIN is KILL, shutdown, a proxy or a pool-of-threads server.

use super::Culprit;
use super::evidence::{Evidence, Row, Twins};
use crate::domain::culprit::lost_state::Story;
use crate::domain::life::ending::Ending;
use crate::domain::life::kind::Kind;
use crate::domain::life::tolerance::is_near_wait_timeout;

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
/// After so many others of its age, one that died sooner than all of them is no death of theirs.
const MANY_OF_ITS_AGE: usize = 6;

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
    // A probe in that very instant is answered by what closed the others.
    let is_answered = matches!(evidence.ending, Ending::Fin | Ending::ResetOnUse);
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
    if evidence.twins.active == Some(false) && evidence.same_age >= OF_ONE_AGE && !is_early_kill {
        return decided(
            Culprit::LifetimeLimit,
            "closed at one age again and again, and the pinging twin dies too",
        );
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

/// A canary that pings: no idle timer reaches it.
fn conclude_active(evidence: &Evidence) -> Conclusion {
    let Evidence { ending, exact, row, proxy_seen, outlived, .. } = *evidence;
    let is_silent = matches!(ending, Ending::Silence | Ending::ResetOnUse);
    if is_silent && matches!(evidence.story, Story::OneMoment | Story::HereAndThere) {
        conclude_silent(evidence)
    } else if exact && evidence.killed == Some(true) && row == Row::Gone && evidence.died_unkilled {
        // Those that die at its age do so without.
        decided(
            Culprit::ServerKill,
            "a canary that pings was closed, row gone, and Com_kill rose with it alone",
        )
    } else if evidence.same_age > OF_ONE_AGE && !is_silent {
        decided(Culprit::LifetimeLimit, "a canary that pings died at the age at which idle ones die")
    } else if evidence.same_age > 0 && !is_silent {
        open(Culprit::Unknown, "a canary that pings died, and one or two others at its age")
    } else if ending == Ending::Fin && exact && row == Row::Gone && !proxy_seen && evidence.may_be_killed() {
        let rule = "a canary that pings was closed, row gone, uptime steady, and no idle one died at its age";
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

/// A FIN while idle, away from `wait_timeout`.
fn conclude_fin(evidence: &Evidence) -> Conclusion {
    match evidence.killed {
        Some(true) if evidence.is_killed() => conclude_killed(evidence),
        Some(true) if evidence.before_its_age && evidence.row == Row::Gone && !evidence.too_few_kills => {
            let rule = "closed sooner than any at its age, row gone, and Com_kill rose: no timer is early";
            Conclusion { decided: evidence.outlived, ..decided(Culprit::ServerKill, rule) }
        }
        // Until one that died at this age alone says by what.
        Some(true) if evidence.too_few_kills && !evidence.died_unkilled && evidence.row == Row::Gone => open(
            Culprit::Unknown,
            "closed with others at one instant, and Com_kill rose, but not as often as sessions were closed",
        ),
        Some(_) if evidence.row == Row::Gone => conclude_closed_by_another(evidence),
        // What strikes at this age strikes without KILL.
        None if evidence.row == Row::Gone && evidence.died_unkilled && evidence.same_age > 0 => {
            conclude_closed_by_another(evidence)
        }
        Some(_) | None => conclude_uncounted(evidence),
    }
}

/// The server ended it, and its count of KILLs rose.
fn conclude_killed(evidence: &Evidence) -> Conclusion {
    let Evidence { twins, same_age, kills_near, outlived, .. } = *evidence;
    if same_age == 0 && (kills_near == 0 || outlived) {
        let rule = "closed away from wait_timeout, row gone, uptime steady, Com_kill rose, alone at its age";
        return Conclusion { decided: outlived, ..decided(Culprit::ServerKill, rule) };
    }
    // A person who kills several spares others that are as old.
    let recurs = !evidence.outlived_by_younger;
    let rule = if same_age == 0 {
        "several closed at ages near this, row gone, and Com_kill rose with each: a tool that looks seldom"
    } else if twins.busy == Some(true) {
        "several closed at one age while the busy twin lives, and Com_kill rose: a killer of idle sessions"
    } else if twins.busy == Some(false) {
        "several closed at one age, the busy twin too, and Com_kill rose with each: a killer of all sessions"
    } else {
        "several closed at one age, row gone, and Com_kill rose with each"
    };
    Conclusion { recurs, ..decided(Culprit::ServerKill, rule) }
}

/// The server saw it end, and no KILL was counted: a client or a proxy before it closed it.
fn conclude_closed_by_another(evidence: &Evidence) -> Conclusion {
    let Evidence { kind, twins, same_age, .. } = *evidence;
    if evidence.excludes_timers() {
        return alone(
            "closed alone, Com_kill unmoved, and another idle canary lives past this age: no timer",
        );
    }
    if same_age == 0 {
        return open(Culprit::Unknown, "closed away from wait_timeout, Com_kill unmoved, alone at its age");
    }
    if evidence.before_its_age && (evidence.same_instant > 0 || same_age >= MANY_OF_ITS_AGE) {
        return open(Culprit::Unknown, "closed sooner than any at its age: no timer is early");
    }
    if evidence.kills_strike {
        return open(Culprit::Unknown, "closed at an age at which KILL strikes, and Com_kill unmoved");
    }
    if twins.busy == Some(true) && kind != Kind::Busy && !evidence.is_of_a_part() {
        return open(
            Culprit::Unknown,
            "several closed at one age, Com_kill unmoved, and a statement that sleeps is spared",
        );
    }
    // Without the keepalive twin's death a firewall that closes both sides is not ruled out, and without the
    // pinging twin's life a limit on the age of connections is not. The busy twin is not needed: a server may
    // forbid long statements.
    let is_silence_what_kills = kind == Kind::Keepalive || twins.keepalive == Some(false);
    if twins.active == Some(true) && (is_silence_what_kills || evidence.is_of_a_part()) {
        decided(
            Culprit::ProxyIdleTimeout,
            "several closed at one age, row gone, Com_kill unmoved: what closes both sides is a proxy",
        )
    } else {
        open(
            Culprit::Unknown,
            "several closed at one age, Com_kill unmoved, and no twin measured that decides",
        )
    }
}

/// A FIN where the count of KILLs could not be read, or where the server was not seen to end the session.
fn conclude_uncounted(evidence: &Evidence) -> Conclusion {
    let Evidence { kind, row, twins, same_age, outlived, .. } = *evidence;
    if evidence.others_are_killed && evidence.excludes_timers() {
        return alone(
            "closed alone, others are killed as often, and another idle canary lives past this age",
        );
    }
    if evidence.others_are_killed && row == Row::Gone && (same_age == 0 || twins.busy != Some(true)) {
        return open(
            Culprit::Unknown,
            "closed, Com_kill rose, and others are killed so often that it would anyway",
        );
    }
    if same_age == 0 && evidence.may_be_killed() && row == Row::Gone {
        let rule = "closed away from wait_timeout, row gone, uptime steady, alone at its age";
        return Conclusion { decided: outlived, ..decided(Culprit::ServerKill, rule) };
    }
    if same_age == 0 {
        return open(
            Culprit::Unknown,
            "closed away from wait_timeout, alone at its age, and the server was not seen to end it",
        );
    }
    let may_be_killed = evidence.may_be_killed() || evidence.others_are_killed;
    if evidence.are_kills_read && row == Row::Gone && may_be_killed && !evidence.died_unkilled {
        // Whoever else died there says by what.
        return if evidence.kills_near > 0 {
            let rule = "several closed at one age, row gone, and Com_kill rose with others there";
            Conclusion { recurs: true, ..decided(Culprit::ServerKill, rule) }
        } else if twins.busy == Some(true) && !evidence.is_of_a_part() {
            let rule = "several closed at one age while the busy twin lives: a killer of idle sessions";
            Conclusion { recurs: true, ..decided(Culprit::ServerKill, rule) }
        } else {
            open(Culprit::Unknown, "several closed at one age, and whether by KILL could not be read")
        };
    }
    if kind == Kind::Busy || both_silent_twins_died(twins, kind) {
        let rule = "several closed at one age, the keepalive and busy twins too";
        return Conclusion { decided: twins.active.is_some(), ..decided(Culprit::ProxyIdleTimeout, rule) };
    }
    if evidence.is_of_a_part() {
        open(
            Culprit::Unknown,
            "several closed at one age that others outlive, and twins tell nothing of a part",
        )
    } else if twins.busy == Some(true) && evidence.may_be_killed() && row == Row::Gone {
        let rule = "several closed at one age while the busy twin lives: a killer of idle sessions";
        Conclusion { recurs: true, ..decided(Culprit::ServerKill, rule) }
    } else if twins.keepalive == Some(true) {
        decided(
            Culprit::NetworkIdleTimeout,
            "several closed at one age while the twin with TCP keepalive lives",
        )
    } else {
        open(Culprit::Unknown, "several closed at one age, and no twin measured that decides")
    }
}

/// Whether the keepalive and the busy twin both died, counting the dead canary itself as one of them.
fn both_silent_twins_died(twins: Twins, kind: Kind) -> bool {
    let keepalive = kind == Kind::Keepalive || twins.keepalive == Some(false);
    let busy = kind == Kind::Busy || twins.busy == Some(false);
    keepalive && busy
}
