//! Pages of fixed documents: golden, for every state; and hostile names, which never leave their place.

pub(super) mod sample;

use std::fs;
use std::path::Path;

use super::*;

/// `UPDATE_GOLDEN=1` writes them anew. With `MYSQL_CANARY_PAGES`, the pages are left there for a browser, and the policy
/// that they are served with.
#[test]
fn golden_pages() {
    let left = std::env::var_os("MYSQL_CANARY_PAGES").map(std::path::PathBuf::from);
    for (name, document) in sample::states() {
        let page = page(&document, &View::default(), "/metrics").expect("there is something");
        golden(name, &page);
        if let Some(left) = &left {
            fs::write(left.join(name).with_extension("html"), page).expect("a place to leave it");
        }
    }
    if let Some(left) = left {
        fs::write(left.join("policy.txt"), security_policy()).expect("a place to leave it");
    }
}

#[track_caller]
fn golden(name: &str, page: &str) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/page").join(name).with_extension("html");
    let (head, rest) = page.split_once("<style>").expect("a style");
    let (_, body) = rest.split_once("</style>").expect("its end");
    // An element a line, so that a change shows as one; without the style, which is the same in all.
    let drawn = format!("{head}<style></style>{body}\n").replace("><", ">\n<");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &drawn).expect("the golden file can be written");
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(drawn == expected, "tests/golden/page/{name}.html is another; UPDATE_GOLDEN=1 writes it anew");
}

/// What a configuration or a server may send, each as every name and every sentence of a page.
const HOSTILE: [&str; 14] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title></style></svg><b>",
    "<!--",
    "]]>",
    "a&b&lt;&#60;",
    "javascript:alert(1)",
    "\u{202e}drawkcab",
    "\u{2069}\u{2066}\u{200f}out of its place",
    "\0\u{1b}[31m\r\n\u{85}",
    "\u{feff}\u{200b}\u{ad}\u{e0041}",
    "שלום עולם",
    "",
];

/// The tags of a page in their order, with the names of their attributes; places to break a word are left out.
fn tags(page: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(begin) = rest.find('<') {
        let mut quoted = false;
        let end = rest[begin..].find(|character| {
            quoted ^= character == '"';
            character == '>' && !quoted
        });
        let tag = &rest[begin + 1..begin + end.expect("every tag ends")];
        // What is in quotes does not matter: every other part, cut at them.
        let bare: String = tag.split('"').step_by(2).collect();
        if bare != "wbr" {
            tags.push(bare);
        }
        rest = &rest[begin + tag.len() + 2..];
    }
    tags
}

fn pages_named(text: &str) -> Vec<String> {
    let document = sample::named(text);
    let start = Document {
        targets: vec![document.targets[0].clone(), document.targets[0].clone()],
        ..document.clone()
    };
    let target = View { target: Some(text.to_owned()), ..View::default() };
    let path = View { path: Some(text.to_owned()), ..target.clone() };
    [(&document, View::default()), (&start, View::default()), (&document, target), (&document, path)]
        .into_iter()
        .map(|(document, view)| page(document, &view, "/metrics").expect("it is there"))
        .collect()
}

#[test]
fn no_name_leaves_its_place() {
    let harmless: Vec<Vec<String>> = pages_named("name").iter().map(|page| tags(page)).collect();
    for text in HOSTILE {
        for (page, harmless) in pages_named(text).iter().zip(&harmless) {
            // The lines of a setting are not shown where they are empty.
            assert!(text.is_empty() || tags(page) == *harmless, "{text:?} changes the tags");
            let pairs = (page.matches('\u{2068}').count(), page.matches('\u{2069}').count());
            assert_eq!(pairs.0, pairs.1, "{text:?} turns the text around it");
            let hidden = page.chars().find(|&of| {
                (of.is_control() && of != '\n')
                    || "\u{202e}\u{2066}\u{200f}\u{feff}\u{200b}\u{ad}\u{e0041}".contains(of)
            });
            assert_eq!(hidden, None, "{text:?} is seen as it is");
        }
    }
}

/// The document has it whole.
#[test]
fn what_is_long_is_cut() {
    let long = "x".repeat(4000);
    for page in pages_named(&long) {
        let shown = page.split('"').step_by(2).collect::<String>();
        assert!(!shown.contains(&"x".repeat(601)) && shown.contains('…'));
        assert!(page.len() < 400_000, "{}", page.len());
    }
    assert!(sample::named(&long).json().contains(&long));
}

/// Whatever a document has as text from outside is in the table of hostile names, or the table proves nothing.
#[test]
fn every_text_of_a_document_is_tried() {
    fn look(value: &serde_json::Value, key: &str, missed: &mut Vec<String>) {
        let of_closed_sets = [
            "schema_version",
            "exporter_version",
            "standing",
            "flavor",
            "sight",
            "framework",
            "layer",
            "stage",
            "suspended",
            "kind",
            "phase",
            "culprit",
            "ending",
            "clock",
            "source",
            "rule",
            "severity",
            "tense",
            "place",
        ];
        match value {
            serde_json::Value::String(text) if text != "NAME" && !of_closed_sets.contains(&key) => {
                missed.push(format!("{key}: {text}"));
            }
            serde_json::Value::Array(values) => values.iter().for_each(|value| look(value, key, missed)),
            serde_json::Value::Object(fields) => {
                fields.iter().for_each(|(key, value)| look(value, key, missed))
            }
            _ => {}
        }
    }
    let mut missed = Vec::new();
    look(&serde_json::from_str(&sample::named("NAME").json()).expect("JSON"), "", &mut missed);
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn links_lead_where_they_say() {
    for text in
        HOSTILE.into_iter().filter(|text| !text.is_empty()).chain(["127.0.0.1:3306", "a b+c%20&d=e#f"])
    {
        for stands_still in [false, true] {
            let view = View { target: Some(text.to_owned()), path: Some(text.to_owned()), stands_still };
            let href = view.href();
            assert_eq!(View::of_query(href.strip_prefix("/?").expect("a query")), view);
        }
    }
    assert_eq!(View::of_query("path=alone&refresh=on&nothing"), View::default());
    assert_eq!(View::default().href(), "/");
    let none = View { target: Some("none".to_owned()), ..View::default() };
    assert_eq!(page(&sample::named("one"), &none, "/metrics"), None);
}

/// Every part of a page is in its own style, which the policy names by its hash.
#[test]
fn nothing_but_the_style_is_allowed() {
    let policy = security_policy();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"),
        "{policy}"
    );
    for (_, document) in sample::states() {
        let page = page(&document, &View::default(), "/metrics").expect("there is something");
        for word in ["<script", "style=", " on", "http://", "https://", "src="] {
            let body = page.split_once("</style>").expect("a style").1;
            let found = tags(body).into_iter().find(|tag| tag.contains(word));
            assert_eq!(found, None, "{word}");
        }
    }
}
