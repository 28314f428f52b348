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
