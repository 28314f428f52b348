//! How sessions are encrypted, and the files that takes: read here too, so that a bad one is told before anything runs.

use std::path::PathBuf;

use clap::ValueEnum;

use super::Files;
use super::section::{Fault, Located, Section};
use crate::config::naming::{file_name, told};
use crate::config::source::{advice, open_to_all, read_regular};
use crate::session::{TlsIdentity, TlsMode, check_authorities, check_identity, check_server_name};

/// What a level says of TLS.
#[derive(Debug, Clone, Default)]
pub(super) struct TlsKeys {
    mode: Option<TlsMode>,
    ca_file: Option<Located<String>>,
    /// The mode stands nearer than the authorities, which are meant for other paths.
    ca_is_others: bool,
    /// Certificate and key of the client.
    identity: Option<(Located<String>, Located<String>)>,
    server_name: Option<String>,
    get_server_public_key: Option<bool>,
}

/// TLS as a path has it.
pub(super) struct Tls {
    pub(super) mode: TlsMode,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) identity: Option<TlsIdentity>,
    pub(super) server_name: Option<String>,
    pub(super) get_server_public_key: bool,
}

impl TlsKeys {
    pub(super) fn read(tls: &Section<'_>) -> Result<Self, Fault> {
        let file = |key, example: &str| -> Result<Option<Located<String>>, Fault> {
            tls.get(key).map(|entry| entry.parse(example, file_name)).transpose()
        };
        let certificate = file("cert_file", "a PEM file with the client's certificate")?;
        let key = file("key_file", "a PEM file with the key of the client's certificate")?;
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(certificate), None) => {
                return Err(certificate
                    .fault("key_file is missing: write the file of this certificate's key beside it"));
            }
            (None, Some(key)) => {
                return Err(
                    key.fault("cert_file is missing: write the file of this key's certificate beside it")
                );
            }
        };
        let modes = "disabled, preferred, required, verify-ca or verify-identity";
        Ok(Self {
            mode: tls
                .get("mode")
                .map(|mode| {
                    // As MySQL writes them, too: VERIFY_CA.
                    let parse = |text: &str| TlsMode::from_str(&text.replace('_', "-"), true);
                    Ok(mode.parse(modes, |text| parse(text).map_err(|_| format!("write {modes}")))?.value)
                })
                .transpose()?,
            ca_file: file("ca_file", "a PEM file with the authorities to trust")?,
            ca_is_others: false,
            identity,
            server_name: tls
                .get("server_name")
                .map(|name| {
                    let example = "the name that the server's certificate has, such as db.example.org";
                    Ok(name
                        .parse(example, |text| match check_server_name(text) {
                            true => Ok(text.to_owned()),
                            false => Err(format!("no certificate can name this: write {example}")),
                        })?
                        .value)
                })
                .transpose()?,
            get_server_public_key: tls.get("get_server_public_key").map(|entry| entry.bool()).transpose()?,
        })
    }

    /// What holds where `above` says the rest.
    pub(super) fn over(self, above: Self) -> Self {
        let inherited = self.ca_file.is_none() && (above.ca_is_others || self.mode.is_some());
        Self {
            ca_is_others: self.ca_is_others || inherited,
            mode: self.mode.or(above.mode),
            ca_file: self.ca_file.or(above.ca_file),
            identity: self.identity.or(above.identity),
            server_name: self.server_name.or(above.server_name),
            get_server_public_key: self.get_server_public_key.or(above.get_server_public_key),
        }
    }

    /// Reads the files and checks what is in them.
    pub(super) fn check(&self, files: &mut Files) -> Result<Tls, Fault> {
        let mode = self.mode.unwrap_or(TlsMode::Preferred);
        let ca_file = match &self.ca_file {
            None => None,
            Some(file) => {
                let name = files.place(&file.value);
                let (pem, _) = read_regular(&name).map_err(|error| {
                    file.fault(format!("cannot read {}: {error}: {}", told(&name), advice(&error)))
                })?;
                check_authorities(&pem).map_err(|what| file.fault(format!("{} {what}", told(&name))))?;
                if !mode.verifies() && !self.ca_is_others {
                    files.warn(format!(
                        "{}: the authorities are not used with the mode {}: write mode: verify-identity, or verify-ca where certificates name no host",
                        file.path,
                        mode.label()
                    ));
                }
                Some(name)
            }
        };
        let identity = match &self.identity {
            None => None,
            Some((certificate, key)) => {
                let certificate_file = files.place(&certificate.value);
                let (certificates, _) = read_regular(&certificate_file).map_err(|error| {
                    certificate.fault(format!(
                        "cannot read {}: {error}: {}",
                        told(&certificate_file),
                        advice(&error)
                    ))
                })?;
                let key_file = files.place(&key.value);
                // Its name is not repeated: the key itself may stand there.
                let (pem, found) = read_regular(&key_file).map_err(|error| {
                    key.fault(format!("cannot read the file that is named here: {error}: {}", advice(&error)))
                })?;
                if let Err(wrong) = check_identity(&certificates, &pem) {
                    return Err(match wrong.in_key {
                        true => key.fault(format!("the file that is named here {}", wrong.what)),
                        false => certificate.fault(format!("{} {}", told(&certificate_file), wrong.what)),
                    });
                }
                if let Some(mode) = open_to_all(&found) {
                    files.warn(format!("{}: everybody may read the file with the key (mode {mode:04o}): take the right from others, chmod o-rwx", key.path));
                }
                Some(TlsIdentity { certificates: certificate_file, key: key_file })
            }
        };
        Ok(Tls {
            mode,
            ca_file,
            identity,
            server_name: self.server_name.clone(),
            get_server_public_key: self.get_server_public_key.unwrap_or(false),
        })
    }
}
