//! The little of the MySQL protocol that the tap must read by itself: the greeting, and an ERR packet
//! nobody asked for.
//!
//! Source: MySQL's "Protocol::HandshakeV10" and "ERR_Packet".

/// A MySQL packet's header: three bytes of length, one of sequence id.
pub(crate) const HEADER: usize = 4;

/// The longest greeting that is believed. Real ones are about 100 bytes; a longer one is no server's.
pub(crate) const LONGEST_GREETING: usize = 4096;

/// The longest text of a server that is repeated, in bytes.
const LONGEST_MESSAGE: usize = 512;

/// Capability bit of a server that offers TLS.
const CLIENT_SSL: u32 = 0x0800;
/// Capability bit of a server that takes connection attributes.
const CLIENT_CONNECT_ATTRS: u32 = 1 << 20;

/// What a server says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Version text, without the `5.5.5-` that MariaDB 10 puts before its own.
    pub version: String,
    /// The thread id, 32 bits of it.
    pub thread_id: u32,
    /// Whether TLS is offered.
    pub offers_tls: bool,
    /// Whether connection attributes are taken.
    pub takes_attributes: bool,
}

/// An ERR packet: its code and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrPacket {
    /// The error code, such as 4031.
    pub code: u16,
    /// The text after the SQL state, at most 512 bytes of it.
    pub message: String,
}

/// Why the first packet is no greeting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GreetingError {
    /// The server refused us at once with an ERR packet.
    #[error("the server refused the connection: error {} ({})", .0.code, .0.message)]
    Refused(ErrPacket),
    /// The bytes are those of another protocol.
    #[error("the first bytes are no MySQL greeting{hint}: is this port a MySQL server's?", hint = .0.map(|p| format!(" but look like {p}")).unwrap_or_default())]
    NotMySql(Option<&'static str>),
}

/// The length of the payload that a packet's header announces.
pub(crate) fn payload_length(header: [u8; HEADER]) -> usize {
    usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16
}

/// Says why a header cannot begin a greeting, before its payload is waited for.
pub(crate) fn check_greeting_header(header: [u8; HEADER]) -> Result<usize, GreetingError> {
    let length = payload_length(header);
    if length == 0 || length > LONGEST_GREETING || header[3] != 0 {
        return Err(GreetingError::NotMySql(name_protocol(header)));
    }
    Ok(length)
}

/// Names the protocol some well-known first bytes belong to.
fn name_protocol(first: [u8; HEADER]) -> Option<&'static str> {
    match &first {
        b"HTTP" | b"<htm" | b"<HTM" | b"<!DO" => Some("HTTP"),
        b"SSH-" => Some("SSH"),
        b"220 " | b"220-" => Some("SMTP or FTP"),
        [0x15 | 0x16, 3, ..] => Some("TLS"),
        _ => None,
    }
}

/// Parses the payload of the first packet.
pub(crate) fn parse_greeting(payload: &[u8]) -> Result<Greeting, GreetingError> {
    match payload.first() {
        Some(0xff) => Err(parse_err(payload).map_or(GreetingError::NotMySql(None), GreetingError::Refused)),
        Some(10) => parse_greeting_v10(&payload[1..]).ok_or(GreetingError::NotMySql(None)),
        _ => Err(GreetingError::NotMySql(None)),
    }
}

fn parse_greeting_v10(rest: &[u8]) -> Option<Greeting> {
    /// From the thread id to the ten reserved bytes.
    const FIXED: usize = 31;
    /// The challenge has two parts, of eight bytes and of twelve and a zero; its length is told as 21, or as
    /// zero by servers without plugins. The driver adds to that length in seven bits.
    const LONGEST_CHALLENGE: u8 = 127;
    let end = rest.iter().position(|&byte| byte == 0)?;
    let version = std::str::from_utf8(&rest[..end]).ok()?;
    let fixed = rest[end + 1..].get(..FIXED)?;
    let thread_id = u32::from_le_bytes(fixed[..4].try_into().ok()?);
    // Eight bytes of challenge and a zero stand between the thread id and the capability bits; then follow
    // the character set, two bytes of status and the rest of the bits.
    let capabilities = u32::from_le_bytes([fixed[13], fixed[14], fixed[18], fixed[19]]);
    if fixed[20] > LONGEST_CHALLENGE {
        return None;
    }
    Some(Greeting {
        version: version.strip_prefix("5.5.5-").unwrap_or(version).to_owned(),
        thread_id,
        offers_tls: capabilities & CLIENT_SSL != 0,
        takes_attributes: capabilities & CLIENT_CONNECT_ATTRS != 0,
    })
}

/// How long an ERR is up to the end of its code, in bytes, and how long the SQL state is that may follow, with its mark.
pub(super) const ERR_CODE: usize = 3;
pub(super) const ERR_STATE: usize = 6;

