//! The loop that lets clients in, and one client's visit from its first byte to its last.

use std::convert::Infallible;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;

use super::clients::Visit;
use super::pages::{self, Site};
use super::tls;
use super::watched::Watched;
use crate::domain::conduct::admission::Phase;
use crate::supervision::stop::Stop;

/// The largest head of a request, in bytes; one that is larger is answered with 431.
const LARGEST_HEAD: usize = 16 * 1024;
/// How long those that are being answered may take when the process stops.
const FAREWELL: Duration = Duration::from_millis(300);
/// How much of what a client still sends is read, in bytes, so that it sees the answer before the end.
const LARGEST_REST: usize = 256 * 1024;
/// The rest after the system had no room for another client, in which those that were sent away can go.
const SHORT_REST: Duration = Duration::from_millis(1);
/// The rest where none could be sent away.
const LONG_REST: Duration = Duration::from_millis(200);
/// How often it is told that clients cannot be let in.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Serves until told to stop, and then until the last client has gone, which takes 300 ms at most.
///
/// # Errors
/// When the socket cannot be handed to the runtime, or is no longer one that clients come from.
pub async fn serve(listener: std::net::TcpListener, site: Arc<Site>, mut stop: Stop) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut visits = JoinSet::new();
    let mut trouble = Trouble::default();
    let outcome = loop {
        tokio::select! {
            biased;
            () = stop.told() => break Ok(()),
            Some(ended) = visits.join_next() => tell_failure(ended),
            accepted = listener.accept() => match accepted {
                Ok((client, address)) => {
                    trouble.is_over();
                    let visit = site.clients.admit(address.ip());
                    tokio::select! {
                        () = stop.told() => break Ok(()),
                        () = visit.count_socket() => {}
                    }
                    let id = visit.id();
                    let task = visits.spawn(receive(client, visit, Arc::clone(&site), stop.clone()));
                    site.clients.attended_by(id, task);
                }
                Err(error) => {
                    let Some(rest) = trouble.rest(&error, || site.clients.push_out_some()) else { break Err(error) };
                    tokio::select! {
                        () = stop.told() => break Ok(()),
                        () = tokio::time::sleep(rest) => {}
                    }
                }
            },
        }
    };
    drop(listener);
    if outcome.is_err() {
        visits.abort_all();
    }
    while let Some(ended) = visits.join_next().await {
        tell_failure(ended);
    }
    outcome
}

/// A client's task ends as it must, or because the client was sent away; a panic in it is the client's alone.
fn tell_failure(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(event = "web_client_failed", error = %error, "serving a web client failed");
    }
}

/// Whose fault it is that a client could not be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The client's: it has gone already.
    Client,
    /// The machine's or the process's: no descriptor or no memory.
    Full,
    /// The socket's: it never works again.
    Socket,
}

fn fault(error: &io::Error) -> Fault {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Fault::Full,
        Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP | Errno::FAULT) => Fault::Socket,
        _ => Fault::Client,
    }
}

/// What is done while no client can be let in.
#[derive(Debug)]
struct Trouble {
    /// A descriptor kept for the day when there is no other: one client can be let in with it.
    reserve: Option<File>,
    told: Option<Instant>,
}

impl Default for Trouble {
    fn default() -> Self {
        Self { reserve: reserve(), told: None }
    }
}

fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

impl Trouble {
    /// One was let in.
    fn is_over(&mut self) {
        if self.reserve.is_none() {
            self.reserve = reserve();
        }
    }

    /// How long to rest before the next try; nothing where there is no use in it. `push_out_some` sends
    /// clients away and says whether there were any.
    fn rest(&mut self, error: &io::Error, push_out_some: impl FnOnce() -> bool) -> Option<Duration> {
        let fault = fault(error);
        if fault == Fault::Socket {
            return None;
        }
        let now = Instant::now();
        if self.told.is_none_or(|told| now.duration_since(told) >= TELL_EVERY) {
            self.told = Some(now);
            tracing::warn!(event = "accept_failed", error = %error, "a web client could not be let in");
        }
        let has_room = fault == Fault::Client || push_out_some() || self.reserve.take().is_some();
        Some(if has_room { SHORT_REST } else { LONG_REST })
    }
}

