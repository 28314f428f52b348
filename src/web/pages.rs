//! What is answered: the status page and document, the metrics of all targets or of one, health and readiness, a reload.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::access::Access;
use super::clients::{Clients, Origin};
use super::encoding::{Encoding, Encodings, encoded};
use super::status::{Drawings, STATUS};
use crate::exposition::Exposition;
use crate::fleet::reload::ReloadHandle;
use crate::status::Book;
use crate::supervision::Health;

/// One target's metrics: `/probe?target=NAME`.
const PROBE: &str = "/probe";
/// Reads the configuration anew.
const RELOAD: &str = "/-/reload";

/// What the pages are made of, and who asks for them: one for all listening sockets.
#[derive(Debug)]
pub struct Site {
    exposition: Arc<Exposition>,
    health: Arc<Health>,
    telemetry_path: String,
    reload: ReloadHandle,
    /// Who writes the metrics page, as it is and compressed.
    gathering: Arc<Encodings>,
    /// Who writes each target's.
    probes: Mutex<BTreeMap<String, Arc<Encodings>>>,
    drawings: Drawings,
    pub(super) clients: Arc<Clients>,
    /// Who may ask; nobody is asked who they are where there is none.
    pub(super) access: Option<Access>,
}

impl Site {
    /// A site that shows this. `telemetry_path` is the path of the metrics page, beginning with a slash.
    pub fn new(
        exposition: Arc<Exposition>,
        book: Arc<Book>,
        health: Arc<Health>,
        telemetry_path: String,
        clients: Clients,
        reload: ReloadHandle,
        access: Option<Access>,
    ) -> Self {
        Self {
            exposition,
            health,
            telemetry_path: telemetry_path.clone(),
            reload,
            gathering: Arc::default(),
            probes: Mutex::default(),
            drawings: Drawings::new(book, telemetry_path),
            clients: Arc::new(clients),
            access,
        }
    }

    /// Who writes the page of a target that there is. Those of targets that are gone are forgotten.
    fn gathering_of(&self, target: &str) -> Option<Arc<Encodings>> {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.retain(|name, _| self.exposition.has(name));
        self.exposition.has(target).then(|| Arc::clone(probes.entry(target.to_owned()).or_default()))
    }
}

/// The answer to a request from there.
pub(super) async fn answer<B>(site: &Site, request: &Request<B>, from: Origin) -> Response<Full<Bytes>> {
    let Some(access) = &site.access else { return page(site, request).await };
    let config = access.current().await;
    let mut response = match access.refusal(&config, request, from).await {
        Some(response) => response,
        None => page(site, request).await,
    };
    for (name, value) in &config.headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

/// The page that a request is for.
async fn page<B>(site: &Site, request: &Request<B>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if path == RELOAD {
        return reload(site, request.method()).await;
    }
    let known =
        path == site.telemetry_path || matches!(path, "/" | PROBE | STATUS | "/-/healthy" | "/-/ready");
    if !known {
        return text(
            StatusCode::NOT_FOUND,
            format!("nothing here; the metrics are at {}\n", site.telemetry_path),
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return use_another_method("use GET\n", "GET, HEAD");
    }
    if path == site.telemetry_path {
        let encoding = Encoding::wanted(request.headers());
        let page = site.gathering.page(encoding, || Some(site.exposition.page())).await;
        return metrics(page.unwrap_or_default(), encoding);
    }
    let query = request.uri().query().unwrap_or_default();
    match path {
        STATUS => site.drawings.json(query, request.headers()).await,
        PROBE => probe(site, query, Encoding::wanted(request.headers())).await,
        "/-/healthy" => text(StatusCode::OK, "Healthy.\n".to_owned()),
        "/-/ready" => readiness(&site.health),
        _ => site.drawings.page(query, request.headers()).await,
    }
}

/// Every reason why the exporter cannot be relied on now, one a line.
fn readiness(health: &Health) -> Response<Full<Bytes>> {
    let reasons = health.unready();
    if reasons.is_empty() {
        return text(StatusCode::OK, "Ready.\n".to_owned());
    }
    let lines: String = reasons.iter().map(|reason| format!("{reason}\n")).collect();
    text(StatusCode::SERVICE_UNAVAILABLE, format!("Not ready.\n{lines}"))
}

/// One configured target's metrics, from memory: nothing is opened, whatever is asked for.
async fn probe(site: &Site, query: &str, encoding: Encoding) -> Response<Full<Bytes>> {
    let names = || site.exposition.names().join(", ");
    let Some(target) = target_of(query) else {
        let words = format!("say which target: {PROBE}?target=NAME; there are: {}\n", names());
        return text(StatusCode::BAD_REQUEST, words);
    };
    let page = match site.gathering_of(&target) {
        Some(gathering) => gathering.page(encoding, || site.exposition.page_of(&target)).await,
        None => None,
    };
    page.map_or_else(
        || {
            let words = format!("no target of that name is configured; there are: {}\n", names());
            text(StatusCode::NOT_FOUND, words)
        },
        |page| metrics(page, encoding),
    )
}

/// The value of `target` in a query. `None` where there is none.
pub(super) fn target_of(query: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "target")
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.is_empty())
}

/// Reads the configuration anew.
async fn reload(site: &Site, method: &Method) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::POST | Method::PUT) {
        return use_another_method("use POST or PUT\n", "POST, PUT");
    }
    match site.reload.ask().await {
        Ok(()) => text(StatusCode::OK, "Reloaded.\n".to_owned()),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload: {error}\n")),
    }
}

fn use_another_method(words: &str, allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, words.to_owned());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn metrics(page: Bytes, encoding: Encoding) -> Response<Full<Bytes>> {
    let mut response = encoded(page, encoding);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}

/// A page of plain words.
pub(super) fn text(status: StatusCode, words: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(words));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
