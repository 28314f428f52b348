//! Driver and guard together, over a real connection, with servers that say what a corpus has, and what comes of it
//! when bytes of it change. Nothing a server says makes the driver panic or wait.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use mysql_async::Row;
use mysql_async::prelude::Queryable;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpListener;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::secret::Secret;
use crate::session::dial::read_greeting;
use crate::session::packet::HEADER;
use crate::session::tls::Setup;
use crate::session::tls::tests::Certificates;
use crate::session::{Account, TlsMode};

/// How long the machine may take for one conversation.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server says: first, and then after each packet of the client; each time in some packets.
type Conversation = Vec<Vec<Vec<u8>>>;

/// What came of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Good,
    /// The greeting is none, or the login failed.
    Login(String),
    /// The question failed.
    Query(String),
    /// The ping failed.
    Ping(String),
    Nonsense(String),
}

/// The conversations of the corpus, each with its name and what comes of it in words.
fn corpus() -> Vec<(String, String, Conversation)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/sessions");
    let files = std::fs::read_dir(dir).expect("the corpus is there");
    let mut corpus: Vec<_> = files
        .map(|file| {
            let file = file.expect("the directory can be read").path();
            let text = std::fs::read_to_string(&file).expect("the corpus can be read");
            let (head, parts) = text.split_once('\n').expect("the first line tells what comes of it");
            let conversation = parts.lines().map(|part| part.split(' ').map(unhex).collect()).collect();
            let expected = head.strip_prefix("# ").expect("as a comment").to_owned();
            (file.display().to_string(), expected, conversation)
        })
        .collect();
    corpus.sort();
    assert!(corpus.len() > 20, "the corpus is there");
    corpus
}

/// A packet's payload in hexadecimal; `-` is none.
fn unhex(text: &str) -> Vec<u8> {
    let digits = text.trim_matches('-').as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    digits.chunks(2).map(|pair| byte(pair).expect("hexadecimal")).collect()
}

/// How a server's bytes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Plain,
    Tls,
    /// Under TLS, each byte by itself.
    TlsInDrops,
}

/// Says its parts, each with the sequence ids that follow the client's, and closes. A client that waits for more is let
/// wait for so long.
async fn serve(listener: TcpListener, conversation: Conversation, pause: Duration, how: How) {
    let Ok((mut socket, _)) = listener.accept().await else { return };
    let mut parts = conversation.into_iter();
    if how == How::Plain {
        return say(socket, parts, 0, pause).await;
    }
    let greeting = parts.next().map(|part| packets(&part, &mut 0)).unwrap_or_default();
    if socket.write_all(&greeting).await.is_err() || socket.read_exact(&mut [0; HEADER + 32]).await.is_err() {
        return;
    }
    let acceptor = TlsAcceptor::from(TLS.clone());
    match how {
        How::TlsInDrops => {
            socket.set_nodelay(true).expect("it is open");
            let drops = Drops { socket, rest: Box::pin(sleep(Duration::ZERO)) };
            if let Ok(stream) = acceptor.accept(drops).await {
                say(stream, parts, 1, pause).await;
            }
        }
        How::Tls | How::Plain => {
            if let Ok(stream) = acceptor.accept(socket).await {
                say(stream, parts, 1, pause).await;
            }
        }
    }
}

/// Says the parts from this number on.
async fn say(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    parts: impl Iterator<Item = Vec<Vec<u8>>>,
    first: usize,
    pause: Duration,
) {
    let mut sequence = 0_u8;
    for (number, part) in (first..).zip(parts) {
        if number > 0 {
            let mut said = [0; 4096];
            match timeout(pause, socket.read(&mut said)).await {
                Ok(Ok(length)) if length >= HEADER => sequence = said[HEADER - 1].wrapping_add(1),
                Ok(_) => return,
                Err(_) => {}
            }
        }
        let bytes = packets(&part, &mut sequence);
        if socket.write_all(&bytes).await.is_err() || socket.flush().await.is_err() {
            return;
        }
    }
    let _ = socket.shutdown().await;
    let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
}

