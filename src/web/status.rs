//! The status document: `/api/v1/status`, of every target or with `?target=NAME` of one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use super::encoding::{Encoding, Encodings, encoded};
use super::pages::{target_of, text};
use crate::status::{Book, Document};

/// Where it is.
pub(super) const STATUS: &str = "/api/v1/status";

/// The document, and who writes it.
#[derive(Debug)]
pub(super) struct Documents {
    book: Arc<Book>,
    /// Who writes that of all targets.
    all: Encodings,
    /// Who writes each target's.
    each: Mutex<BTreeMap<String, Arc<Encodings>>>,
}

impl Documents {
    pub(super) fn new(book: Arc<Book>) -> Self {
        Self { book, all: Encodings::default(), each: Mutex::default() }
    }

    /// Who writes the document of a target that there is. Those of targets that are gone are forgotten.
    fn gathering_of(&self, target: &str) -> Option<Arc<Encodings>> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        let names = self.book.names();
        each.retain(|name, _| names.contains(name));
        let is_there = names.iter().any(|name| name == target);
        is_there.then(|| Arc::clone(each.entry(target.to_owned()).or_default()))
    }

    /// The answer to a request with this query, from memory.
    pub(super) async fn answer(&self, query: &str, encoding: Encoding) -> Response<Full<Bytes>> {
        let Some(target) = target_of(query) else {
            let page = self.all.page(encoding, || Some(self.book.document().json())).await;
            return json(page.unwrap_or_default(), encoding);
        };
        let page = match self.gathering_of(&target) {
            Some(gathering) => {
                let draw = || self.book.document_of(&target).as_ref().map(Document::json);
                gathering.page(encoding, draw).await
            }
            None => None,
        };
        page.map_or_else(
            || {
                let names = self.book.names().join(", ");
                let words = format!("no target of that name is configured; there are: {names}\n");
                text(StatusCode::NOT_FOUND, words)
            },
            |page| json(page, encoding),
        )
    }
}

fn json(page: Bytes, encoding: Encoding) -> Response<Full<Bytes>> {
    let mut response = encoded(page, encoding);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
