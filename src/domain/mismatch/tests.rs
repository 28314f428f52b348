use super::*;
use std::collections::{BTreeMap, BTreeSet};

use crate::domain::applications::{Counters, Evidence, Follower, Listing, Row, Whose};
use crate::domain::culprit::Culprit;
use crate::domain::culprit::remedy::Remedies;
use crate::domain::layers::pool::Pool;
use crate::domain::layers::{Device, Kernel};
use crate::domain::life::ending::Ending;
use crate::domain::limit::IdleLimit;

/// A confirmed silent bracket, in seconds.
pub(super) fn silent(lower: f64, upper: f64) -> IdleLimit {
    IdleLimit { lower, upper: Some(upper), confirmed: true, deaths: 2, standing_deaths: 2, ..lived(lower) }
}

/// A confirmed exact death, in seconds.
pub(super) fn exact(lower: f64, upper: f64) -> IdleLimit {
    IdleLimit { exact: true, ..silent(lower, upper) }
}

/// Nothing died up to this age, in seconds.
pub(super) fn lived(lower: f64) -> IdleLimit {
    IdleLimit { lower, survivals: 2, ..IdleLimit::default() }
}

/// One death, not yet borne out.
fn once(lower: f64, upper: f64) -> IdleLimit {
    IdleLimit { confirmed: false, deaths: 1, standing_deaths: 1, ..silent(lower, upper) }
}

fn pool(text: &str) -> Pool {
    Pool::parse(text).expect(text)
}

fn device(text: &str) -> Device {
    Device::parse(text).expect(text)
}

fn users(users: &[(&str, &[f64])]) -> Option<Vec<UserSessions>> {
    Some(
        users
            .iter()
            .map(|(user, idle)| UserSessions { user: (*user).to_owned(), idle: idle.to_vec(), ageless: 0 })
            .collect(),
    )
}

/// These facts with what one look at their sessions shows, all on another host than ours.
pub(super) fn watched(facts: Facts) -> Facts {
    let mut follower = Follower::new();
    follower.begin(Listing { asked: 10_000.0, ..Listing::default() });
    let sessions = facts.sessions.iter().flatten();
    let rows = sessions.flat_map(|of| of.idle.iter().map(|idle| (of.user.as_str(), *idle)));
    for (id, (user, idle)) in (1..).zip(rows) {
        // A whole number would be one of MySQL's, which is cut.
        let time = Some(if idle.fract() == 0.0 { idle + 1e-9 * idle.max(1.0) } else { idle });
        let row = Row { id, user, host: "10.0.0.7:4000", command: "Sleep", time };
        follower.see(row, Whose::Application, 10_000.0);
    }
    follower.end(10_000.0, true, Counters::default());
    let applications = facts.sessions.is_some().then(|| {
        Evidence::gather(
            &follower,
            None,
            &BTreeSet::new(),
            &BTreeMap::new(),
            &path_facts(&facts, None, 10_000.0),
        )
    });
    Facts { applications, ..facts }
}

fn died(ending: Ending, culprit: Culprit, count: usize) -> Vec<Deaths> {
    vec![Deaths { culprit, ending, count, newest_at: None, counted_kills: false }]
}

fn killer(culprit: Culprit, ending: Ending) -> Option<Killer> {
    Some(Killer { culprit, ending })
}

fn keepalive_time(seconds: f64) -> Option<Kernel> {
    Some(Kernel { keepalive_time: seconds, ..Kernel::LINUX_DEFAULT })
}

fn helps(tcp_keepalive: Option<bool>, app_ping: Option<bool>) -> Remedies {
    Remedies { tcp_keepalive, app_ping }
}

/// What one rule answers, for its only pool or for the path.
fn answer(rule: Rule, facts: &Facts) -> Option<bool> {
    let found: Vec<Finding> = evaluate(facts).into_iter().filter(|finding| finding.rule == rule).collect();
    assert!(found.len() <= 1, "{found:?}");
    found.first().map(|finding| {
        assert_eq!(finding.holds, !finding.words.is_empty(), "{finding:?}");
        finding.holds
    })
}

fn check(rule: Rule, cases: Vec<(&str, Facts, Option<bool>)>) {
    for (name, facts, expected) in cases {
        assert_eq!(answer(rule, &facts), expected, "{}: {name}", rule.label());
    }
}

