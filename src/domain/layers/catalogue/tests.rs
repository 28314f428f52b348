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
    nlb.culprit = Culprit::NetworkIdleTimeout;
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
    let in_bracket = |lower, upper| names(&question(lower, upper, false, Ending::Silence));
    assert!(in_bracket(1100.0, 1195.0).is_empty());
    assert_eq!(in_bracket(1195.0, 1200.0), ["GCP Cloud NAT"]);
    // A survivor past the latest moment rules a default out, one before it does not.
    assert_eq!(in_bracket(1230.0, 1300.0), ["GCP Cloud NAT"]);
    assert!(in_bracket(1254.0, 1300.0).is_empty());
    // A short timer is late by a short time only.
    let rehash = |lower, upper| names(&question(lower, upper, false, Ending::ResetOnUse));
    assert_eq!(rehash(58.0, 61.0), ["GCP External passthrough NLB"]);
    assert!(rehash(80.0, 85.0).is_empty());
}

#[test]
fn an_exact_death_is_compared_by_its_own_age() {
    // HAProxy with a setting of its own, or a clock that is right: 23 canaries died at 35.00 s.
    let names_at = |age, lower| {
        let mut asked = question(lower, age, true, Ending::Fin);
        asked.culprit = Culprit::ProxyIdleTimeout;
        asked.keepalive_lived = Some(false);
        names(&asked)
    };
    for (age, first) in [
        (29.7, None),
        (30.0, Some("GCP Proxy Network Load Balancer")),
        (30.05, Some("GCP Proxy Network Load Balancer")),
        (31.0, None),
        (35.0, None),
        (45.0, None),
        (50.05, Some("OpenStack Octavia (HAProxy amphora)")),
        (59.0, None),
        (60.02, Some("HAProxy sample configurations (60 s), tcp mode")),
        (62.0, None),
        (90.0, None),
        (120.0, None),
        (600.25, Some("nginx stream proxy")),
        (630.0, None),
        (3600.1, Some("AWS ECS Service Connect (TCP)")),
        (3670.0, None),
        (28800.3, Some("ProxySQL frontend")),
        (29300.0, None),
    ] {
        // The bracket around it may be as wide as the ladder is.
        for lower in [0.0, age * 0.5, age - 0.5] {
            assert_eq!(names_at(age, lower).first().map(String::as_str), first, "{age}, {lower}");
        }
    }
}

#[test]
fn what_vendors_say_today_is_in_the_catalogue() {
    let find = |name: &str| {
        let all: Vec<&Entry> = entries().iter().filter(|entry| entry.name().starts_with(name)).collect();
        assert!(!all.is_empty(), "{name}");
        all
    };
    for azure in find("Azure Load Balancer") {
        assert_eq!((azure.default, azure.range), (240.0, (Some(240.0), Some(6000.0))));
    }
    let oci = find("Oracle OCI Network Load Balancer")[0];
    assert_eq!((oci.default, oci.confidence), (360.0, Confidence::High));
    let gwlb = find("Alibaba Gateway Load Balancer")[0];
    assert_eq!((gwlb.default, gwlb.range), (350.0, (Some(60.0), Some(6000.0))));
    let sonicwall = find("SonicWall SonicOS");
    assert_eq!(sonicwall.iter().map(|entry| entry.default).collect::<Vec<_>>(), [900.0, 300.0]);
    for age in [240.0, 300.0, 350.0, 360.0, 900.0] {
        assert!(common_timeouts().contains(&age), "{age}");
    }
}

#[test]
fn the_culprit_narrows_the_layer() {
    let mut asked = question(25000.0, 28800.1, true, Ending::Goodbye);
    asked.culprit = Culprit::ServerIdleTimeout;
    assert_eq!(names(&asked)[0], "MySQL mysqld >=8.0.24");
    asked.culprit = Culprit::NetworkIdleTimeout;
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
fn common_timeouts_are_the_idle_defaults_of_the_path() {
    let ages = common_timeouts();
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
