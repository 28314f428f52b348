//! The door that the driver comes in by, inside this machine. Which one it is tells the driver whether the connection
//! is secure: over a Unix socket it says the password in plain words where it is asked for it, over TCP it never does.
//! Nobody else is let in.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use super::comer::{self, NotLetIn};

/// How the driver finds the tap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// At this address.
    Tcp(SocketAddr),
    /// At this Unix socket of the abstract namespace, which no file system knows.
    Unix(String),
}

/// The open door.
#[derive(Debug)]
pub(super) enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The driver's side of the tap.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Door {
    /// Opens a door; a `secure` one where whatever the driver says may be handed on.
    ///
    /// # Errors
    /// When no socket can be had.
    pub(super) async fn open(secure: bool) -> io::Result<(Self, Way)> {
        if secure {
            let name = format!("\0mysql-canary-exporter-{}-{:016x}", std::process::id(), fastrand::u64(..));
            return Ok((Self::Unix(UnixListener::bind(&name)?), Way::Unix(name)));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok((Self::Tcp(listener), Way::Tcp(address)))
    }

    /// Waits for our own driver; strangers are turned away.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn accept(&self) -> Result<Box<dyn Duplex>, NotLetIn> {
        match self {
            Self::Tcp(listener) => {
                let driver = comer::accept(listener).await?;
                // Small packets in strict turns: waiting to fill a segment would only delay them.
                let _ = driver.set_nodelay(true);
                Ok(Box::new(driver))
            }
            Self::Unix(listener) => loop {
                let none = |error| NotLetIn { error, _comer: None };
                let (comer, _) = listener.accept().await.map_err(none)?;
                let process = comer.peer_cred().map_err(none)?.pid();
                if process.and_then(|process| u32::try_from(process).ok()) == Some(std::process::id()) {
                    return Ok(Box::new(comer));
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn only_this_process_comes_in_by_a_unix_socket() {
        let (door, way) = Door::open(true).await.expect("a Unix socket can be had");
        let Way::Unix(name) = way else { panic!("no Unix socket: {way:?}") };
        let connect = "import socket, sys\n\
            s = socket.socket(socket.AF_UNIX); s.connect('\\0' + sys.argv[1])\n\
            print('in', flush=True); assert s.recv(1) == b''";
        let mut stranger = std::process::Command::new("python3")
            .args(["-c", connect, &name[1..]])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("Python can be run");
        let mut said = [0; 3];
        io::Read::read_exact(stranger.stdout.as_mut().expect("piped"), &mut said).expect("it connected");
        let (let_in, driver) = tokio::join!(door.accept(), UnixStream::connect(&name));
        let (mut let_in, mut driver) = (let_in.expect("one comes"), driver.expect("it listens"));
        let_in.write_all(b"hey").await.expect("it is connected");
        driver.read_exact(&mut said).await.expect("it is connected");
        assert_eq!(&said, b"hey", "the driver, not the first comer");
        let ended = tokio::task::spawn_blocking(move || stranger.wait()).await.expect("no panic");
        assert!(ended.expect("it ends by itself").success(), "the stranger saw the end");
    }
}
