//! What fixed documents are put together from.

use super::NOW;
use crate::status::{
    Canary, Death, DeathsOfAge, Layer, Limit, LivesOfAge, PathDocument, Remedies, Server, TargetDocument,
};

pub(super) const RUNGS: [f64; 10] =
    [30.0, 60.0, 150.0, 300.0, 330.0, 600.0, 1800.0, 3600.0, 14_400.0, 28_800.0];

pub(super) fn empty_path(name: &str, address: &str) -> PathDocument {
    PathDocument {
        path: name.to_owned(),
        address: address.to_owned(),
        standing: "measuring",
        measuring_since: None,
        reach_seconds: None,
        ladder_survived: false,
        trouble: None,
        suspended: Vec::new(),
        canaries: Vec::new(),
        lives: Vec::new(),
        limits: Vec::new(),
        server_limits: Vec::new(),
        identities: Vec::new(),
        killer: None,
        remedies: Remedies { tcp_keepalive: None, app_ping: None },
        recommended_recycle_seconds: None,
        layers: Vec::new(),
        mismatches: Vec::new(),
        foretold: None,
        devices: Vec::new(),
        at_risk: None,
        left_behind: None,
        held_past_recycle: None,
        deaths: Vec::new(),
        verdict: None,
    }
}

pub(super) fn target(name: &str, standing: &'static str, paths: Vec<PathDocument>) -> TargetDocument {
    TargetDocument {
        target: name.to_owned(),
        standing,
        server: Some(server()),
        sessions: None,
        pools: Vec::new(),
        rungs_seconds: RUNGS.to_vec(),
        paths,
    }
}

pub(super) fn server() -> Server {
    Server {
        flavor: "mysql",
        version: Some("8.4.7".to_owned()),
        started_at: Some(NOW - 12.0 * 86_400.0),
        view_age_seconds: 4.2,
        threads_connected: Some(61.0),
        max_connections: Some(500.0),
        sight: Some("everyone"),
    }
}

pub(super) fn canaries() -> Vec<Canary> {
    let canary = |kind, phase, idle_seconds, aim_seconds| Canary { kind, phase, idle_seconds, aim_seconds };
    vec![
        canary("idle", "held", Some(12.4), 30.0),
        canary("idle", "held", Some(44.0), 60.0),
        canary("idle", "held", Some(101.0), 150.0),
        canary("idle", "held", Some(218.0), 300.0),
        canary("idle", "held", Some(300.5), 346.0),
        canary("keepalive", "held", Some(290.0), 360.0),
        canary("idle", "dying", Some(352.0), 352.0),
        canary("idle", "connecting", None, 330.0),
    ]
}

pub(super) fn lives() -> Vec<LivesOfAge> {
    let lives = |kind, from_seconds, to_seconds, survived, deaths: &[(&'static str, usize)]| LivesOfAge {
        kind,
        from_seconds,
        to_seconds,
        survived,
        deaths: deaths.iter().map(|&(culprit, count)| DeathsOfAge { culprit, count }).collect(),
    };
    vec![
        lives("idle", 30.0, 30.2, 212, &[]),
        lives("idle", 60.0, 60.1, 140, &[("server_kill", 1)]),
        lives("idle", 150.0, 150.3, 61, &[]),
        lives("idle", 300.0, 300.2, 33, &[]),
        lives("idle", 345.0, 348.0, 9, &[]),
        lives("idle", 350.0, 352.1, 0, &[("network_idle_timeout", 7)]),
        lives("idle", 600.0, 600.0, 0, &[("network_idle_timeout", 2)]),
        lives("keepalive", 360.0, 361.0, 3, &[]),
        lives("active", 3600.0, 3600.0, 1, &[]),
    ]
}

pub(super) fn layers() -> Vec<Layer> {
    let layer = |layer, setting: &str, seconds, clock, source| Layer {
        layer,
        setting: setting.to_owned(),
        seconds,
        clock,
        source,
    };
    vec![
        layer("network", "idle_limit", 350.0, "idle", "measured"),
        layer("server", "wait_timeout", 28_800.0, "idle", "read"),
        layer("server", "interactive_timeout", 28_800.0, "idle", "read"),
        layer("kernel", "tcp_keepalive_time", 7200.0, "idle", "read"),
        layer("kernel", "keepalive_give_up", 675.0, "stall", "read"),
        layer("kernel", "send_give_up", 924.6, "stall", "read"),
        layer("network", "nlb.idle_timeout", 350.0, "idle", "declared"),
        layer("pool", "api.recycle", 1800.0, "age", "declared"),
    ]
}

pub(super) fn limit(lower: f64, upper: Option<f64>) -> Limit {
    let died = upper.is_some();
    Limit {
        kind: "idle",
        lower_seconds: Some(lower),
        upper_seconds: upper,
        exact: died.then_some(false),
        confirmed: died.then_some(true),
        share: died.then_some(1.0),
        spread_to_seconds: None,
        evidence_age_seconds: Some(42.0),
    }
}

pub(super) fn deaths() -> Vec<Death> {
    let death = |age_seconds: f64, ago: f64, ending, culprit, layer, rule, thread_id| Death {
        at: NOW - ago,
        kind: "idle",
        age_seconds,
        exact: false,
        ending,
        culprit,
        layer,
        rule,
        thread_id,
        error_code: None,
        stall_seconds: (ending == "silence").then_some(10.0),
    };
    let network = ("network_idle_timeout", "network");
    let mut deaths = vec![
        death(352.1, 42.0, "reset_on_use", network.0, network.1, Some("keepalive_twin_lived"), Some(81_733)),
        death(351.4, 1290.0, "silence", network.0, network.1, Some("keepalive_twin_lived"), Some(81_690)),
        death(60.0, 8100.0, "goodbye", "server_kill", "server", Some("killed_by_com_kill"), Some(80_017)),
        death(600.0, 90_000.0, "reset_on_use", network.0, network.1, None, None),
    ];
    deaths[2].exact = true;
    deaths[2].error_code = Some(1927);
    deaths
}
