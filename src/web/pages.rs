//! What is answered: the metrics, health and readiness, and a page with links to them.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use prometheus::Registry;

use super::clients::Clients;
use super::gathering::Gathering;
use crate::supervision::Health;

/// What the pages are made of, and who asks for them: one for all listening sockets.
#[derive(Debug)]
pub struct Site {
    /// Where the metrics come from.
    pub registry: Registry,
    /// Whether the exporter can be relied on.
    pub health: Arc<Health>,
    /// The path of the metrics page, beginning with a slash.
    pub telemetry_path: String,
    /// Who writes the metrics page.
    pub gathering: Gathering,
    /// Who is here.
    pub clients: Arc<Clients>,
}

/// The answer to a request.
pub(super) async fn answer<B>(site: &Site, request: &Request<B>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let known = path == site.telemetry_path || matches!(path, "/" | "/-/healthy" | "/-/ready");
    if !known {
        return text(
            StatusCode::NOT_FOUND,
            format!("nothing here; the metrics are at {}\n", site.telemetry_path),
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    if path == site.telemetry_path {
        return metrics(site).await;
    }
    match path {
        "/-/healthy" => text(StatusCode::OK, "Healthy.\n".to_owned()),
        "/-/ready" => readiness(&site.health),
        _ => html(landing_page(&site.telemetry_path)),
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

async fn metrics(site: &Site) -> Response<Full<Bytes>> {
    match site.gathering.page(&site.registry).await {
        Ok(page) => {
            let mut response = Response::new(Full::new(page));
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
            response
        }
        Err(error) => {
            text(StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics could not be written: {error}\n"))
        }
    }
}

fn text(status: StatusCode, words: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(words));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn html(page: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(page));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn landing_page(telemetry_path: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>MySQL Canary Exporter</title></head>\n\
         <body>\n<h1>MySQL Canary Exporter</h1>\n\
         <p>Which layer kills idle MySQL connections, at which age, and what to change.</p>\n\
         <p>Version {version}</p>\n<ul>\n<li><a href=\"{telemetry_path}\">Metrics</a></li>\n\
         <li><a href=\"/-/healthy\">Health</a></li>\n<li><a href=\"/-/ready\">Readiness</a></li>\n</ul>\n</body>\n</html>\n"
    )
}
