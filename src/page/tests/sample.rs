//! Fixed documents: what a page is drawn from where no server is needed.

mod parts;

use parts::{RUNGS, canaries, deaths, empty_path, layers, limit, lives, server, target};

use crate::domain::verdict::Setting;
use crate::status::{
    Device, Document, Foretold, HeldPastRecycle, IdleAtLeast, Killer, LeftBehind, Limit, LivesOfAge,
    Mismatch, PathDocument, Pool, Remedies, RiskOfUser, SCHEMA_VERSION, Server, ServerLimit, TargetDocument,
    Trouble, UserSessions, Verdict,
};

/// The moment of all documents: 2026-03-01, 12:00 UTC.
pub(in crate::page) const NOW: f64 = 1_772_366_400.0;

/// A document of these targets.
pub(in crate::page) fn document(targets: Vec<TargetDocument>) -> Document {
    Document { schema_version: SCHEMA_VERSION, exporter_version: "0.1.0", generated_at: NOW, targets }
}

/// A path with a limit of 350 s.
fn ill(name: &str) -> PathDocument {
    let some = |text: &str| Some(text.to_owned());
    let setting =
        |place, line: &str, why: &str| Setting { place, line: line.to_owned(), why: why.to_owned() };
    let mismatch = |rule, holds, words: Option<&str>| Mismatch {
        rule,
        pool: None,
        holds,
        words: words.map(str::to_owned),
    };
    PathDocument {
        standing: "ill",
        measuring_since: Some(NOW - 3.0 * 86_400.0),
        reach_seconds: Some(348.0),
        canaries: canaries(),
        lives: lives(),
        limits: vec![limit(348.0, Some(350.0))],
        killer: Some(Killer {
            culprit: "network_idle_timeout",
            layer: "network",
            ending: "reset_on_use",
            suspect: "AWS NLB".to_owned(),
        }),
        remedies: Remedies { tcp_keepalive: Some(true), app_ping: Some(true) },
        recommended_recycle_seconds: Some(270.0),
        layers: layers(),
        mismatches: vec![
            mismatch(
                "path_shorter_than_server",
                true,
                Some(
                    "path default ends idle sessions before the server does: its limit is between 348 s and 350 s, \
                     wait_timeout is 28800 s (8h)",
                ),
            ),
            mismatch(
                "keepalive_too_late",
                true,
                Some(
                    "TCP keepalive would help, but the kernel's first probe comes after 7200 s (2h) and the limit is \
                     between 348 s and 350 s",
                ),
            ),
            mismatch("session_timeout_not_global", false, None),
            mismatch("ghosts_on_server", false, None),
        ],
        devices: vec![Device {
            device: "nlb".to_owned(),
            layer: "network",
            idle_timeout_seconds: 350.0,
            words: "forgets a connection after 350 s without a packet".to_owned(),
        }],
        at_risk: Some(vec![RiskOfUser {
            user: "api".to_owned(),
            sessions: 3,
            severity: "critical",
            tense: "has_failed",
        }]),
        left_behind: Some(vec![LeftBehind { user: "reports".to_owned(), sessions: 2 }]),
        held_past_recycle: Some(vec![HeldPastRecycle {
            pool: "api".to_owned(),
            user: "api".to_owned(),
            sessions: 1,
        }]),
        deaths: deaths(),
        verdict: Some(Verdict {
            sound: false,
            short: "Sessions on path default die of idleness: 348 s idle they live, 350 s idle they are dead. A firewall, \
                    NAT or load balancer on the network does it, by an idle timer."
                .to_owned(),
            sentences: vec![
                "Sessions on path default die of idleness: 348 s idle they live, 350 s idle they are dead.".to_owned(),
                "Nothing is seen before the next query, which is answered with a reset.".to_owned(),
                "A firewall, NAT or load balancer on the network does it, by an idle timer.".to_owned(),
                "TCP keepalive helps, when it comes sooner; an application's ping helps.".to_owned(),
            ],
            suspects: vec!["350 s is the default of AWS NLB (TLS listener), idle timeout (fixed)".to_owned()],
            settings: vec![
                setting("kernel", "net.ipv4.tcp_keepalive_time = 110", "sockets with SO_KEEPALIVE on send their first probe in time"),
                setting("kernel", "net.ipv4.tcp_keepalive_intvl = 10", "seconds between probes"),
                setting("SQLAlchemy", "create_engine(url, pool_recycle=270, pool_pre_ping=True)", "looked at when a connection is lent, not while it is held"),
                setting("HikariCP", "maxLifetime=270000", "milliseconds"),
            ],
        }),
        server_limits: vec![ServerLimit { identity: some("db-2"), limit: limit(348.0, Some(350.0)) }],
        identities: vec!["db-1".to_owned(), "db-2".to_owned()],
        ..empty_path(name, "orders-db.example.org:3306")
    }
}

