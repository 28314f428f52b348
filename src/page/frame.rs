//! What surrounds every page: its title, its links, whether it refreshes, and its style.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ring::digest::{SHA256, digest};

use super::text::stamp;
use super::{View, marks};
use crate::status::Document;

/// How often a page asks for itself anew, in seconds, by the header `Refresh`.
pub const REFRESH_SECONDS: u32 = 10;

/// The style of all pages. It stands in each, so that a page that is saved or sent is whole.
const STYLE: &str = include_str!("style.css");

/// What a browser may load for a page: nothing but this style. No script runs, whatever a page holds.
static SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

/// The value of the header `Content-Security-Policy` that every page is sent with.
pub fn security_policy() -> &'static str {
    &SECURITY_POLICY
}

/// A whole page.
pub(super) fn page(
    document: &Document,
    view: &View,
    telemetry_path: &str,
    title: &str,
    body: &Markup,
) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – MySQL Canary Exporter" }
                // Without it a browser asks for one.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                (marks::definitions())
                (header(document, view))
                main { (body) }
                (footer(document, view, telemetry_path))
            }
        }
    }
    .into_string()
}

fn header(document: &Document, view: &View) -> Markup {
    let start = view.at(None, None).href();
    html! {
        header {
            p.product { a href=(start) { "MySQL Canary Exporter" } }
            @if document.targets.len() > 1 || view.target.is_some() {
                nav aria-label="pages" { a href=(start) { "all targets" } }
            }
            (refreshing(document, view))
        }
    }
}

/// When the page was made, and the links that stop and renew it.
fn refreshing(document: &Document, view: &View) -> Markup {
    let now = document.generated_at;
    let other = View { stands_still: !view.stands_still, ..view.clone() }.href();
    html! {
        p.refreshing {
            "as of " time datetime=[stamp(now)] { (stamp(now).unwrap_or_default()) }
            @if view.stands_still {
                " · stands still · " a href=(other) { "refresh every " (REFRESH_SECONDS) " s" }
            } @else {
                " · every " (REFRESH_SECONDS) " s · " a href=(other) { "stop" }
            }
            " · " a href=(view.href()) { "refresh now" }
        }
    }
}

fn footer(document: &Document, view: &View, telemetry_path: &str) -> Markup {
    let json = match &view.target {
        Some(target) => {
            let target = form_urlencoded::byte_serialize(target.as_bytes()).collect::<String>();
            format!("/api/v1/status?target={target}")
        }
        None => "/api/v1/status".to_owned(),
    };
    html! {
        footer {
            ul.links {
                li { a href=(telemetry_path) { "Metrics" } }
                li { a href=(json) { "This page as JSON" } }
                li { a href="/-/healthy" { "Health" } }
                li { a href="/-/ready" { "Readiness" } }
            }
            p { "Version " (document.exporter_version) ". Which layer kills idle MySQL connections, at which age, and what to change." }
        }
    }
}
