//! Properties of the rules over many facts: no panic, no dependence on order, and one bound each.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::tests::{exact, lived, silent, watched};
use super::*;
use crate::domain::culprit::remedy::Remedies;
use crate::domain::culprit::{Culprit, Layer};
use crate::domain::layers::pool::{Framework, Pool, Recycle};
use crate::domain::layers::{Device, Kernel, stall_lower_bound};
use crate::domain::life::ending::Ending;
use crate::domain::limit::IdleLimit;

/// Seconds of every size a reader might hand in, never NaN.
fn seconds() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..100.0_f64,
        4 => 0.0..100_000.0_f64,
        1 => select(vec![0.0, -1.0, 60.0, 350.0, 28800.0, f64::MIN_POSITIVE, f64::MAX, f64::INFINITY]),
    ]
}

fn limit() -> impl Strategy<Value = IdleLimit> {
    (seconds(), option::of(seconds()), any::<bool>(), any::<bool>(), 0..4_usize).prop_map(
        |(lower, upper, exact, confirmed, deaths)| IdleLimit {
            lower,
            upper,
            exact,
            confirmed,
            deaths,
            survivals: deaths,
            standing_deaths: deaths,
            ..IdleLimit::default()
        },
    )
}

fn pool() -> impl Strategy<Value = Pool> {
    let recycle =
        prop_oneof![seconds().prop_map(Recycle::After), Just(Recycle::Never), Just(Recycle::Unknown)];
    (
        (0..5_u8, option::of(0..3_u8), select(Framework::ALL.to_vec()), recycle),
        (option::of(seconds()), option::of(seconds()), any::<bool>(), option::of(seconds())),
    )
        .prop_map(
            |((name, user, framework, recycle), (idle_timeout, keepalive, pre_ping, read_timeout))| Pool {
                name: format!("p{name}"),
                user: user.map(|user| format!("u{user}")),
                path: None,
                framework,
                recycle,
                idle_timeout,
                keepalive,
                pre_ping,
                read_timeout,
            },
        )
}

fn device() -> impl Strategy<Value = Device> {
    (0..5_u8, seconds()).prop_map(|(name, idle_timeout)| Device {
        name: format!("d{name}"),
        layer: Layer::Network,
        idle_timeout,
    })
}

fn kernel() -> impl Strategy<Value = Kernel> {
    (seconds(), seconds(), any::<u32>(), any::<u32>()).prop_map(
        |(keepalive_time, keepalive_intvl, keepalive_probes, retries2)| Kernel {
            keepalive_time,
            keepalive_intvl,
            keepalive_probes,
            retries2,
        },
    )
}

fn sessions() -> impl Strategy<Value = UserSessions> {
    (0..3_u8, vec(seconds(), 0..4)).prop_map(|(user, idle)| UserSessions {
        user: format!("u{user}"),
        idle,
        ageless: 0,
    })
}

fn deaths() -> impl Strategy<Value = Deaths> {
    (select(Culprit::ALL.to_vec()), select(Ending::ALL.to_vec()), any::<usize>()).prop_map(
        |(culprit, ending, count)| Deaths { culprit, ending, count, newest_at: None, counted_kills: false },
    )
}

fn idle_transactions() -> impl Strategy<Value = IdleTransactions> {
    let timeout = || {
        option::of(
            seconds().prop_map(|seconds| TransactionTimeout { name: "idle_transaction_timeout", seconds }),
        )
    };
    let session = (0..3_u8, seconds(), any::<bool>()).prop_map(|(user, idle, wrote)| OpenTransaction {
        user: format!("u{user}"),
        idle,
        wrote,
    });
    (timeout(), timeout(), option::of(vec(session, 0..4)))
        .prop_map(|(reading, writing, sessions)| IdleTransactions { reading, writing, sessions })
}