/// Whether an SQL state begins behind the code of this ERR.
pub(super) fn has_state(err: &[u8]) -> bool {
    err.get(ERR_CODE) == Some(&b'#')
}

/// Parses the payload of an ERR packet. Before the login there is no SQL state in it.
pub(crate) fn parse_err(payload: &[u8]) -> Option<ErrPacket> {
    if payload.first() != Some(&0xff) {
        return None;
    }
    let code = u16::from_le_bytes(payload.get(1..ERR_CODE)?.try_into().ok()?);
    let state = if has_state(payload) { ERR_STATE } else { 0 };
    let text = payload.get(ERR_CODE + state..).unwrap_or_default();
    let text = &text[..text.len().min(LONGEST_MESSAGE)];
    Some(ErrPacket { code, message: String::from_utf8_lossy(text).into_owned() })
}

/// A text that came from a server, cut to a length fit for a log line.
pub(crate) fn shortened(text: &str) -> &str {
    match text.char_indices().map(|(start, _)| start).find(|&start| start >= LONGEST_MESSAGE) {
        Some(end) => &text[..end],
        None => text,
    }
}

/// What the bytes are that a server sent on an idle session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsolicited {
    /// An ERR packet.
    Err(ErrPacket),
    /// Anything else, or half a packet.
    Unintelligible,
}

/// Reads the first bytes a server sent on an idle session.
pub(crate) fn read_unsolicited(bytes: &[u8]) -> Unsolicited {
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return Unsolicited::Unintelligible;
    };
    let payload = &bytes[HEADER..];
    if payload.len() < payload_length(*header) {
        return Unsolicited::Unintelligible;
    }
    parse_err(&payload[..payload_length(*header)]).map_or(Unsolicited::Unintelligible, Unsolicited::Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn greeting(version: &str, capabilities: u16) -> Vec<u8> {
        let mut payload = vec![10];
        payload.extend_from_slice(version.as_bytes());
        payload.push(0);
        payload.extend_from_slice(&77_u32.to_le_bytes());
        payload.extend_from_slice(b"12345678\0");
        payload.extend_from_slice(&capabilities.to_le_bytes());
        payload.extend_from_slice(&[45, 2, 0, 0x0a, 0, 21]);
        payload.extend_from_slice(&[0; 10]);
        payload.extend_from_slice(b"901234567890\0mysql_native_password\0");
        payload
    }

    #[test]
    fn greetings_of_both_servers() {
        let mariadb = parse_greeting(&greeting("5.5.5-10.11.19-MariaDB", 0xf7fe)).expect("good");
        assert_eq!(
            mariadb,
            Greeting {
                version: "10.11.19-MariaDB".into(),
                thread_id: 77,
                offers_tls: false,
                takes_attributes: false
            }
        );
        assert!(parse_greeting(&greeting("9.7.4", 0xffff)).expect("good").offers_tls);
    }

    #[test]
    fn half_greetings_and_odd_challenges_are_none() {
        let good = greeting("9.7.4", 0xffff);
        let fixed_end = "\u{a}9.7.4\0".len() + 31;
        for end in 0..fixed_end {
            assert_eq!(parse_greeting(&good[..end]), Err(GreetingError::NotMySql(None)), "{end}");
        }
        let mut odd = good;
        odd[fixed_end - 11] = 0x80;
        assert_eq!(parse_greeting(&odd), Err(GreetingError::NotMySql(None)));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"ä".repeat(1000)).chars().count(), 256);
    }

    #[test]
    fn refusals_and_strangers_are_told_apart() {
        let refusal = [&[0xff, 0x10, 0x04][..], b"Too many connections"].concat();
        let message = parse_greeting(&refusal).expect_err("refused").to_string();
        assert_eq!(message, "the server refused the connection: error 1040 (Too many connections)");
        let message = check_greeting_header(*b"HTTP").expect_err("HTTP").to_string();
        assert_eq!(
            message,
            "the first bytes are no MySQL greeting but look like HTTP: is this port a MySQL server's?"
        );
        assert_eq!(parse_greeting(b"\x09old"), Err(GreetingError::NotMySql(None)));
    }

    #[test]
    fn the_goodbye_of_mysql_is_read() {
        let mut bytes = vec![0x91, 0, 0, 0, 0xff, 0xbf, 0x0f];
        bytes.extend_from_slice(b"#HY000The client was disconnected by the server because of inactivity.");
        bytes.resize(4 + 0x91, b'x');
        let Unsolicited::Err(err) = read_unsolicited(&bytes) else { panic!("no ERR packet") };
        assert_eq!(err.code, 4031);
        assert!(err.message.starts_with("The client was disconnected"));
        assert_eq!(read_unsolicited(&bytes[..50]), Unsolicited::Unintelligible);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_unsolicited(&bytes);
            let _ = parse_greeting(&bytes);
        }
    }
}
