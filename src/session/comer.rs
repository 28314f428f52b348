//! Who comes: on loopback anybody on this machine may knock, and only our own driver is let in.
//!
//! A socket is ours where the kernel gives it an inode that is open in this process. The kernel is asked for the one
//! connection ([`sock_diag`]), and where it does not answer, its whole table is read. The descriptors of this process are
//! looked at from the comer's own on: thousands of others may be open.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpListener, TcpStream};

use super::error::shortage;
use super::sock_diag;

/// This process's view of the IPv4 connections around it.
const TABLE: &str = "/proc/self/net/tcp";

/// What this process has open.
const OPEN: &str = "/proc/self/fd";

/// Nobody was let in.
#[derive(Debug)]
pub(super) struct NotLetIn {
    /// What the system says.
    pub(super) error: io::Error,
    /// Who came, where it may be the driver: it is to hear of the end once the reason is known.
    pub(super) _comer: Option<TcpStream>,
}

/// Waits for our own driver; strangers are turned away.
///
/// # Errors
/// What the system says.
pub(super) async fn accept(listener: &TcpListener) -> Result<TcpStream, NotLetIn> {
    let mut told = false;
    loop {
        let (comer, from) = listener.accept().await.map_err(|error| NotLetIn { error, _comer: None })?;
        match let_in(&comer, from).await {
            Ok(true) => return Ok(comer),
            Ok(false) => {}
            Err(error) => return Err(NotLetIn { error, _comer: Some(comer) }),
        }
        if !told {
            told = true;
            tracing::warn!(
                event = "stranger",
                from = %from,
                "another process of this machine connected to the loopback port meant for our own driver: it is turned away"
            );
        }
    }
}

/// Whether whoever came is our own driver.
async fn let_in(comer: &TcpStream, from: SocketAddr) -> io::Result<bool> {
    let (to, number) = (comer.local_addr()?, comer.as_raw_fd());
    // The kernel may have to load a module first, and a long table takes milliseconds.
    tokio::task::spawn_blocking(move || is_ours(from, to, number)).await.map_err(io::Error::other)?
}

/// Whether the socket at the other end of a connection is open in this process. Where the system does not tell,
/// nobody can be turned away. `number` is the descriptor of this end.
///
/// # Errors
/// What this machine lacks to find out.
fn is_ours(from: SocketAddr, to: SocketAddr, number: RawFd) -> io::Result<bool> {
    /// The kernel was asked for one connection and does not answer such questions.
    static REFUSED: AtomicBool = AtomicBool::new(false);
    let (SocketAddr::V4(from), SocketAddr::V4(to)) = (from, to) else { return Ok(true) };
    if !REFUSED.load(Ordering::Relaxed) {
        // Otherwise the table knows whether there is none, or the kernel does not tell.
        if let Some(inode) = unless_short(sock_diag::inode(from, to))? {
            return is_open_here(inode, number);
        }
    }
    let Some(table) = unless_short(File::open(TABLE))? else { return Ok(true) };
    match inode(BufReader::new(table), from, to) {
        None => Ok(true),
        Some(None) => Ok(false),
        Some(Some(inode)) => {
            REFUSED.store(true, Ordering::Relaxed);
            is_open_here(inode, number)
        }
    }
}

/// What the system tells; `None` where it does not. That this machine lacks what the question needs stays an error.
fn unless_short<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if shortage(&error).is_some() => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether this process has the socket of this inode open, as it will have been since shortly before it opened the
/// descriptor `number`. True where the system does not tell.
fn is_open_here(inode: u64, number: RawFd) -> io::Result<bool> {
    let wanted = format!("socket:[{inode}]");
    if is_open_below(&wanted, number).is_some() {
        return Ok(true);
    }
    let Some(open) = unless_short(fs::read_dir(OPEN))? else { return Ok(true) };
    Ok(open.filter_map(Result::ok).any(|entry| leads_to(&entry.path(), &wanted)))
}

/// Looks at the descriptors below one, from it on, and says which it is. The kernel gives the lowest number that is free: of
/// two opened after one another the first is the next lower one that was free, unless something was closed between.
fn is_open_below(wanted: &str, number: RawFd) -> Option<RawFd> {
    let open = Path::new(OPEN);
    (0..number).rev().find(|lower| leads_to(&open.join(lower.to_string()), wanted))
}

