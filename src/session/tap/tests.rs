//! Driver and guard together, over a real connection, with servers that say what a corpus has, and what comes of it
//! when bytes of it change. Nothing a server says makes the driver panic or wait.

use std::path::PathBuf;
use std::time::Duration;

use mysql_async::Row;
use mysql_async::prelude::Queryable;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::*;
use crate::config::secret::Secret;
use crate::session::connector::read_greeting;
use crate::session::packet::HEADER;
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

/// Says its parts, each with the sequence ids that follow the client's, and closes. A client that waits for more is let
/// wait for so long.
async fn serve(listener: TcpListener, conversation: Conversation, pause: Duration) {
    let Ok((mut socket, _)) = listener.accept().await else { return };
    let mut sequence = 0_u8;
    for (number, part) in conversation.iter().enumerate() {
        if number > 0 {
            let mut said = [0; 4096];
            match timeout(pause, socket.read(&mut said)).await {
                Ok(Ok(length)) if length >= HEADER => sequence = said[HEADER - 1].wrapping_add(1),
                Ok(_) => return,
                Err(_) => {}
            }
        }
        let mut bytes = Vec::new();
        for payload in part {
            let [low, middle, high, ..] = u32::try_from(payload.len()).expect("short").to_le_bytes();
            bytes.extend([low, middle, high, sequence]);
            bytes.extend_from_slice(payload);
            sequence = sequence.wrapping_add(1);
        }
        if socket.write_all(&bytes).await.is_err() {
            return;
        }
    }
    let _ = socket.shutdown().await;
    let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
}

/// Logs in, asks, pings.
async fn converse(conversation: Conversation, pause: Duration) -> Outcome {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a port");
    let address = listener.local_addr().expect("a listener has an address");
    let server = tokio::spawn(serve(listener, conversation, pause));
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
            get_server_public_key: true,
        };
        let password = account.password.as_ref();
        let tap = Tap::open(socket, first, None, Watch::Off).await.expect("loopback has a port");
        let failed = |failed: fn(String) -> Outcome, words: String| match tap.nonsense() {
            Some(nonsense) => Outcome::Nonsense(nonsense.to_string()),
            None => failed(words),
        };
        let login = account.log_in(password, &tap, greeting.takes_attributes, deadline, PATIENCE).await;
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

fn play(conversation: Conversation, pause: Duration) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be had").block_on(converse(conversation, pause))
}

#[test]
fn the_corpus() {
    for (name, expected, conversation) in corpus() {
        let (kind, words) = match play(conversation, PATIENCE) {
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
    // What fails is kept in the corpus, by hand. PROPTEST_CASES makes it a longer run.
    let cases = Config { failure_persistence: None, ..Config::default() };
    TestRunner::new(cases)
        .run(&(any::<usize>(), changes), |(which, changes)| {
            let mut conversation = corpus[which % corpus.len()].clone();
            changes.into_iter().for_each(|one| change(&mut conversation, &all, one));
            play(conversation, Duration::from_millis(10));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}
