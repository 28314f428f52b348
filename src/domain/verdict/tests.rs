use super::*;
use crate::domain::ending::Ending;
use crate::domain::layers::{Device, Kernel};
use crate::domain::mismatch::{Deaths, Killer};
use crate::domain::pool::Pool;
use crate::domain::remedy::Remedies;

fn limit(lower: f64, upper: f64, exact: bool) -> IdleLimit {
    IdleLimit {
        lower,
        upper: Some(upper),
        exact,
        deaths: 2,
        survivals: 2,
        confirmed: true,
        standing_deaths: 2,
        ..IdleLimit::default()
    }
}

fn lived(lower: f64) -> IdleLimit {
    IdleLimit { lower, survivals: 2, ..IdleLimit::default() }
}

/// A path whose idle canaries died in one way, twice.
fn died(idle: IdleLimit, culprit: Culprit, ending: Ending, keepalive: bool, ping: bool) -> Facts {
    Facts {
        path: "default".to_owned(),
        idle,
        killer: Some(Killer { culprit, ending }),
        deaths: vec![Deaths { culprit, ending, count: 2 }],
        remedies: Remedies { tcp_keepalive: Some(keepalive), app_ping: Some(ping) },
        session_wait_timeout: Some(28800.0),
        global_wait_timeout: Some(28800.0),
        kernel: Some(Kernel::LINUX_DEFAULT),
        ..Facts::default()
    }
}

fn pools(texts: &[&str]) -> Vec<Pool> {
    texts.iter().map(|text| Pool::parse(text).expect(text)).collect()
}

/// Compares with the file; the difference is printed whole.
fn golden(facts: &Facts, expected: &str) {
    let text = judge(facts).to_string();
    assert!(text == expected, "\n--- expected\n{expected}\n--- got\n{text}");
}

#[test]
fn nothing_died() {
    let facts = Facts { path: "default".to_owned(), idle: lived(30000.0), ..Facts::default() };
    golden(&facts, include_str!("golden/nothing_died.txt"));
    assert!(judge(&facts).sound);
    let facts = Facts { path: "default".to_owned(), ..Facts::default() };
    golden(&facts, "Nothing is known of path default yet: no canary reached its age.\n");
}

#[test]
fn a_load_balancer_of_350_seconds() {
    let idle = limit(345.0, 352.0, false);
    let facts = died(idle, Culprit::PathIdleTimeout, Ending::ResetOnUse, true, true);
    golden(&facts, include_str!("golden/nlb.txt"));
    assert!(!judge(&facts).sound);
}

#[test]
fn a_silent_firewall() {
    let mut facts = died(limit(3580.0, 3640.0, false), Culprit::PathIdleTimeout, Ending::Silence, true, true);
    facts.ghosts = Some(2);
    facts.pools = pools(&["name=api,framework=sqlalchemy", "name=jobs,recycle=20m,read_timeout=1m"]);
    facts.devices = vec![Device::parse("name=fw,layer=network,idle_timeout=2h").expect("a device")];
    golden(&facts, include_str!("golden/firewall.txt"));
}

#[test]
fn haproxy_of_60_seconds() {
    let facts = died(limit(59.5, 60.02, true), Culprit::ProxyIdleTimeout, Ending::Fin, false, true);
    golden(&facts, include_str!("golden/haproxy.txt"));
}

#[test]
fn the_servers_own_wait_timeout() {
    let mut facts =
        died(limit(595.0, 600.05, true), Culprit::ServerIdleTimeout, Ending::Goodbye, false, true);
    facts.session_wait_timeout = Some(600.0);
    facts.pools = pools(&["name=api,framework=hikaricp"]);
    golden(&facts, include_str!("golden/wait_timeout.txt"));
}

#[test]
fn a_kill_or_what_looks_like_one() {
    let killed = |count| Facts {
        path: "default".to_owned(),
        idle: lived(420.0),
        deaths: vec![Deaths { culprit: Culprit::ServerKill, ending: Ending::Fin, count }],
        ..Facts::default()
    };
    golden(&killed(1), include_str!("golden/kill_once.txt"));
    golden(&killed(7), include_str!("golden/kill.txt"));
    assert!(!judge(&killed(7)).sound);
}

