//! The web side: `/metrics` and its neighbours, served from memory; no request ever waits for MySQL.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Registry, TextEncoder};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::stop::Stop;
use crate::supervision::Health;

/// How many clients are served at once; more wait in the kernel's queue.
const MOST_CLIENTS: usize = 64;
/// How long a client may take to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How many clients may wait in the kernel's queue.
const BACKLOG: i32 = 128;
/// How long a client may stay connected; a scraper that keeps its connection opens another.
const LONGEST_VISIT: Duration = Duration::from_secs(300);

/// What the pages are made of.
#[derive(Debug)]
pub struct Site {
    /// Where the metrics come from.
    pub registry: Registry,
    /// Whether the exporter can be relied on.
    pub health: Arc<Health>,
    /// The path of the metrics page, beginning with a slash.
    pub telemetry_path: String,
}

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
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves until told to stop.
///
/// # Errors
/// When the socket cannot be handed to the runtime.
pub async fn serve(listener: std::net::TcpListener, site: Arc<Site>, mut stop: Stop) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(MOST_CLIENTS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let accepted = tokio::select! {
            () = stop.told() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((client, _)) => {
                let (site, stop) = (Arc::clone(&site), stop.clone());
                tokio::spawn(async move {
                    attend(client, site, stop).await;
                    drop(place);
                });
            }
            // Out of file descriptors, most likely: rest, rather than turn at full speed.
            Err(error) => {
                tracing::warn!(event = "accept_failed", error = %error, "a web client could not be accepted");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn attend(client: TcpStream, site: Arc<Site>, mut stop: Stop) {
    let service = service_fn(move |request| {
        let response = answer(&site, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(client), service);
    tokio::pin!(connection);
    // A client that breaks off is its own affair.
    tokio::select! {
        _ = connection.as_mut() => {}
        // A client that neither asks nor reads must not keep its place.
        () = tokio::time::sleep(LONGEST_VISIT) => {}
        () = stop.told() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(Duration::from_millis(300), connection).await;
        }
    }
}

fn answer(site: &Site, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let known = path == site.telemetry_path || matches!(path, "/" | "/-/healthy" | "/-/ready");
    if !known {
        return text(
            StatusCode::NOT_FOUND,
            format!("nothing here; the metrics are at {}\n", site.telemetry_path),
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    if path == site.telemetry_path {
        return metrics(site);
    }
    match path {
        "/-/healthy" => text(StatusCode::OK, "Healthy.\n".to_owned()),
        "/-/ready" => readiness(&site.health),
        _ => html(landing_page(&site.telemetry_path)),
    }
}

/// Every reason why the exporter cannot be relied on now, one a line.
fn readiness(health: &Health) -> Response<Full<Bytes>> {
    let reasons = health.unready();
    if reasons.is_empty() {
        return text(StatusCode::OK, "Ready.\n".to_owned());
    }
    let lines: String = reasons.iter().map(|reason| format!("{reason}\n")).collect();
    text(StatusCode::SERVICE_UNAVAILABLE, format!("Not ready.\n{lines}"))
}

fn metrics(site: &Site) -> Response<Full<Bytes>> {
    match TextEncoder::new().encode_to_string(&site.registry.gather()) {
        Ok(page) => {
            let mut response = Response::new(Full::from(page));
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
            response
        }
        Err(error) => {
            text(StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics could not be written: {error}\n"))
        }
    }
}

fn text(status: StatusCode, words: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(words));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn html(page: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(page));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn landing_page(telemetry_path: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>MySQL Canary Exporter</title></head>\n\
         <body>\n<h1>MySQL Canary Exporter</h1>\n\
         <p>Which layer kills idle MySQL connections, at which age, and what to change.</p>\n\
         <p>Version {version}</p>\n<ul>\n<li><a href=\"{telemetry_path}\">Metrics</a></li>\n\
         <li><a href=\"/-/healthy\">Health</a></li>\n<li><a href=\"/-/ready\">Readiness</a></li>\n</ul>\n</body>\n</html>\n"
    )
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