/// A target whose one path has a limit.
pub(in crate::page) fn checkout() -> TargetDocument {
    let idle = |at_least_seconds, sessions| IdleAtLeast { at_least_seconds, sessions };
    let user = |user: &str, sessions, asleep, longest, idle| UserSessions {
        user: user.to_owned(),
        sessions,
        asleep: Some(asleep),
        longest_idle_seconds: Some(longest),
        idle,
    };
    TargetDocument {
        sessions: Some(vec![
            user(
                "api",
                22,
                20,
                871.0,
                vec![
                    idle(30.0, 8),
                    idle(60.0, 8),
                    idle(150.0, 2),
                    idle(300.0, 2),
                    idle(330.0, 2),
                    idle(600.0, 2),
                ],
            ),
            user(
                "jobs",
                3,
                3,
                640.0,
                vec![
                    idle(30.0, 1),
                    idle(60.0, 1),
                    idle(150.0, 1),
                    idle(300.0, 1),
                    idle(330.0, 1),
                    idle(600.0, 1),
                ],
            ),
        ]),
        pools: vec![Pool {
            pool: "api".to_owned(),
            user: Some("api".to_owned()),
            framework: "sqlalchemy",
            words: "replaces a connection at an age of 1800 s when it is lent, and waits for an answer without end"
                .to_owned(),
        }],
        ..target("checkout", "ill", vec![ill("default")])
    }
}

fn nothing_wrong(sentence: &str) -> Verdict {
    Verdict {
        sound: true,
        short: sentence.to_owned(),
        sentences: vec![sentence.to_owned()],
        suspects: Vec::new(),
        settings: Vec::new(),
    }
}

/// A path on which nothing was measured yet.
fn measuring(name: &str) -> PathDocument {
    PathDocument {
        measuring_since: Some(NOW - 95.0),
        reach_seconds: Some(60.0),
        canaries: canaries().into_iter().filter(|canary| canary.idle_seconds.is_some_and(|idle| idle < 100.0)).collect(),
        lives: vec![
            LivesOfAge { kind: "idle", from_seconds: 30.0, to_seconds: 30.1, survived: 3, deaths: Vec::new() },
            LivesOfAge { kind: "idle", from_seconds: 60.0, to_seconds: 60.0, survived: 1, deaths: Vec::new() },
        ],
        limits: vec![Limit { evidence_age_seconds: Some(31.0), ..limit(60.0, None) }],
        layers: layers().into_iter().filter(|layer| layer.source == "read").collect(),
        mismatches: vec![Mismatch { rule: "session_timeout_not_global", pool: None, holds: false, words: None }],
        foretold: Some(Foretold {
            setting: "wait_timeout".to_owned(),
            layer: "server",
            seconds: 28_800.0,
            words: "The first of the known timeouts to end an idle session is the server's wait_timeout of 28800 s (8h)."
                .to_owned(),
            mismatches: Vec::new(),
        }),
        verdict: Some(nothing_wrong(
            "No canary died of idleness on path default: 60 s idle they live. Nothing is known of longer ages.",
        )),
        ..empty_path(name, "orders-db.example.org:3306")
    }
}

/// A path whose whole ladder is survived.
fn sound(name: &str) -> PathDocument {
    let sentence = "No canary died of idleness on path default: 28800 s (8h) idle they live. Nothing is known of longer ages.";
    PathDocument {
        standing: "sound",
        measuring_since: Some(NOW - 9.0 * 86_400.0),
        reach_seconds: Some(28_800.0),
        ladder_survived: true,
        canaries: canaries().into_iter().filter(|canary| canary.kind == "idle").collect(),
        lives: RUNGS
            .iter()
            .map(|&rung| LivesOfAge {
                kind: "idle",
                from_seconds: rung,
                to_seconds: rung,
                survived: 12,
                deaths: Vec::new(),
            })
            .collect(),
        limits: vec![limit(28_800.0, None)],
        layers: layers().into_iter().filter(|layer| layer.source == "read").collect(),
        verdict: Some(nothing_wrong(sentence)),
        ..empty_path(name, "billing-db.example.org:3306")
    }
}

