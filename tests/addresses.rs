//! Names and addresses: IPv6, a name of which one address is dead, a name that comes to lead elsewhere.

use std::net::IpAddr;
use std::time::Duration;

use crate::exporter::Launch;
use crate::lab::resolver::Answer;
use crate::lab::{MariaDb, MariaDbOptions, Namespace, Resolver, Server};

/// A MariaDB at an address of a namespace, at the registered port, and nowhere else there.
fn mariadb_at(namespace: &Namespace, address: &str, args: &[&str]) -> Server {
    let ip: IpAddr = address.parse().expect("an address");
    let bind = format!("--bind-address={address}");
    let args: Vec<&str> = [bind.as_str()].into_iter().chain(args.iter().copied()).collect();
    let netns = Some((namespace.name().to_owned(), ip));
    MariaDb::start(MariaDbOptions { netns, port: Some(3306), ..MariaDbOptions::with_args(&args) })
}

#[test]
fn a_server_at_an_ipv6_address_by_its_digits_and_by_name() {
    let namespace = Namespace::new("six");
    let resolver = Resolver::start(&namespace, Answer::Addresses);
    resolver.lead_to(&["::1"]);
    let server = mariadb_at(&namespace, "::1", &["--wait-timeout=3"]);
    assert_eq!(server.addr().to_string(), "[::1]:3306");
    for address in ["[::1]:3306", "db.invalid"] {
        let exporter = Launch::at(address).ages("1s,2s,4s").inside(&namespace).resolving(&resolver).start();
        let page = exporter.wait_for_metrics("its wait_timeout", Duration::from_secs(40), |page| {
            page.sum("deaths_total", &[("culprit", "server_idle_timeout")]) >= 2.0
        });
        assert_eq!(page.one("up", &[]), 1.0, "{address}");
        assert_eq!(page.sum("connect_failures_total", &[]), 0.0, "{address}\n{}", exporter.log());
    }
}

/// The dead address goes first: of two families the resolver puts IPv6 before IPv4.
#[test]
fn of_two_addresses_the_dead_one_leaves_time_for_the_other() {
    let namespace = Namespace::new("two");
    // A wire to nobody: what goes there is for a card that is not on it.
    namespace.ip("link add void type veth peer name end");
    namespace.ip("link set void up");
    namespace.ip("link set end up");
    namespace.ip("-6 addr add 2001:db8::1/64 dev void nodad");
    namespace.ip("-6 neigh add 2001:db8::dead lladdr 02:00:00:00:00:99 dev void");
    let resolver = Resolver::start(&namespace, Answer::Addresses);
    resolver.lead_to(&["127.0.0.2", "2001:db8::dead"]);
    let _server = mariadb_at(&namespace, "127.0.0.2", &[]);
    let exporter = Launch::at("db.invalid")
        .ages("1s,60s")
        .args(&["--canary.probe-timeout=4s"])
        .inside(&namespace)
        .resolving(&resolver)
        .start();
    let page = exporter.wait_for_metrics("lives", Duration::from_secs(60), |page| {
        page.sum("lives_total", &[]) >= 2.0 && page.sum("up", &[]) == 1.0
    });
    assert_eq!(page.sum("connect_failures_total", &[]), 0.0, "{}", exporter.log());
    let each =
        page.sum("connect_duration_seconds_sum", &[]) / page.sum("connect_duration_seconds_count", &[]);
    assert!(
        (1.9..4.0).contains(&each),
        "half of 4 s went to the dead address, and the rest sufficed: {each} s"
    );
    assert!(exporter.events("address_changed").is_empty(), "{}", exporter.log());
}

#[test]
fn a_name_that_comes_to_lead_elsewhere_takes_no_evidence_along() {
    let namespace = Namespace::new("moves");
    let resolver = Resolver::start(&namespace, Answer::Addresses);
    resolver.lead_to(&["127.0.0.2"]);
    let mut impatient = mariadb_at(&namespace, "127.0.0.2", &["--wait-timeout=3"]);
    let _patient = mariadb_at(&namespace, "127.0.0.3", &[]);
    let exporter =
        Launch::at("db.invalid").ages("1s,2s,4s,60s").inside(&namespace).resolving(&resolver).start();
    let upper = [("kind", "idle")];
    exporter.wait_for_metrics("a limit", Duration::from_secs(40), |page| {
        page.sum("idle_limit_confirmed", &upper) == 1.0
    });
    // A failover: the name leads to the other one, and who is connected to the first dies with it.
    resolver.lead_to(&["127.0.0.3"]);
    impatient.stop();
    let told = exporter.wait_for_events("address_changed", 1, Duration::from_secs(60)).remove(0);
    assert_eq!((&told["from"], &told["to"]), (&"127.0.0.2".into(), &"127.0.0.3".into()), "{told}");
    assert_eq!(told["address"], "db.invalid:3306", "{told}");
    let page = exporter.wait_for_metrics("nothing of the first", Duration::from_secs(20), |page| {
        page.values("idle_limit_upper_seconds", &upper).is_empty()
    });
    let (died, lived) = (page.sum("deaths_total", &[]), page.sum("lives_total", &[]));
    assert_eq!(page.sum("deaths_total", &[("culprit", "server_restart")]), 0.0, "{}", exporter.log());
    let page = exporter.wait_for_metrics("lives past the first's limit", Duration::from_secs(60), |page| {
        page.sum("lives_total", &[]) >= lived + 4.0 && page.sum("idle_limit_lower_seconds", &upper) >= 4.0
    });
    assert!(page.values("idle_limit_upper_seconds", &upper).is_empty(), "this server ends nobody");
    assert_eq!(page.sum("deaths_total", &[]), died, "{}", exporter.log());
    assert!(page.sum("voided_total", &[("reason", "reload")]) >= 1.0, "{}", exporter.log());
    assert_eq!(page.one("up", &[]), 1.0, "the server view is there too");
    assert_eq!(exporter.events("address_changed").len(), 1, "told once");
}
