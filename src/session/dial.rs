//! The first stages of a connect: the host's name, TCP to one of its addresses, and the greeting.

use std::net::IpAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::error::{Failure, shortage};
use super::packet::{self, Greeting, GreetingError};
use crate::config::address::Address;
use crate::domain::life::stage::Stage;

/// A connection to the server.
pub(super) struct Dialled {
    pub(super) socket: TcpStream,
    /// All addresses of the host.
    pub(super) found: Vec<IpAddr>,
    /// How long the connect to the one that answered took.
    pub(super) took: Duration,
}

/// Resolves the host and connects to the first of its addresses that answers.
pub(super) async fn dial(address: &Address, deadline: Instant) -> Result<Dialled, Failure> {
    let Address { host, port } = address;
    let found = timeout_at(deadline, tokio::net::lookup_host((host.as_str(), *port))).await;
    let addresses = match found {
        Err(_) => return Err(Failure::new(Stage::Dns, format!("no answer to the look-up of {host:?}"))),
        Ok(Err(error)) => return Err(explain_look_up(host, &error)),
        Ok(Ok(addresses)) => addresses,
    };
    let mut last = Failure::new(Stage::Dns, format!("the host {host:?} has no address"));
    let addresses: Vec<_> = addresses.collect();
    let found: Vec<IpAddr> = addresses.iter().map(std::net::SocketAddr::ip).collect();
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        // An address that does not answer must leave time for the next.
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        let begun = Instant::now();
        last = match timeout_at(begun + share, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => return Ok(Dialled { socket, found, took: begun.elapsed() }),
            Ok(Err(error)) => {
                Failure::by_system(Stage::Tcp, &format!("TCP connect to {address} failed"), &error)
            }
            Err(_) => Failure::new(
                Stage::Tcp,
                format!("TCP connect to {address} was not answered within {} s", share.as_secs_f64()),
            ),
        };
    }
    Err(last)
}

/// Why a look-up failed. The resolver does not say when it could not open a socket or its own files, so that
/// is tried.
fn explain_look_up(host: &str, error: &std::io::Error) -> Failure {
    let what = format!("the host {host:?} has no address");
    match std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)) {
        Err(lack) if shortage(&lack).is_some() => Failure::by_system(Stage::Local, &what, &lack),
        _ => Failure::by_system(Stage::Dns, &what, error),
    }
}

/// Withholds or sets TCP keepalive on the real socket. A way that is out for less than twice `patience` ends nothing.
pub(super) fn set_socket_options(
    socket: &TcpStream,
    keepalive: Option<Duration>,
    patience: Duration,
) -> std::io::Result<()> {
    /// How many unanswered probes end the connection at least: few, for the canary reports the end ...
    const PROBES: u32 = 3;
    /// ... and at most, as the kernel takes them.
    const MOST_PROBES: u32 = 100;
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    match keepalive {
        None => socket.set_keepalive(false),
        Some(interval) => {
            let probes = (2.0 * patience.as_secs_f64() / interval.as_secs_f64().max(1.0)).ceil() as u32;
            let probes = probes.clamp(PROBES, MOST_PROBES);
            socket.set_tcp_keepalive(
                &TcpKeepalive::new().with_time(interval).with_interval(interval).with_retries(probes),
            )
        }
    }
}

/// Reads the first packet, and gives it parsed and as it came.
pub(super) async fn read_greeting(
    socket: &mut TcpStream,
    deadline: Instant,
    timeout: Duration,
) -> Result<(Greeting, Vec<u8>), Failure> {
    let read = async {
        let mut bytes = vec![0; packet::HEADER];
        socket.read_exact(&mut bytes).await?;
        let header = [bytes[0], bytes[1], bytes[2], bytes[3]];
        let length = match packet::check_greeting_header(header) {
            Ok(length) => length,
            Err(error) => return Ok(Err(error)),
        };
        bytes.resize(packet::HEADER + length, 0);
        socket.read_exact(&mut bytes[packet::HEADER..]).await?;
        Ok::<_, std::io::Error>(
            packet::parse_greeting(&bytes[packet::HEADER..]).map(|greeting| (greeting, bytes)),
        )
    };
    match timeout_at(deadline, read).await {
        Ok(Ok(Ok(greeting))) => Ok(greeting),
        Ok(Ok(Err(GreetingError::Refused(refusal)))) => {
            Err(Failure::by_server(Stage::Greeting, refusal.code, &refusal.message))
        }
        Ok(Ok(Err(error @ GreetingError::NotMySql(_)))) => {
            Err(Failure::new(Stage::Greeting, error.to_string()))
        }
        Ok(Err(error)) => Err(Failure::new(
            Stage::Greeting,
            format!(
                "the connection closed before a whole greeting came: {error}: the port is not a MySQL server's, or it is \
                 a proxy's without a server behind it"
            ),
        )),
        Err(_) => Err(Failure::new(
            Stage::Greeting,
            format!(
                "connected, but no whole greeting came within {} s: the server is stuck, or the port is not a MySQL server's",
                timeout.as_secs_f64()
            ),
        )),
    }
}
