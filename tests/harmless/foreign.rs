//! Foreign sessions of the exporter's own account: sleepers, of which one after another is renewed so that new ids
//! come up all the time, and workers that are always in a statement.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};

use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::wait_for;

/// The foreign sessions of all servers.
#[derive(Debug)]
pub(crate) struct Foreign {
    shared: Arc<Shared>,
    expected: usize,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    user: &'static str,
    over: AtomicBool,
    ready: AtomicUsize,
    opened: AtomicUsize,
    alive: AtomicUsize,
    finished: AtomicUsize,
    harmed: Mutex<Vec<String>>,
}

/// What became of them.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) alive: usize,
    pub(crate) opened: usize,
    pub(crate) finished: usize,
    pub(crate) harmed: Vec<String>,
}

impl Foreign {
    pub(crate) fn start(servers: &[SocketAddr], sleepers: usize, workers: usize) -> Self {
        Self::start_as("canary", servers, sleepers, workers)
    }

    /// The same as another user.
    pub(crate) fn start_as(
        user: &'static str,
        servers: &[SocketAddr],
        sleepers: usize,
        workers: usize,
    ) -> Self {
        let shared = Arc::new(Shared { user, ..Shared::default() });
        let mut threads = Vec::new();
        for &server in servers {
            let shared = Arc::clone(&shared);
            threads.push(std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    let mut tasks = tokio::task::JoinSet::new();
                    for number in 0..workers {
                        tasks.spawn(work(server, number, Arc::clone(&shared)));
                    }
                    tasks.spawn(sleep(server, sleepers, shared));
                    while let Some(ended) = tasks.join_next().await {
                        ended.expect("no foreign session panics");
                    }
                });
            }));
        }
        Self { shared, expected: servers.len() * (sleepers + workers), threads }
    }

    /// Waits until every session is there. Gives how many there are.
    pub(crate) fn wait_for_all(&self) -> usize {
        wait_for("every foreign session", Duration::from_secs(60), || {
            (self.shared.ready.load(Ordering::Relaxed) == self.expected).then_some(())
        });
        self.expected
    }

    /// Asks every session whether it lives, and ends it.
    pub(crate) fn end(self) -> Told {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no foreign thread panics");
        }
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        Told {
            alive: count(&self.shared.alive),
            opened: count(&self.shared.opened),
            finished: count(&self.shared.finished),
            harmed: self.shared.harmed.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn harm(&self, what: &str, error: &mysql_async::Error) {
        self.harmed.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{what}: {error}"));
    }
}

async fn open(server: SocketAddr, shared: &Shared) -> Conn {
    let options = OptsBuilder::default()
        .ip_or_hostname(server.ip().to_string())
        .tcp_port(server.port())
        .user(Some(shared.user))
        .pass(Some(DEFAULT_PASSWORD))
        .prefer_socket(Some(false));
    let conn = Conn::new(options).await.expect("a foreign session logs in");
    shared.opened.fetch_add(1, Ordering::Relaxed);
    conn
}

/// Whether the session is the one that it was.
async fn is_alive(conn: &mut Conn, server: SocketAddr, shared: &Shared) -> bool {
    let id = conn.id();
    match conn.query_first::<u64, _>("SELECT CONNECTION_ID()").await {
        Ok(told) => told == Some(u64::from(id)),
        Err(error) => {
            shared.harm(&format!("session {id} on {server}"), &error);
            false
        }
    }
}

async fn sleep(server: SocketAddr, sleepers: usize, shared: Arc<Shared>) {
    let shared = &*shared;
    let mut sessions = std::collections::VecDeque::new();
    while sessions.len() < sleepers {
        sessions.push_back(open(server, shared).await);
        shared.ready.fetch_add(1, Ordering::Relaxed);
    }
    while !shared.is_over() {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut oldest = sessions.pop_front().expect("there are sleepers");
        is_alive(&mut oldest, server, shared).await;
        let _ = oldest.disconnect().await;
        sessions.push_back(open(server, shared).await);
    }
    for mut session in sessions {
        let alive = is_alive(&mut session, server, shared).await;
        shared.alive.fetch_add(usize::from(alive), Ordering::Relaxed);
        let _ = session.disconnect().await;
    }
}

async fn work(server: SocketAddr, number: usize, shared: Arc<Shared>) {
    let shared = &*shared;
    let mut session = open(server, shared).await;
    shared.ready.fetch_add(1, Ordering::Relaxed);
    while !shared.is_over() {
        let seconds = 0.3 * (number + 1) as f64;
        // An interrupted sleep says 1, or is an error.
        match session.query_first::<u8, _>(format!("SELECT SLEEP({seconds})")).await {
            Ok(Some(0)) => {
                shared.finished.fetch_add(1, Ordering::Relaxed);
            }
            Ok(told) => {
                let told = format!("a statement on {server} was interrupted: {told:?}");
                shared.harmed.lock().unwrap_or_else(PoisonError::into_inner).push(told);
            }
            Err(error) => {
                shared.harm(&format!("a statement on {server}"), &error);
                session = open(server, shared).await;
            }
        }
    }
    let alive = is_alive(&mut session, server, shared).await;
    shared.alive.fetch_add(usize::from(alive), Ordering::Relaxed);
    let _ = session.disconnect().await;
}
