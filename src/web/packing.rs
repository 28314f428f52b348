//! Answers packed by gzip, for clients that say that they take it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{ACCEPT_ENCODING, HeaderMap};

/// Whether a client takes gzip: it names it, or takes everything, and does not refuse it.
pub(super) fn wants_packed(headers: &HeaderMap) -> bool {
    let named = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut wanted = None;
    for coding in named.flat_map(|value| value.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts
            .filter_map(|part| part.split_once('='))
            .any(|(key, value)| key.trim().eq_ignore_ascii_case("q") && value.trim().parse() == Ok(0.0_f32));
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return !refused;
        }
        if name == "*" {
            wanted = Some(!refused);
        }
    }
    wanted.unwrap_or(false)
}

/// The same, packed. The fastest level: tags and numbers repeat, and pages are made for one reader.
pub(super) fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
    // Nothing fails in memory.
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn who_takes_gzip() {
        for (words, wanted) in [
            ("gzip", true),
            ("gzip, deflate, br, zstd", true),
            ("br;q=1.0, GZIP;q=0.2", true),
            ("x-gzip", true),
            ("*", true),
            ("*, gzip;q=0", false),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("*;q=0", false),
            ("br", false),
            ("identity", false),
            ("", false),
            ("gzipped", false),
            (";;;,,=", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(words));
            assert_eq!(wants_packed(&headers), wanted, "{words}");
        }
        assert!(!wants_packed(&HeaderMap::new()));
    }

    #[test]
    fn what_was_packed_is_what_there_was() {
        let text = "<p>canary</p>".repeat(1000);
        let packed = packed(text.as_bytes());
        assert!(packed.len() < text.len() / 10);
        let mut read = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut read).expect("it is gzip");
        assert_eq!(read, text);
    }
}
