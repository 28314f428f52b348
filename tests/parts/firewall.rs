//! The firewall and the long wire.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use super::{assert_within, id, number, observe};
use crate::lab::{Firewall, FirewallOptions, LongWire, OnInvalid, http};

#[test]
fn a_silent_firewall_forgets_an_idle_flow_and_leaves_a_ghost() {
    let firewall = Firewall::start(FirewallOptions::default());
    let through = |seconds| {
        observe(&firewall.client_around(), firewall.addr(), &["idle", seconds, "--read-timeout", "3"])
    };
    let (mut short, mut long) = (through("4"), through("12"));
    let id = id(&long.event("connected"));
    short.event("alive");
    let lost = long.event("lost");
    assert_eq!((&lost["code"], &lost["cause"]), (&2013.into(), &"TimeoutError".into()), "{lost}");
    assert_within(number(&lost, "after"), 2.9..6.0);
    let ghosts = firewall.server().processlist();
    assert!(
        ghosts
            .iter()
            .any(|ghost| ghost.id == id && ghost.command == "Sleep" && ghost.host.starts_with("10.99.1.2:"))
    );
}

#[test]
fn a_rejecting_firewall_resets_a_forgotten_flow_on_use() {
    let firewall = Firewall::start(FirewallOptions {
        on_invalid: OnInvalid::RejectWithReset,
        ..FirewallOptions::default()
    });
    let mut application = observe(&firewall.client_around(), firewall.addr(), &["idle", "10"]);
    let id = id(&application.event("connected"));
    let lost = application.event("lost");
    assert_eq!((&lost["code"], &lost["cause"]), (&2013.into(), &"ConnectionResetError".into()), "{lost}");
    assert_within(number(&lost, "after"), 0.0..1.0);
    assert!(firewall.server().processlist().iter().any(|ghost| ghost.id == id));
}

#[test]
fn a_firewall_with_nat_shows_the_server_its_own_address_and_forgets_as_well() {
    let firewall = Firewall::start(FirewallOptions { nat: true, ..FirewallOptions::default() });
    let mut application =
        observe(&firewall.client_around(), firewall.addr(), &["idle", "12", "--read-timeout", "2"]);
    let id = id(&application.event("connected"));
    let session = firewall
        .server()
        .processlist()
        .into_iter()
        .find(|session| session.id == id)
        .expect("it is connected");
    assert!(session.host.starts_with("10.99.2.1:"), "{session:?}");
    assert_eq!(session.user, "canary");
    application.event("lost");
}

#[test]
fn a_firewall_can_be_retuned_while_it_runs() {
    let mut firewall = Firewall::start(FirewallOptions::default());
    firewall.set_established_timeout(3);
    // A client with keepalive tuned in its kernel, as an application would be.
    firewall.set_client("ipv4/tcp_keepalive_time", 7200);
    let through = |seconds| {
        observe(&firewall.client_around(), firewall.addr(), &["idle", seconds, "--read-timeout", "2"])
    };
    let (mut short, mut long) = (through("1.5"), through("4"));
    short.event("alive");
    long.event("lost");
    firewall.server_mut().stop();
    let refused =
        observe(&firewall.client_around(), firewall.addr(), &["query", "SELECT 1"]).event("refused");
    assert_eq!(refused["code"], 2003);
}

#[test]
fn a_long_wire_delays_and_loses_packets() {
    let wire = |delay_ms, loss_percent| LongWire { delay_ms, loss_percent };
    let mut firewall =
        Firewall::start(FirewallOptions { long_wire: Some(wire(100, 0)), ..FirewallOptions::default() });
    let connect = |firewall: &Firewall| {
        let start = Instant::now();
        let address = firewall.addr();
        let stream = firewall.in_client(|| TcpStream::connect_timeout(&address, Duration::from_secs(2)));
        stream.map(|_| start.elapsed().as_secs_f64())
    };
    assert_within(connect(&firewall).expect("a delayed connect succeeds"), 0.2..0.6);
    firewall.set_long_wire(wire(0, 100));
    assert!(connect(&firewall).is_err());
    firewall.set_long_wire(wire(0, 0));
    assert_within(connect(&firewall).expect("a quick connect succeeds"), 0.0..0.15);
    assert_within(lost(&firewall), 0.0..0.01);
    firewall.set_long_wire(wire(0, 20));
    // Five standard deviations of chance to either side.
    assert_within(lost(&firewall), 0.1..0.3);
}

/// The share of datagrams from the client that do not come to the router.
fn lost(firewall: &Firewall) -> f64 {
    const SENT: u32 = 400;
    let receiver =
        firewall.in_router(|| UdpSocket::bind("10.99.1.1:0")).expect("the router has that address");
    let address = receiver.local_addr().expect("a socket has an address");
    let sender = firewall.in_client(|| UdpSocket::bind("10.99.1.2:0")).expect("the client has that address");
    receiver.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout can be set");
    let counting = thread::spawn(move || {
        let mut buffer = [0; 8];
        std::iter::from_fn(|| receiver.recv(&mut buffer).ok()).count()
    });
    for _ in 0..SENT {
        sender.send_to(b"datagram", address).expect("the wire takes it");
        // Slowly enough for every queue on the way.
        thread::sleep(Duration::from_millis(1));
    }
    let received = counting.join().expect("counting does not fail");
    1.0 - received as f64 / f64::from(SENT)
}

#[test]
fn programs_and_requests_run_in_the_client_namespace() {
    let firewall = Firewall::start(FirewallOptions::default());
    let output = firewall.client_command("ip").args(["-brief", "address"]).output().expect("ip runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("10.99.1.2"));
    let response = firewall.in_client(|| {
        let listener = TcpListener::bind("10.99.1.2:0").expect("the client has that address");
        let address = listener.local_addr().expect("a listener has an address");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the request comes");
            let mut request = Vec::new();
            // It may come in pieces, and what is left unread would reset the connection.
            while !request.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 1024];
                let length = stream.read(&mut piece).expect("the request is read");
                assert!(length > 0, "the request breaks off: {request:?}");
                request.extend_from_slice(&piece[..length]);
            }
            let body = String::from_utf8_lossy(&request);
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{body}")
                .expect("the answer is written");
        });
        http::get(address, "/metrics")
    });
    let response = response.expect("the request is answered");
    assert_eq!((response.status, response.header("content-type")), (200, Some("text/plain")));
    assert!(response.body.starts_with("GET /metrics HTTP/1.0\r\n"));
}
