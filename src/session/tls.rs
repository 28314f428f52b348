//! TLS with the server: asked for in the driver's name, shaken hands on, and the certificate checked as far as the
//! mode demands. The driver knows nothing of it.
//!
//! MySQL goes by the capability bits of the SSLRequest alone, so it is made of the driver's own login packet, whose
//! first 32 bytes are all that an SSLRequest is. That packet waits here until the server is who it should be.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use files::{Authorities, Identity, Reader};

use super::error::Failure;
use super::packet::{self, Greeting, HEADER};
use super::wire::tls_error;
use crate::config::naming::told as told_file;
use crate::domain::life::stage::Stage;

mod files;

pub use files::{
    TlsIdentity, WrongIdentity, certified, check_authorities, check_identity,
    parse_authorities as authorities,
};

/// MySQL's `--ssl-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsMode {
    /// Never.
    Disabled,
    /// Where the server offers it; its certificate is not checked.
    Preferred,
    /// Always; the certificate is not checked.
    Required,
    /// Always; the certificate must come from a trusted authority.
    VerifyCa,
    /// Always; and it must name the host.
    VerifyIdentity,
}

impl TlsMode {
    /// Whether a session with a server that greets so goes under TLS.
    pub(super) fn chooses(self, greeting: &Greeting) -> Result<bool, Failure> {
        match self {
            Self::Disabled => Ok(false),
            Self::Preferred => Ok(greeting.offers_tls),
            Self::Required | Self::VerifyCa | Self::VerifyIdentity if greeting.offers_tls => Ok(true),
            Self::Required => Err(failed(
                "the server offers no TLS: set it up there, or choose --mysql.tls-mode=preferred".to_owned(),
            )),
            // Whoever checks who the server is must not be led to ask nobody: somebody on the way may have taken TLS out.
            Self::VerifyCa | Self::VerifyIdentity => Err(failed(
                "the server offers no TLS, so it cannot be checked who it is: find out why. Is it set up there (SHOW \
                 VARIABLES LIKE '%ssl%'), and is nothing on the way that takes it out?"
                    .to_owned(),
            )),
        }
    }

    /// Its word in flags and files.
    pub fn label(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Preferred => "preferred",
            Self::Required => "required",
            Self::VerifyCa => "verify-ca",
            Self::VerifyIdentity => "verify-identity",
        }
    }

    /// Whether it is checked who the server is.
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyIdentity)
    }
}

/// What TLS with one server takes.
#[derive(Debug)]
pub(super) struct Tls {
    /// How far the certificate is checked.
    pub(super) mode: TlsMode,
    /// A PEM file of the authorities to trust; without it, the well-known ones.
    pub(super) authorities: Option<PathBuf>,
    /// The certificate to show where the server asks for one.
    pub(super) identity: Option<TlsIdentity>,
    /// The name that the server is told and that its certificate must have: the host as it was asked for, a name or an
    /// IP address, or another that was configured.
    pub(super) host: String,
    /// What was set up before.
    pub(super) setup: Setup,
}

/// What the sessions of one path share: a session keeps its settings for as long as it lives, and the well-known
/// authorities alone would be more than all else that it is. Made anew when one of the files has changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Setup(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    last: Mutex<Option<Made>>,
    reader: Reader,
}

/// What was made of these files.
type Made = (Authorities, Option<Identity>, Arc<ClientConfig>);

/// How much of a login packet an SSLRequest is, after the header.
const SSL_REQUEST: usize = 32;
/// `CLIENT_SSL` in the second byte of the capability bits.
const CLIENT_SSL: u8 = 0x08;

impl Tls {
    /// Asks the server for TLS and shakes hands. `login` is the driver's login packet as it stands; that it comes
    /// under TLS is written into it.
    pub(super) async fn begin(
        self,
        mut socket: TcpStream,
        login: &mut [u8],
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let name = self.server_name()?;
        let shown = self.shown();
        let config = self.setup.renewed(self.mode, self.authorities, self.identity).await?;
        let request = login
            .get_mut(HEADER..HEADER + SSL_REQUEST)
            .ok_or_else(|| failed("the driver's login packet is too short".to_owned()))?;
        request[1] |= CLIENT_SSL;
        let request = [&[32, 0, 0, 1], &*request].concat();
        socket.write_all(&request).await.map_err(|error| explain(&error, shown.as_deref()))?;
        let connector = TlsConnector::from(config);
        connector.connect(name, socket).await.map_err(|error| explain(&error, shown.as_deref()))
    }

    /// The file of the certificate that the server is shown where it asks for one.
    pub(super) fn shown(&self) -> Option<PathBuf> {
        self.identity.as_ref().map(|files| files.certificates.clone())
    }

    /// The name that the certificate is checked for and that the server is told. An IP address is not told (SNI has
    /// no room for it), and neither is a host that cannot stand in a certificate, where none needs to.
    fn server_name(&self) -> Result<ServerName<'static>, Failure> {
        match ServerName::try_from(self.host.trim_end_matches('.').to_owned()) {
            Ok(name) => Ok(name),
            Err(_) if self.mode == TlsMode::VerifyIdentity => Err(failed(format!(
                "no certificate can name the host {:?}: give the server a name, or check its authority alone with --mysql.tls-mode=verify-ca",
                self.host
            ))),
            Err(_) => Ok(ServerName::from(std::net::IpAddr::from(Ipv4Addr::UNSPECIFIED))),
        }
    }
}

