//! One row a rule.

use super::*;
use crate::domain::culprit::lost_state::Story;
use crate::domain::life::ending::Ending;
use crate::domain::life::kind::Kind;

fn death() -> Evidence {
    Evidence {
        kind: Kind::Idle,
        ending: Ending::Fin,
        age: 5.0,
        exact: true,
        error_code: None,
        wait_timeout: Some(28800.0),
        row: Row::Gone,
        restarted: false,
        proxy_seen: false,
        killed: None,
        others_are_killed: false,
        same_age: 0,
        before_its_age: false,
        kills_near: 0,
        killed_before: 0,
        died_unkilled: false,
        kills_strike: false,
        too_few_kills: false,
        counted_with_another_age: false,
        same_instant: 0,
        outlived: false,
        outlived_by_younger: false,
        of_a_part: false,
        are_kills_read: false,
        story: Story::Timer,
        twins: Twins::default(),
    }
}

fn of_age() -> Evidence {
    let twins = Twins { active: Some(false), ..Twins::default() };
    Evidence { same_age: 6, are_kills_read: true, twins, ..death() }
}

fn culprit(evidence: Evidence) -> Culprit {
    conclude(&evidence).culprit
}

#[test]
fn each_rule_names_its_culprit() {
    let rows: Vec<(&str, Evidence, Culprit)> = vec![
        (
            "goodbye 4031",
            Evidence { ending: Ending::Goodbye, error_code: Some(4031), ..death() },
            Culprit::ServerIdleTimeout,
        ),
        (
            "goodbye 1927",
            Evidence { ending: Ending::Goodbye, error_code: Some(1927), ..death() },
            Culprit::ServerKill,
        ),
        (
            "goodbye 1053",
            Evidence { ending: Ending::Goodbye, error_code: Some(1053), ..death() },
            Culprit::ServerRestart,
        ),
        (
            "goodbye under TLS at wait_timeout",
            Evidence { ending: Ending::Goodbye, wait_timeout: Some(5.0), ..death() },
            Culprit::ServerIdleTimeout,
        ),
        ("goodbye that says nothing", Evidence { ending: Ending::Goodbye, ..death() }, Culprit::Unknown),
        ("fin at wait_timeout", Evidence { wait_timeout: Some(5.0), ..death() }, Culprit::ServerIdleTimeout),
        (
            "fin a little after",
            Evidence { wait_timeout: Some(5.0), age: 5.4, ..death() },
            Culprit::ServerIdleTimeout,
        ),
        (
            "reset at wait_timeout",
            Evidence { ending: Ending::Reset, wait_timeout: Some(5.0), ..death() },
            Culprit::ServerIdleTimeout,
        ),
        (
            "reset at wait_timeout, row there",
            Evidence { ending: Ending::Reset, wait_timeout: Some(5.0), row: Row::Present, ..death() },
            Culprit::NetworkIdleTimeout,
        ),
        (
            "busy dies at wait_timeout",
            Evidence { kind: Kind::Busy, wait_timeout: Some(5.0), same_age: 1, ..death() },
            Culprit::ProxyIdleTimeout,
        ),
        ("fin alone", death(), Culprit::Unknown),
        ("fin alone, Com_kill rose", Evidence { killed: Some(true), ..death() }, Culprit::ServerKill),
        ("fin alone, processlist silent", Evidence { row: Row::Unknown, ..death() }, Culprit::Unknown),
        ("fin, two at one age", Evidence { same_age: 1, ..death() }, Culprit::Unknown),
        (
            "fin, several, twins dead",
            Evidence {
                same_age: 1,
                twins: Twins { keepalive: Some(false), busy: Some(false), active: Some(true) },
                ..death()
            },
            Culprit::ProxyIdleTimeout,
        ),
        (
            "fin, several, busy lives",
            Evidence {
                same_age: 1,
                twins: Twins { keepalive: Some(false), busy: Some(true), active: Some(true) },
                ..death()
            },
            Culprit::ServerKill,
        ),
        (
            "fin behind a MySQL proxy",
            Evidence { proxy_seen: true, wait_timeout: Some(5.0), row: Row::Unknown, ..death() },
            Culprit::ProxyIdleTimeout,
        ),
        (
            "restart beats all",
            Evidence { restarted: true, wait_timeout: Some(5.0), ..death() },
            Culprit::ServerRestart,
        ),
        (
            "silence",
            Evidence { ending: Ending::Silence, exact: false, row: Row::Present, ..death() },
            Culprit::NetworkIdleTimeout,
        ),
        (
            "silence past wait_timeout",
            Evidence { ending: Ending::Silence, exact: false, wait_timeout: Some(5.0), ..death() },
            Culprit::NetworkIdleTimeout,
        ),
        (
            "reset on use",
            Evidence { ending: Ending::ResetOnUse, exact: false, row: Row::Present, ..death() },
            Culprit::NetworkIdleTimeout,
        ),
        (
            "reset, row there",
            Evidence { ending: Ending::Reset, row: Row::Present, ..death() },
            Culprit::NetworkIdleTimeout,
        ),
        (
            "reset in answer to a probe in the instant of others, row there",
            Evidence {
                ending: Ending::ResetOnUse,
                exact: false,
                row: Row::Present,
                same_instant: 3,
                killed: Some(false),
                ..death()
            },
            Culprit::NetworkIdleTimeout,
        ),
        ("reset, row gone", Evidence { ending: Ending::Reset, ..death() }, Culprit::Unknown),
        (
            "reset to both sides, keepalive lives",
            Evidence {
                ending: Ending::Reset,
                twins: Twins { keepalive: Some(true), ..Twins::default() },
                ..death()
            },
            Culprit::NetworkIdleTimeout,
        ),
        (
            "reset by a proxy",
            Evidence {
                ending: Ending::Reset,
                twins: Twins { keepalive: Some(false), busy: Some(false), active: None },
                ..death()
            },
            Culprit::ProxyIdleTimeout,
        ),
        ("fin in answer to the probe", Evidence { exact: false, ..death() }, Culprit::Unknown),
        (
            "fin in the very moment of the probe",
            Evidence {
                exact: false,
                same_age: 1,
                twins: Twins { keepalive: Some(false), busy: Some(false), active: Some(true) },
                ..death()
            },
            Culprit::ProxyIdleTimeout,
        ),
        (
            "active dies where two others did",
            Evidence { kind: Kind::Active, same_age: 2, ..death() },
            Culprit::Unknown,
        ),
        (
            "closed, and others are killed as often",
            Evidence { killed: None, others_are_killed: true, are_kills_read: true, ..death() },
            Culprit::Unknown,
        ),
        (
            "several closed, and others are killed as often",
            Evidence {
                killed: None,
                others_are_killed: true,
                are_kills_read: true,
                same_age: 9,
                twins: Twins { keepalive: Some(false), busy: Some(false), active: Some(true) },
                ..death()
            },
            Culprit::Unknown,
        ),
        (
            "active dies where idle dies",
            Evidence { kind: Kind::Active, same_age: 3, ..death() },
            Culprit::LifetimeLimit,
        ),
        (
            "active dies where KILL strikes",
            Evidence { kind: Kind::Active, same_age: 3, killed: Some(true), ..death() },
            Culprit::ServerKill,
        ),
        ("of an age at which those that ping die", of_age(), Culprit::LifetimeLimit),
        ("too soon for it", Evidence { before_its_age: true, ..of_age() }, Culprit::Unknown),
        ("by KILL at it", Evidence { killed: Some(true), ..of_age() }, Culprit::ServerKill),
        ("at it, others by KILL", Evidence { killed_before: 2, ..of_age() }, Culprit::ServerKill),
        ("at it, one by KILL", Evidence { killed_before: 1, ..of_age() }, Culprit::LifetimeLimit),
        (
            "active dies where five others did, and a younger one lives on",
            Evidence { kind: Kind::Active, same_age: 5, outlived_by_younger: true, ..death() },
            Culprit::Unknown,
        ),
        (
            "active dies where six others did, and a younger one lives on",
            Evidence { kind: Kind::Active, same_age: 6, outlived_by_younger: true, ..death() },
            Culprit::LifetimeLimit,
        ),
        (
            "active is closed alone, Com_kill rose",
            Evidence { kind: Kind::Active, killed: Some(true), ..death() },
            Culprit::ServerKill,
        ),
        ("active is closed alone", Evidence { kind: Kind::Active, ..death() }, Culprit::Unknown),
        (
            "active is not answered",
            Evidence { kind: Kind::Active, ending: Ending::Silence, exact: false, ..death() },
            Culprit::Unknown,
        ),
        (
            "active is closed alone behind a proxy",
            Evidence { kind: Kind::Active, proxy_seen: true, row: Row::Unknown, ..death() },
            Culprit::Unknown,
        ),
        ("many at one instant, KILLs not counted", Evidence { same_instant: 2, ..death() }, Culprit::Unknown),
        (
            "many at one instant, no KILL counted",
            Evidence { same_instant: 4, killed: Some(false), ..death() },
            Culprit::MassDisconnect,
        ),
        (
            "many at one instant, KILL USER",
            Evidence { same_instant: 4, killed: Some(true), ..death() },
            Culprit::ServerKill,
        ),
        (
            "many at one instant, Uptime fell back",
            Evidence { same_instant: 4, restarted: true, ..death() },
            Culprit::ServerRestart,
        ),
        (
            "many at one instant, and the server lists them still",
            Evidence { same_instant: 4, row: Row::Present, killed: Some(false), ..death() },
            Culprit::MassDisconnect,
        ),
        ("no KILL counted, alone", Evidence { killed: Some(false), ..death() }, Culprit::Unknown),
        (
            "closed with another one at one instant, and sooner than any at its age",
            Evidence {
                killed: Some(false),
                same_age: 3,
                same_instant: 1,
                before_its_age: true,
                twins: Twins { keepalive: Some(false), busy: Some(false), active: Some(true) },
                ..death()
            },
            Culprit::Unknown,
        ),
        ("a KILL counted, alone", Evidence { killed: Some(true), ..death() }, Culprit::ServerKill),
        (
            "a killer of busy sessions too",
            Evidence {
                killed: Some(true),
                same_age: 3,
                twins: Twins { keepalive: Some(false), busy: Some(false), active: Some(true) },
                ..death()
            },
            Culprit::ServerKill,
        ),
        (
            "somebody else is killed meanwhile, and others at this age were not",
            Evidence {
                killed: Some(true),
                died_unkilled: true,
                same_age: 3,
                twins: Twins { keepalive: Some(false), busy: Some(false), active: Some(true) },
                ..death()
            },
            Culprit::ProxyIdleTimeout,
        ),
        (
            "a tool that looks seldom",
            Evidence { killed: Some(true), kills_near: 2, ..death() },
            Culprit::ServerKill,
        ),
        (
            "a proxy where long statements are forbidden: no busy twin",
            Evidence {
                killed: Some(false),
                same_age: 2,
                twins: Twins { keepalive: Some(false), busy: None, active: Some(true) },
                ..death()
            },
            Culprit::ProxyIdleTimeout,
        ),
        (
            "a proxy on a part of the way, and a twin on the other part",
            Evidence {
                killed: Some(false),
                same_age: 3,
                outlived: true,
                outlived_by_younger: true,
                twins: Twins { keepalive: Some(true), busy: Some(true), active: Some(true) },
                ..death()
            },
            Culprit::ProxyIdleTimeout,
        ),
        (
            "closed on both sides while keepalive lives: a firewall, or a proxy on another part of the way",
            Evidence {
                killed: Some(false),
                same_age: 3,
                twins: Twins { keepalive: Some(true), busy: Some(false), active: Some(true) },
                ..death()
            },
            Culprit::Unknown,
        ),
        (
            "keepalive twins die of a proxy where idle ones die of a firewall",
            Evidence {
                kind: Kind::Keepalive,
                killed: Some(false),
                same_age: 1,
                twins: Twins { active: Some(true), ..Twins::default() },
                ..death()
            },
            Culprit::ProxyIdleTimeout,
        ),
        (
            "silence, all flows lost at one moment",
            Evidence { ending: Ending::Silence, exact: false, story: Story::OneMoment, ..death() },
            Culprit::NetworkStateLoss,
        ),
        (
            "reset on use, flows lost here and there",
            Evidence { ending: Ending::ResetOnUse, exact: false, story: Story::HereAndThere, ..death() },
            Culprit::NetworkStateLoss,
        ),
        (
            "silence, not told yet",
            Evidence { ending: Ending::Silence, exact: false, story: Story::Open, ..death() },
            Culprit::Unknown,
        ),
        (
            "many at one instant, a lifetime is none",
            Evidence { kind: Kind::Active, same_instant: 3, same_age: 1, killed: Some(false), ..death() },
            Culprit::MassDisconnect,
        ),
        (
            "many at one instant behind a proxy",
            Evidence { same_instant: 2, proxy_seen: true, row: Row::Unknown, killed: Some(false), ..death() },
            Culprit::MassDisconnect,
        ),
        (
            "wait_timeout in the company of others",
            Evidence { same_instant: 2, wait_timeout: Some(5.0), ..death() },
            Culprit::ServerIdleTimeout,
        ),
        (
            "one other at that instant",
            Evidence { same_instant: 1, killed: Some(true), ..death() },
            Culprit::ServerKill,
        ),
    ];
    for (name, evidence, expected) in rows {
        assert_eq!(culprit(evidence), expected, "{name}: {}", conclude(&evidence).rule);
    }
}

mod bounds;