fn leads_to(descriptor: &Path, wanted: &str) -> bool {
    fs::read_link(descriptor).is_ok_and(|link| link.as_os_str() == wanted)
}

/// The inode of the socket that goes from one address to the other: the inner `None` where there is none, the
/// outer one where the table cannot be read.
fn inode(table: impl BufRead, from: SocketAddrV4, to: SocketAddrV4) -> Option<Option<u64>> {
    const LOCAL: usize = 1;
    const REMOTE: usize = 2;
    const INODE: usize = 9;
    let (from, to) = (spelled(from), spelled(to));
    for line in table.lines() {
        let line = line.ok()?;
        let mut fields = line.split_ascii_whitespace();
        if fields.nth(LOCAL) == Some(&*from) && fields.next() == Some(&*to) {
            return Some(fields.nth(INODE - REMOTE - 1)?.parse().ok());
        }
    }
    Some(None)
}

/// An address as the table spells it: the bytes of the address as one number of this machine's order.
fn spelled(address: SocketAddrV4) -> String {
    let ip: Ipv4Addr = *address.ip();
    format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn the_kernel_s_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:A1B2 0100007F:0CEA 01 00000000:00000000 02:000 00000000     0        0 12345 2 0 20 4 30 10 -1\n";
        let at = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        if cfg!(target_endian = "little") {
            assert_eq!(inode(table.as_bytes(), at(0xa1b2), at(3306)), Some(Some(12345)));
        }
        assert_eq!(inode(table.as_bytes(), at(3306), at(0xa1b2)), Some(None));
        assert_eq!(inode(&b""[..], at(1), at(2)), Some(None));
    }

    #[tokio::test]
    async fn whichever_number_the_driver_has() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a port");
        let address = listener.local_addr().expect("a listener has an address");
        // The second driver has a higher number than its comer, unless another test took the one that was given back.
        for given_back in [None, File::open(TABLE).ok()] {
            let driver = TcpStream::connect(address).await.expect("it listens");
            drop(given_back);
            let let_in = accept(&listener).await.expect("no error");
            assert_eq!(let_in.peer_addr().ok(), driver.local_addr().ok());
            let link = fs::read_link(format!("{OPEN}/{}", driver.as_raw_fd())).expect("it is open");
            let link = link.to_string_lossy();
            let above = driver.as_raw_fd() + 1;
            assert_eq!(is_open_below(&link, above), Some(driver.as_raw_fd()));
            assert_eq!(is_open_below(&link, driver.as_raw_fd()), None);
            let inode = link.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().expect("a number");
            for number in [above, driver.as_raw_fd(), 0] {
                assert!(is_open_here(inode, number).expect("it is told"), "by looking at all, if need be");
            }
            drop(driver);
            assert!(!is_open_here(inode, above).expect("it is told"));
        }
    }

    #[tokio::test]
    async fn a_stranger_that_comes_first_is_turned_away() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a port");
        let address = listener.local_addr().expect("a listener has an address");
        let stranger = Command::new("bash")
            .args(["-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{}; echo in; cat <&3", address.port())])
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash can be run");
        let mut stranger = Stranger(stranger);
        let mut said = [0; 3];
        io::Read::read_exact(stranger.0.stdout.as_mut().expect("piped"), &mut said).expect("it connected");
        let door = tokio::spawn(async move { accept(&listener).await });
        let mut driver = TcpStream::connect(address).await.expect("it listens");
        let let_in = tokio::time::timeout(Duration::from_secs(10), door).await.expect("somebody is let in");
        let let_in = let_in.expect("no panic").expect("no error");
        assert_eq!(let_in.peer_addr().ok(), driver.local_addr().ok(), "the driver, not the first comer");
        drop(let_in);
        assert_eq!(driver.read(&mut said).await.expect("closed by us"), 0);
        let turned_away = tokio::task::spawn_blocking(move || stranger.0.wait()).await.expect("no panic");
        assert!(turned_away.expect("it ends by itself").success(), "the stranger saw the end");
    }

    /// A child that does not outlive the test.
    struct Stranger(std::process::Child);

    impl Drop for Stranger {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
