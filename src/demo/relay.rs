//! What stands on a path: a relay between clients and the server that ends what is idle, as a load balancer does or as
//! a NAT does.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// So many connections at once; the demonstration has a dozen.
const MOST: usize = 64;
/// How much is handed on at a time, in bytes.
const PIECE: usize = 16 * 1024;

/// What a relay does with a connection that was idle for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Closes it on both sides, as a load balancer or a proxy does.
    Closes,
    /// Forgets it: what either side sends from then on goes nowhere, and nobody is told, as with a firewall or a NAT.
    Forgets,
}

/// A relay that runs. Dropped, it ends with all its connections.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    task: JoinSet<()>,
}

impl Relay {
    /// Listens on a port of the loopback address that is free.
    ///
    /// # Errors
    /// What the system says where no port can be had.
    pub(super) async fn start(server: SocketAddr, manner: Manner, idle: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut task = JoinSet::new();
        task.spawn(accept(listener, server, manner, idle));
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when it ended, which it does not by itself.
    pub(super) async fn ended(&mut self) {
        let _ = self.task.join_next().await;
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, manner: Manner, idle: Duration) {
    /// How long it rests where the system has no descriptor to give.
    const REST: Duration = Duration::from_millis(100);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST => match accepted {
                Ok((client, _)) => {
                    connections.spawn(relay(client, server, manner, idle));
                }
                Err(_) => tokio::time::sleep(REST).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Hands on what either side says until one of them ends, or both are silent for too long. That a side is gone is no
/// news to anybody here: its end shows on the other side's socket.
async fn relay(mut client: TcpStream, server: SocketAddr, manner: Manner, idle: Duration) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.split(), server.split());
    let (mut asked, mut answered) = (vec![0; PIECE], vec![0; PIECE]);
    let mut last = Instant::now();
    loop {
        let handed_on = tokio::select! {
            read = from_client.read(&mut asked) => hand_on(read, &asked, &mut to_server).await,
            read = from_server.read(&mut answered) => hand_on(read, &answered, &mut to_client).await,
            () = sleep_until(last + idle) => break,
        };
        if handed_on.is_none() {
            return;
        }
        last = Instant::now();
    }
    if manner == Manner::Forgets {
        // Its end is no news to the client: the flow is forgotten, not closed.
        tokio::join!(swallow(&mut from_client), swallow(&mut from_server));
    }
}

/// `None` where a side has ended.
async fn hand_on(read: io::Result<usize>, piece: &[u8], to: &mut (impl AsyncWrite + Unpin)) -> Option<()> {
    let count = read.ok().filter(|count| *count > 0)?;
    to.write_all(&piece[..count]).await.ok()
}

/// Reads until the end, for nobody.
async fn swallow(from: &mut (impl AsyncRead + Unpin)) {
    let mut nowhere = tokio::io::sink();
    // However it ends.
    let _ = tokio::io::copy(from, &mut nowhere).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_millis(700);

    /// A client and the server's end of its connection through a relay.
    async fn pair(manner: Manner) -> (Relay, TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let at = listener.local_addr().expect("bound");
        let relay = Relay::start(at, manner, IDLE).await.expect("a free port");
        let client = TcpStream::connect(relay.address()).await.expect("it listens");
        let (server, _) = listener.accept().await.expect("it connects");
        (relay, client, server)
    }

    async fn says(from: &mut TcpStream, to: &mut TcpStream) {
        from.write_all(b"word").await.expect("open");
        let mut word = [0; 4];
        to.read_exact(&mut word).await.expect("handed on");
        assert_eq!(&word, b"word");
    }

    #[tokio::test]
    async fn what_is_not_idle_goes_on() {
        let (_relay, mut client, mut server) = pair(Manner::Closes).await;
        for _ in 0..4 {
            says(&mut client, &mut server).await;
            tokio::time::sleep(IDLE / 2).await;
            says(&mut server, &mut client).await;
        }
    }

    #[tokio::test]
    async fn one_that_closes_tells_both_sides() {
        let (_relay, mut client, mut server) = pair(Manner::Closes).await;
        says(&mut client, &mut server).await;
        let mut rest = Vec::new();
        assert_eq!(client.read_to_end(&mut rest).await.expect("closed"), 0);
        assert_eq!(server.read_to_end(&mut rest).await.expect("closed"), 0);
    }

    #[tokio::test]
    async fn one_that_forgets_tells_nobody_and_hands_on_nothing() {
        let (_relay, mut client, mut server) = pair(Manner::Forgets).await;
        says(&mut client, &mut server).await;
        tokio::time::sleep(2 * IDLE).await;
        client.write_all(b"word").await.expect("it takes it");
        server.shutdown().await.expect("open");
        let mut byte = [0];
        let heard = tokio::time::timeout(IDLE, client.read(&mut byte)).await;
        assert!(heard.is_err(), "neither a word nor an end: {heard:?}");
        let heard = tokio::time::timeout(IDLE, server.read(&mut byte)).await;
        assert!(heard.is_err(), "neither a word nor an end: {heard:?}");
    }
}
