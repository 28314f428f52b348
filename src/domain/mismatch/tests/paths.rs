//! Two paths to one server, as one rule and as a comparison.

use super::super::paths::{Comparison, compare};
use super::*;

fn other(name: &str, idle: IdleLimit) -> OtherPath {
    OtherPath { name: name.to_owned(), idle, ..OtherPath::default() }
}

#[test]
fn paths_disagree() {
    let with = |idle, others: &[IdleLimit]| {
        let other = |(index, idle): (usize, &IdleLimit)| other(&format!("p{index}"), *idle);
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

/// A limit that only a share of the connections meets.
fn share(idle: IdleLimit, share: f64) -> IdleLimit {
    IdleLimit { share, ..idle }
}

/// So many lives bear the age survived out.
fn often(idle: IdleLimit, survivals: usize) -> IdleLimit {
    IdleLimit { survivals, ..idle }
}

#[test]
fn a_path_is_compared_where_the_evidence_decides() {
    use Comparison::{Longer, Same, Shorter, Undecided};
    let of_one_server = |idle: IdleLimit| IdleLimit { server: Some(1), ..idle };
    let seldom = |from: f64, to: f64| IdleLimit { spread_to: Some(to), ..exact(from - 1.0, from) };
    for (name, here, there, expected) in [
        ("lives on there", exact(340.0, 350.2), lived(30_000.0), Shorter),
        ("the ladder there ends below", exact(340.0, 350.2), lived(320.0), Undecided),
        ("no evidence there yet", exact(340.0, 350.2), IdleLimit::default(), Undecided),
        ("no evidence on either", IdleLimit::default(), IdleLimit::default(), Undecided),
        ("both live on", lived(30_000.0), lived(30_000.0), Undecided),
        ("both die, apart", exact(340.0, 350.2), exact(28_000.0, 28_800.1), Shorter),
        ("brackets that overlap", silent(320.0, 420.0), silent(400.0, 500.0), Undecided),
        ("brackets that touch", silent(320.0, 420.0), silent(420.0, 500.0), Undecided),
        ("brackets well apart", silent(320.0, 420.0), silent(470.0, 500.0), Shorter),
        ("one death there", exact(340.0, 350.2), once(340.0, 350.2), Undecided),
        ("the same", exact(340.0, 350.2), silent(348.0, 353.0), Same),
        ("a third die here, two lived there", share(exact(4.0, 5.0), 0.33), lived(100.0), Undecided),
        (
            "a third die here, twelve lived there",
            share(exact(4.0, 5.0), 0.33),
            often(lived(100.0), 12),
            Shorter,
        ),
        ("hardly one dies here", share(exact(4.0, 5.0), 0.01), often(lived(100.0), 100), Undecided),
        ("nearly all die here", share(exact(4.0, 5.0), 0.98), lived(100.0), Shorter),
        ("one server of several, here", of_one_server(exact(4.0, 5.0)), lived(100.0), Undecided),
        ("one server of several, there", exact(4.0, 5.0), of_one_server(exact(90.0, 99.0)), Undecided),
        ("a killer that looks seldom", seldom(20.0, 40.0), lived(36.0), Undecided),
        ("outlived, too", seldom(20.0, 40.0), lived(60.0), Shorter),
    ] {
        let turned = match expected {
            Shorter => Longer,
            other => other,
        };
        assert_eq!(compare(&facts! { idle: here }, &other("p", there)), expected, "{name}");
        assert_eq!(compare(&facts! { idle: there }, &other("p", here)), turned, "{name}, turned");
    }
}

#[test]
fn paths_to_other_servers_are_not_compared() {
    let names = |names: &str| names.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for (here, there, apart) in [
        ("a", "b", true),
        ("a", "a", false),
        ("", "b", false),
        ("a", "", false),
        ("a b", "b c", false),
        ("a b", "c d", true),
    ] {
        let facts = facts! {
            idle: exact(4.0, 5.0),
            identities: names(here),
            other_paths: vec![OtherPath { identities: names(there), ..other("p", lived(100.0)) }],
        };
        let is_apart = compare(&facts, &facts.other_paths[0]) == Comparison::OtherServer;
        assert_eq!(is_apart, apart, "{here} | {there}");
        assert_eq!(answer(Rule::PathsDisagree, &facts), if apart { None } else { TRUE }, "{here} | {there}");
    }
}
