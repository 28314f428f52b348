//! A scripted server: a listener on loopback that plays one scene for every connection and misbehaves on cue.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::place::free_port;
use super::wire::{self, Command};

pub(crate) use tls::TlsEnd;

/// A running scripted server. Dropping it closes its listener and hangs up every connection.
#[derive(Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    stage: Arc<Stage>,
}

/// What the scenes of one peer share.
#[derive(Debug, Default)]
struct Stage {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    accepted: u32,
    cues: u32,
    curtain: bool,
    open: Vec<Weak<TcpStream>>,
}

impl Peer {
    /// Listens, and plays `scene` in a thread of its own for every accepted connection.
    pub(crate) fn start(scene: impl Fn(Scene) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let stage = Arc::new(Stage::default());
        let (house, scene) = (Arc::clone(&stage), Arc::new(scene));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let stream = Arc::new(stream);
                let mut state = house.lock();
                if state.curtain {
                    break;
                }
                state.accepted += 1;
                state.open.push(Arc::downgrade(&stream));
                let (number, cues_seen) = (state.accepted, state.cues);
                drop(state);
                let (stage, scene) = (Arc::clone(&house), Arc::clone(&scene));
                thread::spawn(move || scene(Scene { stream, number, cues_seen, stage, tls_end: None }));
            }
        });
        Self { address, stage }
    }

    /// The same under TLS, which every connection begins after the greeting: the scene says its words in clear.
    pub(crate) fn start_tls(scene: impl Fn(Scene) + Send + Sync + 'static) -> Self {
        Self::start(move |scene_in_clear| {
            let Scene { stream, number, cues_seen, stage, .. } = scene_in_clear;
            let (inside, tls_end) = tls::put_on(stream);
            stage.lock().open.push(Arc::downgrade(&inside));
            scene(Scene { stream: inside, number, cues_seen, stage, tls_end: Some(tls_end) });
        })
    }

    /// An address where nobody listens: connections are refused.
    pub(crate) fn refusing() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted.
    pub(crate) fn accepted(&self) -> u32 {
        self.stage.lock().accepted
    }

    /// How many of them are still open on its side.
    pub(crate) fn open(&self) -> usize {
        self.stage.lock().open.iter().filter(|stream| stream.strong_count() > 0).count()
    }

    /// Gives every scene that runs now its cue.
    pub(crate) fn cue(&self) {
        self.stage.lock().cues += 1;
        self.stage.changed.notify_all();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let mut state = self.stage.lock();
        state.curtain = true;
        for stream in state.open.drain(..).filter_map(|stream| stream.upgrade()) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.stage.changed.notify_all();
        // Wakes the listener, which then sees the curtain.
        let _ = TcpStream::connect(self.address);
    }
}

impl Stage {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why [`Scene::serve`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    /// [`Peer::cue`] was called.
    Cued,
    /// The client sent nothing for the given time.
    Idle,
    /// The client said COM_QUIT.
    Quit,
    /// The client closed the connection, or the peer was dropped.
    HungUp,
}

/// One connection, seen from the server's side. Dropping it closes the connection with FIN.
#[derive(Debug)]
pub(crate) struct Scene {
    /// The connection itself.
    pub(crate) stream: Arc<TcpStream>,
    /// 1 for the first connection the peer accepted.
    pub(crate) number: u32,
    cues_seen: u32,
    stage: Arc<Stage>,
    tls_end: Option<Arc<OnceLock<TlsEnd>>>,
}

impl Scene {
    /// Ends TLS so.
    pub(crate) fn end_tls(&self, end: TlsEnd) {
        let tls_end = self.tls_end.as_ref().expect("the peer speaks TLS");
        tls_end.set(end).expect("TLS ends once");
    }

    /// Writes bytes as they are; whether the client still took them.
    pub(crate) fn send(&self, bytes: &[u8]) -> bool {
        (&*self.stream).write_all(bytes).is_ok()
    }

    /// Writes one byte at a time with a pause after each; whether the client took them all.
    pub(crate) fn send_slowly(&self, bytes: &[u8], pause: Duration) -> bool {
        bytes.iter().all(|byte| {
            let sent = self.send(&[*byte]);
            thread::sleep(pause);
            sent
        })
    }

    /// Greets as `version` and accepts whatever login comes.
    pub(crate) fn log_in(&self, version: &str, thread_id: u32) -> io::Result<()> {
        (&*self.stream).write_all(&wire::greeting(version, thread_id))?;
        let (sequence, _login) = wire::read_packet(&*self.stream)?;
        (&*self.stream).write_all(&wire::ok(sequence.wrapping_add(1)))
    }

