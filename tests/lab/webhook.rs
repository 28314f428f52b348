//! A webhook: the end of the line, where a person would be told.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::Firewall;

/// What a person is told of one alert.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Notice {
    /// `firing` or `resolved`.
    pub(crate) status: String,
    /// The alert's labels, `alertname` and `severity` among them.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its texts.
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Notification {
    alerts: Vec<Notice>,
}

/// A running webhook. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Webhook {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// What came, one for each notification.
    notifications: Mutex<Vec<Vec<Notice>>>,
    ended: AtomicBool,
}

impl Notice {
    /// The label `alertname`.
    pub(crate) fn alert(&self) -> &str {
        self.labels.get("alertname").map_or("", String::as_str)
    }

    /// Summary and description, as a person reads them.
    pub(crate) fn text(&self) -> String {
        let part = |name| self.annotations.get(name).map_or("", String::as_str);
        format!("{}\n{}", part("summary"), part("description"))
    }
}

impl Webhook {
    /// Starts it, in the client namespace of a firewall where one is named.
    pub(crate) fn start(inside: Option<&Firewall>) -> Self {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let listener = match inside {
            Some(firewall) => firewall.in_client(bind),
            None => bind(),
        };
        let address = listener.local_addr().expect("a listener has an address");
        listener.set_nonblocking(true).expect("a listener can be asked not to block");
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || serve(&listener, &theirs));
        Self { address, shared, thread: Some(thread) }
    }

    /// Where notifications go to.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Everything told so far, in order.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        self.notifications().concat()
    }

    /// The same, each notification with the alerts that it tells together.
    pub(crate) fn notifications(&self) -> Vec<Vec<Notice>> {
        self.shared.notifications.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `pick` finds what it looks for in all that was told; the words of `otherwise` join the
    /// failure.
    #[track_caller]
    pub(crate) fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        pick: impl Fn(&[Notice]) -> Option<T>,
        otherwise: impl Fn() -> String,
    ) -> T {
        let begun = Instant::now();
        loop {
            let notices = self.notices();
            if let Some(found) = pick(&notices) {
                return found;
            }
            assert!(
                begun.elapsed() < limit,
                "waited {limit:?} in vain for {what}; told was {notices:#?}\n{}",
                otherwise()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, shared: &Shared) {
    while !shared.ended.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => match receive(stream) {
                Ok(notification) => {
                    let mut all = shared.notifications.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push(notification.alerts);
                }
                // Without an answer Alertmanager says it again.
                Err(error) => println!("the webhook understood nothing: {error}"),
            },
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Reads one notification and thanks for it.
fn receive(stream: TcpStream) -> io::Result<Notification> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            // The request line has no colon before its path's end, and the last line is empty.
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let notification = serde_json::from_slice(&body).map_err(io::Error::other)?;
    reader.into_inner().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(notification)
}
