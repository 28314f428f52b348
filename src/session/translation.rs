//! Packets of a login on their way, where the two sides would not understand each other as they are.
//!
//! Under TLS the SSLRequest takes a sequence id that the driver does not know of: it was never told of TLS. So the ids of
//! its packets go up by one, and the server's down.
//!
//! The driver (mysql_common 0.37.3) takes a zero byte off the end of each challenge. Those of ed25519 have none to
//! spare: of 256 logins one failed. So they get one.
//!
//! An ERR without an SQL state, which is no error to the driver, and in the place of a key made it panic, gets one: a server
//! that has not taken the login packet in does not know that there is to be one.

use super::packet::{ERR_CODE, HEADER, has_state, payload_length};

/// A request to log in by ed25519, up to the challenge.
const ED25519: &[u8] = b"\xfeclient_ed25519\0";
/// How long its challenge is, in bytes.
const CHALLENGE: usize = 32;
/// The SQL state of whatever has none of its own.
const NO_STATE: &[u8] = b"#HY000";

/// Translates the packets that go one way. The guard has looked at them before: none is long.
#[derive(Debug)]
pub(super) struct Translation {
    /// What every sequence id goes up by.
    shift: u8,
    /// A packet that has not come whole.
    partial: Vec<u8>,
}

impl Translation {
    /// Of what the driver says.
    pub(super) fn of_driver(tls: bool) -> Self {
        Self { shift: u8::from(tls), partial: Vec::new() }
    }

    /// Of what the server says.
    pub(super) fn of_server(tls: bool) -> Self {
        Self { shift: u8::from(tls).wrapping_neg(), partial: Vec::new() }
    }

    /// The packets that are whole by now.
    pub(super) fn translate(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.partial.extend_from_slice(bytes);
        let mut whole = Vec::new();
        let mut rest = &self.partial[..];
        while let Some(&[low, middle, high, sequence]) = rest.first_chunk::<HEADER>() {
            let length = payload_length([low, middle, high, sequence]);
            let Some(payload) = rest.get(HEADER..HEADER + length) else { break };
            let (begin, added, end) = amend(payload);
            let told = u32::try_from(length + added.len()).unwrap_or_default().to_le_bytes();
            whole.extend([told[0], told[1], told[2], sequence.wrapping_add(self.shift)]);
            whole.extend([begin, added, end].concat());
            rest = &rest[HEADER + length..];
        }
        let passed = self.partial.len() - rest.len();
        self.partial.drain(..passed);
        whole
    }
}

/// What the driver lacks in this packet, between what goes before and what follows.
fn amend(payload: &[u8]) -> (&[u8], &[u8], &[u8]) {
    if payload.first() == Some(&0xff) && payload.len() >= ERR_CODE && !has_state(payload) {
        let (code, message) = payload.split_at(ERR_CODE);
        return (code, NO_STATE, message);
    }
    let needs_zero = payload.len() == ED25519.len() + CHALLENGE && payload.starts_with(ED25519);
    (payload, if needs_zero { &[0] } else { &[] }, &[])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
        let [low, middle, high, ..] = u32::try_from(payload.len()).expect("short").to_le_bytes();
        [&[low, middle, high, sequence], payload].concat()
    }

    #[test]
    fn a_challenge_of_ed25519_gets_its_zero() {
        for last in [0, 7] {
            let challenge = [&[9; CHALLENGE - 1][..], &[last]].concat();
            let told = packet(2, &[ED25519, &challenge].concat());
            let expected = packet(2, &[ED25519, &challenge, &[0]].concat());
            assert_eq!(Translation::of_server(false).translate(&told), expected);
        }
        let longer = packet(2, &[ED25519, &[9; CHALLENGE + 1]].concat());
        assert_eq!(Translation::of_server(false).translate(&longer), longer);
    }

    #[test]
    fn an_error_without_a_state_gets_one() {
        let message = "m".repeat(300);
        for (told, expected) in [
            ("\u{13}\u{4}Bad handshake", "\u{13}\u{4}#HY000Bad handshake"),
            ("\0\0", "\0\0#HY000"),
            (&*format!("\0\0{message}"), &*format!("\0\0#HY000{message}")),
            ("\u{15}\u{4}#28000Access denied", "\u{15}\u{4}#28000Access denied"),
        ] {
            let err = |text: &str| packet(2, &[&[0xff], text.as_bytes()].concat());
            assert_eq!(Translation::of_server(false).translate(&err(told)), err(expected));
        }
    }

    proptest! {
        #[test]
        fn every_id_is_shifted_and_nothing_else(
            lengths in proptest::collection::vec(0_usize..600, 1..6), piece in 1_usize..700,
        ) {
            let packets = |first: usize| -> Vec<u8> {
                let numbered = (first..).zip(&lengths);
                numbered.flat_map(|(id, &length)| packet(u8::try_from(id).expect("few"), &vec![0xaa; length])).collect()
            };
            let (mut driver, mut server) = (Translation::of_driver(true), Translation::of_server(true));
            let up: Vec<u8> = packets(2).chunks(piece).flat_map(|part| driver.translate(part)).collect();
            prop_assert_eq!(&up, &packets(3));
            let down: Vec<u8> = up.chunks(piece).flat_map(|part| server.translate(part)).collect();
            prop_assert_eq!(down, packets(2));
        }
    }
}
