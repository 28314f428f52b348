use super::*;
use crate::domain::life::ending::Ending;
use crate::domain::verdict::judge;
use crate::domain::verdict::tests::{limit, lived};

fn path(name: &str, idle: IdleLimit, culprit: Option<Culprit>) -> OtherPath {
    let killer = culprit.map(|culprit| Killer { culprit, ending: Ending::Fin });
    OtherPath { name: name.to_owned(), idle, killer, identities: Vec::new() }
}

/// What is said of the first path beside the others.
fn told(paths: &[OtherPath]) -> Vec<String> {
    of(&seen_from(paths))
}

fn seen_from(paths: &[OtherPath]) -> Facts {
    let (here, others) = paths.split_first().expect("a path");
    let OtherPath { name, idle, killer, identities } = here.clone();
    Facts { path: name, idle, killer, identities, other_paths: others.to_vec(), ..Facts::default() }
}

fn direct() -> OtherPath {
    path("direct", lived(28_800.0), None)
}

fn lb() -> OtherPath {
    path("lb", limit(345.0, 350.1, true), Some(Culprit::ProxyIdleTimeout))
}

#[test]
fn two_paths_apart_are_told_from_both_sides() {
    let said = "On path direct they live when idle for 28800 s (8h), on path lb they die at 350 s: what lies on lb alone \
                does it.";
    assert_eq!(told(&[lb(), direct()]), [said]);
    let said = "On path lb they die at 350 s, on path direct they live when idle for 28800 s (8h): what lies on lb alone \
                does it.";
    assert_eq!(told(&[direct(), lb()]), [said]);
    let dying = path("direct", limit(28_700.0, 28_800.1, true), Some(Culprit::ServerIdleTimeout));
    assert_eq!(told(&[dying.clone(), lb()]), [said.replace("28800 s (8h)", "28700 s")]);
    assert_eq!(told(&[lb(), dying]).len(), 1);
}

#[test]
fn whole_verdicts() {
    let golden = |paths: &[OtherPath], expected: &str| {
        let text = judge(&seen_from(paths)).to_string();
        assert!(text == expected, "\n--- expected\n{expected}\n--- got\n{text}");
    };
    let firewall = || path("vpn", limit(3580.0, 3640.0, false), Some(Culprit::NetworkIdleTimeout));
    golden(&[lb(), direct()], include_str!("../golden/paths_lb.txt"));
    golden(&[direct(), lb(), firewall()], include_str!("../golden/paths_direct_of_three.txt"));
    let other = path("other", limit(345.0, 350.2, true), Some(Culprit::ProxyIdleTimeout));
    golden(&[lb(), other], include_str!("../golden/paths_agree.txt"));
}

#[test]
fn of_three_paths_those_are_named_that_the_evidence_is_of() {
    let vpn = |idle| path("vpn", idle, None);
    for (third, expected) in [
        (
            lived(30_000.0),
            "On paths direct and vpn they live when idle for 28800 s (8h), on path lb they die at 350 s: \
            what lies on lb alone does it.",
        ),
        (
            lived(40.0),
            "On path direct they live when idle for 28800 s (8h), on path lb they die at 350 s: what lies on lb \
            and not on direct does it.",
        ),
        (
            limit(340.0, 350.0, true),
            "On path direct they live when idle for 28800 s (8h), on path lb they die at 350 s: \
            what lies on lb and vpn alone does it.",
        ),
    ] {
        assert_eq!(told(&[lb(), direct(), vpn(third)]), [expected]);
    }
    let between = [vpn(limit(3580.0, 3600.1, true)), direct(), lb()];
    assert_eq!(
        told(&between),
        [
            "On path direct they live when idle for 28800 s (8h), on path vpn they die at 3600 s (1h): what lies on vpn and \
             not on direct does it.",
            "On path lb they die at 350 s, on path vpn they live when idle for 3580 s: what lies on lb and not on vpn does \
             it."
        ]
    );
}

