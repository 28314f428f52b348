//! A storm of TLS handshakes: begun and left, whole ones without a rest, and silence after them. Whoever scrapes from
//! elsewhere is answered, and the storm costs no more memory and descriptors than it may.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::{Instant as Moment, sleep, timeout_at};
use tokio_rustls::TlsConnector;

use super::{Pages, TLS};
use crate::lab::turns::turn;
use crate::lab::wait_for;

const CLIENTS: u32 = 800;
const TIME: Duration = Duration::from_secs(8);
/// From how many addresses they come; a scraper has one of its own.
const ADDRESSES: u32 = 64;
/// Half of what Prometheus waits for a page.
const LONGEST_SCRAPE: Duration = Duration::from_secs(5);
/// All places for clients, the pages' own descriptors and those that are just going.
const MOST_FILES: usize = 4800;
/// What each of them may cost in resident memory, in kB, beside what the process takes anyway.
const MOST_KB_EACH: f64 = 100.0;

/// One who scrapes, or does not.
#[derive(Clone)]
struct Client {
    pages: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Client {
    fn of(pages: &Pages) -> Self {
        let mut roots = RootCertStore::empty();
        let authority =
            CertificateDer::from_pem_file(pages.authority.file("ca.pem")).expect("openssl made it");
        roots.add(authority).expect("openssl made it");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .expect("ring has suites")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { pages: pages.address(), config: Arc::new(config) }
    }

    fn name() -> ServerName<'static> {
        ServerName::try_from("localhost").expect("a name")
    }

    /// A whole page, on a connection of its own.
    async fn scrape(&self) -> std::io::Result<String> {
        let socket = TcpStream::connect(self.pages).await?;
        let mut stream = TlsConnector::from(Arc::clone(&self.config)).connect(Self::name(), socket).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: pages\r\nConnection: close\r\n\r\n").await?;
        let mut page = Vec::new();
        stream.read_to_end(&mut page).await?;
        Ok(String::from_utf8_lossy(&page).into_owned())
    }

    /// The first words of a handshake.
    fn hello(&self) -> Vec<u8> {
        let mut connection =
            ClientConnection::new(Arc::clone(&self.config), Self::name()).expect("a good name");
        let mut hello = Vec::new();
        connection.write_tls(&mut hello).expect("a Vec takes all");
        hello
    }

    /// One visit of the storm; it ends when the exporter or the client has enough.
    async fn misbehave(&self, number: u32, made: &AtomicU64) -> std::io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        let [high, low] = u16::try_from(number % ADDRESSES + 1).expect("few").to_be_bytes();
        socket.bind(([127, 1, high, low], 0).into())?;
        let mut stream = socket.connect(self.pages).await?;
        let hello = self.hello();
        match number % 5 {
            0 => stream.write_all(&hello[..hello.len() / 2]).await?,
            1 => stream.write_all(&hello).await?,
            2 => stream.write_all(&[&hello[..], &hello[..]].concat()).await?,
            kind => {
                let connector = TlsConnector::from(Arc::clone(&self.config));
                let mut stream = connector.connect(Self::name(), stream).await?;
                made.fetch_add(1, Ordering::Relaxed);
                if kind == 3 {
                    return Ok(());
                }
                return stream.read(&mut [0]).await.map(drop);
            }
        }
        // Not a word more.
        sleep(TIME).await;
        Ok(())
    }

    async fn come_again(self, number: u32, until: Moment, visits: Arc<[AtomicU64; 2]>) {
        while Moment::now() < until {
            let visit = self.misbehave(number, &visits[1]);
            let _ = timeout_at(until, visit).await;
            visits[0].fetch_add(1, Ordering::Relaxed);
            let _ = timeout_at(until, sleep(Duration::from_millis(20))).await;
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn a_storm_of_handshakes_shuts_nobody_out() {
    let _turn = turn();
    let pages = Pages::start(TLS);
    let client = Client::of(&pages);
    let scrape = |runtime: &Runtime| {
        let begun = Instant::now();
        let page = runtime.block_on(client.scrape()).expect("it is answered");
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("mysql_canary_up"), "{page}");
        begun.elapsed()
    };
    let scraper = runtime();
    let alone = (0..20).map(|_| scrape(&scraper)).max().expect("some");
    let memory_alone = pages.exporter.resident_kb();

    let until = Instant::now() + TIME;
    let visits: Arc<[AtomicU64; 2]> = Arc::default();
    let (mut times, mut files, mut memory) = (Vec::new(), 0, 0.0_f64);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            runtime().block_on(async {
                let come =
                    |number| client.clone().come_again(number, Moment::from_std(until), Arc::clone(&visits));
                let storm: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(come(number))).collect();
                for one in storm {
                    one.await.expect("no panic");
                }
            });
        });
        while Instant::now() < until {
            times.push(scrape(&scraper));
            files = files.max(pages.exporter.open_files());
            memory = memory.max(pages.exporter.resident_kb());
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    times.sort_unstable();
    let [visits, made] = [0, 1].map(|at| visits[at].load(Ordering::Relaxed));
    let longest = *times.last().expect("some");
    println!(
        "{CLIENTS} clients in {TIME:?}: {visits} visits, {made} whole handshakes; {} scrapes, median {:?}, longest {longest:?} \
         (alone {alone:?}); {files} descriptors, {memory_alone} kB resident, then {memory} kB",
        times.len(),
        times[times.len() / 2],
    );
    assert!(made > 200 && visits > u64::from(CLIENTS), "it was a storm: {visits}, {made}");
    assert!(longest < LONGEST_SCRAPE, "a scrape took {longest:?}");
    assert!(files < MOST_FILES, "{files} descriptors");
    assert!(
        memory - memory_alone < f64::from(CLIENTS) * MOST_KB_EACH,
        "from {memory_alone} kB to {memory} kB"
    );
    wait_for("the end of the storm", Duration::from_secs(20), || {
        (pages.exporter.open_files() < 100).then_some(())
    });
    assert!(!pages.exporter.log().contains("panicked"), "{}", pages.exporter.log());
}
