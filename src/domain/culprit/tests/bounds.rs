//! What must not be concluded, and when a conclusion waits.

use super::*;

#[test]
fn labels_are_distinct_and_complete() {
    let labels: std::collections::BTreeSet<_> = Culprit::ALL.iter().map(|c| c.label()).collect();
    assert_eq!(labels.len(), Culprit::ALL.len());
    let layers: std::collections::BTreeSet<_> = Layer::ALL.iter().map(|l| l.label()).collect();
    assert_eq!(layers.len(), Layer::ALL.len());
}

proptest::proptest! {
    #[test]
    fn only_possible_culprits_are_concluded(
        kind in 0..Kind::ALL.len(),
        ending in 0..Ending::ALL.len(),
        exact: bool,
        code in proptest::option::of(proptest::sample::select(vec![1053_u16, 1927, 4031, 1045])),
        wait_timeout in proptest::option::of(1.0..10.0),
        row in 0..3_usize,
        restarted: bool,
        proxy_seen: bool,
        same_age in 0..3_usize,
        same_instant in 0..4_usize,
        killed in proptest::option::of(proptest::bool::ANY),
        (kills_near, died_unkilled, story) in (0..2_usize, proptest::bool::ANY, 0..4_usize),
        (too_few_kills, before_its_age) in (proptest::bool::ANY, proptest::bool::ANY),
        outlived: bool,
        outlived_by_younger: bool,
        twins in proptest::array::uniform3(proptest::option::of(proptest::bool::ANY)),
    ) {
        let evidence = Evidence {
            kind: Kind::ALL[kind],
            ending: Ending::ALL[ending],
            exact,
            error_code: code,
            wait_timeout,
            row: [Row::Gone, Row::Present, Row::Unknown][row],
            restarted,
            proxy_seen,
            same_age,
            same_instant,
            killed,
            kills_near,
            died_unkilled,
            too_few_kills,
            before_its_age,
            story: [
                Story::Timer,
                Story::OneMoment,
                Story::HereAndThere,
                Story::Open,
            ][story],
            outlived,
            outlived_by_younger,
            twins: Twins { keepalive: twins[0], busy: twins[1], active: twins[2] },
            ..death()
        };
        let concluded = conclude(&evidence);
        proptest::prop_assert!(
            possible_culprits(evidence.kind, evidence.ending).contains(&concluded.culprit),
            "{evidence:?} {concluded:?}"
        );
    }
}

#[test]
fn a_conclusion_waits_for_the_evidence_that_could_change_it() {
    let twins = |keepalive, busy, active| Twins { keepalive, busy, active };
    let waits: Vec<(&str, Evidence, bool)> = vec![
        ("a FIN alone, nobody older", death(), false),
        ("a FIN alone, somebody lives past its age", Evidence { outlived: true, ..death() }, false),
        (
            "a FIN alone with a KILL, somebody lives past its age",
            Evidence { killed: Some(true), outlived: true, ..death() },
            true,
        ),
        ("two at one age, no twins", Evidence { same_age: 1, ..death() }, false),
        (
            "two at one age, a lifetime not yet ruled out",
            Evidence { same_age: 1, twins: twins(Some(false), Some(false), None), ..death() },
            false,
        ),
        (
            "two at one age, all twins known",
            Evidence { same_age: 1, twins: twins(Some(false), Some(false), Some(true)), ..death() },
            true,
        ),
        (
            "two at one age, an older one lives: it may have kept an older setting",
            Evidence { same_age: 1, outlived: true, ..death() },
            false,
        ),
        (
            "two at one age, a younger one lives past it: a part of the way may have a timer",
            Evidence { same_age: 1, outlived: true, outlived_by_younger: true, ..death() },
            false,
        ),
        ("one closed behind a proxy", Evidence { proxy_seen: true, ..death() }, false),
        ("two closed behind a proxy", Evidence { proxy_seen: true, same_age: 1, ..death() }, true),
        ("a RST, row gone", Evidence { ending: Ending::Reset, ..death() }, false),
        ("silence", Evidence { ending: Ending::Silence, exact: false, ..death() }, true),
        ("wait_timeout", Evidence { wait_timeout: Some(5.0), ..death() }, true),
    ];
    for (name, evidence, expected) in waits {
        assert_eq!(conclude(&evidence).decided, expected, "{name}");
    }
}

