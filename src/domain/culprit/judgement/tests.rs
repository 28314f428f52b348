//! One row a judgement: testimony, clock and identity against what counts.

use super::*;

fn end() -> End {
    End { ending: Ending::Fin, age: 5.0, exact: true, error_code: None, stall: None }
}

fn origin() -> Origin<'static> {
    Origin {
        thread_id: 7,
        identity: Some("a"),
        wait_timeout: Some(28800.0),
        own_timer: false,
        uptime: Some(90.0),
        proxy_seen: false,
    }
}

fn testimony() -> Testimony<'static> {
    Testimony {
        identity: Some("a"),
        uptime: Some(100.0),
        since_birth: 10.0,
        has_started_over: false,
        are_balanced: false,
        is_listed: Some(false),
        failed_before: false,
        kills_rose: None,
    }
}

#[test]
fn what_the_witness_and_the_clocks_say_decides_what_counts() {
    let asleep = Clocks { was_suspended: true, ..Clocks::default() };
    let awake = Clocks::default();
    let died = |row, restarted| Ok((row, restarted));
    let proxied = Origin { proxy_seen: true, ..origin() };
    let said = testimony();
    let stopped = Clocks { stood_still: 18.0, ..Clocks::default() };
    let own = Origin { own_timer: true, wait_timeout: Some(5.0), ..origin() };
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
        ("this process stood still", origin(), Some(said), stopped, Err(VoidCause::ProcessStoodStill)),
        (
            "it was a little late",
            origin(),
            Some(said),
            Clocks { stood_still: 0.9, ..awake },
            died(Row::Gone, false),
        ),
        (
            "late by less than a hundredth of a long age",
            Origin { thread_id: 8, ..origin() },
            Some(said),
            Clocks { stood_still: 1.0, ..awake },
            died(Row::Gone, false),
        ),
        (
            "a frozen virtual machine: the server counted on",
            origin(),
            Some(Testimony { uptime: Some(120.0), ..said }),
            awake,
            Err(VoidCause::ClockStoodStill),
        ),
        (
            "another server counts otherwise",
            origin(),
            Some(Testimony { uptime: Some(9000.0), identity: Some("b"), are_balanced: true, ..said }),
            awake,
            died(Row::Unknown, false),
        ),
        ("the timer was our own", own, Some(said), awake, Err(VoidCause::OwnTimer)),
        (
            "our own timer was not reached",
            Origin { wait_timeout: Some(6.0), ..own },
            Some(said),
            awake,
            died(Row::Gone, false),
        ),
        (
            "a restart at the age of our own timer",
            own,
            Some(Testimony { has_started_over: true, ..said }),
            awake,
            died(Row::Gone, true),
        ),
    ];
    for (name, origin, testimony, clocks, expected) in rows {
        let judged = judge(&end(), &origin, testimony.as_ref(), clocks);
        assert_eq!(judged.map(|death| (death.row, death.restarted)), expected, "{name}");
    }
}

#[test]
fn the_count_of_kills_is_of_the_server_that_was_asked() {
    let killed = |testimony: Testimony<'_>| {
        judge(&end(), &origin(), Some(&testimony), Clocks::default()).map(|death| death.kills)
    };
    let said = testimony();
    assert_eq!(killed(said), Ok(None));
    for rose in [3, 0].map(|rose| Kills { rose, read_before: 5.0, others: 0.0 }) {
        let said = Testimony { kills_rose: Some(rose), ..said };
        assert_eq!(killed(said), Ok(Some(rose)));
        assert_eq!(killed(Testimony { has_started_over: true, ..said }), Ok(None));
        let other = Testimony { identity: Some("b"), are_balanced: true, ..said };
        assert_eq!(killed(other), Ok(None));
    }
}