fn servers() -> impl Strategy<Value = Vec<String>> {
    vec(select(["a", "b"].map(str::to_owned).to_vec()), 0..2)
}

/// Any facts at all, consistent or not.
pub(crate) fn facts() -> impl Strategy<Value = Facts> {
    let killer = (select(Culprit::ALL.to_vec()), select(Ending::ALL.to_vec()))
        .prop_map(|(culprit, ending)| Killer { culprit, ending });
    let other = (0..5_u8, limit(), servers()).prop_map(|(name, idle, identities)| OtherPath {
        name: format!("o{name}"),
        idle,
        killer: None,
        identities,
    });
    (
        (limit(), limit(), option::of(killer), vec(deaths(), 0..4), any::<bool>()),
        (option::of(any::<bool>()), option::of(any::<bool>()), option::of(seconds()), option::of(seconds())),
        (option::of(kernel()), vec(pool(), 0..4), vec(device(), 0..4)),
        (option::of(vec(sessions(), 0..4)), option::of(any::<usize>()), vec(other, 0..4)),
        (option::of(idle_transactions()), option::of(seconds()), servers()),
    )
        .prop_map(|(canaries, (tcp_keepalive, app_ping, session, global), declared, server, more)| {
            Facts {
                path: "default".to_owned(),
                idle: canaries.0,
                lifetime: canaries.1,
                killer: canaries.2,
                old_are_killed: canaries.4,
                servers: Vec::new(),
                deaths: canaries.3,
                remedies: Remedies { tcp_keepalive, app_ping },
                session_wait_timeout: session,
                global_wait_timeout: global,
                kernel: declared.0,
                pools: declared.1,
                devices: declared.2,
                sessions: server.0,
                applications: None,
                ghosts: server.1,
                identities: more.2,
                other_paths: server.2,
                idle_transactions: more.0,
                ladder_end: more.1,
            }
        })
}

fn recycling(recycle: f64) -> Pool {
    Pool { recycle: Recycle::After(recycle), ..Pool::parse("name=a,user=u").expect("a pool") }
}

fn one_user(idle: f64) -> Option<Vec<UserSessions>> {
    Some(vec![UserSessions { user: "u".to_owned(), idle: vec![0.0, idle], ageless: 0 }])
}

/// What the bracket (lower, upper] says of a value that must stay below the limit.
fn oracle(lower: f64, upper: f64, value: f64) -> Option<bool> {
    if value >= upper {
        Some(true)
    } else if value <= lower {
        Some(false)
    } else {
        None
    }
}

