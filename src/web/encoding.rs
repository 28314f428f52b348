//! The metrics page as it is, or compressed for those who ask for it so: Prometheus does.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY};
use hyper::{HeaderMap, Response};

use super::gathering::Gathering;

/// How a page is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// What a request asks for.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        if values.any(|value| value.split(',').any(accepts_gzip)) { Self::Gzip } else { Self::Identity }
    }
}

/// A page that was asked for in this encoding.
pub(super) fn encoded(page: Bytes, encoding: Encoding) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(page));
    let headers = response.headers_mut();
    if encoding == Encoding::Gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

/// Whether this is gzip, and not with a weight of nothing.
fn accepts_gzip(coding: &str) -> bool {
    let mut parts = coding.split(';').map(str::trim);
    let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
    named
        && parts.all(|parameter| {
            let weight = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
            weight.is_none_or(|(_, weight)| weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0))
        })
}

/// Who writes a page, in each encoding.
#[derive(Debug, Default)]
pub(super) struct Encodings {
    identity: Gathering,
    gzip: Gathering,
}

impl Encodings {
    /// The page in this encoding. `None` where there is nothing to draw any more.
    pub(super) async fn page(&self, encoding: Encoding, draw: impl Fn() -> Option<String>) -> Option<Bytes> {
        match encoding {
            Encoding::Identity => self.identity.page(|| draw().map(String::into_bytes)).await,
            Encoding::Gzip => self.gzip.page(|| draw().map(|page| compressed(page.as_bytes()))).await,
        }
    }
}

/// At the fastest level: more costs several times as much for a tenth less.
fn compressed(page: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(page.len() / 8), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(page);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn who_asks_for_gzip_gets_it() {
        for (value, gzip) in [
            ("gzip", true),
            ("GZIP", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("br , gzip ; q=0.001", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("gzip;q=much", false),
            ("identity", false),
            ("*", false),
            ("", false),
            ("x-gzip-like", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(Encoding::wanted(&headers) == Encoding::Gzip, gzip, "{value}");
        }
        assert_eq!(Encoding::wanted(&HeaderMap::new()), Encoding::Identity);
    }

    #[test]
    fn what_is_compressed_is_the_page() {
        for page in [String::new(), "x".to_owned(), "mysql_canary_up{target=\"orders\"} 1\n".repeat(20_000)] {
            let compressed = compressed(page.as_bytes());
            let mut text = String::new();
            GzDecoder::new(&*compressed).read_to_string(&mut text).expect("it is gzip");
            assert!(text == page && compressed.len() < page.len() / 10 + 64, "{}", compressed.len());
        }
    }
}
