//! Counters that never go back, and never vanish.

use std::collections::BTreeMap;

/// The counters of one target, as far as they were seen.
#[derive(Debug)]
pub(super) struct Counters {
    label: String,
    known: BTreeMap<String, f64>,
}

impl Counters {
    /// Those of a target, none seen yet.
    pub(super) fn of(target: &str) -> Self {
        Self { label: format!("target=\"{target}\""), known: BTreeMap::new() }
    }

    /// Looks at a page. Gives what went back or vanished, in words.
    pub(super) fn look(&mut self, page: &str) -> Result<usize, String> {
        let now = counters(page, &self.label);
        for (series, before) in &self.known {
            match now.get(series) {
                None => return Err(format!("{series} was {before} and is gone")),
                Some(value) if value < before => {
                    return Err(format!("{series} was {before} and is {value}"));
                }
                Some(_) => {}
            }
        }
        self.known = now;
        Ok(self.known.len())
    }
}

/// Every sample of ours that counts and has this label, by name and labels.
fn counters(page: &str, label: &str) -> BTreeMap<String, f64> {
    let mut counts = false;
    let mut found = BTreeMap::new();
    for line in page.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            counts = family.ends_with(" counter") || family.ends_with(" histogram");
            // The server's own go back when it says so.
            counts &= !family.starts_with("mysql_canary_server_");
        } else if counts
            && line.contains(label)
            && let Some((series, value)) = line.rsplit_once(' ')
        {
            found.insert(series.to_owned(), value.parse().expect("a sample is a number"));
        }
    }
    found
}

#[test]
fn what_goes_back_is_found() {
    let page = |deaths: u32| {
        format!("# TYPE a counter\na{{target=\"x\"}} {deaths}\n# TYPE b gauge\nb{{target=\"x\"}} {deaths}\n")
    };
    let mut counters = Counters::of("x");
    assert_eq!(counters.look(&page(3)), Ok(1));
    assert_eq!(counters.look(&page(4)), Ok(1));
    assert_eq!(counters.look(&page(3)), Err("a{target=\"x\"} was 4 and is 3".to_owned()));
    assert_eq!(counters.look(""), Err("a{target=\"x\"} was 4 and is gone".to_owned()));
}
