//! A client's TLS, from its first byte to the end of the handshake.

use std::io;
use std::time::Duration;

use rustls::server::Acceptor;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::access::Access;
use super::clients::Origin;

/// The first byte of a client that speaks TLS: a record with a handshake.
const HANDSHAKE: u8 = 0x16;
/// How much of an answer waits under TLS, in bytes, before the client has to take some.
const BUFFER: usize = 16 * 1024;
/// How long a client that is refused may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);
/// How much of what such a one still sends is read, in bytes.
const LARGEST_REST: usize = 64 * 1024;
/// What is said to a client that does not speak TLS.
const PLAIN: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// Shakes hands with a client whose first byte is there. Nothing where that fails: it was told why.
pub(super) async fn shake_hands(
    client: TcpStream,
    access: &Access,
    from: Origin,
) -> Option<TlsStream<TcpStream>> {
    // A client that is cut off in its midst leaves nothing in the kernel.
    let _ = client.set_zero_linger();
    let mut first = [0];
    if client.peek(&mut first).await.ok()? == 0 {
        return None;
    }
    if first[0] != HANDSHAKE {
        part(client, PLAIN).await;
        return None;
    }
    let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), client);
    let start = match (&mut acceptor).await {
        Ok(start) => start,
        Err(error) => {
            tell(&error);
            if let Some(client) = acceptor.take_io() {
                part(client, b"").await;
            }
            return None;
        }
    };
    let config = access.current().await;
    let tls = config.tls.as_ref()?.config.clone();
    // Here the server signs, which is by far the most that a handshake costs.
    let begun = access
        .handshakes
        .work(from, move || {
            start.into_stream_with(tls, |connection| connection.set_buffer_limit(Some(BUFFER)))
        })
        .await;
    match begun.ok()?.into_fallible().await {
        Ok(stream) => {
            let _ = SockRef::from(stream.get_ref().0).set_linger(None);
            Some(stream)
        }
        Err((error, client)) => {
            tell(&error);
            part(client, b"").await;
            None
        }
    }
}

/// A client's failed handshake is its own affair: whoever looks for it finds it.
fn tell(error: &io::Error) {
    tracing::debug!(event = "tls_handshake_failed", error = %error, "a web client's TLS handshake failed");
}

/// Says the last words, and reads a little of what the client still sends: bytes that nobody reads would make the kernel
/// take them back.
async fn part(mut client: TcpStream, words: &[u8]) {
    let _ = SockRef::from(&client).set_linger(None);
    let farewell = async {
        client.write_all(words).await?;
        client.shutdown().await?;
        let (mut rest, mut read) = ([0; 1024], 0);
        while read < LARGEST_REST {
            match client.read(&mut rest).await? {
                0 => break,
                length => read += length,
            }
        }
        io::Result::Ok(())
    };
    let _ = timeout(FAREWELL, farewell).await;
}
