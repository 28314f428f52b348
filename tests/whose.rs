//! Who answers, and which of its sessions are ours: another server at the same address, and ids that no
//! greeting tells.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::exporter::{Launch, Page};
use crate::lab::{Account, Answers, MariaDb, MariaDbOptions, Peer, Scene, Served, Server, wait_for};
use crate::malice::good_answers;

/// One address for several servers, as a DNS name is: each new connection goes to the next of them in
/// turn, and those that were made before stay where they are.
#[derive(Debug)]
struct Name {
    address: SocketAddr,
    servers: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Name {
    fn of(servers: &[&Server]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let name = Self {
            address: listener.local_addr().expect("a listener has an address"),
            servers: Arc::default(),
        };
        name.point_at(servers);
        let servers = Arc::clone(&name.servers);
        // It ends with the test process.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut servers = servers.lock().unwrap_or_else(PoisonError::into_inner);
                servers.rotate_left(1);
                let server = servers.last().copied().expect("the name has a server");
                drop(servers);
                if let Ok(server) = TcpStream::connect(server) {
                    carry(&client, &server);
                    carry(&server, &client);
                }
            }
        });
        name
    }

    fn point_at(&self, servers: &[&Server]) {
        let addresses = servers.iter().map(|server| server.addr()).collect();
        *self.servers.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }
}

/// Carries bytes one way in a thread of its own, and the end of them.
fn carry(from: &TcpStream, to: &TcpStream) {
    let ends = from.try_clone().and_then(|from| Ok((from, to.try_clone()?)));
    let (mut from, mut to) = ends.expect("a socket can be cloned");
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// A server that is known by its max_connections.
fn start_server(max_connections: u32) -> Server {
    MariaDb::start(MariaDbOptions {
        accounts: vec![Account::canary().with_process_privilege()],
        ..MariaDbOptions::with_args(&[&format!("--max-connections={max_connections}")])
    })
}

fn is_seen(page: &Page, max_connections: f64) -> bool {
    page.values("server_max_connections", &[]) == [max_connections] && page.sum("up", &[]) == 1.0
}

#[test]
fn the_server_view_follows_a_failover_that_breaks_no_connection() {
    let (old, new) = (start_server(101), start_server(102));
    let name = Name::of(&[&old]);
    let exporter = Launch::at(&name.address.to_string()).ages("1s,2s,3s").start();
    exporter.wait_for_metrics("the first server", Duration::from_secs(20), |page| is_seen(page, 101.0));
    name.point_at(&[&new]);
    exporter.wait_for_metrics("the second server", Duration::from_secs(30), |page| is_seen(page, 102.0));
    let ours = |server: &Server| server.processlist().iter().filter(|row| row.user == "canary").count();
    wait_for("the sessions on the first server to end", Duration::from_secs(15), || {
        (ours(&old) == 0).then_some(())
    });
    let page = exporter.metrics();
    assert_eq!(page.sum("sessions", &[("user", "canary")]), 0.0, "ours are known on the second server");
    assert_eq!(page.sum("deaths_total", &[]), 0.0, "{}", exporter.log());
    let moved = exporter.events("server_view_moved");
    assert_eq!(moved.len(), 1, "{}", exporter.log());
    // The sessions of the old server said COM_QUIT: it counted none of them as aborted.
    assert_eq!(old.status("Aborted_clients"), 0);
}

#[test]
fn a_failover_and_the_failback_after_it_are_server_restarts() {
    let (mut first, mut second) = (start_server(101), start_server(102));
    let name = Name::of(&[&first]);
    let exporter = Launch::at(&name.address.to_string()).ages("60s,120s").start();
    let held = |max_connections| {
        exporter.wait_for_metrics("canaries and a server view", Duration::from_secs(40), |page| {
            is_seen(page, max_connections) && page.sum("connections", &[("kind", "idle")]) >= 2.0
        });
        exporter.events("death").len()
    };
    assert_eq!(held(101.0), 0);
    name.point_at(&[&second]);
    first.stop();
    exporter.wait_for_events("death", 2, Duration::from_secs(30));
    let deaths = held(102.0);
    first.restart();
    name.point_at(&[&first]);
    second.stop();
    exporter.wait_for_events("death", deaths + 2, Duration::from_secs(30));
    held(101.0);
    for death in exporter.events("death") {
        assert_eq!(death["culprit"], "server_restart", "{death}");
    }
}

#[test]
fn where_servers_answer_in_turn_the_server_view_stays_with_one() {
    let servers = [start_server(101), start_server(102)];
    let name = Name::of(&[&servers[0], &servers[1]]);
    let exporter = Launch::at(&name.address.to_string()).ages("1s,2s,3s").start();
    exporter.wait_for_metrics("lives", Duration::from_secs(30), |page| {
        page.sum("up", &[]) == 1.0 && page.sum("lives_total", &[]) >= 10.0
    });
    let moved = exporter.events("server_view_moved").len();
    thread::sleep(Duration::from_secs(6));
    assert_eq!(exporter.events("server_view_moved").len(), moved, "{}", exporter.log());
}

/// A server on which more than 2^32 sessions were opened: its greetings tell the lower half of an id.
const PAST_32_BITS: u64 = 1 << 32;

/// What it answers to a session, and that it lists its first three.
fn old_answers(scene: &Scene) -> Answers {
    let own = (PAST_32_BITS + u64::from(scene.number)).to_string();
    let ids = [1, 2, 3].map(|number| (PAST_32_BITS + number).to_string());
    let rows = ids.each_ref().map(|id| [id.as_str(), "canary", "Sleep", "1", &own]);
    good_answers(PAST_32_BITS + u64::from(scene.number)).rows(
        "id, user, command, time",
        &["ID", "USER", "COMMAND", "TIME", "OWN"],
        &rows.each_ref().map(|row| &row[..]),
    )
}

#[test]
fn our_sessions_are_known_by_the_ids_that_no_greeting_tells() {
    let peer = Peer::start(move |mut scene: Scene| {
        if scene.log_in("9.7.0", scene.number).is_err() {
            return;
        }
        // The server view speaks every second; the canary is killed, and the witness waits for an answer.
        let answers = old_answers(&scene).bytes("processlist where id in", Vec::new());
        if scene.serve(&answers, Some(Duration::from_secs(4))) == Served::Idle && scene.number <= 2 {
            scene.reset();
        } else {
            scene.stay_silent();
        }
    });
    let exporter = Launch::at(&peer.addr().to_string())
        .ages("60s,120s")
        .args(&["--canary.max-connections=3", "--canary.probe-timeout=2s"])
        .start();
    let listed = |page: &Page| page.sum("sessions", &[("user", "canary")]);
    let page = exporter.wait_for_metrics("a canary and a server view", Duration::from_secs(10), |page| {
        page.sum("connections", &[]) == 1.0 && page.sum("up", &[]) == 1.0 && listed(page) == 1.0
    });
    assert_eq!(listed(&page), 1.0, "the third session was not opened yet: it is not ours");
    exporter.wait_for_metrics("the witness, which is ours", Duration::from_secs(10), |page| {
        page.sum("up", &[]) == 1.0 && listed(page) == 0.0
    });
}
