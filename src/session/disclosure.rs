//! What the driver would say in a login that gives the password away to a server nobody verified: seen before
//! it is handed on.
//!
//! Scrambles may go to anybody: `mysql_native_password`, ed25519, and `caching_sha2_password` as long as the
//! server remembers the password. Where it does not (after its start, or FLUSH PRIVILEGES), the server asks
//! for the password itself. The driver (mysql_async 0.37.1) says it in plain words where it takes the connection for
//! a secure one, which the tap lets it do only under TLS with a server that was verified, or need not be
//! ([`super::door`]). Else it first asks for an RSA key to encrypt it with: anybody's key. That question is seen.

use super::error::Failure;
use crate::domain::life::stage::Stage;

/// The question for the RSA key that the password would be encrypted with, in a packet of its own.
const ASK_FOR_KEY: u8 = 2;

/// Whether the password may be given away in this login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// It may: the server is verified, the user allows it, there is no password, or the login is over.
    Off,
    /// It may not: nobody verified the server of this plain session.
    Plain,
    /// It may not: nobody checked the certificate of this session under TLS.
    Tls,
}

impl Watch {
    /// Looks at what the driver is about to say. A failure where it must not be handed on.
    pub(crate) fn say(self, bytes: &[u8]) -> Result<(), Failure> {
        let asks = matches!(bytes, [1, 0, 0, _, ASK_FOR_KEY]);
        let (danger, way) = match self {
            Self::Plain if asks => (
                "encrypted with a key that anybody on the way may have sent",
                "--mysql.tls-mode=verify-identity",
            ),
            Self::Tls if asks => (
                "under TLS with a certificate that nobody checked",
                "--mysql.tls-mode=verify-identity (or verify-ca) and the server's authority in --mysql.tls-ca",
            ),
            Self::Off | Self::Plain | Self::Tls => return Ok(()),
        };
        Err(Failure::new(
            Stage::Auth,
            format!(
                "the server wants the password itself, as caching_sha2_password does until it remembers it, and it would go \
                 {danger}: verify the server with {way}; or let the account log in once by a client that does (it is \
                 remembered until the server restarts); or allow it with --mysql.get-server-public-key"
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_unverified_is_asked_for_a_key() {
        for (watch, words) in [
            (Watch::Plain, Some("encrypted with a key that anybody on the way may have sent")),
            (Watch::Tls, Some("under TLS with a certificate that nobody checked")),
            (Watch::Off, None),
        ] {
            assert!(watch.say(b"\x20\0\0\x01the login packet, as it comes......").is_ok());
            assert!(watch.say(&[&[32, 0, 0, 3][..], &[2; 32]].concat()).is_ok(), "a scramble");
            let told = watch.say(&[1, 0, 0, 3, 2]).err().map(|failure| failure.reason);
            assert_eq!(told.is_some(), words.is_some());
            assert!(told.unwrap_or_default().contains(words.unwrap_or_default()));
        }
    }
}
