//! The shapes that a culprit, a kind of canary and a standing are told apart by. Each has a colour of its own too, in
//! the style, but none is told by its colour alone.

use maud::{Markup, html};

/// One shape: its id on the page, and its outline around 0, 0, 12 wide.
#[derive(Debug)]
struct Shape {
    id: &'static str,
    outline: &'static str,
}

/// Every shape, once on each page.
const SHAPES: [Shape; 16] = [
    Shape { id: "square", outline: "M-5-5H5V5H-5Z" },
    Shape {
        id: "cross",
        outline: "M-6-3.5-3.5-6 0-2.5 3.5-6 6-3.5 2.5 0 6 3.5 3.5 6 0 2.5-3.5 6-6 3.5-2.5 0Z",
    },
    Shape { id: "house", outline: "M0-6 5.5-1V5.5H-5.5V-1Z" },
    Shape { id: "diamond", outline: "M0-6.5 6.5 0 0 6.5-6.5 0Z" },
    Shape { id: "triangle", outline: "M0-6 6.5 5.5H-6.5Z" },
    Shape { id: "down", outline: "M0 6 6.5-5.5H-6.5Z" },
    Shape { id: "star", outline: "M0-7 1.8-2.2 7-2.2 2.8.9 4.4 6 0 3-4.4 6-2.8.9-7-2.2-1.8-2.2Z" },
    Shape { id: "hexagon", outline: "M-6 0-3-5.5H3L6 0 3 5.5H-3Z" },
    Shape { id: "bar", outline: "M-6-2.5H6V2.5H-6Z" },
    Shape { id: "disc", outline: "M-5 0A5 5 0 1 1 5 0 5 5 0 1 1-5 0Z" },
    Shape {
        id: "ring",
        outline: "M-5.5 0A5.5 5.5 0 1 1 5.5 0 5.5 5.5 0 1 1-5.5 0ZM-3 0A3 3 0 1 0 3 0 3 3 0 1 0-3 0Z",
    },
    Shape { id: "frame", outline: "M-5-5H5V5H-5ZM-2.5-2.5V2.5H2.5V-2.5Z" },
    Shape { id: "hollow", outline: "M0-6.5 6.5 0 0 6.5-6.5 0ZM0-3-3 0 0 3 3 0Z" },
    Shape { id: "plus", outline: "M-2-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z" },
    Shape { id: "tick", outline: "M-6.5.5-4.5-2-1.5 1.5 4.5-5.5 6.5-3.5-1.5 6Z" },
    Shape {
        id: "half",
        outline: "M-5.5 0A5.5 5.5 0 1 1 5.5 0 5.5 5.5 0 1 1-5.5 0ZM0-3.5A3.5 3.5 0 1 0 0 3.5Z",
    },
];

/// The shape of each culprit.
const CULPRITS: [(&str, &str); 9] = [
    ("server_idle_timeout", "square"),
    ("server_kill", "cross"),
    ("server_restart", "house"),
    ("proxy_idle_timeout", "diamond"),
    ("network_idle_timeout", "triangle"),
    ("network_state_loss", "down"),
    ("mass_disconnect", "star"),
    ("lifetime_limit", "hexagon"),
    ("unknown", "bar"),
];

/// The shape of each kind of canary.
const KINDS: [(&str, &str); 4] =
    [("idle", "ring"), ("keepalive", "hollow"), ("busy", "frame"), ("active", "plus")];

/// The shape of each standing.
const STANDINGS: [(&str, &str); 4] =
    [("unreachable", "cross"), ("ill", "triangle"), ("measuring", "half"), ("sound", "tick")];

/// The shape of a word of a closed set, and the class that colours it.
fn shape_of(table: &[(&str, &'static str)], word: &str, otherwise: &'static str) -> &'static str {
    table.iter().find(|(known, _)| *known == word).map_or(otherwise, |(_, shape)| shape)
}

/// A mark that stands in a picture: its shape, and the class that colours it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    shape: &'static str,
    class: &'static str,
}

/// Who answered the probe.
pub(super) const SURVIVED: Mark = Mark { shape: "disc", class: "survived" };

impl Mark {
    /// Of a culprit.
    pub(super) fn of_culprit(culprit: &'static str) -> Self {
        Self { shape: shape_of(&CULPRITS, culprit, "bar"), class: culprit }
    }

    /// Of a canary that lives.
    pub(super) fn of_canary(kind: &str) -> Self {
        Self { shape: shape_of(&KINDS, kind, "ring"), class: "canary" }
    }

    /// Of a standing.
    fn of_standing(standing: &'static str) -> Self {
        Self { shape: shape_of(&STANDINGS, standing, "half"), class: standing }
    }

    /// Inside a picture: `x` in percent, `y` in pixels. What it says when pointed at.
    pub(super) fn at(self, x: f64, y: usize, says: &str) -> Markup {
        html! {
            use class=(self.class) href=(format!("#{}", self.shape)) x=(format!("{x:.2}%")) y=(y) { title { (says) } }
        }
    }

    /// In a line of text, where words beside it say the same.
    pub(super) fn in_text(self) -> Markup {
        html! {
            svg.mark width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true" {
                use class=(self.class) href=(format!("#{}", self.shape)) {}
            }
        }
    }
}

/// A standing as a word with its mark.
pub(super) fn badge(standing: &'static str) -> Markup {
    html! { span.badge.(standing) { (Mark::of_standing(standing).in_text()) " " (standing) } }
}

/// The outlines that all marks refer to.
pub(super) fn definitions() -> Markup {
    html! {
        svg.definitions width="0" height="0" aria-hidden="true" {
            defs { @for shape in &SHAPES { path id=(shape.id) d=(shape.outline) {} } }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::culprit::Culprit;
    use crate::domain::life::kind::Kind;
    use crate::domain::verdict::Standing;

    #[test]
    fn every_word_has_a_shape_and_a_colour_of_its_own() {
        let style = include_str!("style.css");
        let culprits: Vec<&str> = Culprit::ALL.iter().map(|culprit| culprit.label()).collect();
        let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.label()).collect();
        let standings: Vec<&str> = Standing::ALL.iter().map(|standing| standing.label()).collect();
        for (table, words) in [(&CULPRITS[..], culprits), (&KINDS[..], kinds), (&STANDINGS[..], standings)] {
            let known: BTreeSet<&str> = table.iter().map(|(word, _)| *word).collect();
            assert_eq!(known, words.into_iter().collect());
            let shapes: BTreeSet<&str> = table.iter().map(|(_, shape)| *shape).collect();
            assert_eq!(shapes.len(), table.len(), "each has one of its own");
            assert!(shapes.iter().all(|shape| SHAPES.iter().any(|known| known.id == *shape)), "{shapes:?}");
        }
        for (word, _) in CULPRITS.iter().chain(&STANDINGS) {
            let rule = format!(".{word} {{");
            assert!(style.contains(&rule), "the style has no colour for {word}");
        }
    }
}