const TRUE: Option<bool> = Some(true);
const FALSE: Option<bool> = Some(false);

macro_rules! facts {
    ($($field:ident: $value:expr),* $(,)?) => {
        Facts { path: "default".to_owned(), $($field: $value,)* ..Facts::default() }
    };
}

#[test]
fn path_shorter_than_server() {
    let with = |idle, wait_timeout| facts! { idle: idle, session_wait_timeout: Some(wait_timeout) };
    let mut aged = with(exact(80000.0, 86400.2), 31_536_000.0);
    aged.killer = killer(Culprit::LifetimeLimit, Ending::Fin);
    let mut server = with(exact(4.0, 4.6), 5.0);
    server.killer = killer(Culprit::ServerIdleTimeout, Ending::Goodbye);
    check(
        Rule::PathShorterThanServer,
        vec![
            ("silent bracket below", with(silent(320.0, 420.0), 28800.0), TRUE),
            ("exact death below", with(exact(320.0, 350.2), 28800.0), TRUE),
            ("exact death at wait_timeout", with(exact(4.0, 5.05), 5.0), FALSE),
            ("outlived wait_timeout", with(silent(40.0, 80.0), 30.0), FALSE),
            ("the server is the killer", server, FALSE),
            ("they die of age", aged, None),
            ("inside the bracket", with(silent(320.0, 420.0), 400.0), None),
            ("one death", with(once(320.0, 420.0), 28800.0), None),
            ("nothing died yet", with(lived(320.0), 28800.0), None),
            ("wait_timeout not known", facts! { idle: silent(320.0, 420.0) }, None),
        ],
    );
}

#[test]
fn sessions_at_risk() {
    let with = |idle, sessions| watched(facts! { idle: idle, sessions: sessions });
    let by_server = |sessions| {
        watched(facts! {
            killer: killer(Culprit::ServerIdleTimeout, Ending::Fin),
            idle: exact(590.0, 600.05),
            sessions: sessions,
        })
    };
    check(
        Rule::SessionsAtRisk,
        vec![
            ("past", with(silent(320.0, 420.0), users(&[("api", &[10.0, 1800.0])])), TRUE),
            ("below", with(silent(320.0, 420.0), users(&[("api", &[10.0, 319.9])])), FALSE),
            ("no session", with(silent(320.0, 420.0), users(&[])), FALSE),
            ("inside", with(silent(320.0, 420.0), users(&[("api", &[400.0])])), None),
            ("one death", with(once(320.0, 420.0), users(&[("api", &[1800.0])])), None),
            ("nothing died", with(lived(320.0), users(&[("api", &[1800.0])])), None),
            ("no server view", with(silent(320.0, 420.0), None), None),
            ("the server's own limit", by_server(users(&[("cli", &[1800.0])])), FALSE),
            ("the server's own limit, no server view", by_server(None), None),
        ],
    );
    let facts =
        with(silent(320.0, 420.0), users(&[("web", &[400.0]), ("api", &[420.0, 500.0]), ("web", &[421.0])]));
    let counts = |of: Vec<AtRisk>| of.into_iter().map(|of| (of.user, of.count)).collect::<Vec<_>>();
    let expected = vec![("api".to_owned(), 2), ("web".to_owned(), 1)];
    assert_eq!(sessions_at_risk_by_user(&facts).map(counts), Some(expected));
}

