//! The rules about declared pools.

use super::*;

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
    let with = |text: &str, sessions| facts! { pools: vec![pool(text)], sessions: sessions };
    let beside = |text: &str| Facts {
        other_paths: vec![OtherPath { name: "proxy".to_owned(), ..OtherPath::default() }],
        ..with(text, users(&[("api", &[1800.0])]))
    };
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
            ("its own path", beside("name=a,user=api,recycle=10m,path=default"), TRUE),
            ("another path", beside("name=a,user=api,recycle=10m,path=proxy"), None),
            ("a path that is none of these", beside("name=a,user=api,recycle=10m,path=elsewhere"), TRUE),
        ],
    );
    // So with every rule about a declared pool.
    let never = |path: &str| {
        let text = format!("name=a,user=api,framework=sqlalchemy,recycle=never,path={path}");
        Facts { idle: silent(3200.0, 3600.0), ..beside(&text) }
    };
    let of_pools = |facts: &Facts| evaluate(facts).iter().filter(|finding| finding.pool == "a").count();
    assert!(of_pools(&never("default")) >= 2, "{:?}", evaluate(&never("default")));
    assert_eq!(of_pools(&never("proxy")), 0);
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
