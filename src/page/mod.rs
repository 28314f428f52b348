//! The status page, drawn from the status document and nothing else: one HTML document without script and without
//! outside resource, its pictures as SVG in its midst.
//!
//! | file | what it holds |
//! |---|---|
//! | `frame` | what surrounds every page: title, links, refreshing, style |
//! | `overview` | many targets, or many paths, a line each, the worst first |
//! | `path` | one path in words: verdict, evidence, what to change, mismatches, sessions |
//! | `tables` | timeouts and deaths |
//! | `picture` | the ladder of a path as a picture, and a strip of it for a line |
//! | `scale` | the logarithmic axis of idle ages |
//! | `marks` | the shapes that a culprit, a kind of canary and a standing are told apart by |
//! | `text` | names and sentences as they are shown: cut, and nothing in them that turns the text around them |
//!
//! Templates escape what they are given; the one text that they take as it is stands in `frame`, our own style.

mod frame;
mod marks;
mod overview;
mod path;
mod picture;
mod scale;
mod tables;
#[cfg(test)]
mod tests;
mod text;

use form_urlencoded::Serializer;
use maud::{Markup, html};

use crate::status::{Document, PathDocument, TargetDocument};

pub use frame::{REFRESH_SECONDS, security_policy};

/// With more paths than this, a target's page has a line for each, and each has a page of its own.
const MOST_DRAWN_PATHS: usize = 6;

/// What somebody wants to see. Links lead from one to another.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct View {
    /// One target alone.
    pub target: Option<String>,
    /// One path of it alone.
    pub path: Option<String>,
    /// Whether the page stays as it is.
    pub stands_still: bool,
}

impl View {
    /// The view that the query of an address asks for.
    pub fn of_query(query: &str) -> Self {
        let mut view = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
            match &*name {
                "target" => view.target = Some(value.into_owned()),
                "path" => view.path = Some(value.into_owned()),
                "refresh" => view.stands_still = value == "off",
                _ => {}
            }
        }
        // A path is one of a target.
        view.path = view.path.filter(|_| view.target.is_some());
        view
    }

    /// Its address.
    fn href(&self) -> String {
        let mut query = Serializer::new(String::new());
        let words = [("target", self.target.as_deref()), ("path", self.path.as_deref())];
        query.extend_pairs(words.into_iter().filter_map(|(name, value)| Some((name, value?))));
        if self.stands_still {
            query.append_pair("refresh", "off");
        }
        let query = query.finish();
        if query.is_empty() { "/".to_owned() } else { format!("/?{query}") }
    }

    /// The same of another part.
    fn at(&self, target: Option<&str>, path: Option<&str>) -> Self {
        let owned = |name: Option<&str>| name.map(str::to_owned);
        Self { target: owned(target), path: owned(path), stands_still: self.stands_still }
    }
}

/// The page of a view. `document` has what the view asks for, or all targets; `telemetry_path` is where the metrics are.
/// `None` where the document has nothing of that name.
pub fn page(document: &Document, view: &View, telemetry_path: &str) -> Option<String> {
    let (title, body) = match (&view.target, &document.targets[..]) {
        (None, [only]) => target_page(document, only, view),
        (None, targets) => overview::targets(document, targets, view),
        (Some(name), targets) => {
            let target = targets.iter().find(|target| &target.target == name)?;
            match &view.path {
                None => target_page(document, target, view),
                Some(name) => {
                    let path = target.paths.iter().find(|path| &path.path == name)?;
                    one_path(document, target, path, view)
                }
            }
        }
    };
    Some(frame::page(document, view, telemetry_path, &title, &body))
}

fn target_page(document: &Document, target: &TargetDocument, view: &View) -> (String, Markup) {
    let title = format!("{}: {}", target.standing, text::plain(&target.target));
    let body = html! {
        (path::heading(document, target))
        @if target.paths.len() > MOST_DRAWN_PATHS {
            (overview::paths(document, target, view))
        } @else {
            @for (number, path) in target.paths.iter().enumerate() {
                (path::section(document, target, path, number))
            }
        }
        (path::declared_pools(target))
    };
    (title, body)
}

fn one_path(
    document: &Document,
    target: &TargetDocument,
    path: &PathDocument,
    view: &View,
) -> (String, Markup) {
    let title =
        format!("{}: {}, path {}", path.standing, text::plain(&target.target), text::plain(&path.path));
    let all = view.at(Some(&target.target), None).href();
    let body = html! {
        (path::heading(document, target))
        @if target.paths.len() > 1 {
            p { a href=(all) { "All " (target.paths.len()) " paths of this target" } }
        }
        (path::section(document, target, path, 0))
        (path::declared_pools(target))
    };
    (title, body)
}