#[test]
fn a_close_that_may_have_been_a_kill_accuses_no_proxy() {
    let twins = Twins { keepalive: Some(false), busy: Some(false), active: Some(true) };
    let several = Evidence { same_age: 2, killed: None, twins, are_kills_read: true, ..death() };
    let told = conclude(&several);
    assert_eq!((told.culprit, told.decided), (Culprit::Unknown, false), "it rose over too long a time");
    let beside = conclude(&Evidence { kills_near: 2, ..several });
    assert_eq!(beside.culprit, Culprit::ServerKill, "others there were killed");
    let unkilled = conclude(&Evidence { died_unkilled: true, ..several });
    assert_eq!(unkilled.culprit, Culprit::ProxyIdleTimeout, "one died there while it stood still");
    let unread = conclude(&Evidence { are_kills_read: false, ..several });
    assert_eq!(unread.culprit, Culprit::ProxyIdleTimeout, "nobody reads it here");
}

#[test]
fn too_few_kills_for_all_of_an_instant_accuse_nobody() {
    let twins = Twins { keepalive: Some(false), busy: Some(false), active: Some(true) };
    let at_once = Evidence { killed: Some(true), too_few_kills: true, same_instant: 9, twins, ..death() };
    let told = conclude(&at_once);
    assert!(told.culprit == Culprit::Unknown && told.stray, "at every age: {told:?}");
    let two = Evidence { same_instant: 0, same_age: 2, ..at_once };
    let told = conclude(&two);
    assert_eq!((told.culprit, told.decided), (Culprit::Unknown, false), "at one age");
    let unkilled = conclude(&Evidence { died_unkilled: true, ..two });
    assert_eq!(unkilled.culprit, Culprit::ProxyIdleTimeout, "one died there while none was counted");
    assert_eq!(conclude(&Evidence { too_few_kills: false, ..two }).culprit, Culprit::ServerKill);
}

#[test]
fn one_that_a_kill_was_counted_with_at_the_instant_of_another_age_accuses_no_proxy() {
    let twins = Twins { keepalive: Some(false), busy: Some(false), active: Some(true) };
    let counted = Evidence { same_age: 4, killed: Some(true), died_unkilled: true, twins, ..death() };
    assert_eq!(conclude(&counted).culprit, Culprit::ProxyIdleTimeout, "the KILL was somebody else's");
    let both = Evidence { counted_with_another_age: true, ..counted };
    assert_eq!(conclude(&both).culprit, Culprit::Unknown, "one statement may have ended both");
    let unkilled = Evidence { killed: Some(false), ..both };
    assert_eq!(conclude(&unkilled).culprit, Culprit::ProxyIdleTimeout, "none was counted with it");
}

#[test]
fn a_killer_of_idle_sessions_recurs_and_a_person_does_not() {
    let twins = Twins { keepalive: Some(false), busy: Some(true), active: Some(true) };
    let several = Evidence { same_age: 2, killed: Some(true), twins, ..death() };
    let conclusion = conclude(&several);
    assert!(conclusion.culprit == Culprit::ServerKill && conclusion.recurs);
    let spared = conclude(&Evidence { outlived: true, outlived_by_younger: true, ..several });
    assert!(spared.culprit == Culprit::ServerKill && !spared.recurs, "others of that age live on");
    assert!(!conclude(&death()).recurs);
}

#[test]
fn what_others_outlived_says_nothing_of_ages() {
    let outlived = Evidence { outlived: true, ..death() };
    // A timer that rules a part of the connections only is known by the next that dies at this age.
    let strays = [
        ("reset", false, Evidence { ending: Ending::Reset, ..outlived }),
        ("closed, and no KILL was counted", false, Evidence { killed: Some(false), ..outlived }),
        ("behind a proxy", false, Evidence { proxy_seen: true, row: Row::Unknown, ..outlived }),
        (
            "a ping not answered",
            true,
            Evidence { kind: Kind::Active, ending: Ending::Silence, exact: false, ..outlived },
        ),
    ];
    for (name, is_decided, evidence) in strays {
        let conclusion = conclude(&evidence);
        assert!(conclusion.stray && conclusion.decided == is_decided, "{name}: {conclusion:?}");
        assert_eq!(conclusion.culprit, Culprit::Unknown, "{name}");
    }
    let recurring = Evidence { ending: Ending::Reset, same_age: 1, ..outlived };
    assert!(!conclude(&recurring).stray, "a new setting spares the older");
    assert!(!conclude(&Evidence { ending: Ending::Reset, ..death() }).stray);
}