proptest! {
    #[test]
    fn any_facts_are_answered_once_each(facts in facts()) {
        let findings = evaluate(&facts);
        for finding in &findings {
            prop_assert_eq!(finding.holds, !finding.words.is_empty());
        }
        let mut series: Vec<_> = findings.iter().map(|finding| (finding.rule, &finding.pool)).collect();
        let all = series.len();
        series.dedup();
        let mut names: Vec<_> = facts.pools.iter().map(|pool| &pool.name).collect();
        names.sort();
        names.dedup();
        // Configuration refuses two pools of one name; only such can share a series.
        prop_assert!(series.len() == all || names.len() < facts.pools.len());
    }

    #[test]
    fn held_sessions_are_counted_where_their_rule_is_judged(facts in facts()) {
        let rule = |finding: &Finding| finding.rule == Rule::SessionHeldPastRecycle;
        let judged: Vec<_> =
            evaluate(&facts).into_iter().filter(rule).map(|finding| (finding.pool, finding.holds)).collect();
        let mut held: Vec<_> =
            sessions_held_past_recycle(&facts).into_iter().map(|held| (held.pool, held.count > 0)).collect();
        held.sort();
        prop_assert_eq!(judged, held);
    }

    #[test]
    fn the_order_of_the_facts_does_not_matter(facts in facts(), turn in 0..4_usize) {
        let mut turned = facts.clone();
        fn mix<T>(list: &mut [T], turn: usize) {
            if !list.is_empty() {
                list.rotate_left(turn % list.len());
            }
            if turn > 1 {
                list.reverse();
            }
        }
        mix(&mut turned.pools, turn);
        mix(&mut turned.devices, turn);
        mix(&mut turned.deaths, turn);
        mix(&mut turned.other_paths, turn);
        if let Some(sessions) = &mut turned.sessions {
            mix(sessions, turn);
            sessions.iter_mut().for_each(|user| mix(&mut user.idle, turn));
        }
        if let Some(open) = turned.idle_transactions.as_mut().and_then(|known| known.sessions.as_mut()) {
            mix(open, turn);
        }
        prop_assert_eq!(evaluate(&facts), evaluate(&turned));
        prop_assert_eq!(sessions_at_risk_by_user(&facts), sessions_at_risk_by_user(&turned));
    }

    #[test]
    fn an_unconfirmed_limit_fires_nothing_that_rests_on_it(mut facts in facts()) {
        for limit in [&mut facts.idle, &mut facts.lifetime] {
            limit.confirmed = false;
            limit.standing_deaths = 1;
        }
        for finding in evaluate(&facts).into_iter().filter(|finding| finding.holds) {
            prop_assert!(matches!(
                finding.rule,
                // These rest on survivals, on twins, on another path's limit or on no limit at all.
                Rule::PoolRecyclesTooEagerly
                    | Rule::SessionHeldPastRecycle
                    | Rule::KeepaliveIneffective
                    | Rule::SessionTimeoutNotGlobal
                    | Rule::DeclaredNotMeasured
                    | Rule::ServerOutlivesClientStall
                    | Rule::GhostsOnServer
                    | Rule::PathsDisagree
                    | Rule::IdleTransactionEndsFirst
            ), "{finding:?}");
        }
    }

    #[test]
    fn each_rule_flips_at_its_own_bound(
        lower in 1.0..1000.0_f64,
        width in 0.1..1000.0_f64,
        value in prop_oneof![0.1..3000.0_f64, 0.1..120.0_f64],
    ) {
        let upper = lower + width;
        let facts = Facts { idle: silent(lower, upper), ..Facts::default() };
        let expected = oracle(lower, upper, value);

        let path = Facts { session_wait_timeout: Some(value), ..facts.clone() };
        let shorter = if value > upper { Some(true) } else { (value <= lower).then_some(false) };
        prop_assert_eq!(rules::path_shorter_than_server(&path), shorter);

        let pool = recycling(value);
        prop_assert_eq!(rules::pool_outlives_path(&facts, &pool), expected);
        let idling = Pool { recycle: Recycle::Never, idle_timeout: Some(value), ..pool.clone() };
        prop_assert_eq!(rules::pool_outlives_path(&facts, &idling), expected);
        prop_assert_eq!(rules::pool_never_recycles(&facts, &idling), expected);

        let eager = rules::pool_recycles_too_eagerly(&facts, &pool);
        prop_assert_eq!(eager == Some(true), value < 60.0 && value * 10.0 < lower);
        prop_assert_eq!(eager == Some(false), value >= 60.0 || value * 10.0 >= upper);

        let held = Facts { sessions: one_user(upper), ..facts.clone() };
        prop_assert_eq!(rules::session_held_past_recycle(&held, &pool), Some(upper > value));
        let resting = watched(Facts { sessions: one_user(value), ..facts.clone() });
        prop_assert_eq!(witnesses::sessions_at_risk(&resting), expected);
        let at_risk = sessions_at_risk_by_user(&resting).map(|users| users[0].count);
        prop_assert_eq!(at_risk, Some(usize::from(expected == Some(true))));

        let late = Facts {
            remedies: Remedies { tcp_keepalive: Some(true), app_ping: None },
            kernel: Some(Kernel { keepalive_time: value, ..Kernel::LINUX_DEFAULT }),
            ..facts.clone()
        };
        prop_assert_eq!(rules::keepalive_too_late(&late), expected);
    }

    #[test]
    fn the_rules_without_a_bracket_flip_too(
        a in 1.0..2000.0_f64,
        b in 1.0..2000.0_f64,
        retries2 in 0..20_u32,
        ghosts in 0..3_usize,
        helps in any::<bool>(),
    ) {
        let none = Facts::default();
        let timeouts = Facts { session_wait_timeout: Some(a), global_wait_timeout: Some(b), ..none.clone() };
        prop_assert_eq!(rules::session_timeout_not_global(&timeouts), Some(a != b));

        let stalled = Facts {
            deaths: vec![Deaths { culprit: Culprit::NetworkIdleTimeout, ending: Ending::Silence, count: 2, newest_at: None, counted_kills: false }],
            kernel: Some(Kernel { retries2, ..Kernel::LINUX_DEFAULT }),
            ..none.clone()
        };
        let pool = Pool { read_timeout: Some(a), ..recycling(b) };
        let waits = a >= stall_lower_bound(retries2);
        prop_assert_eq!(rules::server_outlives_client_stall(&stalled, &pool), Some(waits));

        let listed = Facts { ghosts: Some(ghosts), ..none.clone() };
        prop_assert_eq!(rules::ghosts_on_server(&listed), Some(ghosts > 0));

        let twin = Facts {
            idle: silent(a / 2.0, a),
            remedies: Remedies { tcp_keepalive: Some(helps), app_ping: None },
            ..none.clone()
        };
        prop_assert_eq!(rules::keepalive_ineffective(&twin), Some(!helps));
        for culprit in [Culprit::ServerIdleTimeout, Culprit::ServerKill] {
            let killer = Some(Killer { culprit, ending: Ending::Fin });
            prop_assert_eq!(rules::keepalive_ineffective(&Facts { killer, ..twin.clone() }), None);
        }

        let aged = Facts { idle: silent(a / 2.0, a), lifetime: lived(b), ..none.clone() };
        prop_assert_eq!(rules::lifetime_limit(&aged), (b >= a).then_some(false));
        let dying = Facts { lifetime: silent(b / 2.0, b), ..aged };
        prop_assert_eq!(rules::lifetime_limit(&dying), Some(true));
    }

    #[test]
    fn a_declared_time_disagrees_outside_the_lateness_of_timers(
        measured in 1.0..5000.0_f64,
        declared in 1.0..5000.0_f64,
    ) {
        let device = Device { name: "d".to_owned(), layer: Layer::Network, idle_timeout: declared };
        let facts = Facts { idle: exact(measured * 0.9, measured), ..Facts::default() };
        let answer = rules::device_disagrees(&facts, &device);
        if declared > measured * 1.05 + 1.0 || declared * 1.27 < measured * 0.98 - 0.25 {
            prop_assert_eq!(answer, Some(true));
        }
        if declared <= measured && measured <= declared * 1.02 {
            prop_assert_eq!(answer, Some(false));
        }
    }

    #[test]
    fn paths_disagree_in_both_directions(a in 1.0..5000.0_f64, b in 1.0..5000.0_f64) {
        let seen = |one: f64, other: f64| {
            let other = OtherPath { name: "o".to_owned(), idle: exact(other * 0.9, other), ..OtherPath::default() };
            paths::paths_disagree(&Facts {
                idle: exact(one * 0.9, one),
                other_paths: vec![other],
                ..Facts::default()
            })
        };
        prop_assert_eq!(seen(a, b), seen(b, a));
        let apart = a.max(b) / a.min(b);
        if apart > 1.4 && a.min(b) > 4.0 {
            prop_assert_eq!(seen(a, b), Some(true));
        }
        if apart < 1.01 {
            prop_assert_eq!(seen(a, b), Some(false));
        }
    }
}
