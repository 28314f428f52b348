//! What is drawn from the status document: the status page at `/`, and the document itself as JSON at
//! `/api/v1/status`, of every target or with `?target=NAME` of one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, REFRESH, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use super::encoding::{Encoding, Encodings, encoded};
use super::pages::{target_of, text};
use crate::page::{self, View};
use crate::status::{Book, Document};

/// Where the document is.
pub(super) const STATUS: &str = "/api/v1/status";

/// One thing that is drawn.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Drawing {
    Json { target: Option<String> },
    Page(View),
}

impl Drawing {
    /// Why there is nothing to draw.
    fn trouble(&self, book: &Book) -> Option<String> {
        let (target, path) = match self {
            Self::Json { target } => (target, &None),
            Self::Page(view) => (&view.target, &view.path),
        };
        let target = target.as_ref()?;
        let Some(paths) = book.paths_of(target) else {
            let names = book.names().join(", ");
            return Some(format!("no target of that name is configured; there are: {names}\n"));
        };
        let path = path.as_ref()?;
        (!paths.contains(path))
            .then(|| format!("no path of that name leads to this target; there are: {}\n", paths.join(", ")))
    }

    fn draw(&self, book: &Book, telemetry_path: &str) -> Option<String> {
        let target = match self {
            Self::Json { target } => target,
            Self::Page(view) => &view.target,
        };
        let document = match target {
            Some(target) => book.document_of(target)?,
            None => book.document(),
        };
        match self {
            Self::Json { .. } => Some(Document::json(&document)),
            Self::Page(view) => page::page(&document, view, telemetry_path),
        }
    }
}

/// The document, and who draws from it.
#[derive(Debug)]
pub(super) struct Drawings {
    book: Arc<Book>,
    /// Where the metrics are, for the links.
    telemetry_path: String,
    /// Who draws what there is, as it is and compressed.
    artists: Mutex<BTreeMap<Drawing, Arc<Encodings>>>,
}

impl Drawings {
    pub(super) fn new(book: Arc<Book>, telemetry_path: String) -> Self {
        Self { book, telemetry_path, artists: Mutex::default() }
    }

    /// Who draws this. Before one is added, those of what is gone are forgotten: there are no more than there are things
    /// to draw.
    fn artist_of(&self, drawing: &Drawing) -> Arc<Encodings> {
        let mut artists = self.artists.lock().unwrap_or_else(PoisonError::into_inner);
        if !artists.contains_key(drawing) {
            artists.retain(|drawing, _| drawing.trouble(&self.book).is_none());
        }
        Arc::clone(artists.entry(drawing.clone()).or_default())
    }

    /// The status page that this query asks for.
    pub(super) async fn page(&self, query: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let view = View::of_query(query);
        let refreshes = !view.stands_still;
        let mut response = self.answer(Drawing::Page(view), "text/html; charset=utf-8", headers).await;
        if refreshes && response.status() == StatusCode::OK {
            response.headers_mut().insert(REFRESH, HeaderValue::from(page::REFRESH_SECONDS));
        }
        response
    }

    /// The document that this query asks for.
    pub(super) async fn json(&self, query: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
        self.answer(Drawing::Json { target: target_of(query) }, "application/json", headers).await
    }

    async fn answer(
        &self,
        drawing: Drawing,
        content_type: &'static str,
        headers: &HeaderMap,
    ) -> Response<Full<Bytes>> {
        if let Some(words) = drawing.trouble(&self.book) {
            return text(StatusCode::NOT_FOUND, words);
        }
        let encoding = Encoding::wanted(headers);
        let draw = || drawing.draw(&self.book, &self.telemetry_path);
        let drawn = self.artist_of(&drawing).page(encoding, draw).await;
        let Some(body) = drawn else {
            // It was there when it was asked for.
            return text(StatusCode::NOT_FOUND, "it was removed just now\n".to_owned());
        };
        let mut response = encoded(body, encoding);
        let set = response.headers_mut();
        for (name, value) in headers_of(content_type) {
            set.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// The headers of what is drawn, but for those of its encoding.
fn headers_of(content_type: &'static str) -> [(HeaderName, &'static str); 5] {
    [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, page::security_policy()),
    ]
}
