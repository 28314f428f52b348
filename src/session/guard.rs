//! The guard: what a server answers, looked at before the driver believes it.
//!
//! No server sends what is refused here, and the driver (mysql_async 0.37.1) takes it badly: it panics on an
//! empty packet, an empty nonce or a bad RSA key where it wanted a good one, on a result set without columns,
//! and asks for the memory of as many columns as are announced, which may end the process.

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use super::packet::{self, HEADER};

/// The longest packet the driver takes from a server, in bytes: nothing we ask for comes near it.
pub(crate) const LONGEST_PACKET: usize = 1 << 20;
/// The longest answer to one question, in bytes: the processlist of a server with 100,000 sessions of clients
/// with long host names. It streams by, and is not kept.
const LONGEST_ANSWER: usize = 32 << 20;
/// The most columns an answer may have: nothing we ask for comes near it.
const MOST_COLUMNS: u64 = 256;
/// How much of a packet is kept to be looked at; more than any login packet or RSA key has.
const KEPT_BYTES: usize = 2048;

/// What no server says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Nonsense {
    /// A packet without payload.
    #[error("an empty packet")]
    EmptyPacket,
    /// A packet that cannot be an answer to anything we ask.
    #[error("a packet of {0} bytes")]
    LongPacket(usize),
    /// An answer without end.
    #[error("an answer of more than {} MiB", LONGEST_ANSWER >> 20)]
    LongAnswer,
    /// A challenge that is empty.
    #[error("an empty challenge for the login")]
    EmptyChallenge,
    /// No RSA key of 1024 to 8192 bits where one must be.
    #[error("something else than its RSA key")]
    NoKey,
    /// A result set of no or too many columns.
    #[error("a result set of {0} columns")]
    Columns(u64),
    /// A request for a file of this machine.
    #[error("a request for a file of ours")]
    LocalFile,
    /// Bytes that are no record of the TLS session.
    #[error("bytes that are no part of the TLS session")]
    NoRecord,
    /// A ping answered by neither OK nor ERR.
    #[error("something else than OK to a ping")]
    NoPong,
}

/// What the driver said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// A part of the login.
    Login,
    /// For the server's RSA key.
    Key,
    /// COM_PING.
    Ping,
    /// Any other command.
    Command,
}

/// Follows both sides of one session.
#[derive(Debug)]
pub(crate) struct Guard {
    asked: Asked,
    /// How many packets of this answer are complete.
    packets: usize,
    /// How many bytes this answer has so far.
    answer: usize,
    header: Vec<u8>,
    payload: Vec<u8>,
    /// How many bytes of the packet are still to come.
    missing: usize,
}

impl Guard {
    pub(crate) fn new() -> Self {
        Self {
            asked: Asked::Login,
            packets: 0,
            answer: 0,
            header: Vec::with_capacity(HEADER),
            payload: Vec::new(),
            missing: 0,
        }
    }

    /// The driver said this; it says one packet at a time, and then waits for the answer.
    pub(crate) fn said(&mut self, bytes: &[u8]) {
        self.packets = 0;
        self.answer = 0;
        // A command starts counting packets afresh.
        self.asked = match bytes {
            [_, _, _, 0, 0x0e, ..] => Asked::Ping,
            [_, _, _, 0, ..] => Asked::Command,
            [1, 0, 0, _, 0x02] => Asked::Key,
            _ => Asked::Login,
        };
    }

    /// Whether a command was asked, so that the login is over.
    pub(crate) fn is_logged_in(&self) -> bool {
        matches!(self.asked, Asked::Ping | Asked::Command)
    }

    /// The server said this.
    pub(crate) fn heard(&mut self, mut bytes: &[u8]) -> Result<(), Nonsense> {
        self.answer = self.answer.saturating_add(bytes.len());
        if self.answer > LONGEST_ANSWER {
            return Err(Nonsense::LongAnswer);
        }
        while !bytes.is_empty() {
            bytes = self.take(bytes)?;
        }
        Ok(())
    }

