use super::*;
use crate::domain::culprit::Culprit;
use crate::domain::ending::Ending;
use crate::domain::layers::{Device, Kernel};
use crate::domain::limit::IdleLimit;
use crate::domain::pool::Pool;
use crate::domain::remedy::Remedies;

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
            .map(|(user, idle)| UserSessions { user: (*user).to_owned(), idle: idle.to_vec() })
            .collect(),
    )
}

fn died(ending: Ending, culprit: Culprit, count: usize) -> Vec<Deaths> {
    vec![Deaths { culprit, ending, count }]
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
fn pool_outlives_path() {
    let with = |idle, text| facts! { idle: idle, pools: vec![pool(text)] };
    let path = || silent(3200.0, 3600.0);
    let by_age = |recycle: &str| {
        let text = format!("name=a,recycle={recycle}");
        facts! { idle: lived(90000.0), lifetime: exact(80000.0, 86400.2), pools: vec![pool(&text)] }
    };
    let mut no_ping = with(path(), "name=a,recycle=2h,keepalive=60s");
    no_ping.remedies = helps(None, Some(false));
    check(
        Rule::PoolOutlivesPath,
        vec![
            ("recycle above", with(path(), "name=a,recycle=2h"), TRUE),
            ("recycle at", with(path(), "name=a,recycle=1h"), TRUE),
            ("recycle below", with(path(), "name=a,recycle=30m"), FALSE),
            ("recycle inside the bracket", with(path(), "name=a,recycle=3400s"), None),
            ("idle timeout above", with(path(), "name=a,idle_timeout=2h"), TRUE),
            ("idle timeout below, recycle above", with(path(), "name=a,recycle=2h,idle_timeout=10m"), FALSE),
            ("ping below, recycle above", with(path(), "name=a,recycle=2h,keepalive=60s"), FALSE),
            ("ping that does not help", no_ping, TRUE),
            ("recycle equal to wait_timeout", with(exact(25000.0, 28800.05), "name=a,recycle=8h"), TRUE),
            ("recycle above the lifetime limit", by_age("25h"), TRUE),
            ("recycle below both", by_age("20h"), FALSE),
            ("one death", with(once(320.0, 420.0), "name=a,recycle=2h"), None),
            ("survived, nothing died", with(lived(3600.0), "name=a,recycle=30m"), FALSE),
            ("nothing to compare", with(path(), "name=a,recycle=never"), None),
            ("no pool", facts! { idle: path() }, None),
        ],
    );
}

#[test]
fn pool_never_recycles() {
    let with = |idle, text| facts! { idle: idle, pools: vec![pool(text)] };
    let path = || silent(3200.0, 3600.0);
    let two_ages = IdleLimit { standing_deaths: 2, ..once(320.0, 420.0) };
    let aged = |text| facts! { lifetime: exact(80000.0, 86400.2), pools: vec![pool(text)] };
    check(
        Rule::PoolNeverRecycles,
        vec![
            ("never", with(path(), "name=a,recycle=never"), TRUE),
            ("the framework's default", with(path(), "name=a,framework=sqlalchemy"), TRUE),
            ("idle timeout too long", with(path(), "name=a,recycle=never,idle_timeout=2h"), TRUE),
            ("a limit somewhere", with(two_ages, "name=a,recycle=never"), TRUE),
            ("idle timeout saves it", with(path(), "name=a,recycle=never,idle_timeout=10m"), FALSE),
            ("its ping saves it", with(path(), "name=a,recycle=never,keepalive=60s"), FALSE),
            ("recycles", with(path(), "name=a,recycle=2h"), FALSE),
            ("a lifetime limit", aged("name=a,recycle=never,keepalive=60s"), TRUE),
            ("no limit", with(lived(30000.0), "name=a,recycle=never"), None),
            ("one death", with(once(320.0, 420.0), "name=a,recycle=never"), None),
            ("idle timeout inside", with(path(), "name=a,recycle=never,idle_timeout=3400s"), None),
            ("not declared", with(path(), "name=a"), None),
        ],
    );
}

#[test]
fn pool_recycles_too_eagerly() {
    let with = |idle, text| facts! { idle: idle, pools: vec![pool(text)] };
    check(
        Rule::PoolRecyclesTooEagerly,
        vec![
            ("8 s of an hour", with(silent(3200.0, 3600.0), "name=a,recycle=8s"), TRUE),
            ("8 s, and nothing died", with(lived(30000.0), "name=a,recycle=8s"), TRUE),
            ("a minute", with(silent(3200.0, 3600.0), "name=a,recycle=60s"), FALSE),
            ("a tenth of the limit", with(silent(90.0, 100.0), "name=a,recycle=10s"), FALSE),
            ("never", with(silent(3200.0, 3600.0), "name=a,recycle=never"), FALSE),
            ("inside", with(silent(90.0, 200.0), "name=a,recycle=15s"), None),
            ("not declared", with(silent(3200.0, 3600.0), "name=a"), None),
            ("nothing measured", with(IdleLimit::default(), "name=a,recycle=8s"), None),
        ],
    );
}

#[test]
fn session_held_past_recycle() {
    let with = |text, sessions| facts! { pools: vec![pool(text)], sessions: sessions };
    check(
        Rule::SessionHeldPastRecycle,
        vec![
            ("held", with("name=a,user=api,recycle=10m", users(&[("api", &[1800.0, 5.0])])), TRUE),
            ("at its age", with("name=a,user=api,recycle=10m", users(&[("api", &[600.0])])), FALSE),
            ("another user", with("name=a,user=api,recycle=10m", users(&[("web", &[1800.0])])), FALSE),
            ("no session", with("name=a,user=api,recycle=10m", users(&[])), FALSE),
            ("never recycles", with("name=a,user=api,recycle=never", users(&[("api", &[1800.0])])), None),
            ("no user", with("name=a,recycle=10m", users(&[("api", &[1800.0])])), None),
            ("no server view", with("name=a,user=api,recycle=10m", None), None),
        ],
    );
    let facts = facts! {
        pools: ["name=a,user=api,recycle=10m", "name=b,user=api,recycle=1h", "name=c,recycle=1s",
            "name=d,user=api,recycle=never", "name=e,user=jobs,recycle=10m"].map(pool).to_vec(),
        sessions: users(&[("api", &[1800.0, 600.0, 5.0]), ("web", &[7200.0]), ("api", &[601.0])]),
    };
    let held =
        |pool: &str, user: &str, count| HeldSessions { pool: pool.to_owned(), user: user.to_owned(), count };
    let expected = [held("a", "api", 2), held("b", "api", 0), held("e", "jobs", 0)];
    assert_eq!(sessions_held_past_recycle(&facts), expected);
    assert_eq!(sessions_held_past_recycle(&Facts { sessions: None, ..facts }), []);
}

#[test]
fn sessions_at_risk() {
    let with = |idle, sessions| facts! { idle: idle, sessions: sessions };
    check(
        Rule::SessionsAtRisk,
        vec![
            ("past", with(silent(320.0, 420.0), users(&[("api", &[10.0, 1800.0])])), TRUE),
            ("below", with(silent(320.0, 420.0), users(&[("api", &[10.0, 320.0])])), FALSE),
            ("no session", with(silent(320.0, 420.0), users(&[])), FALSE),
            ("inside", with(silent(320.0, 420.0), users(&[("api", &[400.0])])), None),
            ("one death", with(once(320.0, 420.0), users(&[("api", &[1800.0])])), None),
            ("nothing died", with(lived(320.0), users(&[("api", &[1800.0])])), None),
            ("no server view", with(silent(320.0, 420.0), None), None),
        ],
    );
    let facts =
        with(silent(320.0, 420.0), users(&[("web", &[400.0]), ("api", &[420.0, 500.0]), ("web", &[421.0])]));
    assert_eq!(sessions_at_risk_by_user(&facts), Some(vec![("api".to_owned(), 2), ("web".to_owned(), 1)]));
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
    let by = |culprit, helped| facts! { remedies: helps(helped, None), killer: killer(culprit, Ending::Fin) };
    check(
        Rule::KeepaliveIneffective,
        vec![
            ("the twin died", facts! { remedies: helps(FALSE, None) }, TRUE),
            ("the twin lived", facts! { remedies: helps(TRUE, None) }, FALSE),
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
    let silence = |count| died(Ending::Silence, Culprit::PathIdleTimeout, count);
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

#[test]
fn paths_disagree() {
    let with = |idle, others: &[IdleLimit]| {
        let other = |(index, idle): (usize, &IdleLimit)| OtherPath { name: format!("p{index}"), idle: *idle };
        facts! { idle: idle, other_paths: others.iter().enumerate().map(other).collect() }
    };
    check(
        Rule::PathsDisagree,
        vec![
            ("apart", with(silent(320.0, 420.0), &[silent(3200.0, 3600.0)]), TRUE),
            ("the other lives on", with(silent(320.0, 420.0), &[lived(3600.0)]), TRUE),
            ("this one lives on", with(lived(3600.0), &[silent(320.0, 420.0)]), TRUE),
            ("one of two", with(exact(4.0, 5.0), &[exact(4.0, 5.05), silent(8.0, 12.0)]), TRUE),
            ("the same", with(exact(4.0, 5.0), &[exact(4.0, 5.05)]), FALSE),
            ("the same, sharp brackets", with(silent(345.0, 352.0), &[silent(346.0, 353.0)]), FALSE),
            ("apart by no more than timers are late", with(exact(4.0, 5.0), &[exact(5.0, 6.0)]), None),
            ("wide brackets", with(silent(320.0, 420.0), &[silent(320.0, 420.0)]), None),
            ("one unknown", with(exact(4.0, 5.0), &[exact(4.0, 5.05), lived(3.0)]), None),
            ("one death", with(once(320.0, 420.0), &[lived(3600.0)]), None),
            ("no other path", with(silent(320.0, 420.0), &[]), None),
        ],
    );
}

/// The rules that hold, as `rule` or `rule(pool)`.
fn holding(facts: &Facts) -> Vec<String> {
    let name = |finding: Finding| match finding.pool.as_str() {
        "" => finding.rule.label().to_owned(),
        pool => format!("{}({pool})", finding.rule.label()),
    };
    evaluate(facts).into_iter().filter(|finding| finding.holds).map(name).collect()
}

#[test]
fn incident_a_session_is_checked_out_for_half_an_hour() {
    let facts = facts! {
        idle: silent(750.0, 1050.0),
        pools: vec![pool("name=api,user=api,framework=sqlalchemy,recycle=600s,read_timeout=30s")],
        sessions: users(&[("api", &[1800.0, 12.0]), ("web", &[3.0])]),
    };
    assert_eq!(holding(&facts), ["session_held_past_recycle(api)", "sessions_at_risk"]);
    let words: Vec<String> =
        evaluate(&facts).into_iter().filter(|finding| finding.holds).map(|finding| finding.words).collect();
    assert_eq!(
        words,
        [
            "1 session of user api is idle for 1800 s, past the recycle age of pool api, 600 s: checked out and \
             held, or leaked, or resting in a pool that nobody uses (SQLAlchemy looks at the age only at checkout)",
            "application sessions are idle past the limit (between 750 s and 1050 s), and their next query fails: \
             1 of user api, the longest 1800 s",
        ]
    );
}

#[test]
fn incident_a_firewall_is_shorter_than_everything() {
    let with = |text: &str| {
        facts! {
            idle: silent(3500.0, 3600.0),
            killer: killer(Culprit::PathIdleTimeout, Ending::ResetOnUse),
            deaths: died(Ending::ResetOnUse, Culprit::PathIdleTimeout, 4),
            remedies: helps(TRUE, TRUE),
            session_wait_timeout: Some(28800.0),
            global_wait_timeout: Some(28800.0),
            kernel: Some(Kernel::LINUX_DEFAULT),
            pools: vec![pool(text)],
        }
    };
    let common = ["path_shorter_than_server", "keepalive_too_late"];
    assert_eq!(holding(&with("name=api,recycle=never")), [common[0], "pool_never_recycles(api)", common[1]]);
    assert_eq!(holding(&with("name=api,recycle=7200s")), [common[0], "pool_outlives_path(api)", common[1]]);
    assert_eq!(
        holding(&with("name=api,recycle=8s")),
        [common[0], "pool_recycles_too_eagerly(api)", common[1]]
    );
}

#[test]
fn incident_all_is_well() {
    let facts = facts! {
        idle: exact(1500.0, 1800.1),
        killer: killer(Culprit::ServerIdleTimeout, Ending::Goodbye),
        deaths: died(Ending::Goodbye, Culprit::ServerIdleTimeout, 4),
        remedies: helps(None, TRUE),
        session_wait_timeout: Some(1800.0),
        global_wait_timeout: Some(1800.0),
        kernel: Some(Kernel::LINUX_DEFAULT),
        pools: vec![pool("name=api,user=api,recycle=1200s,read_timeout=30s")],
        sessions: users(&[("api", &[100.0])]),
        ghosts: Some(0),
    };
    assert_eq!(holding(&facts), Vec::<String>::new());
    assert!(evaluate(&facts).len() >= 7);
}

#[test]
fn incident_a_silent_path_and_no_read_timeout() {
    let facts = facts! {
        idle: silent(320.0, 360.0),
        killer: killer(Culprit::PathIdleTimeout, Ending::Silence),
        deaths: died(Ending::Silence, Culprit::PathIdleTimeout, 2),
        pools: vec![pool("name=api,recycle=200s"), pool("name=web,recycle=200s,read_timeout=30s")],
    };
    assert_eq!(holding(&facts), ["server_outlives_client_stall(api)"]);
}

#[test]
fn incident_sessions_leak() {
    let facts = facts! {
        pools: vec![pool("name=api,user=api,framework=hikaricp,recycle=600s")],
        sessions: users(&[("api", &[700.0, 900.0, 4000.0])]),
    };
    assert_eq!(holding(&facts), ["session_held_past_recycle(api)"]);
    assert_eq!(
        evaluate(&facts).into_iter().find(|finding| finding.holds).map(|finding| finding.words),
        Some(
            "3 sessions of user api are idle, the longest for 4000 s, past the recycle age of pool api, 600 s: \
             checked out and held, or leaked"
                .to_owned()
        )
    );
}
