//! What a path's picture has as marks, in tables: the timeouts, and the newest deaths.

use maud::{Markup, html};

use super::marks::Mark;
use super::text::{Name, Term, moment};
use crate::domain::layers::in_words;
use crate::status::{Death, Document, Layer, PathDocument};

/// So many deaths are shown; the document has more.
const MOST_DEATHS: usize = 20;

/// Every known timeout, the shortest first.
pub(super) fn timeouts(path: &PathDocument) -> Markup {
    let mut layers: Vec<&Layer> = path.layers.iter().collect();
    layers.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    html! {
        @if !layers.is_empty() {
            h3 { "Timeouts of all layers" }
            table.timeouts {
                thead { tr { th scope="col" { "timeout" } th scope="col" { "length" } th scope="col" { "layer" } th scope="col" { "how known" } } }
                tbody {
                    @for layer in layers {
                        tr {
                            th scope="row" { code { (Name(&layer.setting)) } }
                            td { (in_words(layer.seconds)) @if layer.clock != "idle" { " of " (layer.clock) } }
                            td { (layer.layer) }
                            td { (layer.source) }
                        }
                    }
                }
            }
        }
    }
}

/// The newest deaths.
pub(super) fn deaths(document: &Document, path: &PathDocument) -> Markup {
    let all = path.deaths.len();
    html! {
        h3 { "Newest deaths" }
        @if all == 0 {
            p { "None." }
        } @else {
            table.deaths {
                thead { tr { th scope="col" { "idle time" } th scope="col" { "ending" } th scope="col" { "culprit, rule" } th scope="col" { "thread id" } } }
                tbody { @for death in path.deaths.iter().take(MOST_DEATHS) { (row(document, death)) } }
            }
            @if all > MOST_DEATHS { p.aside { "The document as JSON has " (all) "." } }
        }
    }
}

fn row(document: &Document, death: &Death) -> Markup {
    html! {
        tr {
            th scope="row" {
                @if !death.exact { "≤ " }
                (in_words(death.age_seconds))
                @if death.kind != "idle" { " " code { (death.kind) } }
                br; span.aside { (moment(death.at, document.generated_at)) }
            }
            td {
                code { (Term(death.ending)) }
                @if let Some(code) = death.error_code { br; span.aside { "error " (code) } }
                @if let Some(stall) = death.stall_seconds { br; span.aside { "noticed after " (in_words(stall)) } }
            }
            td {
                (Mark::of_culprit(death.culprit).in_text()) " " code { (Term(death.culprit)) }
                @if let Some(rule) = death.rule { br; span.aside { code { (Term(rule)) } } }
            }
            td { @match death.thread_id { Some(id) => (id), None => "–" } }
        }
    }
}
