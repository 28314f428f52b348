//! Cipher suites, curves and versions as the toolkit names them, and which of them there are here.

use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::sign::SigningKey;
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use super::Reading;
use crate::config::file::section::{Fault, Section, in_words};

/// The suites of TLS 1.2 that there are.
const SUITES: [(&str, SupportedCipherSuite); 6] = [
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// Those of TLS 1.3, which are offered whatever is chosen, as by the toolkit.
const SUITES_13: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// Those that the toolkit knows too, and that there are not: they sign or encrypt in ways that are given up.
const SUITES_GIVEN_UP: [&str; 11] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
];

/// The curves that there are.
const CURVES: [(&str, &dyn SupportedKxGroup); 3] =
    [("X25519", kx_group::X25519), ("CurveP256", kx_group::SECP256R1), ("CurveP384", kx_group::SECP384R1)];

/// One that the toolkit knows too.
const CURVE_GIVEN_UP: &str = "CurveP521";

/// What a section says of all that, put together.
pub(super) fn read(
    tls: &Section<'_>,
    reading: &mut Reading,
) -> Result<(CryptoProvider, Vec<&'static SupportedProtocolVersion>), Fault> {
    let mut provider = default_provider();
    let versions = versions(tls, reading)?;
    if let Some(chosen) = suites(tls, reading)? {
        if chosen.is_empty() && !versions.contains(&&TLS13) {
            return Err(tls.fault(format!(
                "cipher_suites: none of these is spoken here, and max_version leaves no TLS 1.3: write some of {}",
                in_words(&SUITES.map(|(name, _)| name))
            )));
        }
        provider.cipher_suites.retain(|suite| suite.version() == &TLS13);
        provider.cipher_suites.extend(chosen);
    }
    if let Some(chosen) = curves(tls, reading)? {
        provider.kx_groups = chosen;
    }
    // With no suite of its own, TLS 1.2 is not spoken.
    let versions = versions
        .into_iter()
        .filter(|&version| provider.cipher_suites.iter().any(|suite| suite.version() == version))
        .collect();
    Ok((provider, versions))
}

/// Whether the certificate's key can be used with what is left.
pub(super) fn check_key(
    tls: &Section<'_>,
    provider: &CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
    key: &dyn SigningKey,
) -> Result<(), Fault> {
    let fits = |suite: &SupportedCipherSuite| match suite {
        SupportedCipherSuite::Tls12(suite) => key.choose_scheme(suite.sign).is_some(),
        SupportedCipherSuite::Tls13(_) => true,
    };
    let spoken = |suite: &&SupportedCipherSuite| versions.contains(&suite.version());
    match provider.cipher_suites.iter().filter(spoken).any(fits) {
        true => Ok(()),
        false => Err(tls.fault(
            "cipher_suites: none of these can be used with the certificate's key, so nobody could connect: those with \
             ECDSA are for keys of P-256, P-384 and Ed25519, those with RSA for keys of RSA",
        )),
    }
}

fn versions(
    tls: &Section<'_>,
    reading: &mut Reading,
) -> Result<Vec<&'static SupportedProtocolVersion>, Fault> {
    let mut read = |key: &str, default: u8| match tls.get(key) {
        None => Ok(default),
        Some(entry) => match entry.text("TLS12 or TLS13")? {
            "TLS13" => Ok(13),
            "TLS12" => Ok(12),
            "TLS11" | "TLS10" if key == "min_version" => {
                reading.warn(format!("{}: TLS below 1.2 is not spoken here: it means TLS12", entry.path()));
                Ok(12)
            }
            "TLS11" | "TLS10" => Err(entry.fault("TLS below 1.2 is not spoken here: write TLS12 or TLS13")),
            _ => Err(entry.fault("an unknown TLS version: write TLS12 or TLS13")),
        },
    };
    let (least, most) = (read("min_version", 12)?, read("max_version", 13)?);
    if least > most {
        return Err(
            tls.fault("min_version is above max_version, so nobody could connect: leave one of them out")
        );
    }
    let all = [(12, &TLS12), (13, &TLS13)];
    Ok(all.into_iter().filter(|(number, _)| (least..=most).contains(number)).map(|(_, all)| all).collect())
}

/// The chosen suites of TLS 1.2; `None` where nothing is chosen.
fn suites(tls: &Section<'_>, reading: &mut Reading) -> Result<Option<Vec<SupportedCipherSuite>>, Fault> {
    let Some(entry) = tls.get("cipher_suites") else { return Ok(None) };
    let example = "a list such as [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]";
    let (mut chosen, mut listed) = (Vec::new(), 0);
    for entry in entry.list(example)? {
        listed += 1;
        let name = entry.text(example)?;
        if let Some((_, suite)) = SUITES.iter().find(|(known, _)| *known == name) {
            chosen.push(*suite);
        } else if SUITES_GIVEN_UP.contains(&name) {
            reading.warn(format!("{}: the suite {name} is not spoken here: it is left out", entry.path()));
        } else if !SUITES_13.contains(&name) {
            let known = in_words(&SUITES.map(|(known, _)| known));
            return Err(entry.fault(format!(
                "an unknown cipher suite: those of TLS 1.2 are {known}; those of TLS 1.3 need no choice"
            )));
        }
    }
    Ok((listed > 0).then_some(chosen))
}

/// The chosen curves, in their order; `None` where nothing is chosen.
fn curves(
    tls: &Section<'_>,
    reading: &mut Reading,
) -> Result<Option<Vec<&'static dyn SupportedKxGroup>>, Fault> {
    let Some(entry) = tls.get("curve_preferences") else { return Ok(None) };
    let known = in_words(&CURVES.map(|(known, _)| known));
    let (mut chosen, mut listed) = (Vec::new(), 0);
    for entry in entry.list("a list such as [X25519, CurveP256]")? {
        listed += 1;
        let name = entry.text("a curve such as X25519")?;
        if let Some((_, curve)) = CURVES.iter().find(|(known, _)| *known == name) {
            chosen.push(*curve);
        } else if name == CURVE_GIVEN_UP {
            reading.warn(format!("{}: {CURVE_GIVEN_UP} is not spoken here: it is left out", entry.path()));
        } else {
            return Err(entry.fault(format!("an unknown curve: there are {known}")));
        }
    }
    if listed > 0 && chosen.is_empty() {
        return Err(entry.fault(format!(
            "{CURVE_GIVEN_UP} alone is not supported, so nobody could connect: there are {known}"
        )));
    }
    Ok((listed > 0).then_some(chosen))
}