/// Two failed on another host than ours, whose path is declared or not.
#[test]
fn sessions_at_risk_are_critical_only_with_proof() {
    let told = |pools: &[&str], failed: usize| {
        let mut facts = watched(facts! {
            idle: silent(320.0, 420.0),
            sessions: users(&[("api", &[900.0])]),
            pools: pools.iter().map(|text| pool(text)).collect(),
        });
        let users = facts.applications.as_mut().map(|evidence| &mut evidence.users);
        users.and_then(|users| users.get_mut("api")).expect("it is followed").risk.failed = failed;
        let at_risk = sessions_at_risk_by_user(&facts).expect("a limit is confirmed").remove(0);
        (at_risk.severity.label(), at_risk.tense.label())
    };
    for (pools, failed, expected) in [
        (&["name=a,user=api,path=default"][..], 2, ("critical", "has_failed")),
        (&["name=a,user=api,path=default"], 0, ("warning", "will_fail")),
        (&["name=a,user=api"], 2, ("warning", "has_failed")),
        (&["name=a,user=api,path=other"], 2, ("warning", "has_failed")),
        (&["name=a,user=api,path=default,pre_ping=true"], 2, ("warning", "has_failed")),
        (&["name=a,user=web,path=default"], 2, ("warning", "has_failed")),
        // What rests past the recycle age is replaced when it is lent: a session left behind is no failure.
        (&["name=a,user=api,path=default,framework=sqlalchemy,recycle=300s"], 2, ("warning", "has_failed")),
        (&["name=a,user=api,path=default,recycle=420s"], 2, ("warning", "has_failed")),
        (&["name=a,user=api,path=default,framework=sqlalchemy,recycle=421s"], 2, ("critical", "has_failed")),
        // These close it while it rests: what is that old is lent.
        (&["name=a,user=api,path=default,framework=go,recycle=300s"], 2, ("critical", "has_failed")),
        (&["name=a,user=api,path=default,framework=hikaricp,recycle=1h"], 2, ("warning", "has_failed")),
        // Of two pools nobody knows whose it is.
        (
            &["name=a,user=api,path=default", "name=b,user=api,path=default,pre_ping=true"],
            2,
            ("warning", "has_failed"),
        ),
        (&["name=a,user=api,path=default", "name=b,user=api,path=default"], 2, ("critical", "has_failed")),
        (&[], 2, ("warning", "has_failed")),
    ] {
        assert_eq!(told(pools, failed), expected, "{pools:?} {failed}");
    }
}

#[test]
fn keepalive_too_late() {
    let with = |idle, remedy, kernel| facts! { idle: idle, remedies: helps(remedy, None), kernel: kernel };
    let path = || silent(3200.0, 3600.0);
    check(
        Rule::KeepaliveTooLate,
        vec![
            ("two hours", with(path(), TRUE, keepalive_time(7200.0)), TRUE),
            ("at the limit", with(path(), TRUE, keepalive_time(3600.0)), TRUE),
            ("below", with(path(), TRUE, keepalive_time(120.0)), FALSE),
            ("would not help", with(path(), FALSE, keepalive_time(7200.0)), FALSE),
            ("inside", with(path(), TRUE, keepalive_time(3400.0)), None),
            ("not measured", with(path(), None, keepalive_time(7200.0)), None),
            ("one death", with(once(3200.0, 3600.0), TRUE, keepalive_time(7200.0)), None),
            ("kernel not read", with(path(), TRUE, None), None),
            (
                "the server's own",
                Facts {
                    killer: killer(Culprit::ServerIdleTimeout, Ending::Reset),
                    ..with(path(), TRUE, keepalive_time(7200.0))
                },
                FALSE,
            ),
        ],
    );
}

#[test]
fn keepalive_ineffective() {
    let with = |idle, helped| facts! { idle: idle, remedies: helps(helped, None) };
    let path = || silent(320.0, 420.0);
    let by = |culprit, helped| Facts { killer: killer(culprit, Ending::Fin), ..with(path(), helped) };
    check(
        Rule::KeepaliveIneffective,
        vec![
            ("the twin died", with(path(), FALSE), TRUE),
            ("the twin lived", with(path(), TRUE), FALSE),
            ("the twin died, the limit rests on one death", with(once(320.0, 420.0), FALSE), None),
            ("the twin lived past one death", with(once(320.0, 420.0), TRUE), FALSE),
            ("not measured", facts! { remedies: helps(None, TRUE) }, None),
            ("of a proxy's timer", by(Culprit::ProxyIdleTimeout, FALSE), TRUE),
            ("of age", by(Culprit::LifetimeLimit, FALSE), TRUE),
            ("of something unknown", by(Culprit::Unknown, FALSE), TRUE),
            ("of wait_timeout", by(Culprit::ServerIdleTimeout, FALSE), None),
            ("of a killer of idle sessions", by(Culprit::ServerKill, FALSE), None),
            ("lived past wait_timeout", by(Culprit::ServerIdleTimeout, TRUE), None),
        ],
    );
}

