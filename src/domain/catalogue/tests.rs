use super::*;

/// A silent bracket or an exact age on a network device.
fn question(lower: f64, upper: f64, exact: bool, ending: Ending) -> Question {
    Question {
        lower,
        upper,
        exact,
        clock: Clock::Idle,
        ending: Some(ending),
        keepalive_lived: None,
        culprit: Culprit::Unknown,
    }
}

fn names(question: &Question) -> Vec<String> {
    suspects(question).iter().map(Suspect::label).collect()
}

#[test]
fn a_reset_on_use_at_350_is_an_nlb_or_a_nat_gateway() {
    let mut nlb = question(320.0, 420.0, false, Ending::ResetOnUse);
    nlb.culprit = Culprit::PathIdleTimeout;
    nlb.keepalive_lived = Some(true);
    assert_eq!(names(&nlb), ["AWS NLB (TCP listener)", "AWS NLB (TLS listener)", "AWS NAT Gateway"]);
    assert_eq!(suspect_label(&nlb), "AWS NLB (TCP listener)");
    // Its documentation says that TCP keepalive resets the timer.
    nlb.keepalive_lived = Some(false);
    assert_eq!(suspect_label(&nlb), NO_SUSPECT);
}

#[test]
fn the_ending_separates_products_of_one_default() {
    let silent = names(&question(320.0, 360.0, false, Ending::Silence));
    assert_eq!(silent[0], "AWS EC2 security-group conntrack (Nitro v6)");
    assert_eq!(
        names(&question(55.0, 60.1, true, Ending::Fin))[0],
        "HAProxy sample configurations (60 s), tcp mode"
    );
    assert_eq!(names(&question(285.0, 300.4, true, Ending::Reset))[0], "F5 BIG-IP FastL4");
}

#[test]
fn the_keepalive_twin_separates_packets_from_bytes() {
    let mut asked = question(420.0, 600.2, true, Ending::Fin);
    asked.keepalive_lived = Some(false);
    assert_eq!(names(&asked)[..2], ["nginx stream proxy", "Kubernetes ingress-nginx TCP services"]);
    asked.keepalive_lived = Some(true);
    assert!(!names(&asked).iter().any(|name| name.contains("nginx")));
}

#[test]
fn ages_match_on_the_late_side_only() {
    let at = |age| names(&question(0.0, age, true, Ending::Silence));
    assert!(at(1195.0).is_empty());
    assert_eq!(at(1200.0), ["GCP Cloud NAT"]);
    assert_eq!(at(1254.0), ["GCP Cloud NAT"]);
    assert!(at(1254.1).is_empty());
    // A survivor past the latest moment rules a default out, one before it does not.
    assert_eq!(names(&question(1230.0, 1300.0, false, Ending::Silence)), ["GCP Cloud NAT"]);
    assert!(names(&question(1254.0, 1300.0, false, Ending::Silence)).is_empty());
}

#[test]
fn the_culprit_narrows_the_layer() {
    let mut asked = question(25000.0, 28800.1, true, Ending::Goodbye);
    asked.culprit = Culprit::ServerIdleTimeout;
    assert_eq!(names(&asked)[0], "MySQL mysqld >=8.0.24");
    asked.culprit = Culprit::PathIdleTimeout;
    assert!(names(&asked).is_empty());
    asked.culprit = Culprit::ServerKill;
    assert!(names(&asked).is_empty());
    assert_eq!(suspect_label(&asked), NO_SUSPECT);
}

#[test]
fn a_lifetime_is_looked_for_among_lifetimes() {
    let mut asked = question(80000.0, 86400.5, true, Ending::Fin);
    asked.clock = Clock::Age;
    asked.culprit = Culprit::LifetimeLimit;
    assert_eq!(names(&asked), ["PlanetScale MySQL", "AWS RDS Proxy"]);
}

#[test]
fn pools_are_never_suspects() {
    for age in [60.0, 120.0, 300.0, 600.0, 1800.0, 7200.0, 25200.0] {
        for ending in Ending::ALL {
            for suspect in suspects(&question(0.0, age, true, ending)) {
                assert!(!matches!(suspect.entry.layer, Layer::Pool | Layer::Kernel), "{suspect:?}");
            }
        }
    }
}

#[test]
fn nothing_unverified_is_worded_as_fact() {
    for entry in entries() {
        let words = Suspect { entry }.words();
        assert_eq!(words.contains(" is the default of "), entry.confidence == Confidence::High, "{words}");
        assert_eq!(words.contains(", unverified"), entry.confidence == Confidence::Unverified, "{words}");
        assert_eq!(words.contains(", from a weak source"), entry.confidence == Confidence::Low, "{words}");
        assert_eq!(
            words.contains(" is probably the default of "),
            entry.confidence == Confidence::Medium,
            "{words}"
        );
    }
}

#[test]
fn words_name_the_setting_and_its_range() {
    let nlb = entries().iter().find(|entry| entry.product == "NLB (TCP listener)").expect("a row");
    assert_eq!(
        Suspect { entry: nlb }.words(),
        "350 s is the default of AWS NLB (TCP listener), tcp.idle_timeout.seconds; configurable from 60 s to 6000 s (1h40m)"
    );
}

#[test]
fn landmarks_are_the_idle_defaults_of_the_path() {
    let ages = landmarks();
    assert!(ages.is_sorted());
    for age in [30.0, 50.0, 60.0, 240.0, 300.0, 350.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0, 28800.0] {
        assert!(ages.contains(&age), "{age}");
    }
    // A ping interval, a lifetime, a stall and an open transaction's limit are no idle ages.
    for age in [10.0, 20.0, 924.6, 14400.0] {
        assert!(!ages.contains(&age), "{age}");
    }
    assert!(ages.iter().all(|age| age.is_finite() && *age > 0.0));
}
