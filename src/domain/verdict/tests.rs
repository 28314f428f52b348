use super::*;
use crate::domain::culprit::remedy::Remedies;
use crate::domain::layers::pool::Pool;
use crate::domain::layers::{Device, Kernel, ServerTimeouts};
use crate::domain::life::ending::Ending;
use crate::domain::mismatch::{Deaths, IdleTransactions, Killer, Rule, evaluate};

/// A confirmed limit, in seconds.
pub(super) fn limit(lower: f64, upper: f64, exact: bool) -> IdleLimit {
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

pub(super) fn lived(lower: f64) -> IdleLimit {
    IdleLimit { lower, survivals: 2, ..IdleLimit::default() }
}

/// A path whose idle canaries died in one way, twice.
fn died(idle: IdleLimit, culprit: Culprit, ending: Ending, keepalive: bool, ping: bool) -> Facts {
    Facts {
        path: "default".to_owned(),
        idle,
        killer: Some(Killer { culprit, ending }),
        deaths: vec![Deaths { culprit, ending, count: 2, newest_at: Some(43_440), counted_kills: false }],
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
    let facts = died(idle, Culprit::NetworkIdleTimeout, Ending::ResetOnUse, true, true);
    golden(&facts, include_str!("golden/nlb.txt"));
    assert!(!judge(&facts).sound);
}

#[test]
fn a_silent_firewall() {
    let mut facts =
        died(limit(3580.0, 3640.0, false), Culprit::NetworkIdleTimeout, Ending::Silence, true, true);
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
fn no_other_servers_wait_timeout_is_named() {
    let of = |read: f64| {
        let mut facts = died(limit(3.5, 4.0, true), Culprit::ServerIdleTimeout, Ending::Goodbye, false, true);
        facts.session_wait_timeout = Some(read);
        judge(&facts).to_string()
    };
    assert!(of(4.0).contains("by its wait_timeout of 4 s."), "{}", of(4.0));
    for another in [1.0, 9.0, 28_800.0] {
        assert!(of(another).contains("by its wait_timeout."), "{}", of(another));
    }
}

#[test]
fn a_kill_or_what_looks_like_one() {
    let killed = |count| Facts {
        path: "default".to_owned(),
        idle: lived(420.0),
        deaths: vec![Deaths {
            culprit: Culprit::ServerKill,
            ending: Ending::Fin,
            count,
            newest_at: None,
            counted_kills: false,
        }],
        ..Facts::default()
    };
    golden(&killed(1), include_str!("golden/kill_once.txt"));
    golden(&killed(7), include_str!("golden/kill.txt"));
    assert!(!judge(&killed(7)).sound);
}

#[test]
fn what_a_kill_was_counted_for_needs_no_second_one() {
    let told = |counted_kills| {
        let (culprit, ending) = (Culprit::ServerKill, Ending::Fin);
        let deaths = vec![Deaths { culprit, ending, count: 1, newest_at: None, counted_kills }];
        judge(&Facts { deaths, ..Facts::default() }).to_string()
    };
    assert!(told(false).contains("A proxy's idle timer looks the same"));
    assert!(!told(true).contains("A proxy's idle timer looks the same"));
}

#[test]
fn a_firewall_that_forgot_its_flows() {
    let (culprit, ending) = (Culprit::NetworkStateLoss, Ending::Silence);
    let newest_at = Some(20 * 86_400 + 12 * 3600 + 4 * 60 + 59);
    let deaths = vec![Deaths { culprit, ending, count: 3, newest_at, counted_kills: false }];
    let facts = Facts { path: "default".to_owned(), idle: lived(420.0), deaths, ..Facts::default() };
    golden(&facts, include_str!("golden/lost_state.txt"));
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
        judge(&died(limit(1.0, 1.5, false), Culprit::NetworkIdleTimeout, Ending::Silence, true, true))
            .settings;
    let lines: Vec<String> =
        settings.iter().map(|setting| format!("{}: {}", setting.place, setting.why)).collect();
    assert_eq!(
        lines,
        [
            "pools: only 1 s is known to be safe: recycling cannot help",
            "network: or raise it above the longest time that a connection rests, where the device is yours to set"
        ]
    );
    let settings =
        judge(&died(limit(0.0, 25.0, false), Culprit::NetworkIdleTimeout, Ending::Silence, true, true))
            .settings;
    assert_eq!(settings[0].why, "no age is known to be safe: add shorter ones");
}

#[test]
fn an_idle_limit_and_a_lifetime_each_have_their_setting() {
    let mut facts =
        died(limit(345.0, 352.0, false), Culprit::NetworkIdleTimeout, Ending::ResetOnUse, true, true);
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

#[test]
fn the_end_of_the_ladder_is_said() {
    let at = |age: f64| Facts {
        path: "default".to_owned(),
        idle: lived(age),
        ladder_end: Some(30000.0),
        ..Facts::default()
    };
    assert!(!judge(&at(25000.1)).to_string().contains("ladder"));
    golden(&at(30000.1), include_str!("golden/ladder_end.txt"));
}

#[test]
fn an_idle_transaction_is_ended_sooner_and_a_sentence_says_so_in_any_case() {
    let timeouts = |names: &[(&'static str, f64)]| {
        let mut timeouts = ServerTimeouts::default();
        for &(name, seconds) in names {
            assert!(timeouts.put(name, seconds));
        }
        timeouts
    };
    let general = timeouts(&[("idle_transaction_timeout", 30.0)]);
    let mut facts = died(limit(59.5, 60.02, true), Culprit::ProxyIdleTimeout, Ending::Fin, false, true);
    let sentence = |facts: &Facts| {
        judge(facts).sentences.into_iter().find(|sentence| sentence.starts_with("Inside a transaction"))
    };
    assert_eq!(sentence(&facts), None, "the server was not asked");
    // Nobody can see who rests in one.
    facts.idle_transactions = Some(IdleTransactions::new(&general, None));
    golden(&facts, include_str!("golden/idle_transaction.txt"));
    let two = timeouts(&[("idle_transaction_timeout", 30.0), ("idle_write_transaction_timeout", 5.0)]);
    facts.idle_transactions = Some(IdleTransactions::new(&two, Some(Vec::new())));
    assert_eq!(
        sentence(&facts).as_deref(),
        Some(
            "Inside a transaction the server ends idle sessions sooner, by its idle_write_transaction_timeout of \
             5 s and its idle_transaction_timeout of 30 s: with autocommit off, commit or roll back before a \
             session rests."
        )
    );
    // A sound path may have it too, and stays sound while nobody rests so.
    let sound =
        Facts { idle: lived(420.0), idle_transactions: facts.idle_transactions.clone(), ..Facts::default() };
    let sound = Facts { session_wait_timeout: Some(28800.0), ..sound };
    assert!(sentence(&sound).is_some() && judge(&sound).sound);
    let past = timeouts(&[("idle_transaction_timeout", 600.0)]);
    facts.idle_transactions = Some(IdleTransactions::new(&past, Some(Vec::new())));
    assert_eq!(sentence(&facts), None, "the limit comes first");
}

/// The kernel's lines of a path whose canaries live with TCP keepalive.
fn kernel_lines(idle: IdleLimit, present: Option<f64>) -> Vec<String> {
    let mut facts = died(idle, Culprit::NetworkIdleTimeout, Ending::Silence, true, true);
    facts.kernel = present.map(|time| Kernel { keepalive_time: time, ..Kernel::LINUX_DEFAULT });
    let too_late = evaluate(&facts).into_iter().any(|f| f.rule == Rule::KeepaliveTooLate && f.holds);
    let settings = judge(&facts).settings.into_iter().filter(|setting| setting.place == "kernel");
    let lines: Vec<String> = settings.map(|setting| setting.line + "  # " + &setting.why).collect();
    // What the rule says and what is advised are one judgement.
    assert!(!too_late || !lines.iter().any(|line| line.contains("soon enough")), "{lines:?}");
    lines
}

#[test]
fn the_kernels_keepalive_is_changed_only_where_it_is_too_late() {
    let change = |time: u32, interval: u32| {
        vec![
            format!(
                "net.ipv4.tcp_keepalive_time = {time}  # sockets with SO_KEEPALIVE on send their first probe in time"
            ),
            format!("net.ipv4.tcp_keepalive_intvl = {interval}  # seconds between probes"),
            "net.ipv4.tcp_keepalive_probes = 6  # then it is given up".to_owned(),
        ]
    };
    let stays = |time: u32| {
        vec![format!(
            "net.ipv4.tcp_keepalive_time = {time}  # soon enough as it is, for sockets with SO_KEEPALIVE on"
        )]
    };
    let silent = |lower, upper| limit(lower, upper, false);
    for (idle, present, expected) in [
        (silent(28500.0, 28900.0), Some(7200.0), stays(7200)),
        (silent(7200.0, 7300.0), Some(7200.0), stays(7200)),
        (limit(28700.0, 28800.1, true), Some(7200.0), stays(7200)),
        (silent(345.0, 352.0), Some(60.0), stays(60)),
        (silent(345.0, 352.0), Some(7200.0), change(110, 10)),
        (silent(345.0, 352.0), Some(352.0), change(110, 10)),
        (silent(345.0, 352.0), Some(348.0), change(110, 10)),
        (silent(28500.0, 28900.0), Some(86400.0), change(9300, 10)),
        // Not read: as nobody has set it.
        (silent(28500.0, 28900.0), None, stays(7200)),
        (silent(345.0, 352.0), None, change(110, 10)),
        (silent(6.0, 7.0), Some(7200.0), change(2, 1)),
        (silent(2.0, 2.5), Some(7200.0), vec![]),
        (silent(2.0, 2.5), Some(1.0), stays(1)),
    ] {
        assert_eq!(kernel_lines(idle, present), expected, "{} {:?} {present:?}", idle.lower, idle.upper);
    }
}

#[test]
fn one_recycle_number_everywhere() {
    let path = |idle| died(idle, Culprit::NetworkIdleTimeout, Ending::Silence, true, true);
    for (facts, expected) in [
        (path(limit(345.0, 352.0, false)), Some(270.0)),
        (path(limit(59.5, 60.02, true)), Some(45.0)),
        (path(limit(2.5, 2.6, false)), Some(2.0)),
        (path(limit(1.0, 1.5, false)), None),
        (path(limit(0.0, 25.0, false)), None),
        (Facts { idle: lived(420.0), ..Facts::default() }, None),
    ] {
        assert_eq!(recommended_recycle(&facts), expected);
        let verdict = judge(&facts);
        assert_eq!(verdict.recycle_seconds, expected);
        let written: Vec<f64> = verdict
            .settings
            .iter()
            .filter_map(|setting| {
                number(&setting.line, "pool_recycle=").or(number(&setting.line, "SetConnMaxIdleTime("))
            })
            .collect();
        assert!(written.iter().all(|seconds| Some(*seconds) == expected), "{written:?}");
        assert_eq!(written.is_empty(), expected.is_none());
    }
    let mut aged = path(limit(345.0, 352.0, false));
    aged.lifetime = limit(290.0, 300.2, true);
    assert_eq!(recommended_recycle(&aged), judge(&aged).recycle_seconds);
    assert_eq!(recommended_recycle(&aged), Some(230.0), "the shorter of both");
}

#[test]
fn a_bracket_narrower_than_what_is_written_is_one_age() {
    let facts = died(limit(349.8, 350.3, false), Culprit::NetworkIdleTimeout, Ending::Silence, true, true);
    let verdict = judge(&facts);
    assert_eq!(verdict.sentences[0], "Sessions on path default die of idleness: at 350 s idle.");
    assert!(verdict.mismatches[0].contains("its limit is 350 s, wait_timeout"), "{:?}", verdict.mismatches);
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
            let facts = died(
                limit(upper * 0.9, upper, exact),
                Culprit::NetworkIdleTimeout,
                Ending::Silence,
                true,
                true,
            );
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
