//! The server of the tests, which says its words by the record, and the way to it.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use mysql_async::prelude::Queryable;
use prometheus::IntCounter;
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{OK, PATIENCE};
use crate::config::address::Address;
use crate::domain::limit::ladder::Ladder;
use crate::metrics::Metrics;
use crate::session::packet::{self, HEADER};
use crate::session::roster::{Rosters, Rules, TargetRoster};
use crate::session::tls::tests::Certificates;
use crate::session::{Account, Connector, Held, LoginPace, Purpose, Roster, TlsMode};

/// The server's side of one session, by the record.
pub(super) struct Server {
    socket: TcpStream,
    pub(super) tls: Option<Box<ServerConnection>>,
}

impl Server {
    /// The bytes that say these words, under TLS each in a record of its own.
    pub(super) fn words(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let Some(tls) = &mut self.tls else { return words.concat() };
        let mut bytes = Vec::new();
        for word in words {
            tls.writer().write_all(word).expect("there is room");
        }
        while tls.wants_write() {
            tls.write_tls(&mut bytes).expect("memory takes it");
        }
        bytes
    }

    /// The alert that ends TLS.
    pub(super) fn alert(&mut self) -> Vec<u8> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.words(&[])
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.expect("the session is open");
    }

    pub(super) async fn half_close(&mut self) {
        self.socket.shutdown().await.expect("the session is open");
    }

    /// What the session says next, in clear; nothing where it has closed.
    pub(super) async fn hear(&mut self) -> Vec<u8> {
        let mut bytes = [0; 4096];
        loop {
            let length = self.socket.read(&mut bytes).await.expect("no RST");
            let Some(tls) = &mut self.tls else { return bytes[..length].to_vec() };
            let mut came = &bytes[..length];
            let mut clear = Vec::new();
            while !came.is_empty() {
                tls.read_tls(&mut came).expect("memory gives it");
                let state = tls.process_new_packets().expect("good records");
                let mut part = vec![0; state.plaintext_bytes_to_read()];
                tls.reader().read_exact(&mut part).expect("so much has come");
                clear.extend(part);
            }
            if length == 0 || !clear.is_empty() {
                return clear;
            }
        }
    }
}

/// Greets, takes the login, answers one ping.
async fn serve(listener: TcpListener, certificates: Option<TlsAcceptor>) -> Server {
    let (mut socket, _) = listener.accept().await.expect("somebody comes");
    socket.set_nodelay(true).expect("it is open");
    let greeting =
        b"\x4a\0\0\0\x0a9.7.0\0\x07\0\0\x0012345678\0\x0d\x8a\x2d\x02\0\x0a\x01\x15\0\0\0\0\0\0\0\0\0\0\
        901234567890\0mysql_native_password\0";
    let mut greeting = greeting.to_vec();
    greeting[0] = u8::try_from(greeting.len() - HEADER).expect("short");
    socket.write_all(&greeting).await.expect("it is open");
    let Some(acceptor) = certificates else {
        let mut socket = socket;
        take_login(&mut socket).await;
        return Server { socket, tls: None };
    };
    socket.read_exact(&mut [0; HEADER + 32]).await.expect("a request for TLS comes");
    let mut stream = acceptor.accept(socket).await.expect("the handshake goes well");
    take_login(&mut stream).await;
    let (socket, tls) = stream.into_inner();
    Server { socket, tls: Some(Box::new(tls)) }
}

async fn take_login(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    for _ in 0..2 {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header).await.expect("a packet comes");
        let mut payload = vec![0; packet::payload_length(header)];
        stream.read_exact(&mut payload).await.expect("the whole of it");
        let ok = [&[7, 0, 0, header[3] + 1], &OK[HEADER..]].concat();
        stream.write_all(&ok).await.expect("it is open");
        stream.flush().await.expect("it is open");
    }
}

/// Where sessions are held.
pub(super) struct Path {
    pub(super) tls: Option<TlsAcceptor>,
    metrics: Metrics,
}

impl Path {
    pub(super) fn plain() -> Self {
        let ladder = Ladder::parse("25s").expect("a ladder");
        Self { tls: None, metrics: Metrics::new(&ladder).expect("good names") }
    }

    pub(super) fn tls(test: &str) -> Self {
        let acceptor = TlsAcceptor::from(Certificates::make(test).server("good"));
        Self { tls: Some(acceptor), ..Self::plain() }
    }

    /// How many bytes these records take, each of which has 22 of its own under TLS.
    pub(super) fn length(&self, records: &[&[u8]]) -> usize {
        let own = if self.tls.is_some() { 22 } else { 0 };
        records.iter().map(|record| record.len() + own).sum()
    }

    /// A session whose driver was let go, its server, and the roster it stands on.
    pub(super) async fn hold(&self) -> (Held, Server, Roster) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a port");
        let port = listener.local_addr().expect("a listener has an address").port();
        let aborted = IntCounter::new("count", "count").expect("a good name");
        let roster = TargetRoster::new(aborted, &Rosters::default()).share(Rules {
            path: "p".to_owned(),
            budget: 10,
            reads_the_view: true,
            kill_ghosts: false,
            kills: BTreeMap::new(),
        });
        let account = Account {
            username: "canary".to_owned(),
            password: None,
            password_file: None,
            tls_mode: if self.tls.is_some() { TlsMode::Required } else { TlsMode::Disabled },
            tls_identity: None,
            tls_server_name: None,
            tls_ca: None,
            get_server_public_key: false,
        };
        let address = Address { host: "127.0.0.1".to_owned(), port };
        let metrics = self.metrics.path("held", "held", &[]);
        let connector =
            Connector::new(address, account, PATIENCE, roster.clone(), metrics, LoginPace::default());
        let connect = async {
            let mut session = connector.connect(Purpose::Canary, None).await.expect("the server is good");
            session.conn.ping().await.expect("the server is good");
            session.let_go().await.0
        };
        let (held, server) = tokio::join!(connect, serve(listener, self.tls.clone()));
        (held, server, roster)
    }
}
