//! What TLS takes from files: the authorities to trust, and the certificate to show.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::{TlsMode, failed};
use crate::config::credentials::read_certificates;
use crate::config::naming::told;
use crate::session::error::Failure;

/// How long the files may take to be read.
const PATIENCE: Duration = Duration::from_secs(1);

/// The files of the certificate that a session shows where the server asks for one (`REQUIRE X509` and the like).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// A PEM file with the certificate, and those between it and its authority.
    pub certificates: PathBuf,
    /// A PEM file with its key.
    pub key: PathBuf,
}

/// Why a certificate cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongIdentity {
    /// It is the key that is wrong, not the certificate.
    pub in_key: bool,
    /// What is wrong with it, after the name of its file.
    pub what: String,
}

/// Whether a session can be checked with the authorities of a PEM file.
///
/// # Errors
/// What is wrong with it, after the name of the file.
pub fn check_authorities(pem: &[u8]) -> Result<(), String> {
    parse_authorities(pem).map(drop)
}

/// Whether a session can show the certificate of one PEM file with the key of another.
///
/// # Errors
/// What is wrong with which.
pub fn check_identity(certificates: &[u8], key: &[u8]) -> Result<(), WrongIdentity> {
    certified(certificates, key).map(drop)
}

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Authorities {
    /// Nobody: the certificate is not checked.
    None,
    WellKnown,
    /// Those of a PEM file with that name and these contents.
    File(PathBuf, Zeroizing<Vec<u8>>),
}

/// The certificate to show, as its files stand. The key is not printed, and wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Identity {
    files: TlsIdentity,
    certificates: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Identity").field(&self.files).finish()
    }
}

impl Authorities {
    /// Reads them where they are needed.
    pub(super) fn read(mode: TlsMode, file: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = file.filter(|_| mode.verifies()) else {
            return Ok(if mode.verifies() { Self::WellKnown } else { Self::None });
        };
        Ok(Self::File(file.to_owned(), read_file(file)?))
    }

    pub(super) fn roots(&self) -> Result<RootCertStore, Failure> {
        match self {
            Self::None => Ok(RootCertStore::empty()),
            Self::WellKnown => Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
            Self::File(file, pem) => parse_authorities(pem).map_err(|what| bad_file(file, &what)),
        }
    }
}

impl Identity {
    /// Reads it where it is needed.
    pub(super) fn read(files: &TlsIdentity) -> Result<Self, Failure> {
        Ok(Self {
            certificates: read_file(&files.certificates)?,
            key: read_file(&files.key)?,
            files: files.clone(),
        })
    }

    pub(super) fn certified(&self) -> Result<CertifiedKey, Failure> {
        certified(&self.certificates, &self.key).map_err(|wrong| {
            let file = if wrong.in_key { &self.files.key } else { &self.files.certificates };
            bad_file(file, &wrong.what)
        })
    }
}

/// Reads the files anew for every login, for they may have been renewed; one reading at a time, for on a dead file system
/// it lasts, and holds a thread.
#[derive(Debug, Default)]
pub(super) struct Reader {
    busy: Arc<tokio::sync::Mutex<()>>,
    /// Who asks for a reading while another one's is under way waits for its end.
    turn: tokio::sync::Mutex<()>,
    told: AtomicBool,
}

impl Reader {
    /// What `read` finds; nothing where the file system does not answer, which is told once.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Option<Result<T, Failure>> {
        let _turn = self.turn.lock().await;
        if let Ok(busy) = Arc::clone(&self.busy).try_lock_owned() {
            let reading = tokio::task::spawn_blocking(move || {
                let found = read();
                drop(busy);
                found
            });
            if let Ok(Ok(found)) = tokio::time::timeout(PATIENCE, reading).await {
                self.told.store(false, Ordering::Relaxed);
                return Some(found);
            }
        }
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                event = "tls_files_unreadable",
                "the files of TLS with the server cannot be read within {} s, their file system does not answer: logins \
                 are made with what was read before",
                PATIENCE.as_secs()
            );
        }
        None
    }
}

fn read_file(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read_certificates(file).map_err(|error| bad_file(file, &format!("cannot be read: {error}")))
}

fn bad_file(file: &Path, what: &str) -> Failure {
    failed(format!("the file {} {what}", told(file)))
}

