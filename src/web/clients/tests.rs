use super::*;

#[test]
fn those_who_are_here_are_counted_in_their_phases() {
    let places = Places::default();
    let clients = Arc::new(Clients::new(places));
    let address = IpAddr::from([192, 0, 2, 1]);
    let mut visits = Vec::new();
    for number in 0..5000_usize {
        let visit = clients.admit(address);
        match number % 5 {
            0 => drop(visit.answer()),
            1 => visit.stalls(),
            2 => visit.enter(Phase::Kept),
            3 => visit.enter(Phase::Parting),
            _ => {}
        }
        visits.push(visit);
        if number.is_multiple_of(7) {
            visits.swap_remove(number / 14);
        }
    }
    let counts = || {
        let inside = clients.inside();
        Phase::ALL.map(|phase| {
            let here = inside.clients.values().filter(|client| client.phase == phase).count();
            assert_eq!(inside.counts.get(&phase).copied().unwrap_or_default(), here, "{phase:?}");
            assert!(here <= places.of_one_address(phase), "{phase:?}: {here}");
            here
        })
    };
    assert!(counts().iter().all(|&count| count > 0));
    drop(visits);
    assert_eq!(counts(), [0; 5]);
}

#[test]
fn one_machine_is_one_origin() {
    let origin = |text: &str| Origin::from(text.parse::<IpAddr>().expect("an address"));
    assert_eq!(origin("192.0.2.1"), origin("::ffff:192.0.2.1"), "IPv4 over a socket for both");
    assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:2"), "one network of 64 bits");
    for (one, other) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1"), ("::1", "127.0.0.1")]
    {
        assert_ne!(origin(one), origin(other));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_loses_the_rest_of_its_answer_is_counted_and_nobody_else() {
    let clients = Arc::new(Clients::new(Places::default()));
    let visit = || clients.admit(IpAddr::from([192, 0, 2, 1]));
    let (asking, kept, long, stalled, hurried) = (visit(), visit(), visit(), visit(), visit());
    kept.enter(Phase::Kept);
    for visit in [&long, &stalled, &hurried] {
        visit.answer();
        visit.took();
    }
    stalled.stalls();
    hurried.hurry(Duration::ZERO);
    for (visit, cut) in [(&asking, 0), (&kept, 0), (&hurried, 0), (&long, 1), (&stalled, 2)] {
        visit.is_overdue();
        assert_eq!(clients.inside().cut, cut);
    }
    assert!(clients.inside().told_cut.is_some());
}
