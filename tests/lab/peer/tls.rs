//! TLS under a scene: a thread between the client and the scene, which speaks TLS with the one and hands the other its
//! words in clear.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use socket2::SockRef;

use crate::lab::mariadb::make_certificates;
use crate::lab::place::PrivateDir;
use crate::lab::wire;

/// How a scene ends TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsEnd {
    /// By its alert, and the socket stays open.
    Alert,
    /// By its alert, then FIN.
    AlertAndFin,
    /// By its alert, then RST.
    AlertAndReset,
    /// By FIN without an alert.
    Fin,
    /// By bytes that are no record, and the socket stays open.
    Garbage,
}

/// How often either side is looked at.
const TICK: Duration = Duration::from_millis(2);
/// `CLIENT_SSL`, in the second byte of the capability bits.
const CLIENT_SSL: u8 = 0x08;

static CONFIG: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| {
    let dir = PrivateDir::new();
    let _ca = make_certificates(dir.path(), 30);
    let certificate = CertificateDer::from_pem_file(dir.path().join("cert.pem")).expect("openssl made it");
    let key = PrivateKeyDer::from_pem_file(dir.path().join("key.pem")).expect("openssl made it");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    Arc::new(config.expect("the key is the certificate's"))
});

/// Puts TLS on a connection to a client: the scene's end of it in clear, and how it says that TLS is to end.
pub(super) fn put_on(client: Arc<TcpStream>) -> (Arc<TcpStream>, Arc<OnceLock<TlsEnd>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let scene = TcpStream::connect(listener.local_addr().expect("it listens")).expect("it listens");
    let (inside, _) = listener.accept().expect("it was connected to");
    let end = Arc::new(OnceLock::new());
    let told = Arc::clone(&end);
    // Either side may break off at any time.
    thread::spawn(move || drop(carry(&client, &inside, &told)));
    (Arc::new(scene), end)
}

fn carry(mut client: &TcpStream, mut scene: &TcpStream, end: &OnceLock<TlsEnd>) -> io::Result<()> {
    let (sequence, mut greeting) = wire::read_packet(scene)?;
    let version_end = greeting.iter().position(|&byte| byte == 0).unwrap_or_default();
    // The thread id, eight bytes of challenge and a zero stand before the bits.
    if let Some(bits) = greeting.get_mut(version_end + 15) {
        *bits |= CLIENT_SSL;
    }
    client.write_all(&wire::packet(sequence, &greeting))?;
    let (_, request) = wire::read_packet(client)?;
    assert_eq!(request.len(), 32, "an SSLRequest");
    let mut tls = ServerConnection::new(Arc::clone(&CONFIG)).map_err(io::Error::other)?;
    client.set_read_timeout(Some(TICK))?;
    scene.set_read_timeout(Some(TICK))?;
    let mut bytes = vec![0; 16 * 1024];
    loop {
        if let Some(end) = end.get() {
            return end_so(*end, &mut tls, client);
        }
        if waited(tls.read_tls(&mut client))? == Some(0) {
            return scene.shutdown(Shutdown::Write);
        }
        tls.process_new_packets().map_err(io::Error::other)?;
        while let Ok(length) = tls.reader().read(&mut bytes) {
            if length == 0 {
                scene.shutdown(Shutdown::Write)?;
                break;
            }
            scene.write_all(&bytes[..length])?;
        }
        if !tls.is_handshaking() {
            match waited(scene.read(&mut bytes)) {
                Ok(None) => {}
                Ok(Some(0)) => return end_so(TlsEnd::AlertAndFin, &mut tls, client),
                Ok(Some(length)) => tls.writer().write_all(&bytes[..length])?,
                Err(_) => return SockRef::from(client).set_linger(Some(Duration::ZERO)),
            }
        }
        while tls.wants_write() {
            tls.write_tls(&mut client)?;
        }
    }
}

fn end_so(end: TlsEnd, tls: &mut ServerConnection, mut client: &TcpStream) -> io::Result<()> {
    match end {
        TlsEnd::Alert | TlsEnd::AlertAndFin | TlsEnd::AlertAndReset => {
            tls.send_close_notify();
            while tls.wants_write() {
                tls.write_tls(&mut client)?;
            }
        }
        TlsEnd::Garbage => client.write_all(&[0x17, 3, 3, 0, 40, 1, 2, 3].repeat(20))?,
        TlsEnd::Fin => {}
    }
    match end {
        TlsEnd::AlertAndFin | TlsEnd::Fin => client.shutdown(Shutdown::Write)?,
        TlsEnd::AlertAndReset => return SockRef::from(client).set_linger(Some(Duration::ZERO)),
        TlsEnd::Alert | TlsEnd::Garbage => {}
    }
    // Until the client closes.
    client.set_read_timeout(None)?;
    io::copy(&mut client, &mut io::sink()).map(drop)
}

/// `None` where nothing came in the time of a tick.
fn waited(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(length) => Ok(Some(length)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
        Err(error) => Err(error),
    }
}