/// Checks a server's certificate as far as a mode demands.
#[derive(Debug)]
struct Verifier {
    mode: TlsMode,
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Setup {
    /// The settings of a session, as the files are now; as they were, where their file system does not answer.
    async fn renewed(
        &self,
        mode: TlsMode,
        authorities: Option<PathBuf>,
        identity: Option<TlsIdentity>,
    ) -> Result<Arc<ClientConfig>, Failure> {
        let read = move || {
            let authorities = Authorities::read(mode, authorities.as_deref())?;
            Ok((authorities, identity.as_ref().map(Identity::read).transpose()?))
        };
        match self.0.reader.read(read).await {
            Some(read) => {
                let (authorities, identity) = read?;
                self.config(mode, authorities, identity)
            }
            None => self.last().as_ref().map(|(.., config)| Arc::clone(config)).ok_or_else(|| {
                failed("the files of tls_config cannot be read: their file system does not answer".to_owned())
            }),
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Made>> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings that are made of these files.
    fn config(
        &self,
        mode: TlsMode,
        authorities: Authorities,
        identity: Option<Identity>,
    ) -> Result<Arc<ClientConfig>, Failure> {
        let mut last = self.last();
        if let Some((theirs, ours, config)) = &*last
            && (theirs, ours) == (&authorities, &identity)
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(Verifier::new(mode, &authorities)?.into_config(identity.as_ref())?);
        *last = Some((authorities, identity, Arc::clone(&config)));
        Ok(config)
    }
}

impl Verifier {
    fn new(mode: TlsMode, authorities: &Authorities) -> Result<Self, Failure> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        Ok(Self { mode, roots: authorities.roots()?, algorithms })
    }

    fn into_config(self, identity: Option<&Identity>) -> Result<ClientConfig, Failure> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .map_err(|error| failed(format!("TLS cannot be set up: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self));
        let mut config = match identity {
            Some(identity) => {
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified()?)))
            }
            None => config.with_no_client_auth(),
        };
        // Every session shows its certificate, and none is remembered.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.mode.verifies() {
            let certificate = ParsedCertificate::try_from(certificate)?;
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                algorithms,
            )?;
            if self.mode == TlsMode::VerifyIdentity {
                verify_server_name(&certificate, name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    // Whoever's certificate is not checked may be anybody, whatever they sign. Old servers have certificates of
    // version 1, whose keys the library does not read.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.mode.verifies() {
            true => verify_tls12_signature(message, certificate, signed, &self.algorithms),
            false => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.mode.verifies() {
            true => verify_tls13_signature(message, certificate, signed, &self.algorithms),
            false => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether a certificate can have this name: a host name or an IP address.
pub fn check_server_name(name: &str) -> bool {
    ServerName::try_from(name.trim_end_matches('.').to_owned()).is_ok()
}

fn failed(reason: String) -> Failure {
    Failure::new(Stage::Tls, reason)
}

/// Tells why a handshake failed, and what to do. `shown` is the file of the certificate that we show.
fn explain(error: &io::Error, shown: Option<&Path>) -> Failure {
    use rustls::Error;
    let told = error.to_string();
    let told = packet::shortened(&told);
    match tls_error(error) {
        Some(Error::InvalidCertificate(fault)) => {
            failed(format!("the TLS handshake failed: {told}{}", advice(fault)))
        }
        Some(&Error::AlertReceived(alert)) => broken_off(alert, shown),
        Some(Error::InvalidMessage(_)) => failed(format!(
            "what the server answered to the request for TLS is no TLS ({told}): does a proxy on the way pass it on? \
             --mysql.tls-mode=disabled shows what it says without"
        )),
        Some(Error::PeerIncompatible(_)) => failed(format!(
            "the TLS handshake failed: {told}: the server must speak TLS 1.2 or 1.3, with a key exchange of X25519, P-256 or P-384"
        )),
        Some(_) => failed(format!("the TLS handshake failed: {told}")),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            failed("the TLS handshake failed: the server closed the connection in its midst".to_owned())
        }
        None => Failure::by_system(Stage::Tls, "the TLS handshake failed", error),
    }
}

/// A server complained of the handshake. `shown` is the file of the certificate that it was shown.
pub(super) fn broken_off(alert: AlertDescription, shown: Option<&Path>) -> Failure {
    use AlertDescription as Alert;
    let told = rustls::Error::AlertReceived(alert);
    let of_certificate = match alert {
        // Another authority of the same name.
        Alert::UnknownCA | Alert::DecryptError => {
            "have it signed by an authority of the server's ssl_ca, or add its authority there"
        }
        Alert::CertificateExpired => "renew it, or set the server's clock",
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateUnknown
        | Alert::AccessDenied => {
            "the server's error log may say why; its ssl_ca and ssl_crl say whose it takes"
        }
        _ => "",
    };
    failed(match shown {
        Some(file) if !of_certificate.is_empty() => {
            format!("the server refuses the certificate of {} ({told}): {of_certificate}", told_file(file))
        }
        None if alert == Alert::CertificateRequired => format!(
            "the server demands a certificate ({told}): name one in cert_file and key_file of tls_config"
        ),
        _ => format!("the server broke off the TLS handshake ({told}): its error log may say why"),
    })
}

/// What a person should do about a certificate that was refused.
fn advice(fault: &rustls::CertificateError) -> &'static str {
    use rustls::CertificateError as Fault;
    match fault {
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => {
            ": the certificates that MySQL makes by itself name no host: give the server one that names it, or check its authority alone with --mysql.tls-mode=verify-ca"
        }
        Fault::UnknownIssuer | Fault::BadSignature => {
            ": name its authority in --mysql.tls-ca (MySQL's own is ca.pem in the server's data directory)"
        }
        Fault::Expired | Fault::ExpiredContext { .. } => {
            ": renew the server's certificate, or set this machine's clock"
        }
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            ": set this machine's clock, or the server's when it makes certificates"
        }
        _ => {
            ": give the server a certificate of version 3 that is signed by an authority, and name that in --mysql.tls-ca"
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
