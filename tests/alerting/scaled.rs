//! The rules with every duration shortened by one factor, as the incidents' ages are; nothing else is changed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Keys of a rule file whose value is a duration.
const KEYS: [&str; 3] = ["for:", "keep_firing_for:", "interval:"];

/// Copies the rule files of a directory into another one, durations divided by `factor`.
pub(super) fn copy_rules(from: &Path, to: &Path, factor: u64) -> io::Result<Vec<PathBuf>> {
    let copy = |file: PathBuf| {
        let copy = to.join(file.file_name().unwrap_or_default());
        fs::write(&copy, scaled(&fs::read_to_string(&file)?, factor)).map(|()| copy)
    };
    super::rule_files(from)?.into_iter().map(copy).collect()
}

/// A rule file's text with the durations divided by `factor`: those of [`KEYS`], in `[…]`, and after `offset`.
fn scaled(text: &str, factor: u64) -> String {
    let mut lines: Vec<String> = text.lines().map(|line| scaled_line(line, factor)).collect();
    lines.push(String::new());
    lines.join("\n")
}

fn scaled_line(line: &str, factor: u64) -> String {
    let key = line.trim_start().trim_start_matches("- ");
    let mut scaled = String::new();
    let mut rest = line;
    if let Some(value) = KEYS.iter().find_map(|name| key.strip_prefix(name)) {
        let value = value.trim_start();
        scaled.push_str(&rest[..line.len() - value.len()]);
        rest = shorten(value, factor, &mut scaled);
    }
    while let Some(at) = next_duration(rest) {
        scaled.push_str(&rest[..at]);
        rest = shorten(&rest[at..], factor, &mut scaled);
        // The step of a subquery.
        if let Some(step) = rest.strip_prefix(':') {
            scaled.push(':');
            rest = shorten(step, factor, &mut scaled);
        }
    }
    scaled + rest
}

/// Where the next duration of an expression begins: behind a bracket, or behind `offset`.
fn next_duration(text: &str) -> Option<usize> {
    let behind = |sign: &str| {
        text.match_indices(sign).map(|(at, _)| at + sign.len()).find(|&at| duration(&text[at..]).is_some())
    };
    ["[", "offset ", "offset -"].into_iter().filter_map(behind).min()
}

/// Puts the duration `text` begins with, shortened, behind `scaled`; gives what follows it.
fn shorten<'a>(text: &'a str, factor: u64, scaled: &mut String) -> &'a str {
    match duration(text) {
        Some((length, milliseconds)) => {
            write!(scaled, "{}ms", (milliseconds / factor).max(1)).expect("a string grows");
            &text[length..]
        }
        None => text,
    }
}

/// The duration a text begins with, such as `5m` or `1h30m`: its length in bytes, and milliseconds.
pub(super) fn duration(text: &str) -> Option<(usize, u64)> {
    // `ms` is looked for before `m`.
    const UNITS: [(&str, u64); 6] =
        [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
    let (mut length, mut milliseconds) = (0, 0);
    loop {
        let rest = &text[length..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = UNITS.iter().find(|(unit, _)| rest[digits..].starts_with(unit));
        let (Ok(number), Some((unit, size))) = (rest[..digits].parse::<u64>(), unit) else { break };
        milliseconds += number * size;
        length += digits + unit.len();
    }
    let ends = !text[length..].starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
    (length > 0 && ends).then_some((length, milliseconds))
}

#[test]
fn every_duration_is_scaled_and_nothing_else() {
    let cases = [
        ("    for: 5m", "    for: 5000ms"),
        ("  - for: 90s # a scrape and a half", "  - for: 1500ms # a scrape and a half"),
        ("    keep_firing_for: 1h", "    keep_firing_for: 60000ms"),
        ("    interval: 1m", "    interval: 1000ms"),
        ("rate(a_total[5m]) > 0.5 * 60", "rate(a_total[5000ms]) > 0.5 * 60"),
        ("max_over_time(a[1h:1m] offset 1d)", "max_over_time(a[60000ms:1000ms] offset 1440000ms)"),
        ("a offset -1h30m", "a offset -90000ms"),
        ("    expr: a:b:c5m{x=\"5m\"} > 300", "    expr: a:b:c5m{x=\"5m\"} > 300"),
        ("    summary: idle for 5m: 5 of 6m", "    summary: idle for 5m: 5 of 6m"),
        ("rate(a[5m]) > a:b and c{d=\"[.]5m\"}", "rate(a[5000ms]) > a:b and c{d=\"[.]5m\"}"),
        ("    for: 1ms", "    for: 1ms"),
        ("    record: path:a:max", "    record: path:a:max"),
    ];
    for (line, expected) in cases {
        assert_eq!(scaled_line(line, 60), expected);
    }
    assert_eq!(scaled("for: 1m\n\nexpr: |\n  a[1m]\n", 60), "for: 1000ms\n\nexpr: |\n  a[1000ms]\n");
}
