//! A relay that ends every connection at one age, whatever passes: a limit on lifetimes, as meshes and some proxies
//! have.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// The relay. Its threads end with the connections that they serve, and with the process.
#[derive(Debug)]
pub(crate) struct LimitOnAge {
    addr: SocketAddr,
}

impl LimitOnAge {
    /// A relay to a server that closes both sides of each connection at this age.
    pub(crate) fn start(backend: SocketAddr, age: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let addr = listener.local_addr().expect("it listens");
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(backend) else { continue };
                let Ok([up, down]) = relay(&client, &server) else { continue };
                thread::spawn(move || {
                    thread::sleep(age);
                    for side in [&client, &server] {
                        // One that is closed already needs no end.
                        let _ = side.shutdown(Shutdown::Both);
                    }
                    drop((up.join(), down.join()));
                });
            }
        });
        Self { addr }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Copies both ways until one side ends.
fn relay(client: &TcpStream, server: &TcpStream) -> io::Result<[thread::JoinHandle<()>; 2]> {
    let copy = |from: &TcpStream, to: &TcpStream| {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        Ok::<_, io::Error>(thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        }))
    };
    Ok([copy(client, server)?, copy(server, client)?])
}
