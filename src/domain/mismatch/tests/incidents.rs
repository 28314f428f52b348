//! Whole incidents: which rules hold, and no other.

use super::*;

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
    let facts = watched(facts! {
        idle: silent(750.0, 1050.0),
        pools: vec![pool("name=api,user=api,framework=sqlalchemy,recycle=600s,read_timeout=30s")],
        sessions: users(&[("api", &[1800.0, 12.0]), ("web", &[3.0])]),
    });
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
