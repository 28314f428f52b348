//! One row a judgement: testimony, clock and identity against what counts.

use super::*;

fn end() -> End {
    End { ending: Ending::Fin, age: 5.0, exact: true, error_code: None, stall: None }
}

fn origin() -> Origin<'static> {
    Origin { thread_id: 7, identity: Some("a"), wait_timeout: Some(28800.0), proxy_seen: false }
}

fn testimony() -> Testimony<'static> {
    Testimony {
        identity: Some("a"),
        uptime: Some(100.0),
        has_started_over: false,
        are_balanced: false,
        is_listed: Some(false),
        failed_before: false,
    }
}

#[test]
fn what_the_witness_and_the_clocks_say_decides_what_counts() {
    let asleep = Clocks { was_suspended: true };
    let awake = Clocks::default();
    let died = |row, restarted| Ok((row, restarted));
    let proxied = Origin { proxy_seen: true, ..origin() };
    let said = testimony();
    let rows = [
        ("nobody could be asked", origin(), None, awake, Err(VoidCause::NoWitness)),
        ("row gone", origin(), Some(said), awake, died(Row::Gone, false)),
        (
            "row there",
            origin(),
            Some(Testimony { is_listed: Some(true), ..said }),
            awake,
            died(Row::Present, false),
        ),
        (
            "would not say",
            origin(),
            Some(Testimony { is_listed: None, ..said }),
            awake,
            died(Row::Unknown, false),
        ),
        ("behind a proxy", proxied, Some(said), awake, died(Row::Unknown, false)),
        (
            "uptime fell back",
            origin(),
            Some(Testimony { has_started_over: true, ..said }),
            awake,
            died(Row::Gone, true),
        ),
        (
            "another server took its place",
            origin(),
            Some(Testimony { identity: Some("b"), ..said }),
            awake,
            died(Row::Gone, true),
        ),
        (
            "another server answered in turn",
            origin(),
            Some(Testimony { identity: Some("b"), are_balanced: true, has_started_over: true, ..said }),
            awake,
            died(Row::Unknown, false),
        ),
        (
            "the same server answered in turn",
            origin(),
            Some(Testimony { are_balanced: true, ..said }),
            awake,
            died(Row::Gone, false),
        ),
        (
            "a server that does not tell its name",
            origin(),
            Some(Testimony { identity: None, ..said }),
            awake,
            died(Row::Gone, false),
        ),
        (
            "the way was out",
            origin(),
            Some(Testimony { failed_before: true, ..said }),
            awake,
            Err(VoidCause::WayWasOut),
        ),
        (
            "the way was out for a restart",
            origin(),
            Some(Testimony { failed_before: true, has_started_over: true, ..said }),
            awake,
            died(Row::Gone, true),
        ),
        ("suspended", origin(), Some(said), asleep, Err(VoidCause::Suspended)),
    ];
    for (name, origin, testimony, clocks, expected) in rows {
        let judged = judge(&end(), &origin, testimony.as_ref(), clocks);
        assert_eq!(judged.map(|death| (death.row, death.restarted)), expected, "{name}");
    }
}
