//! Sequence ids of a login under TLS. The SSLRequest takes one that the driver does not know of: it was never told
//! of TLS. So until it is logged in, the ids of its packets go up by one on their way, and the server's down.

use super::packet::HEADER;

/// The sequence byte's place in a header: after three bytes of length.
const SEQUENCE: usize = HEADER - 1;

/// Shifts the sequence ids of the packets that go one way, however they are cut into reads.
#[derive(Debug)]
pub(super) struct Sequence {
    by: u8,
    /// How much of a header has passed.
    at: usize,
    /// How much of the payload is still to come.
    missing: usize,
}

impl Sequence {
    /// A shift of each id upwards.
    pub(super) fn up() -> Self {
        Self { by: 1, at: 0, missing: 0 }
    }

    /// A shift of each id downwards.
    pub(super) fn down() -> Self {
        Self { by: u8::MAX, at: 0, missing: 0 }
    }

    /// Shifts the ids in the next bytes.
    pub(super) fn shift(&mut self, mut bytes: &mut [u8]) {
        while let Some((byte, rest)) = std::mem::take(&mut bytes).split_first_mut() {
            bytes = rest;
            if self.at < SEQUENCE {
                self.missing |= usize::from(*byte) << (8 * self.at);
                self.at += 1;
                continue;
            }
            if self.at == SEQUENCE {
                *byte = byte.wrapping_add(self.by);
                self.at += 1;
            } else {
                self.missing -= 1;
                let passed = self.missing.min(bytes.len());
                self.missing -= passed;
                bytes = &mut bytes[passed..];
            }
            if self.missing == 0 {
                self.at = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session::packet::payload_length;

    fn packets(lengths: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, &length) in lengths.iter().enumerate() {
            let [low, middle, high, ..] = u32::try_from(length).expect("short").to_le_bytes();
            bytes.extend([low, middle, high, u8::try_from(number).expect("few") + 2]);
            bytes.extend(vec![0xaa; length]);
        }
        bytes
    }

    proptest! {
        #[test]
        fn every_id_is_shifted_and_nothing_else(
            lengths in proptest::collection::vec(0_usize..600, 1..6), piece in 1_usize..700,
        ) {
            let told = packets(&lengths);
            let (mut up, mut down) = (Sequence::up(), Sequence::down());
            let mut bytes = told.clone();
            for part in bytes.chunks_mut(piece) {
                up.shift(part);
            }
            let mut rest = (&told[..], &bytes[..]);
            while let (Some(before), Some(after)) = (rest.0.first_chunk::<HEADER>(), rest.1.first_chunk::<HEADER>()) {
                let end = HEADER + payload_length(*before);
                prop_assert_eq!(after[SEQUENCE], before[SEQUENCE] + 1);
                prop_assert_eq!(&rest.0[HEADER..end], &rest.1[HEADER..end]);
                rest = (&rest.0[end..], &rest.1[end..]);
            }
            down.shift(&mut bytes);
            prop_assert_eq!(told, bytes);
        }
    }
}