/// Waits for a client's first byte, and attends to it. Until then it costs a descriptor and next to no memory.
async fn receive(client: TcpStream, visit: Arc<Visit>, site: Arc<Site>, mut stop: Stop) {
    let cut = |client: &TcpStream| {
        let _ = client.set_zero_linger();
    };
    let deadline = visit.deadline();
    let client = Watched::new(client, Arc::clone(&visit), cut);
    let speaks = tokio::select! {
        readable = poll_fn(|context| {
            let readable = client.io().poll_read_ready(context);
            if readable.is_pending() {
                visit.listens();
            }
            readable
        }) => readable.is_ok(),
        () = tokio::time::sleep_until(deadline) => false,
        () = stop.told() => false,
    };
    if !speaks {
        return;
    }
    match &site.access {
        Some(access) if access.is_under_tls() => {
            let shaken = tokio::select! {
                shaken = tls::shake_hands(client.into_inner(), access, visit.origin()) => shaken,
                () = tokio::time::sleep_until(deadline) => None,
                () = stop.told() => None,
            };
            if let Some(client) = shaken {
                let cut = |client: &TlsStream<TcpStream>| {
                    let _ = client.get_ref().0.set_zero_linger();
                };
                let client = Watched::new(client, Arc::clone(&visit), cut);
                Box::pin(attend(client, visit, Arc::clone(&site), stop)).await;
            }
        }
        _ => Box::pin(attend(client, visit, site, stop)).await,
    }
}

/// Answers a client until it goes, has to go, or the process stops.
async fn attend<I>(client: Watched<I>, visit: Arc<Visit>, site: Arc<Site>, mut stop: Stop)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let origin = visit.origin();
    let service = service_fn(|request: Request<Incoming>| {
        let begin = visit.answer();
        let site = Arc::clone(&site);
        Box::pin(async move {
            if begin > Instant::now() {
                tokio::time::sleep_until(begin).await;
            }
            let mut response = pages::answer(&site, &request, origin).await;
            // No page takes a body: what comes of it is not waited for.
            if !request.body().is_end_stream() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        })
    });
    let mut connection = http1::Builder::new()
        // Deadlines are the visit's; hyper's own would end a connection that is kept.
        .header_read_timeout(None)
        .half_close(true)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(client), service);
    let mut limit = std::pin::pin!(tokio::time::sleep_until(visit.deadline()));
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            // A client that breaks off is its own affair.
            _ = &mut connection => break,
            () = poll_fn(|context| poll_overdue(context, &visit, limit.as_mut())) => {
                visit.is_overdue();
                if visit.is_kept() {
                    connection.into_parts().io.into_inner().finish();
                }
                return;
            }
            () = stop.told(), if !stopping => {
                stopping = true;
                visit.hurry(FAREWELL);
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
    part(connection.into_parts().io.into_inner(), &visit).await;
}

/// Waits until a visit's deadline, which moves with what the client does.
fn poll_overdue(context: &mut Context<'_>, visit: &Visit, mut limit: Pin<&mut Sleep>) -> Poll<()> {
    let deadline = visit.deadline();
    if limit.deadline() != deadline {
        limit.as_mut().reset(deadline);
    }
    limit.poll(context)
}

/// Says that all was said, and reads a little of what the client still sends: bytes that nobody reads would make
/// the kernel take the answer back.
async fn part<I: AsyncRead + AsyncWrite + Unpin>(mut client: Watched<I>, visit: &Visit) {
    visit.enter(Phase::Parting);
    client.finish();
    let farewell = async {
        client.shutdown().await?;
        let mut rest = [0; 1024];
        let mut read = 0;
        while !client.has_ended() && read < LARGEST_REST {
            read += client.read(&mut rest).await?;
        }
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout_at(visit.deadline(), farewell).await;
}

#[cfg(test)]
mod tests;