    /// Takes a header, or what belongs to one payload, and gives the rest.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Nonsense> {
        let rest = if self.header.len() < HEADER {
            let (head, rest) = bytes.split_at(bytes.len().min(HEADER - self.header.len()));
            self.header.extend_from_slice(head);
            let Some(header) = self.header.first_chunk::<HEADER>() else { return Ok(rest) };
            self.missing = packet::payload_length(*header);
            self.payload.clear();
            if self.missing > LONGEST_PACKET {
                return Err(Nonsense::LongPacket(self.missing));
            }
            rest
        } else {
            let (body, rest) = bytes.split_at(bytes.len().min(self.missing));
            self.missing -= body.len();
            let room = KEPT_BYTES + 1 - self.payload.len();
            self.payload.extend_from_slice(&body[..body.len().min(room)]);
            rest
        };
        if self.missing == 0 {
            self.look()?;
            self.packets += 1;
            self.header.clear();
        }
        Ok(rest)
    }

    /// Looks at a whole packet.
    fn look(&self) -> Result<(), Nonsense> {
        let payload = &self.payload[..];
        let Some(&first) = payload.first() else { return Err(Nonsense::EmptyPacket) };
        match (self.asked, first) {
            // ERR answers everything.
            (_, 0xff) => Ok(()),
            (Asked::Login, 0xfe) => look_at_challenge(payload),
            (Asked::Key, _) if self.packets == 0 => look_at_key(payload),
            (Asked::Login | Asked::Key, _) => Ok(()),
            (Asked::Ping, 0) => Ok(()),
            (Asked::Ping, _) => Err(Nonsense::NoPong),
            // Rows, and what stands around them.
            (Asked::Command, _) if self.packets > 0 => Ok(()),
            (Asked::Command, 0xfb) => Err(Nonsense::LocalFile),
            (Asked::Command, 0) if payload.len() > 1 => Ok(()),
            (Asked::Command, _) => match length_encoded(payload) {
                1..=MOST_COLUMNS => Ok(()),
                count => Err(Nonsense::Columns(count)),
            },
        }
    }
}

/// A request to log in another way: the plugin's name, a zero, the challenge. The one byte alone is how
/// servers before 4.1 asked, which the driver declines by itself.
fn look_at_challenge(payload: &[u8]) -> Result<(), Nonsense> {
    let mut parts = payload[1..].splitn(2, |&byte| byte == 0);
    let (name, challenge) = (parts.next(), parts.next());
    let empty = challenge.is_none_or(|challenge| challenge.iter().all(|&byte| byte == 0));
    if name.is_some_and(|name| !name.is_empty()) && empty { Err(Nonsense::EmptyChallenge) } else { Ok(()) }
}

/// The server's key: a byte 1, then PEM.
fn look_at_key(payload: &[u8]) -> Result<(), Nonsense> {
    let is_key = || {
        let pem = payload.strip_prefix(&[1])?;
        let inside = pem.trim_ascii().strip_prefix(b"-----BEGIN PUBLIC KEY-----")?;
        let inside = inside.strip_suffix(b"-----END PUBLIC KEY-----")?;
        let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(byte);
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
        (payload.len() <= KEPT_BYTES && inside.iter().all(base64) && is_rsa_key(&der)).then_some(())
    };
    is_key().ok_or(Nonsense::NoKey)
}

/// Whether this is `SubjectPublicKeyInfo` with an RSA key of 1024 to 8192 bits and a small exponent.
fn is_rsa_key(der: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    const INTEGER: u8 = 0x02;
    let key = || {
        let (info, _) = element(der, SEQUENCE)?;
        let (_algorithm, rest) = element(info, SEQUENCE)?;
        let (bits, _) = element(rest, BIT_STRING)?;
        let (numbers, _) = element(bits.strip_prefix(&[0])?, SEQUENCE)?;
        let (modulus, rest) = element(numbers, INTEGER)?;
        let (exponent, _) = element(rest, INTEGER)?;
        Some((modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent))
    };
    key().is_some_and(|(modulus, exponent)| {
        (128..=1024).contains(&modulus.len()) && modulus[0] >= 0x80 && (1..=5).contains(&exponent.len())
    })
}