    /// Answers commands until the cue, the client's end, or `idle` without a command.
    pub(crate) fn serve(&mut self, answers: &Answers, idle: Option<Duration>) -> Served {
        let mut last_command = Instant::now();
        loop {
            if self.take_cue() {
                return Served::Cued;
            }
            if idle.is_some_and(|idle| last_command.elapsed() >= idle) {
                return Served::Idle;
            }
            match self.has_bytes() {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_) => return Served::HungUp,
            }
            let Ok((_, payload)) = wire::read_packet(&*self.stream) else {
                return Served::HungUp;
            };
            let answer = match Command::parse(&payload) {
                Command::Quit => return Served::Quit,
                Command::Ping => wire::ok(1),
                Command::Query(text) => answers.answer(&text),
                Command::Other(byte) => {
                    wire::error(1, 1047, &format!("the scripted server does not know command {byte}"))
                }
            };
            if !self.send(&answer) {
                return Served::HungUp;
            }
            last_command = Instant::now();
        }
    }

    /// Waits for the cue and reads nothing meanwhile; false when the peer was dropped instead.
    pub(crate) fn wait_for_cue(&mut self) -> bool {
        let mut state = self.stage.lock();
        while !state.curtain && state.cues == self.cues_seen {
            state = self.stage.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.cues_seen = state.cues;
        !state.curtain
    }

    /// Keeps the connection open and says nothing until the peer is dropped.
    pub(crate) fn stay_silent(mut self) {
        while self.wait_for_cue() {}
    }

    /// Ends the connection with RST.
    pub(crate) fn reset(self) {
        SockRef::from(&*self.stream)
            .set_linger(Some(Duration::ZERO))
            .expect("SO_LINGER can be set on an open socket");
    }

    fn take_cue(&mut self) -> bool {
        let cues = self.stage.lock().cues;
        std::mem::replace(&mut self.cues_seen, cues) != cues
    }

    /// Whether bytes came within a moment; an error when the client is gone.
    fn has_bytes(&self) -> io::Result<bool> {
        self.stream.set_read_timeout(Some(Duration::from_millis(10)))?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(None)?;
        match peeked {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads what the client sends, whatever it is, until it stops for a moment.
    pub(crate) fn read_some(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Ok(true) = self.has_bytes() {
            let mut buffer = [0; 4096];
            match (&*self.stream).read(&mut buffer) {
                Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
                _ => break,
            }
        }
        bytes
    }
}

/// What a scripted server says to queries, found by a piece of their text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers(Vec<(String, Vec<u8>)>);

/// Stands in an answer for the seconds that the scripted server has run by then.
pub(crate) const UPTIME: &str = "@uptime";

/// An answer with the uptime of this moment in it, in as many digits as the mark has letters.
fn with_uptime(bytes: &[u8]) -> Vec<u8> {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    let uptime = format!("{:0width$}", 1_000 + STARTED.elapsed().as_secs(), width = UPTIME.len());
    let mut bytes = bytes.to_vec();
    while let Some(at) = bytes.windows(UPTIME.len()).position(|piece| piece == UPTIME.as_bytes()) {
        bytes[at..at + UPTIME.len()].copy_from_slice(uptime.as_bytes());
    }
    bytes
}

impl Answers {
    /// What a driver asks on its own is answered; any other `SET …` with OK, any other query with error 1064.
    pub(crate) fn new() -> Self {
        Self::default()
            .rows(
                "@@max_allowed_packet,@@wait_timeout",
                &["@@max_allowed_packet", "@@wait_timeout"],
                &[&["67108864", "28800"]],
            )
            .rows("@@max_allowed_packet", &["@@max_allowed_packet"], &[&["67108864"]])
    }

    /// These rows for a query that contains `piece`; `NULL` stands for NULL. Later answers win.
    pub(crate) fn rows(self, piece: &str, columns: &[&str], rows: &[&[&str]]) -> Self {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let rows: Vec<Vec<Option<String>>> = rows
            .iter()
            .map(|row| row.iter().map(|value| (*value != "NULL").then(|| value.to_string())).collect())
            .collect();
        self.bytes(piece, wire::result_set(&columns, &rows))
    }

    /// This error for a query that contains `piece`.
    pub(crate) fn error(self, piece: &str, code: u16, message: &str) -> Self {
        self.bytes(piece, wire::error(1, code, message))
    }

    /// These very bytes, right or wrong, for a query that contains `piece`; none at all means no answer.
    pub(crate) fn bytes(mut self, piece: &str, bytes: Vec<u8>) -> Self {
        self.0.push((piece.to_lowercase(), bytes));
        self
    }

    fn answer(&self, query: &str) -> Vec<u8> {
        let query = query.to_lowercase();
        match self.0.iter().rev().find(|(piece, _)| query.contains(piece)) {
            Some((_, bytes)) => with_uptime(bytes),
            None if query.starts_with("set") => wire::ok(1),
            None => wire::error(1, 1064, &format!("the scripted server has no answer to {query:?}")),
        }
    }
}

mod tls;

#[cfg(test)]
mod tests;
