//! Whatever certificate a client shows: old ones of version 1 too, and keys that are not known here.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use webpki::{EndEntityCert, RawPublicKeyEntity};

/// Takes whatever certificate there is: who holds its key is known, and no more.
#[derive(Debug)]
pub(super) struct Anybody {
    mandatory: bool,
    /// Whether keys are taken too whose signatures cannot be checked here. Then not even that is known.
    unproved: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

/// What no signature can be checked of.
const UNPROVED: SignatureScheme = SignatureScheme::ECDSA_NISTP521_SHA512;
/// The name of its curve in a certificate: secp521r1.
const CURVE: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
const SEQUENCE: u8 = 0x30;
/// What says that a certificate is of another version than 1.
const VERSION: u8 = 0xa0;
/// How many fields stand between that and the key: number, algorithm, issuer, validity, subject.
const FIELDS: usize = 5;

impl Anybody {
    pub(super) fn new(mandatory: bool, unproved: bool) -> Self {
        Self { mandatory, unproved, algorithms: ring::default_provider().signature_verification_algorithms }
    }

    /// The certificate's key, where this is to be looked at otherwise than the library does.
    fn odd<'a>(&self, certificate: &'a CertificateDer<'_>) -> Result<Odd<'a>, Error> {
        let key = || public_key(certificate).ok_or_else(|| wrong(CertificateError::BadEncoding));
        // Under TLS 1.2 its signatures have the names of others.
        if self.unproved && key()?.windows(CURVE.len()).take(CURVE.len() * 4).any(|window| window == CURVE) {
            return Ok(Odd::Unproved);
        }
        match EndEntityCert::try_from(certificate) {
            Ok(_) => Ok(Odd::Not),
            Err(_) => Ok(Odd::Key(SubjectPublicKeyInfoDer::from(key()?))),
        }
    }

    fn has_signed(
        &self,
        key: &SubjectPublicKeyInfoDer<'_>,
        message: &[u8],
        signed: &DigitallySignedStruct,
    ) -> bool {
        let Ok(key) = RawPublicKeyEntity::try_from(key) else { return false };
        let known = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        known
            .flat_map(|(_, algorithms)| *algorithms)
            .any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok())
    }
}

/// How a signature is looked at.
enum Odd<'a> {
    /// As the library does.
    Not,
    /// By the key alone: the library does not read the certificate.
    Key(SubjectPublicKeyInfoDer<'a>),
    Unproved,
}

fn wrong(what: CertificateError) -> Error {
    Error::InvalidCertificate(what)
}

/// The key in a certificate of any version, as it stands there.
fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let certificate = element(certificate).filter(|outer| outer.tag == SEQUENCE)?;
    let mut rest = element(certificate.inside).filter(|signed| signed.tag == SEQUENCE)?.inside;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.after;
    }
    for _ in 0..FIELDS {
        rest = element(rest)?.after;
    }
    element(rest).map(|key| key.whole)
}

/// One element of DER.
struct Element<'a> {
    tag: u8,
    whole: &'a [u8],
    inside: &'a [u8],
    after: &'a [u8],
}

/// The first element.
fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&tag, &short) = (bytes.first()?, bytes.get(1)?);
    let more = if short < 0x80 { 0 } else { usize::from(short & 0x7f) };
    if more > 3 {
        return None;
    }
    let begin = 2 + more;
    let length = match more {
        0 => usize::from(short),
        _ => bytes.get(2..begin)?.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)),
    };
    let (whole, after) = bytes.split_at_checked(begin + length)?;
    Some(Element { tag, whole, inside: &whole[begin..], after })
}

impl ClientCertVerifier for Anybody {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.odd(certificate)? {
            Odd::Not => verify_tls12_signature(message, certificate, signed, &self.algorithms),
            Odd::Key(key) if !self.has_signed(&key, message, signed) => {
                Err(wrong(CertificateError::BadSignature))
            }
            Odd::Key(_) | Odd::Unproved => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.odd(certificate)? {
            Odd::Not => verify_tls13_signature(message, certificate, signed, &self.algorithms),
            Odd::Key(key) => verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms),
            Odd::Unproved => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.algorithms.supported_schemes();
        schemes.extend(self.unproved.then_some(UNPROVED));
        schemes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_or_no_certificate_has_no_key() {
        let key = [SEQUENCE, 1, 7];
        let fields = [[2, 1, 9]; FIELDS].concat();
        for version in [&[][..], &[VERSION, 3, 2, 1, 2]] {
            let inner = [version, &fields, &key].concat();
            let length = |inner: &[u8]| u8::try_from(inner.len()).expect("short");
            let body = [&[SEQUENCE, length(&inner)][..], &inner].concat();
            let whole = [&[SEQUENCE, 0x81, length(&body)][..], &body].concat();
            assert_eq!(public_key(&whole), Some(&key[..]));
            for end in 0..whole.len() {
                assert_eq!(public_key(&whole[..end]), None, "{end}");
            }
        }
        assert_eq!(public_key(&[SEQUENCE, 0xff, 1, 2, 3]), None);
    }
}
