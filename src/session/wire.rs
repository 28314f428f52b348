//! The wire to the server: the real socket, and the TLS session on it where there is one. What comes is told as
//! the wire has it: bytes in clear, or how it closed.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::AlertDescription;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// How long one who announced an end, or was told one, is given to close the socket.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// How the real connection closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// FIN.
    Fin,
    /// RST.
    Reset,
    /// The kernel gave up: keepalive or retransmission went unanswered.
    TimedOut,
}

impl Closed {
    /// What a failed read or write says of the connection.
    pub(super) fn by(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                Self::TimedOut
            }
            _ => Self::Reset,
        }
    }
}

/// What came from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// So many bytes, in clear.
    Bytes(usize),
    /// The end of the TLS session, by an alert; which one where it is a complaint. The socket may still be open.
    TlsEnd(Option<AlertDescription>),
    /// The end of the connection.
    Closed(Closed),
    /// Under TLS: bytes that are no record of this session.
    Garbled,
}

/// The real socket under one session.
#[derive(Debug)]
pub(super) enum Wire {
    /// In clear.
    Plain(TcpStream),
    /// Under TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Waits for something to come. May be dropped while it waits: nothing is lost.
    pub(super) async fn read(&mut self, into: &mut [u8]) -> Came {
        poll_fn(|context| self.poll_read(context, into)).await
    }

    /// The same, for one who has room for bytes only while they come.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>, into: &mut [u8]) -> Poll<Came> {
        let mut room = ReadBuf::new(into);
        let (read, tls) = match self {
            Self::Plain(socket) => (Pin::new(socket).poll_read(context, &mut room), false),
            Self::Tls(stream) => (Pin::new(stream.as_mut()).poll_read(context, &mut room), true),
        };
        let length = room.filled().len();
        Poll::Ready(match ready!(read) {
            Ok(()) if length == 0 && tls => Came::TlsEnd(None),
            Ok(()) if length == 0 => Came::Closed(Closed::Fin),
            Ok(()) => {
                // An acknowledgement sent late would be the path's last packet, and its idle timer
                // would start later than our own clock.
                let _ = SockRef::from(self.socket()).set_tcp_quickack(true);
                Came::Bytes(length)
            }
            Err(error) => match tls_error(&error) {
                Some(&rustls::Error::AlertReceived(alert)) => Came::TlsEnd(Some(alert)),
                Some(_) => Came::Garbled,
                // FIN without the alert that should announce it.
                None if tls && error.kind() == io::ErrorKind::UnexpectedEof => Came::Closed(Closed::Fin),
                None => Came::Closed(Closed::by(&error)),
            },
        })
    }

    /// Hands on bytes.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// How the socket closes after the end of its TLS session. It has ended in any case.
    pub(super) async fn close(&mut self) -> Closed {
        let mut rest = [0; 512];
        let closed = async {
            loop {
                match self.socket_mut().read(&mut rest).await {
                    Ok(0) => return Closed::Fin,
                    Ok(_) => {}
                    Err(error) => return Closed::by(&error),
                }
            }
        };
        timeout(LINGER, closed).await.unwrap_or(Closed::Fin)
    }

    /// Sends FIN. Under TLS no alert goes before it: a server that has heard COM_QUIT would answer it with RST.
    pub(super) async fn finish(&mut self) {
        let _ = self.socket_mut().shutdown().await;
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    fn socket_mut(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }
}

/// What the TLS library says, where it was that which failed.
pub(super) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
