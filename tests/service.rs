//! Under a service manager: sockets that it hands over, and what it is told.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::exporter::Launch;
use crate::lab::place::{PrivateDir, free_port};
use crate::lab::{Peer, http};

/// Its words, in the order that they came.
fn hear(socket: &UnixDatagram) -> String {
    let mut words = [0; 512];
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    let length = socket.recv(&mut words).expect("it says something");
    String::from_utf8_lossy(&words[..length]).trim().to_owned()
}

#[test]
fn readiness_and_the_end_are_told() {
    let dir = PrivateDir::new();
    let place = dir.path().join("notify");
    let socket = UnixDatagram::bind(&place).expect("the directory is ours");
    let place = place.to_str().expect("the temporary directory is UTF-8");
    let mut exporter = Launch::at(&Peer::refusing().to_string()).env("NOTIFY_SOCKET", place).start();
    assert_eq!(hear(&socket), "READY=1");
    assert_eq!(exporter.get("/-/healthy").status, 200);
    exporter.signal(rustix::process::Signal::HUP);
    exporter.wait_for_events("config_reloaded", 1, Duration::from_secs(10));
    let (status, _) = exporter.terminate();
    assert!(status.success());
    assert_eq!(hear(&socket), "STOPPING=1", "a reload is no end");
}

#[test]
fn an_abstract_socket_is_told_and_what_is_none_is_not() {
    let name = format!("mysql-canary-exporter/{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a short name");
    let socket = UnixDatagram::bind_addr(&address).expect("nobody has it");
    let mut exporter =
        Launch::at(&Peer::refusing().to_string()).env("NOTIFY_SOCKET", &format!("@{name}")).start();
    assert_eq!(hear(&socket), "READY=1");
    assert!(exporter.terminate().0.success());
    assert_eq!(hear(&socket), "STOPPING=1");
    for (place, told) in [
        ("", None),
        ("vsock:2:1234", Some("which is not spoken here: give it a path, or @ and a name")),
        ("notify", Some("neither a path nor @ and a name")),
    ] {
        let mut exporter = Launch::at(&Peer::refusing().to_string()).env("NOTIFY_SOCKET", place).start();
        if let Some(words) = told {
            let said = exporter.wait_for_events("service_manager", 1, Duration::from_secs(10));
            let error = said[0]["error"].as_str().unwrap_or_default();
            assert!(error.contains(words), "{place}: {error}");
        }
        assert!(exporter.terminate().0.success());
        assert_eq!(exporter.events("service_manager").is_empty(), told.is_none(), "{place}");
    }
}

#[test]
fn a_service_manager_that_is_gone_or_does_not_read_holds_nobody_up() {
    let dir = PrivateDir::new();
    let place = dir.path().join("notify");
    let socket = UnixDatagram::bind(&place).expect("the directory is ours");
    // Until nothing more goes in.
    let full = UnixDatagram::unbound().expect("a socket");
    full.set_nonblocking(true).expect("a socket can be told");
    full.connect(&place).expect("it is there");
    while full.send(b"STATUS=full").is_ok() {}
    let place = place.to_str().expect("the temporary directory is UTF-8").to_owned();
    for place in [place.as_str(), "/nobody/is/here"] {
        let mut exporter = Launch::at(&Peer::refusing().to_string()).env("NOTIFY_SOCKET", place).start();
        assert_eq!(exporter.get("/-/healthy").status, 200);
        let (status, took) = exporter.terminate();
        assert!(status.success() && took < Duration::from_secs(10), "{status}, {took:?}");
    }
    drop(socket);
}

/// As systemd hands them over: from descriptor 3 on, and for this process.
const HAND_OVER: &str = "
import os, socket, sys
sockets = [socket.create_server(('127.0.0.1', int(port))) for port in sys.argv[1].split(',') if port]
for at, handed in enumerate(sockets):
    os.dup2(handed.fileno(), 100 + at)
for at in range(len(sockets)):
    os.dup2(100 + at, 3 + at)
os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])
";

#[test]
fn sockets_that_are_handed_over() {
    let ports = [free_port(), free_port()];
    let handed = format!("{},{}", ports[0], ports[1]);
    let exporter = Launch::at(&Peer::refusing().to_string())
        .under(&["python3", "-c", HAND_OVER, &handed])
        .args(&["--web.systemd-socket"])
        .start();
    let listening = exporter.wait_for_events("listening", 2, Duration::from_secs(10));
    assert_eq!(listening.len(), 2, "and the port of --web.listen-address is left alone");
    for port in ports {
        let answer = http::get(([127, 0, 0, 1], port).into(), "/metrics").expect("it answers");
        assert_eq!(answer.status, 200);
    }
}

#[test]
fn without_a_socket_it_does_not_start() {
    let run = |around: &[&str]| {
        let mut words = around.to_vec();
        words.extend([
            env!("CARGO_BIN_EXE_mysql-canary-exporter"),
            "--mysql.username=canary",
            "--web.systemd-socket",
        ]);
        let output = std::process::Command::new(words[0]).args(&words[1..]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let advice = "start the exporter by its .socket unit, or leave the flag out\n";
    assert_eq!(run(&["env"]), format!("error: --web.systemd-socket: no socket was handed over: {advice}"));
    // Those of another process are not ours.
    assert!(run(&["env", "LISTEN_FDS=1", "LISTEN_PID=1"]).ends_with(advice));
    // What is no listening socket.
    let file = "exec 3</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    let said = run(&["sh", "-c", file, "sh"]);
    assert!(said.starts_with("error: --web.systemd-socket: ") && said.ends_with(advice), "{said}");
}
