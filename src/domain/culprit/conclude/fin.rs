//! A FIN while idle, away from `wait_timeout`: KILL, a proxy's timer, a client or a proxy that closed one session, or a killer
//! of idle ones.

use super::{Conclusion, TOO_EARLY, alone, decided, open};
use crate::domain::culprit::Culprit;
use crate::domain::culprit::evidence::{Evidence, Row, Twins};
use crate::domain::life::kind::Kind;

/// So many that a KILL was counted with show that KILL ended one of their age too: one alone may be a person's.
const SHOW_A_KILLER: usize = 2;

/// A FIN while idle, away from `wait_timeout`.
pub(super) fn conclude_fin(evidence: &Evidence) -> Conclusion {
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
pub(super) fn conclude_killed(evidence: &Evidence) -> Conclusion {
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
    if evidence.is_too_early() {
        return open(Culprit::Unknown, TOO_EARLY);
    }
    if evidence.killed == Some(true) && evidence.counted_with_another_age {
        return open(Culprit::Unknown, "closed at one instant with one of another age, and Com_kill rose");
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
    if same_age == 0 && row == Row::Gone {
        // Who closes one session beside the server, a proxy or a client, looks the same.
        let rule = "closed away from wait_timeout, row gone, alone at its age, and whether by KILL could not be read";
        return if outlived { alone(rule) } else { open(Culprit::Unknown, rule) };
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
        return if evidence.kills_near >= SHOW_A_KILLER {
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
pub(super) fn both_silent_twins_died(twins: Twins, kind: Kind) -> bool {
    let keepalive = kind == Kind::Keepalive || twins.keepalive == Some(false);
    let busy = kind == Kind::Busy || twins.busy == Some(false);
    keepalive && busy
}