fn packets(part: &[Vec<u8>], sequence: &mut u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for payload in part {
        let [low, middle, high, ..] = u32::try_from(payload.len()).expect("short").to_le_bytes();
        bytes.extend([low, middle, high, *sequence]);
        bytes.extend_from_slice(payload);
        *sequence = sequence.wrapping_add(1);
    }
    bytes
}

/// The settings of every server under TLS.
static TLS: LazyLock<Arc<ServerConfig>> =
    LazyLock::new(|| Certificates::make("conversations").server("good"));

/// A socket that is written to byte by byte, with a rest after each.
struct Drops {
    socket: TcpStream,
    rest: Pin<Box<Sleep>>,
}

impl AsyncRead for Drops {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, into)
    }
}

impl AsyncWrite for Drops {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.rest.as_mut().poll(context));
        let written = ready!(Pin::new(&mut self.socket).poll_write(context, &bytes[..bytes.len().min(1)]));
        self.rest.as_mut().reset(Instant::now() + Duration::from_millis(1));
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// Logs in, asks, pings.
async fn converse(conversation: Conversation, pause: Duration, how: How) -> Outcome {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a port");
    let address = listener.local_addr().expect("a listener has an address");
    let server = tokio::spawn(serve(listener, conversation, pause, how));
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    let deadline = Instant::now() + PATIENCE;
    let outcome = async {
        let (greeting, first) = read_greeting(&mut socket, deadline, PATIENCE)
            .await
            .map_err(|failure| Outcome::Login(failure.reason))?;
        let account = Account {
            username: "canary".to_owned(),
            password: Some(Secret::new("secret")),
            password_file: None,
            tls_mode: TlsMode::Disabled,
            tls_ca: None,
            tls_identity: None,
            tls_server_name: None,
            get_server_public_key: true,
        };
        let password = account.password.as_ref();
        let tls = (how != How::Plain).then(|| Tls {
            mode: TlsMode::Required,
            authorities: None,
            identity: None,
            host: "db.example.org".to_owned(),
            setup: Setup::default(),
        });
        let tap = Tap::open(socket, first, tls, Watch::Off).await.expect("loopback has a port");
        let failed = |failed: fn(String) -> Outcome, words: String| match tap.nonsense() {
            Some(nonsense) => Outcome::Nonsense(nonsense.to_string()),
            None => failed(words),
        };
        let login = account.log_in(password, &tap, &greeting, deadline, PATIENCE).await;
        let mut conn = login.map_err(|failure| {
            assert!(!failure.reason.ends_with("with nonsense"), "the driver panicked");
            failed(Outcome::Login, failure.reason)
        })?;
        // In a task of its own, so that a panic is told with the case.
        let asked = tokio::spawn(async move {
            let query = conn.query::<Row, _>("anything").await.map(drop);
            let ping = match &query {
                Ok(()) => conn.ping().await,
                Err(_) => Ok(()),
            };
            (query, ping)
        });
        let (query, ping) = asked.await.expect("the driver does not panic");
        query.map_err(|error| failed(Outcome::Query, error.to_string()))?;
        ping.map_err(|error| failed(Outcome::Ping, error.to_string()))
    };
    let outcome = timeout(PATIENCE, outcome).await.expect("the driver does not wait");
    server.abort();
    outcome.map_or_else(|failure| failure, |()| Outcome::Good)
}

fn play(conversation: Conversation, pause: Duration, how: How) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be had").block_on(converse(conversation, pause, how))
}

#[test]
fn the_corpus() {
    for (name, expected, conversation) in corpus() {
        let (kind, words) = match play(conversation, PATIENCE, How::Plain) {
            Outcome::Good => ("good", String::new()),
            Outcome::Login(words) => ("login", words),
            Outcome::Query(words) => ("query", words),
            Outcome::Ping(words) => ("ping", words),
            Outcome::Nonsense(words) => ("nonsense", words),
        };
        let (expected, told) = expected.split_once(": ").unwrap_or((&expected, ""));
        assert_eq!(kind, expected, "{name}: {words}");
        assert!(words.contains(told), "{name}: {words:?} does not say {told:?}");
    }
}

