//! The server of the benches, in a process of its own: it answers what a canary, a witness and the server view ask, and
//! closes the oldest sessions when it is told to.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::{clock, raise_limit, wire};

const VERSION: &str = "8.4.0";
const IDENTITY: &str = "11111111-2222-3333-4444-555555555555";

/// The sessions that are open, by thread id: a word ends them.
type Open = Arc<Mutex<BTreeMap<u32, oneshot::Sender<()>>>>;

/// Serves until its standard input ends. Says its port, and `THREAD_ID NANOSECONDS` for each session that it closed:
/// the monotonic clock in the moment before; or, where it `tells_comers`, the same for each session that comes. A line
/// on standard input is how many are to be closed.
pub(crate) fn run(tls: bool, tells_comers: bool) -> ExitCode {
    raise_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be had").block_on(serve(tls.then(acceptor), tells_comers));
    ExitCode::SUCCESS
}

async fn serve(tls: Option<TlsAcceptor>, tells_comers: bool) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a port");
    println!("{}", listener.local_addr().expect("it is bound").port());
    let (told, mut orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let _ = told.send(line.parse::<usize>().expect("a number"));
        }
    });
    let (open, started) = (Open::default(), Instant::now());
    let mut last = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (socket, _) = accepted.expect("descriptors are left");
                last += 1;
                if tells_comers {
                    println!("{last} {}", clock());
                }
                let (end, ended) = oneshot::channel();
                open.lock().unwrap_or_else(PoisonError::into_inner).insert(last, end);
                let (open, tls, id) = (Arc::clone(&open), tls.clone(), last);
                tokio::spawn(async move {
                    let session = Session { id, started, ended };
                    let ended = session.run(socket, tls).await;
                    if let (Ok(Some(closed)), false) = (ended, tells_comers) {
                        println!("{id} {closed}");
                    }
                    open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                });
            }
            order = orders.recv() => {
                let Some(count) = order else { return };
                let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                for _ in 0..count {
                    let (_, end) = open.pop_first().expect("so many are open");
                    let _ = end.send(());
                }
            }
        }
    }
}

struct Session {
    id: u32,
    started: Instant,
    ended: oneshot::Receiver<()>,
}