/// One element of DER with this tag: its content, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match *der {
        [found, length @ 0..=0x7f, ref rest @ ..] if found == tag => (usize::from(length), rest),
        [found, 0x81, length, ref rest @ ..] if found == tag => (usize::from(length), rest),
        [found, 0x82, high, low, ref rest @ ..] if found == tag => {
            (usize::from(u16::from_be_bytes([high, low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A length-encoded number; zero where it is none.
fn length_encoded(payload: &[u8]) -> u64 {
    let bytes = match payload {
        [small @ 0..=0xfa, ..] => std::slice::from_ref(small),
        [0xfc, rest @ ..] => rest.get(..2).unwrap_or_default(),
        [0xfd, rest @ ..] => rest.get(..3).unwrap_or_default(),
        [0xfe, rest @ ..] => rest.get(..8).unwrap_or_default(),
        _ => &[],
    };
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUERY: &[u8] = b"\x09\0\0\0\x03SELECT 1";
    const LOGIN: &[u8] = b"\x05\0\0\x01login";
    const PING: &[u8] = b"\x01\0\0\0\x0e";
    const ASK_FOR_KEY: &[u8] = b"\x01\0\0\x03\x02";

    fn packet(payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short").to_le_bytes();
        [&[length[0], length[1], length[2], 1], payload].concat()
    }

    fn after(said: &[u8], heard: &[u8]) -> Result<(), Nonsense> {
        let mut guard = Guard::new();
        guard.said(said);
        guard.heard(heard)
    }

    #[test]
    fn what_servers_say_passes() {
        let ok = packet(&[0, 0, 0, 2, 0, 0, 0]);
        let err = packet(b"\xff\x10\x04#08004Too many connections");
        for said in [QUERY, LOGIN, PING, ASK_FOR_KEY] {
            assert_eq!(after(said, &err), Ok(()));
        }
        for said in [QUERY, LOGIN, PING] {
            assert_eq!(after(said, &ok), Ok(()));
        }
        let rows =
            [packet(&[2]), packet(b"def"), packet(&[0xfe, 0, 0, 2, 0]), packet(&[0xfb, 0xfb])].concat();
        assert_eq!(after(QUERY, &rows), Ok(()));
        assert_eq!(after(LOGIN, &packet(b"\xfecaching_sha2_password\x0012345678901234567890\0")), Ok(()));
        assert_eq!(after(LOGIN, &packet(&[1, 4])), Ok(()));
        assert_eq!(after(LOGIN, &packet(&[0xfe])), Ok(()));
    }

    #[test]
    fn what_no_server_says_is_refused() {
        for said in [QUERY, LOGIN, PING, ASK_FOR_KEY] {
            assert_eq!(after(said, &packet(&[])), Err(Nonsense::EmptyPacket));
            assert_eq!(after(said, &[0, 0, 0x20, 1]), Err(Nonsense::LongPacket(2 << 20)));
        }
        for count in [0, 257, 1 << 24, 1 << 40, u64::MAX] {
            let head = [&[0xfe], &count.to_le_bytes()[..]].concat();
            assert_eq!(after(QUERY, &packet(&head)), Err(Nonsense::Columns(count)));
        }
        assert_eq!(after(QUERY, &packet(&[0xfc, 0, 0])), Err(Nonsense::Columns(0)));
        assert_eq!(after(QUERY, &packet(&[0xfe])), Err(Nonsense::Columns(0)));
        assert_eq!(after(QUERY, &packet(b"\xfb/etc/passwd")), Err(Nonsense::LocalFile));
        assert_eq!(after(PING, &packet(&[7])), Err(Nonsense::NoPong));
        assert_eq!(after(LOGIN, &packet(b"\xfecaching_sha2_password\0")), Err(Nonsense::EmptyChallenge));
        assert_eq!(after(LOGIN, &packet(b"\xfecaching_sha2_password")), Err(Nonsense::EmptyChallenge));
        assert_eq!(after(LOGIN, &packet(b"\xfecaching_sha2_password\0\0")), Err(Nonsense::EmptyChallenge));
        let mut guard = Guard::new();
        guard.said(QUERY);
        let row = packet(&[vec![1], vec![b'x'; LONGEST_PACKET / 2]].concat());
        let rows = (0..LONGEST_ANSWER / row.len()).try_for_each(|_| guard.heard(&row));
        assert_eq!((rows, guard.heard(&row)), (Ok(()), Err(Nonsense::LongAnswer)));
    }

    /// `openssl genrsa 1024 | openssl rsa -pubout`.
    const KEY: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDhwZY/MeHHU5PSCV2IWyeJwtKo
lL1L8vxRaQRYoRf48JLogU/xwqsq8Yjl8G3yJex5/1I2cXbvUKyQPx3hRBSu46tD
28PJTml2KiI2L8IhgzglNeHXTcz60T/fR7IrHelen5lc6wtTddtdiQVYGa/CnyX+
VKzGDJlfH3Lng+796wIDAQAB
-----END PUBLIC KEY-----
";

    #[test]
    fn only_rsa_keys_pass_for_keys() {
        let told = |pem: &str| after(ASK_FOR_KEY, &packet(&[&[1], pem.as_bytes()].concat()));
        assert_eq!(told(KEY), Ok(()));
        let lines: Vec<&str> = KEY.lines().collect();
        let without_a_line = [lines[0], lines[1], lines[3], lines[4], lines[5]].join("\n");
        for pem in [
            "",
            "no key",
            "-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----",
            &KEY.replace("PUBLIC", "RSA PUBLIC"),
            &KEY.replace("MIG", "M!G"),
            &format!("{KEY}{KEY}"),
            &without_a_line,
        ] {
            assert_eq!(told(pem), Err(Nonsense::NoKey), "{pem}");
        }
    }

    proptest! {
        #[test]
        fn the_split_into_reads_changes_nothing(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..5),
            cut in 0_usize..200,
            said in proptest::sample::select(vec![QUERY, LOGIN, PING, ASK_FOR_KEY]),
        ) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| packet(payload)).collect();
            let whole = after(said, &bytes);
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let mut guard = Guard::new();
            guard.said(said);
            let halves = guard.heard(first).and_then(|()| guard.heard(second));
            prop_assert_eq!(whole, halves);
        }

        #[test]
        fn no_key_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = is_rsa_key(&bytes);
        }
    }
}
