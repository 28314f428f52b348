//! What the driver would say in a login that gives the password away to a server nobody verified: seen before
//! it is handed on.
//!
//! Scrambles may go to anybody: `mysql_native_password`, ed25519, and `caching_sha2_password` as long as the
//! server remembers the password. Where it does not (after its start, or FLUSH PRIVILEGES), the server asks
//! for the password itself. The driver (mysql_async 0.37.1) then sends it, in plain words where the session
//! is under TLS, whatever its certificate, and else encrypted with an RSA key that it asks the server for:
//! anybody's key.
//!
//! On a plain session that question is seen. Under TLS only the length of what the driver says is: the login
//! packet is its first word, an answer to a switch of the method its second, and such answers have few
//! lengths. Any other word before the first command is taken for the password.

use super::packet::HEADER;

/// What was about to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Disclosure {
    /// The question for the RSA key that the password would be encrypted with.
    #[error("encrypted with a key that anybody on the way may have sent")]
    ByKey,
    /// The password under TLS.
    #[error("under TLS with a certificate that nobody checked")]
    UnderTls,
}

/// Follows what the driver says until the login is over.
#[derive(Debug)]
pub(crate) enum Watch {
    /// The server is verified, the user allows it, or the login is over.
    Off,
    /// A plain session.
    Plain,
    /// A session under TLS.
    Tls(Records),
}

/// The TLS records that the driver wrote.
#[derive(Debug)]
pub(crate) struct Records {
    /// How long the password is, in bytes.
    password: usize,
    /// How much of the SSLRequest is still to come: the one packet that is no record.
    request: usize,
    header: Vec<u8>,
    /// How many bytes of the record's body are still to come.
    missing: usize,
    stage: Handshake,
    /// How many words the driver has said under TLS.
    words: usize,
}

/// How far the handshake is, by what the driver wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handshake {
    Begun,
    /// ChangeCipherSpec was said: what follows is encrypted.
    Encrypted,
    /// Finished was said in a record of handshake: TLS 1.2.
    Finished12,
    /// Finished was said in a record of data: TLS 1.3.
    Finished13,
}

/// The SSLRequest: a packet of 32 bytes.
const SSL_REQUEST: usize = HEADER + 32;
/// A TLS record's header.
const RECORD_HEADER: usize = 5;
const CHANGE_CIPHER_SPEC: u8 = 0x14;
const HANDSHAKE: u8 = 0x16;
const APPLICATION_DATA: u8 = 0x17;
/// The longest Finished of TLS 1.2, encrypted; a second ClientHello of TLS 1.3 is longer.
const LONGEST_FINISHED: usize = 40;
/// What encryption adds to a record: in TLS 1.3 a byte and a tag; in TLS 1.2 a tag, with AES a nonce too.
const ADDED_13: &[usize] = &[17];
const ADDED_12: &[usize] = &[16, 24];
/// What answers a switch of the method, in bytes: nothing, `mysql_native_password`, `caching_sha2_password`,
/// ed25519.
const SCRAMBLES: [usize; 4] = [0, 20, 32, 64];

impl Watch {
    /// A watch over a session under TLS or none, for a password of so many bytes.
    pub(crate) fn over(tls: bool, password: usize) -> Self {
        if !tls {
            return Self::Plain;
        }
        Self::Tls(Records {
            password,
            request: SSL_REQUEST,
            header: Vec::with_capacity(RECORD_HEADER),
            missing: 0,
            stage: Handshake::Begun,
            words: 0,
        })
    }

    /// The driver is about to say this. An error where it must not be handed on.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Result<(), Disclosure> {
        match self {
            Self::Off => Ok(()),
            Self::Plain if matches!(bytes, [1, 0, 0, _, 2]) => Err(Disclosure::ByKey),
            Self::Plain => Ok(()),
            Self::Tls(records) => records.take(bytes),
        }
    }
}

impl Records {
    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Disclosure> {
        loop {
            let passed = bytes.len().min(self.request + self.missing);
            let of_request = passed.min(self.request);
            self.request -= of_request;
            self.missing -= passed - of_request;
            bytes = &bytes[passed..];
            if bytes.is_empty() {
                return Ok(());
            }
            let (head, rest) = bytes.split_at(bytes.len().min(RECORD_HEADER - self.header.len()));
            self.header.extend_from_slice(head);
            bytes = rest;
            if let [kind, _, _, high, low] = self.header[..] {
                self.missing = usize::from(u16::from_be_bytes([high, low]));
                self.header.clear();
                self.look(kind)?;
            }
        }
    }