impl Session {
    /// Gives the moment at which it was told to close, if it was.
    async fn run(self, mut socket: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<Option<i128>> {
        /// Where `CLIENT_SSL` is: behind the header, the protocol, the version, the thread id, and nine bytes.
        const BITS: usize = 4 + 1 + VERSION.len() + 1 + 4 + 9 + 1;
        const SSL_REQUEST: usize = 36;
        socket.set_nodelay(true)?;
        let mut greeting = wire::greeting(VERSION, self.id);
        let Some(tls) = tls else {
            socket.write_all(&greeting).await?;
            return self.converse(socket).await;
        };
        greeting[BITS] |= 0x08;
        socket.write_all(&greeting).await?;
        socket.read_exact(&mut [0; SSL_REQUEST]).await?;
        self.converse(tls.accept(socket).await?).await
    }

    async fn converse(mut self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<Option<i128>> {
        let (sequence, _login) = read_packet(&mut stream).await?;
        let mut answer = wire::ok(sequence.wrapping_add(1));
        loop {
            stream.write_all(&answer).await?;
            stream.flush().await?;
            let command = tokio::select! {
                packet = read_packet(&mut stream) => packet?.1,
                _ = &mut self.ended => break,
            };
            answer = match wire::Command::parse(&command) {
                wire::Command::Quit => return Ok(None),
                wire::Command::Query(query) => self.answer(&query.to_lowercase()),
                _ => wire::ok(1),
            };
        }
        let closed = clock();
        // Half of them say why.
        if self.id.is_multiple_of(2) {
            stream.write_all(&wire::goodbye()).await?;
        }
        stream.shutdown().await?;
        Ok(Some(closed))
    }

    fn answer(&self, query: &str) -> Vec<u8> {
        let id = self.id.to_string();
        let uptime = (1_000 + self.started.elapsed().as_secs()).to_string();
        let host = format!("app-{}.example.org:{}", self.id % 100, 30_000 + self.id % 30_000);
        let own = [&id, "canary", &host, IDENTITY, "db1.example.org", "3306"];
        let has = |piece: &str| query.contains(piece);
        match () {
            () if has("connection_id() + 0, @@session.wait_timeout") => rows(&[&[&id, "28800", "28800"]]),
            () if has("connection_id() + 0, user, host") => rows(&[&own]),
            () if has("select connection_id()") => rows(&[&[&id]]),
            () if has("like 'uptime'") => rows(&[&["Uptime", &uptime]]),
            () if has("like 'com_kill'") => rows(&[&["Com_kill", "0"]]),
            () if has("show global status") => rows(&[
                &["Uptime", &uptime],
                &["Uptime_since_flush_status", &uptime],
                &["Aborted_clients", "0"],
                &["Aborted_connects", "0"],
                &["Connections", &id],
                &["Threads_connected", "6"],
                &["Connection_errors_max_connections", "0"],
            ]),
            () if has("show global variables") => rows(&[
                &["server_uuid", IDENTITY],
                &["hostname", "db1.example.org"],
                &["port", "3306"],
                &["max_connections", "5000"],
                &["wait_timeout", "28800"],
                &["interactive_timeout", "28800"],
                &["net_read_timeout", "30"],
                &["net_write_timeout", "60"],
                &["connect_timeout", "10"],
            ]),
            () if has("show grants") => rows(&[&["GRANT PROCESS ON *.* TO `canary`@`%`"]]),
            () if has("select user()") => rows(&[&["canary@localhost", "canary@%"]]),
            () if has("select count(*) from performance_schema.processlist") => rows(&[&["1"]]),
            () if has("select id, user, command") => self.listing(&host),
            () if query.starts_with("set") => wire::ok(1),
            // The numbers of those that are asked after: it lists none of them.
            () if has("where id in") => wire::result_set(&["ID".to_owned()], &[]),
            () if has("innodb_trx") => {
                wire::result_set(&["c0".to_owned(), "c1".to_owned(), "c2".to_owned()], &[])
            }
            () => wire::error(1, 1064, "the server of the bench does not know that"),
        }
    }
}

impl Session {
    /// The session that asks, and five of an application.
    fn listing(&self, host: &str) -> Vec<u8> {
        let id = self.id.to_string();
        let idle = self.started.elapsed().as_secs().to_string();
        let applications: Vec<(String, String)> = (0..5)
            .map(|number| ((4_000_000_000_u32 + number).to_string(), format!("10.0.0.9:{}", 40_000 + number)))
            .collect();
        let mut list: Vec<[&str; 6]> = vec![[&id, "canary", "Query", "0", &id, host]];
        list.extend(applications.iter().map(|(of, from)| [of.as_str(), "api", "Sleep", &idle, &id, from]));
        let list: Vec<&[&str]> = list.iter().map(|row| &row[..]).collect();
        rows(&list)
    }
}

fn rows(rows: &[&[&str]]) -> Vec<u8> {
    let columns: Vec<String> = (0..rows[0].len()).map(|number| format!("c{number}")).collect();
    let rows: Vec<Vec<Option<String>>> =
        rows.iter().map(|row| row.iter().map(|cell| Some((*cell).to_owned())).collect()).collect();
    wire::result_set(&columns, &rows)
}

async fn read_packet(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let mut header = [0; 4];
    from.read_exact(&mut header).await?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
    let mut payload = vec![0; usize::try_from(length).unwrap_or_default()];
    from.read_exact(&mut payload).await?;
    Ok((header[3], payload))
}

/// TLS with a certificate that is made for this run.
fn acceptor() -> TlsAcceptor {
    const SCRIPT: &str = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
                          -subj /CN=localhost -keyout key.pem -out cert.pem";
    let dir = std::env::temp_dir().join(format!("mysql-canary-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("the directory is ours");
    let made = Command::new("sh").args(["-c", SCRIPT]).current_dir(&dir).output().expect("sh runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let config = config(&dir);
    let _ = std::fs::remove_dir_all(&dir);
    TlsAcceptor::from(Arc::new(config))
}

fn config(dir: &Path) -> ServerConfig {
    let certificate = CertificateDer::from_pem_file(dir.join("cert.pem")).expect("openssl made it");
    let key = PrivateKeyDer::from_pem_file(dir.join("key.pem")).expect("openssl made it");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    config.expect("the key is the certificate's")
}
