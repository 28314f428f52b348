//! A load balancer that hands out connections in turn, and forgets flows that were idle too long: what is sent then
//! reaches nobody, and neither side is told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A running balancer. It ends with the test process.
#[derive(Debug)]
pub(super) struct Balancer {
    address: SocketAddr,
}

/// When a flow was last used; `None` once it is forgotten.
type Flow = Arc<Mutex<Option<Instant>>>;

impl Balancer {
    pub(super) fn over(servers: Vec<SocketAddr>, forgets: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        thread::spawn(move || {
            let turns = servers.iter().cycle();
            for (client, server) in listener.incoming().map_while(Result::ok).zip(turns) {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let flow: Flow = Arc::new(Mutex::new(Some(Instant::now())));
                carry(&client, &server, &flow, forgets);
                carry(&server, &client, &flow, forgets);
            }
        });
        Self { address }
    }

    /// Where it listens.
    pub(super) fn addr(&self) -> SocketAddr {
        self.address
    }
}

/// Whether the flow is still known; if so, it is used now.
fn is_known(flow: &Flow, forgets: Duration) -> bool {
    let mut last = flow.lock().unwrap_or_else(PoisonError::into_inner);
    *last = last.filter(|last| last.elapsed() < forgets).map(|_| Instant::now());
    last.is_some()
}

/// Carries bytes one way in a thread of its own, while the flow is known.
fn carry(from: &TcpStream, to: &TcpStream, flow: &Flow, forgets: Duration) {
    let ends = from.try_clone().and_then(|from| Ok((from, to.try_clone()?)));
    let (mut from, mut to) = ends.expect("a socket can be cloned");
    let flow = Arc::clone(flow);
    thread::spawn(move || {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let length = from.read(&mut bytes).unwrap_or(0);
            let known = is_known(&flow, forgets);
            if length == 0 {
                if known {
                    let _ = to.shutdown(Shutdown::Write);
                } else {
                    // The other side must not see this one's end: the sockets stay open until it ends too.
                    let _ = to.peek(&mut [0]);
                    while matches!(to.peek(&mut [0]), Ok(1..)) {
                        thread::sleep(Duration::from_millis(200));
                    }
                }
                return;
            }
            if known && to.write_all(&bytes[..length]).is_err() {
                return;
            }
        }
    });
}