#[test]
fn one_that_is_closed_sooner_than_all_of_its_age_is_not_of_them() {
    let twins = Twins { keepalive: Some(false), busy: Some(false), active: Some(true) };
    let early = Evidence { same_age: 7, before_its_age: true, killed: Some(false), twins, ..death() };
    assert_eq!(culprit(early), Culprit::Unknown, "closed by something else");
    assert_eq!(
        culprit(Evidence { same_age: 3, ..early }),
        Culprit::ProxyIdleTimeout,
        "of few it may be the shortest"
    );
    assert_eq!(culprit(Evidence { same_age: 3, same_instant: 1, ..early }), Culprit::Unknown);
    let counted = Evidence { killed: Some(true), died_unkilled: true, ..early };
    assert_eq!(culprit(counted), Culprit::ServerKill, "a person's KILL a little before a proxy's timer");
    assert!(!conclude(&counted).recurs);
}

#[test]
fn what_strikes_the_others_of_an_age_tells_of_one_whose_kills_were_not_counted() {
    let twins = Twins { keepalive: Some(true), busy: Some(false), active: Some(true) };
    let uncounted = Evidence { same_age: 4, of_a_part: true, outlived: true, twins, ..death() };
    let of_proxies = Evidence { died_unkilled: true, are_kills_read: true, ..uncounted };
    assert_eq!(culprit(of_proxies), Culprit::ProxyIdleTimeout);
    // And one that no KILL was counted with is not of those that a tool kills.
    let unmoved = Evidence { killed: Some(false), died_unkilled: false, of_a_part: false, ..of_proxies };
    assert_eq!(culprit(Evidence { kills_strike: true, ..unmoved }), Culprit::Unknown);
}

#[test]
fn a_canary_that_pings_and_dies_in_silence_shows_that_flows_are_lost() {
    let lost = Evidence {
        kind: Kind::Active,
        ending: Ending::Silence,
        exact: false,
        outlived: true,
        story: Story::HereAndThere,
        ..death()
    };
    assert_eq!(culprit(lost), Culprit::NetworkStateLoss);
    assert_eq!(culprit(Evidence { story: Story::Open, ..lost }), Culprit::Unknown);
    assert_eq!(
        culprit(Evidence { story: Story::Timer, ..lost }),
        Culprit::Unknown,
        "no idle timer reaches it"
    );
    let at_an_age = Evidence { same_age: 2, story: Story::Open, ..lost };
    assert_eq!(culprit(at_an_age), Culprit::Unknown, "those who died at that age were heard");
}

#[test]
fn a_probe_in_the_very_instant_in_which_many_are_closed_is_of_them() {
    let probed = Evidence {
        ending: Ending::ResetOnUse,
        exact: false,
        same_instant: 4,
        killed: Some(false),
        ..death()
    };
    assert_eq!(culprit(probed), Culprit::MassDisconnect);
    assert!(conclude(&Evidence { killed: None, ..probed }).stray, "it bounds no age");
    let silent = Evidence { ending: Ending::Silence, story: Story::Open, ..probed };
    assert_eq!(culprit(silent), Culprit::Unknown, "nobody closed that one");
}

#[test]
fn a_canary_that_pings_and_is_killed_shows_no_limit_of_age() {
    let killed =
        Evidence { kind: Kind::Active, same_age: 3, killed: Some(true), died_unkilled: true, ..death() };
    assert_eq!(culprit(killed), Culprit::ServerKill);
    assert_eq!(culprit(Evidence { killed: Some(false), ..killed }), Culprit::LifetimeLimit);
}
