//! Packets of a login on their way, where the two sides would not understand each other as they are.
//!
//! Under TLS the SSLRequest takes a sequence id that the driver does not know of: it was never told of TLS. So the ids of
//! its packets go up by one, and the server's down.
//!
//! The driver (mysql_common 0.37.3) takes a zero byte off the end of each challenge. Those of ed25519 have none to
//! spare: of 256 logins one failed. So they get one.

use super::packet::{HEADER, payload_length};

/// A request to log in by ed25519, up to the challenge.
const ED25519: &[u8] = b"\xfeclient_ed25519\0";
/// How long its challenge is, in bytes.
const CHALLENGE: usize = 32;

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
            let needs_zero = length == ED25519.len() + CHALLENGE && payload.starts_with(ED25519);
            // Such a packet is short: its length stands in the lowest byte.
            whole.extend([low + u8::from(needs_zero), middle, high, sequence.wrapping_add(self.shift)]);
            whole.extend_from_slice(payload);
            whole.extend(needs_zero.then_some(0));
            rest = &rest[HEADER + length..];
        }
        let passed = self.partial.len() - rest.len();
        self.partial.drain(..passed);
        whole
    }
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
