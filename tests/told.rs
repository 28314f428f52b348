//! What the log tells of a path, and when: how far a sound path reaches, and what ends sessions inside a transaction.

use std::time::Duration;

use crate::exporter::{Exporter, Launch};
use crate::lab::{Account, MariaDb, MariaDbOptions};
use crate::parts::observe;

const PATIENCE: Duration = Duration::from_secs(30);

/// The first sentence of each verdict that was told.
fn verdicts(exporter: &Exporter<'_>) -> Vec<String> {
    let told = exporter.events("verdict").into_iter();
    told.filter_map(|event| Some(event["msg"].as_str()?.lines().next()?.to_owned())).collect()
}

#[test]
fn a_sound_path_is_told_at_each_doubling_of_its_reach_and_at_the_end_of_the_ladder() {
    let server = MariaDb::start(MariaDbOptions::default());
    let exporter = Launch::on(&server).ages("1s,2s,4s,5s").start();
    exporter.wait_for_metrics("the last rung survived", PATIENCE, |page| {
        page.sum("idle_limit_lower_seconds", &[("kind", "idle")]) >= 5.0
    });
    // Survivors of all rungs come again and again, and are no news.
    std::thread::sleep(Duration::from_secs(8));
    let told = verdicts(&exporter);
    let reaches: Vec<&str> = told
        .iter()
        .filter_map(|words| words.strip_prefix("No canary died of idleness on path default: "))
        .collect();
    assert_eq!(told.len(), reaches.len() + 1, "and before that, that nothing is known: {told:?}");
    let end = "the end of the ladder. Nothing is known of longer ages.";
    assert!(reaches.last().is_some_and(|words| words.starts_with("5") && words.ends_with(end)), "{told:?}");
    assert_eq!(told.iter().filter(|words| words.ends_with(end)).count(), 1, "{told:?}");
    let seconds = |words: &&str| words.split(' ').next().and_then(|number| number.parse::<f64>().ok());
    let ages: Vec<f64> = reaches.iter().filter_map(seconds).collect();
    assert_eq!(ages.len(), reaches.len(), "{told:?}");
    // A machine that is busy may see the second rung before the first was told.
    assert!((2..=4).contains(&ages.len()) && ages[0] < 2.5, "{told:?}");
    assert!(ages[..ages.len() - 1].windows(2).all(|two| two[1] >= two[0] * 1.99), "{told:?}");
}

/// `idle_transaction_timeout` ends a session that canaries, which hold no transaction, never see end.
#[test]
fn a_session_that_rests_in_a_transaction_is_told_before_the_server_ends_it() {
    let server = MariaDb::start(MariaDbOptions {
        accounts: vec![
            Account::canary().with_process_privilege(),
            Account::new("blind").with_password("blind-secret"),
            Account::app(),
        ],
        ..MariaDbOptions::with_args(&["--idle-transaction-timeout=9"])
    });
    let seeing = Launch::on(&server).ages("1s,2s,15s").start();
    let blind = Launch::on(&server).user("blind", "blind-secret").ages("1s,2s,15s").start();
    let rule = |exporter: &Exporter<'_>| {
        exporter.metrics().values("layer_mismatch", &[("rule", "idle_transaction_ends_first")])
    };
    let sentence =
        "Inside a transaction the server ends idle sessions sooner, by its idle_transaction_timeout of 9 s";
    for exporter in [&seeing, &blind] {
        exporter.wait_for_metrics("the server's settings", PATIENCE, |page| {
            page.values("layer_timeout_seconds", &[("setting", "idle_transaction_timeout")]) == [9.0]
        });
        exporter.wait_for_metrics("the first survivors", PATIENCE, |page| {
            page.sum("idle_limit_lower_seconds", &[("kind", "idle")]) >= 1.0
        });
        let told = exporter.events("verdict_in_full");
        assert!(
            told.iter().any(|event| event["msg"].as_str().is_some_and(|msg| msg.contains(sentence))),
            "{told:?}"
        );
    }
    assert_eq!(rule(&seeing), [0.0], "nobody is in a transaction");

    let begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT";
    let mut application = observe(&[], server.addr(), &["watch", "60", "--user", "app", "--first", begin]);
    application.event("begun");
    seeing.wait_for_metrics("the rule", Duration::from_secs(7), |page| {
        page.values("layer_mismatch", &[("rule", "idle_transaction_ends_first")]) == [1.0]
    });
    assert_eq!(application.event_within("ended", Duration::ZERO), None, "it was foretold too late");
    assert!(rule(&blind).is_empty(), "who cannot see it says nothing");
    let ended = application.event("ended");
    let age = ended["age"].as_f64().expect("an age");
    assert!((8.5..12.0).contains(&age), "{ended}");
    let told = seeing.events("mismatch");
    let words = "and 1 session rests in one, the longest of user app for";
    assert!(
        told.iter().any(|event| event["msg"].as_str().is_some_and(|msg| msg.contains(words))),
        "{told:?}"
    );
    seeing.wait_for_metrics("the end of it", PATIENCE, |page| {
        page.values("layer_mismatch", &[("rule", "idle_transaction_ends_first")]) == [0.0]
    });
    for exporter in [&seeing, &blind] {
        assert_eq!(exporter.metrics().sum("deaths_total", &[]), 0.0, "canaries hold no transaction");
    }
}
