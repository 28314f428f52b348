//! The few packets of the MySQL protocol a scripted server needs: framing, greeting, OK, ERR, text result
//! sets.

use std::io::{self, Read};

/// `CLIENT_LONG_PASSWORD | LONG_FLAG | CONNECT_WITH_DB | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION |
/// MULTI_RESULTS | PLUGIN_AUTH`.
const CAPABILITIES: u32 = 0x000A_A20D;
/// utf8mb4_general_ci.
const CHARACTER_SET: u8 = 45;
/// SERVER_STATUS_AUTOCOMMIT.
const STATUS: [u8; 2] = [2, 0];

/// Commands a client may send, by their first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// COM_QUIT.
    Quit,
    /// COM_PING.
    Ping,
    /// COM_QUERY with its text.
    Query(String),
    /// Any other, by its byte.
    Other(u8),
}

impl Command {
    /// Reads a command's payload.
    pub(crate) fn parse(payload: &[u8]) -> Self {
        match payload {
            [0x01, ..] => Self::Quit,
            [0x0e, ..] => Self::Ping,
            [0x03, text @ ..] => Self::Query(String::from_utf8_lossy(text).into_owned()),
            other => Self::Other(other.first().copied().unwrap_or(0)),
        }
    }
}

/// A payload with its header: three bytes of length, one of sequence.
pub(crate) fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("payloads of the lab are small").to_le_bytes();
    let mut bytes = vec![length[0], length[1], length[2], sequence];
    bytes.extend_from_slice(payload);
    bytes
}

/// Reads one packet: its sequence and its payload.
pub(crate) fn read_packet(mut from: impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut header = [0; 4];
    from.read_exact(&mut header)?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
    let mut payload = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    from.read_exact(&mut payload)?;
    Ok((header[3], payload))
}

/// The server's first packet (protocol 10, `mysql_native_password`).
pub(crate) fn greeting(version: &str, thread_id: u32) -> Vec<u8> {
    let capabilities = CAPABILITIES.to_le_bytes();
    let mut payload = vec![10];
    payload.extend_from_slice(version.as_bytes());
    payload.push(0);
    payload.extend_from_slice(&thread_id.to_le_bytes());
    payload.extend_from_slice(b"12345678\0");
    payload.extend_from_slice(&capabilities[..2]);
    payload.push(CHARACTER_SET);
    payload.extend_from_slice(&STATUS);
    payload.extend_from_slice(&capabilities[2..]);
    // The length of the challenge, then ten reserved bytes.
    payload.push(21);
    payload.extend_from_slice(&[0; 10]);
    payload.extend_from_slice(b"901234567890\0mysql_native_password\0");
    packet(0, &payload)
}

/// OK.
pub(crate) fn ok(sequence: u8) -> Vec<u8> {
    packet(sequence, &[0, 0, 0, STATUS[0], STATUS[1], 0, 0])
}

/// ERR with SQLSTATE `HY000`.
pub(crate) fn error(sequence: u8, code: u16, message: &str) -> Vec<u8> {
    let mut payload = vec![0xff];
    payload.extend_from_slice(&code.to_le_bytes());
    payload.extend_from_slice(b"#HY000");
    payload.extend_from_slice(message.as_bytes());
    packet(sequence, &payload)
}

/// ERR as servers send it before the client has logged in: without SQLSTATE.
pub(crate) fn error_before_login(code: u16, message: &str) -> Vec<u8> {
    let mut payload = vec![0xff];
    payload.extend_from_slice(&code.to_le_bytes());
    payload.extend_from_slice(message.as_bytes());
    packet(0, &payload)
}

/// What MySQL 9 sends an idle session at `wait_timeout`, word for word: nobody asked, so its sequence is 0.
pub(crate) fn goodbye() -> Vec<u8> {
    error(
        0,
        4031,
        "The client was disconnected by the server because of inactivity. \
         See wait_timeout and interactive_timeout for configuring this behavior.",
    )
}

/// A text result set in answer to a command (sequences start at 1).
pub(crate) fn result_set(columns: &[String], rows: &[Vec<Option<String>>]) -> Vec<u8> {
    let mut sequence = 0u8;
    let mut next = || {
        sequence = sequence.wrapping_add(1);
        sequence
    };
    let end = [0xfe, 0, 0, STATUS[0], STATUS[1]];
    let mut bytes = packet(next(), &length_encoded_number(columns.len()));
    for column in columns {
        bytes.extend(packet(next(), &column_definition(column)));
    }
    bytes.extend(packet(next(), &end));
    for row in rows {
        let values: Vec<u8> =
            row.iter().flat_map(|value| value.as_deref().map_or(vec![0xfb], text)).collect();
        bytes.extend(packet(next(), &values));
    }
    bytes.extend(packet(next(), &end));
    bytes
}

fn column_definition(name: &str) -> Vec<u8> {
    const VAR_STRING: u8 = 0xfd;
    let mut payload: Vec<u8> = ["def", "", "", "", name, name].into_iter().flat_map(text).collect();
    payload.extend_from_slice(&[0x0c, CHARACTER_SET, 0]);
    payload.extend_from_slice(&1024u32.to_le_bytes());
    payload.extend_from_slice(&[VAR_STRING, 0, 0, 0, 0, 0]);
    payload
}

fn text(value: &str) -> Vec<u8> {
    let mut bytes = length_encoded_number(value.len());
    bytes.extend_from_slice(value.as_bytes());
    bytes
}

fn length_encoded_number(number: usize) -> Vec<u8> {
    match u8::try_from(number) {
        Ok(small) if small < 0xfb => vec![small],
        _ => {
            let short = u16::try_from(number).expect("texts of the lab are short").to_le_bytes();
            vec![0xfc, short[0], short[1]]
        }
    }
}