#[test]
fn tls_split_at_every_byte() {
    let (mut good, mut nonsense) = (0, 0);
    std::thread::scope(|scope| {
        let played: Vec<_> = corpus()
            .into_iter()
            .filter(|(name, _, _)| name.ends_with("/native.txt") || name.ends_with("/no_columns.txt"))
            .map(|(_, expected, conversation)| {
                (expected, scope.spawn(|| play(conversation, PATIENCE, How::TlsInDrops)))
            })
            .collect();
        for (expected, outcome) in played {
            match outcome.join().expect("no panic") {
                Outcome::Good if expected == "good" => good += 1,
                Outcome::Nonsense(words) if expected.contains(&words) => nonsense += 1,
                outcome => panic!("{expected}: {outcome:?}"),
            }
        }
    });
    assert_eq!((good, nonsense), (1, 1));
}

/// A connection that was closed keeps its port for a minute, and a conversation has two: on a quick machine there would be none
/// left.
fn wait_for_ports() {
    const PLENTY: u32 = 10_000;
    let kept = || {
        let told = std::fs::read_to_string("/proc/net/sockstat").expect("Linux tells it");
        let mut words = told.split_whitespace().skip_while(|&word| word != "tw");
        words.nth(1).and_then(|number| number.parse::<u32>().ok()).expect("a number")
    };
    while kept() > PLENTY {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// One change of a conversation.
#[derive(Debug, Clone)]
enum Change {
    Set(u8),
    Insert(u8),
    Remove,
    Cut,
    /// The packet once more.
    Repeat,
    /// Another packet of the corpus in its place.
    Replace(usize, usize),
}

fn change(
    conversation: &mut Conversation,
    all: &[Vec<u8>],
    (part, packet, at, change): (usize, usize, usize, Change),
) {
    let parts = conversation.len();
    let part = &mut conversation[part % parts];
    let packets = part.len();
    let number = packet % packets;
    let payload = &mut part[number];
    let at = at % (payload.len() + 1);
    match change {
        Change::Set(byte) => payload.get_mut(at).into_iter().for_each(|old| *old = byte),
        Change::Insert(byte) => payload.insert(at, byte),
        Change::Remove if at < payload.len() => drop(payload.remove(at)),
        Change::Remove => {}
        Change::Cut => payload.truncate(at),
        Change::Repeat => {
            let again = payload.clone();
            part.insert(number, again);
        }
        Change::Replace(which, length) => {
            payload.clone_from(&all[which % all.len()]);
            payload.truncate(payload.len().max(1) - length % 2);
        }
    }
}

#[test]
fn whatever_changes_in_a_conversation_the_driver_neither_panics_nor_waits() {
    let corpus: Vec<Conversation> = corpus().into_iter().map(|(_, _, conversation)| conversation).collect();
    let all: Vec<Vec<u8>> = corpus.iter().flatten().flatten().cloned().collect();
    let byte = || {
        prop_oneof![any::<u8>(), proptest::sample::select(vec![0, 1, 2, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff])]
    };
    let kind = prop_oneof![
        4 => byte().prop_map(Change::Set),
        2 => byte().prop_map(Change::Insert),
        1 => Just(Change::Remove),
        1 => Just(Change::Cut),
        1 => Just(Change::Repeat),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(which, length)| Change::Replace(which, length)),
    ];
    let changes = proptest::collection::vec((any::<usize>(), any::<usize>(), any::<usize>(), kind), 1..6);
    let how = prop_oneof![Just(How::Plain), Just(How::Tls)];
    let cases = (any::<usize>(), changes, how);
    let minutes = std::env::var("MYSQL_CANARY_FUZZ_MINUTES");
    let minutes = minutes.map_or(0.0, |minutes| minutes.parse().expect("a number of minutes"));
    let (begun, mut played) = (Instant::now(), 0_u64);
    loop {
        // What fails is kept in the corpus, by hand.
        let some = Config { failure_persistence: None, ..Config::default() };
        TestRunner::new(some)
            .run(&cases, |(which, changes, how)| {
                let mut conversation = corpus[which % corpus.len()].clone();
                changes.into_iter().for_each(|one| change(&mut conversation, &all, one));
                play(conversation, Duration::from_millis(10), how);
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{error}"));
        played += 256;
        wait_for_ports();
        if begun.elapsed().as_secs_f64() >= 60.0 * minutes {
            break;
        }
    }
    println!("{played} conversations");
}
