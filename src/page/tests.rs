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
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/page").join(name).with_extension("html");
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