#[test]
fn paths_that_agree_share_the_cause_unless_something_speaks_against_it() {
    let at = |name: &str, age: f64, culprit| path(name, limit(age - 5.0, age, true), culprit);
    let (proxy, network) = (Some(Culprit::ProxyIdleTimeout), Some(Culprit::NetworkIdleTimeout));
    let every =
        "On every path sessions die at one age (a at 350 s, b at 351 s): what these paths share does it.";
    for (culprits, said) in [
        ((network, network), true),
        ((network, Some(Culprit::Unknown)), true),
        ((None, None), true),
        ((network, proxy), false),
    ] {
        let told = told(&[at("a", 350.0, culprits.0), at("b", 351.0, culprits.1)]);
        assert_eq!(told, if said { vec![every] } else { vec![] }, "{culprits:?}");
    }
    let unknown = path("c", lived(40.0), None);
    let told_of = told(&[at("a", 350.0, network), at("b", 351.0, network), unknown]);
    assert_eq!(told_of, [every.replace("every path", "more than one path")]);
    let mut of_a_part = at("b", 351.0, network);
    of_a_part.idle.share = 0.5;
    assert!(told(&[at("a", 350.0, network), of_a_part]).is_empty());
}

#[test]
fn the_server_and_its_killers_lie_on_every_path() {
    let of = |culprit| told(&[path("lb", limit(590.0, 600.1, true), Some(culprit)), direct()]).remove(0);
    let told = of(Culprit::ServerIdleTimeout);
    assert!(told.ends_with(": the server gives the sessions on lb a shorter wait_timeout."), "{told}");
    let told = of(Culprit::ServerKill);
    assert!(told.ends_with(": who kills idle sessions spares those on direct."), "{told}");
}

#[test]
fn where_evidence_is_thin_nothing_is_said() {
    let none = path("direct", IdleLimit::default(), None);
    let one_death = path("lb", IdleLimit { confirmed: false, deaths: 1, ..limit(345.0, 350.1, true) }, None);
    let mut third = lb();
    third.idle.share = 0.34;
    for (name, paths) in [
        ("alone", vec![lb()]),
        ("no evidence there", vec![lb(), none.clone()]),
        ("no evidence anywhere", vec![none.clone(), path("lb", IdleLimit::default(), None)]),
        ("one death", vec![one_death, direct()]),
        ("the ladder there ends below", vec![lb(), path("direct", lived(300.0), None)]),
        (
            "brackets that overlap",
            vec![path("a", limit(320.0, 420.0, false), None), path("b", limit(400.0, 450.0, false), None)],
        ),
        ("a third of them die, and two lived there", vec![third.clone(), direct()]),
        ("nobody died anywhere", vec![direct(), path("lb", lived(28_800.0), None)]),
    ] {
        assert_eq!(told(&paths), [""; 0], "{name}");
    }
    let mut often = direct();
    often.idle.survivals = 20;
    assert_eq!(
        told(&[third, often]),
        [
            "On path direct they live when idle for 28800 s (8h), on path lb a part of them dies at 350 s: what lies on a \
          part of the way on lb alone does it."
        ]
    );
}

#[test]
fn another_server_is_told_and_not_compared() {
    let on = |path: OtherPath, server: &str| OtherPath { identities: vec![server.to_owned()], ..path };
    let said = "Path direct leads to another server: its limit is not compared with this one.";
    assert_eq!(told(&[on(lb(), "a"), on(direct(), "b")]), [said]);
    let vpn = on(path("vpn", lived(9.0), None), "c");
    let said = "Paths direct and vpn lead to another server: their limits are not compared with this one.";
    assert_eq!(told(&[on(lb(), "a"), on(direct(), "b"), vpn]), [said]);
    assert_eq!(told(&[on(lb(), "a"), on(direct(), "a")]).len(), 1);
}
