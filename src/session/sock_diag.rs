//! One look-up in the kernel's table of TCP connections, whatever its size (`sock_diag(7)`).
//!
//! `/proc/net/tcp` tells the same, but all of it: reading it takes milliseconds where there are thousands of
//! connections, and walks the kernel's whole hash table where there are none.

use std::io;
use std::net::SocketAddrV4;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

/// `SOCK_DIAG_BY_FAMILY`, the type of the question and of its answer.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// What the answer carries back.
const SEQUENCE: u32 = 1;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct inet_diag_req_v2`.
const QUESTION: usize = 56;
/// Where `idiag_inode` lies behind the header, in `struct inet_diag_msg`.
const INODE: usize = 68;

/// The inode of the socket whose own address is `from` and whose peer's is `to`.
///
/// # Errors
/// Where there is none, or the system does not tell: an old kernel, or a sandbox without netlink.
pub(super) fn inode(from: SocketAddrV4, to: SocketAddrV4) -> io::Result<u64> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG))?;
    send(&socket, &question(from, to), SendFlags::empty())?;
    let mut answer = [0; 512];
    // The kernel has answered before it returned.
    let (_, length) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    read(answer.get(..length).unwrap_or_default())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the kernel names no such socket"))
}

fn question(from: SocketAddrV4, to: SocketAddrV4) -> [u8; HEADER + QUESTION] {
    const IPV4: u8 = 2;
    const TCP: u8 = 6;
    let mut bytes = Bytes { to: [0; HEADER + QUESTION], filled: 0 };
    bytes.add(&((HEADER + QUESTION) as u32).to_ne_bytes());
    bytes.add(&BY_FAMILY.to_ne_bytes());
    bytes.add(&REQUEST.to_ne_bytes());
    bytes.add(&SEQUENCE.to_ne_bytes());
    // The sender: the kernel knows.
    bytes.add(&[0; 4]);
    bytes.add(&[IPV4, TCP, 0, 0]);
    // In whatever state.
    bytes.add(&u32::MAX.to_ne_bytes());
    bytes.add(&from.port().to_be_bytes());
    bytes.add(&to.port().to_be_bytes());
    bytes.add(&from.ip().octets());
    bytes.add(&[0; 12]);
    bytes.add(&to.ip().octets());
    // The rest of an IPv6 address, and any interface.
    bytes.add(&[0; 16]);
    // `INET_DIAG_NOCOOKIE`.
    bytes.add(&[0xff; 8]);
    bytes.to
}

/// The inode in an answer.
fn read(answer: &[u8]) -> Option<u64> {
    let number = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let is_answer = kind == BY_FAMILY && number(8)? == SEQUENCE;
    // A socket that nobody has open any more has none.
    number(HEADER + INODE).filter(|&inode| is_answer && inode != 0).map(u64::from)
}

struct Bytes {
    to: [u8; HEADER + QUESTION],
    filled: usize,
}

impl Bytes {
    fn add(&mut self, bytes: &[u8]) {
        self.to[self.filled..self.filled + bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    fn v4(address: io::Result<SocketAddr>) -> SocketAddrV4 {
        match address.expect("a socket has an address") {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(address) => panic!("{address} is not IPv4"),
        }
    }

    #[test]
    fn a_connection_is_found_by_its_two_addresses() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (server, _) = listener.accept().expect("it has connected");
        for socket in [&client, &server] {
            let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).expect("it is open");
            let found = inode(v4(socket.local_addr()), v4(socket.peer_addr())).expect("the kernel tells");
            assert_eq!(link.to_string_lossy(), format!("socket:[{found}]"));
        }
        let nobody = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
        assert!(inode(nobody, v4(client.peer_addr())).is_err());
    }

    #[test]
    fn an_answer_of_another_kind_names_nothing() {
        let mut answer = vec![0_u8; HEADER + INODE + 4];
        answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        answer[8..12].copy_from_slice(&SEQUENCE.to_ne_bytes());
        answer[HEADER + INODE..].copy_from_slice(&7_u32.to_ne_bytes());
        assert_eq!(read(&answer), Some(7));
        let changed = |at: usize| {
            let mut other = answer.clone();
            other[at] ^= 1;
            read(&other)
        };
        assert_eq!((changed(4), changed(8)), (None, None));
        for length in 0..answer.len() {
            assert_eq!(read(&answer[..length]), None);
        }
    }
}