#[test]
fn a_lifetime_of_a_day() {
    let mut facts = died(limit(86000.0, 86400.3, true), Culprit::LifetimeLimit, Ending::Fin, false, false);
    facts.lifetime = limit(86000.0, 86400.2, true);
    facts.session_wait_timeout = Some(31_536_000.0);
    facts.global_wait_timeout = Some(31_536_000.0);
    golden(&facts, include_str!("golden/lifetime.txt"));
}

#[test]
fn the_evidence_does_not_decide() {
    let mut facts = died(limit(420.0, 500.0, true), Culprit::Unknown, Ending::Fin, false, false);
    facts.remedies = Remedies::default();
    facts.idle.confirmed = false;
    facts.idle.deaths = 1;
    facts.idle.standing_deaths = 1;
    facts.deaths[0].count = 1;
    golden(&facts, include_str!("golden/unknown.txt"));
}

#[test]
fn a_limit_too_short_for_any_pool() {
    let settings =
        judge(&died(limit(1.0, 1.5, false), Culprit::PathIdleTimeout, Ending::Silence, true, true)).settings;
    let lines: Vec<String> =
        settings.iter().map(|setting| format!("{}: {}", setting.place, setting.why)).collect();
    assert_eq!(lines, ["pools: only 1 s is known to be safe: recycling cannot help"]);
    let settings =
        judge(&died(limit(0.0, 25.0, false), Culprit::PathIdleTimeout, Ending::Silence, true, true)).settings;
    assert_eq!(settings[0].why, "no age is known to be safe: add shorter ones");
}

#[test]
fn an_idle_limit_and_a_lifetime_each_have_their_setting() {
    let mut facts =
        died(limit(345.0, 352.0, false), Culprit::PathIdleTimeout, Ending::ResetOnUse, true, true);
    facts.lifetime = limit(86000.0, 86400.2, true);
    let verdict = judge(&facts);
    let lines: Vec<&str> = verdict.settings.iter().map(|setting| setting.line.as_str()).collect();
    for line in [
        "create_engine(url, pool_recycle=270, pool_pre_ping=True)",
        "maxLifetime=270000",
        "db.SetConnMaxIdleTime(270 * time.Second)",
        "db.SetConnMaxLifetime(68400 * time.Second)",
    ] {
        assert!(lines.contains(&line), "{lines:?}");
    }
    assert_eq!(suspect_question(&facts).map(|question| question.clock), Some(Clock::Idle));
}

/// The number after a name in a setting's line.
fn number(line: &str, after: &str) -> Option<f64> {
    let rest = &line[line.find(after)? + after.len()..];
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[test]
fn every_value_keeps_clear_of_the_limit_and_is_accepted() {
    for upper in [2.6, 5.05, 8.0, 31.0, 45.0, 60.02, 100.0, 350.0, 905.0, 3600.4, 28800.1, 432_000.0] {
        for exact in [false, true] {
            let facts =
                died(limit(upper * 0.9, upper, exact), Culprit::PathIdleTimeout, Ending::Silence, true, true);
            for Setting { line, .. } in judge(&facts).settings {
                for (name, unit, least) in [
                    ("pool_recycle=", 1.0, 1.0),
                    ("maxLifetime=", 1000.0, 30_000.0),
                    ("keepaliveTime=", 1000.0, 30_000.0),
                    ("SetConnMaxIdleTime(", 1.0, 1.0),
                    ("tcp_keepalive_time = ", 1.0, 1.0),
                    ("tcp_keepalive_intvl = ", 1.0, 1.0),
                ] {
                    if let Some(value) = number(&line, name) {
                        assert!(value >= least, "{upper}: {line}");
                        assert!(value / unit <= upper * 0.8, "{upper}: {line}");
                    }
                }
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_facts_are_judged(facts in crate::domain::mismatch::any_facts()) {
        let verdict = judge(&facts);
        proptest::prop_assert!(!verdict.sentences.is_empty());
        proptest::prop_assert!(verdict.suspects.len() <= catalogue::MOST_SUSPECTS);
        let all = verdict.to_string();
        proptest::prop_assert!(!all.contains("NaN"), "{}", all);
    }
}
