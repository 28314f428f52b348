//! Whose a line is: the target and the path in whose span it was said.

use serde_json::Value;
use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::Fields;

/// Keeps the fields of spans, for the lines that are said in them.
pub(super) struct KeepOwners;

/// The fields of one span.
struct Owner(Vec<(&'static str, Value)>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for KeepOwners {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(Owner(fields.rest));
    }
}

/// Adds whose a line is, where it does not say that itself.
pub(super) fn add<S: for<'a> LookupSpan<'a>>(fields: &mut Fields, scope: Option<Scope<'_, S>>) {
    for span in scope.into_iter().flatten() {
        if let Some(Owner(of)) = span.extensions().get() {
            for (name, value) in of {
                if fields.get(name).is_none() {
                    fields.rest.push((name, value.clone()));
                }
            }
        }
    }
}
