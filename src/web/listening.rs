//! The listening sockets: what they are bound to, and what their clients inherit from them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// How many clients may wait in the kernel's queue: a storm of them must not make a scraper's SYN wait for its
/// repetition, which comes after 1 s.
const BACKLOG: i32 = 1024;
/// What a client's unread answers may fill in the kernel, in bytes; Linux takes twice as much with its own needs.
const SEND_BUFFER: usize = 64 * 1024;
/// What a client's unread questions may fill in the kernel, in bytes, likewise.
const RECEIVE_BUFFER: usize = 16 * 1024;
/// How long a client's kernel may leave what was sent unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Opens a listening socket. `[::]` stands for every address of the machine, whether it has IPv6 or not.
///
/// # Errors
/// What the system says, such as that the address is in use.
pub fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    listen_where_possible(address, open)
}

/// As [`listen`]; `open` opens one socket.
fn listen_where_possible<T>(
    address: SocketAddr,
    open: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let outcome = open(address);
    match &outcome {
        Err(error) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && lacks_ipv6(error) => {
            open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        _ => outcome,
    }
}

/// Whether a socket could not be had because the machine has no IPv6.
fn lacks_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        // Whatever net.ipv6.bindv6only says.
        socket.set_only_v6(false)?;
    }
    // As std does: after a restart the port is ours again at once.
    socket.set_reuse_address(true)?;
    bequeath(&SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What a client inherits: it is answered at once, what it does not read fills no more of the kernel than
/// this, and one whose kernel no longer acknowledges is given up.
fn bequeath(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    Ok(())
}

/// The listening sockets that the service manager hands over.
///
/// # Errors
/// When there is none, or one that is no TCP socket.
pub fn inherited() -> io::Result<Vec<std::net::TcpListener>> {
    let mut handed = ListenFd::from_env();
    if handed.len() == 0 {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no socket was handed over"));
    }
    (0..handed.len())
        .map(|index| {
            let taken = handed.take_tcp_listener(index)?;
            let listener = taken.ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidInput, "a socket was handed over twice")
            })?;
            listener.set_nonblocking(true)?;
            bequeath(&SockRef::from(&listener))?;
            Ok(listener)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_ipv4_alone_where_there_is_no_ipv6() {
        let any_v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 10052));
        let any_v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 10052));
        let one_v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 10052));
        // EAFNOSUPPORT, EADDRNOTAVAIL.
        for lacking in [97, 99] {
            let without_ipv6 = |address: SocketAddr| {
                if address.is_ipv6() { Err(io::Error::from_raw_os_error(lacking)) } else { Ok(address) }
            };
            assert_eq!(listen_where_possible(any_v6, without_ipv6).ok(), Some(any_v4));
            assert_eq!(listen_where_possible(any_v4, without_ipv6).ok(), Some(any_v4));
            assert!(listen_where_possible(one_v6, without_ipv6).is_err(), "one address is not another");
        }
        let taken = |_| Err::<SocketAddr, _>(io::Error::from(io::ErrorKind::AddrInUse));
        let error = listen_where_possible(any_v6, taken).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "the reason stays the first one");
        assert_eq!(listen_where_possible(any_v6, Ok).ok(), Some(any_v6));
    }
}