/// Parses a PEM file of authorities.
///
/// # Errors
/// What is wrong with it, after the name of the file.
pub fn parse_authorities(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| bad_pem(&error))?;
        roots.add(certificate).map_err(|error| format!("has a certificate that cannot be used: {error}"))?;
    }
    if roots.is_empty() {
        return Err(NO_CERTIFICATE.to_owned());
    }
    Ok(roots)
}

const NO_CERTIFICATE: &str = "holds no PEM certificate: it needs -----BEGIN CERTIFICATE----- lines";

/// The certificate and its key, where they fit.
///
/// # Errors
/// What is wrong with which.
pub fn certified(certificates: &[u8], key: &[u8]) -> Result<CertifiedKey, WrongIdentity> {
    let in_certificate = |what: String| WrongIdentity { in_key: false, what };
    let in_key = |what: String| WrongIdentity { in_key: true, what };
    let chain = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| in_certificate(bad_pem(&error)))?;
    if chain.is_empty() {
        return Err(in_certificate(NO_CERTIFICATE.to_owned()));
    }
    let key = match PrivateKeyDer::from_pem_slice(key) {
        Ok(key) => key,
        Err(pem::Error::NoItemsFound) if encrypted(key) => {
            return Err(in_key(
                "holds a key under a passphrase: take that off, openssl pkey -in OLD -out NEW".to_owned(),
            ));
        }
        Err(pem::Error::NoItemsFound) => {
            return Err(in_key("holds no PEM key: it needs a -----BEGIN PRIVATE KEY----- line".to_owned()));
        }
        Err(error) => return Err(in_key(bad_pem(&error))),
    };
    let key = ring::sign::any_supported_type(&key).map_err(|_| {
        in_key(
            "holds a key that cannot be used: it must be RSA of 2048 bits or more, P-256, P-384 or Ed25519"
                .to_owned(),
        )
    })?;
    if let Err(webpki::Error::UnsupportedCertVersion) = webpki::EndEntityCert::try_from(&chain[0]) {
        return Err(in_certificate(
            "has a certificate of version 1, which cannot be used: make one of version 3".to_owned(),
        ));
    }
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            in_key("holds a key that does not fit the certificate".to_owned())
        }
        other => in_certificate(format!("has a certificate that cannot be used: {other}")),
    })?;
    Ok(certified)
}

fn encrypted(pem: &[u8]) -> bool {
    const MARK: &[u8] = b"ENCRYPTED";
    pem.windows(MARK.len()).any(|window| window == MARK)
}

/// What is wrong with a PEM file, without a word of it: it may hold a key.
fn bad_pem(error: &pem::Error) -> String {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "a -----BEGIN line without its -----END line",
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN line that is none",
        pem::Error::Base64Decode(_) => "what stands between the lines is no base64",
        _ => "it cannot be parsed",
    };
    format!("is no good PEM: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_system_that_does_not_answer_holds_one_thread() {
        let reader = Reader::default();
        let (answer, question) = std::sync::mpsc::channel::<()>();
        let hangs = move || {
            let _ = question.recv();
            Ok(1)
        };
        assert!(reader.read(hangs).await.is_none());
        let asked = async {
            for _ in 0..1000 {
                assert!(reader.read(|| Ok(2)).await.is_none(), "the first reading is not over");
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("nobody waits for what hangs");
        drop(answer);
        loop {
            match reader.read(|| Ok(3)).await {
                Some(read) => break assert!(read.is_ok_and(|read| read == 3)),
                None => tokio::task::yield_now().await,
            }
        }
    }

    /// What it is held in wipes itself: the compiler holds that.
    #[test]
    fn a_key_is_wiped_when_it_is_dropped() {
        fn wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        let file = PathBuf::new();
        let files = TlsIdentity { certificates: file.clone(), key: file };
        let identity = Identity { files, certificates: Zeroizing::default(), key: Zeroizing::default() };
        wiped(&identity.key);
    }

    #[tokio::test]
    async fn a_reading_that_panics_is_the_last_of_none() {
        let reader = Reader::default();
        assert!(reader.read(|| -> Result<(), _> { panic!("on purpose") }).await.is_none());
        assert!(reader.read(|| Ok(())).await.is_some());
    }
}