/// A path whose server refuses.
fn down(name: &str) -> PathDocument {
    PathDocument {
        standing: "unreachable",
        trouble: Some(Trouble {
            stage: "tcp",
            words: "nobody listens at legacy-db.example.org:3306 (connection refused): start the server, or mend the \
                    address"
                .to_owned(),
            error_code: None,
            age_seconds: 3.0,
        }),
        suspended: vec!["connect_failing"],
        verdict: Some(Verdict { sentences: Vec::new(), ..nothing_wrong("") }),
        ..empty_path(name, "legacy-db.example.org:3306")
    }
}

/// A document in which every name and every sentence that comes from outside is this text.
pub(in crate::page) fn named(text: &str) -> Document {
    let mut target = checkout();
    let name = || text.to_owned();
    target.target = name();
    target.server = Some(Server { version: Some(name()), ..server() });
    for user in target.sessions.iter_mut().flatten() {
        user.user = name();
    }
    for pool in &mut target.pools {
        (pool.pool, pool.user, pool.words) = (name(), Some(name()), name());
    }
    for path in &mut target.paths {
        (path.path, path.address) = (name(), name());
        path.trouble =
            Some(Trouble { stage: "tcp", words: name(), error_code: Some(1045), age_seconds: 1.0 });
        path.identities = vec![name(), name()];
        path.server_limits.iter_mut().for_each(|of| of.identity = Some(name()));
        path.killer.iter_mut().for_each(|killer| killer.suspect = name());
        path.layers.iter_mut().for_each(|layer| layer.setting = name());
        path.mismatches.iter_mut().for_each(|of| (of.pool, of.words) = (Some(name()), Some(name())));
        path.foretold = Some(Foretold {
            setting: name(),
            layer: "server",
            seconds: 5.0,
            words: name(),
            mismatches: path.mismatches.clone(),
        });
        path.devices.iter_mut().for_each(|of| (of.device, of.words) = (name(), name()));
        path.at_risk.iter_mut().flatten().for_each(|of| of.user = name());
        path.left_behind.iter_mut().flatten().for_each(|of| of.user = name());
        path.held_past_recycle.iter_mut().flatten().for_each(|of| (of.pool, of.user) = (name(), name()));
        if let Some(verdict) = &mut path.verdict {
            (verdict.short, verdict.sentences, verdict.suspects) = (name(), vec![name()], vec![name()]);
            verdict.settings.iter_mut().for_each(|of| (of.line, of.why) = (name(), name()));
        }
    }
    document(vec![target])
}

/// Every state by name.
pub(in crate::page) fn states() -> Vec<(&'static str, Document)> {
    let unseen = |target: TargetDocument| TargetDocument { server: None, ..target };
    let nth = |number: usize| {
        let name = format!("path-{number:02}");
        match number % 9 {
            3 => ill(&name),
            4 => measuring(&name),
            7 if number > 50 => down(&name),
            _ => sound(&name),
        }
    };
    vec![
        ("starting", document(Vec::new())),
        ("measuring", document(vec![target("checkout", "measuring", vec![measuring("default")])])),
        ("sound", document(vec![target("billing", "sound", vec![sound("default")])])),
        ("ill", document(vec![checkout()])),
        ("down", document(vec![unseen(target("legacy", "unreachable", vec![down("default")]))])),
        (
            "three_paths",
            document(vec![target(
                "orders",
                "ill",
                vec![sound("direct"), ill("balancer"), measuring("proxy")],
            )]),
        ),
        ("sixty_paths", document(vec![target("fleet", "unreachable", (0..60).map(nth).collect())])),
        (
            "targets",
            document(vec![
                target("archive", "sound", vec![sound("default")]),
                target("billing", "sound", vec![sound("direct"), sound("balancer")]),
                checkout(),
                unseen(target("legacy", "unreachable", vec![down("default")])),
                target("orders", "ill", vec![sound("direct"), ill("balancer"), measuring("proxy")]),
                target("reports", "measuring", vec![measuring("default")]),
            ]),
        ),
    ]
}