#[test]
fn session_timeout_not_global() {
    let with = |session, global| facts! { session_wait_timeout: session, global_wait_timeout: global };
    check(
        Rule::SessionTimeoutNotGlobal,
        vec![
            ("differs", with(Some(600.0), Some(28800.0)), TRUE),
            ("the same", with(Some(600.0), Some(600.0)), FALSE),
            ("no session value", with(None, Some(600.0)), None),
            ("no global value", with(Some(600.0), None), None),
        ],
    );
}

#[test]
fn declared_not_measured() {
    let fw = "name=fw,layer=network,idle_timeout=3600s";
    let with = |idle, devices: &[&str]| {
        facts! { idle: idle, devices: devices.iter().map(|text| device(text)).collect(),
        session_wait_timeout: Some(28800.0) }
    };
    let short_server = Facts { session_wait_timeout: Some(1800.0), ..with(exact(1700.0, 1800.1), &[fw]) };
    let lb = "name=lb,layer=proxy,idle_timeout=350s";
    let proxy = "name=px,layer=proxy,idle_timeout=8h";
    check(
        Rule::DeclaredNotMeasured,
        vec![
            ("something is shorter", with(silent(320.0, 420.0), &[fw]), TRUE),
            ("it did not act", with(lived(5400.0), &[fw]), TRUE),
            ("it acted later than it can", with(exact(5000.0, 5400.0), &[fw]), TRUE),
            ("another is far longer, too", with(silent(320.0, 420.0), &[fw, proxy]), TRUE),
            ("exact agreement", with(exact(3500.0, 3600.3), &[fw]), FALSE),
            ("close agreement", with(silent(3560.0, 3620.0), &[fw]), FALSE),
            ("agreement, and a longer one", with(exact(3500.0, 3600.3), &[fw, proxy]), FALSE),
            ("the shorter one explains it", with(exact(340.0, 350.3), &[fw, lb]), FALSE),
            ("wait_timeout explains it", short_server, None),
            ("earlier is possible", with(silent(3300.0, 3610.0), &[fw]), None),
            ("later is possible", with(silent(3580.0, 5400.0), &[fw]), None),
            ("a wide bracket", with(silent(2700.0, 5400.0), &[fw]), None),
            ("one death", with(once(320.0, 420.0), &[fw]), None),
            ("nothing died yet", with(lived(320.0), &[fw]), None),
            ("no device", with(silent(320.0, 420.0), &[]), None),
        ],
    );
}

#[test]
fn server_outlives_client_stall() {
    let with = |deaths, text| facts! { deaths: deaths, pools: vec![pool(text)] };
    let silence = |count| died(Ending::Silence, Culprit::NetworkIdleTimeout, count);
    check(
        Rule::ServerOutlivesClientStall,
        vec![
            ("no read timeout", with(silence(2), "name=a"), TRUE),
            ("longer than the kernel waits", with(silence(2), "name=a,read_timeout=1h"), TRUE),
            ("a read timeout", with(silence(2), "name=a,read_timeout=30s"), FALSE),
            ("audible deaths", with(died(Ending::Fin, Culprit::ProxyIdleTimeout, 2), "name=a"), FALSE),
            ("one silent death", with(silence(1), "name=a"), None),
            ("nothing died", with(vec![], "name=a"), None),
            ("only KILL", with(died(Ending::Fin, Culprit::ServerKill, 5), "name=a"), None),
        ],
    );
}

#[test]
fn ghosts_on_server() {
    check(
        Rule::GhostsOnServer,
        vec![
            ("ghosts", facts! { ghosts: Some(3) }, TRUE),
            ("none", facts! { ghosts: Some(0) }, FALSE),
            ("not known", facts! {}, None),
        ],
    );
}

#[test]
fn lifetime_limit() {
    let with = |idle, lifetime| facts! { idle: idle, lifetime: lifetime };
    check(
        Rule::LifetimeLimit,
        vec![
            ("active canaries die", with(silent(320.0, 420.0), exact(80.0, 100.0)), TRUE),
            ("they live past the idle limit", with(silent(320.0, 420.0), lived(430.0)), FALSE),
            ("they live, and so do idle ones", with(lived(900.0), lived(430.0)), FALSE),
            ("one death", with(silent(320.0, 420.0), once(80.0, 100.0)), None),
            ("too young", with(silent(320.0, 420.0), lived(300.0)), None),
            ("none ran", with(silent(320.0, 420.0), IdleLimit::default()), None),
        ],
    );
}

mod incidents;
mod paths;
mod pools;
