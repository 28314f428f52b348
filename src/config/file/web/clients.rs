//! Whose certificates are wanted of the clients: the five answers that Go's TLS gives, and the names in them.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use webpki::EndEntityCert;

use super::Reading;
use super::anybody::Anybody;
use super::tls::given;
use crate::config::file::section::{Fault, Located, Section};
use crate::session::authorities;

/// Whose certificate is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nobody's.
    None,
    /// Asked for, and not looked at.
    Request,
    /// Anybody's, but there must be one.
    RequireAny,
    /// Checked where there is one.
    VerifyIfGiven,
    /// There must be one, and it is checked.
    RequireAndVerify,
}

impl ClientAuth {
    /// The toolkit's word for it.
    pub fn label(self) -> &'static str {
        match self {
            Self::None => "NoClientCert",
            Self::Request => "RequestClientCert",
            Self::RequireAny => "RequireAnyClientCert",
            Self::VerifyIfGiven => "VerifyClientCertIfGiven",
            Self::RequireAndVerify => "RequireAndVerifyClientCert",
        }
    }

    /// What it keeps out: those who show nothing, and those whose certificate is not good.
    pub(super) fn keeps_out(self) -> [bool; 2] {
        [
            matches!(self, Self::RequireAny | Self::RequireAndVerify),
            matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify),
        ]
    }

    fn of(word: &str) -> Option<Self> {
        match word {
            "" => Some(Self::None),
            // The toolkit keeps this one from earlier days.
            "RequireClientCert" => Some(Self::RequireAny),
            _ => [Self::None, Self::Request, Self::RequireAny, Self::VerifyIfGiven, Self::RequireAndVerify]
                .into_iter()
                .find(|known| known.label() == word),
        }
    }

    /// Reads what the section says of it, and makes what checks the certificates.
    pub(super) fn read(
        tls: &Section<'_>,
        reading: &mut Reading,
    ) -> Result<(Self, Option<Arc<dyn ClientCertVerifier>>), Fault> {
        let words = "NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert";
        let auth = match tls.get("client_auth_type") {
            None => Self::None,
            Some(entry) => {
                let parse = |text: &str| Self::of(text).ok_or_else(|| format!("write {words}"));
                entry.parse(words, parse)?.value
            }
        };
        let (file, text) = (given(tls, "client_ca_file")?, given(tls, "client_ca")?);
        let given = file.or(text);
        if let Some(authorities) = given.as_ref().filter(|_| auth == Self::None) {
            return Err(authorities.fault(format!(
                "client CA's have been configured without a Client Auth Policy: write client_auth_type: {}",
                Self::RequireAndVerify.label()
            )));
        }
        let names = match tls.get("client_allowed_sans") {
            None => None,
            Some(entry) => {
                if !matches!(auth, Self::RequireAny | Self::RequireAndVerify) {
                    return Err(entry.fault(format!(
                        "no client has to show a certificate that has names: write client_auth_type: {}",
                        Self::RequireAndVerify.label()
                    )));
                }
                let example = "a list of names as certificates have them, such as [prometheus.example.org]";
                let listed = entry.list(example)?;
                if listed.is_empty() {
                    return Err(entry.fault(format!(
                        "the list is empty, so nobody could connect: write {example}, or leave the key out"
                    )));
                }
                Some(
                    listed
                        .iter()
                        .map(|entry| entry.parse(example, Name::parse).map(|name| name.value))
                        .collect::<Result<Vec<_>, _>>()?,
                )
            }
        };
        // Where names count, it counts whose they are.
        let unproved = names.is_none();
        let verifier: Arc<dyn ClientCertVerifier> = match auth {
            Self::None => return Ok((auth, None)),
            Self::Request => Arc::new(Anybody::new(false, unproved)),
            Self::RequireAny => Arc::new(Anybody::new(true, unproved)),
            Self::VerifyIfGiven | Self::RequireAndVerify => checked(auth, given, tls, reading)?,
        };
        Ok(match names {
            Some(names) => (auth, Some(Arc::new(Named { verifier, names }))),
            None => (auth, Some(verifier)),
        })
    }
}

fn checked(
    auth: ClientAuth,
    given: Option<Located<zeroize::Zeroizing<String>>>,
    tls: &Section<'_>,
    reading: &mut Reading,
) -> Result<Arc<dyn ClientCertVerifier>, Fault> {
    let roots: RootCertStore = match &given {
        Some(located) => {
            let named = Located {
                value: located.value.to_string(),
                place: located.place,
                path: located.path.clone(),
            };
            let pem = match located.path.ends_with("_file") {
                true => reading.file(&named)?,
                false => zeroize::Zeroizing::new(named.value.clone().into_bytes()),
            };
            authorities(&pem).map_err(|what| named.fault(format!("what is given here {what}")))?
        }
        None => {
            reading.warn(format!(
                "{}: without client_ca_file the certificates of all well-known authorities are good: name your own",
                tls.path
            ));
            webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
        }
    };
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
    let builder = if auth == ClientAuth::VerifyIfGiven { builder.allow_unauthenticated() } else { builder };
    let verifier = builder.build();
    verifier.map_err(|error| tls.fault(format!("certificates of clients cannot be checked: {error}")))
}

/// A name that a certificate may have.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Ip(ServerName<'static>),
    /// A host's or a URI.
    Word(String),
}

impl Name {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Ip(ServerName::from(address))),
            Err(_) if text.contains('@') && !text.contains("://") => {
                Err("names of mailboxes are not read from certificates here: write a DNS name, an IP address or a URI that the certificate has too".to_owned())
            }
            Err(_) => Ok(Self::Word(text.to_owned())),
        }
    }
}

/// Takes certificates that the other takes, and that have one of these names.
#[derive(Debug)]
struct Named {
    verifier: Arc<dyn ClientCertVerifier>,
    names: Vec<Name>,
}

impl Named {
    fn has_one(&self, certificate: &EndEntityCert<'_>) -> bool {
        self.names.iter().any(|name| match name {
            Name::Ip(address) => certificate.verify_is_valid_for_subject_name(address).is_ok(),
            Name::Word(word) => {
                certificate.valid_dns_names().chain(certificate.valid_uri_names()).any(|name| name == word)
            }
        })
    }
}

impl ClientCertVerifier for Named {
    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.verifier.verify_client_cert(certificate, intermediates, now)?;
        let parsed = EndEntityCert::try_from(certificate)
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        match self.has_one(&parsed) {
            true => Ok(verified),
            false => Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForName)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
