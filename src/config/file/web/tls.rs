//! TLS of the pages: certificate and key, whose certificate is wanted in return, and what is spoken.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use zeroize::Zeroizing;

use super::clients::ClientAuth;
use super::{Reading, suites};
use crate::config::file::section::{Fault, Located, Section};
use crate::config::naming::file_name;
use crate::session::{WrongIdentity, certified};

/// TLS as it is served.
#[derive(Clone)]
pub struct TlsServer {
    /// What a handshake takes.
    pub config: Arc<ServerConfig>,
    /// Whose certificate is wanted, in words.
    pub clients: ClientAuth,
    /// What keeps clients out: one who shows nothing, whose certificate is not good, who is of another authority than
    /// those that are named, or who has none of the names.
    pub(super) keeps_out: [bool; 4],
    /// Whether the key stands in the configuration itself.
    pub(super) holds_key: bool,
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").field("clients", &self.clients).finish_non_exhaustive()
    }
}

/// The keys any of which means that the pages are served under TLS. The exporter-toolkit's.
const MEANT: [&str; 7] =
    ["cert_file", "cert", "key_file", "key", "client_ca_file", "client_ca", "client_auth_type"];

impl TlsServer {
    /// Reads the section and its files; nothing where it says nothing that means TLS.
    pub(super) fn read(tls: &Section<'_>, reading: &mut Reading) -> Result<Option<Self>, Fault> {
        if !MEANT.iter().any(|key| matches!(given(tls, key), Ok(Some(_)) | Err(_))) {
            return Ok(None);
        }
        let (cert_file, cert) = (given(tls, "cert_file")?, given(tls, "cert")?);
        let (key_file, key) = (given(tls, "key_file")?, given(tls, "key")?);
        let missing = |what: &str, example: &str| {
            tls.fault(format!("missing one of {what} or {what}_file: write {what}_file: {example}"))
        };
        let certificate =
            cert_file.or(cert.clone()).ok_or_else(|| missing("cert", "a PEM file with the certificate"))?;
        let secret = key_file
            .or(key.clone())
            .ok_or_else(|| missing("key", "a PEM file with the certificate's key"))?;
        let in_file = |located: &Located<Zeroizing<String>>| Located {
            value: located.value.to_string(),
            place: located.place,
            path: located.path.clone(),
        };
        let chain = match certificate.path.ends_with("_file") {
            true => reading.file(&in_file(&certificate))?,
            false => Zeroizing::new(certificate.value.as_bytes().to_vec()),
        };
        let holds_key = !secret.path.ends_with("_file");
        let key = match holds_key {
            true => Zeroizing::new(secret.value.as_bytes().to_vec()),
            false => reading.secret_file(&in_file(&secret))?,
        };
        let certified = certified(&chain, &key).map_err(|WrongIdentity { in_key, what }| {
            let (located, what_it_is) =
                if in_key { (&secret, "what is given here") } else { (&certificate, "what is given here") };
            located.fault(format!("{what_it_is} {what}"))
        })?;
        let (provider, versions) = suites::read(tls, reading)?;
        suites::check_key(tls, &provider, &versions, &*certified.key)?;
        let (clients, verifier) = ClientAuth::read(tls, reading)?;
        let [shown, good] = clients.keeps_out();
        let named = given(tls, "client_ca_file")?.or(given(tls, "client_ca")?).is_some();
        let keeps_out = [shown, good, good && named, tls.get("client_allowed_sans").is_some()];
        let builder = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&versions)
            .map_err(|error| tls.fault(format!("these cannot be spoken together: {error}")))?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.ignore_client_order = match tls.get("prefer_server_cipher_suites") {
            Some(entry) => entry.yaml_bool()?,
            None => true,
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Every connection shows its certificates as they are now, and none is remembered.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Some(Self { config: Arc::new(config), clients, keeps_out, holds_key }))
    }
}

/// A text that may be a secret, where one is given; an empty one is none.
pub(super) fn given(tls: &Section<'_>, key: &str) -> Result<Option<Located<Zeroizing<String>>>, Fault> {
    let example = "a PEM file, or what stands in one";
    let Some(entry) = tls.get(key) else { return Ok(None) };
    let text = entry.parse(example, |text| match key.ends_with("_file") {
        true => file_name(text).map(Zeroizing::new),
        false => Ok(Zeroizing::new(text.to_owned())),
    })?;
    Ok(Some(text).filter(|text| !text.value.is_empty()))
}