    /// Looks at the header of a record whose body is still to come.
    fn look(&mut self, kind: u8) -> Result<(), Disclosure> {
        use Handshake::{Begun, Encrypted, Finished12, Finished13};
        self.stage = match (self.stage, kind) {
            (Begun, CHANGE_CIPHER_SPEC) => Encrypted,
            (Encrypted, HANDSHAKE) if self.missing <= LONGEST_FINISHED => Finished12,
            (Encrypted, APPLICATION_DATA) => Finished13,
            (Finished12 | Finished13, APPLICATION_DATA) => return self.hear_word(),
            (stage, _) => stage,
        };
        Ok(())
    }

    fn hear_word(&mut self) -> Result<(), Disclosure> {
        self.words += 1;
        let added = if self.stage == Handshake::Finished13 { ADDED_13 } else { ADDED_12 };
        let may_be = |length: usize| added.iter().any(|added| self.missing == HEADER + length + added);
        let scramble = SCRAMBLES.iter().any(|&length| may_be(length));
        // The password is sent with a zero byte after it.
        match self.words {
            1 => Ok(()),
            2 if scramble && !may_be(self.password + 1) => Ok(()),
            _ => Err(Disclosure::UnderTls),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, length: usize) -> Vec<u8> {
        let [high, low] = u16::try_from(length).expect("short").to_be_bytes();
        [vec![kind, 3, 3, high, low], vec![7; length]].concat()
    }

    /// A session's beginning in TLS 1.3 or 1.2, up to the login packet, and then words of these lengths.
    fn session(new: bool, words: &[usize]) -> Vec<u8> {
        let mut bytes = [vec![1; SSL_REQUEST], record(HANDSHAKE, 230)].concat();
        if new {
            bytes.extend([record(CHANGE_CIPHER_SPEC, 1), record(APPLICATION_DATA, 53)].concat());
        } else {
            bytes.extend(
                [record(HANDSHAKE, 37), record(CHANGE_CIPHER_SPEC, 1), record(HANDSHAKE, 40)].concat(),
            );
        }
        let added = if new { 17 } else { 24 };
        for word in [&[180], words].concat() {
            bytes.extend(record(APPLICATION_DATA, HEADER + word + added));
        }
        bytes
    }

    #[test]
    fn scrambles_pass_and_the_password_does_not() {
        const PASSWORD: usize = 13;
        for (words, passes) in [
            (&[][..], true),
            (&[20], true),
            (&[32], true),
            (&[64], true),
            (&[0], true),
            (&[PASSWORD + 1], false),
            (&[32, PASSWORD + 1], false),
            (&[32, 32], false),
            (&[40], false),
        ] {
            for new in [true, false] {
                let bytes = session(new, words);
                let expected = if passes { Ok(()) } else { Err(Disclosure::UnderTls) };
                assert_eq!(Watch::over(true, PASSWORD).say(&bytes), expected, "{words:?} {new}");
                // In single bytes too, and then before the first byte of the word's body.
                let mut watch = Watch::over(true, PASSWORD);
                let refused = bytes.chunks(1).position(|byte| watch.say(byte).is_err());
                let last = HEADER + words.last().unwrap_or(&0) + if new { 17 } else { 24 };
                assert_eq!(refused, (!passes).then(|| bytes.len() - last - 1), "{words:?} {new}");
            }
        }
    }

    #[test]
    fn a_scramble_that_may_be_the_password_does_not_pass() {
        for password in [19, 31, 63] {
            for new in [true, false] {
                let bytes = session(new, &[password + 1]);
                assert_eq!(Watch::over(true, password).say(&bytes), Err(Disclosure::UnderTls));
            }
        }
    }

    #[test]
    fn a_second_hello_is_no_finished() {
        let hello = [
            vec![1; SSL_REQUEST],
            record(HANDSHAKE, 230),
            record(CHANGE_CIPHER_SPEC, 1),
            record(HANDSHAKE, 260),
        ];
        let mut bytes = hello.concat();
        for length in [53, 200, HEADER + 20 + 17] {
            bytes.extend(record(APPLICATION_DATA, length));
        }
        assert_eq!(Watch::over(true, 13).say(&bytes), Ok(()));
        bytes.extend(record(APPLICATION_DATA, HEADER + 14 + 17));
        assert_eq!(Watch::over(true, 13).say(&bytes), Err(Disclosure::UnderTls));
    }

    #[test]
    fn nobody_is_asked_for_a_key_on_a_plain_session() {
        let mut watch = Watch::over(false, 13);
        assert_eq!(watch.say(b"\x20\0\0\x01the login packet, as it comes......"), Ok(()));
        assert_eq!(watch.say(&[1, 0, 0, 3, 2]), Err(Disclosure::ByKey));
        assert_eq!(Watch::Off.say(&[1, 0, 0, 3, 2]), Ok(()));
    }
}
